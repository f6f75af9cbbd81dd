"""Which recipe on which data: every preset on several sources, with small networks and the same number of images.

    python benchmarks/recipes.py run --out rows.jsonl --sources smileys path/to/fashion-mnist path/to/cifar-bin \
        --extractor path/to/extractors [--presets NAME ...] [--seeds 0 1 2 3 4] [--images 24000] [--grids DIR] [--full]
    python benchmarks/recipes.py table rows.jsonl

Presets keep what makes them up: losses, penalties, rates, batch sizes, schedules, which are stretched or shrunk to the
number of images. Networks are made small by a factor that is the same for all (`--full` leaves them as they are, for a
GPU), and smileys are 64 x 64, the others 32 x 32. At four moments the generator that the preset samples with is
measured: FD (ResNet-56, CIFAR-10), 2,500 fakes against 10,000 training pictures at 32 x 32; it is no FID. A run
collapsed whose fakes vary less than a third as much as real pictures, in the same features. Modes are classes, or
combinations of a smiley's attributes, as `ganlet evaluate` counts them. Rows that are there are not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from statistics import mean, median
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import numpy as np
import torch

from ganlet.config import RunConfig, presets
from ganlet.data.source import open_source
from ganlet.engine.loop import Event
from ganlet.errors import Interrupted, MetricError
from ganlet.games.drawn import generate
from ganlet.metrics.mode_classifier import open_mode_classifier
from ganlet.runs.pictures import save_sheet
from ganlet.workflows.configuring import make_config
from ganlet.workflows.given import Given
from ganlet.workflows.labels import LabelSampler
from ganlet.workflows.prepare import prepare
from ganlet.workflows.reporting import Silent
from ganlet.workflows.training import train
from preset_quality import Extractor, commit, frechet_distance, spread

NUM_FAKES, NUM_REALS, MOMENTS = 2_500, 10_000, 4
COLLAPSED = 1 / 3
SIZES = {"smileys": 64}
# Widths at a quarter of what the presets for a GPU have, at half of what those for a laptop have.
WIDTHS = {
    "vanilla": (128, 128),
    "classic": (16, 16),
    "tutorial-faces": (16, 16),
    "smileys": (16, 16),
    "deep-wgan-gp": (32, 16),
    "sngan": (64, 32),
}
USUAL_WIDTHS = (16, 16)
# Presets that stand for one source, or that repeat another one's recipe.
LEFT_OUT = ("mnist", "fashion", "cifar10")


def small_config(
    name: str, source: str, seed: int, num_images: int, full: bool, num_pictures: int | None = None
) -> RunConfig:
    """A preset for a source, at the size of this benchmark; trained on only some of its pictures, if asked for."""
    kind = Path(source).name
    total = make_config(name, source).train.total_images
    generator, discriminator = WIDTHS.get(name, USUAL_WIDTHS)
    changes: dict[str, Any] = {
        "seed": seed,
        "data.size": SIZES.get(kind, 32),
        "data.channels": "auto",
        "data.num_images": num_pictures,
        "train.total_images": num_images,
        "train.log_every": num_images,
        "train.sample_every": num_images,
        "train.checkpoint_every": num_images,
        "train.tensorboard": False,
        "evaluate.metric": "none",
        "evaluate.patience": None,
        "health.every": 0,
    }
    if not full:
        changes |= {"generator.width": generator, "discriminator.width": discriminator}
    if name == "conditional" and kind == "smileys":
        changes["data.labels"] = "attributes"
    for side in ("generator", "discriminator"):
        schedule = getattr(make_config(name, source), side).optimizer.schedule
        if schedule.kind == "multistep":
            of = _images(total)
            changes[f"{side}.optimizer.schedule.milestones"] = [
                round(_images(milestone) / of * num_images) for milestone in schedule.milestones
            ]
    return make_config(name, source, overrides=changes)


def _images(length: int | str) -> float:
    """Images, or epochs: only their ratio matters."""
    return float(str(length).split()[0])


def measure(config: RunConfig, extractor: Extractor, grid: Path | None) -> dict[str, Any]:
    """One run, measured at a few moments."""
    config, _, packs = prepare(config, Given(), "cpu", Silent())
    pack = packs["real"]
    stock = LabelSampler.of(pack, config)
    total = config.train.total_images
    assert isinstance(total, int)
    labels = stock.draw(NUM_FAKES, 0) if stock else None
    whole = open_source(config.data.model_copy(update={"num_images": None}))  # what few pictures are a sample of
    reals = _reals(whole.fingerprint, whole.pictures, extractor)
    distances: list[float] = []
    last: dict[str, np.ndarray] = {}
    spent = 0.0

    def judge(event: Event) -> None:
        nonlocal spent
        if not event.passed(-(-total // MOMENTS)):
            return
        begun = time.monotonic()
        generator: Any = event.state.for_sampling()["generator"]
        last["pictures"] = generate(generator, generator.latents.sample(NUM_FAKES, 0), labels)
        last["features"] = extractor(last["pictures"])
        distances.append(round(frechet_distance(last["features"], reals), 2))
        spent += time.monotonic() - begun

    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        train(config, Path(folder) / "run", device="auto", callbacks=[judge])
    seconds = time.monotonic() - begun - spent
    if grid:
        grid.parent.mkdir(parents=True, exist_ok=True)
        save_sheet(grid, last["pictures"][:64])
    return {
        "distances": distances,
        "diversity": round(spread(last["features"]) / spread(reals), 3),
        "modes": _modes(config, last["pictures"]),
        "images_per_second": round(total / seconds, 1),
    }


_KNOWN: dict[str, np.ndarray] = {}


def _reals(fingerprint: str, pictures: np.ndarray, extractor: Extractor) -> np.ndarray:
    if fingerprint not in _KNOWN:
        _KNOWN[fingerprint] = extractor(pictures[:NUM_REALS])
    return _KNOWN[fingerprint]


def _modes(config: RunConfig, pictures: np.ndarray) -> list[int] | None:
    """How many modes are covered, of how many, and how many as many real pictures would cover."""
    try:
        pack = open_source(config.data.model_copy(update={"num_images": None}))
        found = open_mode_classifier(pack, config.data.size, torch.device("cpu")).coverage(iter([pictures]))
    except MetricError:
        return None
    return [found.covered, found.total, round(found.expected_covered)]


def run(arguments: argparse.Namespace) -> None:
    """Measure what is missing, one line for each run."""
    extractor = Extractor(arguments.extractor)
    rows = read(arguments.out) if arguments.out.exists() else []
    done = {(row["preset"], row["source"], row["seed"]) for row in rows}
    names = arguments.presets or [name for name in presets.names() if name not in LEFT_OUT]
    for seed in arguments.seeds:
        for source in arguments.sources:
            for name in names:
                key = (name, Path(source).name, seed)
                if key in done:
                    continue
                config = small_config(name, source, seed, arguments.images, arguments.full, arguments.pictures)
                grid = arguments.grids / f"{name}-{key[1]}-{seed}.png" if arguments.grids else None
                try:
                    found = measure(config, extractor, grid)
                except Interrupted:
                    raise
                except Exception as error:  # a run that diverges is a result, and the others go on
                    found = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
                row = {
                    "preset": name,
                    "source": key[1],
                    "seed": seed,
                    "images": arguments.images,
                    **found,
                    "date": str(date.today()),
                    "commit": commit(),
                }
                with open(arguments.out, "a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps(row), flush=True)


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def table(rows: Iterable[dict[str, Any]]) -> str:
    """A Markdown table for each source, best recipe first."""
    by_source: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        by_source[row["source"]][row["preset"]].append(row)
    lines = []
    for source, recipes in by_source.items():
        lines += [
            f"### {source}",
            "",
            "| recipe | FD at the end, median (each seed) | last / best, worst | diversity | modes | collapses "
            "| images/s |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [_line(name, found) for name, found in sorted(recipes.items(), key=lambda item: _median(item[1]))]
        lines.append("")
    return "\n".join(lines)


def _sound(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if "error" not in row]


def _median(rows: list[dict[str, Any]]) -> float:
    return median([row["distances"][-1] for row in _sound(rows)] or [float("inf")])


def _line(name: str, rows: list[dict[str, Any]]) -> str:
    sound = _sound(rows)
    if not sound:
        return f"| {name} | no run came to its end | | | | | |"
    ends = " ".join(f"{row['distances'][-1]:.1f}" for row in sound)
    worst = max(row["distances"][-1] / min(row["distances"]) for row in sound)
    collapses = len(rows) - len(sound) + sum(row["diversity"] < COLLAPSED for row in sound)
    modes = [row["modes"] for row in sound if row["modes"]]
    shown = f"{mean(m[0] for m in modes):.0f} of {modes[0][1]:,} (real: {modes[0][2]:,})" if modes else ""
    return (
        f"| {name} | **{_median(rows):.1f}** ({ends}) | {worst:.2f} | {mean(r['diversity'] for r in sound):.2f} "
        f"| {shown} | {collapses} of {len(rows)} | {median(r['images_per_second'] for r in sound):.0f} |"
    )


def main() -> None:
    """Measure, or print the tables of what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--sources", nargs="+", default=["smileys"])
    running.add_argument("--presets", nargs="+", choices=presets.names())
    running.add_argument("--extractor", type=Path, required=True)
    running.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    running.add_argument("--images", type=int, default=24_000)
    running.add_argument("--pictures", type=int, help="train on so many of a source's pictures only")
    running.add_argument("--grids", type=Path)
    running.add_argument("--full", action="store_true", help="networks as the presets have them: for a GPU")
    tabling = commands.add_parser("table")
    tabling.add_argument("rows", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "run":
        run(arguments)
    else:
        print(table(read(arguments.rows)))


if __name__ == "__main__":
    main()
