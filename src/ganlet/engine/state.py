"""Everything that a run carries from one iteration to the next, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, cast

import torch
from torch import nn

from ganlet.config.schema import RunConfig
from ganlet.engine.course import Course
from ganlet.engine.ema import start_average
from ganlet.engine.optimizers import build_optimizer, optimizer_tensors
from ganlet.engine.window import Window
from ganlet.errors import CheckpointError
from ganlet.networks import Discriminator, Generator, build_discriminator, build_generator

Network = TypeVar("Network", bound=nn.Module)
Members = dict[str, dict[str, torch.Tensor]]


@dataclass
class TrainState:
    """The two networks, their optimisers, the averaged generator, the open log window, the course, and the clock."""

    generator: Generator
    discriminator: Discriminator
    average: Generator
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    window: Window
    course: Course = field(default_factory=Course)
    images_seen: int = 0

    def members(self) -> Members:
        """All tensors by member and name: what a checkpoint holds. They are the live ones, not copies."""
        return {
            "generator": dict(self.generator.state_dict()),
            "discriminator": dict(self.discriminator.state_dict()),
            "average": dict(self.average.state_dict()),
            "generator_optimizer": optimizer_tensors(self.generator_optimizer, self.generator),
            "discriminator_optimizer": optimizer_tensors(self.discriminator_optimizer, self.discriminator),
            "window": self.window.tensors(),
            "course": self.course.tensors(),
        }

    @torch.no_grad()
    def load(self, members: Members, images_seen: int) -> None:
        """Take over saved tensors in place. Raises `CheckpointError` unless every name and shape fits."""
        mine = self.members()
        problems = _misfits(mine, members)
        if problems:
            raise CheckpointError(
                "The checkpoint does not fit this config.",
                got="; ".join(problems[:5]) + ("; ..." if len(problems) > 5 else ""),
                hint="ganlet resume takes the config from the run folder; do not exchange its files",
            )
        for member, tensors in mine.items():
            for name, tensor in tensors.items():
                tensor.copy_(members[member][name])
        self.images_seen = images_seen


def build_state(config: RunConfig, device: torch.device) -> TrainState:
    """The state of a resolved config before the first image, on `device`, channels last in memory.

    With `train.sync_batch_norm` and several ranks, batch statistics are those of all ranks together.
    """
    generator = _place(build_generator(config), device)
    discriminator = _place(build_discriminator(config), device)
    if config.train.sync_batch_norm and torch.distributed.is_available() and torch.distributed.is_initialized():
        generator = cast(Generator, nn.SyncBatchNorm.convert_sync_batchnorm(generator))
        discriminator = cast(Discriminator, nn.SyncBatchNorm.convert_sync_batchnorm(discriminator))
    return TrainState(
        generator=generator,
        discriminator=discriminator,
        average=start_average(generator),
        generator_optimizer=build_optimizer(generator, config.generator.optimizer),
        discriminator_optimizer=build_optimizer(discriminator, config.discriminator.optimizer),
        window=Window([penalty.kind for penalty in config.objective.penalties], device),
    )


def _place(network: Network, device: torch.device) -> Network:
    return network.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _misfits(mine: Members, theirs: Members) -> list[str]:
    """A line for every tensor that is missing, unknown or of another shape."""
    expected = {f"{m}/{n}": tuple(t.shape) for m, tensors in mine.items() for n, t in tensors.items()}
    found = {f"{m}/{n}": tuple(t.shape) for m, tensors in theirs.items() for n, t in tensors.items()}
    missing = [f"{name} is missing" for name in expected if name not in found]
    unknown = [f"{name} is unknown" for name in found if name not in expected]
    other = [
        f"{name} has shape {found[name]} instead of {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    return missing + unknown + other
