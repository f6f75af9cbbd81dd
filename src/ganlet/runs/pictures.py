"""The pictures of a run: sample grids, and what is drawn from them, a progression and a film."""

from __future__ import annotations

import io
import logging
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from ganlet.config import RunConfig
from ganlet.errors import RunError
from ganlet.images import PIL_MODES, enlarge, grid, opaque, to_pil
from ganlet.runs.cells import GAP, SHEET_SIDE, grid_boxes
from ganlet.runs.certificate import Certificate
from ganlet.runs.files import write_atomic
from ganlet.runs.folder import RunFolder
from ganlet.runs.manifest import MOMENT
from ganlet.runs.picture_files import certificate_text, certified, described

logger = logging.getLogger(__name__)
T = TypeVar("T")

PROGRESSION_ROWS, PROGRESSION_COLUMNS, PROGRESSION_CELL = 9, 10, 88

FILM_PICTURES, FILM_SIDE, FILM_FRAMES = 36, 460, 120
FILM_BYTES = 1_600_000
# kmax=1: each frame stands for itself. Else small changes are dropped, and a slow change is never seen.
WEBP = {"quality": 55, "method": 2, "kmax": 1}
FILM_MS, SLOWEST_MS, LAST_MS = 9_000, 500, 3_000  # all frames but the last, one of them at most, the last one

INK = (125, 125, 125)  # on nothing: is read on white and on black
PAPER, PAPER_INK, ACCENT = (255, 255, 255), (70, 74, 82), (196, 110, 52)


def save_sheet(
    path: Path, pictures: np.ndarray, columns: int | None = None, certificate: Certificate | None = None
) -> None:
    """Write pictures (N, H, W, C) as one grid, enlarged to a longer side of at most 800 pixels, in PNG.

    A certificate is told where its cells are. Raises as `files.os_errors_explained` does.
    """
    boxes = grid_boxes(len(pictures), pictures.shape[1:3], columns)
    certificate = certificate and replace(certificate, boxes=boxes)
    sheet = enlarge(grid(pictures, columns, GAP), SHEET_SIDE)
    write_atomic(path, certified(sheet[None], ".png", certificate))


def save_neighbours(
    path: Path, pictures: np.ndarray, neighbours: np.ndarray, certificate: Certificate | None = None
) -> None:
    """Write pictures (N, H, W, C), each with its neighbours (n, k, H, W, C) right of it, for the first n of them.

    There are two such groups a row. Raises as `files.os_errors_explained` does.
    """
    groups = []
    for picture, nearest in zip(pictures, neighbours, strict=False):
        row = grid(np.stack([opaque(one) for one in nearest]), len(nearest), GAP)
        own = grid(opaque(picture)[None], 1, GAP, shade=0)
        groups.append(np.concatenate([own, np.full_like(own[:, : 2 * GAP], 255), row], axis=1))
    sheet = enlarge(grid(np.stack(groups), 2, 4 * GAP), SHEET_SIDE)
    write_atomic(path, certified(sheet[None], ".png", certificate))


def read_sheet(
    path: Path, *, size: tuple[int, int], channels: int, count: int, columns: int | None = None
) -> np.ndarray:
    """The pictures (N, H, W, C) that `save_sheet` wrote, bit by bit. Raises RunError when it holds others."""
    (height, width), columns = size, columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    shape = rows * (height + GAP) + GAP, columns * (width + GAP) + GAP
    factor = max(1, SHEET_SIDE // max(shape))
    sheet = read_png(path)
    expected = (shape[0] * factor, shape[1] * factor, channels)
    if sheet.shape != expected:
        raise RunError(
            "This is not the grid of pictures that was expected here.",
            where=path,
            got="{}x{} pixels with {} channels".format(*sheet.shape),
            expected="{}x{} with {}".format(*expected) + f": {count} pictures of {height}x{width}",
        )
    cells = sheet[::factor, ::factor][GAP:, GAP:].reshape(rows, height + GAP, columns, width + GAP, channels)
    return cells[:, :height, :, :width].swapaxes(1, 2).reshape(-1, height, width, channels)[:count]


def read_png(path: Path) -> np.ndarray:
    """A picture (H, W, C) from a PNG file of a run. Raises RunError when there is none in it."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            pixels = np.asarray(image)
            mode = image.mode
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RunError("This picture cannot be read.", where=path, got=error) from error
    if mode not in PIL_MODES.values():
        raise RunError(
            "This is not a picture of a run.", where=path, got=f"mode {mode}", expected=", ".join(PIL_MODES.values())
        )
    return pixels.reshape(*pixels.shape[:2], -1)


def sample_moments(folder: RunFolder) -> list[tuple[int, Path]]:
    """The moments (images seen) of which there is a sample grid, in ascending order, each with its file."""
    paths = list(folder.samples_path.iterdir()) if folder.samples_path.is_dir() else []
    return sorted((int(path.stem), path) for path in paths if re.fullmatch(rf"({MOMENT})\.png", path.name))


def progression(folder: RunFolder, config: RunConfig) -> Path | None:
    """Draw samples/progression.png, on a transparent ground: a row a moment, the same latents in each row.

    The first rows lie close together, for there the pictures change fastest. None when there are no sample grids.
    """
    moments = sample_moments(folder)
    rows = []
    for images_seen, pictures in _read(_spread(moments, PROGRESSION_ROWS), config):
        row = [scaled(picture, PROGRESSION_CELL) for picture in pictures[:PROGRESSION_COLUMNS]]
        rows.append((short_count(images_seen), np.stack(row)))
    if not rows:
        return None
    path = folder.samples_path / "progression.png"
    sheet = np.asarray(_draw_rows(rows))
    write_atomic(path, certified(sheet[None], ".png", _of_moments(moments, "progression")))
    return path


def _draw_rows(rows: list[tuple[str, np.ndarray]]) -> Image.Image:
    """Rows of pictures (N, H, W, 3) with a label left of each; a heading above the labels says what they are."""
    num, height, width = rows[0][1].shape[:3]
    gap = 4
    font = ImageFont.load_default(min(24, max(14, height // 4)))
    heading = "images seen"
    small = ImageFont.load_default(16)
    margin = math.ceil(max(small.getlength(heading), *(font.getlength(label) for label, _ in rows))) + 20
    top = 26
    canvas = Image.new("RGBA", (margin + num * (width + gap) - gap, top + len(rows) * (height + gap) - gap))
    draw = ImageDraw.Draw(canvas)
    draw.text((margin - 16, top - 10), heading, INK, font=small, anchor="rs")
    for index, (label, pictures) in enumerate(rows):
        y = top + index * (height + gap)
        draw.text((margin - 16, y + height // 2), label, INK, font=font, anchor="rm")
        for column, picture in enumerate(pictures):
            canvas.paste(to_pil(picture), (margin + column * (width + gap), y))
    return canvas


def film(folder: RunFolder, config: RunConfig) -> Path | None:
    """Draw samples/film.webp: up to 36 pictures growing up, a frame for each sample grid, 120 frames at most.

    The first and the last moment are always there; there are fewer frames where the file would pass 1.6 MB. A Pillow
    without WebP writes film.gif. None when there are no sample grids.
    """
    total = config.train.total_images
    assert isinstance(total, int), "the config of a run is resolved"
    moments = sample_moments(folder)
    frames = [
        _frame(pictures[:FILM_PICTURES], images_seen, total)
        for images_seen, pictures in _read(_even(moments, FILM_FRAMES), config)
    ]
    if not frames:
        return None
    certificate = _of_moments(moments, "film")
    text = None if certificate is None else certificate.to_text()
    data = _animation(frames, text)
    while len(data) > FILM_BYTES and len(frames) > 2:
        frames = _even(frames, max(2, int(len(frames) * 0.95 * FILM_BYTES / len(data))))
        data = _animation(frames, text)
    path = folder.samples_path / f"film.{_film_format().lower()}"
    write_atomic(path, data)
    return path


def _frame(pictures: np.ndarray, images_seen: int, total: int) -> Image.Image:
    """One frame: the grid, and under it what it shows and how far the run had come."""
    sheet = to_pil(scaled(grid(pictures, gap=GAP), FILM_SIDE))
    strip = 34
    frame = Image.new("RGB", (sheet.width, sheet.height + strip), PAPER)
    frame.paste(sheet)
    draw = ImageDraw.Draw(frame)
    draw.rectangle((0, sheet.height, sheet.width * min(1.0, images_seen / max(total, 1)), sheet.height + 3), ACCENT)
    middle = (sheet.width / 2, sheet.height + strip / 2 + 2)
    draw.text(middle, f"{images_seen:,}  images", PAPER_INK, font=ImageFont.load_default(16), anchor="mm")
    return frame


def _of_moments(moments: list[tuple[int, Path]], verb: str) -> Certificate | None:
    """The certificate of what shows many moments of a run: by whom, and of which; each sheet has its own latents."""
    text = certificate_text(moments[-1][1]) if moments else None
    if text is None:  # a run of an older version
        return None
    shown = [moment for moment, _ in moments]
    newest = Certificate.from_text(text)
    return Certificate.without_points(newest.maker, {"verb": verb, "from": shown[0], "to": shown[-1]})


def _animation(frames: list[Image.Image], text: str | None) -> bytes:
    pace = min(SLOWEST_MS, FILM_MS // len(frames))
    durations = [pace] * (len(frames) - 1) + [LAST_MS]
    buffer = io.BytesIO()
    options = {**(WEBP if _film_format() == "WEBP" else {}), **(described(_film_format(), text) if text else {})}
    frames[0].save(
        buffer, _film_format(), save_all=True, append_images=frames[1:], duration=durations, loop=0, **options
    )
    return buffer.getvalue()


def _film_format() -> str:
    return "WEBP" if features.check("webp") else "GIF"


def _read(moments: list[tuple[int, Path]], config: RunConfig) -> Iterator[tuple[int, np.ndarray]]:
    """The pictures of each moment; one that cannot be read is left out, with a warning in the log."""
    channels = config.data.channels
    assert channels != "auto", "the config of a run is resolved"
    for images_seen, path in moments:
        try:
            pictures = read_sheet(path, size=config.data.size, channels=channels, count=config.evaluate.num_samples)
        except RunError as error:
            logger.warning("left out: %s", error.message)
        else:
            yield images_seen, pictures


def _even(items: list[T], most: int) -> list[T]:
    """At most `most` of the items, evenly spread, the first and the last among them."""
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, min(len(items), most))]


def _spread(items: list[T], most: int) -> list[T]:
    """At most `most` of the items, ever farther apart, the first and the last among them."""
    if len(items) <= most:
        return items
    places = [0]
    for place in np.geomspace(1, len(items), most)[1:]:
        places.append(max(places[-1] + 1, round(place) - 1))
    return [items[place] for place in places]


def scaled(picture: np.ndarray, target: int) -> np.ndarray:
    """A picture (H, W, C) as (H', W', 3) whose longer side is near `target`: pixels are repeated, or averaged away."""
    height, width = picture.shape[:2]
    factor = target / max(height, width)
    if factor >= 0.75:
        return opaque(enlarge(picture, max(height, width) * max(1, round(factor))))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    smaller = np.asarray(to_pil(picture).resize(size, Image.Resampling.LANCZOS))
    return opaque(smaller.reshape(size[1], size[0], -1))


def short_count(number: float) -> str:
    """A number of images as a person says it: 950, 12.8k, 1.2M."""
    for limit, divisor, suffix in ((1e3, 1, ""), (1e6, 1e3, "k"), (math.inf, 1e6, "M")):
        if number < limit * 0.9995:
            return f"{number / divisor:.3g}{suffix}"
    raise AssertionError(number)
