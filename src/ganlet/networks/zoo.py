"""The networks by name, and the only place where a config becomes a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ganlet.config.networks import (
    DcganDiscriminatorConfig,
    DcganGeneratorConfig,
    MlpDiscriminatorConfig,
    MlpGeneratorConfig,
)
from ganlet.config.schema import RunConfig
from ganlet.networks.dcgan import DcganDiscriminator, DcganGenerator
from ganlet.networks.initial import initialise
from ganlet.networks.interfaces import Discriminator, Generator
from ganlet.networks.mlp import MlpDiscriminator, MlpGenerator
from ganlet.networks.norms import add_spectral_norm
from ganlet.randomness import derive


def build_generator(config: RunConfig) -> Generator:
    """The generator of a resolved config on the CPU, with its initial weights."""
    settings = config.generator
    with torch.random.fork_rng(devices=[]):  # PyTorch draws weights of its own first
        generator = GENERATORS[settings.kind](settings, _shape(config))
    initialise(generator, settings.initial, derive(config.seed, "initial/generator"))
    return generator


def build_discriminator(config: RunConfig) -> Discriminator:
    """The discriminator of a resolved config on the CPU, with its initial weights."""
    settings = config.discriminator
    with torch.random.fork_rng(devices=[]):  # PyTorch draws weights of its own first
        discriminator = DISCRIMINATORS[settings.kind](settings, _shape(config))
    initialise(discriminator, settings.initial, derive(config.seed, "initial/discriminator"))
    if getattr(settings, "spectral", False):
        add_spectral_norm(discriminator, derive(config.seed, "initial/spectral"))
    return discriminator


def parameter_count(network: nn.Module) -> int:
    """How many trainable numbers a network has."""
    return sum(parameter.numel() for parameter in network.parameters())


def _shape(config: RunConfig) -> dict[str, Any]:
    assert config.data.channels != "auto", "the config must be resolved first"
    return {"size": config.data.size, "channels": config.data.channels}


def _mlp_generator(settings: MlpGeneratorConfig, shape: dict[str, Any]) -> Generator:
    return MlpGenerator(
        **shape,
        latent_size=settings.latent_size,
        width=settings.width,
        layers=settings.layers,
        norm=settings.norm,
        dropout=settings.dropout,
    )


def _dcgan_generator(settings: DcganGeneratorConfig, shape: dict[str, Any]) -> Generator:
    return DcganGenerator(
        **shape,
        latent_size=settings.latent_size,
        width=settings.width,
        max_multiplier=settings.max_multiplier,
        upsample=settings.upsample,
        norm=settings.norm,
        dropout=settings.dropout,
    )


def _mlp_discriminator(settings: MlpDiscriminatorConfig, shape: dict[str, Any]) -> Discriminator:
    return MlpDiscriminator(**shape, width=settings.width, layers=settings.layers, dropout=settings.dropout)


def _dcgan_discriminator(settings: DcganDiscriminatorConfig, shape: dict[str, Any]) -> Discriminator:
    return DcganDiscriminator(
        **shape,
        width=settings.width,
        max_multiplier=settings.max_multiplier,
        norm=settings.norm,
        dropout=settings.dropout,
    )


GENERATORS: dict[str, Callable[[Any, dict[str, Any]], Generator]] = {
    "mlp": _mlp_generator,
    "dcgan": _dcgan_generator,
}
DISCRIMINATORS: dict[str, Callable[[Any, dict[str, Any]], Discriminator]] = {
    "mlp": _mlp_discriminator,
    "dcgan": _dcgan_discriminator,
}
