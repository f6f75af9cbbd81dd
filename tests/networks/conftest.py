from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ganlet.config import RunConfig
from ganlet.games import Gan
from ganlet.networks.interfaces import Discriminator, Generator
from ganlet.networks.settings import DISCRIMINATORS, GENERATORS
from ganlet.workflows.configuring import make_config


@pytest.fixture
def small() -> Callable[..., RunConfig]:
    """A resolved config of tiny networks of one kind, with changes by dotted path.

    The other network of one that has none of its own kind is DCGAN's.
    """

    def small(
        kind: str = "dcgan", size: object = 16, channels: int = 3, num_labels: int = 0, **changes: object
    ) -> RunConfig:
        overrides = {"data.size": size, "data.channels": channels, "generator.latent_size": 5}
        for side, registry in (("generator", GENERATORS), ("discriminator", DISCRIMINATORS)):
            overrides |= {f"{side}.kind": kind if kind in registry else "dcgan", f"{side}.width": 2}
        if num_labels:
            overrides |= {"data.labels": "classes", "data.label_names": [f"label {n}" for n in range(num_labels)]}
        return make_config(overrides=overrides | changes)

    return small


@pytest.fixture
def generator_of() -> Callable[[RunConfig], Generator]:
    """The generator of a resolved config, with its initial weights."""
    return lambda config: Gan(config).networks()["generator"]


@pytest.fixture
def discriminator_of() -> Callable[[RunConfig], Discriminator]:
    """The discriminator of a resolved config, with its initial weights."""
    return lambda config: Gan(config).networks()["discriminator"]


@pytest.fixture
def normal() -> Callable[..., torch.Tensor]:
    """Standard normal numbers (*shape), the same in every test."""

    def normal(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)

    return normal


@pytest.fixture
def one_hot() -> Callable[..., torch.Tensor]:
    """Label vectors (N, num_labels) of the classes given."""

    def one_hot(*classes: int, num_labels: int) -> torch.Tensor:
        return torch.eye(num_labels)[list(classes)]

    return one_hot
