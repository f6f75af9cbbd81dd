"""How smooth the way from latents to pictures is: perceptual path length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from ganlet.errors import MetricError
from ganlet.metrics.accumulate import check_count
from ganlet.networks.latents import interpolate
from ganlet.randomness import Distribution

EPSILON = 1e-4
DISCARD = (1.0, 99.0)  # percentiles; what lies outside is left out

Generate = Callable[..., torch.Tensor]  # of latents, and of labels where there are any
Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class PathLength:
    """Perceptual path length: the mean over short steps, those at both ends of the list left out."""

    value: float
    spread: float  # standard deviation of the steps that were kept
    num_steps: int  # all that were taken


def step_distances(
    generate: Generate,
    distance: Distance,
    starts: torch.Tensor,
    ends: torch.Tensor,
    positions: torch.Tensor,
    latents: Distribution,
    labels: torch.Tensor | None = None,
    *,
    epsilon: float = EPSILON,
    batch_size: int = 50,
) -> np.ndarray:
    """Distances (N,) of pictures a short step apart, at positions (N,) on the ways from starts to ends (N, L).

    `generate` takes latents (n, L), and label vectors (n, num_labels) if there are any, to images; `distance` takes the
    images before and after the step to numbers (n,) that grow with the square of the step, such as LPIPS or
    `squared_distance` of features. Images must stay float: in uint8 nearly all steps are 0. Karras et al. 2019,
    section 4.1.
    """
    positions = positions.cpu().double()  # float32 would round the step itself
    distances = []
    with torch.no_grad():
        for start in range(0, len(starts), batch_size):
            rows = slice(start, start + batch_size)
            before = interpolate(starts[rows], ends[rows], positions[rows], latents)
            after = interpolate(starts[rows], ends[rows], positions[rows] + epsilon, latents)
            both = torch.cat([before, after])
            images = generate(both) if labels is None else generate(both, labels[rows].repeat(2, 1))
            distances.append(distance(*images.chunk(2)).cpu().double())
    return torch.cat(distances).numpy() if distances else np.empty(0)


def squared_distance(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Squared Euclidean distances (N,) of rows of features (N, F)."""
    return (after - before).square().sum(dim=1)


def perceptual_path_length(distances: ArrayLike, epsilon: float = EPSILON) -> PathLength:
    """The mean of distances (N,) over epsilon squared, without those beyond the percentiles 1 and 99.

    Karras et al. 2019, equation 2; the trimming is that of the authors' code and of torch-fidelity. Raises MetricError
    where there are no distances, or where they are not finite.
    """
    steps = np.asarray(distances, dtype=np.float64)
    check_count(len(steps), "steps", at_least=1)
    if not np.isfinite(steps).all():
        raise MetricError(
            "The distances between pictures are not finite.",
            got=f"{np.count_nonzero(~np.isfinite(steps))} of {len(steps)} with NaN or infinity",
            expected="finite numbers",
            hint="look at the generated pictures: a run that diverged gives NaN",
        )
    low = np.percentile(steps, DISCARD[0], method="lower")
    high = np.percentile(steps, DISCARD[1], method="higher")
    kept = steps[(steps >= low) & (steps <= high)] / epsilon**2
    return PathLength(float(kept.mean()), float(kept.std()), len(steps))
