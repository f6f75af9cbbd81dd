"""The measured distance: what is written down, what follows from it, and that it never disturbs training."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import ganlet
from ganlet.data.source import open_source
from ganlet.errors import ConfigError, EnvironmentProblem, MetricError
from ganlet.games.drawn import generate
from ganlet.metrics.accumulate import statistics_of
from ganlet.metrics.distances import frechet_distance, kernel_distance
from ganlet.metrics.features import extract, open_extractor
from ganlet.metrics.protocol import Measurement, Protocol
from ganlet.randomness import draw
from ganlet.runs import checkpoint
from ganlet.runs.history import read_history
from ganlet.runs.weights import load_generator_file
from ganlet.workflows import measuring
from ganlet.workflows.generators import open_generator
from kill_and_resume import differences

MEASURED = {
    "evaluate.metric": "kd",
    "evaluate.extractor": "pixels",
    "evaluate.num_fakes": 256,
    "evaluate.every": 32,
    "evaluate.budget": 1.0,
    "health.every": 0,
    "train.keep_checkpoints": 2,
}
PLATEAU = {"kind": "plateau", "patience": 32, "factor": 0.5}


def events(run, kind):
    return [row for row in read_history(run.folder.metrics_path) if row.get("event") == kind]


def measurements(run):
    return events(run, "measurement")


def differing_tensors(*runs):
    """The tensors that differ in the last checkpoints of two runs."""
    ours, theirs = (checkpoint.load(run.folder.checkpoints_path).members for run in runs)
    names = [(member, name) for member, tensors in ours.items() for name in tensors]
    return [f"{m}/{n}" for m, n in names if not torch.equal(ours[m][n], theirs[m][n])]


@pytest.fixture
def scripted(monkeypatch):
    """Let measurements have these values, one for each turn of 32 images, with a standard error of 0.1."""

    def scripted(*values):
        def measure(state, session, extractor, reference):
            value = values[state.images_seen // 32 - 1]
            if isinstance(value, Exception):
                raise value
            words = {"num_fakes": 256, "num_reals": 40, "reals": "training pictures", "data_fingerprint": "f"}
            protocol = Protocol.of(extractor, **words, weights=session.config.evaluate.weights, seed=0)
            return Measurement(session.config.evaluate.metric, "KD (pixels)", value, 0.1, "lower", protocol)

        monkeypatch.setattr(measuring, "measure", measure)

    return scripted


# What is measured


@pytest.mark.parametrize(("metric", "weights"), [("kd", "ema"), ("fd", "raw")])
def test_a_row_is_what_anybody_would_measure(start, tiny_config, metric, weights):
    changes = {**MEASURED, "evaluate.metric": metric, "evaluate.weights": weights, "evaluate.keep_best": False}
    run = start("run", {**changes, "seed": 3})
    rows = measurements(run)
    assert [row["images_seen"] for row in rows] == [32, 64, 96, 128, 160]
    trained = open_generator(run.folder, None, torch.device("cpu"))
    pixels = open_extractor("pixels")
    latents = draw("normal", run.config.seed, "measure", 0, (256, 4))
    fakes = extract(pixels, generate(trained.generator, latents)).features
    reals = extract(pixels, open_source(run.config.data).pictures).features
    last = rows[-1]
    if metric == "kd":
        assert (last["value"], last["error"]) == pytest.approx(kernel_distance(fakes, reals), rel=1e-6)
        assert last["name"] == "KD (pixels)"
    else:
        expected = frechet_distance(statistics_of(fakes), statistics_of(reals))
        assert last["value"] == pytest.approx(expected, rel=1e-6)
        assert (last["name"], last["error"]) == ("FD (pixels)", None)
    protocol = Protocol.from_json(last["protocol"])
    assert (protocol.num_fakes, protocol.num_reals, protocol.weights, protocol.seed) == (256, len(reals), weights, 3)
    assert protocol.extractor_identity == pixels.identity
    assert last["seconds"] > 0
    bests = [row["images_seen"] for row in rows if row["best"]]
    lowest = np.minimum.accumulate([row["value"] for row in rows])
    assert bests == [row["images_seen"] for row, low in zip(rows, lowest, strict=True) if row["value"] == low]


def test_of_many_real_pictures_as_many_are_taken_as_are_generated(start):
    run = start("run", {**MEASURED, "data.num_images": 300, "evaluate.every": 160})
    (row,) = measurements(run)
    assert row["protocol"]["num_reals"] == 256
    assert (
        row["protocol"]["data_fingerprint"]
        == json.loads(run.folder.environment_path.read_text())["data"]["fingerprint"]
    )


@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_measuring_changes_nothing(start, weights):
    noisy = {"discriminator.norm": "batch", "generator.dropout": 0.1, "discriminator.dropout": 0.1}
    changes = {**MEASURED, **noisy, "evaluate.weights": weights, "evaluate.keep_best": False}
    measured = start("measured", {**changes, "evaluate.every": 16})
    blind = start("blind", {**changes, "evaluate.metric": "none"})
    assert len(measurements(measured)) == 10
    assert measurements(blind) == []
    assert differing_tensors(measured, blind) == []


def test_a_measured_run_resumes_with_the_same_bits_and_the_same_measurements(start, stop_at):
    changes = {**MEASURED, "generator.dropout": 0.1}
    straight, stopped = start("straight", changes), start("stopped", changes, stop_at(48))
    ganlet.resume(stopped.path, device="cpu", callbacks=[stop_at(96)])
    ganlet.resume(stopped.path, device="cpu")
    assert differences(straight.path, stopped.path) == []
    pointers = [checkpoint.read_pointer(run.folder.checkpoints_path, "best") for run in (straight, stopped)]
    assert pointers[0] == pointers[1] is not None


def test_it_is_told_in_a_few_words(start, told, scripted):
    scripted(2.0, 1.5, 1.6, 1.7, 1.4)
    run = start("run", MEASURED, reporter=told)
    assert "after 32 images: KD (pixels) 2 ± 0.1" in told.lines
    assert "after 64 images: KD (pixels) 1.5 ± 0.1, the best so far" in told.lines
    assert "after 96 images: KD (pixels) 1.6 ± 0.1" in told.lines
    assert "after 160 images: KD (pixels) 1.4 ± 0.1, the best so far" in run.folder.log_path.read_text()


def test_tensorboard_has_it(start, scripted):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    scripted(2.0, 1.5, 1.6, 1.7, 1.25)
    run = start("run", {**MEASURED, "train.tensorboard": True})
    events = accumulator.EventAccumulator(str(run.folder.tensorboard_path)).Reload()
    points = [(event.step, event.value) for event in events.Scalars("kd")]
    assert points == [(32, 2.0), (64, 1.5), (96, pytest.approx(1.6)), (128, pytest.approx(1.7)), (160, 1.25)]


# What it may cost


def turns_of(run):
    return [row["images_seen"] for row in measurements(run)]


def test_turns_are_skipped_while_too_much_time_was_spent_but_never_the_last(start):
    assert turns_of(start("run", {**MEASURED, "evaluate.budget": 1e-9})) == [32, 160]


@pytest.mark.parametrize(
    "needing",
    [
        {"evaluate.patience": 10_000},
        {"generator.optimizer.schedule": {**PLATEAU, "patience": 10_000}},
        {"health.action": "rollback"},
    ],
)
def test_none_is_skipped_where_the_outcome_depends_on_it(start, needing):
    run = start("run", {**MEASURED, **needing, "evaluate.budget": 1e-9})
    assert turns_of(run) == [32, 64, 96, 128, 160]


def test_time_that_was_spent_before_a_resume_counts(start, stop_at, monkeypatch):
    run = start("run", {**MEASURED, "evaluate.budget": 0.5}, stop_at(32))
    text = run.folder.metrics_path.read_text()
    (row,) = measurements(run)
    expensive = json.dumps({**row, "seconds": 1e6})
    run.folder.metrics_path.write_text(
        text.replace(next(line for line in text.splitlines() if "kd" in line), expensive)
    )
    ganlet.resume(run.path, device="cpu")
    assert turns_of(run) == [32, 160]


@pytest.mark.parametrize(
    "failure",
    [
        MemoryError("no memory"),
        RuntimeError("CUDA out of memory"),
        MetricError("There are no pictures to measure."),
        EnvironmentProblem("The weights are not at hand."),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_turn_that_fails_is_told_once_and_training_goes_on(start, straight, told, scripted, failure):
    scripted(failure, 2.0, failure, 1.5, failure)
    run = start("run", MEASURED, reporter=told)
    complaints = [line for line in told.lines if "could not be measured" in line]
    assert len(complaints) == 1
    assert str(failure) in complaints[0]
    assert turns_of(run) == [64, 128]
    assert differing_tensors(straight, run) == []
    log = run.folder.log_path.read_text()
    assert "Traceback" in log
    assert log.count("could not be measured") == 1


def test_an_extractor_that_cannot_be_had_is_told_before_there_is_a_folder(start, tmp_path):
    with pytest.raises(ConfigError, match="no such extractor"):
        start("run", {**MEASURED, "evaluate.extractor": "inceptoin"})
    assert not (tmp_path / "run").exists()
    assert start("run", {**MEASURED, "evaluate.extractor": "inceptoin", "evaluate.metric": "none"})


def test_an_extractor_that_fails_later_ends_nothing(start, told, monkeypatch):
    def fail(which, device):
        raise EnvironmentProblem("The weights have gone.")

    monkeypatch.setattr(measuring, "open_extractor", fail)
    run = start("run", MEASURED, reporter=told)
    assert turns_of(run) == []
    assert sum("could not be measured" in line for line in told.lines) == 1
    assert run.history[-1]["images_seen"] == 160


# The best


def test_best_follows_the_lowest_value_and_is_never_pruned(start, scripted):
    scripted(2.0, 1.5, 1.45, 1.7, 1.9)
    run = start("run", {**MEASURED, "train.checkpoint_every": 16})
    # Each lower value moves it, noise or not.
    assert checkpoint.read_pointer(run.folder.checkpoints_path, "best") == 96
    assert checkpoint.moments(run.folder.checkpoints_path) == [96, 144, 160]
    assert [row["images_seen"] for row in measurements(run) if row["best"]] == [32, 64, 96]


def test_the_best_is_saved_when_it_is_measured(start, scripted):
    scripted(2.0, 1.5, 1.0, 1.7, 1.9)
    run = start("run", {**MEASURED, "train.checkpoint_every": 10_000})
    # The end is saved too; what was best before is kept as one of the newest two.
    assert checkpoint.moments(run.folder.checkpoints_path) == [96, 160]


def kept(run):
    tensors, metadata = load_generator_file(run.folder.generator_path)
    return tensors, metadata["images_seen"]


@pytest.mark.parametrize(("weights", "member"), [("ema", "average"), ("raw", "generator")])
def test_the_best_weights_are_kept_where_the_last_are_worse_beyond_the_noise(
    start, stop_at, told, scripted, weights, member
):
    scripted(2.0, 1.0, 1.1, 1.2, 1.3)
    run = start("run", {**MEASURED, "evaluate.weights": weights}, reporter=told)
    tensors, moment = kept(run)
    assert moment == 64
    best = checkpoint.load(run.folder.checkpoints_path, 64).members[member]
    assert all(torch.equal(tensor, best[name]) for name, tensor in tensors.items())
    (line,) = [line for line in told.lines if "generator.safetensors" in line]
    assert line == (
        "generator.safetensors is the best one, after 64 images: KD (pixels) 1 ± 0.1, at last KD (pixels) 1.3 ± 0.1"
    )
    assert line in run.folder.log_path.read_text()
    # The run itself ends at its end, and a resume goes on from there.
    assert checkpoint.load(run.folder.checkpoints_path).images_seen == 160
    scripted(2.0, 1.0, 1.1, 1.2, 1.3, 0.9)
    ganlet.resume(run.path, {"train": {"total_images": 192}}, device="cpu")
    assert kept(run)[1] == 192


@pytest.mark.parametrize(
    ("values", "changes"),
    [
        ((2.0, 1.0, 1.1, 1.2, 1.1), {}),
        ((2.0, 1.0, 1.1, 1.2, 9.0), {"evaluate.keep_best": False}),
        ((2.0, 1.9, 1.8, 1.7, 1.6), {}),
    ],
    ids=["within the noise", "not wanted", "the last is the best"],
)
def test_else_the_last_weights_are_kept(start, scripted, values, changes):
    scripted(*values)
    run = start("run", {**MEASURED, **changes})
    tensors, moment = kept(run)
    assert moment == 160
    last = checkpoint.load(run.folder.checkpoints_path).members["average"]
    assert all(torch.equal(tensor, last[name]) for name, tensor in tensors.items())


def test_when_it_is_stopped_the_latest_measurement_speaks_for_the_last_weights(start, stop_at, scripted):
    scripted(2.0, 1.0, 1.5, 1.2, 1.1)
    run = start("run", MEASURED, stop_at(112))
    assert kept(run)[1] == 64
    ganlet.resume(run.path, device="cpu")
    assert kept(run)[1] == 160


def test_a_best_that_is_damaged_leaves_the_last(start, stop_at, told, scripted):
    scripted(2.0, 1.0, 1.5, 1.6, 1.7)
    run = start("run", MEASURED, stop_at(128))
    (run.folder.checkpoints_path / "000000064" / "average.safetensors").write_bytes(b"")
    ganlet.resume(run.path, device="cpu", reporter=told)
    assert kept(run)[1] == 160
    assert any("the best cannot be read" in line for line in told.lines)


def test_a_pointer_that_a_kill_left_behind_is_put_right(start, stop_at, scripted):
    scripted(2.0, 1.0, 1.5, 1.6, 1.7)
    run = start("run", {**MEASURED, "train.keep_checkpoints": 9}, stop_at(80))
    checkpoint.write_pointer(run.folder.checkpoints_path, "best", 32)
    pointers = []

    def look(moment):
        pointers.append(checkpoint.read_pointer(run.folder.checkpoints_path, "best"))

    ganlet.resume(run.path, device="cpu", callbacks=[look])
    assert set(pointers) == {64}


def test_another_metric_may_be_chosen_on_the_way_and_starts_anew(start, stop_at, scripted):
    scripted(2.0, 1.0, 5.0, 6.0, 7.0)
    run = start("run", MEASURED, stop_at(64))
    ganlet.resume(run.path, {"evaluate": {"metric": "fd"}}, device="cpu")
    assert [row["best"] for row in measurements(run)] == [True, True, True, False, False]
    assert checkpoint.read_pointer(run.folder.checkpoints_path, "best") == 96
    assert kept(run)[1] == 96


# Patience


def test_without_progress_the_run_ends_like_a_finished_one(start, told, scripted, contents):
    scripted(2.0, 1.0, 0.95, 1.0, 0.9)
    run = start("run", {**MEASURED, "evaluate.patience": 64}, reporter=told)
    assert run.history[-1]["images_seen"] == 128
    assert checkpoint.load(run.folder.checkpoints_path).images_seen == 128
    (stop,) = events(run, "stop")
    assert stop["images_seen"] == 128
    assert stop["reason"] == "no progress in 64 images; the best was KD (pixels) 0.95 ± 0.1"
    assert f"stopped after 128 images: {stop['reason']}" in told.lines
    assert kept(run)[1] == 128
    # It has ended: a resume finds nothing to do, until more patience is asked for.
    before = contents(run.path)
    ganlet.resume(run.path, device="cpu")
    after = contents(run.path)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"metrics.jsonl", "environment.json"}
    ganlet.resume(run.path, {"evaluate": {"patience": 1000}}, device="cpu")
    assert run.history[-1]["images_seen"] == 160


def test_patience_ends_an_interrupted_run_at_the_same_moment(start, stop_at, scripted):
    scripted(2.0, 1.0, 0.95, 1.0, 0.9)
    changes = {**MEASURED, "evaluate.patience": 64}
    straight = start("straight", changes)
    for moment in (64, 112):
        run = start(f"stopped at {moment}", changes, stop_at(moment))
        ganlet.resume(run.path, device="cpu")
        assert differences(straight.path, run.path) == []


def test_progress_renews_patience(start, scripted):
    scripted(2.0, 1.5, 1.5, 1.2, 1.2)
    run = start("run", {**MEASURED, "evaluate.patience": 64})
    assert run.history[-1]["images_seen"] == 160
    assert events(run, "stop") == []


# Plateau


def test_rates_fall_on_a_plateau_and_resume_exactly(start, stop_at, told, scripted):
    scripted(2.0, 2.0, 2.0, 1.0, 1.0)
    changes = {
        **MEASURED,
        "train.log_every": 16,
        "generator.optimizer": {"lr": 0.01, "schedule": PLATEAU},
        "discriminator.optimizer": {"lr": 0.01, "schedule": {**PLATEAU, "patience": 64, "factor": 0.1}},
    }
    straight = start("straight", changes, reporter=told)
    rates = [(row["generator_rate"], row["discriminator_rate"]) for row in straight.history]
    halves = [1, 1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
    tenths = [1, 1, 1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1]
    assert rates == [pytest.approx((0.01 * g, 0.01 * d)) for g, d in zip(halves, tenths, strict=True)]
    assert "the generator's learning rate falls: no progress in 32 images" in told.lines
    for moment in (64, 80, 96):
        run = start(f"stopped at {moment}", changes, stop_at(moment))
        ganlet.resume(run.path, device="cpu")
        assert differences(straight.path, run.path) == []


def test_a_kill_between_a_measurement_and_its_checkpoint_changes_nothing(start, scripted, tmp_path, monkeypatch):
    scripted(2.0, 2.0, 2.0, 1.0, 1.0)
    changes = {**MEASURED, "generator.optimizer": {"lr": 0.01, "schedule": PLATEAU}, "train.checkpoint_every": 32}
    straight = start("straight", changes)

    def die(folder, images_seen, *arguments):
        if images_seen == 96:
            raise KeyboardInterrupt
        return save(folder, images_seen, *arguments)

    save = checkpoint.save
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", die)
        with pytest.raises(KeyboardInterrupt):
            start("run", changes)
    assert measurements(SimpleNamespace(folder=ganlet.open_run(tmp_path / "run").folder))[-1]["images_seen"] == 96
    ganlet.resume(tmp_path / "run", device="cpu")
    assert differences(straight.path, tmp_path / "run") == []


def test_what_cannot_wait_for_a_distance_is_refused(start):
    with pytest.raises(ConfigError, match=r"evaluate\.metric is none"):
        start("run", {"evaluate.patience": 64})
