"""How much memory a run will take, measured on a tiny batch before anything is started."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ganlet.config.schema import RunConfig
from ganlet.engine.state import TrainState

ADAM_COPIES = 4  # weight, gradient and two moments of each parameter
BYTES = 4


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of the weights with all that belongs to them, and of what one batch keeps for its backward passes."""

    weights: int
    batch: int

    @property
    def total(self) -> int:
        """Bytes altogether, without torch itself and the pictures."""
        return self.weights + self.batch


def estimate_memory(config: RunConfig, state: TrainState) -> MemoryEstimate:
    """The largest amount that one iteration holds at a time.

    That is in the discriminator step: the generator's graph waits for its own step while the discriminator's graphs of
    real and fake images are there, twice over where a penalty differentiates through their gradients.
    """
    generator, discriminator = state.generator, state.discriminator
    num_labels = config.data.num_labels
    parameters = sum(p.numel() for net in (generator, discriminator) for p in net.parameters())
    averaged = sum(t.numel() for average in state.averages for t in [*average.parameters(), *average.buffers()])
    graphs = 4 if config.objective.penalties else 2
    kept = {}
    for batch in (2, 4):
        latents = torch.zeros(batch, generator.latent_size)
        labels = torch.zeros(batch, num_labels) if num_labels else None
        images = torch.zeros(batch, *generator(latents, labels).shape[1:])
        in_discriminator = _saved_bytes(discriminator, images, labels)
        kept[batch] = _saved_bytes(generator, latents, labels) + graphs * in_discriminator
    # The weights, kept for the backward pass too, are the same in both and cancel out.
    per_image = (kept[4] - kept[2]) / 2
    return MemoryEstimate(
        weights=BYTES * (ADAM_COPIES * parameters + averaged),
        batch=round(per_image * config.train.batch_size / config.train.accumulate),
    )


def _saved_bytes(network: nn.Module, inputs: torch.Tensor, labels: torch.Tensor | None) -> int:
    """Bytes of all distinct tensors that a forward pass keeps for its backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = network(inputs, labels)
    del result
    return sum(kept.values())
