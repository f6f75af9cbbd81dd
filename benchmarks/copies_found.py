"""How many copies of training pictures are found, by what they were changed by, and how many are taken for copies.

    python benchmarks/copies_found.py smileys /data/fashion-mnist /data/cifar-10

Of each source, real pictures that training never shows stand for a generator that does not copy, and training pictures,
changed a little, for one that does. Printed is the share that is nearer to a training picture than 95 % of other
pictures never shown: 5 % is expected of those that are new, and 100 % is wanted of the copies.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from ganlet.data.holdout import held_out
from ganlet.data.settings import DataConfig
from ganlet.data.source import open_source
from ganlet.metrics.features import extract, open_extractor
from ganlet.metrics.memorisation import memorised_share, pixels

NUM = 1_000
RANDOM = np.random.default_rng(0)


def noisy(pictures: np.ndarray, levels: float) -> np.ndarray:
    """With normal noise of so many grey levels."""
    return np.clip(pictures + RANDOM.normal(0, levels, pictures.shape), 0, 255).astype(np.uint8)


def blurred(pictures: np.ndarray) -> np.ndarray:
    """Each pixel averaged with its four neighbours."""
    moved = [np.roll(pictures, step, axis).astype(np.uint16) for axis in (1, 2) for step in (-1, 1)]
    return (sum(moved, pictures.astype(np.uint16)) // 5).astype(np.uint8)


def main(sources: list[str]) -> None:
    """Print a line for each kind of picture, with shares by pixels and by features."""
    extractor = open_extractor("ganlet")
    for source in sources:
        config = DataConfig(source=source)
        pack = open_source(config)
        others = held_out(pack, config, limit=2 * NUM)
        assert others is not None, source
        new, copied = others[:NUM], pack.pictures[np.sort(RANDOM.permutation(len(pack))[:NUM])]
        kinds = {
            "new": new,
            "new, noise of 8": noisy(new, 8),
            "new, blurred": blurred(new),
            "copies": copied,
            "copies, noise of 8": noisy(copied, 8),
            "copies, noise of 20": noisy(copied, 20),
            "copies, blurred": blurred(copied),
            "copies, moved by a pixel": np.roll(copied, 1, 2),
        }
        features = {name: extract(extractor, pictures).features for name, pictures in kinds.items()}
        training, compared = (extract(extractor, pictures).features for pictures in (pack.pictures, others[NUM:]))
        print(f"{source}: {len(pack):,} training pictures")
        for name, pictures in kinds.items():
            start = time.monotonic()
            by_pixels = memorised_share(pictures, pack.pictures, others[NUM:], represent=pixels)
            seconds = time.monotonic() - start
            without = memorised_share(pictures, pack.pictures, represent=pixels)
            by_features = memorised_share(features[name], training, compared)
            shares = [f"{found.share:6.1%}" for found in (by_pixels, without, by_features)]
            print(
                f"  {name:26}{shares[0]} ({shares[1]} without held-out) by pixels in {seconds:.1f} s, "
                f"{shares[2]} by features",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
