"""Writing the page: everything on it is drawn beforehand, so that it needs nothing but itself."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from ganlet import __version__
from ganlet.errors import CheckpointError, ConfigError, RunError
from ganlet.latent.mixing import PARTS
from ganlet.networks.zoo import parameter_count
from ganlet.paths import given, printable
from ganlet.runs.files import os_errors_explained, write_atomic
from ganlet.runs.markup import render
from ganlet.runs.panels import Panel
from ganlet.runs.sprites import EXACT_SIDE, encoded
from ganlet.workflows.lab.inside import overview
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.lab.page.amounts import Amounts
from ganlet.workflows.lab.page.commands import command, quoted, run_name
from ganlet.workflows.lab.page.mapping import mapped
from ganlet.workflows.lab.page.moving import sliders
from ganlet.workflows.lab.page.walking import film, sheet
from ganlet.workflows.lab.walks import mix

SUFFIXES = (".html", ".htm")
FIRST_COLUMN = 10  # seed of the first picture above a matrix
GAP = 2


@dataclass(frozen=True)
class Matrix:
    """A matrix of mixtures: what is taken from the top, as a picture, and how to get it."""

    part: str
    uri: Markup
    command: str


@dataclass(frozen=True)
class Seen:
    """A panel of a page of the lab."""

    title: str
    note: str
    uri: Markup
    width: int


def write_page(lab: Lab, out: str | os.PathLike[str] | None = None, *, training_pictures: bool = True) -> Path:
    """Write the page of a lab as one file, by default RUN/lab.html, or GENERATOR-lab.html beside a lone generator.

    `training_pictures` are on the map, beside what is nearest to them, and behind what units wait for. Directions are
    found and kept first where the run knows none. Raises `ConfigError` for another kind of file, and as
    `runs.files.os_errors_explained` does.
    """
    target = lab.path.with_name(f"{lab.path.name}.html") if out is None else page_path(out)
    with os_errors_explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(target, page_text(lab, training_pictures).encode(errors="backslashreplace"))
    return target


def page_path(out: str | os.PathLike[str]) -> Path:
    """Where a page is to be written. Raises `ConfigError` for a folder and other kinds of files."""
    path = given(out, "--out")
    if path.suffix.lower() not in SUFFIXES or path.is_dir():
        raise ConfigError("The page is one file.", where="--out", got=printable(path), expected="FILE.html")
    return path


def page_text(lab: Lab, training_pictures: bool = True) -> str:
    """The page as HTML: the same bytes for the same generator, whenever and wherever it is made."""
    amounts = Amounts.of(lab)
    parts: dict[str, Callable[[], Any]] = {
        "walk": lambda: sheet(lab, amounts),
        "film": lambda: film(lab, amounts),
        "sliders": lambda: sliders(lab, amounts),
        "matrices": lambda: _matrices(lab, amounts),
        "map": lambda: mapped(lab, amounts, training_pictures),
        "panels": lambda: _inside(lab, training_pictures),
    }
    told = {}
    for number, (name, part) in enumerate(parts.items()):
        lab.reporter.progress("drawing the page", number, len(parts))
        told[name] = part()
    lab.reporter.progress("drawing the page", len(parts), len(parts))
    data = lab.trained.config.data
    return render(
        "lab.html",
        **told,
        smooth=_seen(told["map"].smoothness),
        title=run_name(lab),
        run=quoted(run_name(lab)),
        by=lab.maker,
        kind=lab.trained.config.generator.kind,
        parameters=parameter_count(lab.trained.generator),
        lone=lab.folder is None,
        wants_training=training_pictures,
        channels=data.channels,
        size=data.size,
        exact=max(data.size) <= EXACT_SIDE,
        maker=f"ganlet {__version__}",
        version=__version__,
    )


def _matrices(lab: Lab, amounts: Amounts) -> list[Matrix]:
    """One for each part that the generator's levels allow for; none where it has no levels."""
    if lab.space.num_levels < 2:
        return []
    rows, columns = (range(amounts.matrix[0]), range(FIRST_COLUMN, FIRST_COLUMN + amounts.matrix[1]))
    found = []
    for part in PARTS:
        if part == "middle" and lab.space.num_levels == 2:
            continue
        pictures = mix(lab, rows, columns, part).pictures
        again = command(lab, "mix", levels=part, rows=rows, columns=columns, out=f"mix-{part}.png")
        found.append(Matrix(part, encoded(_with_corner(pictures, len(columns) + 1), max(pictures.shape[1:3])), again))
    return found


def _with_corner(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Pictures (N, H, W, C) in rows behind an empty first cell, with gaps, as (H', W', 4); nothing is transparent."""
    num, height, width, channels = pictures.shape
    cells = np.zeros((num + 1, height + 2 * GAP, width + 2 * GAP, 4), np.uint8)
    inner = cells[1:, GAP:-GAP, GAP:-GAP]
    inner[..., 3] = 255
    inner[..., : max(channels, 3)] = pictures
    _, height, width, _ = cells.shape
    return cells.reshape(-1, columns, height, width, 4).swapaxes(1, 2).reshape(-1, columns * width, 4)


def _inside(lab: Lab, training_pictures: bool) -> list[Seen]:
    """The overview of both networks; of the generator alone where the other is gone, or looks at training pictures."""
    try:
        panels = overview(lab, None if training_pictures else "generator").panels
    except (CheckpointError, ConfigError, RunError) as error:
        lab.reporter.say(f"{error.what} So only the generator is on the page.")
        panels = overview(lab, "generator").panels
    return [_seen(panel) for panel in panels]


def _seen(panel: Panel) -> Seen:
    return Seen(panel.title, panel.note, encoded(panel.picture), panel.picture.shape[1])
