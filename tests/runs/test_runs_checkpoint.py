from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from ganlet.errors import CheckpointError, TrainingError
from ganlet.runs import checkpoint

RUN = "run-a"


def members(value: float = 1.0) -> dict[str, dict[str, torch.Tensor]]:
    return {
        "generator": {"weight": torch.full((4, 3), value), "steps": torch.tensor(7)},
        "optimizer": {"moment": torch.full((5,), value).bfloat16()},
    }


def save(folder: Path, images_seen: int, value: float = 1.0, run_id: str = RUN) -> Path:
    return checkpoint.save(folder, images_seen, members(value), {"loss": value}, run_id)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_what_was_saved_is_loaded_bit_by_bit(tmp_path):
    layout = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    saved = {"generator": {"w": layout, "tied": layout[0], "flag": torch.tensor(True)}, "nothing": {}}
    path = checkpoint.save(tmp_path, 12_800, saved, {"a": [1, None, 0.1], "ü": {}}, RUN)
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None
    assert path == loaded.path == tmp_path / "000012800"
    assert (loaded.images_seen, loaded.problems) == (12_800, [])
    assert loaded.meta == {"a": [1, None, 0.1], "ü": {}}
    assert loaded.members.keys() == saved.keys()
    assert loaded.members["generator"].keys() == saved["generator"].keys()
    for name, tensor in saved["generator"].items():
        assert loaded.members["generator"][name].dtype == tensor.dtype
        assert torch.equal(loaded.members["generator"][name], tensor)
    loaded.members["generator"]["w"].add_(1)


def test_nothing_saved_is_none(tmp_path):
    assert checkpoint.load(tmp_path) is None
    assert checkpoint.load(tmp_path / "missing") is None


def test_the_newest_is_found_by_counter_and_not_by_pointer_or_time(tmp_path):
    for n in (900, 1_000, 999_999_999, 2_000_000_000):
        save(tmp_path, n)
    os.utime(tmp_path / "000000900")
    checkpoint.write_pointer(tmp_path, "latest", 900)
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None
    assert loaded.images_seen == 2_000_000_000
    assert checkpoint.moments(tmp_path) == [900, 1_000, 999_999_999, 2_000_000_000]


def test_names_that_are_no_checkpoints_are_passed_over(tmp_path):
    path = save(tmp_path, 100)
    for name in ("000000100-copy", "200", "0000000300", "٠٠٠٠٠٠٤٠٠", ".tmp-000000500"):
        os.rename(path, tmp_path / name)
        assert checkpoint.moments(tmp_path) == []
        os.rename(tmp_path / name, path)


def test_one_moment_can_be_asked_for(tmp_path):
    save(tmp_path, 100, 1.0)
    save(tmp_path, 200, 2.0)
    loaded = checkpoint.load(tmp_path, 100)
    assert loaded is not None
    assert loaded.meta == {"loss": 1.0}
    with pytest.raises(CheckpointError, match="100, 200"):
        checkpoint.load(tmp_path, 150)
    damage(tmp_path / "000000100" / "meta.json")
    with pytest.raises(CheckpointError, match=r"000000100/meta\.json is damaged"):
        checkpoint.load(tmp_path, 100)


def test_latest_follows_each_save_and_best_stays(tmp_path):
    assert checkpoint.read_pointer(tmp_path, "latest") is None
    save(tmp_path, 100)
    checkpoint.write_pointer(tmp_path, "best", 100)
    save(tmp_path, 200)
    assert (tmp_path / "latest").read_text() == "000000200\n"
    assert checkpoint.read_pointer(tmp_path, "latest") == 200
    assert checkpoint.read_pointer(tmp_path, "best") == 100
    (tmp_path / "best").write_bytes(b"\xff\x00")
    assert checkpoint.read_pointer(tmp_path, "best") is None


def test_everything_is_durable_before_it_is_announced(tmp_path, monkeypatch):
    calls, real = [], {name: getattr(os, name) for name in ("fsync", "rename", "replace")}

    def fsync(descriptor):
        calls.append(("fsync", Path(os.readlink(f"/proc/self/fd/{descriptor}")).name))
        real["fsync"](descriptor)

    def move(name):
        def recorded(source, target):
            calls.append((name, Path(target).name))
            real[name](source, target)

        return recorded

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc")
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", move("rename"))
    monkeypatch.setattr(os, "replace", move("replace"))
    verified = checkpoint.verify
    monkeypatch.setattr(checkpoint, "verify", lambda path: (calls.append(("verify", path.name)), verified(path))[1])
    folder = tmp_path / "checkpoints"
    save(folder, 100)
    assert calls == [
        ("fsync", "generator.safetensors"),
        ("fsync", "optimizer.safetensors"),
        ("fsync", "meta.json"),
        ("fsync", "manifest.json"),
        ("fsync", ".tmp-000000100"),
        ("rename", "000000100"),
        ("fsync", "checkpoints"),
        ("verify", "000000100"),
        ("fsync", f".tmp-{os.getpid()}-latest"),
        ("replace", "latest"),
        ("fsync", "checkpoints"),
    ]


def test_saving_the_same_again_changes_nothing(tmp_path):
    path = checkpoint.save(tmp_path, 100, members(), {"a": 1, "b": 2}, RUN)
    before = (path / "manifest.json").stat()
    save(tmp_path, 200)
    checkpoint.save(tmp_path, 100, dict(reversed(members().items())), {"b": 2, "a": 1}, RUN)
    assert (path / "manifest.json").stat().st_ino == before.st_ino
    assert names(tmp_path) == {"000000100", "000000200", "latest"}


def test_a_broken_one_moves_aside_when_its_moment_is_saved_again(tmp_path):
    for copies in (1, 2):
        path = save(tmp_path, 100)
        damage(path / "generator.safetensors")
        broken = (path / "generator.safetensors").read_bytes()
        assert save(tmp_path, 100) == path
        assert checkpoint.verify(path) == []
        aside = tmp_path / (".broken-000000100" if copies == 1 else ".broken-000000100-2")
        assert (aside / "generator.safetensors").read_bytes() == broken


def test_a_sound_one_with_other_contents_moves_aside_too(tmp_path):
    save(tmp_path, 100, 1.0)
    save(tmp_path, 100, 2.0)
    loaded = checkpoint.load(tmp_path)
    assert loaded is not None
    assert loaded.meta == {"loss": 2.0}
    assert json.loads((tmp_path / ".replaced-000000100" / "meta.json").read_text()) == {"loss": 1.0}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_state_that_is_not_finite_is_not_saved(tmp_path, value):
    save(tmp_path, 100)
    state = members()
    state["optimizer"]["moment"][3] = value
    with pytest.raises(TrainingError, match="moment of optimizer"):
        checkpoint.save(tmp_path, 200, state, {}, RUN)
    assert names(tmp_path) == {"000000100", "latest"}


def test_prune_keeps_the_newest_the_best_and_the_protected(tmp_path):
    for n in range(1, 9):
        save(tmp_path, n * 100)
    # Copying or touching old ones must not make them new.
    os.utime(tmp_path / "000000300")
    checkpoint.write_pointer(tmp_path, "best", 200)
    assert checkpoint.prune(tmp_path, 3, {400}) == [100, 300, 500]
    assert checkpoint.moments(tmp_path) == [200, 400, 600, 700, 800]
    assert names(tmp_path) == {f"000000{n}00" for n in (2, 4, 6, 7, 8)} | {"best", "latest"}


@pytest.mark.parametrize("keep", [0, 1, 2])
def test_prune_never_goes_below_two_sound_ones(tmp_path, keep):
    for n in (100, 200, 300, 400):
        save(tmp_path, n)
    damage(tmp_path / "000000400" / "meta.json")
    damage(tmp_path / "000000200" / "meta.json")
    assert checkpoint.prune(tmp_path, keep) == []
    save(tmp_path, 500)
    assert checkpoint.prune(tmp_path, keep) == [100]
    assert checkpoint.moments(tmp_path) == [200, 300, 400, 500]


def test_prune_spares_what_was_saved_last_even_among_newer_ones(tmp_path):
    for n in (300, 400, 500, 100):
        save(tmp_path, n)
    assert checkpoint.prune(tmp_path, 2) == [300]
    assert checkpoint.moments(tmp_path) == [100, 400, 500]


def test_checkpoints_of_another_run_neither_count_nor_vanish(tmp_path):
    for n in (100, 200, 300):
        save(tmp_path, n)
    for n in (400, 500):
        save(tmp_path, n, run_id="run-b")
    loaded = checkpoint.load(tmp_path, run_id=RUN)
    assert loaded is not None
    assert loaded.images_seen == 300
    assert [problem.split()[0] for problem in loaded.problems] == ["000000500/manifest.json", "000000400/manifest.json"]
    assert "belongs to another run (run-b instead of run-a)" in loaded.problems[0]
    assert checkpoint.prune(tmp_path, 2, run_id=RUN) == [100]
    assert checkpoint.moments(tmp_path) == [200, 300, 400, 500]


def test_forgetting_leaves_what_came_before_and_what_is_damaged(tmp_path):
    for n in (10, 20, 30, 40, 50):
        save(tmp_path, n)
    checkpoint.write_pointer(tmp_path, "best", 20)
    damage(tmp_path / "000000040" / "generator.safetensors")
    checkpoint.forget_after(tmp_path, 20, RUN)
    assert names(tmp_path) == {"000000010", "000000020", "000000040", "latest", "best"}
    assert checkpoint.read_pointer(tmp_path, "latest") == checkpoint.read_pointer(tmp_path, "best") == 20
    loaded = checkpoint.load(tmp_path)
    assert (loaded.images_seen, len(loaded.problems)) == (20, 1)


def test_forgetting_all_leaves_no_pointer_to_nothing(tmp_path):
    save(tmp_path, 10)
    checkpoint.write_pointer(tmp_path, "best", 10)
    checkpoint.forget_after(tmp_path, 0)
    assert names(tmp_path) == set()
    checkpoint.forget_after(tmp_path, 0)


def test_a_best_that_is_forgotten_is_pointed_at_no_more(tmp_path):
    for n in (10, 20, 30):
        save(tmp_path, n)
    checkpoint.write_pointer(tmp_path, "best", 30)
    checkpoint.forget_after(tmp_path, 20)
    assert checkpoint.read_pointer(tmp_path, "best") is None
    assert checkpoint.read_pointer(tmp_path, "latest") == 20
