"""What a discriminator's first layer looks for, and what a generator's last layer paints with, as pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from ganlet.latent.inside import Inside
from ganlet.networks.style import ModulatedConvolution

Weighted = nn.Conv2d | nn.ConvTranspose2d | nn.Linear | ModulatedConvolution


def first_filters(inside: Inside) -> tuple[str, torch.Tensor]:
    """The first layer of a discriminator by name, and the filter of each of its units: float32 (units, C, h, w).

    The first convolution that sees more than one pixel; of networks without any, the first linear layer, whose filters
    are as large as pictures. A plane of labels beside the images is left out.
    """
    channels, *size = inside.example.values.shape[1:]
    layers = _weighted(inside)
    convolutions = [name for name, module in layers.items() if isinstance(module, nn.Conv2d)]
    seeing = [name for name in convolutions if max(_of(layers[name]).shape[2:]) > 1]
    name = [*seeing, *convolutions, *layers][0]
    weight = _of(layers[name]).detach().float().cpu()
    if isinstance(layers[name], nn.Linear):
        pixels = channels * int(np.prod(size))
        weight = weight[:, :pixels].reshape(len(weight), channels, *size) if weight.shape[1] >= pixels else weight
    return name, weight[:, :channels]


@torch.no_grad()
def last_filters(inside: Inside) -> tuple[str, torch.Tensor]:
    """The last layer of a generator by name, and what each unit before it paints: float32 (units, C, h, w).

    That is what the layer makes of a map with a single 1 in it: the mark that the unit leaves wherever it fires.
    """
    name, module = list(_weighted(inside).items())[-1]
    if isinstance(module, ModulatedConvolution):
        return name, module.convolution.weight.detach().float().cpu().transpose(0, 1)
    device = next(module.parameters()).device
    if isinstance(module, nn.Linear):
        shape = inside.run(inside.example).shape[1:]
        return name, _of(module).detach().float().cpu().T.reshape(-1, *shape)
    units = module.in_channels
    kernel: Any = module.kernel_size
    side = 2 * max(kernel) + 1  # so wide that no edge of the map is touched
    maps = torch.zeros(units + 1, units, side, side, device=device)
    maps[torch.arange(units), torch.arange(units), side // 2, side // 2] = 1.0
    *marks, nothing = module(maps).float().cpu()
    marks = torch.stack(marks) - nothing
    rows, columns = (marks.abs().amax(dim=(0, 1, axis)).nonzero() for axis in (3, 2))
    if not len(rows):
        return name, marks[..., :1, :1]
    return name, marks[..., int(rows.min()) : int(rows.max()) + 1, int(columns.min()) : int(columns.max()) + 1]


def as_pictures(filters: torch.Tensor) -> np.ndarray:
    """Filters (units, C, h, w) as pictures uint8 (units, h, w, 1 | 3): 0 is mid grey, each one's largest an extreme.

    Of four channels the colours are shown.
    """
    shown = filters[:, : 3 if filters.shape[1] >= 3 else 1]
    scale = shown.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
    return ((shown / scale + 1.0) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


def _weighted(inside: Inside) -> dict[str, Weighted]:
    """The layers with weights that are run, by name, in that order."""
    found: dict[str, Weighted] = {}
    for name in inside.layers:
        module = inside.network.get_submodule(name)
        if isinstance(module, Weighted):
            found[name] = module
    return found


def _of(module: Any) -> torch.Tensor:
    return module.weight
