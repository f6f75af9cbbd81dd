"""Numbers that are not finite end a run before they reach a weight or a checkpoint."""

from __future__ import annotations

import pytest
import torch

import ganlet
from ganlet.errors import TrainingError
from ganlet.games import Gan
from ganlet.runs import checkpoint
from ganlet.runs.weights import load_generator_file
from kill_and_resume import differences


def finite(tensors):
    return all(tensor.isfinite().all() for tensor in tensors.values() if tensor.is_floating_point())


def assert_all_saved_is_finite(run_path):
    moments = checkpoint.moments(run_path / "checkpoints")
    assert moments
    for moment in moments:
        assert all(finite(tensors) for tensors in checkpoint.load(run_path / "checkpoints", moment).members.values())
    assert finite(load_generator_file(run_path / "generator.safetensors")[0])


@pytest.mark.parametrize("side", ["generator", "discriminator"])
@pytest.mark.parametrize("at_step", [5, 8], ids=["between checkpoints", "on a checkpoint"])
def test_a_loss_that_is_not_a_number(start, straight, tmp_path, monkeypatch, side, at_step):
    judge, calls = getattr(Gan, f"{side}_loss"), []

    def spoiled(self, *arguments):
        calls.append(side)
        total, parts = judge(self, *arguments)
        return (total * torch.nan if len(calls) == at_step else total), parts

    monkeypatch.setattr(Gan, f"{side}_loss", spoiled)
    with pytest.raises(TrainingError, match=f"{side}'s loss or gradient is not finite") as caught:
        start("run")
    assert caught.value.exit_code == 5
    assert caught.value.where == f"after {16 * (at_step - 1)} images"
    assert_all_saved_is_finite(tmp_path / "run")
    assert checkpoint.moments(tmp_path / "run" / "checkpoints") == [64]
    assert "is not finite" in (tmp_path / "run" / "log.txt").read_text()
    # Had it been a fault of the machine, nothing would be lost.
    ganlet.resume(tmp_path / "run", device="cpu")
    assert differences(straight.path, tmp_path / "run") == []


def test_an_absurd_learning_rate(start, tmp_path):
    exploding = {
        "discriminator": {"kind": "mlp", "width": 8, "layers": 6, "optimizer": {"lr": 1.0}},
        "objective.penalties": [{"kind": "r1", "weight": 10.0}],
        "train.checkpoint_every": 16,
        "train.total_images": 16_000,
    }
    with pytest.raises(TrainingError) as caught:
        start("run", exploding)
    assert caught.value.exit_code == 5
    assert_all_saved_is_finite(tmp_path / "run")


@pytest.mark.parametrize("member", ["generator", "discriminator", "average"])
def test_a_tensor_that_is_not_finite_is_never_saved(start, straight, tmp_path, member):
    def poison(moment):
        if moment.images_seen == 112:
            with torch.no_grad():
                network = {**moment.state.networks, **moment.state.averages}[member]
                next(network.parameters()).fill_(torch.inf)

    with pytest.raises(TrainingError) as caught:
        start("run", None, poison)
    assert caught.value.exit_code == 5
    assert_all_saved_is_finite(tmp_path / "run")
    assert checkpoint.moments(tmp_path / "run" / "checkpoints") == [64]
    ganlet.resume(tmp_path / "run", device="cpu")
    assert differences(straight.path, tmp_path / "run") == []


def test_steps_that_were_skipped_on_the_device_end_the_run_at_the_next_row(start, tmp_path):
    # On a GPU a failed step is skipped there, and counted in the log window.
    def count_a_failure(moment):
        if moment.images_seen == 80:
            moment.state.window.sums[moment.state.window.names.index("failed_steps")] += 1

    with pytest.raises(TrainingError, match="not finite") as caught:
        start("run", None, count_a_failure)
    assert caught.value.where == "before 96 images"
    assert_all_saved_is_finite(tmp_path / "run")
    assert checkpoint.moments(tmp_path / "run" / "checkpoints") == [64]
