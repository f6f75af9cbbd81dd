"""The layers of the design, as import-linter's contract in pyproject.toml has them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

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
