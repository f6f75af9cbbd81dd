"""Rules for what is wrong between labels and pictures: labels without effect, a class that is one picture."""

from __future__ import annotations

from ganlet.health import advice
from ganlet.health.case import Case, Row, Sign, Streak, streak, verdict
from ganlet.health.derived import beside_others, class_ratios
from ganlet.health.findings import Verdict

IGNORED, CLASS_COLLAPSE = "labels ignored", "class collapsed"
MOST_NAMED = 5


def ignored_labels(case: Case) -> Verdict | None:
    """Pictures do not show what their labels say."""
    limits = case.limits
    signs = (
        Sign("label_effect", "below", limits.label_effect),
        Sign("label_agreement", "below", limits.label_agreement),
    )
    found = streak(case.looks, signs, limits.looks)
    if found is None:
        return None
    words = "The pictures do not show what their labels say: whatever label it is given, the generator draws anything."
    if any(item.signal == "label_effect" for item in found.evidence):
        words = "The generator does not listen to its labels: the same latents give the same picture with any label."
    return verdict(case, IGNORED, "serious", words, found, advice.against_ignored_labels(case.facts.config))


def collapsed_class(case: Case) -> Verdict | None:
    """Of some classes, or of all, (nearly) one picture each."""
    one_picture = Sign("rough_diversity", "below", case.limits.collapsed_rough_diversity)
    if streak(case.looks, (one_picture,), 1):
        return None  # of all classes together: that is a mode collapse
    known = class_ratios(case.looks[-1]) if case.looks else {}
    collapsed = {name: found for name in known if (found := _collapsed(case, name)) is not None}
    if not collapsed:
        return None
    names = sorted(collapsed, key=lambda name: collapsed[name].since)
    worst = min(collapsed.values(), key=lambda found: found.evidence[0].value)
    most = len(names) > len(known) / 2
    listed = ", ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
    words = f"Of some classes the generator draws (nearly) one picture, of others not: {listed}."
    if most:
        words = f"Labels decide everything, and latents next to nothing: of each class it draws one picture ({listed})."
    plan = advice.against_collapsed_classes(case.facts.config, most)
    return verdict(case, CLASS_COLLAPSE, "serious", words, worst, plan)


def _collapsed(case: Case, name: str) -> Streak | None:
    """For how long a class has been poor, by itself or beside the others."""
    limits = case.limits
    rows: list[Row] = []
    for look in case.looks:
        ratios = class_ratios(look)
        row = {"class_diversity": ratios.get(name), "class_beside": beside_others(ratios).get(name)}
        rows.append({"images_seen": look["images_seen"], **row})
    signs = (
        Sign("class_diversity", "below", limits.class_diversity),
        Sign("class_beside", "below", limits.class_beside),
    )
    return streak(rows, signs, limits.looks)
