"""Writing files so that a reader, a kill -9 or a power cut leaves the whole new file or the whole old one.

Whatever the disk refuses becomes one clear error: a full disk is a `ResourceProblem` (exit code 4), a folder that is
read-only or has gone is an `EnvironmentProblem` (exit code 3). Temporary files lie beside their targets, never in
`$TMPDIR`, which may be full or on another disk.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import itertools
import os
import shutil
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from ganlet.errors import EnvironmentProblem, ResourceProblem
from ganlet.paths import DISK_FULL

TEMPORARY, DELETED = ".tmp-", ".del-"

UNHARMED = "nothing that was saved before is lost"
# What the system answers, in words; anything else is a disk that has gone or does not answer.
REASONS = {
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM), "The folder cannot be written to"),
    **dict.fromkeys((errno.ENOTDIR, errno.EEXIST), "A folder is meant, and there is a file of that name"),
    errno.EISDIR: "A file is meant, and there is a folder of that name",
    errno.ENAMETOOLONG: "The name is too long",
}

_next_command: ContextVar[str | None] = ContextVar("next_command", default=None)


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the file at `path` by `data`, in one move, leaving no leftover; raises as `os_errors_explained` does."""
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")
    with os_errors_explained(path, len(data)):
        try:
            write_durable(temporary, data)
            os.replace(temporary, path)
            fsync_directory(path.parent)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_durable(path: Path, data: bytes) -> None:
    """Write a file and return once its bytes have reached the disk; raises OSError."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def fsync_directory(path: Path) -> None:
    """Make the names in a folder durable: without it a power cut can undo a rename. Windows has no such call."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(folder: Path) -> list[str]:
    """Remove what an interrupted save or prune left in `folder`, and name it; call it only under the run's lock."""
    entries = sorted(folder.iterdir()) if folder.is_dir() else []
    leftovers = [entry for entry in entries if entry.name.startswith((TEMPORARY, DELETED))]
    with os_errors_explained(folder):
        for entry in leftovers:
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    return [entry.name for entry in leftovers]


def sweep_beside(path: Path) -> None:
    """Remove what was to become `path` and lies beside it since the process that wrote it was killed."""
    for entry in path.absolute().parent.glob(f"{TEMPORARY}*-{glob.escape(path.name)}"):
        writer = entry.name[len(TEMPORARY) : -len(path.name) - 1]
        if writer.isdecimal() and not _may_run(writer):
            with contextlib.suppress(OSError):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()


def _may_run(process: str) -> bool:
    """Whether a process may still be there, which Windows has no harmless way to ask."""
    if os.name == "nt":
        return True
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except (OSError, ValueError):
        pass
    return True


def free_name(path: Path) -> Path:
    """The first of `path`, path-2, path-3 ... that does not exist yet."""
    names = (path.name if number == 1 else f"{path.name}-{number}" for number in itertools.count(1))
    return next(candidate for candidate in map(path.with_name, names) if not os.path.lexists(candidate))


def require_space(folder: Path, num_bytes: int) -> None:
    """Raise ResourceProblem unless `num_bytes` are free on the disk that holds `folder`."""
    if shutil.disk_usage(folder).free < num_bytes:
        raise _disk_full(folder, num_bytes)


@contextlib.contextmanager
def os_errors_explained(path: Path, num_bytes: int = 0) -> Iterator[None]:
    """Turn an OSError met on writing `num_bytes` to `path` into ResourceProblem or EnvironmentProblem."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise _disk_full(path, num_bytes, error.strerror) from error
        raise _not_writable(path, error) from error


def _disk_full(path: Path, num_bytes: int, refusal: str | None = None) -> ResourceProblem:
    folder = next(parent for parent in path.absolute().parents if parent.is_dir())
    free = shutil.disk_usage(folder).free
    got = f"{free:,} bytes free in {folder}"
    if refusal and free >= num_bytes:
        got += f", but the system says: {refusal} (a quota, a limit on file sizes, or no free inodes)"
    return ResourceProblem(
        f"There is no room on the disk; {UNHARMED}.",
        where=path,
        got=got,
        expected=f"{num_bytes:,} bytes",
        hint=f"make room, then {_what_then()}",
    )


def _not_writable(path: Path, error: OSError) -> EnvironmentProblem:
    reason = REASONS.get(error.errno or 0, "The folder has gone, or its disk does not answer")
    place = "file" if error.errno == errno.EISDIR else "folder"
    return EnvironmentProblem(
        f"{reason}; {UNHARMED}.",
        where=path,
        got=error.strerror or str(error),
        expected=f"a {place} on a disk that can be written to",
        hint=f"make it writable or choose another {place} with --out, then {_what_then()}",
    )


@contextlib.contextmanager
def going_on_by(command: str) -> Iterator[None]:
    """Within this context an error of the disk tells to go on with `command`; else with what was typed before."""
    token = _next_command.set(command)
    try:
        yield
    finally:
        _next_command.reset(token)


def _what_then() -> str:
    command = _next_command.get()
    return "type the same command again" if command is None else f"type: {command}"
