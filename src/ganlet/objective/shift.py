"""Images moved by whole pixels, with a gradient that is the same at every run."""

from __future__ import annotations

from typing import Any

import torch


class Shift(torch.autograd.Function):
    """Images moved by whole pixels; their gradients move back again, which is quick and always the same sum.

    The gradient of an index would be collected by atomic additions, whose order on a GPU is left to chance.
    """

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, down: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(down, right)
        return _shifted(images, down, right)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        down, right = ctx.saved_tensors
        return Shift.apply(gradients[0], -down, -right), None, None


def _shifted(images: torch.Tensor, down: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Images (N, C, H, W) moved by whole pixels (N,) each way, with 0 where nothing comes from."""
    num, _, height, width = images.shape
    rows = torch.arange(height, device=images.device) - down[:, None]
    columns = torch.arange(width, device=images.device) - right[:, None]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
    # Pixels are the rows of a table of colours: of channels-last images it is a view, and is read row by row.
    rows = torch.arange(num, device=images.device)[:, None] * height + rows.clamp(0, height - 1)
    sources = rows[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
    moved = images.permute(0, 2, 3, 1).flatten(0, 2).index_select(0, sources.flatten())
    return moved.unflatten(0, (num, height, width)).permute(0, 3, 1, 2).masked_fill_(~inside[:, None], 0.0)
