"""Which recipes draw all modes of a set whose modes are known? The ring of 8 Gaussians and Stacked MNIST, one table.

Every recipe trains the same networks for as many pictures at the same rates; all that it changes stands in `RECIPES`.
Pictures are drawn with the weights of the last moment, not with their average, so that nothing but the recipe steadies
them. A mode is covered of which one picture is clear: a point within three standard deviations of a centre, or three
digits that the classifier is sure of; see `ganlet.metrics.modes`.

    python benchmarks/modes_covered.py run --source ring --out ROWS.jsonl [--recipe NAME ...] [--seeds 0 1 2 3 4] \
        [--pictures DIR]
    python benchmarks/modes_covered.py run --source stacked:path/to/mnist --out ROWS.jsonl ...
    python benchmarks/modes_covered.py table ROWS.jsonl
    python benchmarks/modes_covered.py draw DIR --out docs/pictures

`run` adds a line for each run and skips those that are there; `table` prints the lines as Markdown; `draw` makes
figures of the pictures that `run --pictures` has kept, those of the lowest seed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any, cast

os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import matplotlib
import numpy as np
import torch
from matplotlib import pyplot
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from ganlet.config import RunConfig
from ganlet.data import ring
from ganlet.data.source import open_source
from ganlet.engine.loop import Event
from ganlet.games.drawn import generate
from ganlet.images import grid
from ganlet.metrics.mode_classifier import CLEAR, ModeClassifier, open_mode_classifier
from ganlet.metrics.modes import ModeCoverage, coverage_of_modes
from ganlet.metrics.ring_modes import RingModes
from ganlet.networks.interfaces import Generator
from ganlet.randomness import numpy_generator
from ganlet.workflows import training
from ganlet.workflows.configuring import make_config

Settings = dict[str, Any]
Row = dict[str, Any]

KEPT = 1_000  # pictures of a run, for the figures
COLUMNS, GAP, MARGIN, DPI = 10, 1, 150, 80  # of the figures, in pixels
REAL = "real"

# Nothing is looked at before the end, and nothing steadies the weights that pictures are drawn with.
COMMON: Settings = {
    "generator.ema.half_life": 0,
    "evaluate": {"metric": "none", "weights": "raw"},
    "health.every": 0,
    "train.tensorboard": False,
    "train.log_every": 10**9,
    "train.sample_every": 10**9,
    "train.checkpoint_every": 10**9,
}


@dataclass(frozen=True)
class Subject:
    """A set of pictures: what all recipes have in common on it, and how many pictures of each run are judged."""

    settings: Settings
    num: int


SUBJECTS: dict[str, Subject] = {
    "ring": Subject(
        {
            "data.size": 8,
            "generator": {"kind": "mlp", "width": 64, "layers": 2, "latent_size": 16, "initial": "xavier"},
            "discriminator": {"kind": "mlp", "width": 64, "layers": 2, "initial": "xavier"},
            "generator.optimizer": {"lr": 1e-3, "beta1": 0.9},
            "discriminator.optimizer": {"lr": 1e-3, "beta1": 0.9},
            "train.batch_size": 64,
            "train.total_images": 256_000,
        },
        num=2_500,
    ),
    "stacked": Subject(
        {
            "data.size": 28,
            "generator": {"kind": "dcgan", "width": 32, "latent_size": 64},
            "discriminator": {"kind": "dcgan", "width": 8, "norm": "none", "initial": "kaiming"},
            "generator.optimizer.lr": 1e-3,
            "discriminator.optimizer.lr": 1e-3,
            "train.batch_size": 32,
            "train.total_images": 48_000,
        },
        num=5_000,
    ),
}

R1 = {"kind": "r1", "weight": 0.1}
RECIPES: dict[str, Settings] = {
    "plain": {},
    "no-momentum": {"generator.optimizer.beta1": 0.0, "discriminator.optimizer.beta1": 0.0},
    "saturating": {"objective.loss.saturating": True},
    "stddev": {"discriminator.batch_statistics": "stddev"},
    "discrimination": {"discriminator.batch_statistics": "discrimination"},
    "r1": {"objective.penalties": [R1]},
    "relativistic-r1-r2": {"objective.loss.kind": "relativistic", "objective.penalties": [R1, R1 | {"kind": "r2"}]},
    "wgan-gp": {
        "objective.loss.kind": "wasserstein",
        "objective.penalties": [{"kind": "gradient_penalty", "weight": 1.0}],
    },
}


def blended(pictures: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The mean of each picture and another one."""
    others = pictures[random.permutation(len(pictures))]
    return ((pictures.astype(np.uint16) + others) // 2).astype(np.uint8)


def scrambled(pictures: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Every number of a picture taken from another picture: right in each place, and nothing to be seen."""
    return random.permuted(pictures.reshape(len(pictures), -1), axis=0).reshape(pictures.shape)


# Bad generators whose pictures are known: what the judge makes of them says how far it can be trusted.
CONTROLS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "two real pictures blended": blended,
    "real pictures, scrambled": scrambled,
}


@dataclass
class Watch:
    """A hook that keeps the generator, and the rate of training in images a second of processor time."""

    generator: Generator | None = None
    rate: float = 0.0
    first: int = 0
    start: float = 0.0

    def __call__(self, event: Event) -> None:
        if self.generator is None:
            self.generator = cast(Generator, event.state.networks["generator"])
            self.first, self.start = event.images_seen, time.process_time()
        elif event.finished:
            self.rate = (event.images_seen - self.first) / (time.process_time() - self.start)


def config_of(source: str, recipe: str, seed: int) -> RunConfig:
    """The whole config of a run."""
    settings = SUBJECTS[name_of(source)].settings
    return make_config(source=source, overrides={**COMMON, **settings, **RECIPES[recipe], "seed": seed})


def name_of(source: str) -> str:
    """The key in `SUBJECTS`."""
    return source.partition(":")[0]


def judged(judge: ModeClassifier | RingModes, pictures: np.ndarray) -> tuple[ModeCoverage, int]:
    """How pictures uint8 (N, H, W, C) cover the modes, and how many modes are shown at all, clearly or not."""
    modes, clear = judge(pictures)
    if isinstance(judge, ModeClassifier):
        clear = clear >= CLEAR
    frequencies = judge.modes.frequencies
    found = coverage_of_modes(modes, frequencies, clear=clear, expected_clear_share=judge.clear_share)
    return found, coverage_of_modes(modes, frequencies).covered


def one_run(config: RunConfig, judge: ModeClassifier | RingModes, num: int) -> tuple[Row, np.ndarray]:
    """One run, judged by `num` pictures, and the first of these."""
    watch = Watch()
    with tempfile.TemporaryDirectory() as folder:
        training.train(config, Path(folder) / "run", device="cpu", callbacks=[watch])
    assert watch.generator is not None
    pictures = generate(watch.generator, watch.generator.latents.sample(num, config.seed))
    return as_row(judge, pictures, watch.rate), pictures[:KEPT]


def as_row(judge: ModeClassifier | RingModes, pictures: np.ndarray, rate: float | None) -> Row:
    """What is told of pictures."""
    found, shown = judged(judge, pictures)
    return {
        "num": len(pictures),
        "total": found.total,
        "covered": found.covered,
        "shown": shown,
        "clear": found.clear_share,
        "kl": found.kl,
        "real_covered": found.expected_covered,
        "real_clear": found.expected_clear_share,
        "real_kl": found.expected_kl,
        "rate": rate,
    }


def run(arguments: argparse.Namespace) -> None:
    """Make the runs that are not there yet."""
    name = name_of(arguments.source)
    done = {(row["set"], row["recipe"], row["seed"]) for row in read_rows(arguments.out)}
    num = SUBJECTS[name].num
    data = config_of(arguments.source, "plain", 0).data
    pack = open_source(data)
    judge = open_mode_classifier(pack, data.size)
    training.redraw = lambda folder, images_seen, game: None  # nobody looks at the reports of these runs

    def add(recipe: str, seed: int, measured: Row) -> None:
        row = {"set": name, "recipe": recipe, "seed": seed, **measured, **facts()}
        with arguments.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{name} {recipe} {seed}: {row['covered']} of {row['total']}", flush=True)

    # At random, for a pack is not in the order in which its pictures were drawn.
    random = numpy_generator(0, "modes_covered")
    real = pack.pictures[np.sort(random.permutation(len(pack))[:num])]
    keep(arguments.pictures, f"{name}-{REAL}-0", real[random.permutation(len(real))[:KEPT]])
    for control, change in CONTROLS.items():
        if (name, control, 0) not in done:
            add(control, 0, as_row(judge, change(real, numpy_generator(0, control)), None))
    for seed in arguments.seeds:
        for recipe in arguments.recipe:
            if (name, recipe, seed) in done:
                continue
            measured, pictures = one_run(config_of(arguments.source, recipe, seed), judge, num)
            keep(arguments.pictures, f"{name}-{recipe}-{seed}", pictures)
            add(recipe, seed, measured)


def facts() -> Row:
    """When, and with what, a row was measured."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"date": str(date.today()), "commit": commit, "torch": torch.__version__}


def keep(folder: Path | None, name: str, pictures: np.ndarray) -> None:
    """Write pictures into the folder, where there is one."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{name}.npy", pictures)


def read_rows(path: Path) -> list[Row]:
    """The lines of a file; none where there is no file yet."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def table(arguments: argparse.Namespace) -> None:
    """Print a Markdown table for each set of pictures."""
    rows = [row for path in arguments.rows for row in read_rows(path)]
    for name in SUBJECTS:
        of = [row for row in rows if row["set"] == name]
        if of:
            print("\n".join(as_table(of)) + "\n")


def as_table(rows: Sequence[Row]) -> list[str]:
    """A line of facts, an empty one, and a Markdown table with a line for each recipe, of rows of one set."""
    first = rows[0]
    about = ", ".join(f"{key} {' '.join(sorted({row[key] for row in rows}))}" for key in ("date", "commit", "torch"))
    lines = [
        f"{first['set']}, {first['num']:,} pictures a run; {about}",
        "",
        f"| recipe | modes covered of {first['total']:,} | of each seed | shown at all | clear | KL | images/s |",
        "|---|---|---|---|---|---|---|",
        f"| as many real pictures | {_number(first['real_covered'])} | | | {first['real_clear']:.1%} "
        f"| {first['real_kl']:.3f} | |",
    ]
    for recipe in (*CONTROLS, *RECIPES):
        of = sorted((row for row in rows if row["recipe"] == recipe), key=lambda row: row["seed"])
        if not of:
            continue
        means = {key: mean(row[key] for row in of) for key in ("covered", "shown", "clear", "kl")}
        each = " ".join(str(row["covered"]) for row in of) if recipe in RECIPES else ""
        rate = f"{mean(row['rate'] for row in of):,.0f}" if recipe in RECIPES else ""
        lines.append(
            f"| {recipe} | {_number(means['covered'])} | {each} | {_number(means['shown'])} | {means['clear']:.1%} "
            f"| {means['kl']:.3f} | {rate} |"
        )
    return lines


def _number(value: float) -> str:
    """A mean of counts: with a decimal where it is small."""
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def draw(arguments: argparse.Namespace) -> None:
    """Draw modes-ring.png and modes-stacked.png of the pictures in a folder."""
    matplotlib.use("Agg")
    for name, figure in (("ring", points_figure), ("stacked", strips_figure)):
        pictures = kept_pictures(arguments.folder, name)
        if pictures:
            drawn = figure(pictures)
            arguments.out.mkdir(parents=True, exist_ok=True)
            drawn.savefig(arguments.out / f"modes-{name}.png", dpi=DPI, pil_kwargs={"optimize": True})


def kept_pictures(folder: Path, name: str) -> dict[str, np.ndarray]:
    """The pictures of real data and of each recipe, of the lowest seed that was kept."""
    found = {}
    for recipe in (REAL, *RECIPES):
        paths = folder.glob(f"{name}-{recipe}-*.npy")
        seeds = {int(path.stem.rpartition("-")[2]): path for path in paths if path.stem.rpartition("-")[2].isdigit()}
        seeds = {seed: path for seed, path in seeds.items() if path.stem == f"{name}-{recipe}-{seed}"}
        if seeds:
            found[recipe] = np.load(seeds[min(seeds)])
    return found


def points_figure(pictures: dict[str, np.ndarray]) -> Figure:
    """A scatter plot for each recipe, with circles of three standard deviations."""
    columns = 5
    rows = -(-len(pictures) // columns)
    figure, axes = pyplot.subplots(rows, columns, figsize=(2 * columns, 2.25 * rows), layout="constrained")
    for axis in axes.flat[len(pictures) :]:
        axis.set_axis_off()
    for axis, (recipe, shown) in zip(axes.flat, pictures.items(), strict=False):
        for centre in ring.CENTRES:
            axis.add_patch(Circle(centre, 3 * ring.DEVIATION, fill=False, color="0.7", linewidth=0.8))
        x, y = ring.points_of(shown).T
        axis.scatter(x, y, s=3, color="tab:orange" if recipe == REAL else "tab:blue", alpha=0.5, linewidths=0)
        axis.set(title=recipe, xlim=(-1, 1), ylim=(-1, 1), xticks=[], yticks=[], aspect="equal")
    return figure


def strips_figure(pictures: dict[str, np.ndarray]) -> Figure:
    """A row of pictures for each recipe, each pixel drawn as two by two."""
    strips = [grid(shown[:COLUMNS], COLUMNS, GAP).repeat(2, axis=0).repeat(2, axis=1) for shown in pictures.values()]
    height, width = strips[0].shape[:2]
    figure = pyplot.figure(figsize=((width + MARGIN) / DPI, height * len(strips) / DPI), dpi=DPI)
    for place, (recipe, strip) in enumerate(zip(reversed(pictures), reversed(strips), strict=True)):
        figure.figimage(strip, MARGIN, place * height, origin="upper")
        middle = (place + 0.5) / len(strips)
        figure.text((MARGIN - 8) / (width + MARGIN), middle, recipe, ha="right", va="center")
    return figure


def main() -> None:
    """Parse and go."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run")
    runner.add_argument("--source", required=True, help="ring, or stacked:PATH with MNIST's files")
    runner.add_argument("--out", type=Path, required=True)
    runner.add_argument("--recipe", nargs="+", choices=RECIPES, default=list(RECIPES))
    runner.add_argument("--seeds", type=int, nargs="+", default=list(range(5)))
    runner.add_argument("--pictures", type=Path, help="keep pictures of each run here, for `draw`")
    runner.set_defaults(work=run)
    telling = commands.add_parser("table")
    telling.add_argument("rows", type=Path, nargs="+")
    telling.set_defaults(work=table)
    drawing = commands.add_parser("draw")
    drawing.add_argument("folder", type=Path)
    drawing.add_argument("--out", type=Path, required=True)
    drawing.set_defaults(work=draw)
    arguments = parser.parse_args()
    arguments.work(arguments)


if __name__ == "__main__":
    main()
