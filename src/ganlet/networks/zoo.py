"""From settings to networks."""

from __future__ import annotations

import torch
from torch import nn

from ganlet.networks.init import initialise
from ganlet.networks.norms import add_spectral_norm
from ganlet.networks.settings import NetworkSettings
from ganlet.randomness import derive


def build_network(
    settings: NetworkSettings,
    *,
    size: tuple[int, int],
    channels: int,
    num_labels: int = 0,
    grow_from: int | None = None,
    seed: int = 0,
    name: str = "generator",
) -> nn.Module:
    """The network of these settings on the CPU, with its initial weights: a pure function of settings and seed.

    Networks of other names have other weights. `grow_from` is the shorter side of the first stage of growing.
    """
    shape = {"size": size, "channels": channels, "num_labels": num_labels}
    if grow_from is not None:
        shape["grow_from"] = grow_from
    with torch.random.fork_rng(devices=[]):  # PyTorch draws weights of its own first
        network = settings.module()(**shape, **settings.arguments())
    if torch.get_default_device().type != "meta":  # an outline has no weights to draw
        initialise(network, settings.initial, derive(seed, f"initial/{name}"))
    if settings.spectral:
        # The discriminator was the first to have one, and its stream is part of what old runs were.
        stream = "initial/spectral" if name == "discriminator" else f"initial/{name} spectral"
        add_spectral_norm(network, derive(seed, stream))
    return network


def parameter_count(network: nn.Module) -> int:
    """How many trainable numbers a network has."""
    return sum(parameter.numel() for parameter in network.parameters())
