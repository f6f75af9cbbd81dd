from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ganlet.errors import EnvironmentProblem, ResourceProblem
from ganlet.runs import files


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_write_atomic_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "config.yaml"
    files.write_atomic(path, b"old")
    files.write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(tmp_path) == {"config.yaml"}


def test_contents_are_durable_before_the_name_and_the_name_before_return(tmp_path, monkeypatch):
    path, calls = tmp_path / "a", []
    fsync, replace = os.fsync, os.replace

    def recorded_fsync(descriptor):
        calls.append("fsync folder" if os.path.samestat(os.fstat(descriptor), os.stat(tmp_path)) else "fsync file")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("replace"), replace(*paths)))
    files.write_atomic(path, b"data")
    assert calls == ["fsync file", "replace", "fsync folder"]


def test_a_limit_on_file_size_is_a_resource_problem_and_the_old_file_stays(tmp_path, file_size_limit):
    path = tmp_path / "a"
    files.write_atomic(path, b"old")
    with file_size_limit(10_000), pytest.raises(ResourceProblem) as caught:
        files.write_atomic(path, bytes(20_000))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == {"a"}
    assert "20,000 bytes" in caught.value.expected
    assert os.strerror(errno.EFBIG) in caught.value.got


def test_a_full_disk_is_a_resource_problem_and_the_old_file_stays(small_disk):
    path = small_disk / "a"
    files.write_atomic(path, b"old")
    with pytest.raises(ResourceProblem) as caught:
        files.write_atomic(path, bytes(300_000))
    assert path.read_bytes() == b"old"
    assert names(small_disk) == {"a"}
    for part in ("300,000 bytes", "bytes free", str(small_disk), "nothing that was saved before is lost"):
        assert part in caught.value.message
    assert caught.value.exit_code == 4


def test_a_read_only_disk_is_an_environment_problem_and_the_old_file_stays(small_disk, make_read_only):
    path = small_disk / "a"
    files.write_atomic(path, b"old")
    make_read_only()
    with pytest.raises(EnvironmentProblem, match="cannot be written to") as caught:
        files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert caught.value.exit_code == 3
    assert "--out" in caught.value.hint


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (errno.ENOSPC, ResourceProblem, "no room"),
        (errno.EDQUOT, ResourceProblem, "no room"),
        (errno.EROFS, EnvironmentProblem, "cannot be written to"),
        (errno.EACCES, EnvironmentProblem, "cannot be written to"),
        (errno.EIO, EnvironmentProblem, "does not answer"),
        (errno.ESTALE, EnvironmentProblem, "does not answer"),
        (errno.ENOENT, EnvironmentProblem, "has gone"),
        (errno.ENOTDIR, EnvironmentProblem, "there is a file of that name"),
        (errno.EEXIST, EnvironmentProblem, "there is a file of that name"),
        (errno.EISDIR, EnvironmentProblem, "there is a folder of that name"),
        (errno.ENAMETOOLONG, EnvironmentProblem, "name is too long"),
    ],
)
def test_each_refusal_of_the_disk_is_explained(tmp_path, number, kind, text):
    with pytest.raises(kind, match=text) as caught, files.os_errors_explained(tmp_path / "a", 5):
        raise OSError(number, os.strerror(number))
    assert isinstance(caught.value.__cause__, OSError)


def test_a_folder_that_has_gone_is_an_environment_problem(tmp_path):
    with pytest.raises(EnvironmentProblem, match="has gone"):
        files.write_atomic(tmp_path / "gone" / "a", b"data")


def test_the_next_command_is_that_of_the_work_that_failed(tmp_path):
    run = tmp_path / "my run"
    (run / "samples").mkdir(parents=True)
    (run / "config.yaml").touch()
    with files.going_on_by("ganlet resume 'my run'"), pytest.raises(ResourceProblem) as caught:
        files.require_space(run / "samples", 2**62)
    assert caught.value.hint == "make room, then type: ganlet resume 'my run'"
    # Nothing trains here: a picture or a number was to be written into the run, which resuming does not do.
    with pytest.raises(ResourceProblem) as caught:
        files.require_space(run / "samples", 2**62)
    assert caught.value.hint == "make room, then type the same command again"


def test_sweep_removes_only_leftovers(tmp_path):
    (tmp_path / ".tmp-000000100").mkdir()
    (tmp_path / ".tmp-000000100" / "a").touch()
    (tmp_path / ".del-000000200").mkdir()
    (tmp_path / ".tmp-1-latest").touch()
    (tmp_path / ".broken-000000300").mkdir()
    (tmp_path / "latest").touch()
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / ".tmp-link").symlink_to(target)
    swept = files.sweep(tmp_path)
    assert swept == [".del-000000200", ".tmp-000000100", ".tmp-1-latest", ".tmp-link"]
    assert names(tmp_path) == {".broken-000000300", "latest", "target"}
    assert files.sweep(tmp_path / "missing") == []
