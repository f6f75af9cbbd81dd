"""One walk over a source: every picture is decoded once and leaves a row of numbers behind, 400 bytes at most.

Beside the rows only a sample of small pictures is kept, so memory does not grow with the size of the pictures, and
hardly with their number: 40 MB for 100,000.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ganlet.data.decode import BrokenPicture, is_transparent, strict_pillow
from ganlet.data.ingest import Broken, Progress, decode_picture, in_chunks
from ganlet.data.inspection.hashing import SIDE, perceptual_hashes
from ganlet.data.leftovers import too_many
from ganlet.data.resize import Colour, fit, parse_colour, resize, to_channels
from ganlet.data.settings import DataConfig
from ganlet.data.spec import LeftOut, Source, SourcePicture
from ganlet.data.tree import claiming

CHUNK_PICTURES = 512
SAMPLE = 4_096  # small pictures that are kept, evenly chosen
DIGEST_BYTES = 16
LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R 601
MAX_GREY_CHROMA = 8  # levels between the channels that JPEG leaves in a grey picture
SIGNATURE_SIDE, COLOUR_SIDE = 16, 4

# What is kept of a picture. Brightness, contrast (standard deviation), colour (distance between the largest and the
# smallest channel) and detail (difference between neighbours) are means over the picture at 32 x 32, in levels of 255.
ROW = np.dtype(
    [
        ("index", np.int64),  # place in the source
        ("label", np.int32),  # -1: none
        ("height", np.int32),
        ("width", np.int32),
        ("mode", "S8"),  # Pillow's name
        ("animated", np.bool_),
        ("transparent", np.bool_),
        ("turned", np.bool_),  # by its metadata
        ("grey", np.bool_),  # in what it shows
        ("blank", np.bool_),  # a single colour
        ("low", np.uint8),  # smallest and largest value
        ("high", np.uint8),
        ("highest", np.float32),  # value of a grey file of more than 8 bits, else 0
        ("brightness", np.float32),
        ("contrast", np.float32),
        ("colour", np.float32),
        ("detail", np.float32),
        ("digest", f"S{DIGEST_BYTES}"),  # of shape and pixels
        ("hash", np.uint64),
        ("signature", np.uint8, (SIGNATURE_SIDE, SIGNATURE_SIDE)),  # brightness
        ("colours", np.uint8, (COLOUR_SIDE, COLOUR_SIDE, 3)),
    ]
)


@dataclass(frozen=True, eq=False)
class Survey:
    """What a walk over a source has seen.

    `rows` is a structured array with a `ROW` for each picture that can be used, in the order of the source; `names` are
    their paths in the source, not escaped, or None where pictures are no files; `sample` holds some of them, evenly
    chosen, as uint8 (M, 32, 32, 3). `num_found` counts the broken ones too; `unread` are files that claim to be
    pictures and are not read, and `refused` are those, if they are so many that training stops at them.
    """

    source: str
    kind: str
    num_found: int
    rows: np.ndarray
    names: Sequence[str] | None
    broken: Sequence[Broken]
    sample: np.ndarray
    label_names: tuple[str, ...]
    ignored: Mapping[str, int]
    left_out: Sequence[LeftOut] = ()
    notes: Sequence[str] = ()
    refused: Sequence[LeftOut] = ()

    @property
    def unread(self) -> Sequence[LeftOut]:
        return claiming(self.left_out)

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, number: int) -> str:
        """What a picture is called: its path in the source, else its place there; not escaped."""
        return self.names[number] if self.names else str(self.rows["index"][number])


@dataclass(frozen=True)
class _Seen:
    """What is measured of a picture alone; what is left is computed for many at a time from the small copies."""

    row: dict[str, Any]
    small: np.ndarray  # uint8 (32, 32, 3)
    name: str


def survey(source: Source, config: DataConfig, progress: Progress | None = None) -> Survey:
    """Walk over a source once. Nothing that is wrong with a picture ends it: it is counted as broken, with the reason.

    Transparent pictures are seen on `data.background`. Raises DataError where a source as a whole is damaged.
    """
    rows, count, done = np.zeros(source.count, ROW), 0, 0
    stride = max(1, -(-source.count // SAMPLE))
    sample, num_sampled = np.zeros((-(-source.count // stride), SIDE, SIDE, 3), np.uint8), 0
    names: list[str] = []
    broken: list[Broken] = []
    look = partial(_look, config=config, background=parse_colour(config.background))
    with strict_pillow(config.max_pixels):
        for results in in_chunks(source.pictures(), look, CHUNK_PICTURES):
            seen = []
            for index, result in enumerate(results, start=done):
                if isinstance(result, Broken):
                    broken.append(Broken(result.name or str(index), result.reason))
                    continue
                seen.append((index, result))
                names.append(result.name)
                if index % stride == 0:
                    sample[num_sampled] = result.small
                    num_sampled += 1
            if seen:
                rows[count : count + len(seen)] = _rows(seen)
            count, done = count + len(seen), done + len(results)
            if progress is not None:
                progress(done, source.count)
    return Survey(
        source=config.source,
        kind=source.kind,
        num_found=done,
        rows=rows[:count],
        names=names if any(names) else None,
        broken=broken,
        sample=sample[:num_sampled],
        label_names=source.label_names or (),
        ignored={suffix or "no suffix": number for suffix, number in sorted(source.ignored.items())},
        left_out=source.left_out,
        notes=source.notes,
        refused=too_many(source, config),
    )


def pictures_at(source: Source, config: DataConfig, indices: Sequence[int], side: int) -> dict[int, np.ndarray]:
    """Some of a source's pictures by their place, decoded again: uint8 (side, side, 3), whole, on the background.

    A picture that can no longer be read is left out.
    """
    wanted, found = set(indices), {}
    background = parse_colour(config.background)
    with strict_pillow(config.max_pixels):
        for index, picture in enumerate(source.pictures()):
            if index not in wanted:
                continue
            try:
                pixels = decode_picture(picture, config.max_pixels, config.white).pixels
            except BrokenPicture:
                continue
            found[index] = fit(pixels, (side, side), 3, "pad", background)
            if len(found) == len(wanted):
                break
    return found


def luma(pictures: np.ndarray) -> np.ndarray:
    """Colour (..., 3) as brightness (...) in levels of 255, float32."""
    return pictures.astype(np.float32) @ LUMA


def _look(picture: SourcePicture, config: DataConfig, background: Colour) -> _Seen | Broken:
    try:
        decoded = decode_picture(picture, config.max_pixels, config.white)
    except BrokenPicture as error:
        return Broken(picture.name, str(error))
    pixels = np.ascontiguousarray(decoded.pixels)
    transparent = is_transparent(pixels)
    visible = to_channels(pixels, 3, background) if transparent else pixels[..., :3]
    digest = hashlib.blake2b(str(pixels.shape).encode(), digest_size=DIGEST_BYTES)
    digest.update(pixels.data)
    row = {
        "label": -1 if picture.label is None else picture.label,
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "mode": decoded.mode.encode(),
        "animated": decoded.animated,
        "transparent": transparent,
        "turned": decoded.turned,
        "blank": _is_blank(visible),
        "low": visible.min(),
        "high": visible.max(),
        "highest": decoded.highest or 0,
        "digest": digest.digest(),
    }
    return _Seen(row, to_channels(resize(np.ascontiguousarray(visible), (SIDE, SIDE)), 3, background), picture.name)


def _is_blank(pixels: np.ndarray) -> bool:
    """Whether all pixels (h, w, C) are equal; most pictures show with a few that they are not."""
    first = pixels[0, 0]
    return bool((pixels[::8, ::8] == first).all()) and bool((pixels == first).all())


def _rows(seen: Sequence[tuple[int, _Seen]]) -> np.ndarray:
    """The rows (n,) of pictures that were looked at, with their places in the source."""
    rows = np.zeros(len(seen), ROW)
    rows["index"] = [index for index, _ in seen]
    for name in seen[0][1].row:
        rows[name] = [result.row[name] for _, result in seen]
    small = np.stack([result.small for _, result in seen])
    light = luma(small)
    chroma = small.max(axis=3) - small.min(axis=3)
    rows["grey"] = chroma.max(axis=(1, 2)) <= MAX_GREY_CHROMA
    rows["brightness"] = light.mean(axis=(1, 2))
    rows["contrast"] = light.std(axis=(1, 2))
    rows["colour"] = chroma.mean(axis=(1, 2))
    steps = np.abs(np.diff(light, axis=1)).mean(axis=(1, 2)) + np.abs(np.diff(light, axis=2)).mean(axis=(1, 2))
    rows["detail"] = steps / 2
    rows["hash"] = perceptual_hashes(light)
    rows["signature"] = np.rint(_blocks(light[..., None], SIGNATURE_SIDE)[..., 0])
    rows["colours"] = np.rint(_blocks(small.astype(np.float32), COLOUR_SIDE))
    return rows


def _blocks(pictures: np.ndarray, side: int) -> np.ndarray:
    """Pictures (N, 32, 32, C) averaged down to (N, side, side, C)."""
    step = SIDE // side
    return pictures.reshape(len(pictures), side, step, side, step, -1).mean(axis=(2, 4))
