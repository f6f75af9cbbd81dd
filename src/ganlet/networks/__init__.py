"""Generators and discriminators: plain modules, and `build_*` functions that read the config."""

from ganlet.networks.interfaces import Discriminator, Generator
from ganlet.networks.zoo import DISCRIMINATORS, GENERATORS, build_discriminator, build_generator, parameter_count

__all__ = [
    "DISCRIMINATORS",
    "GENERATORS",
    "Discriminator",
    "Generator",
    "build_discriminator",
    "build_generator",
    "parameter_count",
]
