"""Networks of every kind, small, with numbers as training leaves them."""

from __future__ import annotations

import torch
from torch import nn

from ganlet.networks.settings import GENERATORS, NetworkSettings
from ganlet.networks.zoo import build_network

LATENT_SIZE, NUM_LABELS = 6, 3
SIZE, CHANNELS = (20, 12), 3  # not square, and odd on the way down


def trained_generator(kind: str, num_labels: int = 0, channels: int = CHANNELS, **changes: object) -> nn.Module:
    """A generator none of whose numbers are what they were at the start, such as zeros and ones."""
    settings: NetworkSettings = GENERATORS[kind](width=4, latent_size=LATENT_SIZE, **changes)
    network = build_network(settings, size=SIZE, channels=channels, num_labels=num_labels)
    return shaken(network)


def shaken(network: nn.Module) -> nn.Module:
    """The network in evaluation mode, its numbers moved."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point() and "original" not in name and "parametrizations" not in name:
                tensor += 0.2 * torch.randn(tensor.shape, generator=random).abs()
    return network.eval()
