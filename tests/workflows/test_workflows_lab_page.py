from __future__ import annotations

import base64
import getpass
import io
import json
import re
import shutil
import socket
import subprocess
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from ganlet.errors import ConfigError, DataError
from ganlet.images import grid
from ganlet.latent.effects import Share, Turned
from ganlet.workflows.lab import directions as finding
from ganlet.workflows.lab import structure
from ganlet.workflows.lab.directions import find_directions
from ganlet.workflows.lab.edits import edit
from ganlet.workflows.lab.inside import overview
from ganlet.workflows.lab.known_directions import load_all
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.lab.page import page
from ganlet.workflows.lab.page.amounts import Amounts
from ganlet.workflows.lab.page.commands import quoted
from ganlet.workflows.lab.page.moving import PLACES, varied
from ganlet.workflows.lab.walks import grid as between
from ganlet.workflows.lab.walks import interpolate
from ganlet.workflows.lab.words import labels_in_words

FEW = Amounts(3, 8, 2, 2, 12, 1, (2, 3))
NEVER_CLOSED = {"img", "meta", "input", "br"}


@pytest.fixture(scope="module", autouse=True)
def few_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Amounts, "of", classmethod(lambda cls, lab: FEW))
        patch.setattr(finding, "NUM_USUAL", 8)
        patch.setattr("ganlet.latent.unsupervised.NUM_COMPONENT_POINTS", 100)
        patch.setattr(structure, "WAYS", 2)
        patch.setattr(structure, "STEPS", 12)
        patch.setattr(structure, "AXIS_POINTS", 2)
        patch.setattr(page, "overview", partial(overview, num=12))
        yield


class Elements(HTMLParser):
    """All elements of a page with their attributes; raises for tags that are not closed in turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.found = [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in NEVER_CLOSED:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def of_class(self, name):
        return [attrs for _, attrs in self.found if name in (attrs.get("class") or "").split()]


def opened(path):
    lab = Lab.open(path, device="cpu")
    lab.__dict__["judge"] = None
    return lab


def page_of(lab, **settings):
    if not load_all(lab):
        find_directions(lab, ["components"], num=2)
    return page.page_text(lab, **settings)


def commands_of(text):
    """The page without what keeps words of commands together."""
    return re.sub(r"</?span>", "", text)


def picture(uri):
    assert uri.startswith("data:image/")
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGBA"))


def rgba(sheet):
    return np.asarray(Image.fromarray(sheet.squeeze(-1) if sheet.shape[-1] == 1 else sheet).convert("RGBA"))


@pytest.fixture(scope="module")
def run(straight, tmp_path_factory):
    return shutil.copytree(straight.path, tmp_path_factory.mktemp("page") / "friend")


@pytest.fixture(scope="module")
def lab(run):
    return opened(run)


@pytest.fixture(scope="module")
def text(lab):
    return page_of(lab)


@pytest.fixture(scope="module")
def elements(text):
    return Elements(text)


def test_the_page_asks_nobody_for_anything(text, elements):
    policy = next(
        attrs["content"] for _, attrs in elements.found if attrs.get("http-equiv") == "Content-Security-Policy"
    )
    assert "default-src 'none'" in policy
    assert "script-src 'unsafe-inline'" in policy
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"data:image/\w+;base64,[\w+/=]+", "", text), re.I)
    for _, attrs in elements.found:
        assert attrs.get("src", "data:").startswith("data:")
        assert "href" not in attrs


def test_the_page_tells_of_no_folder_user_or_machine(text, run):
    text = re.sub(r"base64,[\w+/=]+", "", text)
    assert "ganlet explore friend grid" in commands_of(text)
    for secret in (str(run.parent), run.parent.name, "/tmp", "/home"):
        assert secret not in text
    text = re.sub(r"<(style|script)>.*?</\1>", "", text, flags=re.S)
    for secret in (getpass.getuser(), socket.gethostname()):
        assert not re.search(rf"\b{re.escape(secret)}\b", text)


def test_the_same_generator_gives_the_same_bytes(text, run, tmp_path):
    elsewhere = shutil.copytree(run, tmp_path / "friend")
    assert text == page_of(opened(elsewhere))


def test_sprites_are_what_the_commands_draw(lab, elements):
    walk, film, first, *_ = elements.of_class("sheet")
    np.testing.assert_array_equal(picture(walk["src"]), rgba(grid(between(lab, (0, 1, 2, 3), 3, 3).pictures, 3, gap=0)))
    np.testing.assert_array_equal(
        picture(film["src"]), rgba(grid(interpolate(lab, (4, 5, 6, 7), 8, loop=True).pictures, 10, gap=0))
    )
    card = elements.of_class("card")[0]
    sheet, height, width = picture(first["src"]), int(first["data-height"]), int(first["data-width"])
    for place, (command, told) in enumerate(
        zip(json.loads(card["data-commands"]), json.loads(card["data-places"]), strict=True)
    ):
        asked = re.search(r"--along '(.*?)'", command)[1]
        assert float(asked.rpartition("=")[2]) == float(told)
        drawn = edit(lab, re.findall(r"--from (\S+)", command), [asked], steps=1).pictures
        column = sheet[:, place * width : (place + 1) * width].reshape(2, height, width, 4)
        np.testing.assert_array_equal(column, np.stack([rgba(one) for one in drawn]))
    assert json.loads(card["data-places"])[int(card["data-start"])] == "0"


def test_the_map_shows_pictures_with_their_addresses(lab, elements):
    atlas = elements.of_class("atlas")[0]
    told, sheet = json.loads(atlas["data-pictures"]), elements.of_class("sheet")[-1]
    width, height, columns, inset = (int(sheet[f"data-{name}"]) for name in ("width", "height", "columns", "inset"))
    pixels, near = picture(sheet["src"]), elements.of_class("nearest")[0]
    assert sum(one["generated"] for one in told.values()) == 12
    assert len(told) == 24
    for cell, one in told.items():
        row, column = divmod(int(cell), columns)
        found = pixels[row * height : (row + 1) * height, column * width : (column + 1) * width]
        found = found[inset:-inset, inset:-inset]
        if one["generated"]:
            expected = lab.space.pictures(lab.sample(12, 0))[int(one["address"].rpartition("#")[2])]
            place, number = one["nearest"][0]
            row, column = divmod(place, int(near["data-columns"]))
            nearest = picture(near["src"])[row * 16 : (row + 1) * 16, column * 16 : (column + 1) * 16]
            np.testing.assert_array_equal(nearest, rgba(lab.training_pictures[number]))
        else:
            expected = lab.training_pictures[int(one["address"].rpartition(" ")[2])]
        np.testing.assert_array_equal(found, rgba(expected))


def test_training_pictures_can_be_left_out(lab, monkeypatch):
    monkeypatch.setattr(Lab, "training_pictures", property(lambda _: pytest.fail("training pictures were looked at")))
    text = page_of(lab, training_pictures=False)
    assert "None are in this page" in text
    assert "Where the discriminator looks" not in text
    assert all(one["generated"] for one in json.loads(Elements(text).of_class("atlas")[0]["data-pictures"]).values())


def test_a_run_whose_pictures_are_gone_has_a_page(run, text, monkeypatch):
    def gone(_):
        raise DataError("The pictures are gone.")

    monkeypatch.setattr(Lab, "pack", property(gone))
    lab = Lab.open(run, device="cpu")
    found = page.page_text(lab)
    assert lab.judge is None
    assert "The training pictures are not there any more." in found
    assert found.count("component") == text.count("component")


def test_labels_are_told_and_kept(start, monkeypatch):
    monkeypatch.setattr(finding, "MOST_LABELS", 2)
    run = start("labels", {"data.labels": "attributes", "data.num_images": 60})
    lab = opened(run.path)
    find_directions(lab, ["labels"])
    text = page_of(lab)
    name = lab.trained.config.data.label_names[0]
    assert f"label {name}=" in text
    told = [attrs["title"] for tag, attrs in Elements(text).found if tag == "figure" and "title" in attrs]
    rows = lab.points("0#0", "0#1").labels
    assert told[:2] == [labels_in_words(row, lab.trained.config) for row in rows]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"generator.kind": "style", "data.channels": 4, "data.size": [16, 8], "generator.width": 8},
            marks=pytest.mark.slow,
        ),
        {"generator.kind": "mlp", "discriminator.kind": "mlp", "data.channels": 1, "data.size": [8, 12]},
    ],
    ids=["style-4-channels", "mlp-grey"],
)
def test_a_generator_without_its_run_has_a_page_too(start, tmp_path, changes):
    run = start("made", changes)
    alone = tmp_path / "alone" / "mine.safetensors"
    alone.parent.mkdir()
    shutil.copy(run.path / "generator.safetensors", alone)
    lab = opened(alone)
    find_directions(lab, ["components"], num=2)
    target = lab.page()
    assert target == alone.with_name("mine-lab.html")
    text = target.read_text()
    elements = Elements(text)
    assert "ganlet explore mine.safetensors grid" in commands_of(text)
    assert "belong to the run of this generator, which is not here" in text
    assert len(elements.of_class("matrix")) == (3 if lab.space.num_levels > 2 else 2 * lab.space.has_styles)
    np.testing.assert_array_equal(
        picture(elements.of_class("sheet")[0]["src"]),
        rgba(grid(between(lab, (0, 1, 2, 3), 3, 3).pictures, 3, gap=0)),
    )


def test_directions_are_found_where_none_are_known(start, monkeypatch):
    lab = opened(start("new").path)
    monkeypatch.setattr(
        "ganlet.workflows.lab.page.moving.find_directions", lambda lab: find_directions(lab, ["components"], num=1)
    )
    assert "component 1" in page.page_text(lab)
    assert [known.name for known in load_all(lab)] == ["component 1"]


def test_directions_of_different_kinds_are_shown_first(lab):
    class Direction:
        def __init__(self, attribute):
            self.attribute, self.found = attribute, "components"

    class Known:
        def __init__(self, attribute, brought):
            self.direction = Direction(attribute)
            self.turned = attribute and Turned(1.0, Share(brought, 10), {}, 1.0)

    known = [Known(*one) for one in (("eyes", 9), ("eyes", 8), ("eyes", 7), ("mouth", 6), ("face", 1), (None, None))]
    assert varied(known, 4) == [known[0], known[3], known[5], known[1]]
    assert varied(known, 6)[-1] is known[4]


def test_the_command_line_writes_the_page(run, text, cli, tmp_path, monkeypatch):
    monkeypatch.setattr(Lab, "judge", None)
    code, out, _ = cli("explore", run)
    assert (code, out.strip()) == (0, str(run / "lab.html"))
    assert (run / "lab.html").read_text() == text
    target = tmp_path / "deep" / "page.html"
    code, out, _ = cli("explore", run, "--out", target, "--no-training-pictures")
    assert (code, out.strip()) == (0, str(target))
    assert "None are in this page" in target.read_text()
    code, _, told = cli("explore", run, "--out", tmp_path / "page.png")
    assert code == 2
    assert "--out" in told
    code, _, told = cli("explore", run, "--out", target, "grid")
    assert code == 2
    assert "leave the verb out" in told
    assert cli("explore", run, "--device", "cpu", "grid", "--rows", "2", "--columns", "2")[0] == 0


def test_a_page_is_an_html_file(lab, tmp_path):
    for place in (tmp_path, tmp_path / "page.png"):
        with pytest.raises(ConfigError, match="one file"):
            lab.page(place)


def test_addresses_need_no_quotes():
    assert quoted("walk.png#3") == "walk.png#3"
    assert quoted("my run#3") == "'my run#3'"
    assert quoted("#3") == "'#3'"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_script_can_be_read(text, tmp_path):
    script = re.search(r"<script>(.*)</script>", text, re.S)[1]
    file = tmp_path / "page.js"
    file.write_text(script)
    assert subprocess.run(["node", "--check", str(file)], capture_output=True).returncode == 0


def test_sliders_have_a_middle():
    assert PLACES % 2 == 1
