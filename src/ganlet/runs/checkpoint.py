"""Checkpoints: saved so that no kill, full disk or power cut can lose one that was acknowledged.

A checkpoint is one directory, named after the images seen: safetensors members, meta.json, and manifest.json with the
size and SHA-256 of each. It appears under its name complete or not at all. Everything is ordered by that counter, never
by time, and one that is damaged is never deleted: it stays, or moves aside as `.broken-NAME` when its moment is saved
again. (A sound one whose moment is saved again with other contents moves aside as `.replaced-NAME`.)
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from safetensors import SafetensorError

from ganlet.errors import CheckpointError
from ganlet.paths import printable, shortened
from ganlet.runs import files as storage
from ganlet.runs.files import os_errors_explained
from ganlet.runs.manifest import MANIFEST, META, MOMENT, describe, directory_name, examine, to_json
from ganlet.runs.plain_json import read_json
from ganlet.runs.weights import Tensors, snapshot

SUFFIX = ".safetensors"
RESERVE_BYTES = 16 * 2**20

Pointer = Literal["latest", "best"]


@dataclass(frozen=True)
class Checkpoint:
    """A sound checkpoint, and what is wrong with each newer one that had to be passed over."""

    images_seen: int
    members: dict[str, Tensors]
    meta: dict[str, Any]
    path: Path
    problems: list[str]


def save(
    folder: Path,
    images_seen: int,
    members: Mapping[str, Mapping[str, torch.Tensor]],
    meta: Mapping[str, object],
    run_id: str,
) -> Path:
    """Save one moment and return its directory; once it has returned, nothing but a broken disk can lose it.

    `meta` is plain data for JSON. Raises TrainingError (a tensor is not finite), ResourceProblem (no room for two of
    these and a reserve), EnvironmentProblem (the folder cannot be written to) or CheckpointError (it reads back
    damaged); all of them leave the older checkpoints and the pointers as they were.
    """
    files = {name + SUFFIX: safetensors.torch.save(snapshot(name, member)) for name, member in members.items()}
    files[META] = to_json(dict(meta))
    files[MANIFEST] = describe(images_seen, run_id, files)
    path = folder / directory_name(images_seen)
    present, damage = examine(path)
    # After a resume the same moment comes again, and with exact resume it is the same to the last bit.
    if damage or present[MANIFEST] != files[MANIFEST]:
        _write(path, files, aside=f".{'broken' if damage else 'replaced'}-{path.name}")
        if problems := verify(path):
            raise CheckpointError("The checkpoint just written reads back damaged.", where=path, got=problems[0])
    write_pointer(folder, "latest", images_seen)
    return path


def load(folder: Path, images_seen: int | None = None, run_id: str | None = None) -> Checkpoint | None:
    """The newest sound checkpoint, or the one at `images_seen`; None when nothing was ever saved.

    The bytes that are hashed are the bytes that are used. With `run_id`, checkpoints of another run do not count.
    Raises CheckpointError when there are checkpoints but none is sound, or not the one asked for.
    """
    known = moments(folder)
    if images_seen is None and not known:
        return None
    if images_seen is not None and images_seen not in known:
        there = ", ".join(map(str, known)) or "none"
        raise CheckpointError("There is no checkpoint of this moment.", where=folder, got=images_seen, expected=there)
    problems: list[str] = []
    for moment in reversed(known) if images_seen is None else [images_seen]:
        path = folder / directory_name(moment)
        files, found = examine(path, run_id)
        if not found:
            del files[MANIFEST]
            try:
                meta = read_json(files.pop(META))
                members = {name.removesuffix(SUFFIX): safetensors.torch.load(data) for name, data in files.items()}
                return Checkpoint(moment, members, meta, path, problems)
            except (ValueError, KeyError, SafetensorError) as error:  # of others: hashes fit whatever was written
                found = [f"{path.name} cannot be read ({type(error).__name__}: {shortened(printable(error))})"]
        problems += found
    anew = f"ganlet train --config {shlex.quote(str(folder.parent / 'config.yaml'))} --out NEW_FOLDER"
    raise CheckpointError(
        "No sound checkpoint was found; the damaged ones stay as they are.",
        where=folder,
        got="\n            ".join(problems),
        hint=f"bring one back from a backup, or start anew: {anew}",
    )


def verify(path: Path, run_id: str | None = None) -> list[str]:
    """What is wrong with the checkpoint in the directory `path`, file by file; empty when it is sound."""
    return examine(path, run_id)[1]


def prune(folder: Path, keep: int, protect: Collection[int] = (), run_id: str | None = None) -> list[int]:
    """Delete the oldest sound checkpoints and return their moments.

    Kept are the newest `keep` sound ones, two at least, those in `protect` (such as the one resumed from), those that
    `best` and `latest` name, and whatever is damaged. Raises EnvironmentProblem when the folder cannot be written to.
    """
    sound = [moment for moment in moments(folder) if not verify(folder / directory_name(moment), run_id)]
    spared = {*sound[-max(keep, 2) :], *protect, read_pointer(folder, "best"), read_pointer(folder, "latest")}
    removed = [moment for moment in sound if moment not in spared]
    for moment in removed:
        _delete(folder / directory_name(moment))
    return removed


def forget_after(folder: Path, images_seen: int, run_id: str | None = None) -> None:
    """Go back to the checkpoint of a moment, or with 0 to the start: nothing later is left but what is damaged.

    The pointers go first, so that an interruption leaves none that names nothing. Raises EnvironmentProblem when the
    folder cannot be written to.
    """
    later = [moment for moment in moments(folder) if moment > images_seen]
    for name in ("latest", "best"):
        if (read_pointer(folder, name) or 0) > images_seen:
            with os_errors_explained(folder):
                (folder / name).unlink()
    if images_seen:
        write_pointer(folder, "latest", images_seen)
    for moment in later:
        if not verify(folder / directory_name(moment), run_id):
            _delete(folder / directory_name(moment))


def moments(folder: Path) -> list[int]:
    """The images seen of each checkpoint in `folder`, sound or not, in ascending order."""
    names = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    return sorted(int(name) for name in names if re.fullmatch(MOMENT, name))


def write_pointer(folder: Path, name: Pointer, images_seen: int) -> None:
    """Let `latest` or `best` name the checkpoint of a moment."""
    storage.write_atomic(folder / name, f"{directory_name(images_seen)}\n".encode())


def read_pointer(folder: Path, name: Pointer) -> int | None:
    """The moment that a pointer names; None when there is no such pointer or it is garbled."""
    try:
        text = (folder / name).read_bytes().strip()
    except OSError:
        return None
    return int(text) if re.fullmatch(MOMENT.encode(), text) else None


def _delete(path: Path) -> None:
    doomed = storage.free_name(path.with_name(storage.DELETED + path.name))
    with os_errors_explained(path):
        # The rename makes it vanish at once: a deletion that is cut short leaves no half checkpoint.
        os.rename(path, doomed)
        shutil.rmtree(doomed)


def _write(path: Path, files: Mapping[str, bytes], aside: str) -> None:
    """Let a checkpoint appear at `path`, where what is there moves `aside`; `files` has the manifest last."""
    folder, temporary = path.parent, storage.free_name(path.with_name(storage.TEMPORARY + path.name))
    num_bytes = sum(map(len, files.values()))
    with os_errors_explained(path, num_bytes):
        folder.mkdir(exist_ok=True)
        storage.require_space(folder, 2 * num_bytes + RESERVE_BYTES)
        try:
            temporary.mkdir()
            for name, data in files.items():
                storage.write_durable(temporary / name, data)
            storage.fsync_directory(temporary)
            if path.exists():
                os.rename(path, storage.free_name(folder / aside))
            os.rename(temporary, path)
            storage.fsync_directory(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
