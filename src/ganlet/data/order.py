"""Which picture is at which position of a run: pure functions of (seed, position), with nothing to save or restore."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ganlet.randomness import numpy_generator

BLOCK = 1_024  # items that are shuffled at a time, where they are few


class Order(Protocol):
    """An endless sequence of pictures."""

    def indices(self, position: int, count: int) -> np.ndarray:
        """Which pictures are at positions `position` to `position + count - 1`: int64 (count,)."""
        ...


class Epochs:
    """Every run of `num_pictures` positions is a permutation of all pictures."""

    def __init__(self, num_pictures: int, seed: int) -> None:
        self.num_pictures = num_pictures
        self.seed = seed
        self._epoch = -1
        self._permutation = np.empty(0, np.int64)

    def indices(self, position: int, count: int) -> np.ndarray:
        parts = []
        while count:
            epoch, start = divmod(position, self.num_pictures)
            part = self._order(epoch)[start : start + count]
            parts.append(part)
            position, count = position + len(part), count - len(part)
        return np.concatenate(parts)

    def _order(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            self._epoch = epoch
            self._permutation = numpy_generator(self.seed, "order", epoch).permutation(self.num_pictures)
        return self._permutation


class Balanced:
    """Every run of K positions that starts at a multiple of K shows each of K classes once, in an order of its own.

    A class that is shown for the n-th time shows the n-th picture of its own epochs. `classes` is int (N,); K are those
    that occur.
    """

    def __init__(self, classes: np.ndarray, seed: int) -> None:
        by_class = np.argsort(classes, kind="stable")
        occurring, starts = np.unique(classes[by_class], return_index=True)
        self._members = np.split(by_class, starts[1:])
        self._turns = _Shuffled(len(occurring), seed, "balance")
        self._within = [
            _Shuffled(len(members), seed, f"balance/{number}")
            for number, members in zip(occurring, self._members, strict=True)
        ]

    def indices(self, position: int, count: int) -> np.ndarray:
        positions = np.arange(position, position + count)
        turns, rounds = self._turns.at(positions), positions // len(self._members)
        chosen = np.empty(count, np.int64)
        for place in np.unique(turns):
            shown = turns == place
            chosen[shown] = self._members[place][self._within[place].at(rounds[shown])]
        return chosen


class _Shuffled:
    """The numbers 0 to `size - 1` again and again, each time in another order; few of them many times at once."""

    def __init__(self, size: int, seed: int, stream: str) -> None:
        self.size, self.seed, self.stream = size, seed, stream
        self.repeats = max(1, BLOCK // size)
        self._block = -1
        self._numbers = np.empty(0, np.int64)

    def at(self, positions: np.ndarray) -> np.ndarray:
        """The numbers at positions (n,) of the sequence: int64 (n,)."""
        blocks, places = np.divmod(positions, self.size * self.repeats)
        found = np.empty(len(positions), np.int64)
        for block in np.unique(blocks):
            wanted = blocks == block
            found[wanted] = self._of_block(int(block))[places[wanted]]
        return found

    def _of_block(self, block: int) -> np.ndarray:
        if block != self._block:
            self._block = block
            again = np.tile(np.arange(self.size), (self.repeats, 1))
            self._numbers = numpy_generator(self.seed, self.stream, block).permuted(again, axis=1).ravel()
        return self._numbers
