"""Two processes on one run, by the environment that `torchrun` sets; slow: `torchrun` itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

import ganlet
from ganlet.config import dump_yaml
from ganlet.runs import checkpoint
from ganlet.runs.history import read_history
from kill_and_resume import differences, start_cli, unsound

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

SECONDS = 120

# No statistics over a batch, of which each process would see its own half.
SHARED_OUT = {"generator.norm": "group", "discriminator.norm": "none", "data.flip": True}


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Start a command in two processes that know of each other."""
    started = []

    def two(*arguments):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
        for rank in "01":
            environment = shared | {"RANK": rank, "LOCAL_RANK": rank}
            started.append(start_cli([*map(str, arguments)], environment, tmp_path / f"log-{rank}"))
        return started[-2:]

    yield two
    for process in started:
        process.kill()
        process.join()


def ended(processes):
    for process in processes:
        process.join(SECONDS)
    return [process.exitcode for process in processes]


def wait_for(condition):
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def config_file(tmp_path, tiny_config):
    def config_file(changes):
        path = tmp_path / "config.yaml"
        path.write_text(dump_yaml(tiny_config({**SHARED_OUT, **changes})))
        return path

    return config_file


def test_two_processes_share_one_run(two, start, tmp_path, config_file, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alone = start("alone", {**SHARED_OUT, "train.total_images": 80})
    # One setting has no effect, which is worth a note, but only one.
    config = config_file({"train.total_images": 80, "objective.instance_noise.until": 40})
    assert ended(two("train", "--config", config, "--device", "cpu")) == [0, 0]
    run = ganlet.open_run(tmp_path / "runs" / "run")
    # In float32 the halves of a batch add up in another order, so this is near and not equal; float64 is compared in
    # tests/engine/test_engine_distributed.py.
    assert len(run.history) == len(alone.history) == 3
    for ours, theirs in zip(alone.history, run.history, strict=True):
        for name in ("generator_loss", "discriminator_loss", "real_logit", "generator_gradient_norm"):
            assert theirs[name] == pytest.approx(ours[name], rel=1e-3, abs=1e-4), name
    # One of them wrote, and told.
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["run"]
    assert unsound(run.path) == []
    assert "note: " in (tmp_path / "log-0").read_text()
    assert (tmp_path / "log-1").read_text() == ""
    assert not list(run.path.rglob(".tmp-*"))


@pytest.mark.slow  # that one rank stops all is seen in tests/engine/test_engine_distributed.py
def test_a_signal_at_one_of_them_saves_and_ends_both_and_both_go_on(two, tmp_path, config_file):
    run = tmp_path / "run"
    config = config_file({"train.total_images": 10_000_000, "discriminator.norm": "batch"})
    processes = two("train", "--config", config, "--out", run, "--device", "cpu")
    wait_for(lambda: len(read_history(run / "metrics.jsonl")) > 2)
    os.kill(processes[1].pid, signal.SIGTERM)
    assert ended(processes) == [143, 143]
    assert unsound(run) == []
    seen = checkpoint.moments(run / "checkpoints")[-1]
    assert f"after {seen:,} images; everything is saved" in (tmp_path / "log-0").read_text()
    # The same end from there twice: with two processes too, a resume is exact.
    (tmp_path / "copy").mkdir()
    subprocess.run(["cp", "-r", run, tmp_path / "copy"], check=True)
    longer = ["--set", f"train.total_images={seen + 128}", "--device", "cpu"]
    assert ended(two("resume", run, *longer)) == [0, 0]
    assert ended(two("resume", tmp_path / "copy" / "run", *longer)) == [0, 0]
    assert differences(run, tmp_path / "copy" / "run") == []


@pytest.mark.slow
def test_torchrun_itself(start, tmp_path, config_file):
    run, config = tmp_path / "run", config_file({"train.total_images": 10_000_000})
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "ganlet"]
    trained = subprocess.Popen([*command, "train", "--config", config, "--out", run, "--device", "cpu"])
    wait_for(lambda: len(read_history(run / "metrics.jsonl")) > 2)
    trained.terminate()
    assert trained.wait(SECONDS) != 0
    assert unsound(run) == []
    seen = checkpoint.moments(run / "checkpoints")[-1]
    rows = [row["images_seen"] for row in read_history(run / "metrics.jsonl")]
    assert seen >= rows[-1]  # the moment of the signal was saved
    resumed = [*command, "resume", run, "--set", f"train.total_images={seen + 64}", "--device", "cpu"]
    assert subprocess.run(resumed, check=False).returncode == 0
    assert ganlet.open_run(run).history[-1]["images_seen"] == seen + 64
