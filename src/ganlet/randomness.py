"""The one home of randomness: every draw is a pure function of (seed, stream, clock, rank).

Nothing random is ever saved or restored, so a resumed run cannot differ from an uninterrupted one, and a preview or a
metric, having a stream of its own, cannot disturb training.
"""

from __future__ import annotations

import hashlib

import numpy as np


def derive(seed: int, stream: str, clock: int = 0, rank: int = 0) -> int:
    """A seed in [0, 2**63) for the draws of `stream` at the moment `clock` (images seen) on `rank`.

    Unequal arguments give independent seeds: they are hashed (BLAKE2b), not added up.
    """
    text = f"{seed}|{stream}|{clock}|{rank}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def numpy_generator(seed: int, stream: str, clock: int = 0, rank: int = 0) -> np.random.Generator:
    """A NumPy generator for one stream at one moment; see `derive`."""
    return np.random.Generator(np.random.PCG64(derive(seed, stream, clock, rank)))
