from __future__ import annotations

import shlex

import pytest

from ganlet.config import parse_override, resolve, validate
from ganlet.config.tree import differences, flatten, merge
from ganlet.health import advice
from ganlet.health.findings import Advice, Evidence, set_options
from ganlet.workflows.configuring import make_config

ALL = [value for name, value in vars(advice).items() if name.startswith(("against_", "to_")) and callable(value)]
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
MORE = {  # what some of them are told besides the config
    advice.against_standstill: [(True,), (False,)],
    advice.against_leaks: [(("cutout",),), (("color", "cutout"),)],
    advice.against_collapsed_classes: [(True,), (False,)],
}


def given(function, config):
    return [function(config, *more) for more in MORE.get(function, [()])]


def applied(config, command):
    words = shlex.split(command)
    tree = {}
    for option, text in zip(words[::2], words[1::2], strict=True):
        assert option == "--set"
        tree = merge(tree, parse_override(text), None)
    return validate(merge(config.model_dump(), tree))


@pytest.mark.parametrize("changes", CHANGES, ids=str)
@pytest.mark.parametrize("function", ALL, ids=lambda function: function.__name__)
def test_every_advice_can_be_pasted_and_changes_what_it_says(function, changes):
    for preset in ("quick", "classic"):
        written = make_config(preset, overrides=changes)
        config = resolve(
            written, num_pictures=60_000, channels=3, label_names=("a", "b") if "data.labels" in changes else None
        )
        if function is advice.against_leaks and not config.objective.augment.policies:
            continue
        for plan in given(function, config):
            changed = differences(config, applied(config, plan.command))
            said = set(flatten(plan.change))
            assert {next((path for path in said if key.startswith(path)), key) for key in changed} == said
            assert bool(changed) == (function is not advice.against_bad_loading)
            assert plan.words.endswith(".")


@pytest.mark.parametrize(
    ("function", "changes", "command"),
    [
        (advice.against_collapse, {"objective.penalties": []}, f"objective.penalties={advice.R1}"),
        (advice.against_collapse, {}, "generator.optimizer.lr=0.0008"),
        (advice.against_strong_discriminator, {"train.n_critic": 2}, "train.n_critic=1"),
        (advice.against_strong_discriminator, {"discriminator.optimizer.lr": 1}, "discriminator.optimizer.lr=0.0008"),
        (advice.against_strong_discriminator, {"objective.penalties": [], "discriminator.optimizer.lr": 4e-4},
         f"objective.penalties={advice.R1}"),
        (advice.against_weak_discriminator, {}, "discriminator.optimizer.lr=0.0016"),
        (advice.against_weak_discriminator, {"discriminator.optimizer.lr": 2e-3}, "train.n_critic=2"),
        (advice.against_unrest, {"generator.optimizer.beta1": 0.9}, "generator.optimizer.beta1=0.5"),
        (advice.against_checkerboard, {"generator.upsample": "transposed"}, "generator.upsample=nearest"),
        (advice.against_overfitting, {}, "data.flip=true"),
        (advice.against_wrong_colours, {"discriminator.norm": "instance"}, "discriminator.norm=batch"),
        (advice.to_train_longer, {}, "train.total_images=180000"),
        (advice.against_collapse, {"objective.penalties": [], "objective.loss.kind": "wasserstein"},
         f"objective.penalties={advice.GRADIENT_PENALTY}"),
        (advice.against_weak_discriminator, {"objective.penalties": [{"kind": "gradient_penalty"}]},
         "discriminator.optimizer.lr=0.0016"),
        (advice.against_ignored_labels, {}, "discriminator.condition=classifier"),
        (advice.against_ignored_labels, {"discriminator.condition": "classifier"}, "objective.classifier_weight=2"),
        (lambda config: advice.against_collapsed_classes(config, True), {}, "generator.condition=norm"),
        (lambda config: advice.against_collapsed_classes(config, False), {"data.labels": "classes"},
         "data.balance=true"),
        (lambda config: advice.against_leaks(config, ["cutout"]), {"objective.augment.policies": ["cutout"]},
         "objective.augment.strength=0.5"),
        (lambda config: advice.against_leaks(config, ["cutout"]),
         {"objective.augment.policies": ["color", "cutout"], "objective.augment.strength": 0.5},
         "objective.augment.policies=[color]"),
        (lambda config: advice.against_leaks(config, ["cutout"]),
         {"objective.augment.policies": ["color", "cutout"], "objective.augment.adaptive": "sign"},
         "objective.augment.policies=[color]"),
    ],
)  # fmt: skip
def test_the_first_thing_to_try(function, changes, command):
    assert shlex.split(function(make_config("quick", overrides=changes)).command) == ["--set", command]


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
