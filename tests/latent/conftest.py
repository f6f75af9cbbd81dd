"""Generators of every kind, small, for tests of what is done with their latents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ganlet.games import Gan
from ganlet.networks.interfaces import Generator
from ganlet.workflows.configuring import make_config


@pytest.fixture
def generator_of() -> Callable[..., Generator]:
    """A generator of a kind, with its initial weights, in evaluation mode."""

    def generator_of(
        kind: str = "dcgan",
        *,
        skip_latent: bool = False,
        labels: int = 0,
        size: Any = 16,
        channels: int = 3,
        **more: Any,
    ) -> Generator:
        overrides = {"data.size": size, "data.channels": channels, "generator.kind": kind, "generator.width": 4}
        overrides |= {"generator.latent_size": 12, "generator.initial": "kaiming"}
        if skip_latent:
            overrides |= {"generator.skip_latent": True}
        if labels:
            overrides |= {"data.labels": "classes", "data.label_names": [f"label {n}" for n in range(labels)]}
        overrides |= {f"generator.{name}": value for name, value in more.items()}
        generator: Any = Gan(make_config(overrides=overrides)).networks()["generator"]
        return generator.eval()

    return generator_of
