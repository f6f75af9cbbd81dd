"""Does every picture find back to its weights, and how quick is the lab? Each part prints lines of JSON.

    python benchmarks/latent_lab.py whence RUN [--num 200]     pictures drawn again, of every kind of file
    python benchmarks/latent_lab.py speed [RUN] [--rounds 7]   seconds of what people wait for

`whence` draws pictures of seeds, ways, edits and mixtures or sheets, copies the run to another place and asks there. It
also changes a pixel of each, which must be told. `speed` times a generator of 64 x 64 pictures of width 64 with its
first weights and, where one is given, that of a run; medians of rounds, one after another.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import torch

from ganlet.games import Gan
from ganlet.latent.space import Space
from ganlet.runs.picture_files import LOSSY, STILL, encode, read
from ganlet.workflows.configuring import make_config
from ganlet.workflows.drawing import Drawing
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.whence import whence

SUFFIXES = (STILL, ".webp", ".gif", LOSSY)  # of a GIF, what its colours allow; of an MP4, what its codec leaves


def drawings(lab: Lab, number: int) -> Drawing:
    """The drawing of a number: kinds take turns."""
    if number % 4 == 0:
        return lab.draw(lab.sample(1, number), {"verb": "sample", "seed": number})
    if number % 4 == 1:
        return lab.interpolate(number, number + 1, steps=5)
    if number % 4 == 2:
        return lab.draw(lab.sample(3, number).moved(0.3 * lab.space.typical[1]), {"verb": "edit"})
    return lab.mix([number], [number + 1]) if lab.space.num_levels > 1 else lab.grid(rows=2, columns=2)


def ask_whence(run: Path, num: int) -> dict[str, Any]:
    """How many of `num` pictures of each kind of file are drawn again bit by bit, and how many changes are told."""
    lab, found = Lab.open(run, device="cpu"), {}
    with tempfile.TemporaryDirectory() as folder:
        moved = shutil.copytree(
            run, Path(folder) / "moved", ignore=shutil.ignore_patterns("checkpoints", "tensorboard")
        )
        for suffix in SUFFIXES:
            same = told = 0
            for number in range(num):
                (path,) = drawings(lab, number).save(Path(folder) / f"{number}{suffix}")
                origin = whence(path, moved, device="cpu")
                same += origin.verdict == ("rounded" if suffix == LOSSY else "same")
                frames, text = read(path)
                frames[0, number % frames.shape[1], number % frames.shape[2]] ^= 16
                path.write_bytes(encode(frames, suffix, text))
                told += whence(path, moved, device="cpu").verdict == "changed"
                path.unlink()
            found[suffix[1:]] = {"drawn_again": same, "changes_told": told, "of": num}
    return {"benchmark": "whence", "run": run.name, **found}


def seconds(action: Callable[[], object], rounds: int) -> float:
    """The median time of an action, the first time left out."""
    action()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return round(statistics.median(times), 4)


def measure_speed(run: Path | None, rounds: int) -> dict[str, Any]:
    """Seconds for a sheet of 64 and for one picture."""
    config = make_config(overrides={"data.size": 64, "data.channels": 3, "generator.width": 64})
    spaces = {"64x64 width 64": Space(Gan(config).networks()["generator"].eval())}
    if run is not None:
        spaces[run.name] = Lab.open(run, device="cpu").space
    found: dict[str, Any] = {"benchmark": "speed"}
    for name, space in spaces.items():
        points = space.sample(64, 0)
        found[name] = {
            "sheet of 64": seconds(lambda space=space, points=points: space.pictures(points), rounds),
            "one picture": seconds(lambda space=space, points=points: space.pictures(points[:1]), rounds),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    asking, timing = parts.add_parser("whence"), parts.add_parser("speed")
    asking.add_argument("run", type=Path)
    asking.add_argument("--num", type=int, default=200)
    timing.add_argument("run", type=Path, nargs="?")
    timing.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    row = ask_whence(asked.run, asked.num) if asked.part == "whence" else measure_speed(asked.run, asked.rounds)
    machine = (
        f"{os.cpu_count()} CPUs, {platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    print(json.dumps({**row, "machine": machine, "date": date.today().isoformat()}))


if __name__ == "__main__":
    main()
