"""A seed draws the same on the page as at home: latents, labels, ways between two, hashes and certificates."""

from __future__ import annotations

import base64
import hashlib
import io

import numpy as np
import pytest
import torch
from PIL import Image

from export.in_node import node, run_node
from ganlet.networks.latents import Latents, interpolate
from ganlet.randomness import derive
from ganlet.runs.certificate import Certificate, pixels_hash
from ganlet.runs.picture_files import KEY
from ganlet.workflows.labels import LabelSampler

SEEDS, INDICES, ROWS = (0, 3, 123_456_789_012), (0, 5, 63, 64, 129), (1, 2, 3, 10, 1_000, 4_096)
LENGTHS, SIZE = (0, 1, 127, 128, 129, 1_000), 37
KINDS = ("normal", "uniform", "sphere")
HOW = {"verb": "page", "seed": 3, "along": ["gr\u00f6\u00dfer 1.5", '\U0001f600 "x" \\'], "share": 0.25, "none": None}
RUN = """
const { kinds, seeds, indices, rows, lengths, size, ends, how, pixels } = data;
const numbers = (length) => Uint8Array.from({ length }, (_, i) => (i * 7) % 251);
const maker = { run: "r", weights: "w", images_seen: 5 };
const facts = { maker, space: { name: "latents", shape: [2] }, version: "0.1" };
const cells = [[1.5, -2, 0], [0.1, 3, 1]].map(([a, b, label], i) => (
  { values: Float32Array.of(a, b), labels: Float32Array.of(label), box: [0, 2 * i, 2] }
));
const latent = (kind, seed, index) => Array.from(Draws.latent(kind, size, seed, index));
const sheet = { pixels: Uint8Array.from(pixels), width: 4, height: 2, channels: 3 };
const said = await Certificate.text(facts, how, cells, sheet);
return {
  hashes: lengths.map((length) => Draws.hex(Draws.blake2b(numbers(length), 16))),
  derived: String(Draws.derive(5, "sample", 2)),
  latents: kinds.map((kind) => seeds.map((seed) => indices.map((index) => latent(kind, seed, index)))),
  labels: rows.map((num) => seeds.map((seed) => indices.map((index) => Draws.labelRow(num, seed, index)))),
  between: kinds.map((kind) => Array.from(Draws.between(...ends.map((end) => Float32Array.from(end)), 0.3, kind))),
  text: said,
  png: Buffer.from(await Certificate.png(sheet, said)).toString("base64"),
};
"""
ENDS = [[0.5, -1.0, 2.0], [1.5, 0.25, -1.0]]
PIXELS = np.random.default_rng(1).integers(0, 256, (1, 2, 4, 3), np.uint8)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    if node() is None:
        pytest.skip("there is no Node.js")
    data = {"kinds": KINDS, "seeds": SEEDS, "indices": INDICES, "rows": ROWS, "lengths": LENGTHS, "size": SIZE}
    data |= {"ends": ENDS, "how": HOW, "pixels": PIXELS.ravel().tolist()}
    return run_node(RUN, data, tmp_path_factory.mktemp("node"))


def test_hashes_are_those_of_hashlib(found):
    expected = [bytes(i * 7 % 251 for i in range(length)) for length in LENGTHS]
    assert found["hashes"] == [hashlib.blake2b(one, digest_size=16).hexdigest() for one in expected]
    assert found["derived"] == str(derive(5, "sample", 2))


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
def test_latents_are_those_of_torch(found, number):
    for seed, drawn in zip(SEEDS, found["latents"][number], strict=True):
        expected = Latents(SIZE, KINDS[number]).sample(max(INDICES) + 1, seed)[list(INDICES)]
        np.testing.assert_allclose(drawn, expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("number", range(len(ROWS)), ids=map(str, ROWS))
def test_labels_are_those_of_numpy(found, number):
    sampler = LabelSampler(np.arange(ROWS[number])[:, None])
    expected = [sampler.draw(max(INDICES) + 1, seed)[list(INDICES), 0].int().tolist() for seed in SEEDS]
    assert found["labels"][number] == expected


def test_ways_between_two_are_those_of_the_lab(found):
    first, last = (torch.tensor([end]) for end in ENDS)
    for kind, way in zip(KINDS, found["between"], strict=True):
        np.testing.assert_allclose(way, interpolate(first, last, 0.3, kind)[0], atol=1e-6)


def test_certificates_are_read_as_ours(found):
    certificate = Certificate.from_text(found["text"])
    assert certificate.how == HOW
    assert certificate.values.tolist() == [[1.5, -2.0], [np.float32(0.1), 3.0]]
    assert certificate.labels is not None
    assert certificate.labels.tolist() == [[0.0], [1.0]]
    assert certificate.boxes.tolist() == [[0, 0, 0, 2], [0, 0, 2, 2]]
    assert certificate.pixels == pixels_hash(PIXELS)


def test_png_files_are_read_by_others(found):
    with Image.open(io.BytesIO(base64.b64decode(found["png"]))) as image:
        assert image.mode == "RGB"
        assert np.array_equal(np.asarray(image), PIXELS[0])
        assert image.text[KEY] == found["text"]
