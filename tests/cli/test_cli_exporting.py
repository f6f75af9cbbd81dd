"""ganlet export."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ganlet.cli.exporting import FORMATS
from ganlet.export import onnx_file


@pytest.fixture
def asked(monkeypatch):
    """What the library is asked for."""
    calls = []

    def to_onnx(run, out, **settings):
        calls.append((run, out, settings))
        return SimpleNamespace(path=Path("made.onnx"), num_bytes=12_345, parity=SimpleNamespace(precision="fp16"))

    monkeypatch.setattr(onnx_file, "to_onnx", to_onnx)
    return calls


def test_it_asks_for_what_was_said_and_ends_with_the_file(ganlet, asked):
    options = ["--precision", "fp16", "--network", "discriminator", "--checkpoint", "best", "--out", "my.onnx"]
    outcome = ganlet("export", "faces", "--format", "onnx", *options)
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    ((run, out, settings),) = asked
    assert (run, out) == (Path("faces"), Path("my.onnx"))
    assert (settings["precision"], settings["network"], settings["checkpoint"]) == ("fp16", "discriminator", "best")
    lines = outcome.stdout.splitlines()
    assert lines[-1] == "made.onnx"
    assert "12,345 bytes" in lines[0]


def test_a_format_that_is_not_there_is_told_with_those_that_are(ganlet, asked):
    outcome = ganlet("export", "faces", "--format", "onxx")
    assert outcome.exit_code == 2
    assert "next:     --format onnx" in outcome.stderr
    assert all(name in outcome.stderr for name in FORMATS)
    assert asked == []


@pytest.mark.parametrize("run", ["nowhere", "."])
def test_what_is_no_run_is_told(ganlet, run):
    outcome = ganlet("export", run, "--format", "onnx")
    assert outcome.exit_code == 2
    assert "where:" in outcome.stderr
    assert outcome.stdout == ""


OPTIONS = {"precision": "fp16", "network": "discriminator", "moments": "3", "title": "Faces"}


@pytest.mark.parametrize(
    ("name", "option"),
    [(name, option) for name in FORMATS for option in OPTIONS if option not in FORMATS[name].options],
)
def test_an_option_of_another_format_is_refused(ganlet, name, option):
    outcome = ganlet("export", "run", "--format", name, f"--{option}", OPTIONS[option])
    assert outcome.exit_code == 2
    assert f"leave --{option} out" in outcome.stderr


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_no_run_is_one_message_and_leaves_nothing(ganlet, tmp_path, name):
    outcome = ganlet("export", "missing", "--format", name)
    assert outcome.exit_code == 2
    assert "There is no run here" in outcome.stderr
    assert list(tmp_path.iterdir()) == []
