"""Damaged checkpoints and full disks: what was saved before stays, and the end is still the same to the last bit."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import time
from types import SimpleNamespace

import pytest

import ganlet
from ganlet.errors import CheckpointError, EnvironmentProblem, ResourceProblem, RunError
from ganlet.runs import checkpoint, files
from ganlet.workflows import watchers
from kill_and_resume import differences


def flip_a_bit(path):
    member = path / "average.safetensors"
    data = bytearray(member.read_bytes())
    data[len(data) // 2] ^= 4
    member.write_bytes(data)


def truncate(path):
    os.truncate(path / "generator_optimizer.safetensors", 100)


def lose_a_member(path):
    (path / "discriminator.safetensors").unlink()


def garble_the_manifest(path):
    (path / "manifest.json").write_bytes(b"{")


DAMAGE = {
    "000000080/average.safetensors is damaged": flip_a_bit,
    "000000080/generator_optimizer.safetensors has 100 bytes": truncate,
    "000000080/discriminator.safetensors is missing": lose_a_member,
    "000000080/manifest.json is unreadable": garble_the_manifest,
}


@pytest.mark.parametrize("told_as", DAMAGE)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(start, straight, stop_at, told, told_as):
    run = start("run", None, stop_at(80))
    path = run.folder.checkpoints_path / "000000080"
    DAMAGE[told_as](path)
    damaged = {file.name: file.read_bytes() for file in path.iterdir()}
    ganlet.resume(run.path, device="cpu", reporter=told)
    assert f"damaged, so the one before is used: {told_as}" in told.text
    assert f"resuming {run.path} after 64 images" in told.text
    assert differences(straight.path, run.path) == []
    # Nothing that is damaged is ever deleted: somebody may want to look at it.
    assert {file.name: file.read_bytes() for file in path.iterdir()} == damaged


def test_a_damaged_one_moves_aside_when_its_moment_comes_again(start, straight, stop_at):
    run = start("run", None, stop_at(128))
    flip_a_bit(run.folder.checkpoints_path / "000000128")
    ganlet.resume(run.path, device="cpu")
    assert (run.folder.checkpoints_path / ".broken-000000128").is_dir()
    assert checkpoint.verify(run.folder.checkpoints_path / "000000128") == []
    assert differences(straight.path, run.path) == []


def test_when_all_are_damaged_nothing_is_touched(start, stop_at, contents):
    run = start("run", None, stop_at(80))
    for path in run.folder.checkpoints_path.glob("0*"):
        flip_a_bit(path)
    before = contents(run.path)
    with pytest.raises(CheckpointError, match="No sound checkpoint"):
        ganlet.resume(run.path, device="cpu")
    assert contents(run.path) == before


def test_a_garbled_environment_is_one_clear_error(start, stop_at, contents):
    run = start("run", None, stop_at(80))
    run.folder.environment_path.write_text('{"run_id": ')
    before = contents(run.path)
    with pytest.raises(RunError, match=r"environment\.json"):
        ganlet.resume(run.path, device="cpu")
    assert contents(run.path) == before


@pytest.fixture
def impatient(monkeypatch):
    """Do not wait before trying again, but count."""
    waits = []
    monkeypatch.setattr(watchers, "time", SimpleNamespace(sleep=waits.append, monotonic=time.monotonic))
    return waits


@pytest.fixture
def fail_at(monkeypatch):
    """Let so many attempts fail to write a file with that in its path: by default because the disk is full."""

    def fail_at(where, attempts, number=errno.ENOSPC):
        write, failed = files.write_durable, []

        def write_or_fail(path, data):
            if where in str(path) and len(failed) < attempts:
                failed.append(path)
                path.write_bytes(data[:10])
                raise OSError(number, os.strerror(number))
            write(path, data)

        monkeypatch.setattr(files, "write_durable", write_or_fail)
        return failed

    return fail_at


MEMBER = "000000128/discriminator.safetensors"


@pytest.mark.parametrize("where", [MEMBER, "latest", "-generator.safetensors", "-000000128.png"])
def test_a_disk_that_is_full_for_a_while_is_waited_for(start, straight, fail_at, impatient, where):
    failed = fail_at(where, 2)
    run = start("run")
    assert len(failed) == 2
    assert impatient == list(watchers.RETRY_AFTER[:2])
    assert differences(straight.path, run.path) == []


def test_a_disk_that_stays_full_ends_the_run_and_loses_nothing(start, straight, tmp_path, fail_at, impatient):
    failed = fail_at(MEMBER, 1000)
    with pytest.raises(ResourceProblem, match="no room on the disk") as caught:
        start("run")
    assert caught.value.exit_code == 4
    assert f"ganlet resume {tmp_path / 'run'}" in caught.value.hint
    assert len(failed) == 1 + len(watchers.RETRY_AFTER) == 1 + len(impatient)
    checkpoints = tmp_path / "run" / "checkpoints"
    assert checkpoint.moments(checkpoints) == [64]
    assert checkpoint.verify(checkpoints / "000000064") == []
    assert sorted(entry.name for entry in checkpoints.iterdir()) == ["000000064", "latest"]
    assert "no room on the disk" in (tmp_path / "run" / "log.txt").read_text()
    failed += range(1000)  # from now on there is room
    ganlet.resume(tmp_path / "run", device="cpu")
    assert differences(straight.path, tmp_path / "run") == []


def _mount(*arguments):
    if shutil.which("mount") is None or subprocess.run(["mount", *arguments], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """A disk of its own with room for 1 MiB, on which writing is begun without looking whether there is room."""
    monkeypatch.setattr(checkpoint, "RESERVE_BYTES", -(2**62))
    path = tmp_path / "disk"
    path.mkdir()
    _mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path))
    yield path
    subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill_up(path):
    with contextlib.suppress(OSError), open(path, "wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_real_disk_that_fills_up_is_one_clear_message(tiny_config, straight, disk, impatient, cli, capsys):
    run, ballast = disk / "run", disk / "ballast"

    def fill(moment):
        if moment.images_seen == 80:
            fill_up(ballast)

    with pytest.raises(ResourceProblem):
        ganlet.train(tiny_config(), run, device="cpu", callbacks=[fill])
    assert capsys.readouterr().err == ""  # although log.txt had no room for its traceback
    assert checkpoint.moments(run / "checkpoints") == [64]
    code, out, err = cli("resume", run, "--device", "cpu")
    assert (code, out) == (4, "")
    assert "Traceback" not in err
    assert "There is no room on the disk; nothing that was saved before is lost." in err
    assert checkpoint.moments(run / "checkpoints") == [64]
    ballast.unlink()
    assert cli("resume", run, "--device", "cpu")[0] == 0
    assert differences(straight.path, run) == []


def test_a_disk_that_becomes_read_only_loses_nothing(start, straight, tmp_path, fail_at, impatient):
    failed = fail_at(MEMBER, 1, errno.EROFS)
    with pytest.raises(EnvironmentProblem, match="cannot be written to") as caught:
        start("run")
    assert caught.value.exit_code == 3
    assert len(failed) == 1
    assert impatient == []
    ganlet.resume(tmp_path / "run", device="cpu")
    assert differences(straight.path, tmp_path / "run") == []


def test_a_read_only_place_is_told_at_the_start(tiny_config, disk):
    _mount("-o", "remount,ro", str(disk))
    with pytest.raises(EnvironmentProblem, match="cannot be written to") as caught:
        ganlet.train(tiny_config(), disk / "runs" / "new", device="cpu")
    assert caught.value.exit_code == 3
    assert "--out" in caught.value.hint


def test_without_environment_json_a_run_keeps_its_identity_and_all_its_checkpoints(start, stop_at, straight, told):
    run = start("run", None, stop_at(80))
    (run.path / "environment.json").unlink()
    ganlet.resume(run.path, device="cpu", callbacks=[stop_at(90)])
    moments = checkpoint.moments(run.folder.checkpoints_path)
    flip_a_bit(run.folder.checkpoints_path / f"{moments[-1]:09}")
    ganlet.resume(run.path, device="cpu", reporter=told)
    assert f"resuming {run.path} after {moments[-2]:,} images" in told.text
    assert differences(straight.path, run.path) == []
