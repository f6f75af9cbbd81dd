"""The doctor at the bedside: tells each verdict once, and says when a run had better be stopped. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from ganlet.health.findings import Diagnosis, Severity, Verdict
from ganlet.health.history import HEALTH, ROLLBACK, Row, RunInfo
from ganlet.health.rules import LOOKS
from ganlet.health.verdicts import diagnose

Key = tuple[str, Severity]


@dataclass(frozen=True)
class News:
    """What a look has brought: verdicts not told before, and the reason to act on, where there is one."""

    diagnosis: Diagnosis
    verdicts: tuple[Verdict, ...] = ()
    reason: str | None = None

    @property
    def lines(self) -> list[str]:
        """The new verdicts as lines of plain text."""
        return [line(verdict) for verdict in self.verdicts]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The new verdicts as rows for metrics.jsonl."""
        return [
            {
                "event": "verdict",
                "images_seen": self.diagnosis.images_seen,
                "verdict": verdict.kind,
                "severity": verdict.severity,
                "confidence": verdict.confidence,
                "since": verdict.since,
                "words": verdict.words,
                "advice": verdict.advice.words,
                "command": verdict.command,
            }
            for verdict in self.verdicts
        ]


@dataclass
class LiveDoctor:
    """Judges at each look; a verdict is told anew only after it has been gone for some looks.

    After a resume hand it the rows of before through `catch_up`: then it has told what it told then.
    """

    info: RunInfo
    action: Literal["warn", "stop", "rollback"] = "warn"
    _absent: dict[Key, int] = field(default_factory=dict)  # verdicts told, and for how many looks they have been gone

    def look(self, rows: Sequence[Row]) -> News:
        """Judge the rows so far, of all kinds, the latest of which is a look."""
        diagnosis = diagnose(rows, self.info)
        present: dict[Key, Verdict] = {
            (verdict.kind, verdict.severity): verdict for verdict in diagnosis.verdicts if verdict.severity != "healthy"
        }
        new = tuple(verdict for key, verdict in present.items() if key not in self._absent)
        gone = {key: looks + 1 for key, looks in self._absent.items() if key not in present}
        self._absent = {key: looks for key, looks in gone.items() if looks < LOOKS}
        self._absent |= dict.fromkeys(present, 0)
        hopeless = [verdict for verdict in present.values() if verdict.hopeless]
        reason = f"{hopeless[0].kind}: {hopeless[0].words}" if hopeless and self.action != "warn" else None
        return News(diagnosis, new, reason)

    def catch_up(self, rows: Sequence[Row]) -> None:
        """Look again at the looks of before, as far back as they make a difference."""
        events = [(place, row["event"]) for place, row in enumerate(rows, 1) if row.get("event") in (HEALTH, ROLLBACK)]
        for place, event in events[-LOOKS:]:
            if event == HEALTH:
                self.look(rows[:place])
            else:
                self.went_back()

    def went_back(self) -> None:
        """The run has gone back to an earlier moment: what was told is told again should it return."""
        self._absent.clear()


def line(verdict: Verdict) -> str:
    """A verdict in one line of plain text."""
    since = f" (since {verdict.since:,} images)" if verdict.since else ""
    numbers = "; ".join(item.words for item in verdict.evidence[:2])
    change = f" Try: {verdict.command}" if verdict.command else ""
    return f"{verdict.kind}{since}: {verdict.words} [{numbers}] {verdict.advice.words}{change}"
