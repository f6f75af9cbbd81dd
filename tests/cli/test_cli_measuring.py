"""The commands evaluate and compare: what goes to stdout and stderr, and exit codes."""

from __future__ import annotations

import json

import pytest

import ganlet as library
from ganlet.workflows import evaluating, training

QUICK = ("--extractor", "pixels", "--metrics", "kernel, frechet", "--device", "cpu")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A hundred small pictures."""
    import numpy as np

    from ganlet.images import save_png

    folder = tmp_path_factory.mktemp("source")
    for number in range(100):
        picture = np.random.default_rng(number).integers(0, 256, (1, 1, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
        save_png(folder / f"{number}.png", picture)
    return folder


@pytest.fixture(scope="module")
def make(tmp_path_factory, tiny_config, source):
    """Train a run of a tiny config, without a report."""

    def make(name):
        changes = {"data.source": str(source), "data.num_images": None, "train.total_images": 32}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(training, "redraw", lambda *_: None)
            return library.train(tiny_config(changes), tmp_path_factory.mktemp("runs") / name, device="cpu").path

    return make


@pytest.fixture
def run(make, monkeypatch):
    monkeypatch.setattr(evaluating, "redraw", lambda *_, **__: None)
    return str(make("run"))


def test_the_table_goes_to_stdout_and_progress_to_stderr(ganlet, run):
    outcome = ganlet("evaluate", run, "--num", "80", *QUICK)
    assert outcome.exit_code in (0, None)
    assert outcome.stdout.startswith("metric")
    assert "KD (pixels)" in outcome.stdout
    assert "protocol:" in outcome.stdout
    assert "generating  80 of 80" in outcome.stderr
    assert "generating" not in outcome.stdout


def test_json_is_all_there_is_on_stdout(ganlet, run):
    printed = json.loads(ganlet("evaluate", run, "--num", "80", "--json", *QUICK).stdout)
    assert [found["metric"] for found in printed["measurements"]] == ["kernel"]
    assert printed["measurements"][0]["protocol"]["num_fakes"] == 80
    assert "2,048" in printed["refused"][0]["reason"]
    assert printed["protocol"]["extractor"] == "pixels"
    forced = json.loads(ganlet("evaluate", run, "--num", "80", "--json", "--force", *QUICK).stdout)
    assert {found["metric"]: found["biased"] for found in forced["measurements"]} == {"frechet": True, "kernel": False}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--metrics", "kernl"], "did you mean kernel?"),
        (["--extractor", "pixls"], "did you mean pixels?"),
        (["--checkpoint", "best"], "no best checkpoint"),
        (["--num", "1"], "at least two"),
        (["--source", "/nowhere/at/all"], "no such source"),
    ],
)
def test_a_wrong_wish_is_one_message(ganlet, run, arguments, says):
    outcome = ganlet("evaluate", run, *arguments)
    assert outcome.exit_code == 2
    assert says in outcome.stderr
    assert outcome.stdout == ""
    assert "Traceback" not in outcome.stderr


def test_runs_are_compared_once_they_are_measured_alike(ganlet, run, make, tmp_path):
    other = str(make("other"))
    assert "None of these runs was measured" in ganlet("compare", run, other).stderr
    ganlet("evaluate", run, "--num", "80", *QUICK)
    ganlet("evaluate", other, "--num", "70", *QUICK)
    refused = ganlet("compare", run, other)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "num_fakes: 80 (run); 70 (other)" in refused.stderr
    anyway = ganlet("compare", run, other, "--show-anyway")
    assert anyway.stdout.count("KD (pixels)") == 2
    ganlet("evaluate", other, "--num", "80", *QUICK)
    compared = ganlet("compare", run, other, "--json", "--plot", str(tmp_path / "plot.png"))
    # Equal configs and seeds make equal runs.
    marks = json.loads(compared.stdout)["groups"][0]["metrics"]["kernel"]["marks"]
    assert marks == {"run": "tied", "other": "tied"}
    assert f"plotted: {tmp_path / 'plot.png'}" in compared.stderr
    assert (tmp_path / "plot.png").exists()


def test_what_is_no_run_is_refused(ganlet, tmp_path):
    for command in ("evaluate", "compare"):
        outcome = ganlet(command, str(tmp_path))
        assert outcome.exit_code == 2
        assert "not a run" in outcome.stderr


def test_metrics_and_extractors_are_listed(ganlet):
    from ganlet.metrics.features import EXTRACTORS
    from ganlet.metrics.suite import METRICS

    lines = [line.partition("  ") for line in ganlet("list", "metrics").stdout.splitlines()]
    listed = {name: text.strip() for name, _, text in lines}
    assert list(listed) == [*METRICS, *(f"extractor={name}" for name in EXTRACTORS)]
    assert "(lower is better)" in listed["frechet"]
    assert "(higher is better)" in listed["recall"]
    assert all(listed.values())
