"""A finding: something remarkable about a set of pictures, in plain words, with the next thing to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ganlet.data.inspection.survey import Survey

Severity = Literal["problem", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("problem", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """A stable `kind`, how bad it is, a sentence, what it means, what to do next, and how many pictures it is about.

    `numbers` are row numbers of such pictures, the most telling first; `groups` are such numbers that belong together;
    `lines` are pairs of a name, not escaped, and words about it. The texts hold no names from outside.
    """

    kind: str
    severity: Severity
    title: str
    meaning: str
    next: str
    count: int
    numbers: Sequence[int] = ()
    groups: Sequence[Sequence[int]] = ()
    lines: Sequence[tuple[str, str]] = ()


def about(
    numbers: np.ndarray | Sequence[int], kind: str, severity: Severity, title: str, meaning: str, next: str, **more: Any
) -> Finding | None:
    """A finding about pictures by their row numbers (n,), the most telling first; None where there are none."""
    rows = np.asarray(numbers).tolist()
    return Finding(kind, severity, title, meaning, next, len(rows), rows, **more) if rows else None


def pictures(count: int) -> str:
    """'1 picture', '2 pictures'."""
    return f"{count:,} picture" if count == 1 else f"{count:,} pictures"


def are(count: int) -> str:
    """The verb that belongs to a count."""
    return "is" if count == 1 else "are"


def remove(survey: Survey, what: str) -> str:
    """What to do about pictures, by whether they are files that can be removed."""
    return f"{what}; --json lists them all." if survey.names else "Nothing to remove here: these pictures are no files."
