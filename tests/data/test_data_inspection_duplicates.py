from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganlet.data.inspection import hashing
from ganlet.data.inspection.duplicates import find_duplicates, stars
from ganlet.data.inspection.hashing import near_pairs, perceptual_hashes
from ganlet.data.inspection.survey import survey
from ganlet.data.settings import DataConfig
from ganlet.data.source import find_source
from ganlet.data.spec import Source, SourcePicture

FASHION = Path(__file__).parents[2].parent / "shared/data/fashion-mnist"


def scene(seed, side=48, channels=3):
    """A picture of soft blobs: (side, side, channels)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, channels), dtype=np.uint8)
    image = Image.fromarray(coarse if channels == 3 else coarse[..., 0])
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC)).reshape(side, side, channels)


def resaved(pixels, quality=75):
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).reshape(*pixels.shape)


def scaled(pixels, factor):
    height, width = (round(side * factor) for side in pixels.shape[:2])
    image = Image.fromarray(pixels.squeeze()).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image).reshape(height, width, pixels.shape[2])


def brightened(pixels, factor=1.1):
    return np.clip(pixels * factor, 0, 255).astype(np.uint8)


COPIES = {
    "saved as JPEG": resaved,
    "saved badly": lambda pixels: resaved(pixels, 50),
    "smaller": lambda pixels: scaled(pixels, 0.75),
    "larger": lambda pixels: scaled(pixels, 2),
    "brighter": brightened,
    "darker": lambda pixels: brightened(pixels, 0.9),
    "larger, brighter and saved": lambda pixels: resaved(brightened(scaled(pixels, 2))),
}


def rows_of(pictures):
    source = Source("made", "", len(pictures), lambda: (SourcePicture(pixels) for pixels in pictures))
    return survey(source, DataConfig()).rows


def groups(found):
    return [group.tolist() for group in found]


class TestHashing:
    @pytest.mark.parametrize("bits", [0, 4, 6, 7])
    def test_pairs_are_found_up_to_six_bits(self, bits):
        random = np.random.default_rng(bits)
        hashes = random.integers(0, 2**64, 300, dtype=np.uint64)
        flips = [sum(1 << int(bit) for bit in random.choice(64, bits, replace=False)) for _ in range(300)]
        near = near_pairs(np.concatenate([hashes, hashes ^ np.array(flips, np.uint64)]))
        assert near.complete
        assert near.indices.tolist() == ([[number, number + 300] for number in range(300)] if bits <= 6 else [])

    def test_every_pair_is_found_once_and_no_other(self):
        random = np.random.default_rng(0)
        kernel = random.integers(0, 2**64, dtype=np.uint64)
        flips = [sum(1 << int(bit) for bit in random.choice(64, 3, replace=False)) for _ in range(120)]
        hashes = kernel ^ np.array(flips, np.uint64)
        distances = np.bitwise_count((hashes[:, None] ^ hashes[None]).ravel()).reshape(120, 120)
        expected = [[i, j] for i in range(120) for j in range(i + 1, 120) if distances[i, j] <= 6]
        assert len(expected) > 1_000
        assert near_pairs(hashes).indices.tolist() == expected

    @pytest.mark.parametrize(("limit", "value"), [("MAX_COMPARED", 1_000), ("MAX_PAIRS", 500)])
    def test_too_many_are_cut_short_and_said_so(self, monkeypatch, limit, value):
        monkeypatch.setattr(hashing, limit, value)
        near = near_pairs(np.zeros(400, np.uint64))
        assert not near.complete
        assert 100 < len(near.indices) < 400 * 399 / 2

    def test_the_hash_sees_structure_and_not_brightness(self):
        light = np.stack([scene(seed, 32).astype(np.float32).mean(axis=2) for seed in range(40)])
        hashes = perceptual_hashes(light)
        assert (np.bitwise_count(hashes ^ perceptual_hashes(0.8 * light + 20)) <= 2).all()
        others = np.bitwise_count(hashes[1:] ^ hashes[:-1])
        assert others.min() > 12
        assert abs(others.mean() - 32) < 3, "unrelated pictures differ in half of the bits"


class TestGroups:
    def test_equal_pictures(self):
        first, second = scene(1), scene(2)
        found = find_duplicates(rows_of([first, second, first, scene(3), second, first]))
        assert groups(found.equal) == [[0, 2, 5], [1, 4]]
        assert found.near == []
        assert found.complete

    def test_equal_bytes_in_another_shape_are_another_picture(self):
        strip = np.random.default_rng(0).integers(0, 256, (8, 32, 3), dtype=np.uint8)
        assert find_duplicates(rows_of([strip, strip.reshape(32, 8, 3)])).equal == []

    @pytest.mark.parametrize("how", list(COPIES))
    @pytest.mark.parametrize("others", [0, 60])
    def test_near_copies(self, how, others):
        pictures = [scene(seed) for seed in range(max(1, others))]
        found = find_duplicates(rows_of([*pictures, COPIES[how](pictures[0])]))
        assert [sorted(group) for group in groups(found.near)] == [[0, len(pictures)]]

    def test_a_near_copy_of_an_equal_pair_joins_the_first_of_it(self):
        first = scene(1)
        found = find_duplicates(rows_of([scene(0), first, scene(2), first, resaved(first)]))
        assert groups(found.equal) == [[1, 3]]
        assert groups(found.near) == [[1, 4]]

    def test_the_largest_of_near_copies_is_the_one_to_keep(self):
        sizes = [scaled(scene(1), factor) for factor in (0.75, 1.5, 1)]
        assert groups(find_duplicates(rows_of([scene(0), *sizes])).near) == [[2, 3, 1]]

    def test_pictures_of_different_things_are_not_near(self):
        found = find_duplicates(rows_of([scene(seed) for seed in range(300)]))
        assert (found.equal, found.near) == ([], [])

    @pytest.mark.parametrize(
        "change",
        [
            lambda pixels: pixels[..., ::-1],  # other colours
            lambda pixels: (pixels + np.array([40, -20, 0])).astype(np.uint8),  # a tint, as bright as before
            lambda pixels: pixels // 2,  # half as bright
            lambda pixels: scaled(pixels, 1)[:, :36],  # another shape
            lambda pixels: pixels[:, ::-1],  # mirrored
        ],
    )
    def test_what_differs_plainly_is_not_near(self, change):
        first = scene(1) // 2 + 60
        pictures = [*(scene(seed) for seed in range(10, 30)), first, np.ascontiguousarray(change(first))]
        assert find_duplicates(rows_of(pictures)).near == []

    def test_blank_and_flat_pictures_are_no_copies_of_each_other(self):
        blank = [np.full((20, 20, 3), shade, np.uint8) for shade in (0, 0, 7, 7, 255)]
        flat = [(100 + np.random.default_rng(seed).integers(0, 3, (20, 20, 1))).astype(np.uint8) for seed in range(30)]
        faint = [shade + scene(3) // 64 for shade in (100, 110, 120)]
        found = find_duplicates(rows_of([*blank, *flat, *faint]))
        assert (found.equal, found.near) == ([], [])

    @pytest.mark.parametrize(
        ("pairs", "expected"),
        [
            ([], []),
            ([[0, 1], [1, 2]], [[0, 1]]),
            ([[0, 2], [1, 2]], [[0, 2]]),
            ([[0, 2], [1, 2], [1, 3]], [[0, 2], [1, 3]]),
            ([[4, 5], [0, 1], [0, 2], [1, 2]], [[0, 1, 2], [4, 5]]),
        ],
    )
    def test_a_picture_is_in_one_group_with_what_looks_like_it_itself(self, pairs, expected):
        assert groups(stars(np.array(pairs, np.int64).reshape(-1, 2))) == expected

    def test_groups_do_not_grow_along_chains(self):
        film = [np.roll(scene(5, 96), step, axis=1) for step in range(30)]
        found = find_duplicates(rows_of([*film, *(scene(seed) for seed in range(10, 60))]))
        assert found.near
        assert max(int(group.max() - group.min()) for group in found.near) < 6
        assert len(set(np.concatenate(found.near).tolist())) == sum(map(len, found.near)), "each in one group only"


@pytest.mark.skipif(not FASHION.exists(), reason="needs Fashion-MNIST")
def test_near_copies_among_garments():
    """Garments are photographed alike: copies must be found, and few others taken for copies."""
    source = find_source(DataConfig(source=str(FASHION), split="test"))
    pictures = [picture.content for picture, _ in zip(source.pictures(), range(3_000), strict=False)]
    alone = find_duplicates(rows_of(pictures))
    assert sum(map(len, alone.near)) < 20
    copies = [resaved(pixels) for pixels in pictures[:300]]
    found = find_duplicates(rows_of([*pictures, *copies]))
    pairs = {(group[0], other) for group in groups(found.near) for other in group[1:]}
    assert sum((number, 3_000 + number) in pairs for number in range(300)) >= 290
