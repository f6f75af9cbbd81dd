"""Signals that no row holds, made from those that rows hold: swings, growth, what was lost."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise

from ganlet.health import logits
from ganlet.health.history import Points, Row, RunHistory, number, points

CLASS_DIVERSITY = "class_diversity/"  # before the name of a class, in the rows of looks
NUMBERS = ("discriminator_loss", "generator_loss", "real_logit", "fake_logit")  # of a log row that must be finite
SWING_ROWS, SWING_LOOKS, GROWTH_LOOKS = 12, 6, 6  # how far is looked back
LEAST_DISTANCE = 0.1  # a best below this counts as this: noise
FOOLED = 0.3  # separation; below, the discriminator finds generated pictures the more real ones


def logit_gap(rows: Iterable[Row]) -> Points:
    """How far the discriminator keeps real and generated pictures apart in training."""
    both = ((row["images_seen"], number(row, "real_logit"), number(row, "fake_logit")) for row in rows)
    return [(images, real - fake) for images, real, fake in both if real is not None and fake is not None]


def logit_gap_size(history: RunHistory) -> Points:
    """The same after the early phase, either way round."""
    return [(images, abs(gap)) for images, gap in logit_gap(history.steps)]


def logit_swing(history: RunHistory) -> Points:
    """The median change of the logit gap from row to row, as a share of its median size, over a window of rows."""
    unit = logits.unit(history)
    if unit is None:
        return []
    found = []
    for images, values in _windows(logit_gap(history.steps), SWING_ROWS):
        size = max(0.5 * unit, statistics.median(map(abs, values)))
        found.append((images, statistics.median(_changes(values)) / size))
    return found


def separation_swing(history: RunHistory) -> Points:
    """The median change of the separation from look to look, over a window of looks."""
    windows = _windows(points(history.looks, "separation"), SWING_LOOKS)
    return [(images, statistics.median(_changes(values))) for images, values in windows]


def share_of_best(history: RunHistory, signal: str, least: float) -> Points:
    """A signal of looks as a share of the best before, where that was at least so much.

    The diversity kept says little by itself: pictures of nothing are all alike to a network trained to see things.
    """
    known = _with_best(points(history.all_looks, signal), max)
    return [(images, value / best) for images, value, best in known if best >= least]


def distance_growth(history: RunHistory) -> Points:
    """The distance as a multiple of the best before."""
    known = _with_best(points(history.all_looks, "distance"), min)
    return [(images, value / max(best, LEAST_DISTANCE)) for images, value, best in known]


def distance_gain(history: RunHistory) -> Points:
    """The distance of the latest looks (two, or a quarter of all) as a share of that of as many before them."""
    known = points(history.all_looks, "distance")
    found = []
    for end in range(4, len(known) + 1):
        span, values = max(2, end // 4), [value for _, value in known[:end]]
        before, now = statistics.median(values[-2 * span : -span]), statistics.median(values[-span:])
        if before > 0:
            found.append((known[end - 1][0], now / before))
    return found


def measured_growth(history: RunHistory) -> Points:
    """The measured distance, three of its errors in its favour, as a multiple of the best before."""
    found: Points = []
    best: tuple[float, float] | None = None
    for row in history.measurements:
        value, error = float(row["value"]), number(row, "error") or 0.0
        if best is not None:
            found.append((row["images_seen"], max(0.0, value - 3 * error) / max(max(best[0], 0.0) + 3 * best[1], 1e-9)))
        best = (value, error) if best is None else min(best, (value, error))
    return found


def loss_growth(history: RunHistory) -> Points:
    """The generator's loss against its start: of log-odds only, for other losses have no zero to count from."""
    return against_start(points(history.steps, "generator_loss")) if history.config.objective.loss.log_odds else []


def class_ratios(look: Row) -> dict[str, float]:
    """The diversity of each class that a look tells, by its name."""
    names = (name for name in look if name.startswith(CLASS_DIVERSITY))
    return {name.removeprefix(CLASS_DIVERSITY): value for name in names if (value := number(look, name)) is not None}


def beside_others(ratios: Mapping[str, float]) -> dict[str, float]:
    """Each ratio as a share of the median of the others; of fewer than three there is none."""
    if len(ratios) < 3:
        return {}
    usual = {name: statistics.median(ratios[other] for other in ratios if other != name) for name in ratios}
    return {name: ratio / usual[name] for name, ratio in ratios.items() if usual[name] > 0}


def least_class(history: RunHistory, beside: bool) -> Points:
    """The diversity of the least varied class at each look that tells classes apart; or as a share of the others'."""
    known = ((look["images_seen"], class_ratios(look)) for look in history.all_looks)
    known = ((images, beside_others(ratios) if beside else ratios) for images, ratios in known)
    return [(images, min(ratios.values())) for images, ratios in known if ratios]


def growth(history: RunHistory, network: str) -> Points:
    """The norm of a network's weights as a multiple of what it was a few looks before."""
    known = points(history.all_looks, f"{network}_weight_norm")
    before = [known[max(0, place - GROWTH_LOOKS)][1] for place in range(len(known))]
    return [(images, value / start) for (images, value), start in zip(known, before, strict=True) if start > 0]


def pace(history: RunHistory, network: str) -> Points:
    """By how many times their initial norm a network's weights have grown in 1,000 generator steps, from the start."""
    known = points(history.all_looks, f"{network}_gain")
    return [(images, (gain - 1) * 1_000 * history.info.step / images) for images, gain in known if images]


def not_finite(history: RunHistory) -> Points:
    """How many of the logged losses and logits are not finite (null in the file); 1 where that has ended the run."""
    rows = history.all_steps
    counts = (float(sum(name in row and number(row, name) is None for name in NUMBERS)) for row in rows)
    found = [(row["images_seen"], count) for row, count in zip(rows, counts, strict=True)]
    return sorted([*found, *((row["images_seen"], 1.0) for row in history.failures)])


def disagreement(history: RunHistory) -> Points:
    """The logit gap in training, in its unit, at looks that find the source's own pictures taken for generated ones.

    It is 0 at other looks.
    """
    gaps, found, unit = logit_gap(history.steps), [], logits.unit(history)
    if unit is None:
        return []
    moments = [images for images, _ in gaps]
    for images, separation in points(history.looks, "separation"):
        end = bisect_right(moments, images)
        last = [gap for _, gap in gaps[max(0, end - 3) : end]]
        found.append((images, statistics.median(last) / unit if separation <= FOOLED and last else 0.0))
    return found


def against_start(known: Points) -> Points:
    """Later values as multiples of the median of the first third."""
    start = [value for _, value in known[: len(known) // 3]]
    usual = statistics.median(start) if len(start) >= 2 else 0.0
    return [(images, value / usual) for images, value in known[len(start) :]] if usual > 0 else []


def _windows(known: Points, size: int) -> list[tuple[int, list[float]]]:
    """For each moment from the `size`-th on, the last `size` values."""
    ends = range(size, len(known) + 1)
    return [(known[end - 1][0], [value for _, value in known[end - size : end]]) for end in ends]


def _changes(values: Sequence[float]) -> list[float]:
    return [abs(after - before) for before, after in pairwise(values)]


def _with_best(known: Points, better: Callable[[float, float], float]) -> list[tuple[int, float, float]]:
    """Each value with the best before it; a best is a median of three, so that one look makes no record."""
    medians = [statistics.median(values) for _, values in _windows(known, 3)]
    return [(*now, best) for now, best in zip(known[3:], accumulate(medians, better), strict=False)]
