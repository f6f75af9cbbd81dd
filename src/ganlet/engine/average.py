"""A moving average of weights for loops of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from ganlet.engine.state import start_average
from ganlet.engine.step import update_average
from ganlet.games import Average


class EMA:
    """Exponential moving average of a network's weights and running statistics, in images (Karras et al. 2020).

    Args:
        network: the network in training.
        half_life: images after which a weight counts half; 0: the average is always the network.
        ramp_up: the half-life is at most this share of the images seen, so that the first weights are soon forgotten.

    Attributes:
        module: the average, a frozen copy of the network in evaluation mode.
        images_seen: the clock.
    """

    def __init__(self, network: nn.Module, half_life: int = 10_000, ramp_up: float = 0.1) -> None:
        self.network = network
        self.average = Average("network", half_life, ramp_up)
        self.module = start_average(network)
        self.images_seen = 0

    def update(self, num_images: int) -> None:
        """Follow the network after a step with so many new images."""
        self.images_seen += num_images
        weight = self.average.weight(self.images_seen, num_images)
        device = next(self.network.parameters()).device
        update_average(self.module, self.network, torch.full((), weight, device=device))

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint of one's own keeps: the averaged weights, and the clock."""
        return {"module": self.module.state_dict(), "images_seen": self.images_seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.module.load_state_dict(state["module"])
        self.images_seen = state["images_seen"]
