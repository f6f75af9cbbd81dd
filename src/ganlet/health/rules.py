"""What a rule is, and what reads it: signals beyond their limits, for long enough, make a verdict.

The rules themselves stand in `training_rules`, `image_rules`, `label_rules`, `wgan_rules` and `progress_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from itertools import chain
from typing import Literal

from ganlet.config import RunConfig
from ganlet.health.advice import Try, first_of
from ganlet.health.findings import Advice, Evidence, Severity, Side, Verdict
from ganlet.health.history import Row, RunHistory, number
from ganlet.health.signal_table import SIGNALS, latest

# How many looks must agree, one look in between may disagree; few where waiting costs the run, and the signal is far
# from anything healthy. Log rows come more often, so more of them.
LOOKS, FEW_LOOKS, ROWS = 3, 2, 5

Subject = Literal["training", "images", "memory", "labels", "critic", "progress"]

# What an ill player brings about. What is learned by heart, and a critic's faults, are told beside anything.
CONSEQUENCES: tuple[Subject, ...] = ("training", "images", "labels", "progress")

Condition = Callable[[RunHistory], bool]


def always(_: object) -> bool:
    """No condition."""
    return True


@dataclass(frozen=True)
class Threshold:
    """A limit of a signal, and of which runs it means anything."""

    signal: str
    side: Side
    limit: float
    when: Condition = always

    def evidence(self, row: Row) -> Evidence | None:
        """What a row shows at or beyond the limit."""
        value = number(row, self.signal)
        if value is None or not (value >= self.limit if self.side == "above" else value <= self.limit):
            return None
        return Evidence(self.signal, value, self.limit, self.side)


def above(signal: str, limit: float, when: Condition = always) -> Threshold:
    """From the limit upwards."""
    return Threshold(signal, "above", limit, when)


def below(signal: str, limit: float, when: Condition = always) -> Threshold:
    """From the limit downwards."""
    return Threshold(signal, "below", limit, when)


@dataclass(frozen=True)
class Finding:
    """What a verdict rests on: since when, by which evidence, and how sure.

    `length` is the number of looks or rows that show it, of which `needed` had to. `sure` stands where nothing lasts.
    """

    since: int | None
    evidence: tuple[Evidence, ...]
    length: int = 0
    needed: int = 0
    sure: float | None = None
    named: str = ""  # what stands for `{}` in the words of the rule

    def confidence(self, most: float) -> float:
        """Surer the farther signals are beyond their limits, the more of them agree, and the longer they last."""
        if self.sure is not None:
            return self.sure
        deepest = max(item.depth for item in self.evidence)
        agreeing, lasting = len(self.evidence) - 1, self.length - self.needed
        return round(min(most, 0.55 + 0.3 * deepest + 0.05 * min(agreeing, 2) + 0.03 * min(lasting, 3)), 2)

    def picture_moments(self, history: RunHistory) -> tuple[int, ...]:
        """Before it began where it lasts, then, and the latest."""
        if self.since is None:
            return (history.images_seen,)
        before = [look["images_seen"] for look in history.all_looks if look["images_seen"] < self.since][-1:] or [0]
        return tuple(sorted({*(before if self.sure is None else ()), self.since, history.images_seen}))


Find = Callable[[RunHistory], Finding | None]


@dataclass(frozen=True)
class Persistence:
    """Any of some thresholds, passed in `needed` looks, or rows of one derived signal, until now.

    The early phase counts too where `from_start`.
    """

    thresholds: tuple[Threshold, ...]
    needed: int
    from_start: bool

    def __call__(self, history: RunHistory) -> Finding | None:
        signal = self.thresholds[0].signal
        rows = history.all_looks if self.from_start else history.looks
        if derive := SIGNALS[signal].derive:
            known = derive(history)
            rows = [{"images_seen": at, signal: value} for at, value in known if self.from_start or at > history.early]
        return persistent(rows, [one for one in self.thresholds if one.when(history)], self.needed)


def lasting(*thresholds: Threshold, needed: int = LOOKS, from_start: bool = False) -> Persistence:
    """Any of the thresholds, for long enough."""
    return Persistence(thresholds, needed, from_start)


@dataclass(frozen=True)
class AnyOf:
    """Some signs, each with its own rows, as one."""

    signs: tuple[Persistence, ...]

    def __call__(self, history: RunHistory) -> Finding | None:
        return together(*(sign(history) for sign in self.signs))


@dataclass(frozen=True)
class Now:
    """Any of some thresholds, passed by the median of the latest `num` values."""

    thresholds: tuple[Threshold, ...]
    num: int = 1

    def __call__(self, history: RunHistory) -> tuple[Evidence, ...]:
        asked = [one for one in self.thresholds if one.when(history)]
        found = (one.evidence({one.signal: latest(history, one.signal, self.num)}) for one in asked)
        return tuple(item for item in found if item is not None)


@dataclass(frozen=True)
class Rule:
    """A verdict, and all that it takes. Of the rules of one kind the first that finds anything speaks.

    Attributes:
        signs: what it looks for.
        needs: what must be seen now too.
        when: the runs that it is asked of.
        if_shows: whether it speaks where the signs show these values, by signal.
        most: the confidence that it may have.
        rank: causes before consequences; of two that explain each other, the lower one is told.
        explains: kinds and subjects that are not told beside it where it is serious.
        silent_beside: subjects beside which it is not told, however slight they are.
        hopeless: it does not pass by itself, so that `health.action` acts on it.
        young: it is asked in the early phase too.
    """

    kind: str
    severity: Severity
    _: KW_ONLY
    subject: Subject
    signs: Find
    words: str
    advice: tuple[Try, ...] | Callable[[RunConfig, Finding], Advice]
    needs: tuple[Now, ...] = ()
    when: Condition = always
    if_shows: Callable[[Mapping[str, float]], bool] = always
    most: float = 0.99
    rank: int = 9
    explains: tuple[str, ...] = ()
    silent_beside: tuple[Subject, ...] = ()
    hopeless: bool = False
    young: bool = False

    def judge(self, history: RunHistory) -> Verdict | None:
        """The verdict about a run; None where the rule finds nothing."""
        found = self.signs(history) if self.when(history) else None
        if found is None or not self.if_shows({item.signal: item.value for item in found.evidence}):
            return None
        also = [need(history) for need in self.needs]
        if not all(also):
            return None
        found = replace(found, evidence=(*found.evidence, *chain.from_iterable(also)))
        return Verdict(
            self.kind,
            self.severity,
            found.confidence(self.most),
            self.words.format(found.named),
            found.since,
            found.evidence,
            self.advice(history.config, found) if callable(self.advice) else first_of(self.advice, history.config),
            found.picture_moments(history),
            self.hopeless,
        )


def persistent(rows: Sequence[Row], thresholds: Sequence[Threshold], needed: int) -> Finding | None:
    """How long any of the thresholds has been passed until the latest row that has their signals.

    The latest row must show one, and `needed` of the last `needed + 1`; going back, two rows without any end it.
    """
    known = [row for row in rows if any(number(row, one.signal) is not None for one in thresholds)]
    found = [tuple(item for one in thresholds if (item := one.evidence(row)) is not None) for row in known]
    if not found or not found[-1] or sum(map(bool, found[-needed - 1 :])) < needed:
        return None
    first = len(found) - 1
    for place in reversed(range(len(found))):
        if found[place]:
            first = place
        elif first - place > 1:
            break
    return Finding(known[first]["images_seen"], found[-1], sum(map(bool, found[first:])), needed)


def together(*several: Finding | None) -> Finding | None:
    """Several findings that last as one: since the first of them, with the evidence of all."""
    found = [one for one in several if one is not None]
    if not found:
        return None
    longest = max(found, key=lambda one: one.length - one.needed)
    evidence = tuple(item for one in found for item in one.evidence)
    return replace(longest, since=min(one.since for one in found if one.since is not None), evidence=evidence)


# Pictures that are far from real ones, as several rules read it. The rough signs count only without features; a low
# coverage is none, for on a rich source small networks never cover much.
ALIKE = below("rough_diversity", 0.6)
# Pictures as real ones would be within 0.15 standard deviations.
OTHER_COLOURS = (above("colour_shift", 0.4), below("contrast", 0.6), above("contrast", 1.5))


def _no_distance(history: RunHistory) -> bool:
    return latest(history, "distance") is None


POOR = Now(
    (
        above("distance", 0.7),  # as a share of the real pictures' spread; noise is at 1 or beyond
        *(replace(one, when=_no_distance) for one in (ALIKE, *OTHER_COLOURS)),
    ),
    num=3,
)
