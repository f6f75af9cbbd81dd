"""The zip of a run, read as what a stranger may have made: every name, size and hash is checked before it counts."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any

from ganlet.config import parse_yaml
from ganlet.config.schema import SCHEMA_VERSION
from ganlet.data.cache import build_lock, building_folder, cache_folder, cache_problems
from ganlet.data.cache_contents import RUNS, keep_within_limit, lock_of_run, note_run
from ganlet.errors import GanletError, RunError
from ganlet.paths import printable, shortened
from ganlet.runs.archive import CONTENTS, MEMBER, SCHEMA
from ganlet.runs.environment import parse_environment
from ganlet.runs.files import TEMPORARY, fsync_directory, os_errors_explained, require_space, sweep_beside
from ganlet.runs.folder import CONFIG, RunFolder
from ganlet.runs.manifest import MOMENT

CHUNK = 2**20
MAX_MEMBERS, MAX_ENVIRONMENT = 100_000, 16 * 2**20
# What the list of contents has of each member beside its name, whose characters take up to 12 bytes in JSON, and of
# the run. More is made only to take memory when it is read.
OF_A_MEMBER, OF_A_CHARACTER, OF_THE_RUN = 200, 12, 16_384
# Rows of numbers compress to about a tenth; a bomb to a thousandth.
MAX_RATIO, ALWAYS_ALLOWED = 100, 64 * 2**20
UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError, ValueError)
AGAIN = "get the file again from where it came"


def unzip_run(file: Path, target: Path, stream: BufferedReader | None = None) -> None:
    """Write the run in a zip to the new folder `target`, whole or not at all.

    `stream` has the file's bytes, where it was opened before. Raises `RunError` for what is no such zip, was changed,
    cut short, is of a newer version or looks like an attack, and where there is something at `target`; else as
    `files.os_errors_explained` does.
    """
    if os.path.lexists(target):
        raise RunError(
            "There is something of this name already.",
            where=printable(target),
            expected="the name of a new folder",
            hint="choose another one with --out",
        )
    with opened_archive(file, stream) as (archive, members):
        temporary = target.with_name(f"{TEMPORARY}{os.getpid()}-{target.name}")
        total = sum(entry["size"] for entry in members.values())
        with os_errors_explained(target, total):
            sweep_beside(target)
            require_space(target.absolute().parent, total)
            try:
                temporary.mkdir()
                for name, entry in members.items():
                    _extract(archive, name, entry, temporary / name, file)
                _require_readable(temporary, file)
                fsync_directory(temporary)
                os.rename(temporary, target)
                fsync_directory(target.absolute().parent)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)


def opened_run(file: Path) -> Path:
    """The folder of a zip's run in the cache, where it is opened once, by the hash of the file. Raises as above."""
    cache = cache_folder()
    with _stream(file) as stream:  # one for all, as another file may take the place of this one
        digest = hashlib.file_digest(stream, "sha256").hexdigest()[:32]
        home = cache / RUNS / digest
        with cache_problems(cache, 0):
            home.parent.mkdir(parents=True, exist_ok=True)
        with build_lock(cache, lock_of_run(digest)):
            run = _run_in(home)
            if run is None:
                with opened_contents(file, stream) as contents:
                    name = _plain_name(contents.get("run"))
                with building_folder(cache) as building:
                    (building / "opened").mkdir()
                    unzip_run(file, building / "opened" / name, stream)
                    with cache_problems(cache, 0):
                        if home.exists():  # with only a part of a run in it
                            os.rename(home, building / "hollow")
                        os.rename(building / "opened", home)
                run = home / name
            note_run(home, str(file.absolute()))  # still under the lock, without which it could be removed
    keep_within_limit()
    return run


def _run_in(home: Path) -> Path | None:
    """The run in a folder of the cache; None where there is none, or only a part of one."""
    found = [path for path in home.iterdir() if (path / CONFIG).is_file()] if home.is_dir() else []
    return found[0] if len(found) == 1 else None


@contextmanager
def opened_contents(file: Path, stream: BufferedReader | None = None) -> Iterator[dict[str, Any]]:
    """The list of contents of a zip, of which nothing else is looked at. Raises `RunError`."""
    with _archive(file, stream) as archive:
        yield _contents(archive, file)


@contextmanager
def opened_archive(
    file: Path, stream: BufferedReader | None = None
) -> Iterator[tuple[zipfile.ZipFile, dict[str, dict[str, Any]]]]:
    """A zip whose names, sizes and list of contents are in order, and the members by name; raises `RunError`."""
    with _archive(file, stream) as archive:
        there = _names(archive, file)
        contents = _contents(archive, file)
        members = _listed(contents, file)
        for name in sorted(members.keys() - there.keys()):
            raise _refused(file, "A member is missing.", name)
        for name in sorted(there.keys() - members.keys() - {CONTENTS}):
            raise _refused(file, "A member is not listed.", name)
        if CONFIG not in members:
            raise _refused(file, "A member is missing.", CONFIG)
        for name, entry in members.items():
            if there[name].file_size != entry["size"]:
                raise _refused(file, "A member was changed.", f"{name}, {there[name].file_size:,} bytes")
        yield archive, members


@contextmanager
def _archive(file: Path, stream: BufferedReader | None) -> Iterator[zipfile.ZipFile]:
    """A zip, of the file as it was opened before, where it was."""
    with (
        _errors_explained(file),
        _stream(file) if stream is None else nullcontext(stream) as source,
        zipfile.ZipFile(source) as archive,
    ):
        yield archive


@contextmanager
def _stream(file: Path) -> Iterator[BufferedReader]:
    """The bytes of a file. Raises `RunError` for what is none, such as a pipe, which could be waited for for ever."""
    with _errors_explained(file):
        if not stat.S_ISREG(os.stat(file).st_mode):
            raise RunError("This is no file.", where=printable(file), expected="a file that `ganlet zip` wrote")
        with open(file, "rb") as stream:
            yield stream


def _names(archive: zipfile.ZipFile, file: Path) -> dict[str, zipfile.ZipInfo]:
    """The members by name, each of which is one of a run, once, of a sound size and nothing but a file."""
    found, alike = dict[str, zipfile.ZipInfo](), dict[str, str]()
    infos, size = archive.infolist(), os.fstat(archive.fp.fileno()).st_size if archive.fp else 0
    if len(infos) > MAX_MEMBERS:
        raise _refused(file, "This archive has too many members.", f"{len(infos):,}")
    for info in infos:
        name = info.filename
        _require_name(name, info.orig_filename, file)
        form = unicodedata.normalize("NFC", name).casefold()
        if name in found:
            raise _refused(file, "A member is there twice.", name)
        if form in alike:
            raise _refused(file, "Two members differ in case or spelling only.", f"{alike[form]} and {name}")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise _refused(file, "A member is a link, or another thing than a file.", name)
        if info.flag_bits & 1:
            raise _refused(file, "A member is encrypted.", name)
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _refused(file, "A member is compressed in a way that ganlet never writes.", name)
        found[name], alike[form] = info, name
    for folder in sorted({str(parent) for form in alike for parent in PurePosixPath(form).parents} & alike.keys()):
        raise _refused(file, "A member is a file and a folder.", alike[folder])
    total, packed = sum(info.file_size for info in infos), sum(info.compress_size for info in infos)
    if total > max(ALWAYS_ALLOWED, MAX_RATIO * size) or packed > size:
        raise _refused(file, "This archive unpacks to far more than it is.", f"{total:,} bytes from {size:,}")
    return found


def _require_name(name: str, written: str, file: Path) -> None:
    leads_out = name.startswith("/") or ".." in name.split("/") or re.match("[A-Za-z]:", name) or "\\" in written
    if leads_out or name != written:
        raise _refused(file, "A name in this archive leads out of it.", written)
    if name != CONTENTS and MEMBER.fullmatch(name) is None:
        raise _refused(file, "A member is nothing that a run has.", name)


def _contents(archive: zipfile.ZipFile, file: Path) -> dict[str, Any]:
    """What the list of contents says. Raises `RunError` where there is none, or one of a newer version."""
    try:
        info = archive.getinfo(CONTENTS)
    except KeyError:
        raise RunError(
            "This is no run: it has no list of contents.",
            where=printable(file),
            expected=f"a file that `ganlet zip` wrote, with {CONTENTS} in it",
            hint="pictures in an archive are for ganlet train; a run is packed by: ganlet zip RUN",
        ) from None
    names = archive.namelist()
    if info.file_size > OF_THE_RUN + sum(OF_A_MEMBER + OF_A_CHARACTER * len(name) for name in names):
        raise _refused(file, "The list of contents is too long.", f"{info.file_size:,} bytes")
    with suppress(RecursionError, ValueError):
        contents = json.loads(archive.read(info))
        if isinstance(contents, dict) and isinstance(contents.get("schema"), int):
            if contents["schema"] > SCHEMA:
                raise RunError(
                    "A newer ganlet wrote this archive.",
                    where=printable(file),
                    got=f"schema {contents['schema']}, ganlet {shortened(printable(contents.get('ganlet')))}",
                    expected=f"schema {SCHEMA}",
                    hint="pip install --upgrade ganlet",
                )
            return contents
    raise _refused(file, "The list of contents is damaged.", CONTENTS)


def _listed(contents: dict[str, Any], file: Path) -> dict[str, dict[str, Any]]:
    members = contents.get("members")
    entries = members.values() if isinstance(members, dict) else [None]
    for entry in entries:
        size, digest = (entry.get("size"), entry.get("sha256")) if isinstance(entry, dict) else (None, None)
        if type(size) is not int or size < 0 or not isinstance(digest, str):
            raise _refused(file, "The list of contents is damaged.", CONTENTS)
    assert isinstance(members, dict)
    return members


def _extract(archive: zipfile.ZipFile, name: str, entry: dict[str, Any], target: Path, file: Path) -> None:
    """Write one member, and look at what was written; raises `RunError` where it is not what the list says."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with _readable(archive, name, file) as source, open(target, "wb") as out:
        while chunk := _read(source, name, file):
            size += len(chunk)
            if size > entry["size"]:
                break
            digest.update(chunk)
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())
    if (size, digest.hexdigest()) != (entry["size"], entry["sha256"]):
        raise _refused(file, "A member was changed: its content does not match its hash.", name)


@contextmanager
def _readable(archive: zipfile.ZipFile, name: str, file: Path) -> Iterator[Any]:
    try:
        source = archive.open(name)
    except UNREADABLE as error:
        raise _damaged(file, name, error) from None
    with source:
        yield source


def _read(source: Any, name: str, file: Path) -> bytes:
    try:
        return source.read(CHUNK)
    except UNREADABLE as error:
        raise _damaged(file, name, error) from None


def _require_readable(run: Path, file: Path) -> None:
    """Raise where what every command reads is damaged, or of a newer version: nothing could be used then."""
    for name in ("checkpoints/latest", "checkpoints/best"):
        if (run / name).is_file() and not re.fullmatch(rf"({MOMENT})\n?", _start_of(run / name)):
            raise _refused(file, "A member is damaged.", name)
    environment = RunFolder(run).environment_path
    if environment.is_file():
        if environment.stat().st_size > MAX_ENVIRONMENT:
            raise _refused(file, "A member is too long.", environment.name)
        try:
            parse_environment(environment.read_bytes())
        except ValueError as error:
            raise _refused(file, "A member is damaged.", f"{environment.name}: {error}") from None
    tree = parse_yaml((run / CONFIG).read_bytes(), f"{printable(file)}, {CONFIG}")
    version = tree.get("schema_version", SCHEMA_VERSION)
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise RunError(
            "A newer ganlet trained this run.",
            where=printable(file),
            got=f"config with schema_version {shortened(printable(version))}",
            expected=f"at most {SCHEMA_VERSION}",
            hint="pip install --upgrade ganlet",
        )


def _start_of(path: Path) -> str:
    with open(path, "rb") as stream:
        return stream.read(100).decode("ascii", "replace")


def _plain_name(name: object) -> str:
    """The name of the run as a folder's, where it is one."""
    plain = isinstance(name, str) and re.fullmatch(r"\w[\w. -]{0,99}", name) and name == name.rstrip(". ")
    return str(name) if plain else "run"


@contextmanager
def _errors_explained(file: Path) -> Iterator[None]:
    try:
        yield
    except GanletError:
        raise
    except OSError as error:
        raise RunError("This file cannot be read.", where=printable(file), got=error.strerror or error) from None
    except UNREADABLE as error:
        raise _damaged(file, None, error) from None


def _damaged(file: Path, name: str | None, error: BaseException) -> RunError:
    got = f"{printable(name)}: {error}" if name else error
    return RunError(
        "This is no zip archive, or it is damaged or cut short.", where=printable(file), got=got, hint=AGAIN
    )


def _refused(file: Path, what: str, name: str) -> RunError:
    expected = "a file as `ganlet zip` wrote it"
    return RunError(what, where=printable(file), got=shortened(printable(name)), expected=expected, hint=AGAIN)
