"""From the history of a run to verdicts: pure functions, the same while it trains and afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ganlet.health import conditional, critics, faults, illnesses, progress
from ganlet.health.case import HEALTH, Case, Facts, Row
from ganlet.health.findings import SEVERITIES, Advice, Diagnosis, Severity, Verdict
from ganlet.health.thresholds import THRESHOLDS, Thresholds

HEALTHY, TOO_EARLY = "healthy", "too early"

Rule = Callable[[Case], Verdict | None]


def diagnose(rows: Sequence[Row], facts: Facts, limits: Thresholds = THRESHOLDS) -> Diagnosis:
    """What the rows of metrics.jsonl so far, of all kinds and in the order of the file, say about the run."""
    case = Case.read(rows, facts, limits)
    too_young = case.images_seen <= case.early
    rules = RULES_FOR_THE_YOUNG if too_young else RULES
    found = [verdict for rule in rules if (verdict := rule(case)) is not None]
    found = [verdict for verdict in found if not _explained(verdict, found)]
    if all(verdict.severity == "healthy" for verdict in found):
        unknown = too_young or _looked_too_little(case) or not _has_values(case)
        found.append(_nothing_known(case) if unknown else _well(case))
    found.sort(key=lambda verdict: (SEVERITIES.index(verdict.severity), -verdict.confidence))
    return Diagnosis(tuple(found), case.images_seen, len(case.all_looks))


def first_detection(
    rows: Sequence[Row], facts: Facts, kind: str, severity: Severity | None = None, limits: Thresholds = THRESHOLDS
) -> int | None:
    """The clock when a verdict of that kind (and severity) was first given, had the run been watched; None: never."""
    for diagnosis in replay(rows, facts, limits):
        for verdict in diagnosis.verdicts:
            if verdict.kind == kind and severity in (None, verdict.severity):
                return diagnosis.images_seen
    return None


def replay(rows: Sequence[Row], facts: Facts, limits: Thresholds = THRESHOLDS) -> Iterator[Diagnosis]:
    """The diagnosis at each look of a run (at each log row where there are no looks), and at its end."""
    event = HEALTH if any(row.get("event") == HEALTH for row in rows) else None
    for place, row in enumerate(rows, 1):
        if row.get("event") == event or place == len(rows):
            yield diagnose(rows[:place], facts, limits)


def _explained(verdict: Verdict, found: Sequence[Verdict]) -> bool:
    """Whether another verdict makes this one a mere consequence: a serious one, and found first if both are.

    How far a run has come means nothing beside any illness of the players, a light one too.
    """
    if verdict.kind in _OF_PROGRESS and any(other.kind in _OF_PLAYERS for other in found):
        return True
    return any(
        other.severity == "serious"
        and verdict.kind in CONSEQUENCES.get(other.kind, ())
        and (verdict.severity != "serious" or found.index(other) < found.index(verdict))
        for other in found
    )


def _well(case: Case) -> Verdict:
    confidence = round(min(0.95, 0.5 + 0.03 * len(case.looks)), 2) if case.looks else 0.4
    told = progress.quality(case)
    words = "Nothing points to an illness" + (f"; {told}." if told else ".")
    if case.num_rollbacks:
        words += f" It was taken back to an earlier moment {case.num_rollbacks} times on the way."
    if not case.all_looks:
        words += " The doctor never looked at the pictures of this run, so this rests on the losses alone."
    return Verdict(HEALTHY, "healthy", confidence, words, picture_moments=(case.images_seen,))


def _nothing_known(case: Case) -> Verdict:
    words = f"Before {case.early:,} images have been seen there is nothing to judge; so far it is {case.images_seen:,}."
    if _looked_too_little(case):
        words = "So far there were too few looks after the early phase to judge by; a verdict rests on several."
    elif case.images_seen > case.early:
        words = "There are no numbers to judge by: neither losses nor looks were logged after the early phase."
    return Verdict(TOO_EARLY, "healthy", 0.0, words, advice=Advice("Nothing yet."))


def _looked_too_little(case: Case) -> bool:
    """Whether there are looks, but too few that count for even a serious illness to show."""
    return bool(case.all_looks) and len(case.looks) < case.limits.looks_serious


def _has_values(case: Case) -> bool:
    return bool(case.looks or case.steps or case.measurements)


_OF_PROGRESS = (progress.UNDER_TRAINED, progress.FINISHED)
_OF_PICTURES = (faults.CHECKERBOARD, faults.WRONG_COLOURS, faults.LEAK, *_OF_PROGRESS)
_OF_LABELS = (conditional.IGNORED, conditional.CLASS_COLLAPSE)
_OF_PLAYERS = (
    illnesses.WEAK,
    illnesses.STRONG,
    illnesses.COLLAPSE,
    illnesses.OSCILLATION,
    illnesses.DIVERGENCE,
    illnesses.STUCK,
)

# What a serious verdict of a kind explains: these are then not told beside it.
CONSEQUENCES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_OF_PLAYERS, (*_OF_PLAYERS, *_OF_PICTURES, *_OF_LABELS)),
    critics.UNBOUNDED: (*_OF_PLAYERS, *_OF_PICTURES, *_OF_LABELS),
    faults.WRONG_COLOURS: (*_OF_PLAYERS, *_OF_PICTURES, *_OF_LABELS),
    conditional.CLASS_COLLAPSE: (illnesses.COLLAPSE,),
    faults.LEAK: (faults.WRONG_COLOURS,),
    faults.OVERFITTING: (progress.UNDER_TRAINED,),
}

# All rules, causes before consequences; each stands for itself and may be read alone.
RULES: tuple[Rule, ...] = (
    illnesses.explosion,
    critics.unbounded_critic,
    faults.bad_loading,
    illnesses.weak_discriminator,
    conditional.collapsed_class,
    illnesses.complete_collapse,
    illnesses.standstill,
    illnesses.lost_quality,
    illnesses.strong_discriminator,
    illnesses.partial_collapse,
    illnesses.oscillation,
    conditional.ignored_labels,
    faults.memorisation,
    faults.recognition,
    faults.unknown_copying,
    faults.leaking_augmentation,
    faults.wrong_colours,
    faults.checkerboard,
    critics.critic_at_limit,
    progress.under_trained,
    progress.finished,
)

# What may be said at any time.
RULES_FOR_THE_YOUNG: tuple[Rule, ...] = (illnesses.explosion,)
