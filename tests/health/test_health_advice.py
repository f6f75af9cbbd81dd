from __future__ import annotations

import shlex

import pytest

from ganlet.config import parse_override, resolve, validate
from ganlet.config.tree import differences, flatten, merge
from ganlet.health.advice import GRADIENT_PENALTY, R1, first_of
from ganlet.health.findings import Advice, Evidence, set_options
from ganlet.health.rules import Finding
from ganlet.health.verdicts import RULES
from ganlet.workflows.configuring import make_config

ALL = {f"{rule.kind}: {rule.words} ({place})": rule.advice for place, rule in enumerate(RULES)}
WITHOUT_CHANGE = ("Look at samples/real.png", "Nothing to change")
CHANGES = [
    {},
    {"train.n_critic": 5},
    {"objective.penalties": []},
    {"objective.penalties": [{"kind": "r1", "weight": 10.0}]},
    {"objective.instance_noise.sigma": 0.5},
    {"generator.optimizer.lr": 1e-6, "discriminator.optimizer.lr": 3e-6},
    {"generator.optimizer.beta1": 0.9, "discriminator.optimizer.lr": 1e-3},
    {"generator.kind": "mlp", "discriminator.kind": "mlp"},
    {"generator.upsample": "transposed", "discriminator.norm": "instance", "train.precision": "bf16"},
    {"generator.ema.half_life": 0, "data.flip": True},
    {"discriminator.dropout": 0.3, "data.flip": True, "generator.norm": "none"},
    {"objective.loss.kind": "wasserstein", "objective.loss.clip": 0.01, "objective.penalties": []},
    {"data.labels": "classes", "data.label_names": ["a", "b"], "discriminator.condition": "classifier"},
    {"objective.augment.policies": ["color", "cutout"], "objective.augment.strength": 0.4},
]


def given(advice, config, named="cutout"):
    return advice(config, Finding(0, (), named=named)) if callable(advice) else first_of(advice, config)


def against(beginning):
    """The advice of the rule whose kind and words begin so."""
    (found, *_) = [advice for name, advice in ALL.items() if name.startswith(beginning)]
    return found


def applied(config, command):
    words = shlex.split(command)
    tree = {}
    for option, text in zip(words[::2], words[1::2], strict=True):
        assert option == "--set"
        tree = merge(tree, parse_override(text), None)
    return validate(merge(config.model_dump(), tree))


@pytest.mark.parametrize("changes", CHANGES, ids=str)
@pytest.mark.parametrize("name", ALL)
def test_every_advice_can_be_pasted_and_changes_what_it_says(name, changes):
    for preset in ("quick", "classic"):
        written = make_config(preset, overrides=changes)
        config = resolve(
            written, num_pictures=60_000, channels=3, label_names=("a", "b") if "data.labels" in changes else None
        )
        policies = config.objective.augment.policies
        if name.startswith("augmentation leaks") and not policies:
            continue
        for named in ("cutout", "color, cutout"):
            plan = given(ALL[name], config, named)
            changed = differences(config, applied(config, plan.command))
            said = set(flatten(plan.change))
            assert {next((path for path in said if key.startswith(path)), key) for key in changed} == said
            assert bool(changed) == (not plan.words.startswith(WITHOUT_CHANGE))
            assert plan.words.endswith(".")


@pytest.mark.parametrize(
    ("rule", "changes", "command"),
    [
        ("mode collapse", {"objective.penalties": []}, f"objective.penalties={R1}"),
        ("mode collapse", {}, "generator.optimizer.lr=0.0008"),
        ("discriminator too strong", {"train.n_critic": 2}, "train.n_critic=1"),
        ("discriminator too strong", {"discriminator.optimizer.lr": 1}, "discriminator.optimizer.lr=0.0008"),
        ("discriminator too strong", {"objective.penalties": [], "discriminator.optimizer.lr": 4e-4},
         f"objective.penalties={R1}"),
        ("discriminator too weak", {}, "discriminator.optimizer.lr=0.0016"),
        ("discriminator too weak", {"discriminator.optimizer.lr": 2e-3}, "train.n_critic=2"),
        ("oscillation", {"generator.optimizer.beta1": 0.9}, "generator.optimizer.beta1=0.5"),
        ("checkerboard", {"generator.upsample": "transposed"}, "generator.upsample=nearest"),
        ("overfitting: Many", {}, "data.flip=true"),
        ("wrong colours: The", {"discriminator.norm": "instance"}, "discriminator.norm=batch"),
        ("under-trained", {}, "train.total_images=180000"),
        ("mode collapse", {"objective.penalties": [], "objective.loss.kind": "wasserstein"},
         f"objective.penalties={GRADIENT_PENALTY}"),
        ("discriminator too weak", {"objective.penalties": [{"kind": "gradient_penalty"}]},
         "discriminator.optimizer.lr=0.0016"),
        ("labels ignored", {}, "discriminator.condition=classifier"),
        ("labels ignored", {"discriminator.condition": "classifier"}, "objective.classifier_weight=2"),
        ("class collapsed: Labels", {}, "generator.condition=norm"),
        ("class collapsed: Of some", {"data.labels": "classes"}, "data.balance=true"),
        ("augmentation leaks", {"objective.augment.policies": ["cutout"]}, "objective.augment.strength=0.5"),
        ("augmentation leaks", {"objective.augment.policies": ["color", "cutout"], "objective.augment.strength": 0.5},
         "objective.augment.policies=[color]"),
        ("augmentation leaks", {"objective.augment.policies": ["color", "cutout"],
                                "objective.augment.adaptive": "sign"}, "objective.augment.policies=[color]"),
    ],
)  # fmt: skip
def test_the_first_thing_to_try(rule, changes, command):
    plan = given(against(rule), make_config("quick", overrides=changes))
    assert shlex.split(plan.command) == ["--set", command]


def test_small_rates_are_written_so_that_they_are_read_as_numbers():
    assert set_options({"a": 8e-5, "b": 1 / 3, "c": 2e-7}) == "--set a=0.00008 --set b=0.333 --set c=0.0000002"
    assert Advice("Nothing.").command == ""


@pytest.mark.parametrize(
    ("evidence", "depth"),
    [
        (Evidence("diversity", 0.25, 0.5, "below"), 0.5),
        (Evidence("diversity", 0.5, 0.5, "below"), 0),
        (Evidence("separation", 0.75, 0.5, "above"), 0.5),
        (Evidence("checkerboard", 4.5, 3.0, "above"), 0.5),
        (Evidence("checkerboard", 90.0, 3.0, "above"), 1),
        (Evidence("logit_gap", -150.0, -100.0, "below"), 0.5),
    ],
)
def test_how_far_evidence_is_beyond_its_limit(evidence, depth):
    assert evidence.depth == pytest.approx(depth)
