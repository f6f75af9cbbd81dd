from __future__ import annotations

import json

import pytest

from ganlet.config import dump_yaml, resolve
from ganlet.runs.folder import RunFolder
from ganlet.runs.history import History
from ganlet.workflows.configuring import make_config


@pytest.fixture
def run(tmp_path):
    """A run in which the generator has stopped to move at 40,000 images."""
    config = resolve(make_config("quick"), num_pictures=20_000, channels=3)
    folder = RunFolder.create(tmp_path / "run", dump_yaml(config))
    with History(folder.metrics_path) as history:
        for images in range(4_000, 90_001, 4_000):
            moved = {"movement": 0.4 if images < 40_000 else 0.0}
            history.append({"event": "health", "images_seen": images, **moved})
    return folder


def test_a_person_reads_it(ganlet, run):
    outcome = ganlet("diagnose", str(run.path))
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith("Serious: stuck since 40,000 images (confidence 94%).\n\nstuck (serious, since")
    assert f"--out {run.path}-2" in outcome.stdout


def test_a_program_reads_it(ganlet, run):
    outcome = ganlet("diagnose", str(run.path), "--json")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    told = json.loads(outcome.stdout)
    assert (told["run"], told["healthy"], told["images_seen"]) == (str(run.path), False, 88_000)
    (verdict,) = told["verdicts"]
    assert (verdict["kind"], verdict["since"]) == ("stuck", 40_000)
    assert [evidence["signal"] for evidence in verdict["evidence"]] == ["movement"]


def test_it_draws(ganlet, run, tmp_path):
    outcome = ganlet("diagnose", str(run.path), "--plot", "signs.png")
    assert (outcome.exit_code, outcome.stderr) == (0, "drawn: signs.png\n")
    assert (tmp_path / "signs.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_without_any_row_can_be_judged_too(ganlet, run):
    run.metrics_path.unlink()
    outcome = ganlet("diagnose", str(run.path))
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("Too early to say.")


def test_no_run_no_diagnosis(ganlet):
    outcome = ganlet("diagnose", "nowhere")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "There is no run here." in outcome.stderr
