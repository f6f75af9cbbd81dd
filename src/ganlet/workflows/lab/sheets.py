"""A page that was drawn in the lab, with everything on it as data too."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from ganlet.errors import ConfigError
from ganlet.images import png_bytes
from ganlet.paths import printable
from ganlet.runs.certificate import Certificate, Maker
from ganlet.runs.files import os_errors_explained, write_atomic
from ganlet.runs.panels import Panel
from ganlet.runs.picture_files import STILL, certified
from ganlet.workflows.drawing import picture_path

DATA = (".json", ".safetensors")  # beside the PNG


@dataclass(frozen=True, eq=False)
class Sheet:
    """One page: `picture` uint8 (H, W, 3), `data` as JSON takes it, and what is too much for that as `tensors`.

    `maker` is whose generator it is about. `panels` are the parts of the picture, where other pages take some of them.
    """

    picture: np.ndarray
    data: Mapping[str, Any]
    maker: Maker
    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    panels: Sequence[Panel] = ()

    def __repr__(self) -> str:
        return f"Sheet({self.data.get('verb', '')}; .picture, .data, .tensors, .save(FILE.png))"

    def _repr_png_(self) -> bytes:
        return png_bytes(self.picture)

    def save(self, out: str | os.PathLike[str], *, certificate: bool = True) -> list[Path]:
        """Write FILE.png, its data beside it as FILE.json, and FILE.safetensors where there are tensors.

        Raises `ConfigError` as `page_path` does, and else as `runs.files.os_errors_explained`.
        """
        path = page_path(out, str(self.data["verb"]))
        with os_errors_explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        told = Certificate.without_points(self.maker, {"verb": self.data["verb"]}) if certificate else None
        files = {path: certified(self.picture[None], path.suffix.lower(), told)}
        files[path.with_suffix(DATA[0])] = (json.dumps(self.data, indent=1, ensure_ascii=False) + "\n").encode()
        if self.tensors:
            tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
            files[path.with_suffix(DATA[1])] = safetensors.torch.save(tensors)
        for file, content in files.items():
            write_atomic(file, content)
        return list(files)


def page_path(out: str | os.PathLike[str], verb: str) -> Path:
    """The PNG that the page of a verb is written to: `out`, or in it, where that is a folder, VERB.png.

    Raises `ConfigError` for another kind of file, and where data would be written over something else, such as a
    generator.safetensors: files beside a page that was never there are none of its data.
    """
    path = picture_path(out, films=False)
    path = path if path.suffix.lower() == STILL else path / f"{verb}{STILL}"
    beside = [path.with_suffix(suffix) for suffix in DATA]
    if not os.path.lexists(path) and (taken := [file for file in beside if os.path.lexists(file)]):
        raise ConfigError(
            "The data of this page would be written over a file that is something else.",
            where="--out",
            got=printable(taken[0]),
            hint="choose another name",
        )
    return path
