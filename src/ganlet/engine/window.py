"""Means of what was measured since the last log row, kept on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch

# In the order in which they are logged; what only some runs measure follows.
MEASURED = (
    "discriminator_loss",
    "generator_loss",
    "real_logit",
    "fake_logit",
    "real_probability",
    "fake_probability",
    "discriminator_gradient_norm",
    "generator_gradient_norm",
    "failed_steps",
)


class Window:
    """Sums and counts of named scalars since the last reading. Part of the training state: log rows resume exactly."""

    def __init__(self, others: Sequence[str], device: torch.device) -> None:
        self.names = (*MEASURED, *others)
        precision = torch.float32 if device.type == "mps" else torch.float64
        self.sums = torch.zeros(len(self.names), dtype=precision, device=device)
        self.counts = torch.zeros(len(self.names), dtype=precision, device=device)
        self._flags: dict[frozenset[str], torch.Tensor] = {}

    def add(self, measured: dict[str, torch.Tensor]) -> None:
        """Add scalars by name; names that are not there (a lazy penalty between its turns) count nothing."""
        assert measured.keys() <= set(self.names), measured.keys() - set(self.names)
        zero = self.sums.new_zeros(())
        values = [measured[name].to(self.sums.dtype) if name in measured else zero for name in self.names]
        self.sums += torch.stack(values)
        self.counts += self._present(frozenset(measured))

    def read(self) -> dict[str, float]:
        """Means since the last reading, by name; then start anew. Waits for the device."""
        sums, counts = self.sums.tolist(), self.counts.tolist()
        self.sums.zero_()
        self.counts.zero_()
        return {name: total / count for name, total, count in zip(self.names, sums, counts, strict=True) if count}

    def tensors(self) -> dict[str, torch.Tensor]:
        """The live tensors by name."""
        return {"sums": self.sums, "counts": self.counts}

    def _present(self, measured: frozenset[str]) -> torch.Tensor:
        """1 for each name that was measured, else 0; sent to the device once, for that would stall every iteration."""
        if measured not in self._flags:
            flags = [float(name in measured) for name in self.names]
            self._flags[measured] = torch.tensor(flags, dtype=self.counts.dtype, device=self.counts.device)
        return self._flags[measured]
