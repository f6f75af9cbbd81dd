"""The one home of randomness: every draw is a pure function of (seed, stream, clock, rank).

Nothing random is ever saved or restored, so a resumed run cannot differ from an uninterrupted one, and a preview or a
metric, having a stream of its own, cannot disturb training.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    import torch

LatentKind = Literal["normal", "uniform", "sphere"]
Distribution = LatentKind | Literal["unit"]


def derive(seed: int, stream: str, clock: int = 0, rank: int = 0) -> int:
    """A seed in [0, 2**63) for the draws of `stream` at the moment `clock` (images seen) on `rank`.

    Unequal arguments are hashed (BLAKE2b) and not added up, so their draws are unrelated. They are unequal but for
    chance: of the 63 bits torch's generator on a CPU takes the lower 32 only, so that of 62,500 moments and four
    streams about seven pairs are expected to meet.
    """
    text = f"{seed}|{stream}|{clock}|{rank}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def noise_seed(seed: int, rollbacks: int) -> int:
    """What all but the order of the pictures is drawn with: the run's seed, and after each rollback another one."""
    return derive(seed, "rollback", rollbacks) if rollbacks else seed


def numpy_generator(seed: int, stream: str, clock: int = 0, rank: int = 0) -> np.random.Generator:
    """A NumPy generator for one stream at one moment; see `derive`."""
    return np.random.Generator(np.random.PCG64(derive(seed, stream, clock, rank)))


def draw(
    kind: Distribution,
    seed: int,
    stream: str,
    clock: int,
    shape: tuple[int, ...],
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """Float32 numbers of a stream at a moment, drawn on `device` (devices differ in what they draw).

    `kind` is "normal" (mean 0, deviation 1), "uniform" (between -1 and 1; Radford et al. 2015), "sphere" (normal, then
    brought to length sqrt(size) along the last axis) or "unit" (between 0 and 1).
    """
    import torch

    generator = torch.Generator(device=device).manual_seed(derive(seed, stream, clock))
    if kind == "uniform":
        return torch.rand(shape, generator=generator, device=device).mul_(2.0).sub_(1.0)
    if kind == "unit":
        return torch.rand(shape, generator=generator, device=device)
    numbers = torch.randn(shape, generator=generator, device=device)
    if kind == "sphere":
        numbers *= shape[-1] ** 0.5 / numbers.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    return numbers


class RandomInput(Protocol):
    """Random numbers that a network, a penalty or a game asks for. They are drawn outside and handed in."""

    def draw(
        self, shape: tuple[int, ...], seed: int, stream: str, clock: int = 0, device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """Numbers (*shape, ...), a pure function of (seed, stream, clock); `shape` counts what they are drawn for."""
        ...


@dataclass(frozen=True)
class Numbers:
    """Independent random numbers of one shape for each of what they are drawn for."""

    kind: Distribution
    size: tuple[int, ...] = ()

    def draw(
        self, shape: tuple[int, ...], seed: int, stream: str, clock: int = 0, device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """Numbers (*shape, *size)."""
        return draw(self.kind, seed, stream, clock, (*shape, *self.size), device)


@contextmanager
def callers_randomness_kept() -> Iterator[None]:
    """Within this context global generators may be used and seeded at will; afterwards they are what they were."""
    import torch

    python = random.getstate()  # a library that is imported on the way may draw from it
    try:
        with torch.random.fork_rng(range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []):
            yield
    finally:
        random.setstate(python)
