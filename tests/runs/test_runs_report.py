from __future__ import annotations

import base64
import html
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from ganlet.config import build_config, dump_yaml
from ganlet.images import enlarge, grid
from ganlet.objective.losses import LOSSES
from ganlet.runs.folder import RunFolder
from ganlet.runs.markup import TEMPLATES, duration
from ganlet.runs.pictures import opaque, save_sheet
from ganlet.runs.plots import AUGMENTATION as STRENGTH
from ganlet.runs.plots import LABELS, NORMS, PENALTIES, SCORES, VERDICTS
from ganlet.runs.plots import LOSSES as PLAYERS
from ganlet.runs.report import write_report

VOID = {"meta", "img", "br", "source"}
FACTS = {
    "parameters": {"generator": 1_068_355, "discriminator": 662_401},
    "seconds": 121.4,
    "images_per_second": 1647.0,
    "finished": True,
    "resumes": 2,
}
SKIPPED = [{"name": f"broken/{number}.jpg", "reason": "cut short"} for number in range(7)]
DATA = {
    "count": 500,
    "modes": {"RGB": 480, "L": 20},
    "classes": {"cat": 200, "dog": 300},
    "num_duplicates": 3,
    "num_enlarged": 0,
    "ignored": {".txt": 2},
    "skipped": SKIPPED,
    "fingerprint": "0123abcd" * 8,
}
MACHINE = {"ganlet": "0.1.0", "torch": "2.13.0", "python": "3.11.7", "device": "cpu", "device_name": "Thinker 9000"}


def words_of(markup: str) -> str:
    """What is read, a space between words."""
    return " ".join(html.unescape(re.sub("<[^>]+>", "", markup)).split())


class Page(HTMLParser):
    """A page taken apart: its tags with their attributes, and its text; raises when tags are not nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.cells: list[str] = []
        self.feed(text)
        assert self.open == [], "all tags are closed"
        self.text = " ".join(self.text.split())
        self.table = dict(zip(self.cells[::2], self.cells[1::2], strict=True))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("th", "td"):
            self.cells.append("")
        elif tag == "br" and self.cells:
            self.cells[-1] += "\n"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data
        if {"th", "td"} & {*self.open}:
            self.cells[-1] += " ".join(data.split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def headings(self) -> list[str]:
        return re.findall("What it draws|How it learned|What the numbers say|The run|Do more", self.text)


@pytest.fixture
def make_run(tmp_path):
    """A run folder with some of what a run leaves."""

    def make(*, moments=(0, 5000, 10_000), rows=20, environment=True, real=True, **settings) -> RunFolder:
        base = {"data": {"size": 8, "channels": 3}, "train": {"total_images": 10_000}, "evaluate": {"num_samples": 4}}
        config = build_config([base, settings])
        folder = RunFolder.create(tmp_path / "my run", dump_yaml(config))
        random = np.random.default_rng(0)
        shape = (4, *config.data.size, config.data.channels)
        for name in [*(f"{moment:09}" for moment in moments), *(["real"] if real else [])]:
            save_sheet(folder.samples_path / f"{name}.png", random.integers(0, 256, shape, np.uint8))
        lines = [json.dumps(log_row(500 * number)) for number in range(1, rows + 1)]
        if lines:
            folder.metrics_path.write_text("\n".join(lines) + "\n")
        if environment:
            record = {"created": "2026-05-09T07:35:25+00:00", "data": DATA, "sessions": [MACHINE]}
            folder.environment_path.write_text(json.dumps(record))
        return folder

    return make


def log_row(images_seen: int, **changes: float) -> dict:
    return {
        "images_seen": images_seen,
        "discriminator_loss": 0.55,
        "generator_loss": 2.19,
        "real_logit": 1.5,
        "fake_logit": -0.5,
        "real_probability": 0.7,
        "fake_probability": 0.3,
        "discriminator_gradient_norm": 2.0,
        "generator_gradient_norm": 1.0,
        "images_per_second": 800.0,
        "seconds": images_seen / 800,
        **changes,
    }


def page_of(folder: RunFolder, **facts) -> Page:
    path = write_report(folder, facts=facts)
    assert path == folder.report_path
    return Page(path.read_text("utf-8"))


def pictures_in(page: Page) -> list[Image.Image]:
    uris = [attributes["src"] for attributes in page.all("img")] + [entry["srcset"] for entry in page.all("source")]
    return [Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2], validate=True))) for uri in uris]


def lead_of(folder: RunFolder, **facts) -> str:
    text = write_report(folder, facts=facts).read_text("utf-8")
    return words_of(re.search('<p class="lead">(.*?)</p>', text, re.DOTALL).group(1))


def paragraph_of(section: str, heading: str) -> str:
    return words_of(re.search(rf"<h3>{re.escape(heading)}</h3>\s*<p>(.*?)</p>", section, re.DOTALL).group(1))


def test_the_page_needs_nothing_but_itself(make_run):
    folder = make_run()
    page = page_of(folder, **FACTS)
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("style", "href")]
        for name in ("src", "srcset"):
            assert (attributes.get(name) or "data:image/").startswith("data:image/")
    style = re.search("<style>(.*?)</style>", folder.report_path.read_text(), re.S).group(1)
    assert "url(" not in style
    assert "@import" not in style
    policy = next(entry["content"] for entry in page.all("meta") if "http-equiv" in entry)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    assert "script-src" not in rules


def test_the_page_tells_the_whole_story(make_run):
    page = page_of(make_run(preset="faces"), **FACTS)
    assert page.headings() == ["What it draws", "How it learned", "What the numbers say", "The run", "Do more"]
    assert "faces on smileys" in page.text
    assert "1,068,355 weights (DCGAN), trained on 10,000 images in 2 min 1 s" in page.text
    assert "met each about 20 times" in page.text
    assert "not finished" not in page.text
    assert "latent_size" in page.text, "the whole config is there"


def test_every_picture_is_inline_and_has_an_alternative_text(make_run):
    page = page_of(make_run())
    images = page.all("img")
    assert [bool(entry["alt"]) for entry in images] == [True] * 5
    assert len({entry["alt"] for entry in images}) == 5
    final, real, film, progression, light, dark = pictures_in(page)
    assert final.size == real.size
    assert film.n_frames == 3
    assert progression.mode == "RGBA"
    assert light.size == dark.size


@pytest.mark.parametrize(("channels", "size"), [(1, [16, 8]), (3, [8, 8]), (4, [8, 24])])
def test_the_last_grid_is_shown_bit_by_bit_beside_the_real_one(make_run, channels, size):
    folder = make_run(moments=(500, 10_000), rows=0, data={"channels": channels, "size": size})
    shown = np.random.default_rng(1).integers(0, 256, (4, *size, channels), np.uint8)
    save_sheet(folder.samples_path / "000010000.png", shown)
    page = page_of(folder)
    sheet = enlarge(enlarge(grid(shown), 800), 1100)
    np.testing.assert_array_equal(np.asarray(pictures_in(page)[0]), opaque(sheet))
    assert ("chequered" in page.text) == (channels == 4)


HOSTILE = "<script>alert(1)</script>\"'&\u202egpj.exe\x1b[31m\x07\u2028"
VISIBLE = "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;\\u202egpj.exe\\x1b[31m\\x07\\u2028"


def test_hostile_text_is_escaped_wherever_it_comes_from(make_run):
    folder = make_run()
    benign = {tag for tag, _ in page_of(folder).tags}
    config = build_config([{"preset": HOSTILE, "data": {"source": f"/x/{HOSTILE}", "channels": 3, "size": 8}}])
    folder.config_path.write_text(dump_yaml(config))
    record = {"created": HOSTILE, "sessions": [dict.fromkeys([*MACHINE, "platform", "commit"], HOSTILE)]}
    folder.environment_path.write_text(json.dumps(record))
    data = {
        "modes": {HOSTILE: 1, "RGB": 2},
        "classes": {HOSTILE: 1},
        "ignored": {HOSTILE: 2},
        "skipped": [{"name": HOSTILE + "\udcff\n", "reason": HOSTILE}],
        "fingerprint": HOSTILE,
    }
    text = write_report(folder, facts={"data": data, "device": HOSTILE}).read_text("utf-8")
    assert {tag for tag, _ in Page(text).tags} == benign
    assert "<script" not in text
    assert text.count(VISIBLE) >= 12
    assert VISIBLE + "\\udcff\\n" in text
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e\u2028]", text)


def test_escaping_leaves_ordinary_text_alone():
    shown = TEMPLATES.from_string("{{ text }}").render
    assert shown(text="Käse 画像 (2).png") == "Käse 画像 (2).png"
    assert shown(text="a<b & 'c'\n\u200b\ud800") == "a&lt;b &amp; &#39;c&#39;\\n\\u200b\\ud800"


@pytest.mark.parametrize(
    ("missing", "headings"),
    [
        ({"moments": ()}, ["What it draws", "How it learned", "What the numbers say", "The run", "Do more"]),
        ({"moments": (), "rows": 0}, ["What it draws", "The run", "Do more"]),
        ({"moments": (), "rows": 0, "real": False, "environment": False}, ["The run", "Do more"]),
        ({"rows": 0, "environment": False}, ["What it draws", "How it learned", "The run", "Do more"]),
        ({"rows": 1, "real": False}, ["What it draws", "How it learned", "What the numbers say", "The run", "Do more"]),
    ],
)
def test_what_is_missing_is_left_out(make_run, missing, headings):
    page = page_of(make_run(**missing))
    assert page.headings() == headings
    assert len(page.all("img")) == 3 * bool(missing.get("moments", True)) + missing.get("real", True) + bool(
        missing.get("rows", True)
    )


def test_damaged_pictures_are_left_out(make_run):
    folder = make_run(moments=(10_000,))
    for name in ("real.png", "000010000.png"):
        (folder.samples_path / name).write_bytes(b"no picture")
    page = page_of(folder)
    assert "What it draws" not in page.headings()
    assert len(page.all("img")) == 1


def test_the_table_of_the_run(make_run):
    table = page_of(make_run(seed=7, objective={"penalties": [{"kind": "r1", "weight": 0.5}]}), **FACTS).table
    assert table["Images seen"] == "10,000"
    assert table["Time"] == "2 min 1 s"
    assert table["Speed"] == "1,647 images a second"
    assert table["Device"] == "cpu, Thinker 9000"
    assert table["Networks"] == "generator: DCGAN, 1,068,355 weights\ndiscriminator: DCGAN, 662,401 weights"
    assert table["Loss"] == "bce, r1 (weight 0.5)"
    assert table["Seed"] == "7"
    assert table["Resumed"] == "2 times"
    assert table["Source"] == "smileys"
    assert table["Pictures"].splitlines() == [
        "500 of 8 x 8, colour",
        "modes in the source: RGB 480, L 20",
        "exact duplicates: 3",
        "classes: 2",
        "other files, not read: .txt 2",
    ]
    assert table["Left out"].splitlines() == [f"broken/{n}.jpg: cut short" for n in range(5)] + ["and 2 more"]
    assert table["Data fingerprint"] == DATA["fingerprint"]
    assert table["Versions"] == "ganlet 0.1.0, torch 2.13.0, Python 3.11.7"
    assert table["Started"] == "2026-05-09T07:35:25+00:00"


def test_without_facts_the_folder_speaks(make_run):
    folder = make_run()
    with open(folder.metrics_path, "a") as file:
        file.write(json.dumps({"event": "resume", "images_seen": 10_000}) + "\n")
    table = page_of(folder).table
    assert table["Time"] == "12 s"
    assert table["Speed"] == "800 images a second"
    assert table["Resumed"] == "once"
    assert table["Networks"] == "generator: DCGAN\ndiscriminator: DCGAN"


def test_a_run_that_stopped_early_says_so(make_run):
    folder = make_run(moments=(0, 2500), rows=5)
    page = page_of(folder)
    assert "it is meant to see 10,000 images" in page.text
    assert f"ganlet resume '{folder.path.name}'" in page.text
    assert f"in the folder that {folder.path.name} lies in" in page.text
    assert "total_images=" not in page.text
    assert page.table["Images seen"] == "2,500 of 10,000"


def test_how_often_a_picture_was_met_is_told_only_when_that_is_more_than_once(make_run):
    told = lead_of(make_run(rows=1, moments=()))
    assert "500 images" in told
    assert "pictures to learn from" not in told


def measured(images_seen, value):
    return {"event": "measurement", "images_seen": images_seen, "name": "KD (ganlet)", "value": value, "error": 0.01}


def test_the_lead_tells_which_generator_is_kept(make_run):
    folder = make_run(rows=0)
    rows = [measured(5000, 0.1), measured(10_000, 0.25)]
    folder.metrics_path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    told = lead_of(folder, kept=5000)
    assert told.endswith(
        "It was measured closest to the real pictures after 5,000 images (KD (ganlet) 0.1, at last 0.25), so "
        "generator.safetensors is the generator of that moment."
    )
    for kept in (10_000, None):
        assert "generator.safetensors" not in lead_of(folder, kept=kept)


def test_why_it_ended_before_its_time_is_told_until_it_goes_on(make_run):
    folder = make_run(moments=(0, 5000), rows=10, evaluate={"num_samples": 4, "patience": 2000})
    with folder.metrics_path.open("a") as file:
        file.write(json.dumps({"event": "stop", "images_seen": 5000, "reason": "no <progress> in 2,000 images"}) + "\n")
    page = page_of(folder, finished=False)
    assert "It ended before the 10,000 images that it was meant to see: no <progress> in 2,000 images." in page.text
    assert "not finished" not in page.text
    assert "--set evaluate.patience=null" in page.text
    with folder.metrics_path.open("a") as file:
        file.write(json.dumps(log_row(5500)) + "\n")
    page = page_of(folder, finished=False)
    assert "no <progress>" not in page.text
    assert "This run is not finished" in page.text


def test_commands_can_be_copied(make_run):
    folder = make_run(seed=3, rows=0, moments=(10_000,))
    text = page_of(folder).text
    assert f"ganlet sample '{folder.path.name}' --num 16" in text
    assert f"ganlet resume '{folder.path.name}' --set train.total_images=20000" in text
    assert f"ganlet train --config '{folder.path.name}/config.yaml' --set seed=4" in text


@pytest.mark.parametrize(
    ("real", "fake", "words"),
    [
        (0.2, 0.8, "the wrong way round"),
        (0.52, 0.48, "hardly tell them apart"),
        (0.7, 0.3, "far from sure"),
        (0.9, 0.1, "sometimes fooled"),
        (0.99, 0.01, "hardly ever fooled"),
        (1.0, 0.0, "hardly ever fooled"),
    ],
)
def test_the_verdict_in_words_is_about_the_last_tenth(make_run, real, fake, words, section_of):
    folder = make_run(rows=0)
    rows = [log_row(500 * number, real_probability=0.5, fake_probability=0.5) for number in range(1, 19)]
    rows += [log_row(500 * number, real_probability=real, fake_probability=fake) for number in (19, 20)]
    folder.metrics_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = words_of(section_of(folder, "What the numbers say"))
    assert f"gave real pictures {real:.2f} and generated ones {fake:.2f}" in text
    assert words in text
    assert "2.19 for the generator and 0.55 for the discriminator" in text


@pytest.mark.parametrize(
    ("kind", "words"),
    [("hinge", "below -1"), ("lsgan", "to be at 1 and generated ones at 0"), ("wasserstein", "only their distance")],
)
def test_scores_that_are_no_probabilities_are_told_as_they_are(make_run, kind, words, section_of):
    text = words_of(section_of(make_run(objective={"loss": {"kind": kind}}), "What the numbers say"))
    assert "scored real pictures 1.5 and generated ones -0.5" in text
    assert "no probabilities" in text
    assert words in text
    assert "far from sure" not in text
    assert "where 1 means real" not in text


@pytest.mark.parametrize("kind", LOSSES)
def test_the_report_knows_what_the_scores_of_every_loss_mean(make_run, section_of, kind):
    folder = make_run(objective={"loss": {"kind": kind}}, moments=())
    loss = LOSSES[kind]()
    learned, numbers = (section_of(folder, heading) for heading in ("How it learned", "What the numbers say"))
    assert loss.probabilities == ("where 1 means real" in words_of(numbers))
    if not loss.probabilities:
        general = "How real the discriminator finds real and generated pictures."
        assert paragraph_of(learned, SCORES).removeprefix(general)
        assert not words_of(numbers.partition("</p>")[0]).endswith("on average.")


def test_a_relativistic_discriminator_is_read_by_its_distance(make_run, section_of):
    text = words_of(section_of(make_run(objective={"loss": {"kind": "relativistic"}}), "What the numbers say"))
    assert "ahead by 2.0 logits" in text
    assert "with 88% certainty" in text  # 1 / (1 + exp(-2)) = 0.881
    assert "gave real pictures" not in text


def test_missing_numbers_leave_sentences_out(make_run, section_of):
    folder = make_run(rows=0)
    row = {"images_seen": 100, "generator_loss": 1.0, "discriminator_loss": None, "real_probability": None}
    folder.metrics_path.write_text(json.dumps(row) + "\n")
    assert section_of(folder, "What the numbers say") == ""


@pytest.mark.parametrize(("kind", "penalties"), [("bce", []), ("relativistic", ["r1"]), ("lsgan", ["r1", "lecam"])])
def test_the_curves_are_explained_as_the_objective_needs(make_run, kind, penalties):
    folder = make_run(
        moments=(),
        rows=0,
        objective={"loss": {"kind": kind}, "penalties": [{"kind": name} for name in penalties]},
    )
    rows = [log_row(500 * number, **dict.fromkeys(penalties, 0.1)) for number in range(1, 4)]
    folder.metrics_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = page_of(folder).text
    assert ("What the discriminator must not do" in text) == bool(penalties)
    assert ("how steep the discriminator is" in text) == (penalties == ["r1"])
    assert ("only the distance between the two lines counts" in text) == (kind == "relativistic")
    assert ("Both near 0.5: it cannot tell" in text) == (kind == "bce")
    assert ("real pictures are to be at 1" in text) == (kind == "lsgan")


def test_every_panel_is_explained(make_run, section_of):
    folder = make_run(moments=(), rows=0, objective={"penalties": [{"kind": "r1"}]})
    more = {"label_loss": 1.0, "fake_label_loss": 1.0, "augment_strength": 0.1, "real_sign": 0.1, "r1": 0.1}
    folder.metrics_path.write_text(json.dumps(log_row(500, **more)) + "\n")
    learned = section_of(folder, "How it learned")
    for panel in (PLAYERS, VERDICTS, NORMS, PENALTIES, LABELS, STRENGTH):
        assert len(paragraph_of(learned, panel)) > 40


def test_the_page_stays_small(make_run):
    folder = make_run(moments=(), real=False, data={"size": 72}, evaluate={"num_samples": 64})
    random = np.random.default_rng(0)
    for name in ["real", *(f"{1000 * moment:09}" for moment in range(6))]:
        save_sheet(folder.samples_path / f"{name}.png", random.integers(0, 256, (64, 72, 72, 3), np.uint8))
    assert write_report(folder, facts={}).stat().st_size < 5_000_000, "pure noise is the worst that can come"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (45, "45 s"), (59.6, "1 min 0 s"), (121.4, "2 min 1 s"), (12_000, "3 h 20 min")],
)
def test_times_are_said_as_a_person_says_them(seconds, text):
    assert duration(seconds) == text
