"""Going back: to the best checkpoint, at most so often, and to the same end whatever interrupts it."""

from __future__ import annotations

import pytest
import torch

import ganlet
from ganlet.engine.loop import Stop
from ganlet.errors import TrainingError
from ganlet.games import Gan
from ganlet.metrics.protocol import Measurement, Protocol
from ganlet.runs import checkpoint
from ganlet.runs.history import History, read_history
from ganlet.runs.weights import load_generator_file
from ganlet.workflows import measuring, training, watchers
from ganlet.workflows import session as sessions
from kill_and_resume import differences, unsound

ROLLBACK = {
    "health.action": "rollback",
    "health.rate_factor": 0.5,
    "health.every": 0,
    "train.checkpoint_every": 32,
    "train.log_every": 16,
    "generator.dropout": 0.1,
    "objective.instance_noise": {"sigma": 0.1},
}
MEASURED = {
    **ROLLBACK,
    "evaluate.metric": "kd",
    "evaluate.extractor": "pixels",
    "evaluate.num_fakes": 256,
    "evaluate.every": 32,
}


VALUES = (2.0, 1.0, 1.5, 1.6, 1.7)
ONCE, TWICE = (144,), (112, 144)


def sick(*moments):
    """A hook that asks to go back at these moments of a run that has gone back fewer times than there are moments."""

    def hook(moment):
        number = moment.state.rollbacks
        return Stop("sick", rollback=True) if moments[number : number + 1] == (moment.images_seen,) else None

    return hook


def events(path, kind):
    return [row for row in read_history(path / "metrics.jsonl") if row.get("event") == kind]


def last(path):
    return checkpoint.load(path / "checkpoints")


def script(patch, *values):
    """Let measurements have these values, one for each turn of 32 images, with a standard error of 0.1."""

    def measure(state, session, extractor, reference):
        words = {"num_fakes": 256, "num_reals": 40, "reals": "training pictures", "data_fingerprint": "f"}
        protocol = Protocol.of(extractor, **words, weights="ema", seed=0)
        return Measurement("kd", "KD (pixels)", values[state.images_seen // 32 - 1], 0.1, "lower", protocol)

    patch.setattr(measuring, "measure", measure)


@pytest.fixture
def scripted(monkeypatch):
    return lambda *values: script(monkeypatch, *values)


@pytest.fixture(scope="module")
def went_back(tmp_path_factory, tiny_config):
    """Runs that go back to their best checkpoint once and twice, and are never interrupted."""
    paths = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "redraw", lambda *_: None)
        script(patch, *VALUES)
        for moments in (ONCE, TWICE):
            path = tmp_path_factory.mktemp("runs") / "went back"
            ganlet.train(tiny_config(MEASURED), path, device="cpu", callbacks=[sick(*moments)])
            paths[moments] = path
    return paths


@pytest.fixture
def spoil(monkeypatch):
    """Let the generator's loss be no number at these moments, each given by (images seen, rollbacks)."""

    def spoil(*moments):
        judge = Gan.generator_loss
        loop, now = sessions.run_loop, {}

        def watched_loop(state, *arguments):
            now["state"] = state
            return loop(state, *arguments)

        def spoiled(self, *arguments):
            total, parts = judge(self, *arguments)
            state = now["state"]
            bad = (state.images_seen, state.rollbacks) in moments or moments == ("always",)
            return (total * torch.nan if bad else total), parts

        monkeypatch.setattr(sessions, "run_loop", watched_loop)
        monkeypatch.setattr(Gan, "generator_loss", spoiled)

    return spoil


# Where it goes


def test_numbers_that_are_not_finite_take_it_back_to_the_newest_checkpoint(start, spoil, told):
    spoil((112, 0))
    run = start("run", ROLLBACK, reporter=told)
    assert [row["images_seen"] for row in run.history] == list(range(16, 161, 16))
    (row,) = events(run.path, "rollback")
    assert row == {
        "event": "rollback",
        "images_seen": 96,
        "from": 112,
        "to": 96,
        "rollbacks": 1,
        "reason": "The generator's loss or gradient is not finite.",
    }
    assert f"rollback 1, from 112 to 96 images: {row['reason']}" in told.lines
    assert row["reason"] in run.folder.log_path.read_text()
    assert int(last(run.path).members["course"]["rollbacks"]) == 1
    assert unsound(run.path) == []
    assert load_generator_file(run.folder.generator_path)[1]["images_seen"] == 160
    rates = [row["generator_rate"] for row in run.history]
    assert rates == pytest.approx([2e-4] * 6 + [1e-4] * 4)


def test_until_it_goes_back_it_is_the_run_that_never_does(start, spoil):
    plain = start("plain", ROLLBACK)
    spoil((112, 0))
    run = start("run", ROLLBACK)
    ours, theirs = (checkpoint.load(each.folder.checkpoints_path, 96).members for each in (run, plain))
    assert all(torch.equal(ours[m][n], theirs[m][n]) for m in ours for n in ours[m])
    assert differences(plain.path, run.path)


def test_with_another_noise_it_takes_another_course_over_the_same_pictures(start, spoil, monkeypatch):
    # With the rates as they were, and but for the latents, it would be the run that never went back.
    changes = {**ROLLBACK, "health.rate_factor": 1.0, "generator.dropout": 0, "objective.instance_noise.sigma": 0}
    plain = start("plain", changes)
    spoil((112, 0))
    assert {line.split("/")[0] for line in differences(plain.path, start("run", changes).path)} >= {"generator"}
    monkeypatch.setattr("ganlet.engine.inputs.noise_seed", lambda seed, rollbacks: seed)
    assert differences(plain.path, start("same", changes).path) == ["course/rollbacks differs"]


def test_a_wish_takes_it_back_to_the_best_checkpoint(start, scripted):
    scripted(2.0, 1.0, 1.5, 1.6, 1.7)
    run = start("run", {**MEASURED, "train.keep_checkpoints": 2}, sick(144))
    (row,) = events(run.path, "rollback")
    assert (row["from"], row["to"], row["reason"]) == (144, 64, "sick")
    # What came after is measured again, and the rows are those of the new course alone.
    assert [row["images_seen"] for row in events(run.path, "measurement")] == [32, 64, 96, 128, 160]
    assert [row["images_seen"] for row in run.history] == list(range(16, 161, 16))


def test_the_best_does_not_lie_where_it_went_wrong(start, scripted):
    scripted(2.0, 1.5, 1.0, 1.6, 1.7)
    run = start("run", MEASURED, sick(96))
    (row,) = events(run.path, "rollback")
    assert (row["from"], row["to"]) == (96, 64)


def test_nor_does_the_newest(start, spoil):
    spoil((128, 0))
    (row,) = events(start("run", ROLLBACK).path, "rollback")
    assert (row["from"], row["to"]) == (128, 96)


def test_where_the_best_is_damaged_it_is_the_newest_sound_one(start, scripted, tmp_path):
    scripted(2.0, 1.0, 1.5, 1.6, 1.7)

    def spoil_best(moment):
        if moment.images_seen == 144:
            for name in ("000000064", "000000128"):
                (tmp_path / "run" / "checkpoints" / name / "average.safetensors").write_bytes(b"")

    run = start("run", MEASURED, spoil_best, sick(144))
    (row,) = events(run.path, "rollback")
    assert (row["from"], row["to"]) == (144, 96)


def test_without_a_checkpoint_it_is_the_start(start):
    run = start("run", {**ROLLBACK, "train.checkpoint_every": 10_000}, sick(48))
    (row,) = events(run.path, "rollback")
    assert (row["from"], row["to"]) == (48, 0)
    assert [row["images_seen"] for row in run.history] == list(range(16, 161, 16))
    assert (run.folder.samples_path / "000000000.png").exists()


def test_nothing_of_what_is_undone_is_left(start, tmp_path):
    path = tmp_path / "run"
    left = {}

    def look(moment):
        if moment.state.rollbacks and not left:
            left["checkpoints"] = checkpoint.moments(path / "checkpoints")
            left["latest"] = checkpoint.read_pointer(path / "checkpoints", "latest")
            left["samples"] = sorted(entry.stem for entry in (path / "samples").glob("0*.png"))
            left["generator"] = load_generator_file(path / "generator.safetensors")[1]["images_seen"]
            left["rows"] = [row["images_seen"] for row in read_history(path / "metrics.jsonl") if "event" not in row]

    def damage(moment):  # what is damaged is never deleted
        if moment.images_seen == 112 and not moment.state.rollbacks:
            (path / "checkpoints" / "000000096" / "meta.json").write_bytes(b"")

    start("run", {**ROLLBACK, "train.keep_checkpoints": 9, "train.sample_every": 16}, damage, sick(112), look)
    assert left == {
        "checkpoints": [32, 64, 96],
        "latest": 64,
        "samples": [f"{moment:09}" for moment in (0, 16, 32, 48, 64, 80)],
        "generator": 64,
        "rows": [16, 32, 48, 64, 80],
    }
    assert (path / "checkpoints" / ".broken-000000096").is_dir()


def test_at_the_end_it_may_go_back_too(start):
    run = start("run", ROLLBACK, sick(160))
    (row,) = events(run.path, "rollback")
    assert (row["from"], row["to"]) == (160, 128)
    assert run.history[-1]["images_seen"] == 160


# How often


def test_at_most_so_often_and_then_it_ends(start, spoil, tmp_path):
    spoil("always")
    with pytest.raises(
        TrainingError, match=r"went back 2 times, and then it went wrong again: The generator's"
    ) as caught:
        start("run", {**ROLLBACK, "health.max_rollbacks": 2})
    assert caught.value.exit_code == 5
    assert caught.value.where == "after 0 images"
    assert [row["rollbacks"] for row in events(tmp_path / "run", "rollback")] == [1, 2]
    (row,) = events(tmp_path / "run", "failure")
    assert (row["images_seen"], row["reason"]) == (16, "The generator's loss or gradient is not finite.")
    # After a resume it has not forgotten.
    with pytest.raises(TrainingError, match="went back 2 times"):
        ganlet.resume(tmp_path / "run", device="cpu")


def test_each_time_the_rates_fall_and_the_noise_is_another(start):
    run = start("run", ROLLBACK, sick(112, 112, 112))
    went = [(row["from"], row["to"], row["rollbacks"]) for row in events(run.path, "rollback")]
    assert went == [(112, 96, 1), (112, 96, 2), (112, 96, 3)]
    assert int(last(run.path).members["course"]["rollbacks"]) == 3
    assert run.history[-1]["generator_rate"] == pytest.approx(2e-4 / 8)


def test_more_may_be_allowed_on_resume(start, tmp_path):
    with pytest.raises(TrainingError, match="went back once"):
        start("run", {**ROLLBACK, "health.max_rollbacks": 1}, sick(112, 112))
    assert last(tmp_path / "run").images_seen == 96
    run = ganlet.resume(tmp_path / "run", {"health": {"max_rollbacks": 2}}, device="cpu", callbacks=[sick(112, 112)])
    assert run.history[-1]["images_seen"] == 160


@pytest.mark.parametrize("action", ["warn", "stop"])
def test_with_another_action_it_never_goes_back(start, spoil, tmp_path, action):
    run = start("wish", {**ROLLBACK, "health.action": action}, sick(112))
    assert (run.history[-1]["images_seen"], last(run.path).images_seen) == (112, 112)
    assert [row["reason"] for row in events(run.path, "stop")] == ["sick"]
    spoil((112, 0))
    with pytest.raises(TrainingError, match="The generator's loss or gradient is not finite"):
        start("numbers", {**ROLLBACK, "health.action": action})
    for name in ("wish", "numbers"):
        assert events(tmp_path / name, "rollback") == []
    assert [row["images_seen"] for row in events(tmp_path / "numbers", "failure")] == [128]
    ganlet.resume(tmp_path / "numbers", device="cpu", callbacks=[lambda moment: "enough"])
    assert events(tmp_path / "numbers", "failure") == []


def test_an_absurd_learning_rate_is_lowered_until_it_is_not(start):
    changes = {
        **ROLLBACK,
        "discriminator": {"kind": "mlp", "width": 8, "layers": 6, "optimizer": {"lr": 1.0}},
        "objective.penalties": [{"kind": "r1", "weight": 10.0}],
        "health.rate_factor": 0.001,
        "train.total_images": 480,
        "train.sample_every": 480,
    }
    run = start("run", changes)
    assert run.history[-1]["images_seen"] == 480
    assert int(last(run.path).members["course"]["rollbacks"]) >= 1
    assert unsound(run.path) == []


# Interruptions


@pytest.mark.parametrize("moment", [80, 96, 112, 128])
def test_it_ends_with_the_same_bits_wherever_it_is_stopped(start, went_back, scripted, stop_at, moment):
    scripted(*VALUES)
    run = start("run", MEASURED, sick(*TWICE), stop_at(moment))
    ganlet.resume(run.path, device="cpu", callbacks=[sick(*TWICE)])
    assert differences(went_back[TWICE], run.path) == []
    assert events(went_back[TWICE], "rollback") == events(run.path, "rollback")


class Killed(BaseException):
    """What no code of ours catches."""


def kill_in(patch, place, function, when, number=1):
    """Let the n-th call of a function kill the process before it does anything, or after it has done it."""
    original, calls = getattr(place, function), []

    def deadly(*arguments, **settings):
        calls.append(function)
        if when == "before" and len(calls) == number:
            raise Killed
        result = original(*arguments, **settings)
        if when == "after" and len(calls) == number:
            raise Killed
        return result

    patch.setattr(place, function, deadly)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("place", "function", "number"),
    [
        (sessions, "_go_back", 1),
        (checkpoint, "forget_after", 1),
        (checkpoint, "_delete", 1),
        (checkpoint, "_delete", 2),
        (sessions, "_forget_after", 1),
        (History, "mark_rollback", 1),
        (watchers, "watch", 2),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_kill_on_the_way_back_changes_nothing(
    start, went_back, scripted, tmp_path, monkeypatch, place, function, number, when
):
    scripted(*VALUES)
    with monkeypatch.context() as patch:
        kill_in(patch, place, function, when, number)
        with pytest.raises(Killed):
            start("run", MEASURED, sick(*ONCE))
    assert unsound(tmp_path / "run") == []
    run = ganlet.resume(tmp_path / "run", device="cpu", callbacks=[sick(*ONCE)])
    assert differences(went_back[ONCE], run.path) == []
    assert events(went_back[ONCE], "rollback") == events(run.path, "rollback")
    assert unsound(run.path) == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("function", ["mark_rollback", "append"])
def test_a_kill_on_the_way_back_to_the_start_changes_nothing(start, tmp_path, monkeypatch, function, when):
    changes = {**ROLLBACK, "train.checkpoint_every": 10_000}
    straight = start("straight", changes, sick(48))
    with monkeypatch.context() as patch:
        # The rows of 16, 32 and 48 images come before that of the rollback.
        kill_in(patch, History, function, when, {"mark_rollback": 1, "append": 4}[function])
        with pytest.raises(Killed):
            start("run", changes, sick(48))
    run = ganlet.resume(tmp_path / "run", device="cpu", callbacks=[sick(48)])
    assert differences(straight.path, run.path) == []


def test_a_signal_on_the_way_does_not_save_what_is_sick(start, monkeypatch, tmp_path):
    from ganlet.engine.signals import StopRequest
    from ganlet.errors import Interrupted

    straight = start("straight", ROLLBACK, sick(112))

    def arrive(moment):
        if moment.images_seen == 112:
            monkeypatch.setattr(StopRequest, "number", 15)

    with pytest.raises(Interrupted):
        start("run", ROLLBACK, sick(112), arrive)
    assert last(tmp_path / "run").images_seen == 112
    assert [row["to"] for row in events(tmp_path / "run", "rollback")] == [96]
    monkeypatch.setattr(StopRequest, "number", 0)
    run = ganlet.resume(tmp_path / "run", device="cpu", callbacks=[sick(112)])
    assert differences(straight.path, run.path) == []
