from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganlet import images

each_count = pytest.mark.parametrize("channels", [1, 3, 4])


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


# Between bytes and networks


@each_count
def test_all_256_values_survive_the_way_there_and_back(channels):
    values = torch.arange(256, dtype=torch.uint8)
    pictures = torch.stack([values.roll(shift) for shift in range(channels)], -1).view(1, 16, 16, channels)
    seen = images.to_network(pictures)
    assert seen.min() == -1
    assert seen.max() == 1
    packed = images.to_packed(seen)
    assert packed.dtype == torch.uint8
    assert packed.is_contiguous()
    assert torch.equal(packed, pictures)


def test_shapes_and_memory():
    pictures = torch.from_numpy(pixels(2, 5, 7, 3))
    seen = images.to_network(pictures)
    assert seen.shape == (2, 3, 5, 7)
    assert seen.dtype == torch.float32
    assert seen.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(seen[1, 2, 3, 4], pictures[1, 3, 4, 2] / 127.5 - 1)
    assert images.to_packed(seen).shape == (2, 5, 7, 3)


def test_the_arguments_are_left_alone():
    pictures = torch.from_numpy(pixels(2, 4, 4, 3))
    before = pictures.clone()
    seen = images.to_network(pictures)
    assert torch.equal(pictures, before)
    kept = seen.clone()
    images.to_packed(seen)
    assert torch.equal(seen, kept)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_values_are_rounded_and_clamped(dtype):
    written = torch.tensor([-7.0, -1.0, -0.998, 0.0, 0.25, 0.5, 1.0, 7.0], dtype=dtype)
    found = images.to_packed(written.view(1, 1, 1, -1)).flatten().tolist()
    # 127.5 rounds to the even 128.
    assert found == [0, 0, 0, 128, 159, 191, 255, 255]


@settings(deadline=None)
@given(st.floats(-1, 1, width=32))
def test_a_byte_is_the_nearest_one(value):
    (byte,) = images.to_packed(torch.tensor(value).view(1, 1, 1, 1)).flatten().tolist()
    assert abs(byte - (value + 1) * 127.5) <= 0.5 + 1e-4


# Grids


def test_a_grid_pixel_by_pixel():
    pictures = np.stack([np.full((2, 3, 1), value, np.uint8) for value in (10, 20, 30)])
    sheet = images.grid(pictures, columns=2, gap=1, shade=99)
    assert sheet[..., 0].tolist() == [
        [99, 99, 99, 99, 99, 99, 99, 99, 99],
        [99, 10, 10, 10, 99, 20, 20, 20, 99],
        [99, 10, 10, 10, 99, 20, 20, 20, 99],
        [99, 99, 99, 99, 99, 99, 99, 99, 99],
        [99, 30, 30, 30, 99, 99, 99, 99, 99],
        [99, 30, 30, 30, 99, 99, 99, 99, 99],
        [99, 99, 99, 99, 99, 99, 99, 99, 99],
    ]
    assert sheet.dtype == np.uint8


@pytest.mark.parametrize(
    ("count", "columns"), [(1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (9, 3), (10, 4), (64, 8), (65, 9)]
)
def test_a_grid_is_about_square(count, columns):
    sheet = images.grid(pixels(count, 4, 4, 3), gap=0)
    assert sheet.shape == (-(-count // columns) * 4, columns * 4, 3)


@each_count
def test_every_picture_is_in_the_grid(channels):
    pictures = pixels(7, 5, 6, channels)
    sheet = images.grid(pictures, columns=3)
    assert sheet.shape == (3 * 7 + 2, 3 * 8 + 2, channels)
    for index, picture in enumerate(pictures):
        top, left = 2 + 7 * (index // 3), 2 + 8 * (index % 3)
        assert np.array_equal(sheet[top : top + 5, left : left + 6], picture)


def test_the_gaps_are_opaque_where_there_is_alpha():
    pictures = np.zeros((3, 4, 4, 4), np.uint8)
    sheet = images.grid(pictures, columns=2, shade=50)
    gap, inside, empty = sheet[0, 0].tolist(), sheet[2, 2].tolist(), sheet[-3, -3].tolist()
    assert gap == empty == [50, 50, 50, 255]
    assert inside == [0, 0, 0, 0]


# Larger


@pytest.mark.parametrize(
    ("shape", "target", "factor"), [((4, 6), 12, 2), ((6, 4), 17, 2), ((4, 4), 4, 1), ((9, 4), 8, 1), ((1, 1), 5, 5)]
)
def test_enlarging_repeats_pixels_as_often_as_fits(shape, target, factor):
    picture = pixels(*shape, 3)
    large = images.enlarge(picture, target)
    assert large.shape == (shape[0] * factor, shape[1] * factor, 3)
    for row in range(factor):
        for column in range(factor):
            assert np.array_equal(large[row::factor, column::factor], picture)


# Files


@each_count
def test_a_png_holds_the_very_pixels(channels, tmp_path):
    picture, path = pixels(5, 7, channels), tmp_path / "a.png"
    images.save_png(path, picture)
    with Image.open(path) as opened:
        assert opened.format == "PNG"
        assert opened.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels]
        assert np.array_equal(np.asarray(opened).reshape(5, 7, channels), picture)
    with Image.open(io.BytesIO(images.png_bytes(picture))) as opened:
        assert np.array_equal(np.asarray(opened).reshape(5, 7, channels), picture)


def test_saving_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "a.png"
    for seed in (0, 1):
        images.save_png(path, pixels(3, 3, 3, seed=seed))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]
    with Image.open(path) as opened:
        assert np.array_equal(np.asarray(opened), pixels(3, 3, 3, seed=1))


def test_a_failed_save_keeps_the_old_file_and_leaves_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    images.save_png(path, pixels(3, 3, 3))
    before = path.read_bytes()

    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(images.os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        images.save_png(path, pixels(9, 9, 3))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_a_reader_never_sees_half_a_file(tmp_path, monkeypatch):
    path, seen = tmp_path / "a.png", []
    replace = images.os.replace

    def look(source, target):
        seen.append((path.exists(), source.parent == path.parent, source.read_bytes()))
        replace(source, target)

    monkeypatch.setattr(images.os, "replace", look)
    images.save_png(path, pixels(3, 3, 3))
    assert seen == [(False, True, path.read_bytes())]


# Of pictures that are packed larger than they are shown


@pytest.mark.parametrize(
    ("size", "rows", "columns"), [((8, 9), (2, 10), (2, 11)), ((12, 14), (0, 12), (0, 14)), ((11, 1), (0, 11), (6, 7))]
)
def test_the_middle_is_cut_out(size, rows, columns):
    pictures = pixels(3, 12, 14, 3)
    cut = images.center_crop(pictures, size)
    np.testing.assert_array_equal(cut, pictures[:, slice(*rows), slice(*columns)])
    assert np.shares_memory(cut, pictures)
