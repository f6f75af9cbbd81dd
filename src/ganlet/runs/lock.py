"""One process a run: a lock that the kernel drops when its holder dies, whatever killed it."""

from __future__ import annotations

import json
import logging
import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

from ganlet.errors import RunError
from ganlet.runs.files import explained

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

logger = logging.getLogger(__name__)


class RunLock:
    """Keeps other processes out of a run for the length of a `with` block.

    The file at `path` says who holds it (pid, host, boot id, start), but only for people to read: what counts is the
    kernel's lock on it, so what a dead process left behind is taken over without a word, and the file is never removed
    (removing it would let two processes lock two files of one name). Raises RunError, naming the holder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def __enter__(self) -> RunLock:
        with explained(self.path):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                if not _acquire(descriptor):
                    raise self._in_use(os.read(descriptor, 4096))
                os.ftruncate(descriptor, 0)
                os.write(descriptor, json.dumps(_holder()).encode())
            except BaseException:
                os.close(descriptor)
                raise
        self._descriptor = descriptor
        _held.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        # A forked child that leaves the block has nothing to give back: see `_forget_in_child`.
        if self._descriptor is not None:
            _held.remove(self)
            os.close(self._descriptor)
            self._descriptor = None

    def _in_use(self, text: bytes) -> RunError:
        run = self.path.parent
        try:
            holder = json.loads(text)
            pid, host = int(holder["pid"]), str(holder["host"])
            got = f"process {pid} on {host}, since {holder['start']}"
            hint = f"wait for it, or let it save and stop: kill -TERM {pid}"
            if host != platform.node():
                hint += f" (on {host})"
        except (ValueError, KeyError, TypeError):
            # Between taking the lock and writing its name the other one is anonymous.
            got, hint = "another process", f"try again: ganlet resume {shlex.quote(str(run))}"
        return RunError("Another process is working in this run.", where=run, got=got, hint=hint)


def _acquire(descriptor: int) -> bool:
    if sys.platform == "win32":
        # Windows keeps others from reading locked bytes, so lock one far behind the holder's name.
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        logger.warning("This file system has no locks (%s): do not start a second process in this run.", error.strerror)
    return True


def _holder() -> dict[str, object]:
    start = datetime.now(UTC).isoformat(timespec="seconds")
    return {"pid": os.getpid(), "host": platform.node(), "boot": _boot_id(), "start": start}


def _boot_id() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None


_held: set[RunLock] = set()


def _forget_in_child() -> None:
    """A forked child shares its parent's lock and would keep it after the parent's death; so it lets go at once."""
    for lock in _held:
        assert lock._descriptor is not None
        os.close(lock._descriptor)
        lock._descriptor = None
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
