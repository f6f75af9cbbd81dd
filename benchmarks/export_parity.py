"""Do exported generators draw what PyTorch draws? Every preset at the three precisions, as a table in Markdown.

    python benchmarks/export_parity.py [RUN ...] [--presets NAME ...] [--seconds 40] [--images 2000] > export.md

Each RUN, a trained one, stands for itself. Presets of which none is given are trained on smileys first, until
`--images` were seen or `--seconds` have passed: no first weights, but far from those that a run ends with.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import onnx
import onnxruntime
import torch

import ganlet
from ganlet.config import presets
from ganlet.errors import GanletError
from ganlet.export import to_onnx
from ganlet.export.parity import BATCHES, share
from ganlet.export.precision import PRECISIONS
from ganlet.workflows.generators import open_generator

HEAD = """| run | precision | bytes | largest error | worst level | pixels changed | within 1 level |
|---|---|---|---|---|---|---|"""
QUICK = {"evaluate.metric": "none", "health.every": 0, "train.tensorboard": False, "data.num_images": 500}


def brief(preset: str, folder: Path, images: int, seconds: float) -> Path:
    """A run of a preset that was trained for a moment."""
    began = time.monotonic()

    def late(event: ganlet.Event) -> ganlet.Stop | None:
        return ganlet.Stop("long enough") if time.monotonic() - began > seconds else None

    config = ganlet.make_config(preset, "smileys", overrides={**QUICK, "train.total_images": images})
    return ganlet.train(config, folder / preset, callbacks=[late], device="cpu").path


def rows(run: Path, folder: Path) -> Iterable[str]:
    """The lines of the table of a run."""
    opened = ganlet.open_run(run)
    config = opened.config
    size = "x".join(map(str, config.data.size))
    name = f"{run.name} ({config.preset or config.generator.kind}, {size}x{config.data.channels})"
    seen = open_generator(opened.folder, None, torch.device("cpu")).images_seen
    for precision in PRECISIONS:
        try:
            made = to_onnx(run, folder / f"{run.name}-{precision}.onnx", precision=precision)
        except GanletError as error:
            yield f"| {name}, {seen:,} images | {precision} | refused: {error.what} {error.got} |"
            continue
        parity = made.parity
        cells = [
            f"{name}, {seen:,} images",
            precision,
            f"{made.num_bytes:,}",
            f"{parity.error:.1e}",
            str(parity.worst),
            share(parity.changed),
            share(parity.within_one),
        ]
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--presets", nargs="*", default=None)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--images", type=int, default=2_000)
    asked = parser.parse_args()
    known = {ganlet.open_run(run).config.preset for run in asked.runs}
    names = [name for name in presets.names() if name not in known] if asked.presets is None else asked.presets
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print("# Exported generators against PyTorch\n")
    print(f"`python benchmarks/export_parity.py {' '.join(run.name for run in asked.runs)}`; {platform.machine()},")
    print(f"{torch.get_num_threads()} thread, torch {torch.__version__}, onnx {onnx.__version__}, onnxruntime")
    print(f"{onnxruntime.__version__}, {date.today()}, commit {commit}. Batches of {', '.join(map(str, BATCHES))}.\n")
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for run in asked.runs:
            for row in rows(run, Path(folder)):
                print(row, flush=True)
        for name in names:
            print(name, file=sys.stderr, flush=True)
            for row in rows(brief(name, Path(folder), asked.images, asked.seconds), Path(folder)):
                print(row, flush=True)


if __name__ == "__main__":
    main()
