"""Does the run doctor find sick runs, how soon, and does it leave healthy ones alone? Scripted runs, one table.

A sickness is a setting that is known to be bad, or a disturbance that begins at a known moment of a healthy run (its
onset). Every run is judged look by look, as it is while it trains. Thresholds were set on the tuning sources; what is
reported are the sources that were not used for that.

    python benchmarks/doctor_calibration.py run --out DIR --sources smileys path/to/fashion-mnist ... \
        [--cases healthy constant ...] [--seeds 0 1 ...] [--images 40000]
    python benchmarks/doctor_calibration.py table DIR [--sources NAME ...]

`run` leaves one JSON file a run in DIR and skips those that are there; `table` judges them.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch
import yaml

from ganlet.config import parse_override, validate
from ganlet.config.tree import merge
from ganlet.data.batches import Batches
from ganlet.engine.loop import Event
from ganlet.errors import TrainingError
from ganlet.health.history import RunInfo
from ganlet.health.image_rules import LEAK, OVERFITTING, WRONG_COLOURS
from ganlet.health.label_rules import CLASS_COLLAPSE, IGNORED
from ganlet.health.progress_rules import FINISHED, UNDER_TRAINED
from ganlet.health.training_rules import COLLAPSE, DIVERGENCE, OSCILLATION, STRONG, STUCK, WEAK
from ganlet.health.verdicts import replay
from ganlet.health.wgan_rules import UNBOUNDED
from ganlet.images import to_network, to_packed
from ganlet.networks.conditioning import ConditionalNorm
from ganlet.objective.augment import augment, num_draws
from ganlet.runs.history import read_history
from ganlet.workflows import session, training
from ganlet.workflows.configuring import make_config

ONSET = 12_000  # images, of disturbances

Disturb = Callable[[Event, dict[str, Any]], None]
Labels = torch.Tensor | None
Load = Callable[[torch.Tensor, Labels], tuple[torch.Tensor, Labels]]  # pictures and labels of a batch


@dataclass(frozen=True)
class Case:
    """A way to be healthy or sick: settings, and a disturbance from `onset` on, of the state or of what is loaded.

    `labelled`: by classes, or by attributes where the source is smileys, whose classes are hundreds.
    """

    settings: tuple[str, ...] = ()
    disturb: Disturb | None = None
    load: Load | None = None
    labelled: bool = False
    onset: int = 0
    expected: tuple[str, ...] = ()  # verdicts that are right, or none for a healthy run


def generators(event: Event) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The generator in training and its average."""
    return event.state.networks["generator"], event.state.averages["average"]


def ignore_latents(event: Event, _: dict[str, Any]) -> None:
    """The generator draws one picture."""
    for network in generators(event):
        network.get_submodule("from_latent").weight.data.mul_(0.0)


def hear_one_number(event: Event, _: dict[str, Any]) -> None:
    """The generator hears one of the numbers of each latent."""
    for network in generators(event):
        network.get_submodule("from_latent").weight.data[:, 1:] = 0.0


def freeze_discriminator(event: Event, kept: dict[str, Any]) -> None:
    """The discriminator stays as it was at the onset."""
    _freeze(event.state.networks["discriminator"], kept)


def freeze_generator(event: Event, kept: dict[str, Any]) -> None:
    """The generator stays as it was at the onset."""
    _freeze(event.state.networks["generator"], kept)


def _freeze(network: torch.nn.Module, kept: dict[str, Any]) -> None:
    if not kept:
        kept.update({name: tensor.clone() for name, tensor in network.state_dict().items()})
    network.load_state_dict(kept)


def ignore_labels(event: Event, _: dict[str, Any]) -> None:
    """The generator does not hear its labels."""
    for network in generators(event):
        for layer in network.modules():
            if isinstance(layer, ConditionalNorm):
                layer.scale.weight.data.zero_()
                layer.shift.weight.data.zero_()


def one_grey_level_too_many(pictures: torch.Tensor, labels: Labels) -> tuple[torch.Tensor, Labels]:
    """A loader that adds 1 in 8 bits: white becomes black."""
    return pictures + 1, labels


def a_stuck_pixel(pictures: torch.Tensor, labels: Labels) -> tuple[torch.Tensor, Labels]:
    """A loader that overwrites one pixel."""
    pictures = pictures.clone()
    pictures[:, 5, 5] = 0
    pictures[:, 5, 6] = 255
    return pictures, labels


def shuffled_labels(pictures: torch.Tensor, labels: Labels) -> tuple[torch.Tensor, Labels]:
    """A loader that gives each picture the labels of another one."""
    assert labels is not None
    return pictures, labels.roll(1, 0)


@dataclass
class OnePictureOfAClass:
    """A loader that shows the same picture for all of the first class."""

    picture: torch.Tensor | None = None

    def __call__(self, pictures: torch.Tensor, labels: Labels) -> tuple[torch.Tensor, Labels]:
        assert labels is not None
        first = labels[:, 0] == 1
        if self.picture is None and bool(first.any()):
            self.picture = pictures[first][0].clone()
        if self.picture is not None:
            pictures = torch.where(first[:, None, None, None], self.picture, pictures)
        return pictures, labels


@dataclass
class Augmented:
    """A loader that augments real pictures, and these alone: what it does is a part of what is to be learned."""

    policies: tuple[str, ...]
    random: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    def __call__(self, pictures: torch.Tensor, labels: Labels) -> tuple[torch.Tensor, Labels]:
        draws = torch.rand(len(pictures), num_draws(), generator=self.random)
        return to_packed(augment(to_network(pictures), draws, torch.tensor(0.7), self.policies)), labels


BY_NORM = ("generator.condition=norm",)
ALL_POLICIES = "objective.augment.policies=[color, translation, cutout]"
WASSERSTEIN = "objective.loss.kind=wasserstein"
POOR = (COLLAPSE, STRONG, WEAK, DIVERGENCE, OSCILLATION, STUCK)  # where several are right, any is
CASES: dict[str, Case] = {
    "healthy": Case(),
    "healthy-relativistic": Case(("objective.loss.kind=relativistic",)),
    "constant": Case(disturb=ignore_latents, onset=ONSET, expected=(COLLAPSE,)),
    "one-number": Case(disturb=hear_one_number, onset=ONSET, expected=(COLLAPSE,)),
    "frozen-discriminator": Case(disturb=freeze_discriminator, onset=ONSET, expected=(WEAK, DIVERGENCE, COLLAPSE)),
    "frozen-generator": Case(disturb=freeze_generator, onset=ONSET, expected=(STUCK, STRONG)),
    "strong-discriminator": Case(
        (
            "generator.optimizer.lr=2e-5",
            "discriminator.optimizer.lr=2e-3",
            "objective.penalties=[]",
            "train.n_critic=2",
        ),
        expected=(STRONG, STUCK),
    ),
    "rates-x100": Case(("generator.optimizer.lr=0.16", "discriminator.optimizer.lr=0.08"), expected=POOR),
    "no-norm": Case(
        (
            "generator.norm=none",
            "discriminator.norm=none",
            "objective.penalties=[]",
            "generator.optimizer.lr=0.01",
            "discriminator.optimizer.lr=0.01",
        ),
        expected=POOR,
    ),
    "50-pictures": Case(("data.num_images=50", "data.allow_few=true"), expected=(OVERFITTING,)),
    "overflow": Case(load=one_grey_level_too_many, expected=(WRONG_COLOURS,)),
    "stuck-pixel": Case(load=a_stuck_pixel, expected=(WRONG_COLOURS,)),
    # Pictures by label.
    "labelled": Case(BY_NORM, labelled=True),
    "labelled-concat": Case(labelled=True),
    "shuffled-labels": Case(BY_NORM, labelled=True, load=shuffled_labels, expected=(IGNORED,)),
    "deaf-to-labels": Case(BY_NORM, labelled=True, disturb=ignore_labels, onset=ONSET, expected=(IGNORED,)),
    "one-picture-of-a-class": Case(BY_NORM, labelled=True, load=OnePictureOfAClass(), expected=(CLASS_COLLAPSE,)),
    # Augmentation.
    "augmented": Case((ALL_POLICIES,)),
    "leaking": Case(
        (ALL_POLICIES, "objective.augment.strength=0.2"),
        load=Augmented(("color", "translation", "cutout")),
        expected=(LEAK,),
    ),
    "leaking-cutout": Case(
        ("objective.augment.policies=[cutout]", "objective.augment.strength=0.2"),
        load=Augmented(("cutout",)),
        expected=(LEAK,),
    ),
    # Other losses.
    "healthy-hinge": Case(("objective.loss.kind=hinge",)),
    "healthy-lsgan": Case(("objective.loss.kind=lsgan",)),
    "healthy-critic": Case(
        (WASSERSTEIN, "objective.penalties=[{kind: gradient_penalty, weight: 10}]", "discriminator.norm=instance")
    ),
    "clipped-critic": Case((WASSERSTEIN, "objective.loss.clip=0.01", "objective.penalties=[]")),
    "unbounded-critic": Case((WASSERSTEIN, "objective.penalties=[]"), expected=(UNBOUNDED, *POOR)),
}


# Nothing but the doctor looks at these runs.
QUIETLY = (
    "train.tensorboard=false",
    "train.checkpoint_every=1000000",
    "train.sample_every=1000000",
    "evaluate.metric=none",
)


@dataclass
class Disturbance:
    """A hook that disturbs every iteration from the onset on."""

    case: Case
    kept: dict[str, Any] = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        if self.case.disturb is not None and event.images_seen >= self.case.onset:
            with torch.no_grad():
                self.case.disturb(event, self.kept)


@contextmanager
def loading(change: Load | None) -> Iterator[None]:
    """While open, training is fed pictures and labels that went through `change`."""

    class Bad(Batches):
        def images(self, *args: Any, **options: Any) -> torch.Tensor:
            pictures, labels = super().images(*args, **options), super().labels(*args, **options)
            return change(pictures, labels)[0] if change is not None else pictures

        def labels(self, *args: Any, **options: Any) -> torch.Tensor | None:
            labels = super().labels(*args, **options)
            return change(super().images(*args, **options), labels)[1] if change is not None else labels

    session.Batches = Bad  # type: ignore[misc]
    try:
        yield
    finally:
        session.Batches = Batches  # type: ignore[misc]


def run_case(name: str, source: str, seed: int, num_images: int, preset: str) -> dict[str, Any]:
    """One run with its history."""
    case = CASES[name]
    overrides: dict[str, Any] = {}
    total = num_images if not case.onset else max(num_images, case.onset + 24_000)
    labels = [f"data.labels={'attributes' if source == 'smileys' else 'classes'}"] if case.labelled else []
    for text in (*case.settings, *labels, f"seed={seed}", f"train.total_images={total}", *QUIETLY):
        overrides = merge(overrides, parse_override(text), None)
    config = make_config(preset, source, overrides=overrides)
    failed = None
    with tempfile.TemporaryDirectory() as folder, loading(case.load):
        path = Path(folder) / "run"
        try:
            training.train(config, path, device="cpu", callbacks=[Disturbance(case)])
        except TrainingError as error:
            failed = error.what
        rows = read_history(path / "metrics.jsonl")
        settings = (path / "config.yaml").read_text()
        num_pictures = json.loads((path / "environment.json").read_text())["data"]["count"]
    return {
        "case": name,
        "source": Path(source).name,
        "seed": seed,
        "failed": failed,
        "num_pictures": num_pictures,
        "config": settings,
        "rows": rows,
    }


def run(arguments: argparse.Namespace) -> None:
    """Make the runs that are not there yet."""
    arguments.out.mkdir(parents=True, exist_ok=True)
    for seed in arguments.seeds:
        for source in arguments.sources:
            for case in arguments.cases:
                path = arguments.out / f"{case}-{Path(source).name}-{seed}.json"
                if not path.exists():
                    record = run_case(case, source, seed, arguments.images, arguments.preset)
                    path.write_text(json.dumps(record) + "\n")
                    print(path.stem, record["failed"] or "", flush=True)


@dataclass(frozen=True)
class Judged:
    """What the doctor said of one run."""

    case: str
    source: str
    delay: int | None  # images from the onset to the first verdict that is right; None: never found
    named: tuple[str, ...]  # all serious verdicts, in the order in which they were given
    noticed: tuple[str, ...]  # illnesses of which there was but a notice


def judge(record: dict[str, Any]) -> Judged:
    """Replay a run look by look. Numbers that are not finite are found by the engine, at once."""
    case = CASES[record["case"]]
    info = RunInfo(validate(yaml.safe_load(record["config"])), record["num_pictures"])
    named, noticed, delay = {}, {}, None
    rows = sorted(record["rows"], key=lambda row: row["images_seen"])
    for diagnosis in replay(rows, info):
        for verdict in diagnosis.verdicts:
            if verdict.severity == "healthy" or verdict.kind in (UNDER_TRAINED, FINISHED):
                continue
            (named if verdict.severity == "serious" else noticed)[verdict.kind] = True
            if delay is None and verdict.kind in case.expected:
                delay = max(0, diagnosis.images_seen - case.onset)
    if record["failed"]:
        named[f"stopped: {record['failed']}"] = True
        if delay is None and case.expected:
            delay = max(0, (rows[-1]["images_seen"] if rows else 0) - case.onset)
    return Judged(record["case"], record["source"], delay, tuple(named), tuple(noticed))


def table(arguments: argparse.Namespace) -> None:
    """Judge what is in the folder and print a Markdown table."""
    judged = [judge(json.loads(path.read_text())) for path in sorted(arguments.folder.glob("*.json"))]
    judged = [one for one in judged if not arguments.sources or one.source in arguments.sources]
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    sources = sorted({one.source for one in judged})
    print(f"{len(judged)} runs on {', '.join(sources)}; {date.today()}, commit {commit}, torch {torch.__version__}\n")
    print("| case | runs | found | images from onset to verdict, median (most) | serious verdicts | notices |")
    print("|---|---|---|---|---|---|")
    for name in CASES:
        of = [one for one in judged if one.case == name]
        if not of:
            continue
        delays = [one.delay for one in of if one.delay is not None]
        found = f"{len(delays)} of {len(of)}" if CASES[name].expected else "-"
        when = f"{statistics.median(delays):,.0f} ({max(delays):,})" if delays else "-"
        print(f"| {name} | {len(of)} | {found} | {when} | {_counted(of, 'named')} | {_counted(of, 'noticed')} |")


def _counted(judged: list[Judged], which: str) -> str:
    counts = Counter(kind for one in judged for kind in getattr(one, which))
    return ", ".join(f"{kind} {count}" for kind, count in counts.most_common()) or "none"


def main() -> None:
    """Parse and go."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run")
    runner.add_argument("--out", type=Path, required=True)
    runner.add_argument("--sources", nargs="+", default=["smileys"])
    runner.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    runner.add_argument("--seeds", type=int, nargs="+", default=[0])
    runner.add_argument("--images", type=int, default=40_000)
    runner.add_argument("--preset", default="quick")
    runner.set_defaults(work=run)
    judging = commands.add_parser("table")
    judging.add_argument("folder", type=Path)
    judging.add_argument("--sources", nargs="*")
    judging.set_defaults(work=table)
    arguments = parser.parse_args()
    arguments.work(arguments)


if __name__ == "__main__":
    main()
