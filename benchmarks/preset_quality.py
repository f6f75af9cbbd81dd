"""Does a preset learn, keep its variety, and end as good as it ever was? Several sources and seeds, one table.

At six moments of a run, fakes drawn with the averaged weights are compared with real pictures by the Frechet distance
between features: FD (ResNet-56, CIFAR-10), on pictures brought to 32 x 32, grey ones repeated over 3 channels. It is
no FID, and comparable only with figures of this script. Beside it stands the diversity: the mean distance between
pairs of fakes, as a share of that between pairs of real pictures; a collapse to one picture gives 0.

    python benchmarks/preset_quality.py --preset quick --sources smileys path/to/fashion-mnist path/to/cifar-bin \
        --extractor path/to/extractors [--seeds 0 1 2 3 4] [--set KEY=VALUE ...] [--json FILE] [--grids DIR] \
        [--final 10000]

With --final the last generator is measured once more, by so many fakes against all training pictures.

The extractor's folder holds cifar_resnet.py and resnet56-cifar10.safetensors. The floor is the distance between two
halves of the real pictures, with as many in the second half as there are fakes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import numpy as np
import torch
from torch.nn import functional

from ganlet.config import RunConfig, parse_override, resolve
from ganlet.config.tree import merge
from ganlet.data.source import open_source
from ganlet.engine.loop import Event
from ganlet.games.drawn import generate
from ganlet.runs.pictures import save_sheet
from ganlet.workflows.configuring import make_config
from ganlet.workflows.training import train

NUM_FAKES = 2_000
NUM_REALS = 10_000
MOMENTS = 6


class Extractor:
    """Pictures uint8 (N, H, W, C) -> features float64 (N, 64)."""

    def __init__(self, folder: Path) -> None:
        sys.path.insert(0, str(folder))
        import cifar_resnet

        network = cifar_resnet.load(str(folder / "resnet56-cifar10.safetensors"))
        self.network = network.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        parts = []
        for part in torch.from_numpy(np.array(pictures)).split(250):
            images = part.permute(0, 3, 1, 2).float() / 255.0
            if images.shape[1] == 1:
                images = images.expand(-1, 3, -1, -1)
            if images.shape[2:] != (32, 32):
                images = functional.interpolate(images, size=(32, 32), mode="bilinear", antialias=True)
            parts.append(self.network(images.contiguous(memory_format=torch.channels_last))[0])
        return torch.cat(parts).double().numpy()


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Squared Frechet distance between normal fits of two sets of features (N, F) (Dowson & Landau 1982)."""
    mean_1, mean_2 = first.mean(0), second.mean(0)
    covariance_1, covariance_2 = np.cov(first, rowvar=False), np.cov(second, rowvar=False)
    eigenvalues = np.linalg.eigvals(covariance_1 @ covariance_2)
    cross = np.sqrt(np.clip(eigenvalues.real, 0, None)).sum()
    return float(((mean_1 - mean_2) ** 2).sum() + np.trace(covariance_1) + np.trace(covariance_2) - 2 * cross)


def spread(features: np.ndarray) -> float:
    """Mean distance between the two halves' pairs (N/2 of them)."""
    half = len(features) // 2
    return float(np.linalg.norm(features[:half] - features[half : 2 * half], axis=1).mean())


@dataclass
class Judge:
    """A hook that measures the run at a few moments."""

    config: RunConfig
    extractor: Extractor
    reals: np.ndarray  # features (N, F)
    grid: Path | None
    distances: list[float]
    diversities: list[float]
    num_final: int = 0  # fakes that the last generator is measured with once more; 0: it is not
    final: float | None = None
    seconds: float = 0.0  # spent on measuring

    def __call__(self, event: Event) -> None:
        total = self.config.train.total_images
        assert isinstance(total, int)
        if not event.passed(-(-total // MOMENTS)):
            return
        start = time.monotonic()
        generator: Any = event.state.averages["average"]
        pictures = generate(generator, generator.latents.draw((NUM_FAKES,), self.config.seed, "judge"))
        features = self.extractor(pictures)
        self.distances.append(round(frechet_distance(features, self.reals[:NUM_REALS]), 2))
        self.diversities.append(round(spread(features) / spread(self.reals), 2))
        if self.grid and event.finished:
            save_sheet(self.grid, pictures[:64])
        if self.num_final and event.finished:
            latents = generator.latents.draw((self.num_final,), self.config.seed, "final")
            fakes = self.extractor(generate(generator, latents))
            self.final = round(frechet_distance(fakes, self.reals), 2)
        self.seconds += time.monotonic() - start


def measure(
    config: RunConfig,
    pictures: np.ndarray,
    reals: np.ndarray,
    extractor: Extractor,
    grid: Path | None,
    num_final: int = 0,
) -> dict[str, Any]:
    """One run, measured."""
    config = resolve(config, num_pictures=len(pictures), channels=pictures.shape[-1])
    judge = Judge(config, extractor, reals, grid, [], [], num_final)
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        train(config, Path(folder) / "run", device="cpu", callbacks=[judge])
    seconds = time.monotonic() - start - judge.seconds
    return {
        "distances": judge.distances,
        "final": judge.final,
        "diversities": judge.diversities,
        "last_to_best": round(judge.distances[-1] / min(judge.distances), 3),
        "images_per_second": round(int(config.train.total_images) / seconds),
    }


def commit() -> str:
    """The commit that is measured."""
    return subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--sources", nargs="+", default=["smileys"])
    parser.add_argument("--extractor", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    parser.add_argument("--final", type=int, default=0, metavar="FAKES")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--grids", type=Path)
    arguments = parser.parse_args()
    overrides: dict[str, Any] = {}
    for text in arguments.overrides:
        overrides = merge(overrides, parse_override(text), None)
    extractor = Extractor(arguments.extractor)
    print(
        f"preset {arguments.preset} {' '.join(arguments.overrides)}: FD (ResNet-56, CIFAR-10), {NUM_FAKES:,} fakes of "
        f"the averaged weights against {NUM_REALS:,} training pictures; {date.today()}, commit {commit()}, "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads\n"
    )
    final = f" FD, {arguments.final:,} fakes |" if arguments.final else ""
    print(f"| source | seed | floor | FD at {MOMENTS} moments |{final} last / best | diversity at the end | images/s |")
    print("|---|---|---|---|---|---|---|" + ("---|" if final else ""))
    rows = []
    for source in arguments.sources:
        config = make_config(arguments.preset, source, overrides=overrides)
        pictures = open_source(config.data).pictures
        reals = extractor(pictures if arguments.final else pictures[: NUM_REALS + NUM_FAKES])
        held = reals[NUM_REALS : NUM_REALS + NUM_FAKES]
        floor = round(frechet_distance(held, reals[:NUM_REALS]), 2)
        for seed in arguments.seeds:
            name = Path(source).name
            grid = arguments.grids / f"{arguments.preset}-{name}-{seed}.png" if arguments.grids else None
            if grid:
                grid.parent.mkdir(parents=True, exist_ok=True)
            seeded = make_config(arguments.preset, source, overrides={**overrides, "seed": seed})
            found = measure(seeded, pictures, reals, extractor, grid, arguments.final)
            row = {"source": name, "seed": seed, "floor": floor, **found}
            rows.append(row)
            final = f" {row['final']} |" if arguments.final else ""
            print(
                f"| {name} | {seed} | {floor} | {' '.join(map(str, row['distances']))} |{final} {row['last_to_best']} "
                f"| {row['diversities'][-1]} | {row['images_per_second']} |",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps({"commit": commit(), "preset": arguments.preset, "rows": rows}) + "\n")


if __name__ == "__main__":
    main()
