"""Looking into one layer, at one unit of it, and at what a generator draws without some of its units."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch

from ganlet.errors import ConfigError
from ganlet.images import opaque
from ganlet.latent.dissection import Ablation, ablation, agreement, random_groups, single_units
from ganlet.latent.inside import Layer
from ganlet.latent.looking import region
from ganlet.runs.panels import Panel, heat, labelled_rows, page, spotlight, table
from ganlet.workflows.arguments import require_whole
from ganlet.workflows.lab.inside import facts, makes, overview, rows_of_units, unit_facts
from ganlet.workflows.lab.judge import ModeJudge
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.lab.opened import BEFORE_ACTIVATION, Opened, opened_network
from ganlet.workflows.lab.sheets import Sheet

ROWS, SHOWN = 24, 10
FEWEST, MOST = 12, 10_000  # pictures that a network is shown
MOST_UNITS = 1_024  # that are silenced one by one
RANDOM_GROUPS = 5


def inside(
    lab: Lab,
    network: str | None = None,
    layer: str | None = None,
    unit: int | None = None,
    silence: Sequence[int] = (),
    *,
    dissect: bool = False,
    num: int = 200,
    seed: int = 0,
) -> Sheet:
    """A page on both networks; on a `layer` of one of them; on one `unit` of it; or on what goes with units silenced.

    Args:
        network: generator (the default) or discriminator.
        layer: a name as in `named_modules`.
        unit: a unit of that layer.
        silence: units of that layer of the generator that answer 0.
        dissect: silence every unit of that layer of the generator in turn, and see which verdicts change.
        num: how many pictures are shown to the network, from `seed` on.

    Raises ConfigError for what is not there, naming the option.
    """
    require_whole("num", num)
    require_whole("seed", seed)
    if not FEWEST <= num <= MOST:
        expected = f"from {FEWEST} to {MOST:,} to tell units by"
        raise ConfigError("So many pictures cannot be shown.", where="--num", got=num, expected=expected)
    if layer is None:
        for option, given in (("--unit", unit is not None), ("--silence", silence), ("--dissect", dissect)):
            if given:
                raise _no_layer(lab, network or "generator", option, num, seed)
        return overview(lab, network, num, seed)
    shown = opened_network(lab, network or "generator", num, seed)
    chosen = shown.inside.layer(layer)
    if (silence or dissect) and shown.name != "generator":
        option = "--silence" if silence else "--dissect"
        raise ConfigError(
            "Only a generator's units can be silenced: a discriminator draws nothing that could be missing.",
            where=option,
            hint="--network generator",
        )
    if silence:
        return _without(lab, shown, chosen, list(silence))
    if unit is not None:
        return _of_unit(lab, shown, chosen, chosen.unit(unit))
    return _of_layer(lab, shown, chosen, dissect)


def _no_layer(lab: Lab, network: str, option: str, num: int, seed: int) -> ConfigError:
    layers = ", ".join(layer.name for layer in opened_network(lab, network, num, seed).layers)
    return ConfigError(
        "It must be said of which layer.", where="--layer", expected=layers, hint=f"--layer NAME beside {option}"
    )


def _of_layer(lab: Lab, shown: Opened, layer: Layer, dissect: bool) -> Sheet:
    answers = shown.inside.answers(shown.inputs, layer.name)
    order = answers.selectivity(SHOWN).argsort(descending=True, stable=True).tolist()
    units = [(layer, unit, answers) for unit in order[:ROWS]]
    data: dict[str, Any] = {"verb": "inside", "network": shown.name, "weights": lab.weights}
    data["layer"] = facts(layer, {layer.name: answers})
    data["units"] = [unit_facts(shown, layer, unit, answers) for unit in range(layer.num_units)]
    tensors = {"peaks": answers.peaks, "activations": shown.inside.activations(shown.inputs[:SHOWN], layer.name)}
    panels = []
    judge = lab.judge if shown.name == "generator" else None
    if dissect:
        panel, data["silenced"], found = _dissected(lab, shown, layer, judge)
        panels.append(panel)
        tensors |= {"change": torch.from_numpy(found.change), "where": torch.from_numpy(found.where)}
    if judge is not None:
        panel, data["goes_with"] = _going_with(shown, judge, answers.peaks)
        panels.append(panel)
    note = (
        f"The {len(units)} most selective of {layer.num_units} units, and of {shown.shown_what} the {SHOWN} that they "
        "answer to most" + (", lit where the unit is awake (above half of its range)." if layer.has_maps else ".")
    )
    panels.append(Panel("What its units wait for", note, rows_of_units(shown, units, SHOWN)))
    return Sheet(page(f"{shown.name}: {layer.name}, {makes(layer)}", panels), data, lab.maker, tensors)


def _of_unit(lab: Lab, shown: Opened, layer: Layer, unit: int) -> Sheet:
    answers = shown.inside.answers(shown.inputs, layer.name)
    chosen = answers.strongest(SHOWN)[unit]
    pictures = shown.shown[chosen]
    rows = [("pictures", list(pictures))]
    found = shown.inside.activations(shown.inputs[chosen], layer.name)[:, unit]
    if layer.has_maps:
        rows.append(("its map", list(heat(found.numpy()))))
        rows.append(("where", list(spotlight(pictures, region(found, pictures.shape[1:3]).numpy()))))
    heads = [f"{peak:.2f}" for peak in answers.peaks[chosen, unit].tolist()]
    note = (
        f"Of {shown.shown_what} the {len(chosen)} that it answers to most, and how strongly. It is above 0 at "
        f"{answers.active[unit]:.0%} of all places; over the pictures its peak is {answers.peaks[:, unit].mean():.2f} "
        f"± {answers.peaks[:, unit].std():.2f}."
    )
    panels = [Panel("What it waits for", note, labelled_rows(rows, heads))]
    data: dict[str, Any] = {"verb": "inside", "network": shown.name, "weights": lab.weights}
    data |= unit_facts(shown, layer, unit, answers)
    tensors = {"peaks": answers.peaks[:, unit], "activations": found}
    if shown.name == "generator":
        panel, data["silenced"] = _silenced_panel(lab, shown, layer, [unit], chosen)
        panels.append(panel)
    return Sheet(page(f"{shown.name}: {layer.name}, unit {unit}", panels), data, lab.maker, tensors)


def _without(lab: Lab, shown: Opened, layer: Layer, units: list[int]) -> Sheet:
    panel, silenced = _silenced_panel(lab, shown, layer, units, torch.arange(min(SHOWN, len(shown.pictures))))
    data = {"verb": "inside", "network": shown.name, "weights": lab.weights, "layer": layer.name} | silenced
    with shown.inside.silenced({layer.name: units}):
        tensors = {"images": shown.inside.outputs(shown.inputs[:SHOWN])}
    words = ", ".join(map(str, units[:12])) + (" ..." if len(units) > 12 else "")
    return Sheet(page(f"generator: {layer.name} without {words}", [panel]), data, lab.maker, tensors)


def _silenced_panel(
    lab: Lab, shown: Opened, layer: Layer, units: list[int], examples: torch.Tensor
) -> tuple[Panel, dict[str, Any]]:
    """Pictures before and after, and what the judge says, beside what as many random units do."""
    judge = lab.judge
    groups = [units, *random_groups(layer.num_units, len(units), RANDOM_GROUPS, 0)]
    found = ablation(shown.inside, shown.inputs, layer.name, groups, judge)
    with shown.inside.silenced({layer.name: units}):
        after = lab.space.pictures(shown.inputs[examples])
    before = shown.pictures[examples]
    change = np.abs(after.astype(float) - before).mean(axis=3)
    rows = [
        ("as it is", [opaque(picture) for picture in before]),
        ("without", [opaque(picture) for picture in after]),
        ("change", list(heat(change))),
    ]
    heads: list[str] = [shown.addresses[index] for index in examples.tolist()]
    data = {"silence": units, "change": float(found.change[0]), "change_random": float(found.change[1:].mean())}
    verdicts = ""
    if judge is not None:
        flipped, chance = found.flipped[0], found.flipped[1:].mean(axis=0)
        data["flipped"] = dict(zip(judge.attributes, map(float, flipped), strict=True))
        data["flipped_random"] = dict(zip(judge.attributes, map(float, chance), strict=True))
        told = zip(judge.attributes, flipped, chance, strict=True)
        words = [f"{name.replace('_', ' ')} {share:.0%} ({random:.0%})" for name, share, random in told]
        verdicts = f" Verdicts that change: {', '.join(words)}."
    note = (
        f"Pixels change by {found.change[0]:.1f} grey levels on average ({found.change[1:].mean():.1f} with as many "
        f"random units silenced, as all numbers in brackets).{verdicts}"
    )
    subject = "it is" if len(units) == 1 else "they are"
    return Panel(f"What is gone when {subject} silenced", note, labelled_rows(rows, heads)), data


def _dissected(
    lab: Lab, shown: Opened, layer: Layer, judge: ModeJudge | None
) -> tuple[Panel, list[dict[str, Any]], Ablation]:
    """Every unit silenced in turn: what each costs, and for each value the unit that costs it most."""
    if layer.num_units > MOST_UNITS:
        raise ConfigError(
            "This layer has too many units to silence each of them.",
            where="--dissect",
            got=layer.num_units,
            expected=f"at most {MOST_UNITS:,}",
        )
    progress = partial(lab.reporter.progress, "silencing units")
    found = ablation(shown.inside, shown.inputs, layer.name, single_units(layer.num_units), judge, progress)
    data: list[dict[str, Any]] = [
        {"unit": unit, "change": float(found.change[unit])} for unit in range(layer.num_units)
    ]
    if judge is None:
        rows = [[str(unit), f"{found.change[unit]:.2f}"] for unit in np.argsort(-found.change)[:ROWS]]
        note = "How much pixels change, in grey levels, when a unit answers 0. What is gone, nobody here can tell."
        return Panel("What each unit costs", note, table(["unit", "change"], rows)), data, found
    for row, flipped in zip(data, found.flipped, strict=True):
        row["flipped"] = dict(zip(judge.attributes, map(float, flipped), strict=True))
    rows = []
    for attribute, value, name in _values(judge):
        shows = int((found.before[:, attribute] == value).sum())
        if not shows:
            continue
        unit = int(found.drawing(attribute, value)[0])
        lost, others = found.lost(attribute, value), found.others_flipped(attribute, value)
        shares = [f"{share:.0%}" for share in (lost[unit], others[unit], float(np.median(lost)))]
        rows.append([name, str(shows), str(unit), *shares, f"{found.change[unit]:.1f}"])
    note = (
        "Each unit answers 0 in turn. For every value: how many pictures show it, the unit that costs it most beside "
        "what it costs other attributes, the share of these pictures that lose the value and the share of verdicts on "
        "other attributes that change, and what the median unit costs. The unit was picked as the best of all, so on "
        "other pictures it costs less; a few pictures prove nothing."
    )
    if layer.kind in BEFORE_ACTIVATION:
        note += " This layer is in front of an activation, where 0 is not silence."
    head = ["value", "pictures", "unit", "lost", "others change", "median unit", "grey levels"]
    return Panel("What goes when a unit is silenced", note, table(head, rows)), data, found


def _going_with(shown: Opened, judge: ModeJudge, peaks: torch.Tensor) -> tuple[Panel, list[dict[str, Any]]]:
    """For each value the unit whose peak tells it best from all others."""
    verdicts = judge(shown.pictures)
    rows, data = [], []
    for attribute, value, name in _values(judge):
        areas = agreement(peaks, verdicts[:, attribute] == value)
        if np.isnan(areas).all():
            continue
        unit = int(np.abs(areas - 0.5).argmax())
        shows = int((verdicts[:, attribute] == value).sum())
        rows.append([name, str(shows), str(unit), f"{areas[unit]:.2f}"])
        data.append({"value": name, "pictures": shows, "unit": unit, "area": float(areas[unit])})
    note = (
        "For each value the unit whose peak tells pictures with it best from others: area under the ROC curve, 0.5 for "
        "chance, 0 where it is silent just then. That it goes with something does not mean that it draws it."
    )
    return Panel("What goes with what", note, table(["value", "pictures", "unit", "area"], rows)), data


def _values(judge: ModeJudge) -> list[tuple[int, int, str]]:
    """Attribute, value, and both in words."""
    return [
        (attribute, value, f"{name.replace('_', ' ')} {word}")
        for attribute, (name, values) in enumerate(judge.attributes.items())
        for value, word in enumerate(values)
    ]
