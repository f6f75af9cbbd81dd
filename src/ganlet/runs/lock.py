"""One process a run: a lock that the kernel drops when its holder dies, whatever killed it."""

from __future__ import annotations

import json
import logging
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from ganlet.data.cache import NO_LOCKS
from ganlet.errors import RunError
from ganlet.runs.files import os_errors_explained
from ganlet.runs.plain_json import read_json

logger = logging.getLogger(__name__)

LOCK, HOLDER = ".lock", ".lock-holder"


@contextmanager
def run_lock(run: Path) -> Iterator[None]:
    """Keep other processes out of the folder of a run; raises RunError, naming the holder.

    Its name lies beside the lock, but only for people to read: what counts is the kernel's lock, so what a dead process
    left behind is taken over without a word.
    """
    lock = FileLock(run / LOCK, fallback_to_soft=False)
    try:
        with os_errors_explained(run / LOCK):
            run.stat()  # the library would make a folder that has gone anew
            try:
                lock.acquire(blocking=False)
            except Timeout:
                raise _in_use(run) from None
            except OSError as error:
                if error.errno not in NO_LOCKS:
                    raise
                logger.warning(
                    "This file system has no locks (%s): do not start a second process in this run.", error.strerror
                )
            (run / HOLDER).write_text(json.dumps(_holder()))
        yield
    finally:
        lock.release()


def _holder() -> dict[str, object]:
    return {"pid": os.getpid(), "host": platform.node(), "start": datetime.now(UTC).isoformat(timespec="seconds")}


def _in_use(run: Path) -> RunError:
    try:
        holder = read_json((run / HOLDER).read_text())
        pid, host = int(holder["pid"]), str(holder["host"])
        got = f"process {pid} on {host}, since {holder['start']}"
        hint = f"wait for it, or let it save and stop: kill -TERM {pid}"
        if host != platform.node():
            hint += f" (on {host})"
    except (OSError, ValueError, KeyError, TypeError):
        # Between taking the lock and writing its name the other one is anonymous.
        got, hint = "another process", "type the same command again in a moment"
    return RunError("Another process is working in this run.", where=run, got=got, hint=hint)
