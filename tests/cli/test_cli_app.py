from __future__ import annotations

import os
import re
from importlib import metadata
from itertools import pairwise

import pytest

from ganlet import __version__
from ganlet.cli import listing
from ganlet.cli.app import app
from ganlet.cli.options import overrides_tree
from ganlet.errors import EnvironmentProblem, ResourceProblem

COMMANDS = [command.name for command in app.registered_commands]


def test_the_commands():
    assert {"train", "resume", "sample", "list"} <= set(COMMANDS)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_names_every_command(ganlet, flag):
    outcome = ganlet(flag)
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    assert all(f"\n  {command} " in outcome.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_every_option_is_explained(ganlet, command):
    outcome = ganlet(command, "--help")
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    usage, about, *_ = outcome.stdout.split("\n\n")
    assert usage.startswith(f"Usage: ganlet {command} ")
    assert about.strip().endswith(".")
    # An option without a text would stand alone in its line, and the next would be another option.
    lines = re.sub(r" *\[default: .*\]", "", outcome.stdout[outcome.stdout.index("Options:") :]).splitlines()[1:]
    for line, below in pairwise([*lines, ""]):
        if line.startswith("  -"):
            assert "  " in line.strip() or below.startswith("      "), line


def test_without_a_command_there_is_help(ganlet):
    outcome = ganlet()
    assert "Usage: ganlet" in outcome.stdout + outcome.stderr


def test_the_version(ganlet):
    assert ganlet("--version").stdout == f"{__version__}\n" == f"{metadata.version('ganlet')}\n"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["trian"], "trian"),
        (["train", "--bogus"], "--bogus"),
        (["train", "--preset"], "--preset"),
        (["train", "one", "two"], "two"),
        (["sample"], "RUN"),
        (["sample", "RUN", "--num", "many"], "--num"),
    ],
)
def test_a_mistyped_command_line_is_refused(ganlet, arguments, part):
    outcome = ganlet(*arguments)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert part in outcome.stderr
    assert "Traceback" not in outcome.stderr


# Bad settings


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--preset", "quik"], "next:     --preset quick"),
        (["--set", "seed"], "must look like key=value"),
        (["--set", "seed=[1"], "line 1, column"),
        (["--set", "sede=1"], "sede: unknown key; did you mean seed?"),
        (["--set", "train.batch_size=1"], "train.batch_size: greater than or equal to 2, got 1"),
        (["--set", "data.size=7"], "data.size.0: greater than or equal to 8, got 7"),
        (["--preset", "quick", "--set", "objective.penalties=[{kind: r1, wait: 3}]"], "objective.penalties.0.wait"),
        (["--config", "missing.yaml"], "missing.yaml"),
        ([""], "data.source"),
    ],
)
def test_bad_settings_are_one_message_and_no_run_folder(ganlet, tmp_path, arguments, part):
    outcome = ganlet("train", *arguments)
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert part in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_bad_file_is_named_with_line_and_column(ganlet, tmp_path):
    (tmp_path / "my.yaml").write_text("train:\n\tbatch_size: 8\n")
    outcome = ganlet("train", "--config", "my.yaml")
    assert outcome.exit_code == 2
    assert "where:    my.yaml, line 2, column 1" in outcome.stderr


def test_problems_of_file_and_overrides_are_told_together(ganlet, tmp_path):
    (tmp_path / "my.yaml").write_text("train: {batch_size: 1}\n")
    outcome = ganlet("train", "--config", "my.yaml", "--set", "sede=1")
    assert outcome.stderr.startswith("2 settings are not possible:\n")


def test_overrides_lie_over_each_other_in_order():
    tree = overrides_tree(["train.batch_size=8", "seed=1", "train.n_critic=2", "train.batch_size=4"])
    assert tree == {"train": {"batch_size": 4, "n_critic": 2}, "seed": 1}
    assert overrides_tree(["train=3", "train.batch_size=4"]) == {"train": {"batch_size": 4}}
    assert overrides_tree([]) == {}


def test_an_item_of_a_list_can_be_changed_by_its_place():
    tree = overrides_tree(["objective.penalties=[{kind: r1, every: 4}]", "objective.penalties.0.weight=3"])
    assert tree == {"objective": {"penalties": [{"kind": "r1", "every": 4, "weight": 3}]}}


# What a command may end with


@pytest.fixture
def failing(monkeypatch):
    """Make `ganlet list presets` fail."""

    def failing(error):
        def fail():
            raise error

        monkeypatch.setitem(listing.THINGS, "presets", fail)

    return failing


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (EnvironmentProblem("No such device.", hint="--device cpu"), 3, "No such device.\n  next:     --device cpu\n"),
        (ResourceProblem("The disk is full."), 4, "The disk is full.\n"),
        (MemoryError(), 4, "There is not enough memory.\n  next:     a smaller --set train.batch_size\n"),
    ],
)
def test_an_error_is_a_message_and_an_exit_code(ganlet, failing, error, code, message):
    failing(error)
    outcome = ganlet("list")
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (code, "", message)


def test_an_interrupt_ends_with_130(ganlet, failing):
    failing(KeyboardInterrupt())
    outcome = ganlet("list")
    assert outcome.exit_code == 130
    assert "Traceback" not in outcome.stderr


def test_a_traceback_is_shown_only_if_asked_for(ganlet, failing):
    failing(ResourceProblem("The disk is full."))
    assert "Traceback" not in ganlet("list").stderr
    outcome = ganlet("--debug", "list")
    assert outcome.exit_code == 4
    assert "Traceback (most recent call last)" in outcome.stderr
    assert outcome.stderr.endswith("The disk is full.\n")


def test_idle_threads_do_not_spin_unless_somebody_wants_them_to(ganlet, monkeypatch):
    monkeypatch.delenv("GOMP_SPINCOUNT")
    ganlet("--version")
    assert os.environ["GOMP_SPINCOUNT"] == "10000"
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    ganlet("--version")
    assert os.environ["GOMP_SPINCOUNT"] == "7"
