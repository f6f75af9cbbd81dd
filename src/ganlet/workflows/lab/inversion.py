"""Pictures of any origin as points of a generator: `invert`; and pictures that fit what was painted: `paint`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch

from ganlet.data.holdout import held_out
from ganlet.errors import ConfigError, DataError, RunError
from ganlet.latent import inversion, painting
from ganlet.latent.inversion import Search, mean_errors, nearest_errors
from ganlet.latent.painting import Painting, Side, side_mask
from ganlet.latent.space import Points, joined
from ganlet.runs.cells import compose, grid_boxes
from ganlet.runs.picture_files import certificate_text
from ganlet.workflows.drawing import Drawing
from ganlet.workflows.lab.encoders import kept_encoder
from ganlet.workflows.lab.foreign import read_foreign, read_mask
from ganlet.workflows.lab.lab import Lab

SHADE = 127  # of what was not painted
NUM_UNSEEN = 4  # pictures that are looked for where none are given


@dataclass(frozen=True, eq=False)
class Inverted:
    """What was found for pictures uint8 (N, H, W, C).

    Attributes:
        drawing: a row of each picture: itself, what was found, the nearest training picture. Its points are
            those found.
        exact: bool (N,): its certificate said what it was drawn from, and nothing was searched.
        errors: mean absolute error in grey levels: float64 (N,).
        distances: of features of the shipped extractor: float64 (N,).
        nearest, mean: the errors of the nearest training picture, and of the mean of all; None where there are none.
    """

    names: list[str]
    pictures: np.ndarray
    drawing: Drawing
    exact: np.ndarray
    errors: np.ndarray
    distances: np.ndarray
    nearest: np.ndarray | None
    mean: np.ndarray | None

    @property
    def points(self) -> Points:
        return self.drawing.points

    def lines(self) -> list[str]:
        """A table for people."""
        width = max(7, *map(len, self.names))
        head = f"{'picture':<{width}}  {'off by':>7}  {'nearest':>7}  {'mean':>7}  {'features':>8}"
        rows = []
        for index, name in enumerate(self.names):
            others = [None if each is None else each[index] for each in (self.nearest, self.mean)]
            numbers = [f"{'-' if value is None else f'{value:.2f}':>7}" for value in (self.errors[index], *others)]
            note = "  its own latent, by its certificate" if self.exact[index] else ""
            rows.append(f"{name:<{width}}  {'  '.join(numbers)}  {self.distances[index]:>8.2f}{note}")
        return [head, *rows, "in grey levels; nearest, mean: of the training pictures; features: ganlet's own"]


def invert(
    lab: Lab,
    pictures: Sequence[str | os.PathLike[str] | np.ndarray] = (),
    *,
    labels: Sequence[str] = (),
    search: Search | None = None,
    encoder: bool = False,
    seed: int = 0,
) -> Inverted:
    """The points of pictures: files of any kind, pictures of ours with `#number`, or arrays uint8 (H, W, C).

    Without any they are of some that training never showed, or else of training pictures.
    A picture that this generator drew and that says so is not searched for. `labels` are names of the classes or
    attributes that all the others show, where they are known; `encoder` trains one that is not there yet, for about a
    minute. Raises `ConfigError` or `DataError` for what is no picture.
    """
    pictures = list(pictures) or _unseen(lab)
    known = [_own_points(lab, picture) for picture in pictures]
    shown = [
        _shown(lab, picture) if points is None else lab.space.pictures(points)[0]
        for picture, points in zip(pictures, known, strict=True)
    ]
    targets = np.stack(shown)
    searched = [index for index, points in enumerate(known) if points is None]
    if searched:
        given = lab.labels_named(list(labels), len(searched)) if labels else None
        found = inversion.invert(
            lab.space,
            targets[searched],
            labels=given,
            encoder=kept_encoder(lab, train=encoder),
            features=lab.features,
            search=search,
            seed=seed,
            progress=partial(lab.reporter.progress, "looking for latents"),
        )
        for place, index in enumerate(searched):
            known[index] = found.points[place : place + 1]
    points = joined([each for each in known if each is not None])
    return _told(lab, pictures, targets, points, np.array([index not in searched for index in range(len(known))]))


def _unseen(lab: Lab) -> list[np.ndarray]:
    """A few real pictures, held-out ones where there are some."""
    found = held_out(lab.pack, lab.trained.config.data, NUM_UNSEEN)
    return list(lab.training_pictures[:NUM_UNSEEN] if found is None else found)


def paint(
    lab: Lab,
    picture: Any = 0,
    *,
    mask: str | os.PathLike[str] | np.ndarray | None = None,
    keep: Side | None = None,
    num: int = 8,
    labels: Sequence[str] = (),
    noise: float = painting.NOISE,
    seed: int = 0,
) -> tuple[Drawing, Painting]:
    """`num` alternatives to a picture, which fit it where a mask is light, or on the side that is kept.

    `picture` is a file of any kind, or an address of a picture of ours; transparent parts of it are free where there is
    no other mask. Without anything the left half is kept. The drawing begins with the picture, and what of it is kept.
    """
    if mask is not None and keep is not None:
        raise ConfigError("Either a mask says what is kept, or a side.", where="--mask", got=f"--keep {keep} as well")
    pixels, opaque, size, points = _to_paint(lab, picture)
    if isinstance(mask, np.ndarray):
        kept = mask
    elif mask is not None:
        kept = read_mask(lab, mask, size)
    elif keep is None and opaque is not None:
        kept = opaque
    else:
        kept = side_mask(pixels.shape[:2], keep or "left")
    fed = lab.labels_named(list(labels), num) if labels else None if points is None else points.labels
    found = painting.paint(lab.space, pixels, kept, num=num, labels=fed, noise=noise, seed=seed)
    how = {"verb": "paint", "picture": _name(picture), "seed": seed}
    drawing = lab.draw(found.points, how)
    seen = pixels.copy()
    seen[~kept.astype(bool)] = SHADE
    return _beside(drawing, np.stack([pixels, seen])[None], -(-(num + 2) // 2)), found


def _to_paint(lab: Lab, picture: Any) -> tuple[np.ndarray, np.ndarray | None, tuple[int, int], Points | None]:
    """A picture as shown, what of it is not transparent, its size in its file, and its points if it is one of ours."""
    if isinstance(picture, np.ndarray):
        return picture, None, picture.shape[:2], None
    if _is_foreign(picture):
        foreign = read_foreign(lab, picture, "--picture")
        return foreign.pixels, foreign.opaque, foreign.size, None
    points = lab.points(picture, option="--picture")
    pixels = lab.space.pictures(points)[0]
    return pixels, None, pixels.shape[:2], points


def _is_foreign(picture: Any) -> bool:
    """Whether an address is a picture file that no generator of ours has signed."""
    path = Path(os.fspath(picture)) if isinstance(picture, str | os.PathLike) else None
    if path is None or path.suffix.lower() in (".npy", ".safetensors") or not os.path.isfile(path):
        return False
    return _certificate(path) is None


def _own_points(lab: Lab, picture: Any) -> Points | None:
    """The points of a picture that this generator has drawn; None for others, and for arrays."""
    if isinstance(picture, np.ndarray):
        return None
    text = os.fspath(picture)
    place = text if os.path.isfile(text) else text.rpartition("#")[0]
    if not os.path.isfile(place) or _certificate(Path(place)) is None:
        return None
    try:
        return lab.points(text, option="PICTURE")
    except ConfigError:  # another generator's, or changed since: it is looked for as any other
        if place != text:
            raise
        return None


def _certificate(path: Path) -> str | None:
    """What a picture file says of how it was drawn; None where it says nothing, or is no picture."""
    try:
        return certificate_text(path)
    except (ConfigError, DataError, OSError):
        return None


def _shown(lab: Lab, picture: Any) -> np.ndarray:
    return picture if isinstance(picture, np.ndarray) else read_foreign(lab, picture, "PICTURE").pixels


def _told(lab: Lab, names: list[Any], targets: np.ndarray, points: Points, exact: np.ndarray) -> Inverted:
    """What was found, beside the training pictures where they are at hand."""
    images = inversion.as_images(lab.space, targets)
    errors = inversion.pixel_errors(lab.space, points, images)
    distances = inversion.feature_distances(lab.space, points, images, lab.features)
    drawing = lab.draw(points, {"verb": "invert", "pictures": [_name(name) for name in names]})
    columns, nearest, mean = [targets], None, None
    try:
        training = lab.training_pictures
    except (RunError, DataError):
        training = None
    if training is not None:
        nearest, which = nearest_errors(targets, training)
        mean = mean_errors(targets, training)
        columns.append(training[which])
    drawing = _rows(drawing, columns)
    return Inverted([_name(name) for name in names], targets, drawing, exact, errors, distances, nearest, mean)


def _rows(drawing: Drawing, columns: list[np.ndarray]) -> Drawing:
    """A row of each picture: the first column, what was drawn, and the others."""
    num = len(drawing)
    shown = np.stack([columns[0], drawing.pictures, *columns[1:]], axis=1)
    boxes = grid_boxes(num * shown.shape[1], shown.shape[2:4], shown.shape[1])
    return replace(
        drawing, sheet=compose(shown.reshape(-1, *shown.shape[2:]), boxes)[0], boxes=boxes[1 :: shown.shape[1]]
    )


def _beside(drawing: Drawing, before: np.ndarray, columns: int) -> Drawing:
    """What was drawn, behind pictures (1, n, H, W, C) that were not."""
    shown = np.concatenate([before[0], drawing.pictures])
    boxes = grid_boxes(len(shown), shown.shape[1:3], columns)
    return replace(drawing, sheet=compose(shown, boxes)[0], boxes=boxes[len(before[0]) :])


def _name(picture: Any) -> str:
    """What a picture is called in a certificate: a file without its folders."""
    if isinstance(picture, np.ndarray | torch.Tensor | Points):
        return "pixels"
    return PurePath(str(picture)).name
