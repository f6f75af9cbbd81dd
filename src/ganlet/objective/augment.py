"""Differentiable augmentation (Zhao et al. 2020), each policy with a probability (Karras et al. 2020).

Every random number comes from outside, so the same numbers do the same to any images. Nothing here waits for the
device or makes tensors elsewhere: it can be captured, differentiated twice, and its gradients are deterministic.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from ganlet.lazy import torch
from ganlet.settings import NameIn

MOVED_SHARE, CUT_SHARE = 1 / 8, 1 / 2  # of each side


def color(images: torch.Tensor, amounts: torch.Tensor) -> torch.Tensor:
    """Images of another brightness (by up to 0.5), saturation (0 to 2 times) and contrast (0.5 to 1.5 times).

    Three `amounts` of [0, 1) per image (N, 3). Grey images have no saturation, and transparency is no colour.
    """
    brightness, saturation, contrast = (_per_image(amount.to(images.dtype)) for amount in amounts.unbind(1))
    num_colors = min(images.shape[1], 3)
    colors = images[:, :num_colors] + (brightness - 0.5)
    if num_colors == 3:
        colors = _spread(colors, 2.0 * saturation, (1,))
    colors = _spread(colors, contrast + 0.5, (1, 2, 3))
    return colors if num_colors == images.shape[1] else torch.cat([colors, images[:, num_colors:]], dim=1)


def translation(images: torch.Tensor, amounts: torch.Tensor) -> torch.Tensor:
    """Images moved by up to an eighth of each side, down and right by the first two `amounts` (N, 3); 0 moves in."""
    from ganlet.objective.shift import Shift

    farthest = [_share(side, MOVED_SHARE) for side in images.shape[2:]]
    down, right = ((amounts[:, i] * (2 * far + 1)).long() - far for i, far in enumerate(farthest))
    return Shift.apply(images, down, right)


def cutout(images: torch.Tensor, amounts: torch.Tensor) -> torch.Tensor:
    """Images with a rectangle of half their sides set to 0; its centre, by the first two `amounts` (N, 3), is anywhere.

    What hangs over the edge is lost, so that on average less than a quarter of the picture is cut out.
    """
    cut = []
    for i, side in enumerate(images.shape[2:]):
        size = _share(side, CUT_SHARE)
        # An even size has its centre between two pixels: one place more.
        first = (amounts[:, i] * (side + 1 - size % 2)).long() - size // 2
        from_first = torch.arange(side, device=images.device) - first[:, None]
        cut.append((from_first >= 0) & (from_first < size))
    rows, columns = cut
    return torch.where((rows[:, :, None] & columns[:, None, :])[:, None], 0.0, images)


POLICIES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}
Policy = Annotated[str, NameIn(POLICIES)]
DRAWS_EACH = 4  # whether, and up to three amounts
BUILT_IN = len(POLICIES)


def num_draws(policies: Sequence[str] = ()) -> int:
    """How many random numbers `augment` takes for an image.

    Those of the policies above have their places whichever are chosen; one that was entered later comes behind them.
    """
    return DRAWS_EACH * max(BUILT_IN, *(1 + list(POLICIES).index(policy) for policy in policies), 0)


def augment(
    images: torch.Tensor, random: torch.Tensor, strength: torch.Tensor, policies: tuple[str, ...]
) -> torch.Tensor:
    """Images (N, C, H, W) after the policies in their order, each on every image with probability `strength`.

    `random` (N, num_draws(policies)) is uniform in [0, 1), `strength` a scalar tensor in [0, 1]: 1 is Zhao et al. 2020,
    0 leaves images as they are. Each policy has numbers of its own, whichever others there are. As in the paper,
    results are not cut off to [-1, 1].
    """
    draws = dict(zip(POLICIES, random.unflatten(1, (-1, DRAWS_EACH)).unbind(1), strict=False))
    for policy in policies:
        chosen, amounts = draws[policy][:, 0] < strength, draws[policy][:, 1:]
        images = torch.where(_per_image(chosen), POLICIES[policy](images, amounts), images)
    return images


def _spread(colors: torch.Tensor, factor: torch.Tensor, dims: tuple[int, ...]) -> torch.Tensor:
    """Colours farther from their mean over `dims`, by a factor."""
    mean = colors.mean(dims, keepdim=True)
    return (colors - mean) * factor + mean


def _share(side: int, share: float) -> int:
    """A share of a side in whole pixels."""
    return int(side * share + 0.5)


def _per_image(values: torch.Tensor) -> torch.Tensor:
    """(N,) -> (N, 1, 1, 1)."""
    return values[:, None, None, None]


def augmented(
    images: torch.Tensor,
    policies: str | tuple[str, ...] = ("color", "translation", "cutout"),
    strength: float = 1.0,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """`augment` with random numbers of `generator` or, without one, of torch's global one: for loops of one's own.

    Real and generated images must both be augmented before the discriminator sees them. Raises `ValueError` for an
    unknown policy.
    """
    policies = (policies,) if isinstance(policies, str) else tuple(policies)
    if unknown := [policy for policy in policies if policy not in POLICIES]:
        raise ValueError(f"there is no policy {unknown[0]!r}, only {', '.join(POLICIES)}")
    device = images.device if generator is None else generator.device
    random = torch.rand(len(images), num_draws(policies), generator=generator, device=device).to(images.device)
    return augment(images, random, torch.full((), strength, device=images.device), policies)
