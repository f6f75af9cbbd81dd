"""Kills, full disks and damaged files: what was acknowledged must come back."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ganlet.errors import CheckpointError, EnvironmentProblem, ResourceProblem
from ganlet.runs import checkpoint, files

# One process forks a trainer again and again and kills it at a random moment, in the middle of saving, pruning or
# moving a pointer. A trainer acknowledges a checkpoint through a pipe once `save` has returned.
KILLER = """
import json, os, random, signal, sys, time
from pathlib import Path
import torch
from ganlet.runs import checkpoint, files

folder, kills = Path(sys.argv[1]), int(sys.argv[2])

def state(n):
    return {"generator": {"w": torch.full((2000,), float(n))}, "ema": {"w": torch.full((1000,), float(n))}}

def train(pipe):
    files.sweep(folder)
    loaded = checkpoint.load(folder)
    start = loaded.images_seen if loaded else 0
    for n in range(start + 1, start + 100_000):
        checkpoint.save(folder, n, state(n), {"n": n}, "run")
        os.write(pipe, b"%d\\n" % n)
        checkpoint.write_pointer(folder, "best", n)
        checkpoint.prune(folder, keep=2)

def check(acknowledged):
    loaded = checkpoint.load(folder)
    sound = [n for n in checkpoint.moments(folder) if not checkpoint.verify(folder / f"{n:09d}")]
    expected = state(loaded.images_seen)
    return {
        "acknowledged": acknowledged,
        "loaded": loaded.images_seen,
        "problems": loaded.problems,
        "unsound": len(checkpoint.moments(folder)) - len(sound),
        "lost": [n for n in acknowledged[-2:] if n not in sound],
        "equal": all(torch.equal(loaded.members[m]["w"], expected[m]["w"]) for m in expected),
        "leftovers": len([e for e in folder.iterdir() if e.name.startswith((".tmp-", ".del-"))]),
    }

dice = random.Random(int(sys.argv[3]))
for _ in range(kills):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        train(writer)
    os.close(writer)
    received = os.read(reader, 4096)
    time.sleep(dice.uniform(0, 0.02))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    while more := os.read(reader, 4096):
        received += more
    os.close(reader)
    print(json.dumps(check([int(n) for n in received.split()])), flush=True)
"""


def save(folder: Path, images_seen: int, size: int = 100) -> Path:
    members = {"generator": {"w": torch.full((size,), float(images_seen))}, "ema": {"w": torch.ones(3)}}
    return checkpoint.save(folder, images_seen, members, {"n": images_seen}, "run")


def killed(tmp_path: Path, kills: int, seed: int) -> list[dict]:
    command = [sys.executable, "-c", KILLER, str(tmp_path), str(kills), str(seed)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
@pytest.mark.parametrize("kills", [25, pytest.param(400, marks=pytest.mark.slow)])
def test_a_kill_at_any_moment_loses_nothing_acknowledged(tmp_path, kills):
    rounds = killed(tmp_path, kills, seed=7)
    assert len(rounds) == kills
    for outcome in rounds:
        assert outcome["acknowledged"], "the trainer was killed before it had saved anything"
        assert outcome["loaded"] >= outcome["acknowledged"][-1]
        assert outcome["equal"]
        assert outcome["lost"] == []
        # A checkpoint has its name only when it is complete, so not even the newest may be unsound.
        assert (outcome["unsound"], outcome["problems"]) == (0, [])
    # Unless kills hit saves and prunes in the middle, this test tests nothing.
    assert any(outcome["leftovers"] for outcome in rounds)


def test_every_flipped_bit_is_found_and_named(tmp_path):
    path = checkpoint.save(tmp_path, 200, {"generator": {"w": torch.ones(4)}}, {}, "run")
    for file in sorted(path.iterdir()):
        sound = file.read_bytes()
        for bit in range(8 * len(sound)):
            damaged = bytearray(sound)
            damaged[bit // 8] ^= 1 << bit % 8
            file.write_bytes(damaged)
            if problems := checkpoint.verify(path, "run"):
                # A manifest with a wrong name or hash accuses the member; it cannot know better.
                assert file.name == "manifest.json" or problems == [
                    f"{path.name}/{file.name} is damaged: its contents do not match its hash"
                ]
            else:
                # Only blanks between the words of the manifest may turn into other blanks.
                assert file.name == "manifest.json"
                assert json.loads(damaged) == json.loads(sound)
        file.write_bytes(sound)
    assert checkpoint.verify(path, "run") == []


def flip(path: Path) -> None:
    data = bytearray((path / "ema.safetensors").read_bytes())
    data[-1] ^= 1
    (path / "ema.safetensors").write_bytes(data)


def truncate(path: Path) -> None:
    os.truncate(path / "generator.safetensors", 50)


def edit_manifest(**changes: object):
    def edit(path: Path) -> None:
        manifest = json.loads((path / "manifest.json").read_text())
        (path / "manifest.json").write_text(json.dumps(manifest | changes))

    return edit


def make_folder_of_file(path: Path) -> None:
    (path / "meta.json").unlink()
    (path / "meta.json").mkdir()


FAULTS = {
    "bit flip": (flip, "ema.safetensors is damaged"),
    "truncation": (truncate, "generator.safetensors has 50 bytes instead of"),
    "missing member": (lambda path: (path / "ema.safetensors").unlink(), "ema.safetensors is missing"),
    "missing meta": (lambda path: (path / "meta.json").unlink(), "meta.json is missing"),
    "folder for a file": (make_folder_of_file, "meta.json cannot be read"),
    "missing manifest": (lambda path: (path / "manifest.json").unlink(), "manifest.json is missing"),
    "empty manifest": (lambda path: (path / "manifest.json").write_bytes(b""), "manifest.json is unreadable"),
    "binary manifest": (lambda path: (path / "manifest.json").write_bytes(b"\xff\0"), "manifest.json is unreadable"),
    "manifest of another kind": (
        lambda path: (path / "manifest.json").write_bytes(b"[1]"),
        "manifest.json is unreadable",
    ),
    "manifest without members": (edit_manifest(members={}), "manifest.json names wrong files"),
    "manifest that leads out": (
        edit_manifest(members={"meta.json": {"size": 1, "sha256": ""}, "../latest": {"size": 1, "sha256": ""}}),
        "manifest.json names wrong files",
    ),
    "newer schema": (edit_manifest(schema=2, members=None, images_seen=None), "manifest.json has schema 2"),
    "renamed copy": (edit_manifest(images_seen=100), "manifest.json is of the moment 100"),
    "another run": (edit_manifest(run_id="other"), "manifest.json belongs to another run"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(tmp_path, fault):
    save(tmp_path, 100)
    path = save(tmp_path, 200)
    spoil, problem = FAULTS[fault]
    spoil(path)
    before = {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    loaded = checkpoint.load(tmp_path, run_id="run")
    assert loaded is not None
    assert loaded.images_seen == 100
    assert len(loaded.problems) == 1
    assert f"000000200/{problem}" in loaded.problems[0]
    assert checkpoint.prune(tmp_path, 2, run_id="run") == []
    assert {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()} == before


def test_when_none_is_sound_all_problems_are_told(tmp_path):
    for n in (100, 200):
        flip(save(tmp_path, n))
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(tmp_path)
    assert "000000100/ema.safetensors" in caught.value.message
    assert "000000200/ema.safetensors" in caught.value.message
    assert "ganlet train --config" in caught.value.hint


@pytest.mark.parametrize("text", ["", "garbled", "000000999\n", "000000100\n"])
def test_a_wrong_pointer_misleads_nobody(tmp_path, text):
    for n in (100, 200):
        save(tmp_path, n)
    (tmp_path / "latest").write_text(text)
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None
    assert loaded.images_seen == 200


def test_without_room_for_two_nothing_is_begun(tmp_path, monkeypatch):
    save(tmp_path, 100)
    monkeypatch.setattr(checkpoint, "RESERVE_BYTES", 2**62)
    with pytest.raises(ResourceProblem, match="bytes free") as caught:
        save(tmp_path, 200)
    assert caught.value.exit_code == 4
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["000000100", "latest"]


def assert_only_the_first_is_there(folder: Path) -> None:
    assert sorted(entry.name for entry in folder.iterdir()) == ["000000100", "latest"]
    assert checkpoint.read_pointer(folder, "latest") == 100
    loaded = checkpoint.load(folder)
    assert loaded is not None
    assert (loaded.images_seen, loaded.problems) == (100, [])


def test_a_disk_that_fills_up_during_a_save_leaves_the_old_checkpoint(small_disk, monkeypatch):
    monkeypatch.setattr(checkpoint, "RESERVE_BYTES", -(2**62))
    save(small_disk, 100)
    with pytest.raises(ResourceProblem) as caught:
        save(small_disk, 200, size=100_000)
    assert isinstance(caught.value.__cause__, OSError)
    assert_only_the_first_is_there(small_disk)
    save(small_disk, 200)
    assert checkpoint.moments(small_disk) == [100, 200]


def test_a_limit_on_file_size_leaves_the_old_checkpoint(tmp_path, file_size_limit):
    save(tmp_path, 100)
    with file_size_limit(20_000), pytest.raises(ResourceProblem):
        save(tmp_path, 200, size=10_000)
    assert_only_the_first_is_there(tmp_path)


def test_a_read_only_disk_leaves_the_old_checkpoint(small_disk, make_read_only, monkeypatch):
    monkeypatch.setattr(checkpoint, "RESERVE_BYTES", 0)
    save(small_disk, 100)
    make_read_only()
    with pytest.raises(EnvironmentProblem, match="cannot be written to"):
        save(small_disk, 200)
    assert_only_the_first_is_there(small_disk)


def test_a_run_that_has_vanished_is_an_environment_problem(tmp_path):
    with pytest.raises(EnvironmentProblem, match="has gone"):
        save(tmp_path / "gone" / "checkpoints", 100)


def test_an_interrupt_in_the_middle_of_a_save_leaves_no_leftover(tmp_path, monkeypatch):
    save(tmp_path, 100)
    written = []

    def interrupted(path, data):
        if written:
            raise KeyboardInterrupt
        written.append(path)

    monkeypatch.setattr(files, "write_durable", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, 200)
    assert_only_the_first_is_there(tmp_path)


def test_a_disk_that_returns_other_bytes_than_were_written_is_found_out(tmp_path, monkeypatch):
    save(tmp_path, 100)
    write = files.write_durable
    monkeypatch.setattr(files, "write_durable", lambda path, data: write(path, data[:-1] + b"x"))
    with pytest.raises(CheckpointError, match="reads back damaged"):
        save(tmp_path, 200)
    monkeypatch.undo()
    assert checkpoint.read_pointer(tmp_path, "latest") == 100
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None
    assert loaded.images_seen == 100


def test_leftovers_of_a_kill_are_in_nobodys_way(tmp_path):
    for n in (100, 200, 300):
        save(tmp_path, n)
    for name in (".tmp-000000400", ".del-000000100"):
        shutil.copytree(tmp_path / "000000300", tmp_path / name)
    save(tmp_path, 400)
    assert checkpoint.prune(tmp_path, 2) == [100, 200]
    assert files.sweep(tmp_path) == [".del-000000100", ".tmp-000000400"]
    assert checkpoint.moments(tmp_path) == [300, 400]
