from __future__ import annotations

import io
import re
import time

import pytest

from ganlet.workflows import reporting
from ganlet.workflows.reporting import Live, Plain, Silent, choose_reporter, default_reporter, describe_row


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes by hand."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_plain_lines_come_now_and_then_with_rate_and_time_left(clock, capsys):
    reporter = Plain()
    for seconds in range(25):
        clock[0] = float(seconds)
        reporter.progress("training", seconds * 100, 10_000, f"note {seconds}")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[-1] for line in lines] == ["0", "10", "20"]
    assert lines[1] == "training  1,000 of 10,000  100 images/s  0:01:30 left  note 10"


def test_the_last_plain_line_always_comes(clock, capsys):
    reporter = Plain()
    reporter.progress("training", 1, 2)
    reporter.progress("training", 2, 2)
    assert capsys.readouterr().err.splitlines()[-1].startswith("training  2 of 2")


def test_nothing_goes_to_stdout(capsys):
    for reporter in (Plain(), Live(), Silent()):
        reporter.say("hello [bold]you[/bold]")
        reporter.progress("training", 1, 2, "note")
        reporter.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("hello [bold]you[/bold]") == 2


def test_under_torchrun_one_process_speaks(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert isinstance(choose_reporter(), Silent)
    monkeypatch.setenv("RANK", "0")
    assert isinstance(choose_reporter(), Plain)
    monkeypatch.setattr(reporting.sys.stderr, "isatty", lambda: True)
    assert isinstance(choose_reporter(), Live)


def test_the_live_line_has_the_same_rate_and_time_left(clock, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(reporting.sys, "stderr", screen)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    reporter = Live()
    for seconds in range(11):
        clock[0] = float(seconds)
        reporter.progress("training", seconds * 100, 10_000, f"note {seconds}")
    reporter._progress.refresh()
    assert re.search(r"training .* 1,000 / 10,000 100 images/s  0:01:30 left .*note 10", screen.getvalue())
    reporter.close()


def test_the_rate_of_a_few_is_not_told(clock, capsys):
    reporter = Plain()
    for done in range(1, 6):
        clock[0] += 10.0
        reporter.progress("measuring", done, 5, "KD")
    assert capsys.readouterr().err.splitlines() == [f"measuring  {done} of 5    KD" for done in range(1, 6)]


def test_the_rate_is_that_of_this_session(clock, capsys):
    reporter = Plain()
    for done in (5_000, 5_200):
        reporter.progress("training", done, 10_000)
        clock[0] += 10.0
    assert capsys.readouterr().err.splitlines()[-1] == "training  5,200 of 10,000  20 images/s  0:04:00 left"


@pytest.mark.parametrize(
    ("terminal", "notebook", "widgets", "rank", "kind"),
    [
        (False, False, True, "0", Silent),
        (True, False, False, "0", Live),
        (False, True, True, "0", Live),
        (False, True, False, "0", Plain),
        (True, True, True, "1", Silent),
    ],
)
def test_a_library_speaks_where_a_person_looks_on(monkeypatch, terminal, notebook, widgets, rank, kind):
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr(reporting.sys.stderr, "isatty", lambda: terminal)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: notebook)
    monkeypatch.setattr(reporting, "find_spec", lambda name: object() if widgets else None)
    assert type(default_reporter()) is kind


def test_a_row_is_told_in_the_numbers_that_a_person_follows():
    row = {"discriminator_loss": 0.5, "generator_loss": 1.25, "real_probability": 0.75, "fake_probability": 0.25}
    assert describe_row(row) == "loss D 0.500 G 1.250  D(real) 0.75 D(fake) 0.25"
    row |= {"real_logit": 41.5, "fake_logit": -8}
    assert describe_row(row, probabilities=False) == "loss D 0.500 G 1.250  logits real 41.50 fake -8.00"
