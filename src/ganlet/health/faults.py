"""Rules for what is wrong with the pictures: learned by heart, patterned, of other colours than the source."""

from __future__ import annotations

from ganlet.health import advice
from ganlet.health.case import Case, Sign, streak, together, verdict
from ganlet.health.derived import DERIVED
from ganlet.health.findings import Evidence, Severity, Verdict

OVERFITTING, CHECKERBOARD, WRONG_COLOURS = "overfitting", "checkerboard", "wrong colours"
LEAK = "augmentation leaks"


def memorisation(case: Case) -> Verdict | None:
    """Generated pictures are training pictures."""
    limits = case.limits
    found = streak(case.looks, (Sign("copies", "above", limits.copies),), limits.looks)
    if found is None:
        return None
    serious = found.evidence[0].value >= limits.many_copies
    words = "Many generated pictures are copies of training pictures: the generator repeats what it was shown."
    plan = advice.against_overfitting(case.facts.config)
    return verdict(case, OVERFITTING, "serious" if serious else "notice", words, found, plan)


def recognition(case: Case) -> Verdict | None:
    """The discriminator knows its training pictures; not told beside copies, which are worse."""
    limits = case.limits
    found = streak(case.looks, (Sign("recognition", "above", limits.recognises),), limits.looks)
    if found is None or memorisation(case):
        return None
    by_heart = found.evidence[0].value >= limits.knows_by_heart
    words = "The discriminator knows " + ("its training pictures by heart" if by_heart else "many training pictures")
    words += ": it tells them from real pictures that it never saw. What it then teaches is to copy."
    severity: Severity = "serious" if by_heart else "notice"
    return verdict(case, OVERFITTING, severity, words, found, advice.against_overfitting(case.facts.config))


def unknown_copying(case: Case) -> Verdict | None:
    """Few pictures, shown often, none held out and none compared: nobody can know."""
    limits, count = case.limits, case.facts.num_pictures
    seen = any("recognition" in row or "copies" in row for row in case.all_looks)
    if seen or not count or count >= limits.few_pictures or case.images_seen < limits.many_epochs * count:
        return None
    return Verdict(
        OVERFITTING,
        "notice",
        0.3,
        f"With {count:,} pictures, each shown again and again, copies are likely, and nothing here can tell.",
        None,
        (Evidence("epochs", case.images_seen / count, limits.many_epochs, "above"),),
        advice.to_know_about_copying(case.facts.config),
        (case.images_seen,),
    )


def checkerboard(case: Case) -> Verdict | None:
    """A pattern of the upsampling layers lies over the pictures."""
    found = streak(case.looks, (Sign("checkerboard", "above", case.limits.checkerboard),), case.limits.looks)
    if found is None:
        return None
    words = "A fine chequered pattern lies over the pictures; it comes from the generator's upsampling."
    return verdict(case, CHECKERBOARD, "notice", words, found, advice.against_checkerboard(case.facts.config))


def wrong_colours(case: Case) -> Verdict | None:
    """Colours, contrast or single places are not as in the source."""
    limits = case.limits
    signs = (
        Sign("colour_shift", "above", limits.colour_shift),
        Sign("contrast", "below", limits.low_contrast),
        Sign("contrast", "above", limits.high_contrast),
        Sign("saturation", "above", limits.saturation),
        Sign("pixel_shift", "above", limits.pixel_shift),
    )
    found = streak(case.looks, signs, limits.looks)
    if found is None:
        return None
    words, plan = (
        "The generated pictures have other colours, or another contrast, than the source.",
        advice.against_wrong_colours(case.facts.config),
    )
    if {item.signal for item in found.evidence} == {"pixel_shift"}:
        words = (
            "At one place the generated pictures are not like the source, and elsewhere they are: a stuck pixel, a "
            "border, a mark that something has put onto the pictures."
        )
        plan = advice.against_bad_loading(case.facts.config)
    return verdict(case, WRONG_COLOURS, "notice", words, found, plan)


def leaking_augmentation(case: Case) -> Verdict | None:
    """Generated pictures look as the augmented ones that the discriminator is shown, and not as the source."""
    limits, config = case.limits, case.facts.config
    signs = {policy: Sign(f"leak_{policy}", "above", limits.leaked) for policy in config.objective.augment.policies}
    each = {policy: streak(case.looks, (sign,), limits.looks) for policy, sign in signs.items()}
    shares = {policy: found.evidence[0].value for policy, found in each.items() if found is not None}
    if not shares:
        return None
    strongest = max(shares.values())
    leaking = [policy for policy, share in shares.items() if share >= limits.leaked_beside * strongest]
    found = together(*(each[policy] for policy in leaking))
    assert found is not None
    words = (
        f"The augmentation leaks into the generated pictures ({', '.join(leaking)}): the generator draws what was done "
        "to the pictures that the discriminator is shown."
    )
    plan = advice.against_leaks(config, leaking)
    return verdict(case, LEAK, "serious" if strongest >= limits.leaked_widely else "notice", words, found, plan)


def bad_loading(case: Case) -> Verdict | None:
    """What the discriminator is shown as real in training is not what the source holds.

    In training it keeps real and generated pictures apart; shown the source's own pictures, it takes them for the
    generated ones. So something changes the pictures between the source and the discriminator.
    """
    limits = case.limits
    rows = DERIVED["disagreement"](case)
    found = streak(rows, (Sign("disagreement", "above", limits.weak_logit_gap),), limits.looks)
    if found is None:
        return None
    shift = streak(case.looks, (Sign("pixel_shift", "above", limits.pixel_shift),), limits.looks)
    both = together(found, shift)
    assert both is not None
    words = (
        "What training shows as real pictures is not what the source holds: the discriminator takes the source's own "
        "pictures for generated ones. Something changes the pictures on their way."
    )
    return verdict(case, WRONG_COLOURS, "serious", words, both, advice.against_bad_loading(case.facts.config))
