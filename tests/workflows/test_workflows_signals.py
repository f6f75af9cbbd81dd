"""Signals and kills of real processes: whatever ends a run, `ganlet resume` ends it with the same bits."""

from __future__ import annotations

import os
import signal
import time

import pytest

import ganlet
from ganlet.config import dump_yaml
from ganlet.runs import checkpoint
from ganlet.runs.history import read_history
from kill_and_resume import differences, kill_and_resume, start_cli, unsound

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")

SECONDS = 120
ENDLESS = {"train.total_images": 10_000_000, "train.checkpoint_every": 160, "discriminator.norm": "batch"}


@pytest.fixture
def processes():
    """Processes that are ended when the test is over, however it ended."""
    started = []
    yield started
    for process in started:
        process.kill()
        process.join()


@pytest.fixture
def endless(tmp_path, tiny_config, processes):
    """A run in a process of its own that would go on for hours, with its process, its folder and its output."""
    config = tmp_path / "endless.yaml"
    config.write_text(dump_yaml(tiny_config(ENDLESS)))
    run = tmp_path / "run"
    arguments = ["train", "--config", str(config), "--out", str(run), "--device", "cpu"]
    processes.append(start_cli(arguments, {}, tmp_path / "log"))
    wait_for(lambda: len(read_history(run / "metrics.jsonl")) > 3)
    return processes[0], run, tmp_path / "log"


def wait_for(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "code"), [pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow), (signal.SIGINT, 130)]
)
def test_a_signal_saves_and_says_how_to_go_on(endless, start, number, code):
    process, run, log = endless
    os.kill(process.pid, number)
    process.join(SECONDS)
    assert process.exitcode == code
    stopped_at = checkpoint.moments(run / "checkpoints")[-1]
    said = log.read_text()
    assert f"Stopped by {number.name} after {stopped_at:,} images; everything is saved." in said
    assert f"next:     ganlet resume {run}" in said
    assert "Traceback" not in said
    assert unsound(run) == []
    # Nothing was lost: it goes on from where it was, to the same end as a run that was never stopped.
    end = stopped_at + 64
    straight = start("straight", {**ENDLESS, "train.total_images": end})
    ganlet.resume(run, {"train": {"total_images": end}}, device="cpu")
    assert [row["images_seen"] for row in read_history(run / "metrics.jsonl") if "event" in row] == [stopped_at]
    assert differences(straight.path, run) == []


def test_the_second_signal_ends_it_at_once(tmp_path, tiny_config, processes):
    config = tmp_path / "long.yaml"
    # An iteration that takes a while, so that both signals come before it is over.
    config.write_text(dump_yaml(tiny_config({**ENDLESS, "train.n_critic": 100, "generator.width": 64})))
    run = tmp_path / "run"
    arguments = ["train", "--config", str(config), "--out", str(run), "--device", "cpu"]
    processes.append(start_cli(arguments, {}, tmp_path / "log"))
    wait_for((run / "samples" / "000000000.png").exists)
    os.kill(processes[0].pid, signal.SIGTERM)
    os.kill(processes[0].pid, signal.SIGINT)
    processes[0].join(SECONDS)
    assert processes[0].exitcode in (130, 143)
    assert checkpoint.moments(run / "checkpoints") == []
    assert "everything is saved" not in (tmp_path / "log").read_text()


def test_a_second_process_is_kept_out_of_a_run(endless, cli):
    process, run, _ = endless
    code, _, err = cli("resume", run, "--device", "cpu")
    assert code == 2
    assert f"kill -TERM {process.pid}" in err
    assert process.is_alive()
    # And after a kill it is not.
    wait_for(lambda: checkpoint.moments(run / "checkpoints"))
    process.kill()
    process.join()
    seen = checkpoint.moments(run / "checkpoints")[-1]
    assert cli("resume", run, "--set", f"train.total_images={seen + 16}", "--device", "cpu")[0] == 0


def test_a_kill_at_a_random_moment_loses_nothing(tmp_path):
    struck, problems = kill_and_resume(tmp_path, kills=1, seed=1, total_images=160)
    assert struck.total() == 1
    assert problems == []


@pytest.mark.slow
def test_many_kills_at_random_moments_lose_nothing(tmp_path):
    struck, problems = kill_and_resume(tmp_path, kills=50)
    assert problems == []
    # Unless they struck everywhere, this proves little.
    assert struck["in the middle of a save"] > 0
    assert len(struck) >= 3
