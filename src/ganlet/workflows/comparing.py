"""Runs beside each other: their newest measurements, and what is set differently."""

from __future__ import annotations

import os
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ganlet.config import RunConfig, differences, read_run_config
from ganlet.config.tree import flatten
from ganlet.errors import ConfigError, RunError
from ganlet.metrics.protocol import Protocol
from ganlet.paths import given
from ganlet.runs.evaluations import WIDTH, aligned, describe_value, newest_evaluation, number
from ganlet.runs.folder import RunFolder
from ganlet.workflows.arguments import several

BEST, TIED = "best", "tied"
CAN_BE_MADE_ALIKE = ("num_fakes", "extractor_identity", "resizer", "channel_rule")  # by measuring again

Runs = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]  # one folder, or several


@dataclass(frozen=True)
class Measured:
    """One run with its newest evaluation; `name` tells it from the others."""

    name: str
    folder: RunFolder
    row: Mapping[str, Any]

    @property
    def protocol(self) -> Protocol:
        """How it was measured."""
        return Protocol.from_json(self.row["protocol"])

    def measurement(self, metric: str) -> Mapping[str, Any] | None:
        """One of its numbers, or None where it was not measured."""
        return next((found for found in self.row["measurements"] if found["metric"] == metric), None)


@dataclass(frozen=True)
class Comparison:
    """Runs in groups that were measured alike, those that were not measured at all, and how their settings differ."""

    groups: list[list[Measured]]
    missing: list[RunFolder]
    settings: dict[str, dict[str, object]]  # by dotted path, then by the name of the run

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "groups": [
                {
                    "protocol": group[0].row["protocol"],
                    "runs": {one.name: str(one.folder.path) for one in group},
                    "images_seen": {one.name: one.row["images_seen"] for one in group},
                    "metrics": {metric: _as_json(metric, group) for metric in _metrics(group)},
                }
                for group in self.groups
            ],
            "not_measured": {str(folder.path): _command(folder) for folder in self.missing},
            "settings": self.settings,
        }

    def __str__(self) -> str:
        parts = [_table(group) for group in self.groups]
        if self.settings:
            names = list(next(iter(self.settings.values())))
            lines = [[path, *map(str, values.values())] for path, values in self.settings.items()]
            parts.append("\n".join(aligned([["different settings", *names], *lines])))
        if self.missing:
            parts.append("\n".join(["not measured yet:", *(f"  {_command(folder)}" for folder in self.missing)]))
        return "\n\n".join(parts)


def compare(runs: Runs, *, show_anyway: bool = False) -> Comparison:
    """The newest evaluations of runs beside each other.

    Raises RunError where none was measured, and where they were measured in different ways, unless `show_anyway`: then
    each way is a group of its own.
    """
    folders = open_runs(runs)
    rows = {name: newest_evaluation(folder) for name, folder in folders.items()}
    measured = [Measured(name, folders[name], row) for name, row in rows.items() if row is not None]
    missing = [folder for name, folder in folders.items() if rows[name] is None]
    if not measured:
        raise RunError("None of these runs was measured yet.", hint="; ".join(map(_command, missing)))
    groups: list[list[Measured]] = []
    for one in measured:
        alike = next((group for group in groups if not group[0].protocol.differences(one.protocol)), None)
        if alike is None:
            groups.append([one])
        else:
            alike.append(one)
    if len(groups) > 1 and not show_anyway:
        raise _incomparable(groups)
    configs = {name: read_run_config(folder.config_path) for name, folder in folders.items()}
    return Comparison(groups, missing, _different_settings(configs))


def open_runs(runs: Runs) -> dict[str, RunFolder]:
    """Different runs by the names of their folders, or by their paths where names are the same. Raises RunError."""
    paths = [given(path) for path in several("runs", runs, (str, os.PathLike), "folders")]
    if not paths:
        raise ConfigError("There are no runs to compare.", where="runs", expected="the folders of runs")
    folders = [RunFolder.open(path) for path in dict.fromkeys(paths)]
    names = [folder.path.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [str(folder.path) for folder in folders]
    return dict(zip(names, folders, strict=True))


def best_of(group: Sequence[Measured], metric: str) -> dict[str, str]:
    """`BEST` for the run that is better than all others by more than both spreads, else `TIED` for those in front.

    Empty where neither direction is better, where fewer than two have the number, or where a spread is not known.
    """
    found = {one.name: measurement for one in group if (measurement := one.measurement(metric)) is not None}
    if len(found) < 2 or any(one["spread"] is None or one["better"] is None for one in found.values()):
        return {}
    protocols = [Protocol.from_json(one["protocol"]) for one in found.values()]
    if any(protocols[0].differences(other) for other in protocols[1:]):
        return {}
    sign = -1 if next(iter(found.values()))["better"] == "lower" else 1
    first = max(found, key=lambda name: sign * found[name]["value"])
    best = found[first]
    in_front = [
        name for name, one in found.items() if abs(best["value"] - one["value"]) <= best["spread"] + one["spread"]
    ]
    return {first: BEST} if in_front == [first] else dict.fromkeys(in_front, TIED)


def _metrics(group: Sequence[Measured]) -> list[str]:
    return list(dict.fromkeys(found["metric"] for one in group for found in one.row["measurements"]))


def _as_json(metric: str, group: Sequence[Measured]) -> dict[str, Any]:
    found = {one.name: measurement for one in group if (measurement := one.measurement(metric)) is not None}
    any_one = next(iter(found.values()))
    return {
        **{key: any_one[key] for key in ("name", "better", "floor")},
        "values": {name: {key: one[key] for key in ("value", "spread", "biased")} for name, one in found.items()},
        "marks": best_of(group, metric),
    }


def _table(group: Sequence[Measured]) -> str:
    lines = [["", *(one.name for one in group), "better", "floor"]]
    lines.append(["images seen", *(f"{one.row['images_seen']:,}" for one in group), "", ""])
    for metric in _metrics(group):
        marks = best_of(group, metric)
        found = [one.measurement(metric) for one in group]
        cells = [
            "-" if measurement is None else f"{describe_value(measurement)} {marks.get(one.name, '')}".rstrip()
            for one, measurement in zip(group, found, strict=True)
        ]
        any_one = next(measurement for measurement in found if measurement is not None)
        floor = "" if any_one["floor"] is None else number(any_one["floor"])
        lines.append([any_one["name"], *cells, any_one["better"] or "like the floor", floor])
    protocol = textwrap.fill(f"protocol: {group[0].row['protocol_in_words']}", WIDTH, subsequent_indent="  ")
    return "\n".join([*aligned(lines), "", protocol])


def _incomparable(groups: Sequence[Sequence[Measured]]) -> RunError:
    """An error that names what differs between the ways of measuring."""
    first = groups[0][0].protocol
    fields = list(dict.fromkeys(field for group in groups[1:] for field in first.differences(group[0].protocol)))
    lines = [
        f"{field}: "
        + "; ".join(f"{getattr(group[0].protocol, field)} ({', '.join(one.name for one in group)})" for group in groups)
        for field in fields
    ]
    hint = "--show-anyway for a table of each"
    if set(fields) <= set(CAN_BE_MADE_ALIKE):
        most = max(group[0].protocol.num_fakes for group in groups)
        again = f"ganlet evaluate RUN --num {most} --extractor {first.extractor}"
        hint = f"measure them alike: {again}; or {hint}"
    return RunError(
        "These runs were measured in different ways, so their numbers cannot be ranked.",
        got="\n            ".join(lines),
        expected="one protocol for all",
        hint=hint,
    )


def _different_settings(configs: Mapping[str, RunConfig]) -> dict[str, dict[str, object]]:
    """What is not set the same in all runs."""
    first, *others = configs.values()
    paths = sorted({path for other in others for path in differences(first, other)})
    flat = {name: flatten(config.model_dump(mode="json")) for name, config in configs.items()}
    return {path: {name: values.get(path) for name, values in flat.items()} for path in paths}


def _command(folder: RunFolder) -> str:
    return f"ganlet evaluate {shlex.quote(str(folder.path))}"
