from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ganlet.config import RunConfig
from ganlet.workflows.configuring import make_config


@pytest.fixture
def small() -> Callable[..., RunConfig]:
    """A resolved config of tiny networks of one kind, with changes by dotted path."""

    def small(kind: str = "dcgan", size: object = 16, channels: int = 3, **changes: object) -> RunConfig:
        overrides = {"data.size": size, "data.channels": channels, "generator.latent_size": 5}
        for side in ("generator", "discriminator"):
            overrides |= {f"{side}.kind": kind, f"{side}.width": 2}
        return make_config(overrides=overrides | changes)

    return small


@pytest.fixture
def normal() -> Callable[..., torch.Tensor]:
    """Standard normal numbers (*shape), the same in every test."""

    def normal(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)

    return normal
