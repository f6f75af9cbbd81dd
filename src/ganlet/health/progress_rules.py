"""Rules for how far a run has come: still getting better, or at its end."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ganlet.config import RunConfig
from ganlet.health.advice import Change, Try
from ganlet.health.findings import Evidence
from ganlet.health.history import Points, RunHistory, RunInfo, number, points
from ganlet.health.rules import POOR, Finding, Rule

UNDER_TRAINED, FINISHED = "under-trained", "finished"

# Gains must exceed the errors of what was measured twice over.
NEAR_END = 0.95  # of the run
LEAST_GAIN, LEAST_COVERAGE_GAIN = 0.05, 0.05  # over a third of the run; of a distance, as a share of it
FEWEST_MEASUREMENTS, FEWEST_LOOKS = 5, 6


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

    def finding(self, since: int | None) -> Finding:
        """The third before stands for a limit. Surer is a measured distance, which is the more exact one."""
        evidence = Evidence(self.signal, self.now, self.before)
        return Finding(since, (evidence,), sure=0.8 if self.signal == "value" else 0.6)

    @property
    def rises(self) -> bool:
        """It still gets better."""
        return self.gain > max(self.noise, self.least)

    @property
    def is_flat(self) -> bool:
        """It surely does not get better: where the noise could hide a gain, nothing is said."""
        return self.noise <= 3 * self.least and abs(self.gain) <= max(self.noise / 2, self.least)


def still_gains(history: RunHistory) -> Finding | None:
    """At its end, and still getting better."""
    if history.images_seen < NEAR_END * history.info.total_images:
        return None
    known = trends(history)
    return known[0].finding(None) if known and known[0].rises else None


def gains_nothing(history: RunHistory) -> Finding | None:
    """No more to gain by going on as before."""
    known = trends(history)
    return known[0].finding(known[0].best_at) if known and all(trend.is_flat for trend in known) else None


def trends(history: RunHistory) -> list[Trend]:
    """Trends of the measured distance and of the doctor's own signals, the most exact one first."""
    measured = [row for row in history.measurements if row["images_seen"] > history.early]
    found = []
    if len(measured) >= FEWEST_MEASUREMENTS:
        errors = [number(row, "error") or LEAST_GAIN / 2 * float(row["value"]) for row in measured]
        found.append(_trend("value", points(measured, "value"), -1, LEAST_GAIN, statistics.median(errors)))
    for signal, sign, least in (("distance", -1, LEAST_GAIN), ("coverage", 1, None)):
        known = points(history.looks, signal)
        if len(known) >= FEWEST_LOOKS:
            found.append(_trend(signal, known, sign, least, None, LEAST_COVERAGE_GAIN))
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
    return Trend(signal, now, before, sign * (now - before), noise, worth, reached)


def _scatter(values: Sequence[float]) -> float:
    """The standard error of one value, from how far each is from the middle of its neighbours: no trend adds to it."""
    threes = zip(values, values[1:], values[2:], strict=False)
    bends = [abs(before - 2 * value + after) for before, value, after in threes]
    return statistics.median(bends) / (0.6745 * 6**0.5)  # the median of normal numbers with six times the variance


def twice_as_wide(config: RunConfig) -> Change:
    """Networks that have a width."""
    networks = {"generator": config.generator, "discriminator": config.discriminator}
    return {f"{side}.width": 2 * one.width for side, one in networks.items() if hasattr(one, "width")}


progress = partial(Rule, subject="progress", silent_beside=("training",))
under_trained = partial(progress, UNDER_TRAINED, signs=still_gains,
                        words="The run ended while the pictures were still getting better: a longer one is worth its "
                              "time.",
                        advice=(Try("Go on: it still gets better.",
                                    lambda config: {"train.total_images": 2 * RunInfo(config).total_images}),)
                        )  # fmt: skip
finished = partial(progress, FINISHED, signs=gains_nothing,
                   words="For a third of the run nothing has got better beyond the noise: going on as before gains "
                         "nothing.")  # fmt: skip

PROGRESS_RULES: tuple[Rule, ...] = (
    under_trained("notice", needs=(POOR,)),
    under_trained("healthy"),
    finished("notice", needs=(POOR,),
             advice=(Try("Longer training will not help. More capacity may: networks twice as wide.", twice_as_wide),)),
    finished("healthy",
             advice=(Try("Nothing to change. More may come from wider networks, or from more pictures.", {}),)),
)  # fmt: skip
