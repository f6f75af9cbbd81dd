"""The course of several runs in one plot."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganlet.errors import RunError
from ganlet.metrics.protocol import Protocol
from ganlet.paths import file_to_write
from ganlet.runs.evaluations import read_evaluations
from ganlet.runs.files import write_atomic
from ganlet.runs.folder import RunFolder
from ganlet.runs.history import read_history
from ganlet.runs.plots import Course, distance_plot, figure_png
from ganlet.workflows.comparing import open_runs

DISTANCES = ("frechet", "kernel")

Row = Mapping[str, Any]


def save_plot(runs: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str]) -> Path:
    """Draw the distance over images seen of each run into a PNG: as measured in training, else by evaluations.

    Returns its path.
    Numbers that were measured in different ways are in different panels. Raises RunError where there are none, and
    ConfigError for a file that is no PNG.
    """
    path = png_to_write(path)
    folders = open_runs(runs)
    panels = _panels({name: _live(folder) for name, folder in folders.items()})
    panels = panels or _panels({name: _evaluated(folder) for name, folder in folders.items()})
    if not panels:
        first = next(iter(folders.values())).path
        raise RunError(
            "There is nothing to plot: no distance was measured in any of these runs.",
            hint=f"ganlet evaluate {shlex.quote(str(first))}",
        )
    write_atomic(path, figure_png(distance_plot(panels), ground="white"))
    return path


def png_to_write(path: str | os.PathLike[str]) -> Path:
    """The file for a plot. Raises ConfigError unless one can be written there."""
    return file_to_write(path, "--plot", (".png",), "A plot")


def _live(folder: RunFolder) -> list[Row]:
    """What was measured in training."""
    return [row for row in read_history(folder.metrics_path) if row.get("event") == "measurement"]


def _evaluated(folder: RunFolder) -> list[Row]:
    """The distances of all evaluations, in the form of those in training."""
    return [
        {**found, "images_seen": row["images_seen"]}
        for row in read_evaluations(folder)
        for found in row["measurements"]
        if found["metric"] in DISTANCES
    ]


def _panels(rows: Mapping[str, Sequence[Row]]) -> dict[str, list[Course]]:
    """The courses of the runs under a title for each way in which a distance was measured."""
    ways: list[tuple[str, Protocol]] = []
    points: list[dict[str, dict[int, float]]] = []
    for run, measured in rows.items():
        for row in measured:
            name, protocol = row["name"], Protocol.from_json(row["protocol"])
            alike = [way[0] == name and not way[1].differences(protocol) for way in ways]
            if not any(alike):
                ways.append((name, protocol))
                points.append({})
                alike.append(True)
            points[alike.index(True)].setdefault(run, {})[row["images_seen"]] = row["value"]
    titles = [f"{name}: {protocol.num_fakes:,} fakes, {protocol.num_reals:,} reals" for name, protocol in ways]
    distinct = titles if len(set(titles)) == len(titles) else [f"{title} ({i})" for i, title in enumerate(titles, 1)]
    return {
        title: [Course(run, *zip(*sorted(course.items()), strict=True)) for run, course in courses.items()]
        for title, courses in zip(distinct, points, strict=True)
    }
