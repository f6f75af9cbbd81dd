"""From the history of a run to verdicts: pure functions, the same while it trains and afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ganlet.health.findings import SEVERITIES, Advice, Diagnosis, Verdict
from ganlet.health.history import HEALTH, Row, RunHistory, RunInfo
from ganlet.health.image_rules import IMAGE_RULES
from ganlet.health.label_rules import LABEL_RULES
from ganlet.health.progress_rules import PROGRESS_RULES
from ganlet.health.rules import FEW_LOOKS, Rule
from ganlet.health.signal_table import latest
from ganlet.health.training_rules import TRAINING_RULES
from ganlet.health.wgan_rules import WGAN_RULES

HEALTHY, TOO_EARLY = "healthy", "too early"

# Causes before consequences.
RULES: tuple[Rule, ...] = tuple(
    sorted((*TRAINING_RULES, *LABEL_RULES, *IMAGE_RULES, *WGAN_RULES, *PROGRESS_RULES), key=lambda rule: rule.rank)
)

Found = tuple[Rule, Verdict]


def diagnose(rows: Sequence[Row], info: RunInfo, rules: Sequence[Rule] = RULES) -> Diagnosis:
    """What the rows of metrics.jsonl so far, of all kinds and in the order of the file, say about the run."""
    history = RunHistory.read(rows, info)
    too_young = history.images_seen <= history.early
    found: dict[str, Found] = {}
    for rule in rules:
        if rule.kind not in found and (rule.young or not too_young) and (verdict := rule.judge(history)):
            found[rule.kind] = (rule, verdict)
    verdicts = [one[1] for place, one in enumerate(found.values()) if not _explained(one, place, [*found.values()])]
    if all(verdict.severity == "healthy" for verdict in verdicts):
        has_values = history.looks or history.steps or history.measurements
        unknown = too_young or _looked_too_little(history) or not has_values
        verdicts.append(_nothing_known(history) if unknown else _well(history))
    verdicts.sort(key=lambda verdict: (SEVERITIES.index(verdict.severity), -verdict.confidence))
    return Diagnosis(tuple(verdicts), history.images_seen, len(history.all_looks))


def replay(rows: Sequence[Row], info: RunInfo) -> Iterator[Diagnosis]:
    """The diagnosis at each look of a run (at each log row where there are no looks), and at its end."""
    event = HEALTH if any(row.get("event") == HEALTH for row in rows) else None
    for place, row in enumerate(rows, 1):
        if row.get("event") == event or place == len(rows):
            yield diagnose(rows[:place], info)


def _explained(one: Found, place: int, found: Sequence[Found]) -> bool:
    """Whether another verdict makes this one a mere consequence: a serious one, and found first if both are."""
    rule, verdict = one
    if any(other.subject in rule.silent_beside for other, _ in found):
        return True
    return any(
        cause.severity == "serious"
        and (rule.kind in other.explains or rule.subject in other.explains)
        and (verdict.severity != "serious" or where < place)
        for where, (other, cause) in enumerate(found)
    )


def _well(history: RunHistory) -> Verdict:
    confidence = round(min(0.95, 0.5 + 0.03 * len(history.looks)), 2) if history.looks else 0.4
    coverage = latest(history, "coverage")
    words = "Nothing points to an illness."
    if coverage is not None:
        words = f"{words[:-1]}; {coverage:.0%} of the real pictures have a generated one that is like them."
    if history.num_rollbacks:
        words += f" It was taken back to an earlier moment {history.num_rollbacks} times on the way."
    if not history.all_looks:
        words += " The doctor never looked at the pictures of this run, so this rests on the losses alone."
    return Verdict(HEALTHY, "healthy", confidence, words, picture_moments=(history.images_seen,))


def _nothing_known(history: RunHistory) -> Verdict:
    words = (
        f"Before {history.early:,} images have been seen there is nothing to judge; so far it is "
        f"{history.images_seen:,}."
    )
    if _looked_too_little(history):
        words = "So far there were too few looks after the early phase to judge by; a verdict rests on several."
    elif history.images_seen > history.early:
        words = "There are no numbers to judge by: neither losses nor looks were logged after the early phase."
    return Verdict(TOO_EARLY, "healthy", 0.0, words, advice=Advice("Nothing yet."))


def _looked_too_little(history: RunHistory) -> bool:
    """Whether there are looks, but too few that count for even a serious illness to show."""
    return bool(history.all_looks) and len(history.looks) < FEW_LOOKS
