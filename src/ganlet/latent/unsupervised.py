"""Directions that nobody has to name: what the first layers that read a point react to most.

Which layers these are is seen by trying, so it works for any generator: the points 0 and all unit vectors are shown to
it, and a layer whose answers are straight lines reads the point itself.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ganlet.latent.directions import Direction
from ganlet.latent.space import Points, Space
from ganlet.latent.spread import Spread, on_levels, shared
from ganlet.latent.supervised import direction_along

STRAIGHT = 1e-4  # how far, as a share of its answer, a straight one may be off by rounding
NUM_COMPONENT_POINTS = 1_024
NUM_RESPONSE_POINTS = 8
RESPONSE_STEP = 0.05  # in standard deviations; both ways, so that only the third derivative is left out
EXPLAINED = 0.02  # share of a component's variance that points must explain
BATCH = 256


def factorised(spread: Spread, num: int = 8, *, levels: list[int] | None = None) -> list[Direction]:
    """The directions that the weights of the first layers on the point amplify most (SeFa, Shen & Zhou 2021).

    Eigenvectors of A^T A of the weights A (their equation 6), of all layers on the levels that read the point directly,
    stacked: of styles those that turn them into scales. Largest eigenvalues first; `weight` is their share of the sum.
    Where no layer reads the point directly, see `responding`.
    """
    trial = _Trial(spread.space, levels)
    if not trial.slopes:
        return responding(spread, num, levels=levels)
    gram = torch.stack([slopes @ slopes.T for slopes in trial.slopes]).sum(dim=0)
    return _eigen_directions(spread, gram, num, "factorisation", levels)


def principal(spread: Spread, num: int = 8, *, levels: list[int] | None = None) -> list[Direction]:
    """The principal components of an inner layer, carried back to points (GANSpace, Haerkoenen et al. 2020).

    Of styles they are those of the points themselves (their section 2.1 on StyleGAN); else those of the first layer
    that is no straight line of the point (section 2.2), each carried back by least squares. `weight` is the share of
    the layer's variance. Components that points explain hardly at all, such as squares, are left out.
    """
    space = spread.space
    if space.has_styles:
        return _eigen_directions(spread, spread.covariance, num, "components", levels)
    labels = None if space.labels is None else space.labels[torch.arange(NUM_COMPONENT_POINTS) % len(space.labels)]
    points = space.sample(NUM_COMPONENT_POINTS, 0, labels)
    layer = _Trial(space, levels).bent
    if layer is None:
        return []
    answers = _answers(space, points, layer)
    answers = answers - answers.mean(dim=0)
    values, vectors = torch.linalg.eigh((answers @ answers.T).double())
    shares = (values / values.sum()).flip(0)[:num].tolist()
    coordinates = vectors.flip(1)[:, :num] * len(points) ** 0.5  # of variance 1
    centred = shared(points) - shared(points).mean(dim=0)
    found = []
    for number, (share, coordinate) in enumerate(zip(shares, coordinates.T, strict=True), start=1):
        vector = centred.T @ coordinate / len(points)
        if float(vector @ torch.linalg.solve(spread.covariance, vector)) > EXPLAINED + len(vector) / len(points):
            name = f"component {number}"
            found.append(direction_along(spread, _signed(vector), name, "components", weight=share, levels=levels))
    return found


def responding(spread: Spread, num: int = 8, *, levels: list[int] | None = None) -> list[Direction]:
    """The directions that pictures themselves react to most: eigenvectors of the mean of J^T J, J the images' Jacobian.

    At some random points, in units of standard deviations, by central differences. For any generator, also where no
    layer reads the point directly.
    """
    space = spread.space
    roots = torch.linalg.cholesky(spread.covariance)  # columns: steps of one standard deviation, uncorrelated
    steps = torch.stack([spread.on_levels(column, levels)[0] for column in roots.T]) * RESPONSE_STEP
    labels = None if space.labels is None else space.labels[torch.arange(NUM_RESPONSE_POINTS) % len(space.labels)]
    points = space.sample(NUM_RESPONSE_POINTS, 0, labels)
    gram = torch.zeros(len(steps), len(steps)).double()
    for row in range(len(points)):
        many = points[row : row + 1].repeated(len(steps))
        ahead, behind = (_images(space, many.moved(sign * steps)) for sign in (1.0, -1.0))
        slopes = (ahead - behind).flatten(1).double() / (2 * RESPONSE_STEP)
        gram += slopes @ slopes.T / len(points)
    values, vectors = torch.linalg.eigh(gram)
    shares = (values / values.sum()).flip(0)[:num].tolist()
    return [
        direction_along(spread, _signed(roots @ vector), f"response {number}", "response", weight=share, levels=levels)
        for number, (share, vector) in enumerate(zip(shares, vectors.flip(1).T[:num], strict=True), start=1)
    ]


class _Trial:
    """Shows the point moved by nothing, by an offset, and by each unit vector, and sorts layers by their answers.

    Attributes:
        slopes: of each layer that reads the point itself: what each unit vector adds to its answer, (L, size).
        bent: the first layer whose answer is no straight line of the point.
    """

    def __init__(self, space: Space, levels: list[int] | None) -> None:
        self.slopes: list[torch.Tensor] = []
        self.bent: nn.Module | None = None
        labels = None if space.labels is None else space.labels[:1]
        here, there = (space.sample(2, 0, None if labels is None else labels.expand(2, -1))[row] for row in ([0], [1]))
        self.offset = shared(there)[0]
        moves = torch.stack([torch.zeros(len(self.offset)), self.offset.float(), *torch.eye(len(self.offset))])
        tried = torch.stack([here.values[0] + on_levels(space, move, levels) for move in moves])
        with _watched(space.generator, self._sort):
            _images(space, Points(tried, None if labels is None else labels.expand(len(tried), -1)))

    def _sort(self, layer: nn.Module, given: object, answer: torch.Tensor) -> None:
        if len(answer) != len(self.offset) + 2:
            return
        change = _change(answer)
        by_offset, slopes = change[0], change[1:]
        if not bool(slopes.any()):
            return  # it does not read the point at all
        size = by_offset.norm() + float(answer[0].double().norm())  # what rounding is a share of
        if float((by_offset - self.offset @ slopes).norm()) > STRAIGHT * size:
            self.bent = self.bent or layer
        elif _multiplies(layer) and _holds_the_point(given):
            self.slopes.append(slopes)


def _change(answer: torch.Tensor) -> torch.Tensor:
    """What each move but the first adds to an answer (1 + N, ...): float64 (N, size)."""
    flat = answer.double().cpu().flatten(1)
    return flat[1:] - flat[:1]


def _multiplies(layer: nn.Module) -> bool:
    """Whether it has a matrix; a normalisation that follows one has none, and would be counted a second time."""
    weight = getattr(layer, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.dim() >= 2


def _holds_the_point(given: object) -> bool:
    """Whether a layer is given numbers of the point as they are, perhaps beside others: none is a mixture of two."""
    first = given[0] if isinstance(given, tuple) and given else given
    if not isinstance(first, torch.Tensor):
        return False
    moved_by = _change(first)[1:].abs() > 0.5
    return bool(moved_by.any()) and bool((moved_by.sum(dim=0) <= 1).all())


def _answers(space: Space, points: Points, layer: nn.Module) -> torch.Tensor:
    """What a layer answers to points: float32 (N, size) on the CPU."""
    parts: list[torch.Tensor] = []
    for start in range(0, len(points), BATCH):
        with _watched(space.generator, lambda layer, given, answer: parts.append(answer.flatten(1).cpu()), only=layer):
            _images(space, points[start : start + BATCH])
    return torch.cat(parts)


class _watched:
    """Within this context every answer of the layers of a network, a tensor, is shown to a function."""

    def __init__(
        self,
        network: nn.Module,
        show: Callable[[nn.Module, object, torch.Tensor], object],
        only: nn.Module | None = None,
    ) -> None:
        self.network, self.show, self.only = network, show, only

    def __enter__(self) -> None:
        def hook(module: nn.Module, given: object, answer: object) -> None:
            if isinstance(answer, torch.Tensor) and answer.dim() >= 2:
                self.show(module, given, answer.detach())

        modules = [self.only] if self.only is not None else self.network.modules()
        self.hooks = [module.register_forward_hook(hook) for module in modules]

    def __exit__(self, *error: object) -> None:
        for hook in self.hooks:
            hook.remove()


@torch.no_grad()
def _images(space: Space, points: Points) -> torch.Tensor:
    """Images of any number of points, on the CPU."""
    return space.images(Points(points.values, points.labels)).cpu()


def _eigen_directions(
    spread: Spread, gram: torch.Tensor, num: int, found: str, levels: list[int] | None
) -> list[Direction]:
    values, vectors = torch.linalg.eigh(gram)
    shares = (values / values.sum()).flip(0)[:num].tolist()
    noun = "factor" if found == "factorisation" else "component"
    return [
        direction_along(spread, _signed(vector), f"{noun} {number}", found, weight=share, levels=levels)
        for number, (share, vector) in enumerate(zip(shares, vectors.flip(1).T[:num], strict=True), start=1)
    ]


def _signed(vector: torch.Tensor) -> torch.Tensor:
    """The vector or its opposite, whichever has its largest number positive: eigenvectors have no sign of their own."""
    return vector if vector[vector.abs().argmax()] > 0 else -vector
