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


GUIDE = sorted(ROOT.glob("docs/guide/*.md"))
GUIDE_TEXT = "\n".join(path.read_text(encoding="utf-8") for path in GUIDE)
GUIDE_GROUPS = ("generator.", "discriminator.", "objective.", "train.growing.")
GUIDE_SETTINGS = (
    "data.labels data.label_names data.balance data.flip data.holdout train.n_critic train.n_generator train.accumulate "
    "train.init_from train.precision train.deterministic train.cuda_graph train.sync_batch_norm"
).split()


@pytest.mark.parametrize("page", GUIDE, ids=lambda path: path.stem)
def test_the_commands_of_the_guide_are_accepted(page):
    for command in _commands(page.read_text(encoding="utf-8")):
        assert command[0] == "ganlet"
        assert command[1] in COMMANDS
        arguments = command[2:]
        if command[1] == "train":
            options = {name: arguments[i + 1] for i, name in enumerate(arguments) if name in ("--preset", "--init-from")}
            overrides = [arguments[i + 1] for i, name in enumerate(arguments) if name == "--set"]
            if "--init-from" in options:
                overrides.append(f"train.init_from={options['--init-from']}")
            source = None if arguments[0].startswith("--") else arguments[0]
            config = make_config(options.get("--preset", "quick"), source, overrides=overrides_tree(overrides))
            assert not _pointless(config), shlex.join(command)


@pytest.mark.parametrize("page", GUIDE, ids=lambda path: path.stem)
def test_settings_that_the_guide_names_are_ones_that_there_are(page):
    roots = "|".join({path.partition(".")[0] for path in tree.paths() if "." in path})
    named = re.findall(rf"`((?:{roots})\.[a-z_0-9.]+)", page.read_text(encoding="utf-8"))
    unknown = [path for path in named if re.sub(r"\.\d+", "", path) not in tree.paths()]
    assert unknown == []


def test_the_guide_tells_of_every_setting_of_networks_objective_and_training():
    settings = [path for path in tree.paths() if path.startswith(GUIDE_GROUPS)] + GUIDE_SETTINGS
    # Settings that several kinds share are told once: by their own name, or with the name of their group.
    missing = [path for path in settings if not re.search(rf"[`. {{]{path.rpartition('.')[2]}[`:= .]", GUIDE_TEXT)]
    assert missing == []


def test_the_guide_tells_of_every_kind_and_value():
    values = {
        path: value
        for path, model, name in _fields(RunConfig)
        if path.startswith(GUIDE_GROUPS) and not path.endswith(".kind")
        for value in _words(model.model_fields[name].annotation)
    }
    assert "adaptive" in {path.rpartition(".")[2] for path in values}
    kinds = {(path, kind) for path, having in tree.paths().items() if path.endswith(".kind") for kind in having}
    wanted = {kind for path, kind in kinds if path.startswith(GUIDE_GROUPS)} | set(values.values())
    assert {value for value in wanted if not re.search(rf"[`=\[ ]{value}[`,\]}} ]", GUIDE_TEXT)} == set()
