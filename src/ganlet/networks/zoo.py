"""The networks by name, and the only place where a config becomes a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ganlet.config.base import Settings
from ganlet.config.schema import RunConfig
from ganlet.networks.dcgan import DcganDiscriminator, DcganGenerator
from ganlet.networks.initial import initialise
from ganlet.networks.interfaces import Discriminator, Generator
from ganlet.networks.mlp import MlpDiscriminator, MlpGenerator
from ganlet.networks.norms import add_spectral_norm
from ganlet.networks.resnet import ResnetDiscriminator, ResnetGenerator
from ganlet.networks.style import StyleGenerator
from ganlet.randomness import derive


def build_generator(config: RunConfig) -> Generator:
    """The generator of a resolved config on the CPU, with its initial weights."""
    settings = config.generator
    with torch.random.fork_rng(devices=[]):  # PyTorch draws weights of its own first
        generator = GENERATORS[settings.kind](**_shape(config), **_layers(settings))
    initialise(generator, settings.initial, derive(config.seed, "initial/generator"))
    if settings.spectral:
        add_spectral_norm(generator, derive(config.seed, "initial/generator spectral"))
    return generator


def build_discriminator(config: RunConfig) -> Discriminator:
    """The discriminator of a resolved config on the CPU, with its initial weights."""
    settings = config.discriminator
    with torch.random.fork_rng(devices=[]):  # PyTorch draws weights of its own first
        discriminator = DISCRIMINATORS[settings.kind](**_shape(config), **_layers(settings))
    initialise(discriminator, settings.initial, derive(config.seed, "initial/discriminator"))
    if settings.spectral:
        add_spectral_norm(discriminator, derive(config.seed, "initial/spectral"))
    return discriminator


def parameter_count(network: nn.Module) -> int:
    """How many trainable numbers a network has."""
    return sum(parameter.numel() for parameter in network.parameters())


def _shape(config: RunConfig) -> dict[str, Any]:
    assert config.data.channels != "auto", "the config must be resolved first"
    shape = {"size": config.data.size, "channels": config.data.channels, "num_labels": config.data.num_labels}
    growing = config.train.growing
    return shape | {"grow_from": growing.start} if growing.every else shape


def _layers(settings: Settings) -> dict[str, Any]:
    """The settings that a network's constructor takes: all but those that say how it starts and how it is trained."""
    others = {"kind", "initial", "spectral", "optimizer", "freeze", "ema", "latents", "style_mixing"}
    return settings.model_dump(exclude=others)


GENERATORS: dict[str, Callable[..., Generator]] = {
    "mlp": MlpGenerator,
    "dcgan": DcganGenerator,
    "resnet": ResnetGenerator,
    "style": StyleGenerator,
}
DISCRIMINATORS: dict[str, Callable[..., Discriminator]] = {
    "mlp": MlpDiscriminator,
    "dcgan": DcganDiscriminator,
    "resnet": ResnetDiscriminator,
}
