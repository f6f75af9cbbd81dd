"""Latents as a generator asks for them: how many numbers, of which distribution, mixed or not."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ganlet.errors import ConfigError
from ganlet.randomness import Distribution, LatentKind, RandomInput, derive, draw

BLOCK = 64  # latents that are drawn at once, so that the first ones are the same however many are drawn


@dataclass(frozen=True)
class Latents:
    """What a generator is fed.

    Attributes:
        size: numbers for a picture.
        kind: their distribution, see `randomness.draw`.
        levels: where above 1, the generator also takes latents (N, levels, size), one for each resolution.
        mixing: share of training pictures made of two latents, that change at some level (Karras et al. 2019, 3.1).
    """

    size: int
    kind: LatentKind = "normal"
    levels: int = 1
    mixing: float = 0.0

    def draw(
        self, shape: tuple[int, ...], seed: int, stream: str, clock: int = 0, device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """Latents (*shape, size); see `randomness.RandomInput`."""
        return draw(self.kind, seed, stream, clock, (*shape, self.size), device)

    def draw_for_training(
        self, shape: tuple[int, ...], seed: int, stream: str, clock: int = 0, device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """Latents (*shape, size), or (*shape, levels, size) where some are mixed."""
        latents = self.draw(shape, seed, stream, clock, device)
        if not self.mixing:
            return latents
        # From a random level on, the styles are those of another latent.
        others = self.draw(shape, seed, f"mixed {stream}", clock, device)
        gate, where = draw("unit", seed, "style mixing", clock, (2, *shape), device)
        first_other = 1 + (where * (self.levels - 1)).long()  # at least the coarsest level is its own
        levels = torch.arange(self.levels, device=device)
        mixed = (levels >= first_other.unsqueeze(-1)) & (gate < self.mixing).unsqueeze(-1)
        return torch.where(mixed.unsqueeze(-1), others.unsqueeze(-2), latents.unsqueeze(-2))

    def sample(self, num: int, seed: int, truncation: float | None = None) -> torch.Tensor:
        """Latents (num, size) of `ganlet sample --seed`; the first ones are the same for every `num`.

        With a truncation, normal latents are drawn anew where they lie beyond it (Brock et al. 2019, section 3.1), and
        uniform ones are drawn up to it: pictures become more typical and less varied. Raises `ConfigError` for a
        truncation that leaves nothing, or changes nothing.
        """
        if truncation is not None:
            self._require_truncatable(truncation)
        parts = []
        for part in range(-(-num // BLOCK)):
            if truncation is not None and self.kind == "normal":
                random = torch.Generator().manual_seed(derive(seed, "sample", part))
                latents = torch.empty(BLOCK, self.size)
                torch.nn.init.trunc_normal_(latents, 0.0, 1.0, -truncation, truncation, generator=random)
            else:
                latents = self.draw((BLOCK,), seed, "sample", part) * min(truncation or 1.0, 1.0)
            parts.append(latents)
        return torch.cat(parts)[:num]

    def _require_truncatable(self, truncation: float) -> None:
        if truncation == 0:
            raise ConfigError(
                "A truncation to 0 leaves nothing to draw latents from.",
                where="--truncation",
                got=truncation,
                expected="a number above 0; only styles can be truncated to their mean",
            )
        if self.kind == "sphere":
            raise ConfigError(
                "Latents on a sphere all have one length, which a truncation cannot change.",
                where="--truncation",
                got=truncation,
                expected="a generator with normal or uniform latents, or with styles",
            )


def sample_latents(asked: RandomInput, num: int, seed: int, truncation: float | None = None) -> torch.Tensor:
    """Latents (num, ...) of `ganlet sample --seed` for any input that a generator asks for; see `Latents.sample`."""
    if isinstance(asked, Latents):
        return asked.sample(num, seed, truncation)
    if truncation is not None:
        expected = "a generator that asks for `Latents`"
        raise ConfigError("These latents cannot be truncated.", where="--truncation", got=truncation, expected=expected)
    return torch.cat([asked.draw((BLOCK,), seed, "sample", part) for part in range(-(-num // BLOCK))])[:num]


def interpolate(
    starts: torch.Tensor, ends: torch.Tensor, positions: torch.Tensor | float, latents: Distribution
) -> torch.Tensor:
    """Latents (N, L) at positions (N,) between 0 and 1 on the ways from starts (N, L) to ends (N, L).

    Along the great circle for normal latents, whose lengths are nearly all alike (Shoemake 1985, "slerp"); along the
    straight line for uniform ones, whose cube it never leaves. The same latents are returned for any division of the
    ways into calls. Computed in float64: a step of 1e-4 is few roundings of float32.
    """
    first, last = starts.cpu().double(), ends.cpu().double()  # MPS has no float64
    positions = torch.as_tensor(positions, dtype=torch.float64, device="cpu").expand(len(first))[:, None]
    line = first + (last - first) * positions
    if latents == "uniform":
        return line.to(starts)
    lengths = first.norm(dim=1, keepdim=True) * last.norm(dim=1, keepdim=True)
    cosines = (first * last).sum(dim=1, keepdim=True) / lengths.clamp_min(torch.finfo(torch.float64).tiny)
    angles = torch.acos(cosines.clamp(-1.0, 1.0))
    sines = torch.sin(angles)
    # Parallel, opposite and zero latents have no one great circle between them.
    undefined = (sines < 1e-6) | (lengths == 0.0)
    sines = sines.masked_fill(undefined, 1.0)
    circle = torch.sin((1.0 - positions) * angles) / sines * first + torch.sin(positions * angles) / sines * last
    return torch.where(undefined, line, circle).to(starts)
