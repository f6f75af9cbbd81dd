"""The moving average of the generator: what samples are drawn with."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)
UNIT_VECTORS = ("._u", "._v")  # of torch's spectral_norm


def start_average(network: Network) -> Network:
    """A frozen copy of `network`, in evaluation mode, that `update_average` keeps."""
    return copy.deepcopy(network).eval().requires_grad_(False)


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, weight: torch.Tensor) -> None:
    """Move `average` towards `network` by the share `weight` (a scalar tensor), in place.

    The running statistics of batch normalisation are averaged like the weights that they belong to: the momentary
    ones would not fit averaged weights. Counters are copied, and so are the vectors of spectral norms: they have length
    1, and an average of them has not.
    """
    old, new = [], []
    for (name, mine), (_, theirs) in zip(_tensors(average), _tensors(network), strict=True):
        if mine.is_floating_point() and not name.endswith(UNIT_VECTORS):
            old.append(mine)
            new.append(theirs)
        else:
            mine.copy_(theirs)
    change = torch._foreach_sub(new, old)  # pyright: ignore[reportPrivateImportUsage]
    torch._foreach_mul_(change, weight)  # pyright: ignore[reportPrivateImportUsage]
    torch._foreach_add_(old, change)  # pyright: ignore[reportPrivateImportUsage]


def _tensors(network: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [*network.named_parameters(), *network.named_buffers()]
