from __future__ import annotations

import pytest

from ganlet.config import without_effect
from ganlet.config.checks import impossible
from ganlet.config.pairings import _sides
from ganlet.errors import ConfigError
from ganlet.workflows.configuring import make_config

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
    assert any(line.startswith(note) for line in notes), notes
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


@pytest.mark.parametrize("side", [8, 9, 28, 30, 32, 33, 64, 100])
def test_sides_are_those_of_the_networks(side):
    from ganlet.networks.blocks import resolutions

    assert _sides(side) == [min(size) for size in resolutions((side, side))]
