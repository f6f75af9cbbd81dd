"""Means of what was measured since the last log row, kept on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch


class Window:
    """Sums and counts of named scalars since the last reading. Part of the training state: log rows resume exactly."""

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        self.names = tuple(names)
        precision = torch.float32 if device.type == "mps" else torch.float64
        self.sums = torch.zeros(len(self.names), dtype=precision, device=device)
        self.counts = torch.zeros(len(self.names), dtype=precision, device=device)
        self._known_counts: dict[tuple[int, ...], torch.Tensor] = {}

    def add(self, sums: dict[str, torch.Tensor], counts: dict[str, int]) -> None:
        """Add sums of scalars by name, each of so many values; names that are not there count nothing."""
        assert sums.keys() <= set(self.names), f"the game does not declare {sorted(sums.keys() - set(self.names))}"
        zero = self.sums.new_zeros(())
        self.sums += torch.stack([sums[name].to(zero.dtype) if name in sums else zero for name in self.names])
        numbers = tuple(counts.get(name, 0) for name in self.names)
        if numbers not in self._known_counts:  # sent to the device once, for that would stall every iteration
            self._known_counts[numbers] = torch.tensor(numbers, dtype=zero.dtype, device=zero.device)
        self.counts += self._known_counts[numbers]

    def read(self) -> dict[str, float]:
        """Means since the last reading, by name; then start anew. Waits for the device."""
        sums, counts = self.sums.tolist(), self.counts.tolist()
        self.sums.zero_()
        self.counts.zero_()
        return {name: total / count for name, total, count in zip(self.names, sums, counts, strict=True) if count}

    def tensors(self) -> dict[str, torch.Tensor]:
        """The live tensors by name."""
        return {"sums": self.sums, "counts": self.counts}
