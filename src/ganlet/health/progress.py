"""Rules for how far a run has come: still getting better, or at its end."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ganlet.health import advice
from ganlet.health.case import Case, Points, number, points
from ganlet.health.derived import latest
from ganlet.health.findings import Advice, Evidence, Verdict
from ganlet.health.illnesses import poor

UNDER_TRAINED, FINISHED = "under-trained", "finished"


@dataclass(frozen=True)
class Trend:
    """What the last third of a run has gained over the third before, in units of the signal; > 0 is better."""

    signal: str
    now: float
    before: float
    gain: float
    noise: float  # what chance alone may gain, twice over
    least: float  # what is worth the name
    best_at: int  # images seen when the present level was first reached
    by_measurement: bool

    @property
    def rises(self) -> bool:
        """It still gets better."""
        return self.gain > max(self.noise, self.least)

    @property
    def is_flat(self) -> bool:
        """It surely does not get better: where the noise could hide a gain, nothing is said."""
        return self.noise <= 3 * self.least and abs(self.gain) <= max(self.noise / 2, self.least)


def under_trained(case: Case) -> Verdict | None:
    """At its end, and still getting better."""
    if case.images_seen < case.limits.near_end * case.facts.total_images:
        return None
    known = trends(case)
    if not known or not known[0].rises:
        return None
    trend, lacking = known[0], poor(case)
    return Verdict(
        UNDER_TRAINED,
        "notice" if lacking else "healthy",
        0.8 if trend.by_measurement else 0.6,
        "The run ended while the pictures were still getting better: a longer one is worth its time.",
        None,
        (Evidence(trend.signal, trend.now, trend.before), *lacking),
        advice.to_train_longer(case.facts.config),
        (case.images_seen,),
    )


def finished(case: Case) -> Verdict | None:
    """No more to gain by going on as before."""
    known = trends(case)
    if not known or not all(trend.is_flat for trend in known):
        return None
    trend, lacking = known[0], poor(case)
    words = "For a third of the run nothing has got better beyond the noise: going on as before gains nothing."
    plan = Advice("Nothing to change. More may come from wider networks, or from more pictures.")
    if lacking:
        plan = advice.against_limits(case.facts.config)
    return Verdict(
        FINISHED,
        "notice" if lacking else "healthy",
        0.8 if trend.by_measurement else 0.6,
        words,
        trend.best_at,
        (Evidence(trend.signal, trend.now, trend.before), *lacking),
        plan,
        tuple(sorted({trend.best_at, case.images_seen})),
    )


def trends(case: Case) -> list[Trend]:
    """Trends of the measured distance and of the doctor's own signals, the most exact one first."""
    limits = case.limits
    measured = [row for row in case.measurements if row["images_seen"] > case.early]
    found = []
    if len(measured) >= limits.fewest_measurements:
        errors = [number(row, "error") or limits.least_gain / 2 * float(row["value"]) for row in measured]
        found.append(_trend("value", points(measured, "value"), -1, limits.least_gain, statistics.median(errors)))
    for signal, sign, least in (("distance", -1, limits.least_gain), ("coverage", 1, None)):
        known = points(case.looks, signal)
        if len(known) >= limits.fewest_looks:
            found.append(_trend(signal, known, sign, least, None, limits.least_coverage_gain))
    return found


def _trend(
    signal: str, known: Points, sign: int, share: float | None, error: float | None, least: float = 0.0
) -> Trend:
    """The trend of a signal that is better in the direction of `sign`.

    `share` of the level before is what a gain must be at least, or `least` where there is none. The error of one value
    is `error`, or what its scatter about its trend tells.
    """
    values = [value for _, value in known]
    third = max(1, len(values) // 3)
    last, previous = values[-third:], values[-2 * third : -third]
    now, before = statistics.fmean(last), statistics.fmean(previous)
    if error is None:
        error = _scatter(values[-2 * third - 1 :])
    noise = 2 * error * (2 / third) ** 0.5
    worth = least if share is None else share * abs(before)
    reached = next(images for images, value in known if sign * (value - now) >= -max(noise, worth))
    return Trend(signal, now, before, sign * (now - before), noise, worth, reached, signal == "value")


def _scatter(values: Sequence[float]) -> float:
    """The standard error of one value, from how far each is from the middle of its neighbours: no trend adds to it."""
    threes = zip(values, values[1:], values[2:], strict=False)
    bends = [abs(before - 2 * value + after) for before, value, after in threes]
    return statistics.median(bends) / (0.6745 * 6**0.5)  # the median of normal numbers with six times the variance


def quality(case: Case) -> str:
    """How good the pictures are, in words; empty where that is not known."""
    coverage = latest(case, "coverage")
    return "" if coverage is None else f"{coverage:.0%} of the real pictures have a generated one that is like them"
