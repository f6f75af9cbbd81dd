"""Rules for what is wrong with pictures: learned by heart, augmented, patterned, of other colours than the source."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ganlet.config import RunConfig
from ganlet.health.advice import SLOWER_GENERATOR, Change, Try, has
from ganlet.health.findings import Advice, Evidence
from ganlet.health.history import RunHistory, RunInfo
from ganlet.health.progress_rules import UNDER_TRAINED
from ganlet.health.rules import CONSEQUENCES, OTHER_COLOURS, Finding, Rule, above, lasting, together

OVERFITTING, CHECKERBOARD, WRONG_COLOURS = "overfitting", "checkerboard", "wrong colours"
LEAK = "augmentation leaks"

FEW_PICTURES, MANY_EPOCHS = 1_000, 40.0  # with fewer, none held out, and each shown as often, nobody can know
LEAKED_BESIDE = 2 / 3  # of the strongest leak: a weaker one may be its shadow
SAFE_STRENGTH = 0.5  # leaks were seen above 0.8 (Karras et al. 2020, section 2.2)


def unknown_copying(history: RunHistory) -> Finding | None:
    """Few pictures, shown often, none held out and none compared."""
    count = history.info.num_pictures
    seen = any("recognition" in row or "copies" in row for row in history.all_looks)
    if seen or not count or count >= FEW_PICTURES or history.images_seen < MANY_EPOCHS * count:
        return None
    shown = Evidence("epochs", history.images_seen / count, MANY_EPOCHS, "above")
    return Finding(None, (shown,), sure=0.3, named=f"{count:,}")


def shown_otherwise(history: RunHistory) -> Finding | None:
    """In training real and generated pictures are kept apart; shown the source's own, they are taken for generated."""
    found = lasting(above("disagreement", 1.0))(history)
    return found and together(found, lasting(PIXEL)(history))


def leaking(history: RunHistory) -> Finding | None:
    """Policies that generated pictures show, without the shadows of others."""
    policies = history.config.objective.augment.policies
    each = {policy: lasting(above(f"leak_{policy}", 0.3))(history) for policy in policies}
    shares = {policy: found.evidence[0].value for policy, found in each.items() if found is not None}
    named = [policy for policy, share in shares.items() if share >= LEAKED_BESIDE * max(shares.values())]
    found = together(*(each[policy] for policy in named))
    return found and replace(found, named=", ".join(named))


def against_leaks(config: RunConfig, found: Finding) -> Advice:
    """Less often; then without what leaks."""
    augment = config.objective.augment
    if augment.adaptive == "none" and augment.strength > SAFE_STRENGTH:
        words = "Augment less often: where some pictures are left as they are, the generator learns which they are."
        return Advice(words, {"objective.augment.strength": SAFE_STRENGTH})
    kept = [policy for policy in augment.policies if policy not in found.named.split(", ")]
    return Advice(f"Leave out what leaks: {found.named}.", {"objective.augment.policies": f"[{', '.join(kept)}]"})


def averaged(config: RunConfig) -> Change:
    """Weights, and pictures drawn with them."""
    shown = {} if config.evaluate.weights == "ema" else {"evaluate.weights": "ema"}
    return {"generator.ema.half_life": 10_000, **shown}


AGAINST_OVERFITTING = (
    Try("More pictures help most. The cheapest are mirrored ones, if your pictures may be mirrored.",
        {"data.flip": True}, has("data.flip", False)),
    Try("More pictures help most. Else drop some of the discriminator's units, so that it learns less by heart.",
        {"discriminator.dropout": 0.25}, has("discriminator.dropout", 0)),
    Try("More pictures help most. Else stop earlier.",
        lambda config: {"train.total_images": RunInfo(config).total_images // 2}),
)  # fmt: skip
AGAINST_WRONG_COLOURS = (
    Try("Take another norm: instance norm takes the colours of a picture away from the discriminator.",
        {"discriminator.norm": "batch"}, has("discriminator.norm", "instance")),
    Try("Average the generator's weights: its colours swing from step to step.",
        averaged, has("generator.ema.half_life", 0)),
    Try("Look at what the pictures are read as (ganlet inspect). If that is right, halve the generator's learning "
        "rate.", SLOWER_GENERATOR.change),
)  # fmt: skip
LOOK_AT_LOADING = (
    Try("Look at samples/real.png, and at what your own code changes in the pictures before they are shown to the "
        "discriminator: it must not differ from the source.", {}),
)  # fmt: skip
AGAINST_CHECKERBOARD = (
    Try("Enlarge by nearest neighbours and a convolution: transposed convolutions leave such patterns.",
        {"generator.upsample": "nearest"}, has("generator.upsample", "transposed")),
    SLOWER_GENERATOR,
)  # fmt: skip

PIXEL = above("pixel_shift", 0.35)  # of the range from black to white; healthy runs come below 0.2
SHIFTED = lasting(*OTHER_COLOURS, above("saturation", 0.3), PIXEL)  # a saturation of 0.18 was seen in healthy runs

overfitting = partial(Rule, OVERFITTING, subject="memory", explains=(UNDER_TRAINED,), advice=AGAINST_OVERFITTING)
copied = partial(overfitting, signs=lasting(above("copies", 0.4)),  # real pictures would have 0.05
                 words="Many generated pictures are copies of training pictures: the generator repeats what it was "
                       "shown.")  # fmt: skip
recognised = partial(overfitting, signs=lasting(above("recognition", 0.7)))  # one look is exact to 0.04
wrong_colours = partial(Rule, WRONG_COLOURS, subject="images")
leak = partial(Rule, LEAK, subject="images", signs=leaking, explains=(WRONG_COLOURS,), advice=against_leaks,
               words="The augmentation leaks into the generated pictures ({}): the generator draws what was done to "
                     "the pictures that the discriminator is shown.")  # fmt: skip

IMAGE_RULES: tuple[Rule, ...] = (
    wrong_colours("serious", rank=2, explains=CONSEQUENCES,
                  signs=shown_otherwise,
                  words="What training shows as real pictures is not what the source holds: the discriminator takes "
                        "the source's own pictures for generated ones. Something changes the pictures on their way.",
                  advice=LOOK_AT_LOADING),
    copied("serious", if_shows=lambda values: values["copies"] >= 0.7),
    copied("notice"),
    recognised("serious", if_shows=lambda values: values["recognition"] >= 0.9,
               words="The discriminator knows its training pictures by heart: it tells them from real pictures that it "
                     "never saw. What it then teaches is to copy."),
    recognised("notice",
               words="The discriminator knows many training pictures: it tells them from real pictures that it never "
                     "saw. What it then teaches is to copy."),
    overfitting("notice",
                signs=unknown_copying,
                words="With {} pictures, each shown again and again, copies are likely, and nothing here can tell.",
                advice=(Try("Keep some pictures out of training: then it can be told.", {"data.holdout": 0.1}),)),
    leak("serious", if_shows=lambda values: max(values.values()) >= 0.6),
    leak("notice"),
    wrong_colours("notice", if_shows=lambda values: set(values) == {"pixel_shift"},
                  signs=SHIFTED,
                  words="At one place the generated pictures are not like the source, and elsewhere they are: a stuck "
                        "pixel, a border, a mark that something has put onto the pictures.",
                  advice=LOOK_AT_LOADING),
    wrong_colours("notice",
                  signs=SHIFTED,
                  words="The generated pictures have other colours, or another contrast, than the source.",
                  advice=AGAINST_WRONG_COLOURS),
    Rule(CHECKERBOARD, "notice", subject="images",
         signs=lasting(above("checkerboard", 3.0)),
         words="A fine chequered pattern lies over the pictures; it comes from the generator's upsampling.",
         advice=AGAINST_CHECKERBOARD),
)  # fmt: skip
