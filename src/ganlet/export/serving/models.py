"""The generators that are served: opened once, each with its directions and a thread that draws."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ganlet.errors import ConfigError, nearest
from ganlet.export.serving.batching import Batcher, Drawn
from ganlet.export.serving.exact_batches import ExactBatches
from ganlet.export.serving.limits import Limits
from ganlet.export.serving.meters import Meters
from ganlet.games.drawn import BATCH
from ganlet.hub import is_hub_name
from ganlet.latent.paths import path
from ganlet.latent.space import Points, joined
from ganlet.paths import given, printable
from ganlet.runs.hub import given_run, stem_of
from ganlet.workflows.lab.edits import Edit, along, applied
from ganlet.workflows.lab.known_directions import Known, left_out
from ganlet.workflows.lab.lab import Lab

MOST_NAMED = 5  # directions in a line
SUM_SLACK = 1e-3  # by which the shares of a mixture may miss 1

LabelsAsked = str | list[str] | dict[str, float] | None


@dataclass(eq=False)
class Model:
    """A generator by its name.

    Attributes:
        lab: its space, and what its run knows.
        directions: what its run knew at the start, by name, the best first.
        batcher: the thread that draws.
    """

    name: str
    lab: Lab
    directions: Mapping[str, Known]
    batches: ExactBatches
    batcher: Batcher

    @classmethod
    def open(cls, name: str, run: Path, limits: Limits, meters: Meters, device: str = "auto") -> Model:
        """The generator of a run or of a generator.safetensors, warmed up. Raises as `Lab.open` does."""
        lab = Lab.open(run, device=device)
        batches = ExactBatches.of(lab.space, lab.sample(BATCH, 0))
        return cls(name, lab, lab.directions, batches, _batcher(name, batches, limits, meters))

    def again(self, limits: Limits, meters: Meters) -> Model:
        """The same generator with a thread of its own."""
        return replace(self, batcher=_batcher(self.name, self.batches, limits, meters))

    @property
    def label_names(self) -> list[str]:
        """What pictures can be asked for; empty where they are drawn without labels."""
        names = self.lab.trained.config.data.label_names
        return list(names) if self.lab.num_labels and names != "auto" else []

    @property
    def label_kind(self) -> str:
        """none, classes or attributes."""
        return self.lab.trained.config.data.labels

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a picture."""
        return self.lab.trained.config.data.size

    def facts(self) -> dict[str, Any]:
        """Plain data for clients: what it draws, and what it can be asked for."""
        lab, data = self.lab, self.lab.trained.config.data
        directions = [
            {
                "name": known.name,
                "level": None if known.turned is None else known.turned.level,
                "quality": round(known.quality, 4),
                "found": known.direction.found,
            }
            for known in self.directions.values()
        ]
        return {
            "name": self.name,
            "height": data.size[0],
            "width": data.size[1],
            "channels": data.channels,
            "space": lab.space.points_are,
            "shape": list(lab.space.shape),
            "latents": lab.space.kind if not lab.space.has_styles else lab.space.generator.latents.kind,
            "label_kind": self.label_kind,
            "labels": self.label_names,
            "directions": directions,
            "images_seen": lab.maker.images_seen,
            "weights": lab.maker.weights,
            "run": lab.maker.run,
        }

    def labels(self, asked: LabelsAsked, num: int) -> torch.Tensor | None:
        """Label vectors (num, num_labels) by names or as a mixture; None as the run's pictures have them.

        Raises `ConfigError`.
        """
        if asked is None or asked == []:
            return None
        if not isinstance(asked, dict):
            return self.lab.labels_named([asked] if isinstance(asked, str) else asked, num, "labels")
        if not asked:
            raise ConfigError("A mixture has labels with their shares.", got="none")
        rows = self.lab.labels_named(list(asked), len(asked), "labels")
        if self.label_kind == "attributes":  # by name they hold together
            rows = torch.cat([self.lab.labels_named([name], 1, "labels") for name in asked])
        shares = torch.tensor(list(asked.values()))
        if self.label_kind == "classes" and abs(float(shares.sum()) - 1.0) > SUM_SLACK:
            got, expected = f"{float(shares.sum()):g} together", "shares that add up to 1"
            raise ConfigError("These shares of classes are no mixture.", got=got, expected=expected)
        return (shares[:, None] * rows).sum(dim=0, keepdim=True).clamp_max(1.0).expand(num, -1)

    def sampled(self, num: int, seed: int, asked: LabelsAsked, truncation: float | None) -> Points:
        """The first pictures of a seed, in the bits of `ganlet sample`."""
        labels = self.labels(asked, num)
        if not self.lab.space.has_styles:
            return self.lab.sample(num, seed, labels, truncation)
        # Styles are mapped in batches too, which are whole here for the sake of their bits.
        if labels is not None:
            labels = torch.cat([labels, labels[-1:].expand(BATCH - num, -1)])
        return self.lab.sample(BATCH, seed, labels, truncation)[:num]

    def edits(self, asked: Iterable[tuple[str, float | None]]) -> list[Edit]:
        """Directions by name with strengths. Raises `ConfigError` for a name that is not known."""
        found = []
        for name, strength in asked:
            if name not in self.directions:
                close = nearest(name, self.directions)
                raise ConfigError(
                    "No direction of these weights is known by this name.",
                    got=printable(name),
                    expected=", ".join(map(printable, self.directions))
                    or "a run with directions: ganlet explore RUN directions",
                    hint=f"did you mean {printable(close)}?" if close else None,
                )
            found.append((self.directions[name], strength))
        return found

    def edited(self, points: Points, edits: Sequence[Edit], steps: int) -> Points:
        """Points edited: with one step the results, else the ways to them, one after another."""
        if steps == 1:
            return applied(self.lab, points, edits, 1.0)
        return joined(along(self.lab, points[row : row + 1], edits, steps) for row in range(len(points)))

    def between(
        self, seeds: Sequence[int], steps: int, asked: LabelsAsked, truncation: float | None, loop: bool
    ) -> Points:
        """The way through the first pictures of seeds."""
        stations = joined(self.sampled(1, seed, asked, truncation) for seed in seeds)
        return path(self.lab.space, stations, steps, loop=loop)

    async def draw(self, num: int, make: Callable[[], Points]) -> Drawn:
        """The pictures of points that are made in the thread that draws; see `Batcher.drawn`."""
        return await self.batcher.drawn(num, make)


def directions_left_out(models: Mapping[str, Model]) -> str | None:
    """A line about directions that runs keep and the server does not offer; None where there are none."""
    runs = []
    for name, model in models.items():
        if names := left_out(model.lab):
            more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
            runs.append(f"{', '.join(map(printable, names[:MOST_NAMED]))}{more} (of {printable(name)})")
    if not runs:
        return None
    why = "found for other weights, or damaged; find them anew with ganlet explore RUN directions"
    return f"Directions that are not served: {', '.join(runs)}: {why}"


def _batcher(name: str, batches: ExactBatches, limits: Limits, meters: Meters) -> Batcher:
    watch = meters.batches[name].add
    batcher = Batcher(batches.pictures, limits.batch, limits.waiting, watch, f"draws {name}")
    meters.waiting[name] = lambda: batcher.waiting
    return batcher


def named_runs(runs: Sequence[str | os.PathLike[str]]) -> dict[str, Path]:
    """Runs by the names that they are served under: those of their folders, or NAME in NAME=RUN.

    Raises `ConfigError` where two have the same, or one has none that an address can hold.
    """
    found: dict[str, Path] = {}
    for run in runs:
        name, mark, place = os.fspath(run).partition("=")
        if not mark or given(run).exists():
            name, place = _usual_name(run), os.fspath(run)
        if not name or not name.isprintable():
            raise ConfigError(
                "This run has no name to be served under.", where="RUN", got=printable(os.fspath(run)), hint="NAME=RUN"
            )
        if name in found:
            raise ConfigError(
                "Two runs cannot be served under one name.",
                where="RUN",
                got=printable(name),
                hint=f"give one of them another: other={printable(place)}",
            )
        found[name] = given_run(place)
    if not found:
        raise ConfigError("There is nothing to serve.", where="RUN", expected="at least one run")
    return found


def _usual_name(run: str | os.PathLike[str]) -> str:
    """That of the folder, the zip, the repository on the hub, or the file where it is not called generator."""
    file = given_run(run).absolute()
    if is_hub_name(run) or not file.is_file():
        return stem_of(run, file) if is_hub_name(run) else file.name
    return file.parent.name if file.stem == "generator" else file.stem


def open_models(
    runs: Sequence[str | os.PathLike[str]], limits: Limits, meters: Meters, device: str = "auto"
) -> dict[str, Model]:
    """The generators of runs by name; see `named_runs` and `Model.open`."""
    return {name: Model.open(name, path, limits, meters, device) for name, path in named_runs(runs).items()}
