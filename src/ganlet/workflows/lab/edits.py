"""Pictures edited along directions that the run knows by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from ganlet.errors import ConfigError
from ganlet.latent.directions import Direction, moved, reached, within
from ganlet.latent.space import Points, joined
from ganlet.paths import printable
from ganlet.workflows.drawing import Drawing
from ganlet.workflows.lab.known_directions import Known, load, load_all
from ganlet.workflows.lab.lab import Lab

STRENGTH = 2.5  # of a direction that no level is recommended of, both ways
MOST_STRENGTH = 100.0
NUM_PICTURES, NUM_STEPS = 5, 7
NUM_LOOKED_AT = 64
MOST_STEPS = 500

Edit = tuple[Known, float | None]  # a direction and a strength; None: as it is recommended


def edit(lab: Lab, addresses: Sequence[Any] = (), edits: Sequence[str | Edit] = (), steps: int = NUM_STEPS) -> Drawing:
    """The pictures at addresses, a row each, moved along directions, all at once, in steps from left to right.

    An edit is the name of a direction, which is followed to its recommended level, or NAME=STRENGTH, in standard
    deviations of random points. Directions that no level is recommended of are followed both ways. By default some
    pictures that lack it follow the best direction that is known; where none is, factors of the weights are found.
    With one step there are only the results. Raises `ConfigError` for a name that is not known.
    """
    if not 1 <= steps <= MOST_STEPS:
        raise ConfigError(
            "This number of steps cannot be drawn.", where="--steps", got=steps, expected=f"1 to {MOST_STEPS}"
        )
    chosen = [asked(lab, one) if isinstance(one, str) else one for one in edits] or [(_best(lab), None)]
    points = lab.points(*addresses) if addresses else lacking(lab, chosen[0][0].direction, NUM_PICTURES)
    if steps == 1:
        result, columns = applied(lab, points, chosen, 1.0), None
    else:
        result, columns = joined(along(lab, points[row : row + 1], chosen, steps) for row in range(len(points))), steps
    how = {"verb": "edit", "pictures": [str(one)[-60:] for one in addresses]}
    how["along"] = [{"direction": known.name, "strength": strength} for known, strength in chosen]
    return lab.draw(result, how, columns=columns)


def lacking(lab: Lab, direction: Direction, num: int, seed: int = 0) -> Points:
    """The first pictures of a seed, or, where a judge can tell, of those that do not show yet what it brings."""
    return lab.sample(NUM_LOOKED_AT, seed)[torch.tensor(rows_lacking(lab, direction, seed)[:num])]


def rows_lacking(lab: Lab, direction: Direction, seed: int = 0) -> list[int]:
    """The numbers of the first pictures of a seed, first of those that do not show yet what a direction brings."""
    rows, judge = list(range(NUM_LOOKED_AT)), None if direction.attribute is None else lab.judge
    if judge is None or direction.attribute not in judge.attributes:
        return rows
    column, values = list(judge.attributes).index(direction.attribute), judge.attributes[direction.attribute]
    verdicts = judge(lab.space.pictures(lab.sample(NUM_LOOKED_AT, seed)))[:, column]
    return sorted(rows, key=lambda row: values[verdicts[row]] == direction.value)  # it is stable


def asked(lab: Lab, text: str, option: str = "--along") -> Edit:
    """The edit of NAME or NAME=STRENGTH. Raises `ConfigError`."""
    name, mark, number = text.rpartition("=")
    if not mark:
        return load(lab, text, option), None
    try:
        strength = float(number)
    except ValueError:
        strength = math.nan
    if not abs(strength) <= MOST_STRENGTH:
        expected = (
            f"NAME=STRENGTH with a number from -{MOST_STRENGTH:g} to {MOST_STRENGTH:g}, such as {printable(name)}=1.5"
        )
        raise ConfigError(
            "This strength is no number that makes sense.", where=option, got=printable(text), expected=expected
        )
    return load(lab, name, option), strength


def along(lab: Lab, points: Points, edits: Sequence[Edit], steps: int) -> Points:
    """Points (1) on the way to where edits lead: `steps` of them, the first unchanged, or as far the other way."""
    both_ways = all(_goes_both_ways(known) and strength is None for known, strength in edits)
    return joined(applied(lab, points, edits, float(share)) for share in torch.linspace(-both_ways, 1, steps))


def applied(lab: Lab, points: Points, edits: Sequence[Edit], share: float) -> Points:
    """Points edited by a share of the whole way; edits are made one after another."""
    for known, strength in edits:
        if strength is None and known.turned is not None:
            there = reached(lab.space, points, known.direction, known.turned.level)
            values = within(lab.space, torch.lerp(points.values, there.values, share))
            labels = points.labels
            if labels is not None and there.labels is not None:
                labels = torch.lerp(labels, there.labels, share)
            points = Points(values, labels)
        else:
            whole = (1.0 if known.direction.is_whole else STRENGTH) if strength is None else strength
            points = moved(lab.space, points, [(known.direction, share * whole)])
    return points


def _goes_both_ways(known: Known) -> bool:
    return known.turned is None and not known.direction.is_whole


def _best(lab: Lab) -> Known:
    known = load_all(lab)
    if not known:
        from ganlet.workflows.lab.directions import find_directions

        known = find_directions(lab, ["factorisation"])
    return known[0]
