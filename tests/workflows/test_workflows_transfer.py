from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlet.config import read_yaml
from ganlet.errors import ConfigError, RunError
from ganlet.runs import checkpoint
from ganlet.workflows.reporting import Silent
from ganlet.workflows.training import resume, train
from ganlet.workflows.transfer import initial_state, transfer

CPU = torch.device("cpu")


class Said(Silent):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


@pytest.fixture(scope="module")
def pretrained(tiny_config, tmp_path_factory):
    """A finished run."""
    return train(tiny_config(), tmp_path_factory.mktemp("transfer") / "first").path


@pytest.fixture(scope="module")
def saved(pretrained):
    """The members of its newest checkpoint."""
    return checkpoint.load(pretrained / "checkpoints").members


def begun(config, reporter=None):
    from ganlet.config import resolve

    resolved = resolve(config, num_pictures=40, channels=3)
    return initial_state(resolved, CPU, reporter or Silent())


def test_equal_networks_are_taken_over_whole(tiny_config, pretrained, saved):
    said = Said()
    state = begun(tiny_config({"train.init_from": str(pretrained), "seed": 5}), said)
    for name, tensor in state.networks["generator"].state_dict().items():
        assert torch.equal(tensor, saved["average"][name]), name
        assert torch.equal(state.averages["average"].state_dict()[name], tensor), name
    for name, tensor in state.networks["discriminator"].state_dict().items():
        assert torch.equal(tensor, saved["discriminator"][name]), name
    assert state.images_seen == 0
    assert not any(tensor.any() for tensor in state.members()["generator_optimizer"].values())
    count = len(state.networks["generator"].state_dict())
    assert said.lines[0] == f"generator: {count} of {count} tensors taken over"


def test_other_channels_leave_only_the_edges_new(tiny_config, pretrained, saved):
    said = Said()
    from ganlet.config import resolve

    config = resolve(tiny_config({"train.init_from": str(pretrained)}), num_pictures=40, channels=1)
    state = initial_state(config, CPU, said)
    assert torch.equal(
        state.networks["generator"].state_dict()["from_latent.weight"], saved["average"]["from_latent.weight"]
    )
    assert said.lines[0].endswith("; new: to_image.convolution.weight")
    assert said.lines[1].endswith("; new: entries.0.0.weight")


def test_twice_the_resolution_at_half_the_width_keeps_the_coarse_blocks(tiny_config, pretrained, saved):
    changes = {"data.size": 32, "generator.width": 2, "discriminator.width": 2, "train.init_from": str(pretrained)}
    state = begun(tiny_config(changes))
    generator, discriminator = state.networks["generator"].state_dict(), state.networks["discriminator"].state_dict()
    assert torch.equal(generator["blocks.0.0.convolution.weight"], saved["average"]["blocks.0.0.convolution.weight"])
    # The discriminator's coarsest block has become its second one.
    assert torch.equal(discriminator["blocks.1.0.weight"], saved["discriminator"]["blocks.0.0.weight"])
    assert torch.equal(discriminator["head.to_logit.weight"], saved["discriminator"]["head.to_logit.weight"])


def test_what_does_not_fit_keeps_its_initial_values():
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    found = transfer(network, {"0.weight": torch.ones(2, 2), "1.weight": torch.ones(9, 9)}, finest_last=True)
    assert found.taken == ("0.weight",)
    assert found.new == ("0.bias", "1.weight", "1.bias")
    assert torch.equal(network[0].weight, torch.ones(2, 2))
    for name in found.new:
        assert torch.equal(network.state_dict()[name], before[name])


def test_networks_that_share_nothing_are_refused(tiny_config, pretrained):
    mlp = {"generator": {"kind": "mlp", "width": 4}, "discriminator": {"kind": "mlp", "width": 4}}
    config = tiny_config().model_copy()
    tree = config.model_dump()
    tree["generator"], tree["discriminator"] = mlp["generator"], mlp["discriminator"]
    tree["train"]["init_from"] = str(pretrained)
    from ganlet.config import validate

    with pytest.raises(ConfigError, match="No weight of that run fits"):
        begun(validate(tree))


def test_counters_and_biases_are_not_enough_to_start_from(tiny_config, pretrained):
    changes = {"train.init_from": str(pretrained), "generator.width": 6, "generator.latent_size": 9}
    with pytest.raises(ConfigError, match="No weight of that run fits"):
        begun(tiny_config({**changes, "discriminator.width": 6}))


def test_layers_that_are_frozen_though_nothing_was_taken_over_are_told(tiny_config, pretrained):
    said, changes = Said(), {"train.init_from": str(pretrained), "discriminator.freeze": ["entries"]}
    begun(tiny_config(changes), said)
    assert len(said.lines) == 2
    from ganlet.config import resolve

    config = resolve(tiny_config(changes), num_pictures=40, channels=1)
    initial_state(config, CPU, said)
    assert (
        said.lines[-1]
        == "note: discriminator.freeze keeps initial weights, which nothing was taken over for: entries.0.0.weight"
    )


def test_a_folder_that_is_no_run_is_refused_before_there_is_a_new_one(tiny_config, tmp_path):
    with pytest.raises(RunError):
        train(tiny_config({"train.init_from": str(tmp_path / "nothing")}), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_frozen_layers_keep_the_weights_that_were_taken_over(tiny_config, pretrained, saved, tmp_path):
    changes = {"train.init_from": str(pretrained), "discriminator.freeze": ["entries", "blocks.0"]}
    run = train(tiny_config(changes), tmp_path / "freeze")
    members = checkpoint.load(run.path / "checkpoints").members
    for name in ("entries.0.0.weight", "blocks.0.0.weight"):
        assert torch.equal(members["discriminator"][name], saved["discriminator"][name])
        assert f"exp_avg/{name}" not in members["discriminator_optimizer"]
    assert not torch.equal(
        members["discriminator"]["head.to_logit.weight"], saved["discriminator"]["head.to_logit.weight"]
    )


@pytest.mark.parametrize(
    ("freeze", "message"),
    [(["blocks.7"], "no such layer"), (["entries", "blocks", "head"], "cannot learn")],
)
def test_what_cannot_be_frozen_is_refused(tiny_config, freeze, message):
    with pytest.raises(ConfigError, match=message):
        begun(tiny_config({"discriminator.freeze": freeze}))


def test_a_resumed_run_does_not_need_the_one_that_it_started_from(tiny_config, tmp_path):
    first = train(tiny_config({"train.total_images": 32}), tmp_path / "first")
    second = train(tiny_config({"train.init_from": str(first.path)}), tmp_path / "second")
    assert read_yaml(second.folder.config_path)["train"]["init_from"] == str(first.path)
    first.path.rename(tmp_path / "elsewhere")
    longer = resume(second.path, {"train": {"total_images": 192}})
    assert longer.history[-1]["images_seen"] == 192
