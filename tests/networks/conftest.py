from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ganlet.config import RunConfig
from ganlet.networks import DISCRIMINATORS
from ganlet.workflows.configuring import make_config


@pytest.fixture
def small() -> Callable[..., RunConfig]:
    """A resolved config of tiny networks of one kind, with changes by dotted path.

    The discriminator of a generator that has none of its own kind is DCGAN's.
    """

    def small(
        kind: str = "dcgan", size: object = 16, channels: int = 3, num_labels: int = 0, **changes: object
    ) -> RunConfig:
        overrides = {"data.size": size, "data.channels": channels, "generator.latent_size": 5}
        kinds = {"generator": kind, "discriminator": kind if kind in DISCRIMINATORS else "dcgan"}
        for side, its_kind in kinds.items():
            overrides |= {f"{side}.kind": its_kind, f"{side}.width": 2}
        if num_labels:
            overrides |= {"data.labels": "classes", "data.label_names": [f"label {n}" for n in range(num_labels)]}
        return make_config(overrides=overrides | changes)

    return small


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
