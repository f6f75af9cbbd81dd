"""What is on a page besides its programs: latents, labels, directions and what they do, pictures to compare with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from ganlet.errors import ConfigError
from ganlet.export.web.packing import Bytes, packed_numbers
from ganlet.latent.mixing import PARTS, levels_of
from ganlet.networks.zoo import parameter_count
from ganlet.workflows.lab.edits import STRENGTH
from ganlet.workflows.lab.known_directions import Known, load_all
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.lab.page.moving import varied
from ganlet.workflows.lab.words import facts, spoken

NUM_DIRECTIONS = 8
NUM_REFERENCES = 4


def facts_of(lab: Lab) -> dict[str, Any]:
    """Who draws, and what it is fed."""
    data, latents = lab.trained.config.data, lab.trained.generator.latents
    return {
        "maker": asdict(lab.maker),
        "parameters": parameter_count(lab.trained.generator),
        "size": list(data.size),
        "channels": data.channels,
        "latents": {"kind": latents.kind, "size": latents.size, "levels": lab.space.num_levels},
        "space": {"name": lab.space.points_are, "kind": lab.space.kind, "shape": list(lab.space.shape)},
        "labels": _labels(lab),
        "parts": _parts(lab),
    }


def directions_of(lab: Lab, into: Bytes, num: int = NUM_DIRECTIONS) -> list[dict[str, Any]]:
    """The best directions that the run knows."""
    return [_direction(one, into) for one in varied(load_all(lab), num)]


def references_of(lab: Lab, into: Bytes, num: int = NUM_REFERENCES) -> list[dict[str, Any]]:
    """The first pictures of some seeds as PyTorch draws them, each on its own, bit by bit."""
    found = []
    for seed in range(num):
        pictures = lab.space.pictures(lab.sample(1, seed))
        # Differences from row to row are small numbers, and become few bytes.
        changes = np.diff(pictures[0].astype(np.int16), axis=0, prepend=0).astype(np.uint8)
        found.append({"seed": seed, "place": into.add(changes.tobytes()), "size": pictures.size})
    return found


def _labels(lab: Lab) -> dict[str, Any] | None:
    data = lab.trained.config.data
    if not lab.num_labels or lab.trained.labels is None:
        return None
    assert data.label_names != "auto"
    return {"names": list(data.label_names), "kind": data.labels, "sets": lab.trained.labels.sets()}


def _parts(lab: Lab) -> list[dict[str, Any]]:
    """What of a point each part of the levels is: name, and where it begins and ends among its numbers."""
    if lab.space.num_levels < 2:
        return []
    sizes = [lab.space.shape[-1]] * lab.space.num_levels if lab.space.has_styles else lab.space.part_sizes
    edges = [sum(sizes[:level]) for level in range(len(sizes) + 1)]
    found = []
    for part in PARTS:
        try:
            levels = levels_of(lab.space, part)
        except ConfigError:  # two levels have no middle
            continue
        found.append({"name": part, "begin": edges[levels.start], "end": edges[levels.stop]})
    return found


def _direction(known: Known, into: Bytes) -> dict[str, Any]:
    """A direction as `page.js` follows it; see `workflows.lab.edits.applied`."""
    direction = known.direction

    def numbers(tensor: torch.Tensor) -> list[Any]:
        return packed_numbers(tensor.flatten().numpy(), into)

    told: dict[str, Any] = {"name": known.name, "measured": _measured(known)}
    told |= {"vector": numbers(direction.vector), "low": 0.0, "high": 1.0}
    told |= {"labels": None if direction.labels is None else direction.labels.tolist()}
    if direction.change is not None:
        told["change"] = {"becomes": direction.change.becomes.tolist(), "added": direction.change.added}
    if direction.is_whole:
        return told | {"way": "step"}
    if known.turned is None:
        return told | {"way": "step", "low": -STRENGTH, "high": STRENGTH}
    told |= {"level": known.turned.level}
    if direction.place is not None:
        place = direction.place
        rows = {name: numbers(getattr(place, name)) for name in ("basis", "readings", "mean", "centre")}
        return told | {"way": "place", "place": rows}
    return told | {"way": "level", "reading": numbers(direction.reading), "origin": direction.origin}


def _measured(known: Known) -> str:
    """What was measured, in a sentence or two."""
    turned = known.turned
    sentences: list[str] = []
    if turned is not None:
        sentences.append(f"Brings it in {turned.turned.value:.0%} of {turned.turned.total} pictures that lacked it.")
        if turned.kept:
            name, share = min(turned.kept.items(), key=lambda item: item[1].value)
            sentences.append(f"Least kept of everything else: {spoken(name)}, {share.value:.0%}.")
    moves = facts(known)
    if moves:
        sentences.append(f"{'Beside it, each' if turned else 'Each'} step: {moves} (standard deviations).")
    elif turned is None:
        share = known.moved.features
        if math.isfinite(share):
            sentences.append(f"Moves pictures {share:.0%} of the way to another one.")
    return " ".join(sentences)


def evenly(moments: Sequence[int], num: int) -> list[int]:
    """`num` of the moments, evenly spaced, the first and the last among them; all where there are no more."""
    if len(moments) <= num:
        return list(moments)
    if num == 1:
        return [moments[-1]]
    places = [round(place * (len(moments) - 1) / (num - 1)) for place in range(num)]
    return [moments[place] for place in places]
