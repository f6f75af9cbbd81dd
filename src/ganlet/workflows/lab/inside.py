"""Looking into both networks: one page that shows them as a whole. Pages of layers and units are in `units`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ganlet.images import grid, opaque
from ganlet.latent.filters import as_pictures, first_filters, last_filters
from ganlet.latent.inside import Answers, Layer
from ganlet.latent.looking import logit_gradient, occlusion, region
from ganlet.runs.panels import Panel, heat, labelled_rows, page, side_by_side, spotlight, table
from ganlet.runs.pictures import scaled
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.lab.opened import (
    BEFORE_ACTIVATION,
    Opened,
    all_answers,
    looked_at,
    opened_discriminator,
    opened_generator,
    opened_network,
)
from ganlet.workflows.lab.sheets import Sheet

TOP = 6  # pictures that a unit answers to most
SHOWN_UNITS, SHOWN_MAPS, SHOWN_FILTERS = 8, 10, 48
LOOKED_AT = 5  # generated pictures, and as many real ones

Unit = tuple[Layer, int, Answers]


def overview(lab: Lab, network: str | None = None, num: int = 200, seed: int = 0) -> Sheet:
    """Both networks on one page, or one of them: layers, a picture on its way, what units wait for, filters, looks.

    `num` pictures are shown to each. Of a generator without its run, only the generator is shown.
    """
    networks = _networks(lab, network, num, seed)
    answers = {opened.name: all_answers(lab, opened) for opened in networks}
    selective = {opened.name: selective_units(opened, answers[opened.name]) for opened in networks}
    data: dict[str, Any] = {"verb": "inside", "weights": lab.weights, "num": num, "seed": seed}
    data["layers"] = {
        opened.name: [facts(layer, answers[opened.name]) for layer in opened.layers] for opened in networks
    }
    data["selective"] = {
        opened.name: [unit_facts(opened, *unit) for unit in selective[opened.name]] for opened in networks
    }
    tensors = {
        f"{name}/{layer}/peaks": found.peaks for name, layers in answers.items() for layer, found in layers.items()
    }
    panels = [_layers_panel(networks, answers)]
    panels += [_way_panel(opened) for opened in networks if opened.name == "generator"]
    panels += [_selective_panel(networks, selective), _filters_panel(networks)]
    for opened in networks:
        if opened.name == "discriminator":
            panel, found = _looking_panel(lab, opened, seed)
            panels.append(panel)
            tensors |= found
    return Sheet(page(f"Inside the {network or 'networks'}", panels), data, lab.maker, tensors, panels)


def _networks(lab: Lab, network: str | None, num: int, seed: int) -> list[Opened]:
    """The one that is meant, else both, as far as they are there."""
    if network is not None:
        return [opened_network(lab, network, num, seed)]
    networks = [opened_generator(lab, num, seed)]
    if lab.folder is None:
        lab.reporter.say("There is no discriminator in the file of a generator, only in its run.")
        return networks
    return [*networks, opened_discriminator(lab, num, seed)]


def facts(layer: Layer, answers: dict[str, Answers]) -> dict[str, Any]:
    """What is known of a layer, as plain data."""
    found = answers[layer.name]
    return {
        "name": layer.name,
        "kind": layer.kind,
        "shape": list(layer.shape),
        "dead": dead_units(layer, found),
        "duplicates": {int(unit): int(found.same_as[unit]) for unit in found.duplicates.nonzero()[:, 0]},
        "active": float(found.active.mean()),
    }


def dead_units(layer: Layer, answers: Answers) -> list[int]:
    """The units that say nothing: before an activation those that are constant, behind it all that stay below 0."""
    found = answers.constant if layer.kind in BEFORE_ACTIVATION else answers.dead
    return found.nonzero()[:, 0].tolist()


def makes(layer: Layer) -> str:
    """What a layer makes of a picture, in words."""
    return "{} maps of {} x {}".format(*layer.shape) if layer.has_maps else f"{layer.num_units} numbers"


def selective_units(opened: Opened, answers: dict[str, Answers], num: int = SHOWN_UNITS) -> list[Unit]:
    """The most selective units of the main layers, an even share of each."""
    layers = opened.main_layers[-num:]
    units = []
    for layer in layers:
        selectivity = answers[layer.name].selectivity(TOP)
        chosen = selectivity.argsort(descending=True, stable=True)[: -(-num // len(layers))]
        units += [(layer, unit, answers[layer.name]) for unit in chosen.tolist()]
    return units


def unit_facts(opened: Opened, layer: Layer, unit: int, answers: Answers) -> dict[str, Any]:
    """What is known of a unit, as plain data."""
    return {
        "layer": layer.name,
        "unit": unit,
        "active": float(answers.active[unit]),
        "dead": unit in dead_units(layer, answers),
        "same_as": int(answers.same_as[unit]),
        "selectivity": float(answers.selectivity(TOP)[unit]),
        "pictures": [opened.addresses[index] for index in answers.strongest(TOP)[unit].tolist()],
    }


def rows_of_units(opened: Opened, units: Sequence[Unit], num: int = TOP) -> np.ndarray:
    """A row for each unit: the pictures that it answers to most, lit where it is awake."""
    rows = []
    for layer, unit, answers in units:
        chosen = answers.strongest(num)[unit]
        shown = opened.shown[chosen]
        if layer.has_maps:
            maps = opened.inside.activations(opened.inputs[chosen], layer.name)[:, unit]
            shown = spotlight(shown, region(maps, shown.shape[1:3]).numpy())
        rows.append((f"{layer.name}\nunit {unit}", list(shown)))
    return labelled_rows(rows)


def _layers_panel(networks: Sequence[Opened], answers: dict[str, dict[str, Answers]]) -> Panel:
    tables = []
    for opened in networks:
        rows = []
        for layer in opened.layers:
            found = answers[opened.name][layer.name]
            counts = (len(dead_units(layer, found)), int(found.duplicates.sum()))
            rows.append(
                [layer.name, makes(layer), *(str(count or "-") for count in counts), f"{found.active.mean():.0%}"]
            )
        tables.append(table([opened.name, "makes", "dead", "same", "active"], rows))
    note = (
        "Dead: units that are everywhere the same, or, behind an activation, nowhere above 0. Same: units that repeat "
        "an earlier one (correlation above 0.99). Active: the share of places above 0."
    )
    return Panel("Layers", note, side_by_side(tables, 40))


def _way_panel(generator: Opened) -> Panel:
    """The maps of the first picture, level by level."""
    rows = []
    for layer in generator.main_layers:
        found = generator.inside.activations(generator.inputs[:1], layer.name)[0]
        if not layer.has_maps:
            continue
        loudest = found.flatten(1).amax(dim=1).argsort(descending=True, stable=True)[:SHOWN_MAPS].sort().values
        rows.append((f"{layer.name}\n{layer.shape[1]} x {layer.shape[2]}", list(heat(found[loudest].numpy()))))
    picture = opaque(generator.pictures[0])
    if not rows:
        note = "The layers of this generator make no maps, so there is nothing to see on the way."
        return Panel("A picture on its way", note, scaled(picture, 192))
    note = (
        f"Picture {generator.addresses[0]}, and of each resolution the {SHOWN_MAPS} maps that answer to it most, each "
        "from its lowest place (white) to its highest (dark)."
    )
    return Panel("A picture on its way", note, side_by_side([labelled_rows(rows), scaled(picture, 192)]))


def _selective_panel(networks: Sequence[Opened], units: dict[str, list[Unit]]) -> Panel:
    sides = ("left: ", "right: ") if len(networks) > 1 else ("",)
    shown = "; ".join(f"{side}the {one.name}'s, of {one.shown_what}" for side, one in zip(sides, networks, strict=True))
    note = (
        f"The most selective units of each main layer, and the {TOP} pictures that they answer to most, lit where the "
        f"unit is awake (above half of its range): {shown}."
    )
    blocks = [rows_of_units(opened, units[opened.name]) for opened in networks]
    return Panel("What units wait for", note, side_by_side(blocks, 48))


def _filters_panel(networks: Sequence[Opened]) -> Panel:
    sheets, words = [], []
    for opened in networks:
        if opened.name == "generator":
            name, filters = last_filters(opened.inside)
            words.append(f"what each unit before {name} paints, the generator's last layer")
        else:
            name, filters = first_filters(opened.inside)
            words.append(f"what the discriminator's first layer, {name}, looks for")
        sheets.append(_filter_sheet(filters))
    note = f"Left: {words[0]}. Right: {words[1]}." if len(words) > 1 else f"{words[0][0].upper()}{words[0][1:]}."
    return Panel("Filters", f"{note} Grey is 0.", side_by_side(sheets, 48))


def _filter_sheet(filters: torch.Tensor) -> np.ndarray:
    """The filters with the largest weights, as a grid."""
    strongest = filters.flatten(1).norm(dim=1).argsort(descending=True, stable=True)[:SHOWN_FILTERS].sort().values
    shown = np.stack([scaled(picture, 48) for picture in as_pictures(filters[strongest])])
    return grid(shown, 8, 4)


def _looking_panel(lab: Lab, opened: Opened, seed: int) -> tuple[Panel, dict[str, torch.Tensor]]:
    inputs, pictures, words = looked_at(lab, LOOKED_AT, seed)
    network = opened.inside.network
    gradient = logit_gradient(network, inputs.values, inputs.labels)
    covered = occlusion(network, inputs.values, inputs.labels)
    logits = opened.inside.outputs(inputs).flatten()
    rows = [
        ("picture", [opaque(picture) for picture in pictures]),
        ("gradient", list(heat(gradient.numpy()))),
        ("covered", list(heat(covered.numpy(), signed=True))),
    ]
    heads = [f"{word} {logit:+.1f}" for word, logit in zip(words, logits.tolist(), strict=True)]
    note = (
        "Above each picture its logit, higher for real. Gradient: pixels whose change moves the logit most (dark). "
        "Covered: by how much the logit falls when a patch is laid there; orange makes the picture look real, blue "
        "makes it look generated."
    )
    tensors = {"looking/images": inputs.values, "looking/gradient": gradient, "looking/occlusion": covered}
    return Panel("Where the discriminator looks", note, labelled_rows(rows, heads)), tensors | {
        "looking/logits": logits
    }
