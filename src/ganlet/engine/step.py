"""One iteration: discriminator steps, generator steps, the averages.

A pure function of (state, inputs): every random draw is in the inputs, so an iteration can be captured in a CUDA graph,
tested, and replayed bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import torch
from torch import nn

from ganlet.config.optimizers import OptimizerConfig
from ganlet.config.schema import RunConfig
from ganlet.engine.distributed import ALONE, Ranks
from ganlet.engine.ema import update_average
from ganlet.engine.inputs import Inputs
from ganlet.engine.optimizers import UNCLIPPED, Clip, clip_weights, descend, trained_parameters
from ganlet.engine.state import TrainState
from ganlet.images import to_network
from ganlet.objective import (
    Adaptation,
    Objective,
    Shown,
    WeightedPenalty,
    build_adaptation,
    build_objective,
)

# The penalties that are due at each of the iteration's discriminator steps.
Due = tuple[tuple[WeightedPenalty, ...], ...]
Measured = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Iteration:
    """How an iteration is carried out; calling it changes the state by one iteration."""

    objective: Objective
    ranks: Ranks
    n_generator: int = 1
    accumulate: int = 1  # parts that a batch is worked through in
    generator_clip: Clip = UNCLIPPED
    discriminator_clip: Clip = UNCLIPPED
    weight_clip: float | None = None
    adaptation: Adaptation | None = None
    autocast_device: str | None = None  # bf16 on that kind of device; None: float32

    def __call__(self, state: TrainState, inputs: Inputs, due: Due) -> None:
        failures: list[torch.Tensor] = []
        measured: Measured = {}
        last = len(due) - 1
        real = fake = inputs.latents  # there is always at least one discriminator step
        for step, penalties in enumerate(due):
            real = to_network(inputs.real[step])
            # The generator step judges the fakes of the last discriminator step again: no second forward pass, unless
            # the batch is worked through in parts because one graph of all of it is too large.
            with self._precision(), torch.set_grad_enabled(step == last and self.accumulate == 1):
                fake = state.generator(inputs.latents[step], inputs.labels_at(step))
            shown = inputs.shown(step, real, fake.detach().float())
            measured |= self._discriminator_steps(state, shown, penalties, failures)
        if inputs.held_out is not None:
            measured["held_out_logit"] = self._held_out_logit(state, inputs, inputs.shown(last, real, fake))
        for turn in range(self.n_generator):
            fresh = turn > 0 or self.accumulate > 1
            shown = inputs.shown(last + 1 + turn, real, fake)
            latents = inputs.latents[last + turn] if fresh else None
            measured |= self._generator_step(state, shown, latents, failures)
        measured["failed_steps"] = torch.stack(failures).sum()
        self.ranks.average([*measured.values(), *_batch_statistics(state.generator, state.discriminator)])
        if self.adaptation is not None:
            self.adaptation(state.adaptive, measured, inputs.num_images * self.ranks.world)
        for average, weight in zip(state.averages, inputs.ema_weights, strict=True):
            update_average(average, state.generator, weight)
        state.window.add(measured)

    def _discriminator_steps(
        self, state: TrainState, shown: Shown, due: tuple[WeightedPenalty, ...], failures: list[torch.Tensor]
    ) -> Measured:
        """One step for each pass of the objective; what is measured is that of the first."""
        measured: Measured = {}
        for number in range(max(1, len(self.objective.passes))):
            parts = _Means()
            totals = (parts.keep(*self._judged(state, part, due, number)) for part in shown.parts(self.accumulate))
            norm, failed = descend(
                state.discriminator_optimizer, totals, self.discriminator_clip, self.ranks.average, "discriminator"
            )
            failures.append(failed)
            if self.weight_clip is not None:
                clip_weights(trained_parameters(state.discriminator_optimizer), self.weight_clip)
            measured = measured or {**parts.read(), "discriminator_gradient_norm": norm}
        return measured

    def _judged(
        self, state: TrainState, shown: Shown, due: tuple[WeightedPenalty, ...], number: int
    ) -> tuple[torch.Tensor, Measured]:
        # Double backward through bf16 is too coarse: steps with a penalty on gradients run in float32 altogether.
        with self._precision(enabled=not any(weighted.penalty.differentiates for weighted in due)):
            return self.objective.for_discriminator(state.discriminator, shown, state.adaptive, due, number)

    def _generator_step(
        self, state: TrainState, shown: Shown, latents: torch.Tensor | None, failures: list[torch.Tensor]
    ) -> Measured:
        """A step on `shown.fake`, or on fresh images of `latents` where they are given."""
        discriminator = trained_parameters(state.discriminator_optimizer)
        for parameter in discriminator:
            parameter.requires_grad_(False)  # its gradients would be computed only to be thrown away
        try:
            parts = _Means()
            totals = (parts.keep(*pair) for pair in self._generated(state, shown, latents))
            clip = self.generator_clip
            norm, failed = descend(state.generator_optimizer, totals, clip, self.ranks.average, "generator")
        finally:
            for parameter in discriminator:
                parameter.requires_grad_(True)  # also after numbers that are not finite: the run may go back
        failures.append(failed)
        return {**parts.read(), "generator_gradient_norm": norm}

    def _generated(
        self, state: TrainState, shown: Shown, latents: torch.Tensor | None
    ) -> Iterator[tuple[torch.Tensor, Measured]]:
        chunks = [None] if latents is None else latents.chunk(self.accumulate)
        for part, chunk in zip(shown.parts(len(chunks)), chunks, strict=True):
            with self._precision():
                fake = part.fake if chunk is None else state.generator(chunk, part.labels)
                yield self.objective.for_generator(state.discriminator, part.of(fake.float()), state.adaptive)

    @torch.no_grad()
    def _held_out_logit(self, state: TrainState, inputs: Inputs, shown: Shown) -> torch.Tensor:
        """The mean logit of pictures that training does not show, as it would be among training pictures."""
        assert inputs.held_out is not None
        # Augmented too: else the discriminator would tell what is augmented from what is not.
        images = self.objective.seen_as_real(to_network(inputs.held_out), shown, state.adaptive)
        statistics = [buffer.clone() for buffer in state.discriminator.buffers()]
        with self._precision():
            logits = state.discriminator(images, inputs.held_out_labels).float()
        for buffer, before in zip(state.discriminator.buffers(), statistics, strict=True):
            buffer.copy_(before)  # only looked at: nothing of them may get into the training state
        return logits.mean()

    def _precision(self, enabled: bool = True) -> AbstractContextManager[object]:
        device = self.autocast_device or "cpu"
        # The cache of casted weights would outlive their update within an iteration, and cannot be captured.
        return torch.autocast(
            device, torch.bfloat16, enabled=enabled and self.autocast_device is not None, cache_enabled=False
        )


def build_iteration(config: RunConfig, ranks: Ranks = ALONE, autocast_device: str | None = None) -> Iteration:
    """The iteration of a resolved config; `autocast_device` is the kind of device where it asks for bf16."""
    train = config.train
    return Iteration(
        objective=build_objective(config),
        ranks=ranks,
        n_generator=train.n_generator,
        accumulate=train.accumulate,
        generator_clip=_clip(config.generator.optimizer),
        discriminator_clip=_clip(config.discriminator.optimizer),
        weight_clip=getattr(config.objective.loss, "clip", None),
        adaptation=build_adaptation(config.objective),
        autocast_device=autocast_device if train.precision == "bf16" else None,
    )


def _clip(settings: OptimizerConfig) -> Clip:
    return Clip(settings.clip_norm, settings.clip_value)


@dataclass
class _Means:
    """Means of what is measured of the parts of a batch."""

    measured: list[Measured] = field(default_factory=list)

    def keep(self, total: torch.Tensor, parts: Measured) -> torch.Tensor:
        self.measured.append(parts)
        return total

    def read(self) -> Measured:
        first, *others = self.measured
        if not others:
            return first
        return {name: torch.stack([parts[name] for parts in self.measured]).mean() for name in first}


def _batch_statistics(*networks: nn.Module) -> list[torch.Tensor]:
    """Running statistics that each rank gathers from its own share of the batch."""
    return [buffer for network in networks for buffer in network.buffers() if buffer.is_floating_point()]
