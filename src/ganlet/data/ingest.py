"""Walk over a source once: read, decode and fit every picture, and take stock of what was there."""

from __future__ import annotations

import hashlib
import itertools
import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ganlet.data.decode import BrokenPicture, Decoded, colour_and_alpha, decode, is_transparent
from ganlet.data.formats import STAND_INS
from ganlet.data.notes import HALF, size_notes, value_notes
from ganlet.data.resize import fit, packed_size, parse_colour
from ganlet.data.settings import DataConfig
from ganlet.data.spec import Source, SourcePicture
from ganlet.errors import DataError
from ganlet.images import PIL_MODES
from ganlet.paths import printable

log = logging.getLogger(__name__)

DIGEST_BYTES = 16
CHUNK_BYTES = 2**25  # packed pictures that are in flight at once
CHUNK_PICTURES = 512
MAX_THREADS = 8
LISTED = 10
# What to do next, by what is in the reason; a limit names its setting and how far that goes.
ADVICE = {
    "data.max_pixels": "--set data.max_pixels=... allows more, up to 1000000000; or make them smaller",
    "data.max_bytes": f"--set data.max_bytes=... allows more, up to {2**40}; or make them smaller",
    "data.white": "--set data.white=... says which value is white",
    **{words: advice for _, words, advice in STAND_INS},
}

Progress = Callable[[int, int], None]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Fitted:
    """A picture ready to be packed, see `digest_of`; and what it was before it was fitted: `values` are the lowest and
    the highest of its colours, if looked for, `highest` that of a grey file of more than 8 bits."""

    picture: SourcePicture
    pixels: np.ndarray
    digest: bytes
    mode: str
    height: int
    width: int
    animated: bool
    transparent: bool
    values: tuple[int, int] | None = None
    highest: float | None = None


@dataclass(frozen=True)
class Broken:
    """A picture that cannot be used: its name in the source, as it is there, and the reason."""

    name: str
    reason: str


@dataclass
class Stock:
    """What a walk over a source has seen so far."""

    modes: Counter[str] = field(default_factory=Counter)
    num_animated: int = 0
    num_transparent: int = 0
    num_enlarged: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    low: int = 255
    high: int = 0
    highest: float | None = None
    broken: list[Broken] = field(default_factory=list)

    def add(self, fitted: Fitted, size: tuple[int, int]) -> None:
        """Count a picture that will be shown at `size`."""
        self.modes[fitted.mode] += 1
        self.sizes[fitted.height, fitted.width] += 1
        self.num_animated += fitted.animated
        self.num_transparent += fitted.transparent
        self.num_enlarged += fitted.height < size[0] or fitted.width < size[1]
        if fitted.values is not None:
            self.low, self.high = min(self.low, fitted.values[0]), max(self.high, fitted.values[1])
        if fitted.highest is not None:
            self.highest = max(fitted.highest, self.highest or 0.0)

    @property
    def spans_range(self) -> bool:
        """Whether dark and bright values were seen: then no more of them are looked for."""
        return self.low < HALF <= self.high

    def notes(self, config: DataConfig) -> list[str]:
        """Lines about what was seen that the user should know."""
        return [*value_notes(self.low, self.high, self.highest, config), *size_notes(self.sizes, config)]

    def summary(self) -> dict[str, Any]:
        """The stock as plain JSON data."""
        heights, widths = zip(*self.sizes, strict=True)
        return {
            "modes": dict(self.modes.most_common()),
            "num_animated": self.num_animated,
            "num_transparent": self.num_transparent,
            "num_enlarged": self.num_enlarged,
            "num_sizes": len(self.sizes),
            "smallest_sides": [min(heights), min(widths)],
            "largest_sides": [max(heights), max(widths)],
            "skipped": [{"name": printable(broken.name), "reason": broken.reason} for broken in self.broken],
        }


def digest_of(pixels: np.ndarray) -> bytes:
    """The BLAKE2b digest of a packed picture (H, W, C), contiguous in memory."""
    return hashlib.blake2b(pixels.data, digest_size=DIGEST_BYTES).digest()


def choose_channels(source: Source, config: DataConfig) -> int:
    """The channels that are meant by `auto`.

    4 when most pictures are partly transparent, else 1 when none is in colour, else 3. Files that only could be
    transparent, and broken ones, do not count. To be called inside `strict_pillow`.
    """
    if config.channels != "auto":
        return config.channels
    if source.channels is not None:
        return source.channels
    count, num_colour, num_transparent = 0, 0, 0
    for seen in in_chunks(source.pictures(), partial(_glance, config=config), CHUNK_PICTURES):
        for colour, transparent in filter(None, seen):
            count += 1
            num_colour += colour
            num_transparent += transparent
    if 2 * num_transparent > count:
        return 4
    return 3 if num_colour else 1


def ingest(
    source: Source, config: DataConfig, channels: int, stock: Stock, progress: Progress | None
) -> Iterator[list[Fitted]]:
    """Yield the pictures of a source in its order, some at a time, and enter all in `stock`, broken ones too.

    The result does not depend on the number of threads. To be called inside `strict_pillow`.
    """
    height, width = packed_size(config.size, config.crop)
    step = max(1, min(CHUNK_PICTURES, CHUNK_BYTES // (height * width * channels)))
    done = 0
    for prepared in in_chunks(
        source.pictures(), partial(_prepare, config=config, channels=channels, stock=stock), step
    ):
        good = []
        for result in prepared:
            if isinstance(result, Broken):
                log.info("broken picture %s: %s", printable(result.name), result.reason)
                stock.broken.append(result)
            else:
                stock.add(result, config.size)
                good.append(result)
        yield good
        done += len(prepared)
        if progress is not None:
            progress(done, source.count)


def check_broken(stock: Stock, source: Source, config: DataConfig, where: str) -> None:
    """Stop at broken pictures unless they may be skipped and are few."""
    if not stock.broken:
        return
    count = len(stock.broken)
    share = count / source.count
    if config.skip_bad and share <= config.skip_bad_limit:
        return
    listed = [f"{printable(broken.name)}: {broken.reason}" for broken in stock.broken[:LISTED]]
    if count > LISTED:
        listed.append(f"and {count - LISTED} more")
    if config.skip_bad:
        what = f"{count} of {source.count} pictures ({share:.1%}) cannot be used, more than may be skipped."
        expected = f"at most data.skip_bad_limit = {config.skip_bad_limit:.1%} (0 to 1)"
    else:
        what = f"{count} of {source.count} pictures cannot be used."
        expected = None
    hint = _advice(stock.broken)
    if count < source.count:
        hint += f", or leave them out with {skipping(count, source.count, config)}"
    raise DataError(what, where=where, got="\n            ".join(listed), expected=expected, hint=hint)


def skipping(count: int, total: int, config: DataConfig) -> str:
    """What to type to leave out so many broken pictures of all."""
    over = count / total > config.skip_bad_limit
    limit = f" --set data.skip_bad_limit={sufficient_limit(count, total):g}" if over else ""
    return f"--set data.skip_bad=true{limit}"


def sufficient_limit(count: int, total: int) -> float:
    """A `data.skip_bad_limit` of two digits that lets so many broken pictures be skipped."""
    return math.ceil(100 * count / total) / 100


def _advice(broken: Sequence[Broken]) -> str:
    """What to do about most of them, by their reasons."""
    reasons = Counter(next((key for key in ADVICE if key in one.reason), "") for one in broken)
    return ADVICE.get(reasons.most_common(1)[0][0], "mend or remove them")


def in_chunks(
    pictures: Iterator[SourcePicture], work: Callable[[SourcePicture], Result], step: int
) -> Iterator[list[Result]]:
    """Apply `work` to `step` pictures at a time, on several threads: Pillow and hashlib let go of the interpreter."""
    threads = min(MAX_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        while chunk := list(itertools.islice(pictures, step)):
            share = -(-len(chunk) // threads)
            shares = [chunk[start : start + share] for start in range(0, len(chunk), share)]
            yield list(itertools.chain.from_iterable(pool.map(lambda share: list(map(work, share)), shares)))


def _glance(picture: SourcePicture, config: DataConfig) -> tuple[bool, bool] | None:
    """Whether a file is in colour and whether it is transparent anywhere; None when it is broken."""
    assert callable(picture.content)
    try:
        return colour_and_alpha(picture.content(), config.max_pixels, config.white)
    except BrokenPicture:
        return None


def _prepare(picture: SourcePicture, config: DataConfig, channels: int, stock: Stock) -> Fitted | Broken:
    try:
        decoded = decode_picture(picture, config.max_pixels, config.white)
    except BrokenPicture as error:
        return Broken(picture.name, str(error))
    before, size = decoded.pixels, packed_size(config.size, config.crop)
    pixels = np.ascontiguousarray(fit(before, size, channels, config.crop, parse_colour(config.background)))
    height, width = before.shape[:2]
    values = None
    if not stock.spans_range:
        colours = before[..., :3] if before.shape[2] == 4 else before
        values = int(colours.min()), int(colours.max())
    origin = (decoded.mode, height, width, decoded.animated, is_transparent(before), values, decoded.highest)
    return Fitted(picture, pixels, digest_of(pixels), *origin)


def decode_picture(picture: SourcePicture, max_pixels: int, white: float | None = None) -> Decoded:
    """The pixels of a picture, from its file or as they are. Raises BrokenPicture."""
    if callable(picture.content):
        return decode(picture.content(), max_pixels, white)
    return Decoded(picture.content, PIL_MODES[picture.content.shape[2]], animated=False)
