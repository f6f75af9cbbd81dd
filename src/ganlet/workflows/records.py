"""What a run notes about itself: environment.json and log.txt."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from ganlet.config.tree import Tree
from ganlet.errors import Interrupted, RunError
from ganlet.runs.environment import differences, parse_environment
from ganlet.runs.files import write_atomic
from ganlet.runs.folder import RunFolder
from ganlet.workflows.reporting import Reporter


def read_environment(folder: RunFolder) -> Tree:
    """environment.json, or nothing where the run was killed before it was written. Raises `RunError`."""
    path = folder.environment_path
    if not path.exists():
        return {}
    try:
        environment = parse_environment(path.read_bytes())
    except ValueError as error:
        raise RunError(
            "environment.json is damaged.", where=path, got=error, hint="bring it back from a backup"
        ) from None
    return environment


def write_environment(
    folder: RunFolder,
    now: Tree,
    data: Tree,
    reporter: Reporter,
    known_id: str | None,
    labels: list[list[int]] | None = None,
    weight_norms: Mapping[str, float] | None = None,
    given: Mapping[str, str] | None = None,
) -> str:
    """Add this session to environment.json, and say what makes a resume inexact. Returns the run's id.

    `data` is about the pictures. `known_id` is the id in the checkpoint that was restored: it counts where
    environment.json was lost. `labels` are those that pictures are drawn with, as indices for each of some training
    pictures; `weight_norms` those of the networks at the run's own start, where this session is there;
    `given` is what was handed in as objects, which the config does not describe.
    """
    before = read_environment(folder)
    sessions = before.get("sessions", [])
    changed = differences(sessions[-1], now) if sessions else []
    if changed:
        details = ", ".join(f"{key}: {sessions[-1].get(key)} -> {now.get(key)}" for key in changed)
        reporter.say(f"not exact: this is not the machine or software of before ({details})")
    run_id = before.get("run_id") or known_id or uuid.uuid4().hex
    record = {
        "run_id": run_id,
        "created": before.get("created") or datetime.now(UTC).isoformat(timespec="seconds"),
        "data": data,
        **({"given": dict(given)} if given else {}),
        "weight_norms": before.get("weight_norms") or weight_norms or {},
        "sessions": [*sessions, now],
    }
    text = json.dumps(record, indent=2)
    if labels is not None:  # on one line, not on thousands
        text = f'{text[:-2]},\n  "labels": {json.dumps(labels)}\n}}'
    write_atomic(folder.environment_path, text.encode())
    return run_id


class _LogFile(logging.FileHandler):
    """A log that keeps silent when its disk is full: the run ends with a message about that anyway."""

    def handleError(self, record: logging.LogRecord) -> None: ...

    def close(self) -> None:
        with suppress(OSError):
            super().close()


@contextmanager
def log_file(folder: RunFolder) -> Iterator[None]:
    """Within this context everything that ganlet logs goes to log.txt too, and the error that ends it."""
    handler = _LogFile(folder.log_path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger("ganlet")
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    except Interrupted:
        raise
    except Exception:
        root.exception("the run ended with an error")
        raise
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
