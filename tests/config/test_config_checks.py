from __future__ import annotations

import pytest

from ganlet.config import RunConfig, build_config, without_effect
from ganlet.config.checks import impossible, measuring_decides, plateau_schedules
from ganlet.errors import ConfigError
from ganlet.networks.optimizers import SCHEDULES
from ganlet.workflows.configuring import make_config

PLATEAU = {"generator.optimizer.schedule": {"kind": "plateau", "patience": 100}}


def multistep(*milestones: object) -> dict[str, object]:
    return {"generator.optimizer.schedule": {"kind": "multistep", "milestones": list(milestones)}}


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        ({"train.log_every": 0}, "train.log_every: must be at least 1 image"),
        ({"train.sample_every": 0}, "train.sample_every: must be at least 1 image"),
        ({"train.checkpoint_every": 0}, "train.checkpoint_every: must be at least 1 image"),
        (
            {"train": {"total_images": 99, "batch_size": 20, "n_critic": 5}},
            r"train.total_images: 99 is less than one iteration (train.batch_size * train.n_critic = 100)",
        ),
        (
            {"train.total_images": 500, "discriminator.optimizer.schedule.warmup": 501},
            "discriminator.optimizer.schedule.warmup: 501 images are more than train.total_images (500)",
        ),
        (multistep(5, 3), "generator.optimizer.schedule.milestones: must rise from one to the next, got [5, 3]"),
        (multistep(5, 5), "generator.optimizer.schedule.milestones: must rise from one to the next, got [5, 5]"),
        (
            multistep("2 epochs", "1 epoch"),
            "generator.optimizer.schedule.milestones: must rise from one to the next, got ['2 epochs', '1 epoch']",
        ),
        (
            {"objective.penalties": [{"kind": "r1"}, {"kind": "r2"}, {"kind": "r1"}]},
            "objective.penalties: r1 stands 2 times",
        ),
        (
            {**PLATEAU, "evaluate.metric": "none"},
            "generator.optimizer.schedule: plateau waits for a measured distance, and evaluate.metric is none",
        ),
        (
            {"evaluate": {"metric": "none", "patience": 100}},
            "evaluate.patience: waits for a measured distance, and evaluate.metric is none",
        ),
        (
            {"discriminator.optimizer.schedule": {"kind": "plateau", "patience": 0}},
            "discriminator.optimizer.schedule.patience: must be at least 1 image",
        ),
        ({"evaluate.every": 0}, "evaluate.every: must be at least 1 image"),
        ({"evaluate.patience": 0}, "evaluate.patience: must be at least 1 image"),
    ],
)
def test_what_is_impossible_together_is_refused(overrides, problem):
    with pytest.raises(ConfigError) as caught:
        make_config(overrides=overrides)
    assert caught.value.what == f"One setting is not possible:\n  - {problem}"


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"train": {"total_images": 100, "batch_size": 20, "n_critic": 5}},
        {"train.total_images": 500, "generator.optimizer.schedule.warmup": 500},
        # How many images an epoch has is not known yet.
        {"train.total_images": 500, "generator.optimizer.schedule.warmup": "1 epoch"},
        {"train.total_images": "0 epochs"},
        multistep("1 epoch", 5000),
        multistep(5000, "1 epoch"),
        multistep(1, 2, 3),
        {"objective.penalties": [{"kind": "r1"}, {"kind": "r2"}]},
        {**PLATEAU, "evaluate.patience": "2 epochs"},
        {"evaluate.metric": "none", "health.action": "rollback"},
    ],
)
def test_what_is_possible_or_not_known_yet_passes(overrides):
    assert impossible(make_config(overrides=overrides)) == []


@pytest.mark.parametrize(
    ("overrides", "note"),
    [
        ({"objective.instance_noise.until": 100}, "objective.instance_noise.until"),
        ({"generator.ema": {"half_life": 0, "ramp_up": 0.2}}, "generator.ema.ramp_up"),
        ({"data.skip_bad_limit": 0.5}, "data.skip_bad_limit"),
        ({"evaluate.metric": "none", "evaluate.every": 100}, "evaluate.every"),
        ({"evaluate.metric": "none", "evaluate.num_fakes": 1000}, "evaluate.num_fakes"),
        ({"evaluate.patience": 100, "evaluate.budget": 0.5}, "evaluate.budget"),
        ({**PLATEAU, "evaluate.budget": 0.5}, "evaluate.budget"),
        ({"health.max_rollbacks": 5}, "health.max_rollbacks"),
        ({"health.rate_factor": 0.9, "health.action": "stop"}, "health.rate_factor"),
        (
            {"train.sync_batch_norm": True, "generator.norm": "none", "discriminator.norm": "group"},
            "train.sync_batch_norm",
        ),
        (
            {"train.sync_batch_norm": True, "generator.kind": "mlp", "discriminator.kind": "mlp"},
            "train.sync_batch_norm",
        ),
    ],
)
def test_a_setting_without_effect_is_noted(overrides, note):
    overrides = {"evaluate.weights": "raw", **overrides}
    (told,) = without_effect(make_config(overrides=overrides))
    assert told.startswith(note)


def test_the_average_without_an_average_is_noted():
    (told,) = without_effect(make_config(overrides={"generator.ema.half_life": 0}))
    assert told.startswith("evaluate.weights: ema")


@pytest.mark.parametrize(
    "overrides",
    [
        {"objective.instance_noise": {"sigma": 0.1, "until": 100}},
        {"generator.ema": {"half_life": 10, "ramp_up": 0.2}},
        # Not changed, so not worth a note.
        {"generator.ema.half_life": 0, "evaluate.weights": "raw"},
        {"generator.ema": {"half_life": 0, "ramp_up": 0}, "evaluate.weights": "raw"},
        {"data": {"skip_bad": True, "skip_bad_limit": 0.5}},
        {"train.sync_batch_norm": True},
        {"train.sync_batch_norm": True, "generator.norm": "none"},
        {"train.sync_batch_norm": True, "discriminator.kind": "mlp"},
        {"evaluate.budget": 0.5, "evaluate.every": 100},
        {"health": {"action": "rollback", "max_rollbacks": 5, "rate_factor": 0.9}},
        PLATEAU,
    ],
)
def test_a_setting_with_effect_is_not_noted(overrides):
    assert without_effect(make_config(overrides=overrides)) == []


@pytest.mark.parametrize("kind", [kind for kind, schedule in SCHEDULES.items() if schedule.waits])
@pytest.mark.parametrize("side", ["generator", "discriminator"])
def test_every_schedule_that_waits_makes_measuring_decide(side, kind):
    config = make_config(overrides={f"{side}.optimizer.schedule.kind": kind})
    assert measuring_decides(config)
    assert set(plateau_schedules(config)) == {side}
    assert not measuring_decides(RunConfig())


def test_defaults_have_nothing_to_note():
    assert without_effect(RunConfig()) == without_effect(build_config([])) == []


# Networks, losses, penalties and labels

POSSIBLE = {
    "a style generator with labels beside its latents": {"generator.kind": "style", "data.labels": "classes"},
    "conditional normalisation": {"generator.condition": "norm", "data.labels": "attributes"},
    "attention at a map that is there": {
        "generator": {"kind": "resnet", "attention": 16},
        "discriminator": {"kind": "resnet", "attention": 8},
    },
    "growing": {"train.growing": {"every": 100}},
    "growing to the end": {"train.growing.every": 100, "train.total_images": 400},
    "smoothed passes with bce": {"objective.passes": [{"label_smoothing": 0.1}]},
    "noisy passes with any loss": {"objective.passes": [{"noise": 0.1}], "objective.loss.kind": "hinge"},
    "half a batch at a time": {"train.accumulate": 32},
    "a clipped critic": {"objective.loss": {"kind": "wasserstein", "clip": 0.01}},
}

IMPOSSIBLE = {
    "a style generator has no normalisation to condition": (
        {"generator": {"kind": "style", "condition": "norm"}, "data.labels": "classes"},
        "generator.condition: norm has nothing to act on",
    ),
    "no map has that side": (
        {"generator": {"kind": "resnet", "attention": 10}},
        "generator.attention: 10 is no side of its maps for pictures of (32, 32), which are 16, 8, 4",
    ),
    "two averages that are one": (
        {"generator.ema.more_half_lives": [2_000, 2_000]},
        "generator.ema.more_half_lives: one of them stands there twice",
    ),
    "fewer latents than resolutions": (
        {"generator": {"skip_latent": True, "latent_size": 2}},
        "generator.skip_latent: needs latents for each of 4 resolutions",
    ),
    "an mlp that grows": (
        {"generator.kind": "mlp", "train.growing": {"every": 100}},
        "train.growing: generator.kind mlp cannot grow",
    ),
    "nothing to grow to": (
        {"train.growing": {"every": 100, "start": 32}},
        "train.growing.start: 32 leaves nothing to grow to",
    ),
    "smoothed labels of a loss without labels": (
        {"objective.passes": [{"label_smoothing": 0.1}], "objective.loss.kind": "hinge"},
        "objective.passes: label_smoothing is for bce",
    ),
    "a policy twice": (
        {"objective.augment.policies": ["color", "color"]},
        "objective.augment.policies: one of them stands there twice",
    ),
    "uneven parts": ({"train.accumulate": 3}, "train.accumulate: a batch of 64 cannot be cut into 3 equal parts"),
    "parts of one picture": ({"train.accumulate": 64}, "train.accumulate: parts of a batch must have at least 2"),
    "a critic bounded twice": (
        {"objective.loss": {"kind": "wasserstein", "clip": 0.01}, "discriminator.spectral": True},
        "objective.loss.clip: clipped weights and discriminator.spectral both bound the critic",
    ),
}

WITHOUT_EFFECT = {
    "names without labels": ({"data.label_names": ["a", "b"]}, "data.label_names has no effect"),
    "conditions without labels": ({"generator.condition": "norm"}, "generator.condition has no effect"),
    "judging labels that are not there": ({"discriminator.condition": "concat"}, "discriminator.condition has no"),
    "a weight without a classifier": ({"objective.classifier_weight": 2}, "objective.classifier_weight has no effect"),
    "strength without policies": ({"objective.augment.strength": 0.5}, "objective.augment.strength has no effect"),
    "a target that nothing follows": (
        {"objective.augment": {"policies": ["color"], "target": 0.5}},
        "objective.augment.target has no effect while adaptive is none",
    ),
    "a fade without growing": ({"train.growing.fade": 5}, "train.growing.fade has no effect"),
    "all of a batch": ({"objective.top_k.until": 5}, "objective.top_k.until has no effect"),
    "an unbounded critic": ({"objective.loss.kind": "wasserstein"}, "objective.loss: a wasserstein critic needs"),
    "signs of logits without a zero": (
        {"objective": {"loss": {"kind": "lsgan"}, "augment": {"policies": ["color"], "adaptive": "sign"}}},
        "objective.augment.adaptive: sign means nothing for lsgan",
    ),
    "an adaptive strength that can only fall": (
        {"objective.augment": {"policies": ["color"], "adaptive": "held_out"}},
        "objective.augment.strength: an adaptive strength starts at its highest",
    ),
    "a critic whose sides are drawn together": (
        {"objective": {"loss": {"kind": "wasserstein"}, "penalties": [{"kind": "lecam"}]}},
        "objective.penalties: lecam draws together",
    ),
    "the best of whole batches": (
        {"objective": {"loss": {"kind": "relativistic", "average": True}, "top_k": {"share": 0.5}}},
        "objective.top_k: a relativistic average compares whole batches",
    ),
    "a run that ends while it grows": (
        {"train.growing.every": 100, "train.total_images": 300},
        "train.growing: full resolution is reached after 400 images, and train.total_images is 300",
    ),
    "statistics of a part of the batch": (
        {"train.accumulate": 2, "discriminator.batch_statistics": "stddev"},
        "train.accumulate: discriminator.batch_statistics see a part of the batch only",
    ),
    "means of a part of the batch": (
        {
            "train.accumulate": 2,
            "objective": {
                "loss": {"kind": "relativistic", "average": True},
                "penalties": [{"kind": "dragan"}],
                "top_k": {"share": 0.5},
            },
        },
        "train.accumulate: the relativistic average, dragan's noise, objective.top_k see a part of the batch only",
    ),
    "a penalty for each picture with any loss": (
        {"objective.penalties": [{"kind": "gradient_penalty"}, {"kind": "dragan"}]},
        "discriminator.norm: batch makes each logit depend on the whole batch",
    ),
    "a penalty for each picture, norms over the batch": (
        {"objective": {"loss": {"kind": "wasserstein"}, "penalties": [{"kind": "gradient_penalty"}]}},
        "discriminator.norm: batch makes each logit depend on the whole batch",
    ),
}


@pytest.mark.parametrize("changes", POSSIBLE.values(), ids=POSSIBLE.keys())
def test_what_goes_together(changes):
    assert impossible(make_config(overrides=changes)) == []


@pytest.mark.parametrize(("changes", "reason"), IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_what_cannot_go_together_is_refused_with_the_reason(changes, reason):
    with pytest.raises(ConfigError) as caught:
        make_config(overrides=changes)
    assert reason in str(caught.value)


@pytest.mark.parametrize(("changes", "note"), WITHOUT_EFFECT.values(), ids=WITHOUT_EFFECT.keys())
def test_what_does_nothing_is_noted(changes, note):
    notes = without_effect(make_config(overrides=changes))
    assert [line.startswith(note) for line in notes].count(True) == 1, notes
    assert not any(line.startswith(note) for line in without_effect(make_config()))


def test_a_bounded_critic_is_not_complained_about():
    for bound in (
        {"objective.penalties": [{"kind": "dragan"}]},
        {"objective.loss": {"kind": "wasserstein", "clip": 0.01}},
        {"discriminator.spectral": True},
    ):
        config = make_config(
            overrides={"objective.loss": {"kind": "wasserstein"}, "discriminator.norm": "none", **bound}
        )
        assert not [note for note in without_effect(config) if "wasserstein" in note]
