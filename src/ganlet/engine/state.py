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
from ganlet.engine.schedule import images
from ganlet.engine.window import Window
from ganlet.errors import CheckpointError, ConfigError, nearest
from ganlet.networks import Discriminator, Generator, build_discriminator, build_generator
from ganlet.objective import Adaptive, measured_beside

Network = TypeVar("Network", bound=nn.Module)
Members = dict[str, dict[str, torch.Tensor]]


@dataclass
class TrainState:
    """The networks, their optimisers, the averaged generators, the open log window, what adapts, and the clock.

    `average` is the averaged generator that samples are drawn with; `more_averages` have half-lives of their own.
    """

    generator: Generator
    discriminator: Discriminator
    average: Generator
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    window: Window
    adaptive: Adaptive
    more_averages: dict[int, Generator] = field(default_factory=dict)
    course: Course = field(default_factory=Course)
    images_seen: int = 0

    @property
    def averages(self) -> list[Generator]:
        """All averaged generators, the one for samples first."""
        return [self.average, *self.more_averages.values()]

    def members(self) -> Members:
        """All tensors by member and name: what a checkpoint holds. They are the live ones, not copies."""
        return {
            "generator": dict(self.generator.state_dict()),
            "discriminator": dict(self.discriminator.state_dict()),
            "average": dict(self.average.state_dict()),
            **{average_member(h): dict(average.state_dict()) for h, average in self.more_averages.items()},
            "generator_optimizer": optimizer_tensors(self.generator_optimizer, self.generator),
            "discriminator_optimizer": optimizer_tensors(self.discriminator_optimizer, self.discriminator),
            "window": self.window.tensors(),
            "adaptive": self.adaptive.tensors(),
            "course": self.course.tensors(),
        }

    def set_stage(self, stage: int, fade: float) -> None:
        """Let all networks work at a stage of growing."""
        for network in (self.generator, self.discriminator, *self.averages):
            network.set_stage(stage, fade)

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
    _freeze(generator, config.generator.freeze, "generator.freeze")
    _freeze(discriminator, config.discriminator.freeze, "discriminator.freeze")
    return TrainState(
        generator=generator,
        discriminator=discriminator,
        average=start_average(generator),
        generator_optimizer=build_optimizer(generator, config.generator.optimizer),
        discriminator_optimizer=build_optimizer(discriminator, config.discriminator.optimizer),
        window=Window(measured_beside(config), device),
        adaptive=Adaptive(config.objective, device),
        more_averages={images(h): start_average(generator) for h in config.generator.ema.more_half_lives},
    )


def average_member(half_life: int) -> str:
    """The member of a checkpoint that holds the further average of that half-life."""
    return f"average_{half_life}"


def _freeze(network: nn.Module, prefixes: tuple[str, ...], where: str) -> None:
    """Let the layers with names that start so keep their weights. Raises `ConfigError` where there are none."""
    names = [name for name, _ in network.named_parameters()]
    for prefix in prefixes:
        if not any(_belongs(name, prefix) for name in names):
            layers = sorted({name.rpartition(".")[0] for name in names})
            near = nearest(prefix, layers)
            raise ConfigError(
                "There is no such layer to freeze.",
                where=where,
                got=prefix,
                expected=f"the start of the name of one of: {', '.join(layers)}",
                hint=f"did you mean {near}?" if near else None,
            )
    frozen = [name for name in names if any(_belongs(name, prefix) for prefix in prefixes)]
    if len(frozen) == len(names):
        raise ConfigError("A network with all of its layers frozen cannot learn.", where=where, got=", ".join(prefixes))
    for name in frozen:
        network.get_parameter(name).requires_grad_(False)


def _belongs(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix.rstrip('.')}.")


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
