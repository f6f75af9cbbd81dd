"""A hash of what a picture shows, and all pairs of hashes that differ in a few bits.

The hash is the 64-bit pHash: the lowest frequencies of the cosine transform of the brightness at 32 x 32, each compared
with the median of them (Zauner 2010, "Implementation and benchmarking of perceptual image hash functions"). It hardly
changes when a picture is saved again, scaled, or made a little brighter.

Pairs are found by permuted blocks (Manku, Jain & Das Sarma 2007, "Detecting near-duplicates for web crawling"): of 8
blocks of 8 bits, hashes that differ in at most 6 bits agree in at least 2, so it is enough to sort by each of the 28
pairs of blocks and to compare within equal ones.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

SIDE = 32
MAX_DISTANCE = 6  # bits
BLOCKS, BLOCK_BITS = 8, 8
MAX_COMPARED = 20_000_000  # pairs, for each two blocks
MAX_PAIRS = 3_000_000


@dataclass(frozen=True)
class Pairs:
    """Indices int64 (P, 2), the smaller first, sorted; `complete` is False when there were too many to find all."""

    indices: np.ndarray
    complete: bool


def perceptual_hashes(brightness: np.ndarray) -> np.ndarray:
    """The hash, uint64 (N,), of each of the float32 pictures (N, 32, 32).

    Of the 8 x 8 lowest frequencies the constant one says nothing; the ninth vertical one takes its place.
    """
    assert brightness.shape[1:] == (SIDE, SIDE), brightness.shape
    waves = _cosines(9)
    spectrum = waves @ brightness @ waves.T
    lowest = spectrum[:, :8, :8].reshape(len(spectrum), 64)
    chosen = np.concatenate([lowest[:, 1:], spectrum[:, 8:, 0]], axis=1)
    bits = chosen > np.median(chosen, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(np.uint64)[:, 0]


def near_pairs(hashes: np.ndarray) -> Pairs:
    """All pairs of hashes uint64 (N,) that differ in at most 6 bits.

    Time and memory are bounded: where more than 20 million pairs agree in the same two blocks, or more than 3 million
    pairs are near, not all are found.
    """
    hashes = np.ascontiguousarray(hashes)
    found, room = [np.empty((0, 2), np.int64)], MAX_PAIRS
    complete = True
    for blocks in itertools.combinations(range(BLOCKS), 2):
        pairs, all_found = _agreeing(blocks, hashes, room)
        found.append(pairs)
        complete &= all_found
        room -= len(pairs)
    pairs = np.concatenate(found)
    return Pairs(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], complete)


def _agreeing(blocks: tuple[int, int], hashes: np.ndarray, room: int) -> tuple[np.ndarray, bool]:
    """The near pairs whose first two equal blocks are these, at most about `room`, and whether that is all of them.

    In sorted order each hash is compared with the next one, then with the one after that, and so on, as long as any has
    equal blocks there: the work is the number of pairs, the memory that of the hashes.
    """
    first, second = blocks
    bytes_of_each = hashes.view(np.uint8).reshape(len(hashes), BLOCKS).astype(np.uint16)
    keys = (bytes_of_each[:, first] << BLOCK_BITS) | bytes_of_each[:, second]
    order = np.lexsort((hashes, keys))
    keys, hashes = keys[order], hashes[order]
    found = [np.empty((0, 2), np.int64)]
    places = np.arange(len(keys))
    work = MAX_COMPARED
    for step in itertools.count(1):
        places = places[places + step < len(keys)]
        places = places[keys[places + step] == keys[places]]
        if not len(places) or room < 0 or work < 0:
            break
        work -= len(places)
        differing = hashes[places] ^ hashes[places + step]
        close = np.bitwise_count(differing) <= MAX_DISTANCE
        near, differing = places[close], differing[close]
        # Equal blocks before these would have found the pair already.
        equal = differing.view(np.uint8).reshape(len(differing), BLOCKS)[:, :second] == 0
        near = near[equal.sum(axis=1) == 1]
        found.append(np.sort(np.stack([order[near], order[near + step]], axis=1), axis=1))
        room -= len(near)
    return np.concatenate(found), not len(places)


def _cosines(count: int) -> np.ndarray:
    """The first `count` waves of the orthonormal cosine transform (DCT-II) of 32 numbers: float32 (count, 32)."""
    frequency, place = np.arange(count)[:, None], np.arange(SIDE)[None]
    waves = np.cos(np.pi / SIDE * (place + 0.5) * frequency) * np.sqrt(2 / SIDE)
    waves[0] /= np.sqrt(2)
    return waves.astype(np.float32)
