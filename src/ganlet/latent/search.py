"""Points whose pictures come near to what is wanted: descent by Adam's steps, and by Gauss-Newton steps.

What is minimised is a sum of squares: of pixels (those under a mask, where there is one), of features, and of the
distance from the prior. Adam's steps are for a first, rough descent from bad starts; the rest is done by damped
Gauss-Newton steps (Levenberg 1944, Marquardt 1963), which a problem of so few numbers allows: a Jacobian costs as much
as drawing a picture for each number of a point, and a dozen of these replace thousands of steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from ganlet.games.drawn import BATCH
from ganlet.latent.coordinates import Coordinates
from ganlet.latent.space import Points, Space

GREY = 127.5  # grey levels in a unit of an image
MOMENTUM, MOMENTUM_OF_SQUARES = 0.9, 0.99
FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-1, 1e-6, 1e4
LESS, MORE = 0.2, 4.0  # what a step that helps, and one that does not, makes of the damping
STEP = 3e-3  # deviations: of float32, smaller ones would be mostly rounding
NUM_SCALE = 64  # pictures that the scale of features is told by

Features = Callable[[torch.Tensor], torch.Tensor]
"""Float images (N, C, H, W) in [-1, 1] -> features (N, F), differentiable."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What pictures shall come near to.

    Attributes:
        images: float (N, C, H, W) in [-1, 1].
        weights: of each pixel, float (N, 1, H, W) of mean 1 over each picture; None: all alike.
        centres: where the prior pulls to, numbers (N, size); None: to the mean of the prior.
        labels: float32 (N, num_labels), for generators that are fed them.
    """

    images: torch.Tensor
    weights: torch.Tensor | None = None
    centres: torch.Tensor | None = None
    labels: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: torch.Tensor | slice) -> Wanted:
        return Wanted(
            self.images[rows],
            *(None if each is None else each[rows] for each in (self.weights, self.centres, self.labels)),
        )


class Objective:
    """How far numbers are from what is wanted, as residuals whose squares add up to

        mean (grey levels off)^2 + features_weight * (features off)^2 + prior_weight * mean (number - centre)^2

    so that a prior's weight of 1 lets a picture be off by one grey level for a number being off by one deviation.
    Features are brought to the scale of pixels: two unrelated pictures of the generator are equally far apart in both.
    """

    def __init__(
        self,
        space: Space,
        *,
        prior_weight: float,
        features: Features | None = None,
        features_weight: float = 0.0,
    ) -> None:
        self.space = space
        self.prior_weight = prior_weight
        self.features = features if features_weight > 0.0 else None
        self.features_scale = 0.0 if self.features is None else math.sqrt(features_weight) * self._scale(self.features)

    @torch.no_grad()
    def _scale(self, features: Features) -> float:
        """Grey levels between unrelated pictures over the distance of their features."""
        images = self.space.images(self.space.sample(NUM_SCALE, 0, self.space.labels_for(NUM_SCALE)))
        found = features(images)
        pixels = (images - images.roll(1, 0)).square().mean()
        return GREY * float((pixels / (found - found.roll(1, 0)).square().sum(dim=1).mean().clamp_min(1e-12)).sqrt())

    def residuals(self, coordinates: Coordinates, numbers: torch.Tensor, wanted: Wanted) -> torch.Tensor:
        """Residuals (N, R) of numbers (N, size)."""
        images = self.space.images(Points(coordinates.values(numbers), wanted.labels))
        target = wanted.images.to(images)
        off = images - target
        if wanted.weights is not None:
            off = off * wanted.weights.to(images).sqrt()
        parts = [off.flatten(1) * (GREY / math.sqrt(off[0].numel()))]
        if self.features is not None:
            if wanted.weights is not None:  # what is not asked for is taken as drawn
                target = torch.where(wanted.weights.to(images) > 0, target, images)
            parts.append((self.features(images) - self.features(target)) * self.features_scale)
        pull = numbers if wanted.centres is None else numbers - wanted.centres
        parts.append(pull * math.sqrt(self.prior_weight / numbers.shape[1]))
        return torch.cat([part.cpu() for part in parts], dim=1)

    @torch.no_grad()
    def losses(self, coordinates: Coordinates, numbers: torch.Tensor, wanted: Wanted) -> torch.Tensor:
        """The objective (N,) of numbers (N, size)."""
        return self.residuals(coordinates, numbers, wanted).square().sum(dim=1)


def descend(
    objective: Objective,
    coordinates: Coordinates,
    numbers: torch.Tensor,
    wanted: Wanted,
    *,
    steps: int,
    rate: float,
    seed: int,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Adam's steps (Kingma & Ba 2015) at a rate that falls to 0 along a cosine, with stochastic clipping.

    Yields the numbers (N, size) after each step and the objective (N,) before it.
    """
    momentum, squares = torch.zeros_like(numbers), torch.zeros_like(numbers)
    for step in range(steps):
        moving = numbers.detach().requires_grad_()
        losses = objective.residuals(coordinates, moving, wanted).square().sum(dim=1)
        (gradient,) = torch.autograd.grad(losses.sum(), moving)
        momentum = torch.lerp(gradient, momentum, MOMENTUM)
        squares = torch.lerp(gradient.square(), squares, MOMENTUM_OF_SQUARES)
        length = rate * 0.5 * (1 + math.cos(math.pi * step / steps)) / (1 - MOMENTUM ** (step + 1))
        scale = (squares / (1 - MOMENTUM_OF_SQUARES ** (step + 1))).sqrt() + 1e-8
        numbers = coordinates.drawn_anew(numbers - length * momentum / scale, seed, step)
        yield numbers, losses.detach()


@torch.no_grad()
def polish(
    objective: Objective,
    coordinates: Coordinates,
    numbers: torch.Tensor,
    wanted: Wanted,
    *,
    steps: int,
    enough: float = 0.0,
    gain: float = 1e-2,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Gauss-Newton steps, each damped until it helps. Yields numbers (N, size) and the objective (N,), at first and
    after each step.

    A picture is left alone once its objective is below `enough`, or a step has lowered it by a share of less than
    `gain`.
    """
    residuals = objective.residuals(coordinates, numbers, wanted)
    losses = residuals.square().sum(dim=1)
    damping = torch.full_like(losses, FIRST_DAMPING)
    stale = torch.ones(len(numbers), dtype=torch.bool)  # their Jacobian is of a place they have left
    square = numbers.new_zeros(len(numbers), coordinates.size, coordinates.size)
    slope = torch.zeros_like(numbers)
    active = losses > enough
    yield numbers, losses
    for _ in range(steps):
        for row in (stale & active).nonzero().flatten().tolist():
            jacobian = _jacobian(objective, coordinates, numbers[row], wanted[row : row + 1], residuals[row])
            square[row], slope[row] = jacobian @ jacobian.T, jacobian @ residuals[row]
        rows = active.nonzero().flatten()
        if not len(rows):
            return
        diagonal = square[rows].diagonal(dim1=1, dim2=2)
        ridge = damping[rows, None] * diagonal.mean(dim=1, keepdim=True)
        move = torch.linalg.solve(square[rows] + torch.diag_embed(ridge.expand_as(diagonal)), slope[rows])
        tried = (numbers[rows] - move).clamp(-coordinates.box, coordinates.box)
        found = objective.residuals(coordinates, tried, wanted[rows])
        after, before = found.square().sum(dim=1), losses[rows]
        better = after < before
        chosen = rows[better]
        numbers, residuals, losses = numbers.clone(), residuals.clone(), losses.clone()
        numbers[chosen], residuals[chosen], losses[chosen] = tried[better], found[better], after[better]
        damping[rows] = torch.where(better, (damping[rows] * LESS).clamp_min(LEAST_DAMPING), damping[rows] * MORE)
        stale = torch.zeros_like(stale)
        stale[chosen] = True
        settled = torch.zeros_like(active)
        settled[rows] = (better & (before - after < gain * before)) | (damping[rows] > MOST_DAMPING)
        active = active & ~settled & (losses > enough)
        yield numbers, losses


@torch.no_grad()
def _jacobian(
    objective: Objective,
    coordinates: Coordinates,
    numbers: torch.Tensor,
    wanted: Wanted,
    residuals: torch.Tensor,
    step: float = STEP,
) -> torch.Tensor:
    """The derivatives (size, R) by each of numbers (size,), of residuals (R,) that are theirs: by small steps.

    In evaluation mode no picture depends on another, so all steps are one batch. That is four times as fast as forward
    differentiation, asks nothing of the network, and is exact enough: an error of the Jacobian costs a step, no
    accuracy.
    """
    parts = []
    for directions in torch.eye(coordinates.size, dtype=numbers.dtype).split(BATCH):
        same = wanted[torch.zeros(len(directions), dtype=torch.int64)]
        parts.append((objective.residuals(coordinates, numbers + step * directions, same) - residuals) / step)
    return torch.cat(parts)
