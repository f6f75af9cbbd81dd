from __future__ import annotations

import pytest

from ganlet.errors import ConfigError, DataError
from ganlet.workflows.planning import plan
from ganlet.workflows.training import train

FOLLOWING = {"objective.augment": {"policies": ["color"], "adaptive": "held_out", "strength": 0.5, "speed": 1_000}}


def test_the_augmentation_follows_held_out_pictures(tiny_config, tmp_path):
    run = train(tiny_config({**FOLLOWING, "data.holdout": 0.3}), tmp_path / "run")
    row = run.history[-1]
    assert {"augment_strength", "held_out_logit", "real_sign"} <= row.keys()
    assert row["augment_strength"] != 0.5


@pytest.mark.parametrize("act", [plan, train])
def test_where_none_are_kept_out_there_are_none_to_follow(tiny_config, tmp_path, act):
    config = tiny_config({**FOLLOWING, "data.split": "all"})
    with pytest.raises(DataError, match="No pictures are kept out of training"):
        act(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_latents_of_one_length_cannot_be_truncated(tiny_config, tmp_path):
    run = train(tiny_config({"generator.latents": "sphere"}), tmp_path / "run")
    assert run.sample(2).shape == (2, 16, 16, 3)
    with pytest.raises(ConfigError, match="one length"):
        run.sample(2, truncation=0.5)


def test_styles_are_truncated_towards_one_picture(tiny_config, tmp_path):
    config = tiny_config({"generator": {"kind": "style", "width": 4, "latent_size": 4}})
    run = train(config, tmp_path / "run")
    spreads = [run.sample(16, truncation=truncation).std(0).mean() for truncation in (1.0, 0.5, 0.01)]
    assert spreads[0] > spreads[1] > spreads[2]
    assert (run.sample(2, truncation=1.0) == run.sample(2)).all()
    assert (run.sample(4, truncation=0) == run.sample(4, truncation=0)[:1]).all()
