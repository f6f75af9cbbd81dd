"""Where a discriminator looks: at which pixels its logit hangs, by its gradient and by covering them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ganlet.networks.interfaces import per_picture

PATCHES = 8  # patches side by side that cover the shorter side of a picture


def logit_gradient(discriminator: nn.Module, images: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
    """How fast the logit changes with each pixel: float32 (N, H, W), on the CPU.

    The largest absolute value over the channels (Simonyan et al. 2014, section 3.1). It says which pixels the logit is
    most sensitive to, for changes too small to see; not whether they speak for or against the picture.
    """
    device = next(discriminator.parameters()).device
    images = images.to(device).detach().clone().requires_grad_(True)
    with torch.enable_grad():
        logits = _logits(discriminator, images, labels)
        (gradient,) = torch.autograd.grad(logits.sum(), images)
    return gradient.abs().amax(dim=1).float().cpu()


@torch.no_grad()
def occlusion(
    discriminator: nn.Module, images: torch.Tensor, labels: torch.Tensor | None = None, patch: int | None = None
) -> torch.Tensor:
    """How much the logit falls when the surroundings of each pixel are covered: float32 (N, H, W), on the CPU.

    Patches of the picture's mean colour are laid on at every half of their side, and each pixel has the mean fall of
    those that cover it (Zeiler and Fergus 2014, section 4.2). Positive: what is there makes the picture look real.
    Negative: it looks more real without. Where the logit hangs on the other pictures of a batch, all of them are
    covered at the same place.

    Args:
        patch: side in pixels; default: an eighth of the shorter side.
    """
    images = images.to(next(discriminator.parameters()).device)
    height, width = images.shape[2:]
    patch = patch or max(2, min(height, width) // PATCHES)
    before = _logits(discriminator, images, labels)
    colour = images.mean(dim=(2, 3), keepdim=True)
    falls = torch.zeros(len(images), height, width)
    times = torch.zeros(height, width)
    for top in _starts(height, patch):
        for left in _starts(width, patch):
            covered = images.clone()
            covered[:, :, top : top + patch, left : left + patch] = colour
            fall = (before - _logits(discriminator, covered, labels)).float().cpu()
            falls[:, top : top + patch, left : left + patch] += fall[:, None, None]
            times[top : top + patch, left : left + patch] += 1
    return falls / times


def enlarged(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Maps (N, h, w) of any resolution at the size (H, W) of pictures, bilinear."""
    return functional.interpolate(maps[:, None].float(), size, mode="bilinear", align_corners=False)[:, 0]


def region(maps: torch.Tensor, size: tuple[int, int], share: float = 0.5) -> torch.Tensor:
    """Where in pictures of a size (H, W) a unit with maps (N, h, w) is awake: bool (N, H, W).

    Above that share of the way from the lowest to the highest place of its own map, enlarged; nowhere where all places
    are the same.
    """
    shown = enlarged(maps, size)
    low, high = shown.amin(dim=(1, 2), keepdim=True), shown.amax(dim=(1, 2), keepdim=True)
    return (shown > low + share * (high - low)) & (high > low)


def _logits(discriminator: nn.Module, images: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    given = (images,) if labels is None else (images, labels.to(images.device))
    return per_picture(discriminator(*given), len(images))


def _starts(length: int, patch: int) -> list[int]:
    """Where patches begin: at every half of their side, the last one flush with the edge."""
    last = max(length - patch, 0)
    return sorted({*range(0, last + 1, max(1, patch // 2)), last})
