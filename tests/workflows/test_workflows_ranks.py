"""What is measured, reduced and undone by several processes on one run, with hooks that a command line cannot have."""

from __future__ import annotations

import multiprocessing
import os
import socket
from functools import partial

import pytest
import torch

import ganlet
from ganlet.engine.loop import Stop
from ganlet.errors import TrainingError
from ganlet.games import Gan
from ganlet.metrics.protocol import Measurement, Protocol
from ganlet.runs import checkpoint
from ganlet.runs.history import read_history
from ganlet.workflows import measuring, training
from kill_and_resume import differences, unsound

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

SECONDS = 120

# Batches of 16 images: turns and agreements (every 8 iterations) fall on different moments.
CHANGES = {
    "generator.norm": "group",
    "health.every": 0,
    "train.total_images": 320,
    "train.checkpoint_every": 48,
    "train.log_every": 16,
    "train.keep_checkpoints": 9,
    "evaluate.metric": "kd",
    "evaluate.extractor": "pixels",
    "evaluate.num_fakes": 256,
    "evaluate.every": 48,
    "evaluate.budget": 1.0,
}


def together(task):
    """Carry out `task(rank)` in two processes that know of each other; returns their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    context = multiprocessing.get_context("forkserver")
    environments = [address | {"RANK": rank, "LOCAL_RANK": rank} for rank in "01"]
    processes = [context.Process(target=_one_rank, args=(task, environment)) for environment in environments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(SECONDS)
        process.kill()
        process.join()
    return [process.exitcode for process in processes]


def _one_rank(task, environment):
    os.environ.update(environment)
    training.redraw = lambda *_: None
    task(int(environment["RANK"]))


def play(config, path, hooks, values, rank):
    """Train in a new folder, or go on in one that is there, with these measurements, each for a turn of 48 images."""

    def measure(state, session, extractor, reference):
        words = {"num_fakes": 256, "num_reals": 40, "reals": "training pictures", "data_fingerprint": "f"}
        protocol = Protocol.of(extractor, **words, weights="ema", seed=0)
        value = values[-(-state.images_seen // 48) - 1]
        return Measurement("kd", "KD (pixels)", value, 0.1, "lower", protocol)

    measuring.measure = measure
    mine = [hook for where, hook in hooks if where in (rank, "both")]
    if path.exists():
        ganlet.resume(path, device="cpu", callbacks=mine)
    else:
        ganlet.train(config, path, device="cpu", callbacks=mine)


def stop_at(images_seen, moment):
    return "far enough" if moment.images_seen >= images_seen else None


def sick_at(images_seen, moment):
    is_sick = moment.images_seen == images_seen and moment.state.rollbacks == 0
    return Stop("sick", rollback=True) if is_sick else None


def events(path, kind):
    return [row for row in read_history(path / "metrics.jsonl") if row.get("event") == kind]


def stop_and_resume(config, path, hooks, values, images_seen):
    """The same run, stopped at about that moment."""
    stop = ("both", partial(stop_at, images_seen))
    assert together(partial(play, config, path, [*hooks, stop], values)) == [0, 0]
    assert checkpoint.moments(path / "checkpoints")[-1] < 320
    assert together(partial(play, config, path, hooks, values)) == [0, 0]


def test_all_reduce_at_once_and_end_at_once_and_resume_exactly(tmp_path, tiny_config):
    schedule = {"kind": "plateau", "patience": 48, "factor": 0.5}
    changes = {**CHANGES, "generator.optimizer": {"lr": 0.01, "schedule": schedule}, "evaluate.patience": 96}
    config, values = tiny_config(changes), (2.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0)
    straight = tmp_path / "straight"
    assert together(partial(play, config, straight, [], values)) == [0, 0]
    run = ganlet.open_run(straight)
    rates = {row["images_seen"]: row["generator_rate"] / 0.01 for row in run.history}
    assert [rates[moment] for moment in (96, 112, 192, 208, 240)] == pytest.approx([1, 0.5, 0.5, 0.25, 0.25])
    # Patience ends it at the turn itself.
    assert run.history[-1]["images_seen"] == 240
    assert [row["images_seen"] for row in events(straight, "stop")] == [240]
    assert unsound(straight) == []
    stop_and_resume(config, tmp_path / "stopped", [], values, 100)
    assert differences(straight, tmp_path / "stopped") == []


def spoil(rank, at_call):
    """Let the generator's loss be infinite once."""
    judge, calls = Gan.generator_loss, []

    def spoiled(self, *arguments):
        calls.append(rank)
        total, parts = judge(self, *arguments)
        return (total + torch.inf if len(calls) == at_call else total), parts

    Gan.generator_loss = spoiled


def with_spoiled_numbers(config, path, values, rank):
    if rank == 1:
        spoil(rank, 11)
    play(config, path, [], values, rank)


@pytest.mark.parametrize(
    "trouble", [pytest.param("a wish of one process", marks=pytest.mark.slow), "numbers of one process"]
)
def test_all_go_back_together(tmp_path, tiny_config, trouble):
    changes = {**CHANGES, "health.action": "rollback"}
    config, values, path = tiny_config(changes), (2.0, 1.0, 1.5, 1.5, 1.5, 1.5, 1.5), tmp_path / "run"
    hooks = [(0, partial(sick_at, 176))]
    if trouble == "a wish of one process":
        assert together(partial(play, config, path, hooks, values)) == [0, 0]
    else:
        assert together(partial(with_spoiled_numbers, config, path, values)) == [0, 0]
    (row,) = events(path, "rollback")
    # A wish is agreed on at the next turn of 48 images or after 8 iterations, numbers are at once.
    assert (row["from"], row["to"]) == ((192, 96) if trouble == "a wish of one process" else (160, 96))
    assert [row["images_seen"] for row in ganlet.open_run(path).history] == list(range(16, 321, 16))
    assert unsound(path) == []


@pytest.mark.slow
def test_having_gone_back_together_they_resume_exactly(tmp_path, tiny_config):
    config, values = tiny_config({**CHANGES, "health.action": "rollback"}), (2.0, 1.0, 1.5, 1.5, 1.5, 1.5, 1.5)
    path, hooks = tmp_path / "run", [(0, partial(sick_at, 176))]
    assert together(partial(play, config, path, hooks, values)) == [0, 0]
    stop_and_resume(config, tmp_path / "stopped", hooks, values, 120)
    assert differences(path, tmp_path / "stopped") == []


def always_sick(path, config, rank):
    hooks = [(0, lambda moment: Stop("sick", rollback=True))]
    with pytest.raises(TrainingError, match="went back once, and then it went wrong again"):
        play(config, path, hooks, [2.0] * 7, rank)


def test_all_end_together_where_they_have_gone_back_too_often(tmp_path, tiny_config):
    config = tiny_config({**CHANGES, "health.action": "rollback", "health.max_rollbacks": 1})
    assert together(partial(always_sick, tmp_path / "run", config)) == [0, 0]
