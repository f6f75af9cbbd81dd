"""What a captured graph relies on, without a GPU: a stand-in records calls instead of kernels."""

from __future__ import annotations

import contextlib

import pytest
import torch

from ganlet.engine import graph, loop
from ganlet.engine.distributed import ALONE
from ganlet.engine.graph import GraphRunner, copy_inputs
from ganlet.engine.inputs import InputMaker
from ganlet.engine.state import TrainState, build_state
from ganlet.engine.step import iterate

LAZY = {
    "generator.dropout": 0.2,
    "objective.penalties": [{"kind": "r1", "weight": 0.5, "every": 3}],
    "objective.instance_noise": {"sigma": 0.3, "until": 80},
}
CAPTURED = {**LAZY, "train.cuda_graph": True}


class Recording:
    """In place of `torch.cuda.CUDAGraph`: while it is being captured nothing happens, and `replay` does it."""

    capturing: Recording | None = None

    def replay(self) -> None:
        iterate(*self.arguments)


def recordable(*arguments):
    """An iteration that is recorded instead of carried out while a graph is being captured."""
    if Recording.capturing:
        Recording.capturing.arguments = arguments
    else:
        iterate(*arguments)


@contextlib.contextmanager
def capture(recording):
    Recording.capturing = recording
    yield
    Recording.capturing = None


class Stream:
    def wait_stream(self, other) -> None:
        """Nothing runs beside anything here."""


class Gpu(str):
    """Where tensors are, under the name of another kind of device."""

    type = "cuda"


@pytest.fixture
def runners(monkeypatch):
    """Let the loop take the CPU for a GPU and capture iterations; holds the runners that it has built."""
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Recording)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "get_rng_state", torch.get_rng_state)
    monkeypatch.setattr(torch.cuda, "set_rng_state", torch.set_rng_state)
    monkeypatch.setattr(TrainState, "device", Gpu("cpu"))
    monkeypatch.setattr(graph, "iterate", recordable)
    monkeypatch.setattr(loop, "iterate", None)  # nothing simply runs
    built = []

    def build_runner(state, ranks):
        built.append(GraphRunner(state, ranks))
        return built[-1]

    monkeypatch.setattr(loop, "GraphRunner", build_runner)
    return built


@pytest.fixture(scope="module")
def eager(begin):
    training = begin(LAZY)
    training.run()
    return training.snapshot()


def test_replayed_iterations_are_the_eager_ones(begin, eager, unequal, runners):
    training = begin(CAPTURED)
    training.run()
    assert unequal(eager, training.snapshot()) == []
    # The penalty is due or not, and there is noise or not any more.
    assert len(runners[0].graphs) == 4


def test_a_resumed_run_replays_them_too(begin, eager, unequal, runners):
    saved = begin(CAPTURED).run_until(64)
    training = begin(CAPTURED)
    training.state.load(saved, 64)
    training.run()
    assert unequal(eager, training.snapshot()) == []


def test_each_pattern_of_due_penalties_has_a_graph_of_its_own(begin, runners):
    training = begin({**CAPTURED, "train.n_critic": 2, "objective.instance_noise": {"sigma": 0.0}})
    training.run()
    patterns = {tuple(len(step) for step in due) for due, *_ in runners[0].graphs}
    assert patterns == {(0, 0), (0, 1), (1, 0)}


def inputs_at(begin, images_seen):
    training = begin(LAZY)
    return InputMaker(training.state, training.batches).at(images_seen)


@pytest.mark.parametrize("images_seen", [0, 96])
def test_copies_are_equal_and_of_their_own(begin, images_seen):
    inputs = inputs_at(begin, images_seen)
    static = inputs.map(torch.clone)
    assert static.tensors().keys() == inputs.tensors().keys()
    for name, theirs in inputs.tensors().items():
        mine = static.tensors()[name]
        assert torch.equal(mine, theirs), name
        assert mine.data_ptr() != theirs.data_ptr(), name


def test_new_inputs_take_the_place_of_the_old_ones(begin):
    static, later = inputs_at(begin, 0).map(torch.clone), inputs_at(begin, 32)
    places = [tensor.data_ptr() for tensor in static.tensors().values()]
    copy_inputs(static, later)
    assert [tensor.data_ptr() for tensor in static.tensors().values()] == places
    assert all(torch.equal(tensor, later.tensors()[name]) for name, tensor in static.tensors().items())
    with pytest.raises(KeyError, match="instance_noise"):
        copy_inputs(static, inputs_at(begin, 96))


def test_without_a_gpu_or_where_the_config_does_not_ask_for_it_iterations_simply_run(begin, monkeypatch):
    called = []
    monkeypatch.setattr(loop, "GraphRunner", None)
    monkeypatch.setattr(loop, "iterate", lambda state, inputs, ranks: called.append((state, inputs.due, ranks)))
    for changes, device in ((CAPTURED, torch.device("cpu")), (LAZY, Gpu("cpu"))):
        training = begin({**changes, "train.total_images": 32})
        monkeypatch.setattr(TrainState, "device", device)
        training.run()
        due = [training.state.game.due(seen) for seen in (0, 16)]
        assert called == [(training.state, each, ALONE) for each in due]
        called.clear()


GROWING = {"train.growing": {"every": 32, "fade": 32}, "train.total_images": 160, "train.cuda_graph": True}


@pytest.fixture(scope="module")
def grown(begin):
    training = begin(GROWING)
    training.run()
    return training.snapshot()


def test_each_stage_of_growing_has_a_graph_of_its_own(begin, grown, unequal, runners, monkeypatch):
    recorded_at, record = [], GraphRunner._record

    def noted(runner, *arguments):
        recorded_at.append(runner.state.networks["generator"].stage)
        return record(runner, *arguments)

    monkeypatch.setattr(GraphRunner, "_record", noted)
    training = begin(GROWING)
    training.run()
    assert recorded_at == [0, 1]
    assert {stages for *_, stages in runners[0].graphs} == {(1, 1)}  # those of the stage before are given up
    assert unequal(grown, training.snapshot()) == []


# On a GPU: capture itself, over all that an iteration can do.

FAMILY = {
    "dcgan": {"generator.upsample": "pixel_shuffle", "generator.skip_latent": True},
    "resnet": {"generator": {"kind": "resnet", "width": 4}, "discriminator": {"kind": "resnet", "width": 4}},
    "style": {"generator": {"kind": "style", "width": 4, "style_mixing": 0.5}},
    "everything at once": {
        "data.labels": "classes",
        "generator.condition": "norm",
        "generator.ema.more_half_lives": [32],
        "discriminator": {"condition": "classifier", "batch_statistics": "discrimination", "spectral": True},
        "objective": {
            "augment": {"policies": ["color", "translation", "cutout"], "adaptive": "sign"},
            "penalties": [{"kind": "gradient_penalty", "every": 2}, {"kind": "consistency"}, {"kind": "lecam"}],
            "label_flips": 0.1,
            "top_k": {"share": 0.5},
        },
        "train.n_generator": 2,
    },
    "in parts": {"train.accumulate": 2, "objective.penalties": [{"kind": "dragan"}]},
    "growing": {"train.growing": {"every": 32, "fade": 32}},
}


@pytest.mark.gpu
@pytest.mark.parametrize("name", FAMILY)
def test_replayed_iterations_are_those_that_simply_run(begin, unequal, monkeypatch, name):
    from ganlet.engine.devices import determinism

    ends, recorded, record = [], [], GraphRunner._record
    monkeypatch.setattr(GraphRunner, "_record", lambda *arguments: recorded.append(1) or record(*arguments))
    for cuda_graph in (False, True):
        training = begin({**FAMILY[name], "train.cuda_graph": cuda_graph})
        device = torch.device("cuda", 0)
        with determinism(training.config, device):
            training.state = build_state(training.config, device)
            training.run()
            ends.append(training.snapshot())
        assert bool(recorded) == cuda_graph
    assert unequal(*ends) == []
