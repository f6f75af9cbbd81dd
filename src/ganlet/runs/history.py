"""What was logged: metrics.jsonl, append-only, and its mirror for TensorBoard."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganlet.runs.files import fsync_directory, os_errors_explained
from ganlet.runs.plain_json import read_json

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

logger = logging.getLogger(__name__)

RESUME, ROLLBACK, STOP, FAILURE = "resume", "rollback", "stop", "failure"
SEAMS = (RESUME, ROLLBACK)  # rows above them with a later `images_seen` no longer count


class History:
    """Appends rows to metrics.jsonl: one strict JSON object a line, each with `images_seen`; nothing is ever removed.

    Rows are plain data; NaN and infinity are written as null. All methods raise as `files.os_errors_explained` does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with os_errors_explained(path):
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115
            fsync_directory(path.parent)
        if _is_torn(self._file.fileno()):
            self._write(b"\n")

    def append(self, *rows: Mapping[str, Any]) -> None:
        """Write rows so that readers see them at once: all of them, or on an error none."""
        assert all(isinstance(row["images_seen"], int) for row in rows), rows
        lines = [json.dumps(_finite(row), ensure_ascii=False, allow_nan=False) + "\n" for row in rows]
        self._write("".join(lines).encode())

    def mark_resume(self, images_seen: int, **details: Any) -> None:
        """Append the seam of a resume: rows above it with a later `images_seen` no longer count."""
        self.append({"event": RESUME, "images_seen": images_seen, **details})

    def mark_rollback(self, images_seen: int, *, undone_from: int, number: int, reason: str) -> None:
        """Append the seam of the run's n-th rollback, from `undone_from` images to `images_seen`, durably."""
        went = {"from": undone_from, "to": images_seen, "rollbacks": number, "reason": reason}
        self.append({"event": ROLLBACK, "images_seen": images_seen, **went})
        self.sync()

    def mark_stop(self, images_seen: int, reason: str) -> None:
        """Append why the run ended before its time."""
        self.append({"event": STOP, "images_seen": images_seen, "reason": reason})

    def mark_failure(self, images_seen: int, reason: str) -> None:
        """Append what ended the run with an error; `images_seen` is of the iteration that failed, and never saved."""
        self.append({"event": FAILURE, "images_seen": images_seen, "reason": reason})

    def sync(self) -> None:
        """Return once all rows have reached the disk; meant for the moments of checkpoints."""
        with os_errors_explained(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> History:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, data: bytes) -> None:
        descriptor = self._file.fileno()
        size = os.fstat(descriptor).st_size
        with os_errors_explained(self.path, len(data)):
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
            except OSError:
                os.ftruncate(descriptor, size)
                raise


def read_history(path: Path) -> list[dict[str, Any]]:
    """The rows that count, in order, seams included; empty when there is no file.

    Left out are rows that a resume or a rollback has superseded, and lines that a kill has torn (at the end or before a
    seam) or that are garbled otherwise, for which there is a warning in the log.
    """
    rows: list[dict[str, Any]] = []
    garbled: list[int] = []
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    for number, line in enumerate(lines, 1):
        row = _parse(line)
        if row is None:
            garbled += [number] if line else []
            continue
        if row.get("event") in SEAMS:
            rows = [earlier for earlier in rows if earlier["images_seen"] <= row["images_seen"]]
            garbled = [other for other in garbled if other != number - 1]
        rows.append(row)
    if bad := [number for number in garbled if number != len(lines)]:
        logger.warning("%s: left out %d garbled lines, the first is line %d", path, len(bad), bad[0])
    return rows


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        row = read_json(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("images_seen"), int) else None


def _finite(value: Any) -> Any:
    """`value` with each NaN and infinity in it replaced by None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _is_torn(descriptor: int) -> bool:
    """Whether a file does not end with a newline, as after a kill in the middle of a write."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        return False
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return os.read(descriptor, 1) != b"\n"


class TensorBoardMirror:
    """The same rows and pictures for TensorBoard; it is a convenience, so whatever it meets only stops the mirror.

    What earlier sessions wrote at `purge_from` images or later is hidden: after a resume at X that is X + 1.
    """

    def __init__(self, path: Path, purge_from: int | None = None) -> None:
        self._writer: SummaryWriter | None = None
        try:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(path), purge_step=purge_from)
        except ImportError:
            logger.warning("TensorBoard is not installed, so only metrics.jsonl is written: pip install tensorboard")
        except OSError as error:
            logger.warning("TensorBoard's files cannot be written, metrics.jsonl goes on: %s", error)

    def scalars(self, row: Mapping[str, Any]) -> None:
        """Mirror the numbers of one row of metrics.jsonl."""
        for name, value in row.items():
            if self._writer and name != "images_seen" and type(value) in (int, float):
                with self._stopping_on_errors():
                    self._writer.add_scalar(name, value, row["images_seen"])

    def picture(self, tag: str, array: np.ndarray, images_seen: int) -> None:
        """Mirror a uint8 picture (H, W, C)."""
        if self._writer:
            with self._stopping_on_errors():
                self._writer.add_image(tag, array, images_seen, dataformats="HWC")

    def close(self) -> None:
        if self._writer:
            with self._stopping_on_errors():
                self._writer.close()
            self._writer = None

    @contextlib.contextmanager
    def _stopping_on_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            logger.warning("TensorBoard's files cannot be written any more, metrics.jsonl goes on: %s", error)
            self._writer = None
