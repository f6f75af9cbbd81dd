"""What README and docs show must work, and what they point to must be there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from ganlet.cli.app import app
from ganlet.cli.options import overrides_tree
from ganlet.config import presets, without_effect
from ganlet.config.schema import GrowingConfig
from ganlet.config.tree import paths
from ganlet.networks import optimizers
from ganlet.networks import settings as networks
from ganlet.objective import losses, penalties
from ganlet.objective import settings as objective
from ganlet.settings import Settings
from ganlet.workflows import training
from ganlet.workflows.configuring import make_config
from ganlet.workflows.measuring import Measurer

ROOT = Path(__file__).parents[1]
COMMANDS = {command.name for command in [*app.registered_commands, *app.registered_groups]}
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
GUIDE = sorted(ROOT.glob("docs/guide/*.md"))
GUIDE_CODE = " ".join(re.findall(r"```(?:sh|python)\n.*?```|`[^`\n]+`", "".join(map(Path.read_text, GUIDE)), re.DOTALL))
GUIDED = [
    *(found for module in (networks, objective, losses, penalties, optimizers) for found in vars(module).values()),
    GrowingConfig,
]
TOLD_IN_THE_GUIDE = {
    model for model in GUIDED if isinstance(model, type) and issubclass(model, Settings) and model is not Settings
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(document):
    prose = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#]+)\)", prose)
    missing = [target for target in targets if "://" not in target and not (document.parent / target).exists()]
    assert missing == []


def test_the_library_example_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    small = '"train.total_images": 1_000, "data.num_images": 64, "generator.width": 4, "discriminator.width": 4'
    assert '"train.total_images": 20_000' in code
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "redraw", lambda *_: None)
    monkeypatch.setattr(Measurer, "__call__", lambda self, event: None)  # longer than all the rest, and no part of it
    exec(code.replace('"train.total_images": 20_000', small), {})
    assert "(16, 32, 32, 3)" in capsys.readouterr().out
    assert (tmp_path / "runs" / "faces" / "generator.safetensors").exists()


LIBRARY = (ROOT / "docs/guide/library.md").read_text(encoding="utf-8")
PROGRAMS = {
    section.splitlines()[0]: "".join(re.findall(r"```python\n(.*?)```", section, re.DOTALL))
    for section in LIBRARY.split("\n## ")[1:]
}


@pytest.mark.parametrize("title", PROGRAMS)
def test_the_programs_of_the_guide_run(title, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(training, "redraw", lambda *_: None)
    monkeypatch.setattr(Measurer, "__call__", lambda self, event: None)  # longer than all the rest, and no part of it
    kept = dict(losses.LOSSES)
    try:
        exec(PROGRAMS[title].replace('"train.total_images": 4_000', '"train.total_images": 320'), {})
    finally:
        losses.LOSSES.clear()
        losses.LOSSES.update(kept)
    assert capsys.readouterr().out.strip()


def test_the_programs_of_the_guide_are_short():
    blocks = re.findall(r"```python\n(.*?)```", LIBRARY, re.DOTALL)
    assert len(PROGRAMS) == 5
    assert max(len([line for line in block.splitlines() if line.strip()]) for block in blocks) <= 23


def test_the_commands_of_the_readme_are_ones_that_there_are():
    commands = _commands(ROOT / "README.md")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {command[1] for command in commands if command[0] == "make"} <= set(targets)
    assert {command[1] for command in commands if command[0] == "ganlet"} <= COMMANDS
    assert {command[0] for command in commands} == {"make", "ganlet"}


@pytest.mark.parametrize("name", presets.names())
def test_the_changelog_names_every_preset(name):
    assert f"`{name}`" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", GUIDE, ids=lambda path: path.stem)
def test_the_commands_of_the_guide_are_accepted_and_all_of_their_settings_do_something(page):
    for ganlet, verb, *arguments in _commands(page):
        assert (ganlet, verb in COMMANDS) == ("ganlet", True)
        if verb == "train":
            preset = arguments[arguments.index("--preset") + 1]
            overrides = [arguments[i + 1] for i, name in enumerate(arguments) if name == "--set"]
            config = make_config(preset, arguments[0], overrides=overrides_tree(overrides))
            assert without_effect(config) == [], shlex.join(arguments)


@pytest.mark.parametrize("page", GUIDE, ids=lambda path: path.stem)
def test_the_settings_that_the_guide_names_are_there(page):
    groups = "|".join(sorted({path.partition(".")[0] for path in paths() if "." in path}))
    named = re.findall(rf"`(?!generator\.safetensors)((?:{groups})\.[a-z_0-9.]+)", page.read_text(encoding="utf-8"))
    assert [path for path in named if re.sub(r"\.\d+", "", path) not in paths()] == []


@pytest.mark.parametrize("model", sorted(TOLD_IN_THE_GUIDE, key=lambda model: model.__name__))
def test_the_guide_tells_of_every_setting_kind_and_value(model):
    words = set(model.model_fields)
    for field in model.model_json_schema()["properties"].values():
        for choice in [field, field.get("items", {}), *field.get("anyOf", [])]:
            words |= {word for word in [choice.get("const"), *choice.get("enum", [])] if isinstance(word, str)}
    assert {word for word in words if not re.search(rf"\b{word}\b", GUIDE_CODE)} == set()


def _commands(document: Path) -> list[list[str]]:
    """The commands in the shell blocks of a document, as lists of words."""
    blocks = re.findall(r"```sh\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
