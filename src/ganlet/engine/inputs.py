"""What one iteration is fed, as tensors on the device: all that it needs besides the state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import torch

from ganlet.objective import Shown

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Inputs:
    """What one iteration is fed, for this rank's share of the batch. Steps: discriminator's first, then generator's.

    real: uint8 (n_critic, N, H, W, C)
    latents: float32 (n_critic + n_generator - 1, N, latent_size) or (..., num_levels, latent_size)
    ema_weights: float32 (1 + more half-lives,), share of the new weights in each average
    labels: float32 (n_critic, N, num_labels), or None
    levels: float32 scalars by name, see `Shown`
    random: float32 (n_critic + n_generator, N, ...) by name, what the objective needs
    held_out: uint8 (N, H, W, C), pictures that are kept out of training, with their labels; or None
    """

    real: torch.Tensor
    latents: torch.Tensor
    ema_weights: torch.Tensor
    labels: torch.Tensor | None = None
    levels: Tensors = field(default_factory=dict)
    random: Tensors = field(default_factory=dict)
    held_out: torch.Tensor | None = None
    held_out_labels: torch.Tensor | None = None

    @property
    def num_images(self) -> int:
        """Real images of this rank."""
        return self.real.shape[0] * self.real.shape[1]

    def labels_at(self, step: int) -> torch.Tensor | None:
        """The labels of a step: generator steps have those of the last discriminator step."""
        return None if self.labels is None else self.labels[min(step, len(self.labels) - 1)]

    def shown(self, step: int, real: torch.Tensor, fake: torch.Tensor) -> Shown:
        """Images of a step with all that belongs to them."""
        random = {name: numbers[step] for name, numbers in self.random.items()}
        return Shown(real, fake, self.labels_at(step), random, self.levels)

    def tensors(self) -> Tensors:
        """All tensors that are there, by name, in a fixed order."""
        found: Tensors = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, dict):
                found |= {f"{one.name}/{name}": tensor for name, tensor in value.items()}
            elif value is not None:
                found[one.name] = value
        return found

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Inputs:
        """The inputs with every tensor changed."""
        changed = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, dict):
                changed[one.name] = {name: change(tensor) for name, tensor in value.items()}
            else:
                changed[one.name] = None if value is None else change(value)
        return replace(self, **changed)
