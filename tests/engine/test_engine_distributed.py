"""Two processes over gloo, as `torchrun` starts them, but forked from a process that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
import socket
from functools import partial

import pytest
import torch

from ganlet.config import resolve
from ganlet.data.batches import Batches
from ganlet.engine.distributed import ALONE, ranks
from ganlet.engine.loop import AGREE_EVERY, run_loop
from ganlet.engine.signals import StopRequest
from ganlet.engine.state import build_state
from ganlet.errors import TrainingError
from ganlet.games import Gan

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

SECONDS = 120

# No statistics over a batch, which each rank would take over its own share.
SHARED_OUT = {
    "train.n_critic": 2,
    "data.flip": True,
    "generator.norm": "group",
    "generator.optimizer.clip_norm": 0.5,
    "discriminator": {"norm": "instance", "spectral": True},
    "objective.loss": {"kind": "relativistic"},
    "objective.penalties": [{"kind": "r1", "weight": 0.5, "every": 2}, {"kind": "lecam", "half_life": 50}],
    "objective.augment": {"policies": ["color"], "adaptive": "sign", "strength": 0.5, "speed": 2_000},
    "objective.instance_noise": {"sigma": 0.3},
}


def together(task, folder, world=2):
    """Carry out `task(ranks)` in `world` processes; returns what each of them returned, by rank."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(world)}
    context = multiprocessing.get_context("forkserver")
    paths = [folder / f"{rank}.pt" for rank in range(world)]
    processes = [
        context.Process(target=_one_rank, args=(task, address | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, path))
        for rank, path in enumerate(paths)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(SECONDS)
        process.kill()
    assert [process.exitcode for process in processes] == [0] * world
    return [torch.load(path) for path in paths]


def _one_rank(task, environment, path):
    os.environ.update(environment)
    with ranks("cpu") as here:
        torch.save(task(here), path)


def train(config, pack, here, hook=None, stop=None, double=False):
    """A run to its end or until it is stopped; returns its members, its clock and why it ended."""
    if double:
        torch.set_default_dtype(torch.float64)
        torch.Tensor.float = torch.Tensor.double
    state = build_state(config, torch.device("cpu"))
    batches = Batches(pack, size=config.data.size, seed=config.seed, flip=config.data.flip)
    ended = run_loop(state, {"real": batches}, [hook] if hook else [], here, stop)
    return {
        "members": state.members(),
        "row": state.window.read(),
        "images_seen": state.images_seen,
        "ended": (ended.finished, ended.signal_number, ended.reason),
    }


@pytest.fixture
def resolved(tiny_config, pack):
    return lambda changes: resolve(tiny_config(changes), num_pictures=len(pack), channels=3)


def test_two_ranks_train_what_one_would_train_alone(tmp_path, resolved, pack, double):
    # In float64, because Adam makes much of little: the two only add up in another order.
    task = partial(train, resolved(SHARED_OUT), pack, double=True)
    first, second = together(task, tmp_path)
    alone = task(ALONE)
    assert alone["images_seen"] == 160
    for member, tensors in alone["members"].items():
        for name, tensor in tensors.items():
            assert torch.equal(first["members"][member][name], second["members"][member][name]), f"{member}/{name}"
            if member != "window":  # already read
                torch.testing.assert_close(first["members"][member][name], tensor, rtol=1e-9, atol=1e-11)
    assert first["row"] == second["row"]
    assert first["row"] == {name: pytest.approx(value, rel=1e-9, abs=1e-12) for name, value in alone["row"].items()}


def hook_at(rank, here):
    return lambda event: "enough" if here.rank == rank and event.images_seen >= 32 else None


def with_hook(config, pack, here):
    return train(config, pack, here, hook=hook_at(1, here))


def test_batch_statistics_are_averaged_and_a_hook_stops_all(tmp_path, resolved, pack):
    config = resolved({"discriminator.norm": "batch", "train.total_images": 16 * 20})
    first, second = together(partial(with_hook, config, pack), tmp_path)
    for member, tensors in first["members"].items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, second["members"][member][name]), f"{member}/{name}"
    assert first["images_seen"] == second["images_seen"] == 16 * AGREE_EVERY
    assert (first["ended"], second["ended"]) == ((False, 0, None), (False, 0, "enough"))


def with_signal(config, pack, here):
    stop = StopRequest()
    stop.number = 15 if here.rank == 1 else 0
    return {"average": _average_of_ranks(here), **train(config, pack, here, stop=stop)}


def _average_of_ranks(here):
    tensors = [torch.full((2, 3), float(here.rank)), torch.tensor(4.0 * here.rank)]
    here.average(tensors)
    return tensors


def test_a_signal_at_one_rank_stops_all(tmp_path, resolved, pack):
    config = resolved({"generator.norm": "none", "train.total_images": 16 * 20})
    for result in together(partial(with_signal, config, pack), tmp_path):
        assert result["ended"] == (False, 15, None)
        assert result["images_seen"] == 16 * AGREE_EVERY
        assert torch.equal(result["average"][0], torch.full((2, 3), 0.5))
        assert result["average"][1] == 2.0


def with_failure(config, pack, here):
    judge, calls = Gan.generator_loss, []

    def spoiled(self, *arguments):
        calls.append(here.rank)
        total, parts = judge(self, *arguments)
        return (total + torch.inf if here.rank == 1 and len(calls) == 3 else total), parts

    Gan.generator_loss = spoiled
    try:
        return train(config, pack, here)
    except TrainingError as error:
        return {"error": error.what, "calls": len(calls)}


def test_a_loss_that_is_not_finite_at_one_rank_ends_all(tmp_path, resolved, pack):
    # Its gradients are finite, so without being told the others would wait for a rank that has gone.
    results = together(partial(with_failure, resolved({}), pack), tmp_path)
    assert results == 2 * [{"error": "The generator's loss or gradient is not finite.", "calls": 3}]


def test_alone_there_is_nobody_to_ask():
    tensor = torch.ones(2)
    ALONE.average([tensor])
    ALONE.barrier()
    assert torch.equal(tensor, torch.ones(2))
    assert ALONE.any(7) == 7
    assert ALONE.is_first


def test_without_torchrun_there_is_one_rank(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with ranks("cpu") as here:
        assert here is ALONE
