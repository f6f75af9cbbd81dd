"""How many altered copies the dataset doctor finds, and how many other pictures it takes for copies.

    python benchmarks/near_duplicates.py path/to/cifar path/to/fashion-mnist

Of each source all pictures are surveyed, then 1,500 of them again as altered copies. Found is a copy that the groups
put together with its original; pictures that are near each other without any copies are counted too, to be looked at.
"""

from __future__ import annotations

import argparse
import io
import itertools
import time

import numpy as np
from PIL import Image

from ganlet.data.inspection.duplicates import find_duplicates
from ganlet.data.inspection.survey import survey
from ganlet.data.settings import DataConfig
from ganlet.data.source import find_source
from ganlet.data.spec import Source, SourcePicture
from ganlet.images import to_pil

NUM_COPIES = 1_500


def saved(pixels: np.ndarray, kind: str, quality: int) -> np.ndarray:
    """Saved with loss and read back."""
    buffer = io.BytesIO()
    to_pil(pixels).save(buffer, kind, quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image).reshape(*pixels.shape[:2], -1)


def scaled(pixels: np.ndarray, factor: float) -> np.ndarray:
    """Another size."""
    height, width = (round(side * factor) for side in pixels.shape[:2])
    image = to_pil(pixels).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(height, width, -1)


def brightened(pixels: np.ndarray, factor: float) -> np.ndarray:
    """All values times a factor, cut off at white."""
    return np.clip(pixels * factor, 0, 255).astype(np.uint8)


COPIES = {
    "JPEG 90": lambda pixels: saved(pixels, "JPEG", 90),
    "JPEG 75": lambda pixels: saved(pixels, "JPEG", 75),
    "JPEG 50": lambda pixels: saved(pixels, "JPEG", 50),
    "WebP 75": lambda pixels: saved(pixels, "WEBP", 75),
    "size x 0.5": lambda pixels: scaled(pixels, 0.5),
    "size x 0.75": lambda pixels: scaled(pixels, 0.75),
    "size x 1.5": lambda pixels: scaled(pixels, 1.5),
    "size x 2": lambda pixels: scaled(pixels, 2),
    "brightness x 1.1": lambda pixels: brightened(pixels, 1.1),
    "brightness x 0.9": lambda pixels: brightened(pixels, 0.9),
    "x 2, brightness x 1.1, JPEG 75": lambda pixels: saved(brightened(scaled(pixels, 2), 1.1), "JPEG", 75),
}


def main() -> None:
    """Print a table in Markdown for each source."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+")
    for name in parser.parse_args().sources:
        source = find_source(DataConfig(source=name))
        rows = survey(source, DataConfig()).rows
        started = time.perf_counter()
        alone = find_duplicates(rows)
        seconds = time.perf_counter() - started
        near = sum(len(group) - 1 for group in alone.near)
        print(f"\n{name}: {len(rows):,} pictures, {near} near others without copies, {seconds:.1f} s\n")
        print("| copies | found |\n|---|---|")
        originals = [picture.content for picture in itertools.islice(source.pictures(), NUM_COPIES)]
        for label, alter in COPIES.items():
            copies = [alter(np.ascontiguousarray(pixels)) for pixels in originals]
            made = Source("made", "", len(copies), lambda c=copies: (SourcePicture(pixels) for pixels in c))
            together = np.concatenate([rows, survey(made, DataConfig()).rows])
            found = find_duplicates(together)
            # Blank copies and those that are equal to their originals count as found.
            pairs = {
                (int(a), int(b)) for group in [*found.near, *found.equal] for a, b in itertools.permutations(group, 2)
            }
            number = sum((index, len(rows) + index) in pairs for index in range(len(copies)))
            print(f"| {label} | {number / len(copies):.1%} |", flush=True)


if __name__ == "__main__":
    main()
