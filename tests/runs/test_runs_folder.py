from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import pytest

from ganlet.caller import command_line
from ganlet.errors import EnvironmentProblem, RunError
from ganlet.runs.folder import RunFolder, default_run_path


def test_create_makes_what_open_finds(tmp_path):
    created = RunFolder.create(tmp_path / "runs" / "a", "seed: 1\n# ü\n")
    run = RunFolder.open(tmp_path / "runs" / "a")
    assert run.config_path.read_text(encoding="utf-8") == "seed: 1\n# ü\n"
    assert run.path == created.path
    assert run.samples_path.is_dir()
    assert run.checkpoints_path.is_dir()


def test_create_refuses_a_run_and_names_resume(tmp_path):
    RunFolder.create(tmp_path / "a b", "seed: 1\n")
    with pytest.raises(RunError) as caught:
        RunFolder.create(tmp_path / "a b", "seed: 2\n")
    assert f"ganlet resume '{tmp_path / 'a b'}'" in caught.value.hint
    assert "--out" in caught.value.hint
    assert RunFolder.open(tmp_path / "a b").config_path.read_text() == "seed: 1\n"


def test_create_refuses_a_folder_with_something_in_it_and_leaves_it_alone(tmp_path):
    (tmp_path / "holiday.png").touch()
    with pytest.raises(RunError, match=r"holiday\.png") as caught:
        RunFolder.create(tmp_path, "seed: 1\n")
    assert "--out" in caught.value.hint
    assert [entry.name for entry in tmp_path.iterdir()] == ["holiday.png"]


def test_of_many_that_create_the_same_run_one_succeeds(tmp_path):
    together = threading.Barrier(8)

    def create(number: int) -> bool:
        together.wait()
        try:
            RunFolder.create(tmp_path / str(number // 8), f"seed: {number}\n")
        except RunError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        succeeded = list(pool.map(create, range(80)))
    for race in range(10):
        winners = [number for number in range(8 * race, 8 * race + 8) if succeeded[number]]
        texts = [f"seed: {number}\n" for number in winners]
        assert texts == [(tmp_path / str(race) / "config.yaml").read_text()]


def test_create_refuses_a_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("mine")
    with pytest.raises(RunError, match="this is a file"):
        RunFolder.create(path, "seed: 1\n")
    assert path.read_text() == "mine"


def test_create_goes_on_where_an_interrupted_create_stopped(tmp_path):
    (tmp_path / ".tmp-17-config.yaml").touch()
    (tmp_path / ".lock").touch()
    (tmp_path / ".lock-holder").touch()
    (tmp_path / "checkpoints").mkdir()
    run = RunFolder.create(tmp_path, "seed: 1\n")
    assert run.sweep() == [".tmp-17-config.yaml"]
    assert run.config_path.read_text() == "seed: 1\n"


def test_a_samples_folder_with_pictures_is_not_empty(tmp_path):
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "a.png").touch()
    with pytest.raises(RunError, match="samples"):
        RunFolder.create(tmp_path, "seed: 1\n")


def test_create_on_a_read_only_disk_is_an_environment_problem(small_disk, make_read_only):
    make_read_only()
    with pytest.raises(EnvironmentProblem, match="cannot be written to"):
        RunFolder.create(small_disk / "runs" / "a", "seed: 1\n")


def test_open_says_what_is_missing_and_suggests_the_nearest_run(tmp_path):
    RunFolder.create(tmp_path / "smileys-2", "seed: 1\n")
    RunFolder.create(tmp_path / "other", "seed: 1\n")
    with pytest.raises(RunError, match="no run here") as missing:
        RunFolder.open(tmp_path / "smiley-2")
    assert missing.value.hint == f"did you mean {tmp_path / 'smileys-2'}?"
    (tmp_path / "pictures").mkdir()
    with pytest.raises(RunError, match=r"no config\.yaml"):
        RunFolder.open(tmp_path / "pictures")
    with pytest.raises(RunError) as above:
        RunFolder.open(tmp_path)
    assert f"2 runs in it, such as {tmp_path / 'other'}" in above.value.hint


def test_default_run_path_is_the_first_free_name(tmp_path):
    assert default_run_path(tmp_path / "runs", "dcgan") == tmp_path / "runs" / "dcgan"
    (tmp_path / "dcgan").mkdir()
    (tmp_path / "dcgan-2").mkdir()
    assert default_run_path(tmp_path, "dcgan") == tmp_path / "dcgan-3"


def test_sweep_reaches_every_folder_that_is_written_to(tmp_path):
    run = RunFolder.create(tmp_path / "a", "seed: 1\n")
    leftovers = [folder / ".tmp-x" for folder in (run.path, run.samples_path, run.checkpoints_path)]
    for leftover in leftovers:
        leftover.touch()
    assert len(run.sweep()) == 3
    assert not any(leftover.exists() for leftover in leftovers)


def test_all_but_tensors_does_without_torch():
    code = "import sys; from ganlet.runs import folder, history, environment, manifest; print('torch' in sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    assert result.stdout == "False\n"


@pytest.mark.parametrize("locks", [True, False])
def test_names_that_were_left_open_are_taken_one_by_one(tmp_path, monkeypatch, locks):
    """However many begin at once: each has a folder of its own, also on a file system without locks."""
    if not locks:
        monkeypatch.setattr("ganlet.runs.folder.run_lock", lambda path: nullcontext())
    with ThreadPoolExecutor(16) as pool:
        create = RunFolder.create_next
        made = list(pool.map(lambda number: create(tmp_path / "runs" / "quick", f"seed: {number}\n"), range(40)))
    assert {run.path.name for run in made} == {"quick", *(f"quick-{number}" for number in range(2, 41))}
    assert sorted(run.config_path.read_text() for run in made) == sorted(f"seed: {number}\n" for number in range(40))


def test_a_name_without_anything_behind_it_is_taken(tmp_path):
    (tmp_path / "quick").symlink_to("nowhere")
    assert RunFolder.create_next(tmp_path / "quick", "seed: 1\n").path.name == "quick-2"


def test_the_command_to_go_on_is_the_right_one_for_the_run_and_its_caller(tmp_path):
    run = RunFolder.create(tmp_path / "my run", "seed: 1\n")
    path = str(run.path)
    assert run.resume_command({"train.total_images": 9}) == f"ganlet resume '{path}' --set train.total_images=9"
    assert run.resume_command(allow_data_change=True) == f"ganlet.resume('{path}', allow_data_change=True)"
    with command_line():
        assert run.resume_command(allow_data_change=True) == f"ganlet resume '{path}' --allow-data-change"
    run.environment_path.write_text('{"given": {"dataset": "str"}}')  # as older versions noted a path
    assert run.resume_command() == f"ganlet resume '{path}'"
    run.environment_path.write_text('{"given": {"generator": "Coded", "dataset": "Tensor"}}')
    call = f"ganlet.resume('{path}', {{'seed': 1}}, generator=..., dataset=...)"
    assert run.resume_command({"seed": 1}) == call
    with command_line():
        assert run.resume_command({"seed": 1}) == call
    run.environment_path.write_text("{")
    assert run.resume_command() == f"ganlet resume '{path}'"


def test_a_run_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    run, stat = RunFolder.create(tmp_path / "a", "seed: 1\n"), Path.stat

    def refuse(self, **settings):
        if self == run.config_path:
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **settings)

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(EnvironmentProblem, match="may not be read"):
        RunFolder.open(run.path)
