"""Self-attention between the places of a map, for what convolutions cannot see at once."""

from __future__ import annotations

import torch
from torch import nn

QUERY_SHARE, VALUE_SHARE = 8, 2  # of the channels; as in the authors' code


class SelfAttention(nn.Module):
    """Maps (N, C, H, W) -> maps + gamma * what each place gathers from all others (Zhang et al. 2019, section 3).

    gamma is learned and starts at 0: a network begins without attention. Memory grows with (H * W) squared.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        query_channels, value_channels = max(1, channels // QUERY_SHARE), max(1, channels // VALUE_SHARE)
        self.query = nn.Conv2d(channels, query_channels, 1, bias=False)
        self.key = nn.Conv2d(channels, query_channels, 1, bias=False)
        self.value = nn.Conv2d(channels, value_channels, 1, bias=False)
        self.out = nn.Conv2d(value_channels, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        # Written out: the fused kernels of scaled_dot_product_attention have no second derivative.
        queries, keys, values = (layer(maps).flatten(2) for layer in (self.query, self.key, self.value))
        weights = torch.softmax(queries.mT @ keys, dim=2)  # (N, place, place looked at)
        gathered = (weights @ values.mT).unflatten(1, maps.shape[2:])  # (N, H, W, C / 2), so channels-last
        return maps + self.gamma * self.out(gathered.permute(0, 3, 1, 2))
