"""Tensors as bytes, and generator.safetensors: all that sampling and export need, in one file without code.

The file is written by us and not by safetensors, whose errors on a full disk are hard to tell from others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from ganlet.config import portable_tree
from ganlet.errors import RunError, TrainingError
from ganlet.runs.files import write_atomic
from ganlet.runs.plain_json import read_json

SCHEMA = 1
# One key only: safetensors writes several in arbitrary order, and equal generators are promised to be equal files.
KEY = "ganlet"
DAMAGED = "The generator file is damaged: its contents do not match its hash."
# What the metadata hold beside, where it is there: a file of others may have anything under these names.
KINDS = {"config": dict, "images_seen": int, "given": dict, "labels": list, "data_fingerprint": str}
MAX_IMAGES = 2**53  # whole numbers beyond are no floats
PICKLE_STARTS = (*(bytes((0x80, protocol)) for protocol in range(2, 6)), b"PK\x03\x04")  # torch.save packs one in a zip

Tensors = dict[str, torch.Tensor]


def snapshot(member: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Copies of `tensors` in main memory, contiguous; raises TrainingError for the first that is not finite."""
    copies = {}
    for name, tensor in tensors.items():
        copies[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        if copies[name].is_floating_point() and not copies[name].isfinite().all():
            raise TrainingError(
                "A tensor is not finite, so this state was not saved; checkpoints saved before are unharmed.",
                where=f"{name} of {member}",
                got="NaN or infinity",
                hint="start a new run with lower learning rates or a stronger penalty",
            )
    return copies


def save_generator(
    path: Path, tensors: Mapping[str, torch.Tensor], config_json: str, extra: Mapping[str, object] | None = None
) -> None:
    """Write a generator with the config of its run inside; equal arguments give equal bytes.

    `extra` is plain data that goes beside the config. Raises TrainingError when a tensor is not finite, else as
    `files.os_errors_explained` does.
    """
    write_atomic(path, generator_bytes(tensors, json.loads(config_json), extra))


def generator_bytes(
    tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any], extra: Mapping[str, object] | None = None
) -> bytes:
    """What `save_generator` writes. Raises TrainingError when a tensor is not finite."""
    copies = snapshot("the generator", tensors)
    metadata = {"schema": SCHEMA, "config": dict(config), **(extra or {})}
    metadata["sha256"] = _digest(copies, metadata)
    return safetensors.torch.save(copies, {KEY: _canonical(metadata)})


def portable_generator(path: Path, licence: str | None = None) -> bytes:
    """A generator file as it may be passed on: of places only last names, and under the licence that is known now.

    Raises RunError as `load_generator_file` does.
    """
    tensors, metadata = load_generator_file(path)
    config = portable_tree(metadata["config"])
    if licence is not None:
        config["data"]["licence"] = licence
    extra = {key: value for key, value in metadata.items() if key not in ("schema", "config", "sha256")}
    return generator_bytes(tensors, config, extra)


def load_generator_file(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and the metadata ("config", "schema", "sha256" and the extras) of a generator file.

    Raises RunError when there is no such file, it is damaged, it is not from ganlet or from a newer one.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RunError("The generator file cannot be read.", where=path, got=error.strerror) from error
    try:
        tensors = safetensors.torch.load(data)
    except SafetensorError as error:
        if data.startswith(PICKLE_STARTS):
            raise RunError(
                "This is a pickle under another name: it could run anything, and is never loaded.",
                where=path,
                expected="a safetensors file, as ganlet writes it",
            ) from error
        raise RunError("This is no safetensors file, or it is damaged.", where=path, got=error) from error
    except KeyError as error:  # one of the kinds of numbers that a file may have and PyTorch has not
        got = f"tensors of {error.args[0]}"
        raise RunError("This safetensors file was not written by ganlet.", where=path, got=got) from error
    metadata = _metadata(data)
    if metadata is None or "config" not in metadata:
        raise RunError(
            "This safetensors file was not written by ganlet.",
            where=path,
            expected="generator.safetensors of a run, which has the config inside",
        )
    if metadata.get("schema") != SCHEMA:
        got, expected = f"schema {metadata.get('schema')}", f"schema {SCHEMA}"
        hint = "install the ganlet that wrote it: pip install --upgrade ganlet"
        raise RunError(
            "Another version of ganlet wrote this generator.", where=path, got=got, expected=expected, hint=hint
        )
    expected = metadata.get("sha256")
    if _digest(tensors, {key: value for key, value in metadata.items() if key != "sha256"}) != expected:
        hint = "copy it again from where it came, or write it again from a checkpoint with: ganlet resume RUN"
        raise RunError(DAMAGED, where=path, hint=hint)
    _require_kinds(metadata, path)
    return tensors, metadata


def _require_kinds(metadata: Mapping[str, Any], path: Path) -> None:
    """Raise RunError where the metadata hold what ganlet never writes, however well it fits the hash."""
    odd = [key for key, kind in KINDS.items() if not isinstance(metadata.get(key), kind | None)]
    if odd or metadata["config"] is None or not 0 <= (metadata.get("images_seen") or 0) < MAX_IMAGES:
        raise RunError(
            "The metadata of this generator file are none that ganlet writes.",
            where=path,
            got=f"{odd[0]} of type {type(metadata[odd[0]]).__name__}" if odd else None,
        )


def _metadata(data: bytes) -> dict[str, Any] | None:
    """Our part of the header of a valid safetensors file: 8 bytes of length (little-endian), then JSON."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    try:
        metadata = read_json(header["__metadata__"][KEY])
        _canonical(metadata)  # in which NaN and infinity have no form
    except (KeyError, ValueError):
        return None
    return metadata if isinstance(metadata, dict) else None


def _digest(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, object]) -> str:
    """SHA-256 over metadata and tensors, independent of how safetensors lays them out."""
    digest = hashlib.sha256(_canonical(metadata).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(_canonical([name, str(tensor.dtype), list(tensor.shape)]).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)
