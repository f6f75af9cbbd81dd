from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from ganlet.errors import ConfigError
from ganlet.runs import certificate as module
from ganlet.runs.cells import compose, difference, film_boxes, fits, grid_boxes
from ganlet.runs.certificate import Certificate, Maker, pixels_hash, weights_hash
from ganlet.runs.picture_files import FILMS, STILL, certificate_text, certified, decode, encode, read
from ganlet.runs.pictures import save_sheet

MAKER = Maker("run", "weights", 64)


def certificate(num=3, labels=True):
    values = np.random.default_rng(0).normal(size=(num, 2, 5)).astype(np.float32)
    return Certificate(
        MAKER,
        {"verb": "sample", "seed": 3, "label_names": ["é"]},
        "styles",
        values,
        np.eye(4, dtype=np.float32)[:num] if labels else None,
        grid_boxes(num, (8, 10)),
    )


def pictures(num=3, channels=3, size=(8, 10)):
    return np.random.default_rng(1).integers(0, 256, (num, *size, channels), dtype=np.uint8)


def same(found, expected):
    return (
        (found.maker, found.how, found.space, found.version)
        == (expected.maker, expected.how, expected.space, expected.version)
        and np.array_equal(found.values, expected.values)
        and (found.labels is expected.labels is None or np.array_equal(found.labels, expected.labels))
        and np.array_equal(found.boxes, expected.boxes)
    )


@pytest.mark.parametrize("suffix", [STILL, *FILMS])
@pytest.mark.parametrize("labels", [True, False])
def test_a_certificate_comes_back_from_every_kind_of_file(tmp_path, suffix, labels):
    path, made = tmp_path / f"p{suffix.upper()}", certificate(labels=labels)
    path.write_bytes(certified(compose(pictures(), made.boxes), suffix, made))
    frames, text = read(path)
    assert text == certificate_text(path)
    found = Certificate.from_text(text)
    assert same(found, made)
    assert found.pixels == pixels_hash(frames)
    path.write_bytes(certified(compose(pictures(), made.boxes), suffix, None))
    assert certificate_text(path) is None


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_png_and_webp_come_back_bit_by_bit_and_a_webp_is_opaque_with_colours(channels):
    shown = compose(pictures(6, channels), film_boxes(6, (8, 10), at_once=2))
    assert len(shown) == 3
    np.testing.assert_array_equal(decode(encode(shown, ".png"), ".png")[0], shown[:1])
    frames = decode(encode(shown, ".webp"), ".webp")[0]
    assert frames.shape == (*shown.shape[:3], 3)
    if channels < 4:
        np.testing.assert_array_equal(frames, np.broadcast_to(shown, frames.shape))


def test_the_effort_for_a_webp_changes_its_size_and_no_pixel():
    shown = pictures().repeat(8, axis=1).repeat(8, axis=2)
    quick, small = (certified(shown, ".webp", certificate(), effort=effort) for effort in (0, 3))
    assert quick != small
    assert np.array_equal(decode(quick, ".webp")[0], decode(small, ".webp")[0])


def test_a_gif_has_the_nearest_of_its_colours():
    shown = compose(pictures(2) // 64 * 64, film_boxes(2, (8, 10)))  # 64 colours at most: it has room for them
    np.testing.assert_array_equal(decode(encode(shown, ".gif"), ".gif")[0], shown)


@pytest.mark.parametrize(("num", "columns"), [(1, None), (5, None), (7, 3), (3, 8)])
def test_boxes_are_where_a_sheet_has_its_pictures(tmp_path, num, columns):
    save_sheet(tmp_path / "s.png", pictures(num), columns, certificate(num, labels=False))
    frames, text = read(tmp_path / "s.png")
    boxes = Certificate.from_text(text).boxes
    assert fits(frames, boxes, (8, 10))
    np.testing.assert_array_equal(difference(frames, pictures(num), boxes), np.zeros(num))
    other = pictures(num)
    other[-1, 3, 3] ^= 4
    np.testing.assert_array_equal(difference(frames, other, boxes), [0] * (num - 1) + [4])


def test_boxes_outside_of_a_picture_do_not_fit():
    boxes, frames = grid_boxes(4, (8, 10)), np.zeros((1, 60, 60, 3), np.uint8)
    inside = np.array([[0, 0, 0, 1]])
    assert fits(frames, inside, (8, 10))
    assert not fits(frames, boxes + np.array([0, 500, 0, 0]), (8, 10))
    assert not fits(frames, inside - np.array([0, 1, 0, 0]), (8, 10))
    assert not fits(frames, inside + np.array([1, 0, 0, 0]), (8, 10))
    assert not fits(frames, inside * 0, (8, 10))


def _tree(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_certificate_that_was_changed_is_no_certificate(data):
    text = certificate().to_text()
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda one: one != text[place]))
    changed = text[:place] + letter + text[place + 1 :]
    if _tree(changed) == json.loads(text):  # é may be spelled \\u00e9 and \\u00E9
        return
    with pytest.raises(ConfigError, match=r"changed or damaged|Another version"):
        Certificate.from_text(changed)


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=6,
    )
)
def test_what_is_no_certificate_is_one_message(tree):
    for changed in (tree, {"schema": 1, "values": tree}, {**json.loads(certificate().to_text()), "boxes": tree}):
        if isinstance(changed, dict):
            changed = {name: value for name, value in changed.items() if name != "checksum"}
            changed["checksum"] = module._checksum(changed)
        with pytest.raises(ConfigError):
            Certificate.from_text(json.dumps(changed))


@pytest.mark.parametrize(
    "changed",
    [
        {"how": [1, 2]},
        {"maker": {"run": "run", "weights": "weights", "images_seen": "many"}},
        {"maker": {"run": 3, "weights": "weights", "images_seen": 64}},
        {"space": "other"},
        {"version": None},
        {"values": module._packed(np.zeros(3, np.float32))},
        {"values": module._packed(np.zeros((3, 5), np.int64))},
        {"labels": module._packed(np.zeros((2, 4), np.float32))},
        {"boxes": module._packed(np.array([[3, 0, 0, 1]] * 3))},
        {"boxes": module._packed(np.array([[0, -1, 0, 1]] * 3))},
        {"boxes": module._packed(np.array([[0, 0, 0, 0]] * 3))},
    ],
)
def test_parts_of_another_kind_are_no_certificate_though_the_checksum_is_right(changed):
    tree = {name: part for name, part in json.loads(certificate().to_text()).items() if name != "checksum"} | changed
    with pytest.raises(ConfigError, match="changed or damaged") as caught:
        Certificate.from_text(json.dumps({**tree, "checksum": module._checksum(tree)}), "a.png")
    assert caught.value.where == "a.png"


def test_an_array_that_claims_to_be_huge_or_bursts_is_not_unpacked():
    bomb = module._packed(np.zeros(10_000_000, np.float32))
    for values in (bomb | {"shape": [2, 1]}, bomb | {"shape": [10**9, 10]}, bomb | {"shape": [-1, -1]}):
        tree = json.loads(certificate().to_text()) | {"values": values}
        del tree["checksum"]
        with pytest.raises(ConfigError, match="changed or damaged"):
            Certificate.from_text(json.dumps({**tree, "checksum": module._checksum(tree)}))


def test_numbers_that_are_not_finite_are_no_points():
    with pytest.raises(ConfigError):
        Certificate.from_text(replace(certificate(), values=np.full((3, 5), np.nan, np.float32)).to_text())


def test_every_tensor_of_a_network_counts_for_its_hash():
    def network():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)).to(memory_format=torch.contiguous_format)

    before = weights_hash(network())
    assert before == weights_hash(network())
    for name in network().state_dict():
        changed = network()
        with torch.no_grad():
            changed.state_dict()[name].add_(1)
        assert weights_hash(changed) != before, name


def test_text_of_others_is_no_certificate():
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "GIF", comment=b"hello")
    assert decode(buffer.getvalue(), ".gif")[1] is None
