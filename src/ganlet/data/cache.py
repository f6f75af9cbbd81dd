"""The cache folder: where it is, who may build in it, and how what was built gets into it whole.

It is GANLET_CACHE, or what the system has for such things. Everything in it is built in a folder of its own and moved
into place when complete, so several processes may use it at once and none ever sees half a file.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from ganlet.errors import EnvironmentProblem, ResourceProblem
from ganlet.paths import DISK_FULL, given, printable

CACHE_VARIABLE = "GANLET_CACHE"
BUILD_PREFIX = ".building-"
DEAD_AFTER_SECONDS = 24 * 3600
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP}  # what file systems without locks answer


def cache_folder() -> Path:
    """Where packs and references are kept. Raises `ConfigError` where the variable holds no path."""
    return given(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("ganlet"), CACHE_VARIABLE)


@contextmanager
def build_lock(cache: Path, name: str) -> Iterator[None]:
    """Let one process build what is called `name` while others that want it wait; without locks all of them build."""
    lock = FileLock(cache / "locks" / name, fallback_to_soft=False)
    try:
        with cache_problems(cache, 0):
            try:
                lock.acquire()
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
        yield
    finally:
        lock.release()


@contextmanager
def building_folder(cache: Path) -> Iterator[Path]:
    """A folder to build in, on the disk of the cache, removed at the end."""
    _sweep(cache)
    with tempfile.TemporaryDirectory(prefix=BUILD_PREFIX, dir=cache, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def flush(file: Any) -> None:
    """Have it on the disk, so that after a power cut a name never stands for a file without content."""
    file.flush()
    os.fsync(file.fileno())


@contextmanager
def cache_problems(cache: Path, needed: int) -> Iterator[None]:
    """Turn what the system says about the cache folder into errors for users; `needed` is in bytes."""
    hint = f"set {CACHE_VARIABLE} to a folder on a disk with more room"
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise ResourceProblem(
                "The disk is full.",
                where=printable(cache),
                got=error.strerror,
                expected=f"{needed} bytes free",
                hint=hint,
            ) from error
        raise EnvironmentProblem(
            "The cache folder cannot be used.",
            where=printable(cache),
            got=error.strerror,
            hint=f"set {CACHE_VARIABLE} to a folder that can be written",
        ) from error


def _sweep(cache: Path) -> None:
    """Remove what builds have left behind that died more than a day ago."""
    for folder in cache.glob(f"{BUILD_PREFIX}*"):
        with suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > DEAD_AFTER_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
