"""What was decided on the way and shapes all that comes after it."""

from __future__ import annotations

import torch

SIDES = ("generator", "discriminator")


class Course:
    """How often the run went back to an earlier moment, and how often each network's plateau schedule has reduced.

    Part of the training state, as int64 scalars on the CPU: with what a checkpoint holds of them, rates and draws
    resume exactly. One count of reductions for each network, because each has a schedule with a patience of its own.
    """

    def __init__(self) -> None:
        self._counts = {
            name: torch.zeros((), dtype=torch.int64)
            for name in ("rollbacks", *(f"{side}_reductions" for side in SIDES))
        }

    @property
    def rollbacks(self) -> int:
        """How often the run went back."""
        return int(self._counts["rollbacks"])

    @rollbacks.setter
    def rollbacks(self, number: int) -> None:
        self._counts["rollbacks"].fill_(number)

    def reductions(self, side: str) -> int:
        """How often the rate of "generator" or "discriminator" was reduced."""
        return int(self._counts[f"{side}_reductions"])

    def reduce(self, side: str) -> None:
        """Count one more reduction."""
        self._counts[f"{side}_reductions"].add_(1)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The live tensors by name."""
        return self._counts
