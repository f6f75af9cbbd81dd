"""A run as one zip file: written so that it tells nothing of this machine, opened into the cache by its hash.

The last member, ganlet.json, has the size and SHA-256 of every other one; `archive_reading` believes nothing else.
Members are sorted, of one time, and stored where they are compressed already: an equal run is an equal file. No torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ganlet import __version__
from ganlet.config import plain_yaml, portable_tree
from ganlet.errors import ConfigError, RunError
from ganlet.runs.environment import parse_environment
from ganlet.runs.files import TEMPORARY, fsync_directory, os_errors_explained, sweep_beside
from ganlet.runs.folder import CONFIG, RunFolder
from ganlet.runs.lock import LOCK
from ganlet.runs.manifest import MANIFEST, META, MOMENT, describe, directory_name, examine, to_json
from ganlet.runs.places import places_of, tells, without_places
from ganlet.runs.plain_json import read_json

SCHEMA, CONTENTS = 1, "ganlet.json"
CHOICES = ("none", "latest", "all")
SUFFIX, MAGIC = ".zip", b"PK\x03\x04"
TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can have

# What a run has that is worth opening elsewhere. Not among it: log.txt, locks and TensorBoard's files, which tell
# where they were made, and sheets, which can be drawn again.
MEMBER = re.compile(
    r"config\.yaml|environment\.json|(metrics|evaluations)\.jsonl|generator\.safetensors|(report|lab)\.html|README\.md"
    r"|(loss|samples)\.png|samples/[\w-]+\.(png|webp)|lab/encoder\.safetensors"
    r"|lab/(points|directions)/[^/\\:*?\"<>|\x00-\x1f\x7f]+\.(safetensors|json)"
    rf"|checkpoints/(latest|best|({MOMENT})/\w+\.(safetensors|json))"
)
COMPRESSED = (".png", ".webp", ".safetensors")
LISTED = 3  # files of a folder that are named one by one
OF_THE_MACHINE = ("platform",)  # the name of a kernel often has that of its owner


@dataclass(frozen=True)
class Zipped:
    """What was written: the file, the moments of its checkpoints, and what was left out, with reasons."""

    path: Path
    checkpoints: list[int]
    left_out: list[str] = field(default_factory=list)


def zip_run(folder: RunFolder, target: Path, checkpoints: str, generator: Callable[[], bytes]) -> Zipped:
    """Write a run as one file, whole or not at all.

    `checkpoints` is none, latest (the newest sound one, and the best one where that is another) or all; `generator`
    gives generator.safetensors anew, where that of the run tells where it was made. Raises `RunError` where nothing
    was saved so far, else as `files.os_errors_explained` does.
    """
    chosen, left_out = _chosen(folder, checkpoints)
    if not chosen and not folder.generator_path.exists():
        raise RunError(
            "There is nothing to hand on: no checkpoint or generator was saved so far.",
            where=folder.path,
            hint=folder.resume_command(),
        )
    left_out += _others(folder)
    hashes: dict[str, dict[str, Any]] = {}
    temporary = target.with_name(f"{TEMPORARY}{os.getpid()}-{target.name}")
    with os_errors_explained(target):
        sweep_beside(target)
        try:
            with open(temporary, "wb") as file:
                with zipfile.ZipFile(file, "w") as archive:
                    for name, data in _members(folder, chosen, left_out, generator):
                        hashes[name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                        _write(archive, name, data)
                    _write(archive, CONTENTS, to_json(_contents(folder, chosen, hashes)))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
            fsync_directory(target.parent)
        finally:
            temporary.unlink(missing_ok=True)
    return Zipped(target, chosen, left_out)


def is_archive(path: Path) -> bool:
    """Whether a path is meant as the zip of a run: by its name, or as its first bytes say."""
    try:
        if not path.is_file():  # such as a pipe, which could be waited for for ever
            return False
        with open(path, "rb") as file:
            return path.suffix.lower() == SUFFIX or file.read(len(MAGIC)) == MAGIC
    except OSError:  # a folder, nothing, or not to be read
        return False


def is_generator_file(path: Path) -> bool:
    """Whether a path is meant as a generator alone: a file that is no zip of a run."""
    return path.is_file() and not is_archive(path)


def is_in_use(folder: RunFolder) -> bool:
    """Whether another process is working in a run; False where that cannot be told."""
    if not (folder.path / LOCK).exists():
        return False
    lock = FileLock(folder.path / LOCK, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def run_id_of(folder: RunFolder) -> str | None:
    """The id of a run by its environment.json; None where that is not there or damaged."""
    try:
        return str(read_json(folder.environment_path.read_text("utf-8"))["run_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _chosen(folder: RunFolder, checkpoints: str) -> tuple[list[int], list[str]]:
    """The moments of the sound checkpoints that are wanted, in order, and what is wrong with those passed over."""
    if checkpoints not in CHOICES:
        expected = ", ".join(CHOICES)
        raise ConfigError("There is no such choice.", where="--checkpoints", got=checkpoints, expected=expected)
    known = sorted(_moment(path) for path in folder.checkpoints_path.glob("*") if re.fullmatch(MOMENT, path.name))
    if checkpoints == "none":
        return [], []
    chosen, problems, best = set[int](), list[str](), _pointer(folder, "best")
    for moment in reversed(known):
        if checkpoints == "latest" and chosen and moment != best:
            continue
        found = examine(folder.checkpoints_path / directory_name(moment), run_id_of(folder))[1]
        if found:
            problems += [f"checkpoints/{found[0]}"]
        else:
            chosen.add(moment)
    return sorted(chosen), problems


def _moment(path: Path) -> int:
    return int(path.name)


def _pointer(folder: RunFolder, name: str) -> int | None:
    try:
        text = (folder.checkpoints_path / name).read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return int(text) if re.fullmatch(MOMENT, text) else None


def _others(folder: RunFolder) -> list[str]:
    """What lies in a run and is no part of it, or none to be handed on; of folders one line."""
    found = dict[str, list[str]]()
    for path in sorted(folder.path.rglob("*")):
        name = path.relative_to(folder.path).as_posix()
        hidden = any(part.startswith(".") for part in Path(name).parts)
        if path.is_file() and not hidden and MEMBER.fullmatch(name) is None:
            found.setdefault(name.rpartition("/")[0], []).append(name)
    return sorted(
        text
        for above, names in found.items()
        for text in (names if not above or len(names) <= LISTED else [f"{above}/ ({len(names)} files)"])
    )


def _members(
    folder: RunFolder, chosen: list[int], left_out: list[str], generator: Callable[[], bytes]
) -> Iterator[tuple[str, bytes]]:
    """Name and content of each member, sorted by name but for what is in checkpoints."""
    places = places_of(folder)
    for name in sorted(path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()):
        if MEMBER.fullmatch(name) is None or name.startswith("checkpoints/"):
            continue
        try:
            data = _cleaned(name, (folder.path / name).read_bytes(), places)
        except ValueError:  # as JSON: then nobody knows what it tells
            left_out.append(f"{name} (it is damaged)")
            continue
        if tells(data, places) and name == folder.generator_path.name:  # older versions wrote the whole path
            data = generator()
        if tells(data, places):
            left_out.append(f"{name} (it tells where it was made)")
            continue
        yield name, data
    for moment in chosen:
        files, problems = examine(folder.checkpoints_path / directory_name(moment), run_id_of(folder))
        if problems:
            raise RunError(
                "A checkpoint changed while it was read.",
                where=folder.path,
                got=problems[0],
                hint="type the same command again",
            )
        manifest = read_json(files.pop(MANIFEST))
        meta = read_json(files[META])
        files[META] = to_json(without_places({**meta, "config": portable_tree(meta["config"])}, places))
        files[MANIFEST] = describe(moment, manifest["run_id"], files)
        for name, data in sorted(files.items()):
            yield f"checkpoints/{directory_name(moment)}/{name}", data
    for pointer, moment in (("best", _pointer(folder, "best")), ("latest", max(chosen, default=None))):
        if moment in chosen:
            yield f"checkpoints/{pointer}", f"{directory_name(moment)}\n".encode()


def _cleaned(name: str, data: bytes, places: dict[str, str]) -> bytes:
    """A file of a run without what tells of this machine, where that is text that can be read."""
    if name == CONFIG:
        return plain_yaml.dump(without_places(portable_tree(plain_yaml.load(data, CONFIG)), places)).encode()
    if name == "environment.json":
        tree = without_places(parse_environment(data), places)
        tree["sessions"] = [
            {key: value for key, value in session.items() if key not in OF_THE_MACHINE}
            for session in tree.get("sessions") or []
        ]
        return json.dumps(tree, indent=1).encode()
    if name.startswith("lab/") and name.endswith(".json"):
        cleaned = without_places(tree := read_json(data), places)
        return data if cleaned == tree else json.dumps(cleaned, indent=2).encode()
    if name.endswith(".jsonl"):
        lines = data.split(b"\n")[:-1]  # what a writer has not ended yet is no row
        return b"".join(_row(line, places) for line in lines)
    return data


def _row(line: bytes, places: dict[str, str]) -> bytes:
    try:
        row = read_json(line)
    except ValueError:  # torn by a kill: it counts for nothing, and could hold anything
        return b""
    cleaned = without_places(row, places)
    return (line if cleaned == row else json.dumps(cleaned, ensure_ascii=False).encode()) + b"\n"


def _contents(folder: RunFolder, chosen: list[int], hashes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "ganlet": __version__,
        "run": folder.path.absolute().name,
        "run_id": run_id_of(folder),
        "checkpoints": chosen,
        "members": hashes,
    }


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    member = zipfile.ZipInfo(name, TIME)
    member.create_system, member.external_attr = 3, 0o100644 << 16
    member.compress_type = zipfile.ZIP_STORED if name.endswith(COMPRESSED) else zipfile.ZIP_DEFLATED
    archive.writestr(member, data)
