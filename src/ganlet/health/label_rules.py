"""Rules for what is wrong between labels and pictures: labels without effect, a class that is one picture."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from ganlet.config import RunConfig
from ganlet.health.advice import AGAINST_COLLAPSE, Try, has, setting, times
from ganlet.health.derived import beside_others, class_ratios
from ganlet.health.history import Row, RunHistory
from ganlet.health.rules import LOOKS, Finding, Rule, below, lasting, persistent
from ganlet.health.training_rules import COLLAPSE, ONE_PICTURE

IGNORED, CLASS_COLLAPSE = "labels ignored", "class collapsed"
MOST_NAMED = 5

# Of one class: healthy ones are above 0.5, and above 0.7 of the others.
ALIKE_IN_CLASS = (below("class_diversity", 0.35), below("class_beside", 0.45))


def collapsed_classes(history: RunHistory, most: bool) -> Finding | None:
    """Some classes, or most of them, that are (nearly) one picture each; not where all together are one."""
    if not history.looks or persistent(history.looks, (ONE_PICTURE,), 1):
        return None
    known = class_ratios(history.looks[-1])
    each = {name: found for name in known if (found := persistent(_class(history, name), ALIKE_IN_CLASS, LOOKS))}
    if not each or most != (len(each) > len(known) / 2):
        return None
    names = sorted(each, key=lambda name: each[name].since or 0)
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    worst = min(each.values(), key=lambda found: found.evidence[0].value)
    return replace(worst, named=", ".join(names[:MOST_NAMED]) + more)


def _class(history: RunHistory, name: str) -> list[Row]:
    known = [(look["images_seen"], class_ratios(look)) for look in history.looks]
    return [
        {"images_seen": images, "class_diversity": ratios.get(name), "class_beside": beside_others(ratios).get(name)}
        for images, ratios in known
    ]


def labels_outweigh(config: RunConfig) -> bool:
    """They enter beside the latents though they could enter elsewhere."""
    return config.generator.condition == "concat" and setting(config, "generator.norm") not in (None, "none")


CHECK = "Look whether pictures have the right labels (ganlet inspect). If they have, let the discriminator name them"
LOUDER = (
    Try(f"{CHECK}: what does not show its label is then punished.", {"discriminator.condition": "classifier"},
        lambda config: config.discriminator.condition != "classifier"),
    Try(f"{CHECK} louder: twice as much.", times(2, "objective.classifier_weight")),
)  # fmt: skip
BALANCE = Try("Show every class equally often, and look whether these have enough different pictures.",
              {"data.balance": True},
              lambda config: has("data.labels", "classes")(config) and not config.data.balance)  # fmt: skip
BY_NORM = Try("Let labels enter as scale and shift of the normalisations, and leave the generator's input to latents.",
              {"generator.condition": "norm"}, labels_outweigh)  # fmt: skip

collapsed = partial(Rule, CLASS_COLLAPSE, "serious", subject="labels", rank=4, explains=(COLLAPSE,))
# Healthy effects are above 0.4. One look at the agreement is exact to 0.04; CIFAR-10, which shows little yet, has 0.09.
ignored = partial(Rule, IGNORED, "serious", subject="labels", advice=LOUDER,
                  signs=lasting(below("label_effect", 0.1), below("label_agreement", 0.06)))  # fmt: skip

LABEL_RULES: tuple[Rule, ...] = (
    collapsed(signs=partial(collapsed_classes, most=True),
              words="Labels decide everything, and latents next to nothing: of each class it draws one picture ({}).",
              advice=(BY_NORM, *AGAINST_COLLAPSE)),
    collapsed(signs=partial(collapsed_classes, most=False),
              words="Of some classes the generator draws (nearly) one picture, of others not: {}.",
              advice=(BALANCE, *AGAINST_COLLAPSE)),
    ignored(if_shows=lambda values: "label_effect" in values,
            words="The generator does not listen to its labels: the same latents give the same picture with any "
                  "label."),
    ignored(words="The pictures do not show what their labels say: whatever label it is given, the generator draws "
                  "anything."),
)  # fmt: skip
