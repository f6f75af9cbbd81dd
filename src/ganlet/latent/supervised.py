"""Directions from what is said about pictures: scores, verdicts, groups that the user names, and labels.

The direction of a score is the covariance of points with it. That is the step that changes the best linear guess of
the score with the least unlikely move: where the guess is b . x by least squares, the covariance is C b, with C that of
the points. For a verdict of yes or no it is, but for its length, the difference of the means of both groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from ganlet.errors import ConfigError
from ganlet.latent.directions import Direction, LabelChange, Place
from ganlet.latent.space import Points
from ganlet.latent.spread import Spread, shared

FEWEST = 20  # pictures with a verdict, and without it, that a direction is found from
CHANCES = 1.5  # how much more than chance a correlation must be
LEAST_LEFT = 0.1  # of an axis, when others are taken out
NUM_MAPPED = 1_024  # styles whose mean change is the direction of a change of labels


def from_scores(
    spread: Spread, points: Points, scores: torch.Tensor, names: Sequence[str], *, found: str = "scores"
) -> list[Direction]:
    """A direction for each column of scores (N, K) of the pictures of points, along which it grows.

    InterFaceGAN (Shen et al. 2020), by least squares in place of a support vector machine. Raises `ConfigError` for a
    score that is the same for all pictures, or not finite.
    """
    scores = torch.as_tensor(scores).double()
    for name, column in zip(names, scores.T, strict=True):
        if not bool(torch.isfinite(column).all()) or not column.std() > 0:
            got = "the same for all" if bool(torch.isfinite(column).all()) else "NaN or infinity"
            raise ConfigError("This score tells no pictures apart.", where=name, got=got)
    values = shared(points)
    # Over random points that differ from the whole distribution by chance: their own mean is what they vary around.
    vectors = (values - values.mean(dim=0)).T @ (scores - scores.mean(dim=0)) / len(values)
    return [direction_along(spread, vector, name, found) for name, vector in zip(names, vectors.T, strict=True)]


def from_verdicts(
    spread: Spread,
    points: Points,
    verdicts: torch.Tensor,
    attributes: Mapping[str, Sequence[str]],
    *,
    keep_others: bool = True,
) -> list[Direction]:
    """A direction towards each value of each attribute, from verdicts int64 (N, num_attributes) on points' pictures.

    Each has the place where pictures with its value lie, in the span of its attribute: the principal axes of the
    correlations of points with having each value, as far as these are more than chance. With `keep_others` all of it is
    kept out of the spans of all other attributes. Values that fewer than `FEWEST` pictures have, or have not, and
    attributes that points do not tell, such as those that labels decide, are left out.
    """
    root = torch.linalg.cholesky(spread.covariance)
    values = shared(points)
    centred = torch.linalg.solve_triangular(root, (values - values.mean(dim=0)).T, upper=False)  # (L, N), variance 1
    told: dict[str, _Told] = {}
    for column, (attribute, names) in enumerate(attributes.items()):
        has = torch.as_tensor(verdicts)[:, column, None] == torch.arange(len(names))
        counts = has.sum(dim=0)
        enough: list[int] = ((counts >= FEWEST) & (counts <= len(points) - FEWEST)).nonzero().flatten().tolist()
        if enough:
            told[attribute] = _Told.by(centred, [names[n] for n in enough], has[:, enough].double())
    found = []
    for attribute, one in told.items():
        others = [other.axes for name, other in told.items() if name != attribute] if keep_others else []
        axes = _kept_out(one.axes, others)
        if not axes.shape[1]:
            continue
        basis, readings, mean = _on_points(spread, axes, root)
        for value, towards, centre in zip(one.values, one.correlations.T, one.centres.T, strict=True):
            vector = root @ (axes @ (axes.T @ towards))
            name = value_name(attributes, attribute, value)
            place = Place(basis, readings, mean, (axes.T @ centre).float())
            direction = direction_along(spread, vector, name, "verdicts")
            found.append(replace(direction, attribute=attribute, value=value, place=place))
    return found


@dataclass(frozen=True, eq=False)
class _Told:
    """How points, in units in which they are uncorrelated and vary by 1, tell the values of an attribute.

    `correlations` (L, K) are those of each of their numbers with having each value, `centres` (L, K) the means of
    points that have it, `axes` (L, M) are orthonormal.
    """

    values: Sequence[str]
    correlations: torch.Tensor
    centres: torch.Tensor
    axes: torch.Tensor

    @classmethod
    def by(cls, centred: torch.Tensor, values: Sequence[str], has: torch.Tensor) -> _Told:
        """From points (L, N) and who has each value, (N, K)."""
        num, shares = len(has), has.mean(dim=0)
        together = centred @ (has - shares) / num
        correlations = together / (shares * (1 - shares)).sqrt()
        axes, sizes, _ = torch.linalg.svd(correlations, full_matrices=False)
        # Correlations of what has nothing to do with each other are 1 / sqrt(N), and this is the largest singular value
        # of a matrix of such numbers (Vershynin 2012, theorem 5.32).
        chance = sum(side**0.5 for side in correlations.shape) / num**0.5
        return cls(values, correlations, together / shares, axes[:, sizes > CHANCES * chance])


def _kept_out(axes: torch.Tensor, others: Sequence[torch.Tensor]) -> torch.Tensor:
    """Orthonormal axes (L, M) kept out of the span of others; those of which nearly nothing is left are dropped."""
    if others:
        theirs, sizes, _ = torch.linalg.svd(torch.cat(list(others), dim=1), full_matrices=False)
        theirs = theirs[:, sizes > LEAST_LEFT]
        axes = axes - theirs @ (theirs.T @ axes)
    kept, sizes, _ = torch.linalg.svd(axes, full_matrices=False)
    return kept[:, sizes > LEAST_LEFT]


def _on_points(
    spread: Spread, axes: torch.Tensor, root: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Axes (L, M) as steps and as readings of points, (M, *shape) each, and the readings of the mean of points (M,)."""
    shape = spread.space.shape
    steps, reading = (root @ axes).T, torch.linalg.solve_triangular(root.T, axes, upper=True).T
    if len(shape) == 2:  # every level has all of a step, and a reading is the mean over the levels
        many = (len(steps), *shape)
        basis, readings = steps[:, None].expand(many), reading[:, None].expand(many) / shape[0]
    else:
        basis, readings = steps, reading
    return basis.float(), readings.float(), (reading @ spread.mean).float()


def value_name(attributes: Mapping[str, Sequence[str]], attribute: str, value: str) -> str:
    """A value in words that are its own: alone where no other attribute has one of that name, and it is no number."""
    spoken = attribute.replace("_", " ")
    if value == "none":
        return f"no {spoken}"
    unique = sum(value in values for values in attributes.values()) == 1
    return value if unique and not value.isdigit() else f"{spoken} {value}"


def from_groups(
    spread: Spread, ones: Points, others: Points, name: str, *, levels: Sequence[int] | None = None
) -> Direction:
    """The mean of some points less the mean of others: a step of strength 1 is that difference (Radford et al. 2016).

    Their section 6.3.2 found single pictures unstable, and took the mean of three. Where pictures are drawn by labels,
    the difference is one of labels as well; styles have their labels in them already. Raises `ConfigError` for a group
    without points, or groups with the same mean.
    """
    for words, group in (("with it", ones), ("without it", others)):
        if not len(group):
            raise ConfigError(f"The group of pictures {words} is empty.", where=name, expected="three pictures or more")
    vector = shared(ones).mean(dim=0) - shared(others).mean(dim=0)
    labels = None
    if ones.labels is not None and others.labels is not None and not spread.space.has_styles:
        labels = ones.labels.mean(dim=0) - others.labels.mean(dim=0)
        if bool(labels.any()) and not vector.norm() > 0:  # the same latents under other labels
            shape = spread.space.shape
            return Direction(name, torch.zeros(shape), torch.zeros(shape), 0.0, "groups", labels=labels)
    return replace(direction_along(spread, vector, name, "groups", levels=levels, scaled=False), labels=labels)


def from_label(spread: Spread, label: int, name: str, becomes: torch.Tensor | None = None) -> Direction:
    """The direction that gives every picture a label, and takes away those that never stand beside it.

    Which those are is seen in `space.labels`: of classes all others, of attributes those that exclude it.
    `becomes`, int64 (num_labels,), says instead what each label becomes, for labels that say several things at once.

    Where labels are mapped to styles with the latents, it is the mean change of the styles. Raises `ConfigError` for a
    generator without labels.
    """
    space = spread.space
    if space.labels is None:
        raise ConfigError(
            "This generator draws without labels, so they give no directions.",
            where=name,
            hint="train one with --set data.labels=classes, or find directions by verdicts or without labels",
        )
    if becomes is None:
        together = space.labels[space.labels[:, label] > 0].sum(dim=0) > 0
        becomes = torch.where(together, torch.arange(space.labels.shape[1]), -1)
        becomes[label] = label
        change = LabelChange(becomes, added=label)
    else:
        change = LabelChange(becomes)
    if space.has_styles:
        labels = space.labels[torch.arange(NUM_MAPPED) % len(space.labels)]
        before = shared(space.sample(NUM_MAPPED, 0, labels)).mean(dim=0)
        after = shared(space.sample(NUM_MAPPED, 0, change.of(labels))).mean(dim=0)
        return direction_along(spread, after - before, name, "labels", scaled=False)
    return Direction(name, torch.zeros(space.shape), torch.zeros(space.shape), 0.0, "labels", change=change)


def direction_along(
    spread: Spread,
    vector: torch.Tensor,
    name: str,
    found: str,
    *,
    weight: float = float("nan"),
    levels: Sequence[int] | None = None,
    scaled: bool = True,
) -> Direction:
    """The direction of a vector (L,), kept to some levels; brought to one standard deviation where it is `scaled`."""
    if not vector.norm() > 0:
        raise ConfigError("There is no difference that a direction could be made of.", where=name)
    vector = vector.double()
    along, reading = spread.on_levels(spread.scaled(vector) if scaled else vector, levels)
    mean = spread.mean.expand(along.shape) if along.dim() == 2 else spread.mean
    return Direction(name, along, reading, float((reading.double() * mean).sum()), found, weight)
