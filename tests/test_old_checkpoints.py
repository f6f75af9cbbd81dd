"""What an older ganlet saved can still be gone on with, and comes to the end that it would have come to there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from ganlet.config import validate
from ganlet.engine.state import build_state
from ganlet.runs import checkpoint
from recorded.cases import NOT_EXACT, differences, read_record, same_machine
from recorded.old_runs import FOLDERS, RECORD, RUNS, go_on

pytestmark = pytest.mark.filterwarnings(f"default:{NOT_EXACT}")

LOCAL = re.compile(rb"/home/|/root|/tmp|/Users/|\\Users\\|host(name)?\"|\"pid\"")


@pytest.mark.parametrize("name", RUNS)
def test_an_old_run_goes_on_to_the_same_end(name, tmp_path):
    record = read_record(RECORD)
    found = go_on(name, tmp_path)
    assert differences(record["cases"][name], found, exact=same_machine(record["environment"])) == {}


@pytest.mark.parametrize("name", RUNS)
def test_every_tensor_of_an_old_checkpoint_is_taken_over(name):
    folder = FOLDERS / name
    saved = checkpoint.load(folder / "checkpoints")
    state = build_state(validate(saved.meta["config"]))
    state.load(saved.members, saved.images_seen)
    mine = state.members()
    assert mine.keys() == saved.members.keys()
    different = [f"{m}/{n}" for m in mine for n in mine[m] if not torch.equal(mine[m][n], saved.members[m][n])]
    assert (different, state.images_seen) == ([], saved.images_seen)


def test_every_old_run_is_gone_on_with():
    assert {path.name for path in FOLDERS.iterdir()} == set(RUNS)


def test_old_runs_are_small_and_tell_nothing_of_a_machine():
    files = [path for path in FOLDERS.rglob("*") if path.is_file()]
    for name in RUNS:
        assert sum(path.stat().st_size for path in files if _run(path) == name) < 150_000
    assert [path for path in files if LOCAL.search(path.read_bytes())] == []


def _run(path: Path) -> str:
    return path.relative_to(FOLDERS).parts[0]
