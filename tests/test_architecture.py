"""The layers of the design, as import-linter's contract in pyproject.toml has them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ganlet

ROOT = Path(__file__).parents[1]


def layers() -> set[str]:
    """Everything that the contract puts into a layer."""
    (contract,) = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return {name.strip() for layer in contract["layers"] for name in layer.split("|")}


def test_imports_only_point_down():
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 kept, 0 broken" in result.stdout


def test_every_part_of_the_package_has_its_layer():
    package = Path(ganlet.__file__).parent
    parts = {entry.stem for entry in package.iterdir() if entry.is_dir() or entry.suffix == ".py"}
    parts -= {"__init__", "__main__", "__pycache__"}
    assert {f"ganlet.{part}" for part in parts} == layers()


# Importing torch takes longer than anybody waits for the news of a typo.

TYPO = """
import ganlet
try:
    ganlet.make_config(overrides={"sede": 1})
except Exception as error:
    assert "did you mean seed?" in str(error)
else:
    raise AssertionError("nothing was wrong")
"""


def without_torch(program: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run a program in which whoever imports torch fails."""
    program = f"import sys; sys.modules['torch'] = None\n{program}"
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


NEED_NO_TORCH = [
    "ganlet.config",
    "ganlet.data.source",
    "ganlet.export.serving.server",
    "ganlet.export.serving.workers",
    "ganlet.losses",
    "ganlet.networks.optimizers",
    "ganlet.networks.settings",
    "ganlet.objective.losses",
    "ganlet.objective.settings",
    "ganlet.penalties",
]


def test_settings_are_read_and_refused_without_torch():
    result = without_torch(f"import {', '.join(NEED_NO_TORCH)}\n{TYPO}")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    "arguments", [("train", "--set", "sede=1"), ("train", "--set", "objective.loss.kind=hinje"), ("list", "setings")]
)
def test_the_command_line_refuses_a_typo_without_torch(arguments):
    result = without_torch("from ganlet.cli import main; main()", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(("One setting is not possible", "There is no list"))


def test_what_there_is_to_choose_from_is_listed_without_torch():
    things = ["losses", "networks", "penalties", "presets", "schedules", "settings", "datasets"]
    listed = "from ganlet.cli.listing import list_things\nfor what in sys.argv[1:]: list_things(what); print('END')"
    result = without_torch(listed, *things)
    assert (result.returncode, result.stderr) == (0, "")
    parts = result.stdout.split("END\n")
    assert len(parts) == len(things) + 1
    assert all(parts[:-1])


def test_networks_themselves_need_torch():
    assert "import of torch halted" in without_torch("import ganlet.networks.mlp").stderr
