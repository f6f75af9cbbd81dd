"""One iteration: `n_critic` discriminator steps, one generator step, the average.

A pure function of (state, inputs): every random draw is in the inputs, so an iteration can be captured in a CUDA graph,
tested, and replayed bit for bit.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, fields

import torch
from torch import nn

from ganlet.engine.distributed import Ranks
from ganlet.engine.ema import update_average
from ganlet.engine.optimizers import descend
from ganlet.engine.state import TrainState
from ganlet.images import to_network
from ganlet.objective import Noise, Objective, WeightedPenalty


@dataclass(frozen=True)
class Inputs:
    """What one iteration is fed, for this rank's share of the batch.

    real: uint8 (n_critic, N, H, W, C)
    latents: float32 (n_critic, N, latent_size)
    ema_weight: float32 scalar, share of the new weights in the average
    noise: float32 (n_critic + 1, 2, N, C, H, W), standard normal, for real and fake images at each step; or None
    noise_level: float32 scalar, or None
    """

    real: torch.Tensor
    latents: torch.Tensor
    ema_weight: torch.Tensor
    noise: torch.Tensor | None = None
    noise_level: torch.Tensor | None = None

    def tensors(self) -> list[torch.Tensor]:
        """Those that are there, in a fixed order."""
        values = (getattr(self, field.name) for field in fields(self))
        return [value for value in values if value is not None]

    def noise_at(self, step: int) -> Noise | None:
        """The instance noise of one discriminator step, or of the generator step (the last)."""
        if self.noise is None or self.noise_level is None:
            return None
        return Noise(self.noise[step, 0], self.noise[step, 1], self.noise_level)


# The penalties that are due at each of the iteration's discriminator steps.
Due = tuple[tuple[WeightedPenalty, ...], ...]


@dataclass(frozen=True)
class Iteration:
    """How an iteration is carried out; calling it changes the state by one iteration."""

    objective: Objective
    ranks: Ranks
    generator_clip: float | None = None
    discriminator_clip: float | None = None
    autocast_device: str | None = None  # bf16 on that kind of device; None: float32

    def __call__(self, state: TrainState, inputs: Inputs, due: Due) -> None:
        measured: dict[str, torch.Tensor] = {}
        failures: list[torch.Tensor] = []
        last = len(due) - 1
        real = fake = inputs.latents  # there is always at least one discriminator step
        for step, penalties in enumerate(due):
            real = to_network(inputs.real[step])
            # The generator step judges the fakes of the last discriminator step again: no second forward pass.
            with self._precision(), torch.set_grad_enabled(step == last):
                fake = state.generator(inputs.latents[step])
            measured |= self._discriminator_step(state, real, fake.detach(), penalties, inputs.noise_at(step), failures)
        measured |= self._generator_step(state, real, fake, inputs.noise_at(last + 1), failures)
        measured["failed_steps"] = torch.stack(failures).sum()
        self.ranks.average([*measured.values(), *_batch_statistics(state.generator, state.discriminator)])
        update_average(state.average, state.generator, inputs.ema_weight)
        state.window.add(measured)

    def _discriminator_step(
        self,
        state: TrainState,
        real: torch.Tensor,
        fake: torch.Tensor,
        due: tuple[WeightedPenalty, ...],
        noise: Noise | None,
        failures: list[torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        # Double backward through bf16 is too coarse: steps with a penalty run in float32 altogether.
        with self._precision(enabled=not due):
            total, parts = self.objective.for_discriminator(state.discriminator, real, fake.float(), due, noise)
        norm, failed = descend(
            state.discriminator_optimizer, total, self.discriminator_clip, self.ranks.average, "discriminator"
        )
        failures.append(failed)
        return {**parts, "discriminator_gradient_norm": norm}

    def _generator_step(
        self,
        state: TrainState,
        real: torch.Tensor,
        fake: torch.Tensor,
        noise: Noise | None,
        failures: list[torch.Tensor],
    ) -> dict[str, torch.Tensor]:
        state.discriminator.requires_grad_(False)  # its gradients would be computed only to be thrown away
        try:
            with self._precision():
                total, parts = self.objective.for_generator(state.discriminator, real, fake, noise)
            clip = self.generator_clip
            norm, failed = descend(state.generator_optimizer, total, clip, self.ranks.average, "generator")
        finally:
            state.discriminator.requires_grad_(True)  # also after numbers that are not finite: the run may go back
        failures.append(failed)
        return {**parts, "generator_gradient_norm": norm}

    def _precision(self, enabled: bool = True) -> AbstractContextManager[object]:
        device = self.autocast_device or "cpu"
        # The cache of casted weights would outlive their update within an iteration, and cannot be captured.
        return torch.autocast(
            device, torch.bfloat16, enabled=enabled and self.autocast_device is not None, cache_enabled=False
        )


def _batch_statistics(*networks: nn.Module) -> list[torch.Tensor]:
    """Running statistics that each rank gathers from its own share of the batch."""
    return [buffer for network in networks for buffer in network.buffers() if buffer.is_floating_point()]
