"""The page: what is in it, what is not, and that `ganlet whence` knows its pictures."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.in_node import HOME, decoded, node, run_node
from ganlet.errors import ConfigError, EnvironmentProblem
from ganlet.export import onnx_file, to_web
from ganlet.export.web import networks
from ganlet.export.web.contents import evenly
from ganlet.export.web.runtimes import OwnRuntime
from ganlet.export.web.text import as_text, carried
from ganlet.latent.directions import moved, reached
from ganlet.runs import checkpoint
from ganlet.runs.certificate import Certificate
from ganlet.runs.picture_files import certificate_text
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.whence import PAGE_ROUNDING, whence

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
)
TITLE = "</script><b>Faces & \u202e more"
# What the page does when somebody saves a picture, moved along all directions.
RUN = """
const whole = require("zlib").gunzipSync(Carried.bytesOf(data.numbers)), size = whole.readUInt32LE(0);
const facts = JSON.parse(whole.subarray(4, 4 + size)), numbers = new Uint8Array(whole.subarray(4 + size));
const points = await Points.open(facts, numbers, kernel);
const point = await points.sample(3);
const plain = await points.draw(point);
const ends = points.directions.map((one) => {
  const { values, labels } = points.moved(point, one, one.high);
  return [one.name, Array.from(values), Array.from(labels)];
});
const [height, width] = facts.size, sheet = { pixels: new Uint8Array(plain), width, height, channels: facts.channels };
const how = { verb: "page", seed: 3, precision: facts.precision };
const seal = await points.compared(), last = facts.references[0].place + facts.references[0].size - 1;
numbers[last] ^= 64; // the last number of the first picture
const broken = await points.compared();
const said = await Certificate.text(facts, how, [{ ...point, box: [0, 0, 1] }], sheet);
return { png: Buffer.from(await Certificate.png(sheet, said)).toString("base64"), seal, broken, ends };
"""


def numbers_of(page: str) -> str:
    match = re.search(r'id="numbers">([^<]*)<', page)
    assert match
    return match[1]


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> Path:
    """A copy of the run, with directions that need no pictures, and its page."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copytree(run.path, folder / "some")
    Lab.open(folder / "some").find_directions(["labels", "factorisation"], num=2)
    return to_web(folder / "some", folder / "page.html", moments=2, title=TITLE)


@pytest.mark.parametrize("length", range(9))
def test_bytes_become_text_and_come_back(length):
    data = bytes(range(250, 250 + min(length, 6))) + b"\0" * (length - min(length, 6))
    assert decoded(as_text(data)) == data
    assert gzip.decompress(decoded(carried(data))) == data
    assert not set(as_text(data)) & set("<>&\"'\\")


def test_the_page_can_reach_nothing_and_tells_nothing(exported):
    page = exported.read_text()
    assert POLICY in page
    assert not re.search(r"""(src|href)=["'](?!data:)""", page)
    assert "<b>" not in page
    assert "\u202e" not in page
    assert "&lt;/script&gt;&lt;b&gt;Faces &amp; \\u202e more" in page
    told = page.encode() + gzip.decompress(decoded(numbers_of(page)))
    for secret in (exported.parent, Path.home(), HOME):
        assert str(secret).encode() not in told
    assert len(page) < 160_000


def test_the_same_call_writes_the_same_bytes(exported, tmp_path):
    again = to_web(exported.parent / "some", tmp_path / "b.html", title=TITLE).read_text()
    page = exported.read_text()
    assert numbers_of(again) == numbers_of(page)
    assert page.startswith(again[: again.index('id="tab-many"')])


def test_moments_are_checkpoints_evenly_spaced(exported, run):
    match = re.search(r'id="moments">([^<]*)<', exported.read_text())
    assert match
    whole = gzip.decompress(decoded(match[1]))
    moments = json.loads(whole[4 : 4 + int.from_bytes(whole[:4], "little")])["moments"]
    there = checkpoint.moments(run.path / "checkpoints")
    assert [one["images_seen"] for one in moments] == [there[0], there[-1]]
    assert len({one["maker"]["weights"] for one in moments}) == len(moments)


def test_evenly():
    assert evenly([1, 2, 3], 9) == [1, 2, 3]
    assert evenly(range(0, 101, 10), 3) == [0, 50, 100]
    assert evenly([4, 9], 1) == [9]


def test_pictures_of_the_page_are_known_by_whence_and_directions_move_as_in_the_lab(exported, tmp_path):
    if node() is None:
        pytest.skip("there is no Node.js")
    found = run_node(RUN, {"numbers": numbers_of(exported.read_text())}, tmp_path)
    seal = found["seal"]
    assert seal["worst"] <= 1
    assert seal["within"] == seal["total"]
    assert found["broken"]["within"] == seal["total"] - 1
    assert 63 <= found["broken"]["worst"] <= 193
    picture = tmp_path / "saved.png"
    picture.write_bytes(base64.b64decode(found["png"]))
    origin = whence(picture, exported.parent / "some")
    assert origin.verdict in ("same", "rounded")
    assert "page" in str(origin)
    lab = Lab.open(exported.parent / "some")
    point = lab.sample(1, 3)
    np.testing.assert_allclose(origin.certificate.values, point.values.numpy(), atol=1e-6)
    assert point.labels is not None
    assert np.array_equal(origin.certificate.labels, point.labels.numpy())
    assert len(found["ends"]) > 2
    for name, values, labels in found["ends"]:
        known, move = lab.directions[name], lab.directions[name].direction
        there = moved(lab.space, point, [(move, 1.0 if move.is_whole else 2.5)])
        if known.turned is not None:
            there = reached(lab.space, point, move, known.turned.level)
        np.testing.assert_allclose(values, there.values[0], atol=1e-5)
        assert there.labels is not None
        np.testing.assert_allclose(labels, there.labels[0], atol=1e-6)


def test_a_page_may_round_and_nobody_else_may(exported, tmp_path):
    lab = Lab.open(exported.parent / "some")
    drawing = lab.draw(lab.sample(1, 3), {"verb": "page", "precision": "int8"})
    for verb, verdict in (("page", "rounded"), ("sample", "changed")):
        off = np.where(drawing.pictures < 128, drawing.pictures + 3, drawing.pictures - 3).astype(np.uint8)
        how = {"verb": verb, "precision": "int8"}
        (path,) = replace(drawing, pictures=off, how=how).save(tmp_path / f"{verb}.png")
        assert whence(path, exported.parent / "some").verdict == verdict
        assert Certificate.from_text(certificate_text(path) or "").how["verb"] == verb
    assert PAGE_ROUNDING["fp16"] <= 2


def test_what_cannot_be_meant_is_one_message_and_leaves_nothing(exported, tmp_path, monkeypatch):
    run = exported.parent / "some"
    with pytest.raises(ConfigError, match="no such choice"):
        to_web(run, tmp_path / "a.html", precision="int4")
    with pytest.raises(ConfigError, match="one file"):
        to_web(run, tmp_path / "a.onnx")
    with pytest.raises(ConfigError, match="checkpoints"):
        to_web(run / "generator.safetensors", tmp_path / "a.html", moments=2)
    monkeypatch.setattr(onnx_file, "PACKAGES", ("no_such_package",))
    with pytest.raises(EnvironmentProblem, match="not installed") as caught:
        to_web(run, tmp_path / "a.html")
    assert "pip install 'ganlet[export]'" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_smallest_precision_that_changes_no_picture_is_taken(exported, monkeypatch):
    lab = Lab.open(exported.parent / "some")
    shares = iter([0.9989, 0.9995])
    monkeypatch.setattr(networks, "_share_within_one", lambda *_: next(shares))
    assert networks.smallest_precision(lab, {}, OwnRuntime()) == "fp16"
