"""Directions that a run knows by name: tensors and measured effects, in its folder `lab/directions`."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from ganlet.errors import ConfigError, nearest
from ganlet.latent.directions import Direction, LabelChange, Place
from ganlet.latent.effects import Moved, Share, Turned
from ganlet.paths import printable
from ganlet.runs.files import os_errors_explained, write_atomic
from ganlet.runs.plain_json import read_json
from ganlet.workflows.lab.addresses import kept_names, kept_path
from ganlet.workflows.lab.lab import Lab

KIND = "directions"
LONGEST = 60


@dataclass(frozen=True, eq=False)
class Known:
    """A direction with its measured effects. `turned` is of those that were found for a verdict, or by a label."""

    direction: Direction
    moved: Moved
    turned: Turned | None = None

    @property
    def name(self) -> str:
        return self.direction.name

    @property
    def quality(self) -> float:
        """What it is offered by, at most 1: of those with a verdict, turned times the share of the worst kept."""
        if self.turned is None:
            return 0.1 * self.moved.features / (1 + self.moved.features)  # nobody says what it does, but that it does
        return self.turned.turned.value * self.worst_kept

    @property
    def worst_kept(self) -> float:
        """The smallest share of verdicts kept, over all other attributes; 1 where there are none."""
        return min((share.value for share in self.turned.kept.values()), default=1.0) if self.turned else math.nan


def keep(lab: Lab, known: Known) -> Path:
    """Write a direction as NAME.safetensors, and what was measured as NAME.json beside it."""
    direction = known.direction
    path = kept_path(lab, KIND, file_name(known.name))
    tensors = {"vector": direction.vector, "reading": direction.reading}
    if direction.place is not None:
        tensors |= {f"place.{name}": getattr(direction.place, name) for name in Place.__dataclass_fields__}
    if direction.change is not None:
        tensors["becomes"] = direction.change.becomes
    if direction.labels is not None:
        tensors["labels"] = direction.labels
    facts: dict[str, Any] = {"name": known.name, "found": direction.found, "origin": direction.origin}
    facts |= {"weight": None if math.isnan(direction.weight) else direction.weight}
    facts |= {"attribute": direction.attribute, "value": direction.value}
    facts |= {"added": None if direction.change is None else direction.change.added}
    facts |= {"weights": lab.weights, "run": lab.maker.run, "images_seen": lab.trained.images_seen}
    facts |= {"moved": asdict(known.moved), "turned": _turned_as_data(known.turned)}
    with os_errors_explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(facts, indent=2)
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_atomic(path, safetensors.torch.save(contiguous, {"direction": text}))
    write_atomic(path.with_suffix(".json"), (text + "\n").encode())
    return path


def load(lab: Lab, name: str, option: str = "--along") -> Known:
    """A direction by its name. Raises `ConfigError` for a name that is not known, and one of other weights."""
    stem = name if name in kept_names(lab, KIND) else file_name(name)
    path = lab.path / KIND / f"{stem}.safetensors"
    command = f"ganlet explore {printable(lab.run)} directions"
    if not path.is_file():
        known = kept_names(lab, KIND)
        close = nearest(name, known)
        before, _, after = name.rpartition(":")
        if before in known:  # as addresses of pages have it
            close = f"{before}={after}"
        raise ConfigError(
            "No direction is known by this name.",
            where=option,
            got=printable(name),
            expected=", ".join(map(printable, known)) or None,
            hint=f"did you mean {printable(close)}?" if close else f"find directions: {command}",
        )
    try:
        with safetensors.safe_open(path, "pt") as file:
            facts = read_json((file.metadata() or {})["direction"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        known = _known(facts, tensors)
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        got = f"{printable(path)}: {error}"
        raise ConfigError(
            "This direction cannot be read.", where=option, got=got, hint=f"find it anew: {command}"
        ) from None
    if facts["weights"] != lab.weights:
        raise ConfigError(
            "This direction was found for other weights, in whose space the same numbers mean something else.",
            where=option,
            got=f"{printable(name)}, of weights {str(facts['weights'])[:12]} after {facts['images_seen']:,} images",
            expected=f"weights {lab.weights[:12]}",
            hint=f"find this generator's own: {command}",
        )
    return known


def load_all(lab: Lab) -> list[Known]:
    """All directions of these weights that are kept, the best first; those of others, and damaged ones, left out."""
    return sorted((known for _, known in _kept(lab) if known is not None), key=lambda known: -known.quality)


def left_out(lab: Lab) -> list[str]:
    """The names of what `load_all` leaves out."""
    return [name for name, known in _kept(lab) if known is None]


def _kept(lab: Lab) -> Iterator[tuple[str, Known | None]]:
    for name in kept_names(lab, KIND):
        try:
            yield name, load(lab, name)
        except ConfigError:
            yield name, None


def file_name(name: str) -> str:
    """A name as its file may be called: itself, or what of it makes a name, and a few digits lest two become one."""
    if re.fullmatch(rf"\w[\w +-]{{0,{LONGEST - 1}}}", name) and not name.isdigit():
        return name
    digits = hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=3).hexdigest()
    return f"{re.sub(r'[^A-Za-z0-9_ +-]', '-', name)[:LONGEST].strip(' -') or 'direction'} {digits}"


def _known(facts: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> Known:
    place = None
    if "place.basis" in tensors:
        place = Place(**{name: tensors[f"place.{name}"] for name in Place.__dataclass_fields__})
    change = LabelChange(tensors["becomes"], int(facts["added"])) if "becomes" in tensors else None
    direction = Direction(
        facts["name"],
        tensors["vector"],
        tensors["reading"],
        float(facts["origin"]),
        facts["found"],
        math.nan if facts["weight"] is None else float(facts["weight"]),
        change,
        tensors.get("labels"),
        facts["attribute"],
        facts["value"],
        place,
    )
    moved = Moved(**(facts["moved"] | {"changed": _shares(facts["moved"]["changed"])}))
    turned = facts["turned"]
    if turned is not None:
        half = math.inf if turned["half"] is None else turned["half"]
        turned = Turned(turned["level"], Share(**turned["turned"]), _shares(turned["kept"]), half)
    return Known(direction, moved, turned)


def _turned_as_data(turned: Turned | None) -> dict[str, Any] | None:
    """Plain data; JSON has no infinity."""
    return None if turned is None else asdict(turned) | {"half": None if math.isinf(turned.half) else turned.half}


def _shares(data: Mapping[str, Any]) -> dict[str, Share]:
    return {name: Share(**share) for name, share in data.items()}
