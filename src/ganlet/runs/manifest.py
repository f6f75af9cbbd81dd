"""The manifest of a checkpoint: what belongs to it, with the size and SHA-256 of each file. No torch in here.

One flipped bit is accepted silently by every reader of tensors; only these hashes see it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganlet.runs.plain_json import read_json

SCHEMA = 1
MANIFEST, META = "manifest.json", "meta.json"
MOMENT = "[0-9]{9}|[1-9][0-9]{9,14}"  # the name of a checkpoint; others may write more digits than a number can have


class _Damage(Exception):
    """What is wrong with one file, in words that follow its name."""


def directory_name(images_seen: int) -> str:
    """The name of a checkpoint: at least nine digits, so that names sort as numbers do."""
    return f"{images_seen:09d}"


def describe(images_seen: int, run_id: str, files: Mapping[str, bytes]) -> bytes:
    """The manifest of a checkpoint that consists of `files` (name -> contents)."""
    members = {name: {"size": len(data), "sha256": _sha256(data)} for name, data in files.items()}
    return to_json({"schema": SCHEMA, "images_seen": images_seen, "run_id": run_id, "members": members})


def examine(path: Path, run_id: str | None = None) -> tuple[dict[str, bytes], list[str]]:
    """The contents of each file of the checkpoint in the directory `path`, and all that is wrong with them.

    With `run_id`, to belong to another run is wrong too.
    """
    try:
        files = {MANIFEST: _read(path / MANIFEST)}
        members = _members(files[MANIFEST], path.name, run_id)
    except _Damage as damage:
        return {}, [f"{path.name}/{MANIFEST} {damage}"]
    problems = []
    for name, entry in members.items():
        try:
            files[name] = _read(path / name)
            if len(files[name]) != entry["size"]:
                raise _Damage(f"has {len(files[name]):,} bytes instead of {entry['size']:,}")
            if _sha256(files[name]) != entry["sha256"]:
                raise _Damage("is damaged: its contents do not match its hash")
        except _Damage as damage:
            problems.append(f"{path.name}/{name} {damage}")
    return files, problems


def to_json(value: object) -> bytes:
    """Strict JSON (no NaN), with sorted keys, so that equal values give equal bytes."""
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def _members(data: bytes, name: str, run_id: str | None) -> dict[str, dict[str, Any]]:
    try:
        manifest = read_json(data)
        schema = manifest["schema"]
        # Checked before anything else is read: a newer manifest may look quite different.
        if schema != SCHEMA:
            raise _Damage(f"has schema {schema}, but this ganlet reads {SCHEMA}: pip install --upgrade ganlet")
        images_seen, owner, members = manifest["images_seen"], manifest["run_id"], manifest["members"]
        if directory_name(images_seen) != name:
            raise _Damage(f"is of the moment {images_seen}: this is a renamed copy")
        if run_id is not None and owner != run_id:
            raise _Damage(f"belongs to another run ({owner} instead of {run_id})")
        entries = {member: {"size": int(entry["size"]), "sha256": entry["sha256"]} for member, entry in members.items()}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise _Damage(f"is unreadable ({type(error).__name__}: {error})") from error
    if META not in entries or any(Path(member).name != member for member in entries):
        raise _Damage("names wrong files")
    return entries


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise _Damage("is missing") from error
    except (OSError, ValueError) as error:
        raise _Damage(f"cannot be read ({error})") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
