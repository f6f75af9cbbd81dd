from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from ganlet.errors import ConfigError, DataError, ResourceProblem
from ganlet.workflows import inspecting
from ganlet.workflows.configuring import make_config
from ganlet.workflows.inspecting import inspect, page_path, require_usable, write_config, write_page
from ganlet.workflows.inspection import cost as cost_module
from ganlet.workflows.inspection.cost import Cost, measure_cost
from ganlet.workflows.inspection.words import as_text

COST = Cost("cpu", 1_000.0, 90_000, 90.0, 2**20)
AWKWARD = "x<b>&\u202e\n\x1b[31m.png"


def scene(seed, height=40, width=40):
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module", autouse=True)
def not_timed():
    """Timing takes seconds; it has a test of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspecting, "measure_cost", lambda *_: COST)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A set with something of everything: labels, a copy, a blank one, a broken one, awkward names; to be looked at."""
    root = tmp_path_factory.mktemp("sets") / "the <set>"
    for start, label in enumerate(("cats", "dogs & co")):
        (root / label).mkdir(parents=True)
        for number in range(40):
            scene(100 * start + number).save(root / label / f"{number:02}.png")
    scene(600).save(root / "cats" / AWKWARD)
    scene(600).save(root / "cats" / "copy.png")
    Image.new("RGB", (30, 30), "red").save(root / "cats" / "red.png")
    (root / "dogs & co" / "broken\u202e.png").write_bytes(b"no picture")
    (root / "notes.txt").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def inspection(folder, not_timed):
    return inspect(folder, device="cpu")


@pytest.fixture(scope="module")
def page_text(inspection, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "page.html"
    write_page(inspection, path)
    return path.read_text()


class Page(HTMLParser):
    """A page taken apart: tags with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def test_json_has_everything_and_survives_a_round_trip(inspection):
    told = inspection.as_json()
    assert json.loads(json.dumps(told)) == json.loads(json.dumps(told, default=str)), "plain data only"
    assert set(told) == {
        *("ganlet", "source", "kind", "pictures", "mirror_accuracy", "findings", "advice", "config", "command", "cost")
    }
    assert told["kind"] == "folder"
    assert (told["pictures"]["found"], told["pictures"]["usable"], told["pictures"]["broken"]) == (84, 83, 1)
    assert {"broken", "duplicates", "blank", "few", "ignored"} <= {finding["kind"] for finding in told["findings"]}
    for finding in told["findings"]:
        assert set(finding) == {
            *("kind", "severity", "title", "meaning", "next", "count", "pictures", "groups", "lines")
        }
        assert finding["severity"] in ("problem", "warning", "note")
        assert all(isinstance(finding[part], str) and finding[part] for part in ("kind", "title", "meaning", "next"))
        assert finding["count"] >= 1
    for advice in told["advice"]:
        assert set(advice) == {"setting", "value", "why"}
    assert told["cost"]["images_per_second"] == 1_000.0


def test_names_in_json_lead_back_to_the_files(inspection, folder):
    told = json.loads(json.dumps(inspection.as_json()))
    by_kind = {finding["kind"]: finding for finding in told["findings"]}
    (group,) = by_kind["duplicates"]["groups"]
    assert sorted(group) == sorted(["cats/copy.png", f"cats/{AWKWARD}"])
    assert all((folder / name).is_file() for name in group)
    (line,) = by_kind["broken"]["lines"]
    assert (folder / line["name"]).is_file()


def test_the_text_shows_no_control_or_direction_characters(inspection):
    text = as_text(inspection)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert r"\u202e" in text
    assert "PROBLEM: 1 picture of 84 cannot be used." in text
    assert "images/s" in text


def test_the_page_needs_nothing_but_itself(page_text):
    page = Page(page_text)
    sources = [attributes[key] for _, attributes in page.tags for key in ("src", "srcset", "href") if key in attributes]
    assert len(sources) > 10
    assert all(source.startswith("data:image/") for source in sources)
    assert not {tag for tag, _ in page.tags} & {"script", "link", "iframe", "b"}
    (policy,) = [attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes]
    assert "default-src 'none'" in policy
    assert "url(" not in page_text


def test_every_chart_is_there_for_light_and_dark(page_text):
    charts = [attributes["alt"] for tag, attributes in Page(page_text).tags if "Chart" in attributes.get("alt", "")]
    assert charts == ["Chart: Sizes", "Chart: Shapes", "Chart: Light", "Chart: Classes"]
    assert page_text.count('(prefers-color-scheme: dark)" srcset=') == len(charts)


def test_the_page_escapes_names(page_text):
    assert "x&lt;b&gt;&amp;\\u202e\\n\\x1b[31m.png" in page_text
    assert "\u202e" not in page_text
    assert "the &lt;set&gt;" in page_text
    assert "dogs &amp; co" in page_text


def test_the_page_shows_the_pictures_of_each_finding(page_text):
    page = Page(page_text)
    for words in ("cats/copy.png", "cats/red.png", "What was found", "What is in there", "In numbers", "What fits"):
        assert words in page.text
    assert "72 of them, evenly chosen" in page.text


def test_a_source_without_a_usable_picture(tmp_path):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_bytes(b"")
    inspection = inspect(tmp_path / "bad", device="cpu")
    assert [finding.kind for finding in inspection.findings] == ["broken"]
    assert (inspection.config, inspection.command, inspection.as_json()["config"]) == (None, "", {})
    assert "None of 1 pictures can be used." in as_text(inspection)
    write_page(inspection, tmp_path / "page.html")
    assert "empty file" in (tmp_path / "page.html").read_text()
    with pytest.raises(DataError, match="Not a single picture"):
        require_usable(inspection)


def test_a_missing_source():
    with pytest.raises(DataError, match="no such source"):
        inspect("nowhere", device="cpu")


class TestConfig:
    def test_it_trains_as_it_is(self, inspection, tmp_path, cli):
        path = tmp_path / "advised.yaml"
        write_config(inspection, path)
        config = make_config(file=path)
        assert config.data.source.endswith("the <set>")
        assert config.data.skip_bad
        two_iterations = f"train.total_images={2 * config.train.batch_size}"
        code, _, error = cli(
            *("train", "--config", path, "--out", tmp_path / "run", "--device", "cpu"),
            *("--set", two_iterations, "--set", "health.every=0", "--set", "evaluate.metric=none"),
            *("--set", "train.log_every=32"),
        )
        assert code == 0, error
        rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
        assert max(row["images_seen"] for row in rows) == 2 * config.train.batch_size

    def test_it_gives_the_config_that_was_timed(self, inspection, tmp_path):
        write_config(inspection, tmp_path / "advised.yaml")
        config = make_config(file=tmp_path / "advised.yaml")
        assert config.data == inspection.config.data
        assert config.generator == inspection.config.generator
        reasons = (tmp_path / "advised.yaml").read_text()
        assert all(advice.why in reasons for advice in inspection.advice)

    def test_the_command_gives_the_same(self, inspection):
        words = inspection.command.split(" --set ")
        assert words[0].endswith("--preset quick")
        changes = dict(word.strip("'").split("=", 1) for word in words[1:])
        assert changes["data.skip_bad"] == "true"
        config = make_config("quick", inspection.settings["data"]["source"], overrides=read_back(changes))
        assert config.data == inspection.config.data

    def test_what_is_given_is_taken(self, folder):
        given = {"data": {"size": "48x40"}, "train.batch_size": 8}
        inspection = inspect(folder, given, device="cpu")
        assert inspection.config.data.size == (48, 40)
        assert inspection.config.train.batch_size == 8
        assert inspection.settings["preset"] == "standard"
        assert "data.size" not in {advice.setting for advice in inspection.advice}

    def test_nothing_is_overwritten(self, inspection, tmp_path):
        path = tmp_path / "mine.yaml"
        path.write_text("mine")
        with pytest.raises(ConfigError, match="exists already"):
            inspecting.config_path(path)

    def test_a_folder_whose_name_is_no_text(self, tmp_path):
        root = tmp_path / "bytes\udcff"
        root.mkdir()
        for number in range(3):
            scene(number).save(root / f"{number}.png")
        inspection = inspect(root, device="cpu")
        write_config(inspection, tmp_path / "advised.yaml")
        assert make_config(file=tmp_path / "advised.yaml").data.source == str(root)
        write_page(inspection, tmp_path / "page.html")
        assert r"bytes\udcff" in as_text(inspection)


def read_back(changes):
    """Settings as they are read from a command line."""
    return {path: yaml.safe_load(value) for path, value in changes.items()}


@pytest.mark.parametrize(
    ("out", "expected"),
    [("a.html", "a.html"), ("a.HTM", "a.HTM"), (".", "inspect-pictures.html")],
)
def test_where_the_page_goes(tmp_path, monkeypatch, out, expected):
    monkeypatch.chdir(tmp_path)
    assert page_path(Path(out), "some/pictures.zip") == Path(expected)


@pytest.mark.parametrize("out", ["notes.md", "nowhere/a.html"])
def test_where_the_page_may_not_go(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError):
        page_path(Path(out), "pictures")


def test_a_config_that_does_not_fit_into_memory_is_no_error(folder, monkeypatch, told):
    def full(*_):
        raise ResourceProblem("There is not enough memory.")

    monkeypatch.setattr(inspecting, "measure_cost", full)
    inspection = inspect(folder, device="cpu", reporter=told)
    assert inspection.cost is None
    assert "could not be timed: There is not enough memory." in told.text
    assert "On this machine" not in as_text(inspection)


def test_cost(tiny_config):
    config = tiny_config({"data.channels": 3})
    cost = measure_cost(config, num_pictures=1_000, device=torch.device("cpu"), seconds=0.05)
    assert cost.images_per_second > 0
    assert cost.seconds == pytest.approx(cost.total_images / cost.images_per_second, abs=0.06)
    assert cost.memory > 1_000 * 16 * 16 * 3
    assert cost.total_images == 160


def test_the_first_iterations_do_not_count_where_there_are_more(monkeypatch):
    watch = cost_module.Stopwatch(limit=1, device=None, times=[10.0, 11.0, 12.0, 12.5, 13.0], begun=0.0)
    assert watch.seconds_each == 0.5
    assert cost_module.Stopwatch(limit=1, device=None, times=[10.0], begun=0.0).seconds_each == 10.0
