"""What README and docs show must work, and what they point to must be there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ganlet.cli.app import app
from ganlet.config import presets
from ganlet.workflows import training

ROOT = Path(__file__).parents[1]
COMMANDS = {command.name for command in app.registered_commands}
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document):
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8"))
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert missing == []


def test_the_library_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    small = '"train.total_images": 1_000, "data.num_images": 64, "generator.width": 4, "discriminator.width": 4'
    assert '"train.total_images": 20_000' in code
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "finish", lambda session, state: None)
    exec(code.replace('"train.total_images": 20_000', small), {})
    assert "(16, 32, 32, 3)" in capsys.readouterr().out
    assert (tmp_path / "runs" / "faces" / "generator.safetensors").exists()


def test_the_commands_of_the_readme_are_ones_that_there_are():
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    commands = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {command[1] for command in commands if command[0] == "make"} <= set(targets)
    assert {command[1] for command in commands if command[0] == "ganlet"} <= COMMANDS
    assert {command[0] for command in commands} == {"make", "ganlet"}


@pytest.mark.parametrize("name", presets.names())
def test_the_changelog_names_every_preset(name):
    assert f"`{name}`" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
