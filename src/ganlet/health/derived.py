"""Signals that no row holds, made from those that rows hold: swings, growth, what was lost.

Each function gives rows with `images_seen` and the signal, so that signs are read from them as from any row.
"""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise

from ganlet.health import logits
from ganlet.health.case import Case, Points, Row, number, points

CLASS_DIVERSITY = "class_diversity/"  # before the name of a class, in the rows of looks

NUMBERS = ("discriminator_loss", "generator_loss", "real_logit", "fake_logit")  # of a log row that must be finite


def logit_gap(case: Case) -> list[Row]:
    """How far the discriminator keeps real and generated pictures apart in training."""
    return _rows("logit_gap", _gaps(case.all_steps))


def logit_swing(case: Case) -> list[Row]:
    """The median change of the logit gap from row to row, as a share of its median size, over a window of rows."""
    unit = logits.unit(case)
    if unit is None:
        return []
    found = []
    for images, values in _windows(_gaps(case.steps), case.limits.swing_rows):
        size = max(0.5 * unit, statistics.median(map(abs, values)))
        found.append((images, statistics.median(_changes(values)) / size))
    return _rows("logit_swing", found)


def separation_swing(case: Case) -> list[Row]:
    """The median change of the separation from look to look, over a window of looks."""
    windows = _windows(points(case.looks, "separation"), case.limits.swing_looks)
    return _rows("separation_swing", ((images, statistics.median(_changes(values))) for images, values in windows))


def coverage_kept(case: Case) -> list[Row]:
    """The coverage as a share of the best before."""
    known, least = _with_best(points(case.all_looks, "coverage"), max), case.limits.least_coverage
    return _rows("coverage_kept", ((images, value / best) for images, value, best in known if best >= least))


def diversity_kept(case: Case) -> list[Row]:
    """The diversity as a share of the best before.

    By itself it says little: pictures of nothing are all alike to a network that was trained to see things.
    """
    known = _with_best(points(case.all_looks, "diversity"), max)
    return _rows("diversity_kept", ((images, value / best) for images, value, best in known if best > 0))


def distance_growth(case: Case) -> list[Row]:
    """The distance as a multiple of the best before."""
    least = case.limits.least_distance
    known = _with_best(points(case.all_looks, "distance"), min)
    return _rows("distance_growth", ((images, value / max(best, least)) for images, value, best in known))


def distance_gain(case: Case) -> list[Row]:
    """The distance of the latest looks (two, or a quarter of all) as a share of that of as many before them."""
    known = points(case.all_looks, "distance")
    found = []
    for end in range(4, len(known) + 1):
        span, values = max(2, end // 4), [value for _, value in known[:end]]
        before, now = statistics.median(values[-2 * span : -span]), statistics.median(values[-span:])
        if before > 0:
            found.append((known[end - 1][0], now / before))
    return _rows("distance_gain", found)


def measured_growth(case: Case) -> list[Row]:
    """The measured distance, three of its errors in its favour, as a multiple of the best before."""
    found: list[tuple[int, float]] = []
    best: tuple[float, float] | None = None
    for row in case.measurements:
        value, error = float(row["value"]), number(row, "error") or 0.0
        if best is not None:
            found.append((row["images_seen"], max(0.0, value - 3 * error) / max(max(best[0], 0.0) + 3 * best[1], 1e-9)))
        best = (value, error) if best is None else min(best, (value, error))
    return _rows("measured_growth", found)


def loss_growth(case: Case) -> list[Row]:
    """The generator's loss as a multiple of its median in the first third of what was logged after the early phase.

    Of log-odds only: other losses have no zero to count from, or end below a fixed number.
    """
    if not logits.are_log_odds(case.facts.config):
        return []
    return _rows("loss_growth", _against_start(points(case.steps, "generator_loss")))


def gradient_share(case: Case) -> list[Row]:
    """The generator's gradient norm as a share of its median in the first third of what was logged."""
    return _rows("gradient_share", _against_start(points(case.steps, "generator_gradient_norm")))


def critic_size(case: Case) -> list[Row]:
    """How far a critic keeps real and generated pictures apart, either way round."""
    return _rows("critic_size", ((images, abs(gap)) for images, gap in _gaps(case.steps)))


def critic_growth(case: Case) -> list[Row]:
    """The same as a multiple of its median in the first third of what was logged after the early phase."""
    return _rows("critic_growth", _against_start(points(critic_size(case), "critic_size")))


def class_diversity(case: Case) -> list[Row]:
    """The diversity of the least varied class at each look that tells classes apart."""
    known = ((look["images_seen"], class_ratios(look)) for look in case.all_looks)
    return _rows("class_diversity", ((images, min(ratios.values())) for images, ratios in known if ratios))


def class_beside(case: Case) -> list[Row]:
    """The same as a share of the median of the other classes."""
    known = ((look["images_seen"], beside_others(class_ratios(look))) for look in case.all_looks)
    return _rows("class_beside", ((images, min(shares.values())) for images, shares in known if shares))


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


def generator_growth(case: Case) -> list[Row]:
    """The norm of the generator's weights as a multiple of what it was a few looks before."""
    return _growth(case, "generator")


def discriminator_growth(case: Case) -> list[Row]:
    """The norm of the discriminator's weights as a multiple of what it was a few looks before."""
    return _growth(case, "discriminator")


def generator_pace(case: Case) -> list[Row]:
    """By how many times their initial norm the generator's weights have grown in 1,000 steps, from the start on."""
    return _pace(case, "generator")


def discriminator_pace(case: Case) -> list[Row]:
    """By how many times their initial norm the discriminator's weights have grown in 1,000 steps of the generator."""
    return _pace(case, "discriminator")


def not_finite(case: Case) -> list[Row]:
    """How many of the logged losses and logits are not finite (null in the file); 1 where that has ended the run."""
    rows = case.all_steps
    counts = (float(sum(name in row and number(row, name) is None for name in NUMBERS)) for row in rows)
    found = [(row["images_seen"], count) for row, count in zip(rows, counts, strict=True)]
    return _rows("not_finite", sorted([*found, *((row["images_seen"], 1.0) for row in case.failures)]))


def disagreement(case: Case) -> list[Row]:
    """The logit gap in training at looks that find the source's own pictures taken for generated ones; 0 at others.

    In the loss's unit of logits.
    """
    gaps, found, unit = _gaps(case.steps), [], logits.unit(case)
    if unit is None:
        return []
    moments = [images for images, _ in gaps]
    for images, separation in points(case.looks, "separation"):
        end = bisect_right(moments, images)
        last = [gap for _, gap in gaps[max(0, end - 3) : end]]
        fooled = separation <= case.limits.fooled and last
        found.append((images, statistics.median(last) / unit if fooled else 0.0))
    return _rows("disagreement", found)


def series(case: Case, signal: str) -> Points:
    """All that is known of a signal, the early phase included."""
    if signal in DERIVED:
        return points(DERIVED[signal](case), signal)
    for rows in (case.all_looks, case.measurements, case.all_steps):
        if found := points(rows, signal):
            return found
    return []


def latest(case: Case, signal: str, num: int = 3) -> float | None:
    """The median of the last `num` looks at a signal after the early phase."""
    values = [value for _, value in points(case.looks, signal)[-num:]]
    return statistics.median(values) if values else None


def _rows(name: str, values: Iterable[tuple[int, float]]) -> list[Row]:
    return [{"images_seen": images, name: value} for images, value in values]


def _gaps(rows: Iterable[Row]) -> Points:
    both = ((row["images_seen"], number(row, "real_logit"), number(row, "fake_logit")) for row in rows)
    return [(images, real - fake) for images, real, fake in both if real is not None and fake is not None]


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


def _against_start(known: Points) -> Points:
    """Later values as multiples of the median of the first third."""
    start = [value for _, value in known[: len(known) // 3]]
    usual = statistics.median(start) if len(start) >= 2 else 0.0
    return [(images, value / usual) for images, value in known[len(start) :]] if usual > 0 else []


def _growth(case: Case, network: str) -> list[Row]:
    known, reach = points(case.all_looks, f"{network}_weight_norm"), case.limits.growth_looks
    before = [known[max(0, place - reach)][1] for place in range(len(known))]
    grown = ((images, value / start) for (images, value), start in zip(known, before, strict=True) if start > 0)
    return _rows(f"{network}_growth", grown)


def _pace(case: Case, network: str) -> list[Row]:
    train = case.facts.config.train
    step = train.batch_size * train.n_critic
    known = points(case.all_looks, f"{network}_gain")
    return _rows(f"{network}_pace", ((images, (gain - 1) * 1_000 * step / images) for images, gain in known if images))


DERIVED: dict[str, Callable[[Case], list[Row]]] = {
    "logit_gap": logit_gap,
    "logit_swing": logit_swing,
    "separation_swing": separation_swing,
    "coverage_kept": coverage_kept,
    "diversity_kept": diversity_kept,
    "distance_growth": distance_growth,
    "distance_gain": distance_gain,
    "measured_growth": measured_growth,
    "loss_growth": loss_growth,
    "gradient_share": gradient_share,
    "critic_size": critic_size,
    "critic_growth": critic_growth,
    "class_diversity": class_diversity,
    "class_beside": class_beside,
    "generator_growth": generator_growth,
    "discriminator_growth": discriminator_growth,
    "generator_pace": generator_pace,
    "discriminator_pace": discriminator_pace,
    "not_finite": not_finite,
    "disagreement": disagreement,
}
