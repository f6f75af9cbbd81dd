"""What the doctor says: verdicts with their evidence, and the words for it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ganlet.health.signal_table import SIGNALS

Severity = Literal["healthy", "notice", "serious"]
Side = Literal["above", "below"]

SEVERITIES: tuple[Severity, ...] = ("serious", "notice", "healthy")


@dataclass(frozen=True)
class Evidence:
    """One number that a verdict rests on: it is at or beyond its threshold, on that side.

    Without a side the threshold is no limit but what the value was before.
    """

    signal: str
    value: float
    threshold: float | None
    side: Side | None = None

    @property
    def words(self) -> str:
        """What the number means."""
        return SIGNALS[self.signal].words.format(self.value)

    @property
    def limit_words(self) -> str:
        """The threshold, written as the value is in the words; empty without one."""
        written = re.search(r"\{:[^}]*\}", SIGNALS[self.signal].words)
        assert written, self.signal
        against = "limit" if self.side else "before"
        return "" if self.threshold is None else f"{against} {written[0].format(self.threshold)}"

    @property
    def depth(self) -> float:
        """How far beyond the threshold, from 0 to 1."""
        if self.threshold is None or self.side is None:
            return 1.0
        if self.side == "below":
            room, beyond = abs(self.threshold), self.threshold - self.value
        else:
            room = 1 - self.threshold if self.threshold < 1 else self.threshold
            beyond = self.value - self.threshold
        return min(1.0, max(0.0, beyond / room)) if room > 0 else 1.0


@dataclass(frozen=True)
class Advice:
    """What to change first: in words, and as settings by dotted path (none where nothing needs to change)."""

    words: str
    change: Mapping[str, object] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """The change as text to paste: `--set key=value`, once for each setting."""
        return set_options(self.change)


@dataclass(frozen=True)
class Verdict:
    """One finding about a run.

    `since` is the clock at the first look that shows it; `picture_moments` are moments whose sample grids show it:
    before, at, and the latest. `hopeless` is what does not pass by itself.
    """

    kind: str
    severity: Severity
    confidence: float
    words: str
    since: int | None = None
    evidence: tuple[Evidence, ...] = ()
    advice: Advice = Advice("")
    picture_moments: tuple[int, ...] = ()
    hopeless: bool = False

    @property
    def command(self) -> str:
        """The one change to try first, as text to paste; empty where nothing needs to change."""
        return self.advice.command

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "confidence": self.confidence,
            "since": self.since,
            "words": self.words,
            "evidence": [{**asdict(item), "words": item.words, "limit": item.limit_words} for item in self.evidence],
            "advice": self.advice.words,
            "change": dict(self.advice.change),
            "command": self.command,
            "picture_moments": list(self.picture_moments),
        }


@dataclass(frozen=True)
class Diagnosis:
    """All verdicts about a run, the gravest and surest first; there is always at least one."""

    verdicts: tuple[Verdict, ...]
    images_seen: int
    num_looks: int

    @property
    def healthy(self) -> bool:
        """Whether nothing was found that needs a change."""
        return all(verdict.severity == "healthy" for verdict in self.verdicts)

    @property
    def headline(self) -> str:
        """One or two sentences."""
        first = self.verdicts[0]
        if self.healthy:
            return " ".join(GOOD_NEWS[verdict.kind] for verdict in self.verdicts)
        since = f" since {first.since:,} images" if first.since is not None else ""
        return f"{SEVERITY_WORDS[first.severity]}: {first.kind}{since} (confidence {first.confidence:.0%})."

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "headline": self.headline,
            "healthy": self.healthy,
            "images_seen": self.images_seen,
            "num_looks": self.num_looks,
            "verdicts": [verdict.as_json() for verdict in self.verdicts],
        }


GOOD_NEWS = {
    "healthy": "Healthy.",
    "under-trained": "It was still getting better when it ended.",
    "finished": "There is no more to gain by going on as before.",
    "too early": "Too early to say.",
}
SEVERITY_WORDS = {"serious": "Serious", "notice": "Worth a look", "healthy": "Healthy"}


def set_options(settings: Mapping[str, object]) -> str:
    """Settings by dotted path as options of the command line, each value written so that it is read back as it was."""
    return " ".join(f"--set {shlex.quote(f'{path}={written(value)}')}" for path, value in settings.items())


def written(value: object) -> str:
    """A setting as YAML that is read back as it was."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        text = f"{value:.3g}"
        return text if "e" not in text else f"{value:.10f}".rstrip("0")
    return str(value)
