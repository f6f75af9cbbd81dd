"""What people have in hand where a latent is meant: a seed, a picture of ours, a file of numbers, a name they kept.

`3` is the first picture of seed 3, `3#17` the eighteenth; `sheet.png#5` the sixth cell of a sheet, `film.webp#5` the
sixth picture of a film; without a number it is the first one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from ganlet import paths
from ganlet.errors import ConfigError, nearest
from ganlet.latent.paths import relabelled
from ganlet.latent.space import Points, joined
from ganlet.paths import printable
from ganlet.runs.certificate import Certificate
from ganlet.runs.files import os_errors_explained, write_atomic
from ganlet.runs.picture_files import FILMS, STILL, certificate_text
from ganlet.workflows.drawing import points_in

if TYPE_CHECKING:
    from ganlet.workflows.lab.lab import Lab

SEED = re.compile(r"\d{1,18}")
NAME = re.compile(r"[\w][\w .+-]{0,79}")
MEANT = "a seed such as 3 or 3#17, a picture that this generator drew, a .npy or .safetensors file, or a kept name"
MOST = 1_000_000  # pictures of a seed that are counted


def find(
    lab: Lab,
    addresses: Sequence[Any],
    option: str,
    labels: torch.Tensor | None = None,
    truncation: float | None = None,
) -> Points:
    """The points at addresses, one after another, under labels (N, num_labels) of one's own if there are any.

    A truncation is for seeds. Raises `ConfigError` for what is no address, naming the option.
    """
    found = []
    for number, address in enumerate(addresses):
        own = None if labels is None else labels[number : number + 1]
        found.append(_one(lab, address, option, own, truncation))
    return joined(found)


def keep(lab: Lab, name: str, points: Points) -> Path:
    """Keep a point under a name. Raises `ConfigError` for a name that means something else."""
    path = kept_path(lab, "points", name, "NAME")
    tensors = {"values": points.values[:1].contiguous()}
    if points.labels is not None:
        tensors["labels"] = points.labels[:1].contiguous()
    meta = {"space": lab.space.points_are, "weights": lab.weights, "run": lab.maker.run}
    with os_errors_explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, safetensors.torch.save(tensors, meta))
    return path


def kept_path(lab: Lab, kind: str, name: str, option: str = "--keep") -> Path:
    """Where a thing of a kind ("points", "directions") is kept under a name. Raises `ConfigError` for an odd name."""
    if not NAME.fullmatch(name) or SEED.fullmatch(name) or Path(name).suffix.lower() in (STILL, *FILMS):
        raise ConfigError(
            "This name cannot be told from something else.",
            where=option,
            got=printable(name),
            expected="letters, digits, spaces, . _ + -; no number, no name of a file",
        )
    return lab.path / kind / f"{name}.safetensors"


def kept_names(lab: Lab, kind: str) -> list[str]:
    """The names of what is kept of a kind."""
    folder = lab.path / kind
    return sorted(path.stem for path in folder.glob("*.safetensors")) if folder.is_dir() else []


def _one(lab: Lab, address: Any, option: str, labels: torch.Tensor | None, truncation: float | None) -> Points:
    if isinstance(address, int) and not isinstance(address, bool):
        address = str(address)
    if isinstance(address, str) and (seed := re.fullmatch(r"(\d{1,18})(?:#(\d{1,18}))?", address)):
        return _of_seed(lab, int(seed[1]), int(seed[2] or 0), option, labels, truncation)
    points = _elsewhere(lab, address, option)
    if labels is None:
        return points
    if lab.space.has_styles:
        raise ConfigError(
            "The styles of this picture were made for its own label, and cannot be brought under another.",
            where=option,
            got=str(address)[:60],
            expected="a seed",
        )
    return relabelled(points, labels)


def _elsewhere(lab: Lab, address: Any, option: str) -> Points:
    if isinstance(address, Points):
        return address
    if isinstance(address, torch.Tensor | np.ndarray):
        return _of_numbers(lab, torch.as_tensor(address), option)
    if not isinstance(address, str | os.PathLike):
        raise ConfigError("This is no address of a picture.", where=option, got=repr(address)[:60], expected=MEANT)
    text = os.fspath(address)
    if paths.given(text, option).is_file():  # a file may have a # in its name
        return _of_file(lab, paths.given(text, option), None, option)
    place, mark, number = text.rpartition("#")
    place, index = (place, number) if mark and SEED.fullmatch(number) else (text, None)
    if place in kept_names(lab, "points"):
        return _of_file(lab, kept_path(lab, "points", place), None, option)
    path = paths.given(place, option)
    if path.is_file():
        return _of_file(lab, path, None if index is None else int(index), option)
    close = nearest(place, kept_names(lab, "points"))
    hint = f"did you mean {printable(close)}?" if close else None
    raise ConfigError(
        "There is no such picture or point.", where=option, got=printable(text), expected=MEANT, hint=hint
    )


def _of_seed(
    lab: Lab, seed: int, index: int, option: str, labels: torch.Tensor | None, truncation: float | None
) -> Points:
    """One picture of a seed, in the bits that it has among the others of its block."""
    if index >= MOST:
        raise ConfigError("This number is too large.", where=option, got=f"#{index}", expected=f"below {MOST:,}")
    if labels is not None:
        labels = labels.expand(index + 1, -1)
    return lab.sample(index + 1, seed, labels, truncation)[index : index + 1]


def _of_file(lab: Lab, path: Path, index: int | None, option: str) -> Points:
    suffix = path.suffix.lower()
    readers: dict[str, Callable[[Lab, Path, str], Points]] = {".npy": _of_array, ".safetensors": _of_safetensors}
    points = readers.get(suffix, _of_picture)(lab, path, option)
    if not (index or 0) < len(points):
        got = f"#{index}, and there are {len(points)}"
        raise ConfigError("There are fewer pictures in it.", where=option, got=got, expected=f"0 to {len(points) - 1}")
    return points[index or 0 : (index or 0) + 1]


def _of_picture(lab: Lab, path: Path, option: str) -> Points:
    text = certificate_text(path)
    if text is None:
        raise ConfigError(
            "This picture does not say which latent it was drawn from.",
            where=option,
            got=printable(path),
            expected=MEANT,
            hint=f"look for its latent: ganlet explore {printable(lab.run)} invert {printable(path)}",
        )
    return points_of(lab, Certificate.from_text(text, printable(path)), printable(path), option)


def points_of(lab: Lab, certificate: Certificate, got: str, option: str) -> Points:
    """The points of a certificate. Raises `ConfigError` where they mean nothing to this generator.

    Latents of another moment of the same run are taken: they show the same picture at another age. Styles are not.
    """
    maker = certificate.maker
    same = maker.weights == lab.weights or (maker.run == lab.maker.run and certificate.space == "latents")
    if not same or (certificate.space == "styles") > lab.space.has_styles:
        raise ConfigError(
            "Another generator drew this picture, to which the same numbers mean another one.",
            where=option,
            got=f"{got}: weights {maker.weights[:12]}",
            expected=f"weights {lab.weights[:12]}",
            hint=f"look for it here: ganlet explore {printable(lab.run)} invert {got}",
        )
    if not len(certificate):
        hint = "the sheets in the run's folder samples have latents"
        raise ConfigError("This picture shows many moments of a run.", where=option, got=got, hint=hint)
    return _checked(lab, points_in(certificate, lab.space), option)


def _of_array(lab: Lab, path: Path, option: str) -> Points:
    try:
        values = torch.as_tensor(np.load(path, allow_pickle=False))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError("This file holds no numbers.", where=option, got=f"{printable(path)}: {error}") from None
    return _of_numbers(lab, values, option)


def _of_safetensors(lab: Lab, path: Path, option: str) -> Points:
    try:
        with safetensors.safe_open(path, "pt") as file:
            meta = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in ("values", "latents", "labels") if name in file.keys()}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise ConfigError("This file cannot be read.", where=option, got=f"{printable(path)}: {error}") from None
    if "latents" in tensors:
        return _of_numbers(lab, tensors["latents"], option)
    if "values" not in tensors:
        raise ConfigError("There are no latents in this file.", where=option, got=printable(path), expected="latents")
    if meta.get("weights") != lab.weights and (meta.get("space") == "styles" or meta.get("run") != lab.maker.run):
        raise ConfigError("This point is one of another generator.", where=option, got=printable(path))
    return _checked(lab, Points(tensors["values"].float(), tensors.get("labels")), option)


def _of_numbers(lab: Lab, latents: torch.Tensor, option: str) -> Points:
    """The points of latents (..., latent_size)."""
    one = lab.space.generator.latents.draw((1,), 0, "shape")
    if latents.shape == one.shape[1:]:
        latents = latents[None]
    if latents.shape[1:] != one.shape[1:] or not len(latents) or not latents.isfinite().all():
        expected = f"numbers of shape {tuple(one.shape[1:])}"
        raise ConfigError("These latents do not fit.", where=option, got=tuple(latents.shape), expected=expected)
    labels = None if lab.trained.labels is None else lab.trained.labels.draw(len(latents), 0)
    return lab.space.enter(latents.float(), labels)


def _checked(lab: Lab, points: Points, option: str) -> Points:
    labels = 0 if points.labels is None else points.labels.shape[-1]
    if tuple(points.values.shape[1:]) != tuple(lab.space.shape) or labels != lab.num_labels:
        got, expected = tuple(points.values.shape[1:]), tuple(lab.space.shape)
        raise ConfigError("This point does not fit the generator.", where=option, got=got, expected=expected)
    return points
