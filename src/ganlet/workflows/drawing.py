"""Pictures that a generator drew together with what they were drawn from, and writing them with certificates."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ganlet import paths
from ganlet.errors import ConfigError
from ganlet.images import png_bytes
from ganlet.latent.space import Points, Space
from ganlet.runs.cells import compose, film_boxes, grid_boxes
from ganlet.runs.certificate import Certificate, Maker
from ganlet.runs.files import os_errors_explained, write_atomic
from ganlet.runs.panels import with_row_names
from ganlet.runs.picture_files import FILMS, FRAME_MS, STILL, certified

# What names of files end with that are no pictures: no folder is meant by them.
OTHER_FILES = {".svg", ".npy", ".npz", ".pt", ".safetensors", ".zip", ".tar", ".gz", ".html", ".txt", ".csv", ".mov"}


@dataclass(frozen=True, eq=False)
class Drawing:
    """Pictures uint8 (N, H, W, C), in the order of the points that they were drawn from.

    Attributes:
        maker: whose weights drew them.
        space: "latents" or "styles": what the points' values are.
        how: plain data for people: what was asked for.
        columns: of a sheet; None: about as many as rows.
        at_once: how many pictures one frame of a film shows.
        boxes, sheet: where the cells are on a sheet of one's own, (N, 4) and uint8 (H, W, C); see `runs.cells`.
    """

    pictures: np.ndarray
    points: Points
    maker: Maker
    space: str
    how: Mapping[str, Any] = field(default_factory=dict)
    columns: int | None = None
    at_once: int = 1
    boxes: np.ndarray | None = None
    sheet: np.ndarray | None = None

    @classmethod
    def of(cls, space: Space, points: Points, maker: Maker, how: Mapping[str, Any], **layout: Any) -> Drawing:
        """The pictures of points."""
        return cls(space.pictures(points), points, maker, space.points_are, how, **layout)

    def __len__(self) -> int:
        return len(self.pictures)

    def __repr__(self) -> str:
        return f"Drawing({self.how.get('verb', '')} of {len(self)} pictures; .pictures, .points, .save(FILE))"

    def _repr_png_(self) -> bytes:
        return png_bytes(self.still()[0][0])

    def still(self) -> tuple[np.ndarray, np.ndarray]:
        """The sheet as one frame (1, H, W, C), and the boxes of its cells."""
        if self.sheet is not None and self.boxes is not None:
            return self.sheet[None], self.boxes
        height, width = self.pictures.shape[1:3]
        boxes = grid_boxes(len(self), (height, width), self.columns)
        return compose(self.pictures, boxes), boxes

    def with_row_names(self, names: Sequence[str]) -> Drawing:
        """The same with a name left of each row of its sheet."""
        frames, boxes = self.still()
        sheet, boxes = with_row_names(frames[0], boxes, names, len(self) // len(names))
        return replace(self, sheet=sheet, boxes=boxes)

    def film(self) -> tuple[np.ndarray, np.ndarray]:
        """The frames (F, H, W, C) of a film, and the boxes of its cells."""
        height, width = self.pictures.shape[1:3]
        boxes = film_boxes(len(self), (height, width), self.at_once)
        return compose(self.pictures, boxes), boxes

    def certificate(self, boxes: np.ndarray) -> Certificate:
        """What a file with pictures in these boxes says of how it was drawn."""
        labels = None if self.points.labels is None else self.points.labels.numpy()
        return Certificate(self.maker, self.how, self.space, self.points.values.numpy(), labels, boxes)

    def save(self, out: str | os.PathLike[str], *, certificate: bool = True, frame_ms: int = FRAME_MS) -> list[Path]:
        """Write a sheet (FILE.png), a film (FILE.webp, .gif, .mp4) or, into the folder `out`, a PNG for each picture.

        Raises `ConfigError` as `picture_path` does, and else as `runs.files.os_errors_explained`.
        """
        path = picture_path(out)
        suffix = path.suffix.lower()
        if suffix in (STILL, *FILMS):
            frames, boxes = self.film() if suffix in FILMS else self.still()
            with os_errors_explained(path):
                path.parent.mkdir(parents=True, exist_ok=True)
            told = self.certificate(boxes) if certificate else None
            write_atomic(path, certified(frames, suffix, told, frame_ms))
            return [path]
        with os_errors_explained(path):
            path.mkdir(parents=True, exist_ok=True)
        width = max(4, len(str(len(self) - 1)))
        files = [path / f"{index:0{width}}{STILL}" for index in range(len(self))]
        for index, file in enumerate(files):
            one = replace(
                self,
                pictures=self.pictures[index : index + 1],
                points=self.points[index : index + 1],
                how={**self.how, "index": index},
            )
            told = one.certificate(np.array([[0, 0, 0, 1]])) if certificate else None
            with os_errors_explained(file):
                file.write_bytes(certified(one.pictures, STILL, told))
        return files


def points_in(certificate: Certificate, space: Space) -> Points:
    """The points of a certificate in the space of the generator that it is about.

    What was drawn while training has latents, also where points are styles.
    """
    labels = None if certificate.labels is None else torch.tensor(certificate.labels)
    values = torch.tensor(certificate.values)
    if certificate.space == "latents" and space.has_styles:
        return space.enter(values, labels)
    return Points(values, labels)


def picture_path(out: str | os.PathLike[str], *, films: bool = True) -> Path:
    """Where pictures are to be written: a file for a sheet or a film, or a folder that has no pictures yet.

    Raises `ConfigError` for other files, for a folder that is called like one, and for a folder with pictures.
    """
    path = paths.given(out, "--out")
    suffix = path.suffix.lower()
    expected = f"FILE.png, {'a film as FILE.webp, FILE.gif or FILE.mp4, ' if films else ''}or a folder"
    if suffix in ((STILL, *FILMS) if films else (STILL,)):
        if os.path.isdir(path):
            raise ConfigError("A file is meant here, and this is a folder.", where="--out", got=paths.printable(path))
        return path
    if suffix in OTHER_FILES or suffix in FILMS or suffix in Image.registered_extensions():
        got = paths.printable(path)
        what = "Pictures are written as PNG or as films only." if films else "Pictures are written as PNG only."
        raise ConfigError(what, where="--out", got=got, expected=expected)
    if os.path.isfile(path):
        got = paths.printable(path)
        raise ConfigError("A folder is meant here, and this is a file.", where="--out", got=got, expected=expected)
    if count := _num_pictures(path):
        raise ConfigError(
            "There are pictures in this folder already, which nobody could tell from the new ones.",
            where="--out",
            got=f"{count:,} in {paths.printable(path)}",
            expected="a folder without pictures",
            hint="choose another one with --out",
        )
    return path


def _num_pictures(folder: Path) -> int:
    try:
        suffixes = [os.path.splitext(name)[1].lower() for name in os.listdir(folder)]
    except OSError:  # it is not there yet, or writing will say what is wrong with it
        return 0
    return sum(suffix in Image.registered_extensions() for suffix in suffixes)
