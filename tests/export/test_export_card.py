"""Model cards: true, whole, and with no name in them that is more than a name."""

from __future__ import annotations

import html
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

import ganlet
from ganlet.errors import ConfigError, RunError
from ganlet.export import to_card
from ganlet.export.card_sections import SECTIONS, front_matter, opening
from ganlet.export.facts import Facts, gather
from ganlet.export.markdown import code, plain, word
from ganlet.runs.folder import RunFolder
from ganlet.workflows import evaluating

EVIL = [
    "<script>alert(1)</script>",
    "a\n---\nlicense: mit",
    "`x` | y",
    "[a](javascript:b)",
    "![a](http://b)",
    "{{ x }}",
]


@pytest.fixture
def run(plain_run, tmp_path) -> Path:
    return Path(shutil.copytree(plain_run.path, tmp_path / "cats"))


@pytest.fixture(scope="module")
def facts(plain_run) -> Facts:
    return gather(plain_run.folder)


def text_of(facts: Facts) -> str:
    return "\n\n".join([front_matter(facts), opening(facts, "samples.png", 64, 0), *(part(facts) for part in SECTIONS)])


def settings(run: Path, **changes: str) -> None:
    """Write other settings of the pictures into the config of a run."""
    path = run / "config.yaml"
    tree = yaml.safe_load(path.read_text())
    tree["data"].update(changes)
    path.write_text(yaml.safe_dump(tree, sort_keys=False))


def head_of(card: str) -> dict:
    return yaml.safe_load(card.split("---\n")[1])


def test_a_card_and_its_sheet(run):
    card, sheet = to_card(run)
    assert (card, sheet) == (run / "README.md", run / "samples.png")
    text = card.read_text()
    head = head_of(text)
    assert (head["license"], head["library_name"]) == ("unknown", "ganlet")
    assert head["pipeline_tag"] == "unconditional-image-generation"
    assert "model-index" not in head
    assert "# cats" in text
    assert "16x16 colour pictures" in text
    assert json.loads((run / "environment.json").read_text())["data"]["fingerprint"] in text
    assert ganlet.sample(run, 1).shape == (1, 16, 16, 3)
    assert "160, in batches of 16; 160 were asked for" in text


def test_no_section_is_empty_and_what_is_unknown_is_said_with_its_command(run):
    text = to_card(run)[0].read_text()
    sections = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert len(sections) == len(SECTIONS) + 1
    assert all(section.partition("\n")[2].strip() for section in sections)
    assert text.count("`ganlet evaluate cats` does") == 2
    assert "**unknown**" in text


def test_the_same_run_gives_the_same_bytes(run, tmp_path):
    first = [path.read_bytes() for path in to_card(run)]
    (tmp_path / "away").mkdir()
    again = to_card(Path(shutil.move(run, tmp_path / "away" / "cats")))
    assert [path.read_bytes() for path in again] == first


def test_the_three_lines_work_where_the_card_lies(run, monkeypatch):
    (block,) = re.findall(r"```python\n(.*?)```", to_card(run)[0].read_text(), re.DOTALL)
    assert len(block.splitlines()) <= 3
    monkeypatch.chdir(run)
    names: dict = {}
    exec(block, names)
    assert str(names["pictures"].shape) in block
    assert np.array_equal(names["pictures"], ganlet.sample(run, 16, seed=0))


def test_the_sheet_is_drawn_again_by_its_certificate(run):
    from ganlet.workflows.whence import whence

    found = whence(to_card(run)[1], run)
    assert (found.difference, len(found.certificate)) == (0, 64)


@pytest.fixture(scope="module")
def evaluated(plain_run, tmp_path_factory) -> str:
    """The row of an evaluation."""
    run = shutil.copytree(plain_run.path, tmp_path_factory.mktemp("evaluated") / "cats")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluating, "redraw", lambda *_, **__: None)
        ganlet.evaluate(run, 100, extractor="pixels", metrics=["kernel", "memorisation"])
    return (run / "evaluations.jsonl").read_text()


def test_what_was_measured_is_told_with_protocol_spread_and_floor(run, evaluated):
    (run / "evaluations.jsonl").write_text(evaluated)
    text = to_card(run)[0].read_text()
    (index,) = head_of(text)["model-index"]
    measured = {one["type"]: one["value"] for one in index["results"][0]["metrics"]}
    row = json.loads((run / "evaluations.jsonl").read_text())
    assert measured == {one["name"]: one["value"] for one in row["measurements"]}
    assert row["protocol"]["extractor_identity"][:12] in text
    assert "±" in text
    assert "The floor is the same number for" in text
    assert "ganlet evaluate" not in text or "memorisation" in str(row["refused"])


@pytest.mark.parametrize("name", [*EVIL, "`; touch x # `", "x" * 300, "it's", "plain"])
def test_a_command_in_code_is_the_command_or_has_a_placeholder(name):
    shown = code(f"ganlet sample FILE --label {word(name, 'NAME')}")
    assert shlex.split(shown.strip("`")) in [["ganlet", "sample", "FILE", "--label", last] for last in (name, "NAME")]


def test_copies_of_training_pictures_are_told(run, evaluated):
    row = json.loads(evaluated)
    copies = row["measurements"][0] | {"metric": "memorisation", "value": 0.02, "spread": 0.007, "note": "Half a sheet"}
    copies["protocol"] = copies["protocol"] | {"num_fakes": 1_234}
    row["measurements"].append(copies)
    (run / "evaluations.jsonl").write_text(json.dumps(row) + "\n")
    text = to_card(run)[0].read_text()
    assert "**0.0200 ± 0.0070** (of 1; 1,234 pictures drawn). Half a sheet." in text


def test_numbers_of_other_weights_are_told_as_such(run, evaluated):
    (run / "evaluations.jsonl").write_text(evaluated.replace('"images_seen": 160', '"images_seen": 64'))
    text = to_card(run)[0].read_text()
    assert "**Measured after 64 images (ema weights), and the weights here are of 160" in text
    assert "model-index" not in head_of(text)
    assert "model-index" in head_of(to_card(run, checkpoint=64)[0].read_text())


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC-BY-4.0", {"license": "cc-by-4.0"}),
        ("unknown", {"license": "unknown"}),
        ("ask Jane: she knows", {"license": "other", "license_name": "ask Jane: she knows"}),
    ],
)
def test_the_licence_is_that_of_the_config_as_it_is_now(run, licence, expected):
    settings(run, licence=licence)
    text = to_card(run)[0].read_text()
    assert {key: value for key, value in head_of(text).items() if key.startswith("license")} == expected
    assert (plain(licence) if licence != "unknown" else "**unknown**") in text


@pytest.mark.parametrize("evil", EVIL)
def test_a_name_is_never_more_than_a_name(facts, evil):
    config = facts.config.model_copy(
        update={"data": facts.config.data.model_copy(update={"source": evil, "licence": evil})}
    )
    classes = {evil: 900, "b": 3}
    changed = replace(facts, name=evil, config=config, data={**facts.data, "classes": classes, "kind": evil})
    text = text_of(changed)
    head, body = front_matter(changed), text.split("---\n", 2)[2]
    assert head_of(head)["license_name"] == " ".join(evil.split())
    assert len(re.findall(r"^---$", text, re.MULTILINE)) == 2
    outside = re.sub(r"`[^`\n]*`", "", body)
    assert "<script" not in outside
    assert re.findall(r"(?<!\\)\]\((?!samples\.png\))", outside) == []
    usual = text_of(facts)
    assert {line.count("|") for line in body.splitlines() if line.startswith("| name")} == {
        line.count("|") for line in usual.splitlines() if line.startswith("| name")
    }


def test_plain_text_comes_back_as_it_was():
    for text in (*EVIL[2:], "50% of a_b * c", "www.x.org http://y"):
        shown = html.unescape(re.sub(r"\\([\\`*_{}\[\]#|~!$])", r"\1", plain(text)))
        assert shown == text
    assert code("a`b|c\nd") == "`a'b¦c d`"


def test_limits_follow_from_the_facts(facts):
    data = {**facts.data, "count": 100, "num_enlarged": 40, "classes": {"cat": 90, "dog": 2}}
    text = SECTIONS[6](replace(facts, data={**data, "kind": "folder"}, images_seen=100))
    for words in ("100 pictures", "That is few", "40 of 100", "classes are uneven: cat has 90", "stands at 100"):
        assert words in text
    assert "real people" not in SECTIONS[6](facts)  # smileys are drawn by code
    other = facts.config.model_copy(update={"data": facts.config.data.model_copy(update={"source": "pics"})})
    assert "real people" in SECTIONS[6](replace(facts, config=other))


@pytest.mark.parametrize("name", ["README.md", "samples.png"])
def test_what_somebody_else_wrote_is_not_overwritten(run, name):
    (run / name).write_bytes(b"mine")
    with pytest.raises(ConfigError, match="ganlet did not write"):
        to_card(run)
    assert (run / name).read_bytes() == b"mine"
    assert not (run / ({"README.md", "samples.png"} - {name}).pop()).exists()


def test_a_run_without_a_generator(run):
    (run / "generator.safetensors").unlink()
    with pytest.raises(RunError, match="its checkpoints have a generator"):
        to_card(run)
    assert not (run / "README.md").exists()


def test_a_card_of_a_zip_lies_beside_it(plain_run, tmp_path):
    zipped = plain_run.zip(tmp_path / "cats.zip")
    card, _ = to_card(zipped)
    assert card == tmp_path / "cats-card" / "README.md"
    assert "# plain" in card.read_text()


def test_a_run_in_training_is_told(run, capsys):
    class Told:
        lines: list[str] = []  # noqa: RUF012

        def say(self, text):
            self.lines.append(text)

        def progress(self, *_): ...

    with RunFolder(run).lock():
        to_card(run, reporter=Told())
    assert any("in training" in line for line in Told.lines)
