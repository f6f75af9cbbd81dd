"""Sums of pictures: some with a thing, less some without it, and another picture.

Radford et al. 2016, section 6.3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ganlet.errors import ConfigError
from ganlet.latent.directions import Direction, conditioned, moved
from ganlet.latent.effects import least_strengths
from ganlet.latent.space import Points, joined
from ganlet.latent.spread import Spread
from ganlet.latent.supervised import from_groups, from_verdicts
from ganlet.randomness import derive
from ganlet.workflows.drawing import Drawing
from ganlet.workflows.lab.edits import MOST_STRENGTH
from ganlet.workflows.lab.judge import ModeJudge, judged
from ganlet.workflows.lab.known_directions import load_all
from ganlet.workflows.lab.lab import Lab

NUM_EXEMPLARS, NUM_FACES = 3, 6
NUM_SEARCHED, NUM_JUDGED = 1_024, 6_000
# Once the difference, as in the paper, brings what it should to two of three pictures: populations overlap, and a mean
# of three is noisy. See docs/guide/latent.md.
STRENGTH = 1.5
STRENGTHS = (0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0)
PREFERRED = "glasses"


@dataclass(frozen=True, eq=False)
class Sum:
    """The result of arithmetic.

    Attributes:
        drawing: a sheet: both groups, the pictures that are added to, the results.
        meant: the attribute and the value that the groups differ in, where a judge sees it.
        strengths: of the difference, for each picture, (N,).
        brings: whether each result shows the value, (N,); None without a judge.
    """

    drawing: Drawing
    meant: tuple[str, str] | None
    strengths: torch.Tensor
    brings: torch.Tensor | None


def arithmetic(
    lab: Lab,
    plus: Sequence[Any] = (),
    minus: Sequence[Any] = (),
    to: Sequence[Any] = (),
    *,
    strength: float | None = None,
    keep_others: bool = True,
    seed: int = 0,
) -> Sum:
    """The mean of the pictures `plus` less that of `minus`, added to each of the pictures `to`.

    Args:
        plus, minus: addresses, three or more each; of none, a judge looks for some, else they are random.
        to: addresses; default: pictures without it.
        strength: how many times the difference is added. Default: where a judge sees what is meant, for each picture
            the smallest that brings it; else `STRENGTH`.
        keep_others: where a judge sees what is meant, keep the difference out of the span of other attributes.
        seed: of the pictures that are looked through.

    Raises `ConfigError` where only one of the groups is given, groups do not differ, or a strength makes no sense.
    """
    if strength is not None and not abs(strength) <= MOST_STRENGTH:
        expected = f"a number from -{MOST_STRENGTH:g} to {MOST_STRENGTH:g}"
        raise ConfigError(
            "This strength is no number that makes sense.", where="--strength", got=strength, expected=expected
        )
    if bool(plus) != bool(minus):
        option = "--minus" if plus else "--plus"
        raise ConfigError("One of the two groups is empty.", where=option, expected="three pictures or more each")
    judge = lab.judge
    ones, others, faces, meant = _groups(lab, judge, plus, minus, to, seed)
    direction = from_groups(Spread.of(lab.space), ones, others, meant[1] if meant else "difference")
    if meant and judge is not None:
        if keep_others:
            direction = conditioned(direction, _of_other_attributes(lab, judge, meant[0], seed))
        direction = replace(direction, attribute=meant[0], value=meant[1])
    strengths, brings = torch.full((len(faces),), STRENGTH if strength is None else strength), None
    if meant and judge is not None:
        tried = STRENGTHS if strength is None else (strength,)
        strengths, brings = least_strengths(lab.space, faces, direction, judge, tried)
    results = moved(lab.space, faces, [(direction, strengths)])
    return Sum(_sheet(lab, ones, others, faces, results, meant, strengths), meant, strengths, brings)


def _groups(
    lab: Lab, judge: ModeJudge | None, plus: Sequence[Any], minus: Sequence[Any], to: Sequence[Any], seed: int
) -> tuple[Points, Points, Points, tuple[str, str] | None]:
    """Pictures with it, without it, to add to, and what it is."""
    faces = lab.points(*to, option="--to") if to else None
    if plus:
        ones, others = lab.points(*plus, option="--plus"), lab.points(*minus, option="--minus")
        if min(len(ones), len(others)) < NUM_EXEMPLARS:
            lab.reporter.say("The mean of fewer than three pictures holds much that is theirs alone: give three each.")
        meant = None if judge is None else _meant(judge, lab, ones, others)
        if faces is None:
            faces = lab.sample(len(ones) + len(others), derive(seed, "arithmetic"))
        return ones, others, faces, meant
    if judge is None:
        points = lab.sample(2 * NUM_EXEMPLARS + NUM_FACES, seed)
        ones, others, rest = (
            points[rows] for rows in torch.arange(len(points)).split([NUM_EXEMPLARS] * 2 + [NUM_FACES])
        )
        return ones, others, rest if faces is None else faces, None
    points, verdicts = judged(lab, judge, NUM_SEARCHED, derive(seed, "arithmetic"))
    meant = _to_show(judge, verdicts)
    shows = verdicts[:, list(judge.attributes).index(meant[0])] == judge.attributes[meant[0]].index(meant[1])
    having, lacking = shows.nonzero().flatten(), (~shows).nonzero().flatten()
    rest = points[lacking[NUM_EXEMPLARS : NUM_EXEMPLARS + NUM_FACES]]
    return points[having[:NUM_EXEMPLARS]], points[lacking[:NUM_EXEMPLARS]], rest if faces is None else faces, meant


def _to_show(judge: ModeJudge, verdicts: torch.Tensor) -> tuple[str, str]:
    """What an example is made of: glasses where there are any, else the value that is nearest to one half of them."""
    shares = {
        (attribute, value): float((verdicts[:, column] == number).double().mean())
        for column, (attribute, values) in enumerate(judge.attributes.items())
        for number, value in enumerate(values)
    }
    enough = NUM_EXEMPLARS / len(verdicts)
    for (attribute, value), share in shares.items():
        if value == PREFERRED and enough <= share <= 0.9:
            return attribute, value
    return min(shares, key=lambda one: abs(shares[one] - 0.5))


def _meant(judge: ModeJudge, lab: Lab, ones: Points, others: Points) -> tuple[str, str] | None:
    """The one attribute whose value all pictures of the first group share, and none of the second has."""
    first, second = (judge(lab.space.pictures(group)) for group in (ones, others))
    found = [
        (attribute, values[int(first[0, column])])
        for column, (attribute, values) in enumerate(judge.attributes.items())
        if np.all(first[:, column] == first[0, column]) and not np.any(second[:, column] == first[0, column])
    ]
    return found[0] if len(found) == 1 else None


def _of_other_attributes(lab: Lab, judge: ModeJudge, attribute: str, seed: int) -> list[Direction]:
    """The directions of all other attributes: those that are kept, else found for this alone."""
    known = [one.direction for one in load_all(lab)]
    found = [direction for direction in known if direction.found == "verdicts"]
    if not found:
        points, verdicts = judged(lab, judge, NUM_JUDGED, derive(seed, "directions/found"))
        found = from_verdicts(Spread.of(lab.space), points, verdicts, judge.attributes)
    return [direction for direction in found if direction.attribute != attribute]


def _sheet(
    lab: Lab,
    ones: Points,
    others: Points,
    faces: Points,
    results: Points,
    meant: tuple[str, str] | None,
    strengths: torch.Tensor,
) -> Drawing:
    """Pictures that are added to, and under each its result; above, where they fit, both groups beside each other."""
    how = {"verb": "arithmetic", "plus": len(ones), "minus": len(others), "meant": list(meant or ())}
    how |= {"strengths": [round(float(one), 4) for one in strengths]}
    if len(faces) == len(ones) + len(others):
        return lab.draw(joined([ones, others, faces, results]), how, columns=len(faces))
    return lab.draw(joined([faces, results]), how, columns=len(faces))
