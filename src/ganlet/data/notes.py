"""What a person should know about pictures before training on them, and what costs nothing to find while packing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ganlet.data.resize import enlargement, kept_share
from ganlet.data.settings import DataConfig

MOST = 0.5  # share of the pictures from which on it is said
MUCH_CUT = 0.4
MUCH_ENLARGED = 2.0
HALF = 128  # of 256 levels: who stays on one side of it uses a small part of the range


def size_notes(sizes: Mapping[tuple[int, int], int], config: DataConfig) -> list[str]:
    """Notes about pictures by their (height, width): what cutting takes away, and how much they are enlarged."""
    total, notes = sum(sizes.values()), []
    cut = _count(sizes, lambda shape: 1 - kept_share(shape, config.size, config.crop) > MUCH_CUT)
    if cut > MOST * total:
        height, width = config.size
        turned = (width, height)
        uncut = _count(sizes, lambda shape: 1 - kept_share(shape, turned, config.crop) <= MUCH_CUT)
        keep = "data.crop=pad keeps all of them"
        if height != width and uncut > MOST * total:
            keep = f"data.size is height x width, did you mean {width}x{height}?"
        notes.append(f"{cut:,} of {total:,} pictures lose more than {MUCH_CUT:.0%} at their edges: {keep}")
    enlarged = _count(sizes, lambda shape: enlargement(shape, config.size, config.crop) > MUCH_ENLARGED)
    if enlarged > MOST * total:
        notes.append(
            f"{enlarged:,} of {total:,} pictures are enlarged more than twice: a smaller data.size fits better"
        )
    return notes


def value_notes(low: int, high: int, highest: float | None, config: DataConfig) -> list[str]:
    """Notes about the lowest and highest of all values, of 255, and about the highest one in grey files of more than
    8 bits if there are any."""
    if highest is not None and config.white is not None and highest > config.white:
        return [f"values above data.white = {config.white:g} become white: they reach up to {highest:g}"]
    if high < HALF:
        dark = "all pictures are nearly black"
        if highest is not None:
            return [f"values end at {highest:g}, so {dark}: --set data.white={white_level(highest):g} stretches them"]
        return [f"no value is above {high} of 255, so {dark}: stretch the values and save them again"]
    if low >= HALF:
        return [f"no value is below {low} of 255, so all pictures are pale: stretch them unless that is meant"]
    return []


def white_level(highest: float) -> float:
    """The white level that is probably meant: the end of the range of bits that the highest value needs."""
    if highest <= 1:
        return float(f"{highest:.3g}") or 1.0
    return float(2 ** int(highest).bit_length() - 1)


def _count(sizes: Mapping[tuple[int, int], int], holds: Callable[[tuple[int, int]], bool]) -> int:
    return sum(count for shape, count in sizes.items() if holds(shape))
