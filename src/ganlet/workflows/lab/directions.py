"""Finding the directions of a run's generator in all the ways that it allows, measuring and keeping them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from ganlet.errors import ConfigError, MetricError, RunError
from ganlet.latent.directions import Direction
from ganlet.latent.effects import NUM_MEASURED, NUM_TUNED, Usual, moving, turning
from ganlet.latent.space import joined
from ganlet.latent.spread import Spread
from ganlet.latent.supervised import from_label, from_verdicts, value_name
from ganlet.latent.unsupervised import factorised, principal
from ganlet.metrics.modes import modes_of
from ganlet.randomness import derive
from ganlet.workflows.drawing import Drawing
from ganlet.workflows.lab.edits import along, lacking
from ganlet.workflows.lab.judge import judged
from ganlet.workflows.lab.known_directions import Known, keep
from ganlet.workflows.lab.lab import Lab

KINDS = ("verdicts", "labels", "factorisation", "components")
NUM_JUDGED = 10_000  # pictures that directions of verdicts are found from
NUM_USUAL = 64
MOST_LABELS = 40  # of a label each, where no judge says what several labels have in common
NUM_SHOWN, NUM_COLUMNS = 12, 9


def find_directions(
    lab: Lab,
    kinds: Sequence[str] = (),
    *,
    num: int = 6,
    seed: int = 0,
    keep_others: bool = True,
    levels: list[int] | None = None,
) -> list[Known]:
    """Find directions of some kinds, measure them and keep them in the run; the best first.

    Args:
        kinds: names of `KINDS`; default: all that the run allows.
        num: how many of each kind that needs no verdicts.
        seed: of the pictures that they are found from and measured on.
        keep_others: whether those of verdicts are kept out of the span of other attributes.
        levels: those that directions found without verdicts or labels act on, coarsest 0.

    Raises `ConfigError` for a kind that is unknown, or that this run does not allow.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        got, expected = ", ".join(unknown), ", ".join(KINDS)
        raise ConfigError("Directions are not found in this way.", where="--kind", got=got, expected=expected)
    if num < 1:
        raise ConfigError("There must be at least one direction to find.", where="--num", got=num)
    spread = Spread.of(lab.space)
    finders = {
        "verdicts": partial(_by_verdicts, lab, spread, seed, keep_others, bool(kinds)),
        "labels": partial(_by_labels, lab, spread, bool(kinds)),
        "factorisation": partial(factorised, spread, num, levels=levels),
        "components": partial(principal, spread, num, levels=levels),
    }
    found = [direction for kind in kinds or KINDS for direction in finders[kind]()]
    known = sorted(_measured(lab, found, seed), key=lambda one: -one.quality)
    for one in known:
        keep(lab, one)
    return known


def strips(lab: Lab, known: Sequence[Known], seed: int = 0) -> Drawing:
    """A picture along each of the best directions, a row each: to the recommended level, or as far to both sides."""
    shown = known[:NUM_SHOWN]
    rows = [along(lab, lacking(lab, one.direction, 1, seed), [(one, None)], NUM_COLUMNS) for one in shown]
    how = {"verb": "directions", "rows": [one.name for one in shown], "seed": seed}
    return lab.draw(joined(rows), how, columns=NUM_COLUMNS).with_row_names([one.name for one in shown])


def _by_verdicts(lab: Lab, spread: Spread, seed: int, keep_others: bool, asked: bool) -> list[Direction]:
    judge = lab.judge
    if judge is None:
        if asked:
            raise ConfigError(
                "Nobody can say what this run's pictures show: its source has no labels, or it is not there.",
                where="--kind",
                got="verdicts",
                hint="leave --kind out, for directions that need none, or give the source with --source",
            )
        return []
    points, verdicts = judged(lab, judge, NUM_JUDGED, derive(seed, "directions/found"))
    return from_verdicts(spread, points, verdicts, judge.attributes, keep_others=keep_others)


def _by_labels(lab: Lab, spread: Spread, asked: bool) -> list[Direction]:
    data = lab.trained.config.data
    if not lab.num_labels:
        return [from_label(spread, 0, "--kind labels")] if asked else []  # which says that there are none
    assert data.label_names != "auto"
    if data.labels == "classes" and lab.judge is not None:
        return _by_what_classes_share(lab, spread, data.label_names)
    names = data.label_names[:MOST_LABELS]
    found = [from_label(spread, number, f"label {name}") for number, name in enumerate(names)]
    return [_with_meaning(lab, direction, name) for direction, name in zip(found, names, strict=True)]


def _by_what_classes_share(lab: Lab, spread: Spread, names: Sequence[str]) -> list[Direction]:
    """A direction towards each value of each attribute, by the class that differs in nothing else."""
    try:
        modes, of_pictures = modes_of(lab.pack)
    except (MetricError, RunError):
        return []
    assert lab.pack.labels is not None
    of_classes = [np.flatnonzero(lab.pack.labels == lab.pack.label_names.index(name)) for name in names]
    digits = modes.digits(np.array([of_pictures[pictures[0]] if len(pictures) else 0 for pictures in of_classes]))
    seen = [number for number, pictures in enumerate(of_classes) if len(pictures)]
    classes = {tuple(digits[number].tolist()): number for number in seen}
    if len(classes) < len(seen):  # several classes show the same
        return []
    found = []
    for column, (attribute, values) in enumerate(modes.attributes.items()):
        for value, value_words in enumerate(values):
            becomes = torch.arange(len(names))  # where no class differs in nothing else, it stays as it is
            for number in seen:
                wanted = digits[number].copy()
                wanted[column] = value
                becomes[number] = classes.get(tuple(wanted.tolist()), number)
            if len(set(becomes.tolist())) == len(names):
                continue  # no class has it
            name = f"label {value_name(modes.attributes, attribute, value_words)}"
            found.append(_meaning(from_label(spread, value, name, becomes), attribute, value_words))
    return found


def _with_meaning(lab: Lab, direction: Direction, label: str) -> Direction:
    """The direction of a label, with the attribute and the value that a judge calls it by, where one does."""
    if lab.judge is not None:
        for attribute, values in lab.judge.attributes.items():
            spoken = attribute.replace("_", " ")
            for value in values:
                own = {value, f"{spoken} {value}", f"{spoken.split()[0]} {value}"}
                if label in ({f"no {spoken}"} if value == "none" else own):
                    return _meaning(direction, attribute, value)
    return direction


def _meaning(direction: Direction, attribute: str, value: str) -> Direction:
    return replace(direction, attribute=attribute, value=value)


def _measured(lab: Lab, directions: Sequence[Direction], seed: int) -> list[Known]:
    usual = Usual.of(lab.space, lab.sample(NUM_USUAL, derive(seed, "directions/usual")), lab.features)
    fresh = lab.sample(2 * (NUM_TUNED + NUM_MEASURED), derive(seed, "directions/measured"))
    judge = lab.judge
    known = []
    for number, direction in enumerate(directions, start=1):
        turned = None
        if judge is not None and direction.attribute is not None:
            try:
                turned = turning(lab.space, fresh, direction, judge)
            except ConfigError:  # all pictures show it
                turned = None
        known.append(Known(direction, moving(lab.space, usual, direction, lab.features, judge=judge), turned))
        lab.reporter.progress("measuring directions", number, len(directions))
    return known
