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

from ganlet.images import png_bytes
from ganlet.runs.certificate import Certificate, Maker
from ganlet.runs.files import os_errors_explained, write_atomic
from ganlet.runs.panels import Panel
from ganlet.runs.picture_files import certified
from ganlet.workflows.drawing import picture_path


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

        Into a folder they go under the name of the verb. Raises `ConfigError` for another kind of file, and else as
        `runs.files.os_errors_explained`.
        """
        path = picture_path(out, films=False)
        if path.suffix.lower() != ".png":
            path = path / f"{self.data['verb']}.png"
        with os_errors_explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        told = Certificate.without_points(self.maker, {"verb": self.data["verb"]}) if certificate else None
        files = {path: certified(self.picture[None], path.suffix.lower(), told)}
        files[path.with_suffix(".json")] = (json.dumps(self.data, indent=1, ensure_ascii=False) + "\n").encode()
        if self.tensors:
            tensors = {name: tensor.contiguous() for name, tensor in self.tensors.items()}
            files[path.with_suffix(".safetensors")] = safetensors.torch.save(tensors)
        for file, content in files.items():
            write_atomic(file, content)
        return list(files)
