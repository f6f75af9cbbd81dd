"""Directions in the space of a generator, and points moved along them.

A direction is a way to move any point, and a reading of how far a point lies along it already. So an edit can be asked
for in two ways: to go some steps further, or to be brought to a level, which moves each point no more than it needs.
The second turns as many verdicts with fewer side effects, for points differ in where they start.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ganlet.errors import ConfigError
from ganlet.latent.space import Points, Space

SMALLEST_SHARE = 1e-3  # of a direction's length that must be left of it when others are taken out


@dataclass(frozen=True, eq=False)
class LabelChange:
    """What becomes of a picture's labels.

    Attributes:
        becomes: int64 (num_labels,): the label that each one becomes; -1 where it is taken away.
        added: a label that every picture is given, -1 for none.
    """

    becomes: torch.Tensor
    added: int = -1

    def of(self, labels: torch.Tensor) -> torch.Tensor:
        """What label vectors (N, num_labels) are changed into."""
        changed = torch.zeros_like(labels)
        for label, other in enumerate(self.becomes.tolist()):
            if other >= 0:
                changed[:, other] += labels[:, label]
        if self.added >= 0:
            changed[:, self.added] = 1.0
        return changed.clamp_max(1.0)


@dataclass(frozen=True, eq=False)
class Place:
    """Where pictures with a value of an attribute lie, in the span of the directions of all of its values.

    Of an attribute of several values, one lies between others: going on along its direction leads past it. So a picture
    is brought there, along all the directions that its attribute knows.

    Attributes:
        basis: steps of one standard deviation, uncorrelated, (K, *shape).
        readings: (K, *shape); the product of each with its own step is 1, with others 0.
        mean: what the readings give for the mean of random points, (K,).
        centre: the mean of pictures with the value, in steps from there, (K,).
    """

    basis: torch.Tensor
    readings: torch.Tensor
    mean: torch.Tensor
    centre: torch.Tensor

    def offsets(self, values: torch.Tensor, level: float) -> torch.Tensor:
        """What brings values (N, *shape) there: the same shape. A level of 1 is the centre, 2 is twice as far out."""
        read = values.flatten(1) @ self.readings.flatten(1).T - self.mean
        return ((level * self.centre - read) @ self.basis.flatten(1)).view(values.shape)


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction in the space of a generator.

    A strength of 1 is one standard deviation of random points along it, in the sense of Mahalanobis: for normal
    latents a step of length 1. Of what the user named it is that itself: the difference of two groups, or the whole
    change of labels.

    Attributes:
        name: in words.
        vector: a step of strength 1, float32 of the space's shape.
        reading: float32 of the space's shape; its product with the vector is 1.
        origin: what the reading gives for the mean of random points.
        found: how: "verdicts", "scores", "groups", "labels", "factorisation", "components" or "response".
        weight: how much it moves among those that were found with it, as a share; nan where that has no meaning.
        change: of the labels, where these are what is moved.
        labels: float32 (num_labels,), what a step of strength 1 adds to label vectors: of groups drawn by labels.
        attribute, value: what a judge calls what it brings, where it was found for that.
        place: where pictures lie that show it, where it was found by verdicts.
    """

    name: str
    vector: torch.Tensor
    reading: torch.Tensor
    origin: float
    found: str
    weight: float = float("nan")
    change: LabelChange | None = None
    labels: torch.Tensor | None = None
    attribute: str | None = None
    value: str | None = None
    place: Place | None = None

    @property
    def is_whole(self) -> bool:
        """Whether a strength of 1 is all of it: a change of labels, or its mean effect on styles."""
        return self.found == "labels"

    def read(self, points: Points) -> torch.Tensor:
        """How far points lie along it from the mean of random points, in steps of strength 1: (N,).

        0 for a change of labels, which starts anew at every picture.
        """
        if self.change is not None:
            return torch.zeros(len(points))
        return points.values.flatten(1) @ self.reading.flatten() - self.origin

    def turned(self, name: str) -> Direction:
        """The opposite direction. A change of labels has none."""
        assert self.change is None
        opposite = replace(self, name=name, vector=-self.vector, reading=-self.reading, origin=-self.origin)
        return replace(opposite, attribute=None, value=None, place=None)


Move = tuple[Direction, "torch.Tensor | float"]  # a direction and its strength, one for all points or one each (N,)


def moved(space: Space, points: Points, moves: Sequence[Move]) -> Points:
    """Points moved along several directions at once, and brought back to where the generator's points lie.

    Latents on a sphere are brought back to its radius, and uniform ones to the nearest point of their cube, for the
    generator has seen nothing outside. Normal latents and styles may go anywhere: their lengths have no bound, and what
    is too far shows in the measured effects. Changes of labels are made one after another: at strength 1 they are
    whole, in between labels are mixed.
    """
    values, labels = points.values, points.labels
    for direction, strength in moves:
        strengths = torch.as_tensor(strength, dtype=values.dtype).expand(len(points))
        if direction.change is not None:
            if labels is None:
                raise ConfigError("These points have no labels that could be changed.", got=direction.name)
            labels = labels + strengths[:, None] * (direction.change.of(labels) - labels)
        else:
            _require_shape(direction, space)
            values = values + strengths.view(-1, *[1] * len(space.shape)) * direction.vector
            if direction.labels is not None and labels is not None:
                labels = labels + strengths[:, None] * direction.labels
    return Points(within(space, values), labels)


def reached(space: Space, points: Points, direction: Direction, level: float) -> Points:
    """Points brought to a level of a direction.

    Where it has a place, to that (1: the centre of pictures that show it). What is a whole is added, the level times.
    Else points that read less are moved up to the level, in standard deviations, and those beyond it stay.
    """
    if direction.is_whole:
        return moved(space, points, [(direction, level)])
    if direction.place is None:
        return moved(space, points, [(direction, (level - direction.read(points)).clamp_min(0.0))])
    _require_shape(direction, space)
    offsets = direction.place.offsets(points.values, level)
    return Points(within(space, points.values + offsets), points.labels)


def within(space: Space, values: torch.Tensor) -> torch.Tensor:
    """Values (N, *shape) brought back to where latents of their kind lie; see `moved`."""
    if space.kind == "uniform":
        return values.clamp(-1.0, 1.0)
    if space.kind == "sphere":
        return values * (space.shape[-1] ** 0.5 / values.norm(dim=-1, keepdim=True).clamp_min(1e-12))
    return values


def conditioned(direction: Direction, others: Sequence[Direction]) -> Direction:
    """The direction kept out of the span of others: moving along it changes none of their readings.

    Shen et al. 2020 (InterFaceGAN), section 3.3: n1 - (n1 . n2) n2 for one other; here for any number, in the units of
    standard deviations, so that it holds for styles too, whose parts vary together. Its length is brought back to one
    standard deviation, but for a difference of groups; what that adds to labels stays. Raises `ConfigError` where
    nothing is left of it.
    """
    others = [other for other in others if other.change is None]
    if not others or direction.change is not None or not bool(direction.vector.any()):
        return direction
    vectors = torch.stack([other.vector.flatten() for other in others]).double()
    readings = torch.stack([other.reading.flatten() for other in others]).double()
    # Those of all values of an attribute add up to nothing, so the inverse is the one of the space that they span.
    inverse = torch.linalg.pinv(readings @ vectors.T, rtol=1e-4)
    vector, reading = direction.vector.flatten().double(), direction.reading.flatten().double()
    kept = vector - vectors.T @ (inverse @ (readings @ vector))
    read = reading - readings.T @ (inverse.T @ (vectors @ reading))
    share = float(read @ kept)  # of the squared length
    if share < SMALLEST_SHARE**2:
        names = ", ".join(other.name for other in others[:5])
        raise ConfigError("Nothing is left of this direction without the others.", got=direction.name, expected=names)
    mean = direction.origin - float(
        (inverse.T @ (vectors @ reading)) @ torch.tensor([o.origin for o in others]).double()
    )
    # A difference that the user named keeps the length that is left of it.
    length = 1.0 if direction.found == "groups" else share**0.5
    shape = direction.vector.shape
    return replace(
        direction,
        vector=(kept / length).float().view(shape),
        reading=(read * length / share).float().view(shape),
        origin=mean * length / share,
        place=None,
    )


def _require_shape(direction: Direction, space: Space) -> None:
    if tuple(direction.vector.shape) != space.shape:
        raise ConfigError(
            "This direction is of another generator's space.",
            where=direction.name,
            got=f"shape {tuple(direction.vector.shape)}",
            expected=f"shape {space.shape}",
            hint="find this run's own directions",
        )
