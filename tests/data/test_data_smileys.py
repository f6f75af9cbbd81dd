"""The embedded picture set: what a face shows, that it is reproducible, and that it is drawn well at any size."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest

from ganlet.data import smileys
from ganlet.data.smileys import ATTRIBUTES, LABEL_NAMES, NUM_MODES, RADICES, Attributes
from ganlet.randomness import derive

EVERY_LABEL = np.arange(NUM_MODES)


def plain(**values: int) -> Attributes:
    """One middle-sized face, all discrete attributes 0 but those given."""
    label = np.ravel_multi_index(tuple(values.get(name, 0) for name in ATTRIBUTES), RADICES)
    return smileys.attributes_from_label(np.array([label]))


def middle_of(number: float) -> np.ndarray:
    return np.array([number], np.float32)


def block_means(pictures: np.ndarray, side: int) -> np.ndarray:
    """Average squares of `side` x `side` pixels, float32."""
    count, height, width, channels = pictures.shape
    blocks = pictures.reshape(count, height // side, side, width // side, side, channels)
    return blocks.mean(axis=(2, 4), dtype=np.float32)


def face_coordinates(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each pixel of a plain face: x and y from the middle of the face, in face radii."""
    y, x = (np.mgrid[:side, :side] + 0.5) / (side / 2) - 1
    return x / smileys.FACE_RADIUS, (y - smileys.FACE_Y) / smileys.FACE_RADIUS


# ---- attributes and labels


def test_labels_and_attributes_are_inverse_over_every_mode() -> None:
    attributes = smileys.attributes_from_label(EVERY_LABEL)
    assert smileys.labels_of(attributes).dtype == np.int64
    np.testing.assert_array_equal(smileys.labels_of(attributes), EVERY_LABEL)
    assert np.prod([len(values) for values in ATTRIBUTES.values()]) == NUM_MODES
    for name, values in ATTRIBUTES.items():
        assert set(getattr(attributes, name)) == set(range(len(values)))


def test_label_names_are_different_and_say_each_attribute() -> None:
    assert len(set(LABEL_NAMES)) == NUM_MODES
    attributes = smileys.attributes_from_label(EVERY_LABEL)
    for name, values in ATTRIBUTES.items():
        for label, value in enumerate(getattr(attributes, name)):
            word = "no accessory" if values[value] == "none" else values[value]
            assert word in LABEL_NAMES[label]


def splitmix64(state: int) -> int:
    """One output of SplitMix64 in plain Python: what `attributes_of` must agree with."""
    mask = 2**64 - 1
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & mask
    return state ^ (state >> 31)


def test_attributes_follow_splitmix64() -> None:
    names = [field.name for field in fields(Attributes)]
    for index in (0, 7, 10**12):
        attributes = smileys.attributes_of(3, np.array([index]))
        for place, name in enumerate(names, start=index * len(names) + 1):
            output = splitmix64((derive(3, "smileys") + place * 0x9E3779B97F4A7C15) % 2**64)
            value = getattr(attributes, name)[0]
            if name in ATTRIBUTES:
                assert value == output * len(ATTRIBUTES[name]) >> 64
            else:
                middle, spread = {
                    "shift_x": (0, smileys.SHIFT),
                    "shift_y": (0, smileys.SHIFT),
                    "scale": (1, smileys.SCALE),
                    "line_width": (1, smileys.LINE_WIDTH),
                }[name]
                assert value == pytest.approx(middle + spread * (output / 2**63 - 1), abs=1e-6)


def test_modes_and_attributes_are_uniform() -> None:
    count = smileys.DEFAULT_COUNT
    attributes = smileys.attributes_of(0, np.arange(count))
    columns = {name: (getattr(attributes, name), len(values)) for name, values in ATTRIBUTES.items()}
    columns["mode"] = smileys.labels_of(attributes), NUM_MODES  # uniform modes: the attributes are independent
    for name, (values, kinds) in columns.items():
        seen = np.bincount(values, minlength=kinds)
        chi_square = ((seen - count / kinds) ** 2 / (count / kinds)).sum()
        # Wilson & Hilferty 1931: the cube root of chi-square over its freedom is nearly normal; 4 standard deviations.
        freedom = kinds - 1
        assert chi_square < freedom * (1 - 2 / (9 * freedom) + 4 * np.sqrt(2 / (9 * freedom))) ** 3, name


def test_continuous_attributes_fill_their_range_independently() -> None:
    attributes = smileys.attributes_of(0, np.arange(smileys.DEFAULT_COUNT))
    names = [field.name for field in fields(Attributes)]
    columns = np.stack([getattr(attributes, name) for name in names]).astype(np.float64)
    for name, values in zip(names[len(ATTRIBUTES) :], columns[len(ATTRIBUTES) :], strict=True):
        seen, _ = np.histogram(values, bins=10, range=(values.min(), values.max()))
        assert seen.min() > 0.9 * len(attributes) / 10, name
    correlation = np.corrcoef(columns) - np.eye(len(names))
    assert np.abs(correlation).max() < 4 / np.sqrt(len(attributes))  # 4 standard deviations


# ---- determinism


def test_a_face_does_not_depend_on_its_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    indices = np.arange(1000, 1060)
    pictures, labels = smileys.draw_indices(5, indices, (40, 32), 3)
    again, again_labels = smileys.draw_indices(5, indices, (40, 32), 3)
    np.testing.assert_array_equal(pictures, again)
    np.testing.assert_array_equal(labels, again_labels)

    order = np.random.default_rng(0).permutation(len(indices))
    shuffled, shuffled_labels = smileys.draw_indices(5, indices[order], (40, 32), 3)
    np.testing.assert_array_equal(shuffled, pictures[order])
    np.testing.assert_array_equal(shuffled_labels, labels[order])

    alone = [smileys.draw_indices(5, indices[i : i + 1], (40, 32), 3) for i in range(len(indices))]
    np.testing.assert_array_equal(np.concatenate([picture for picture, _ in alone]), pictures)
    np.testing.assert_array_equal(np.concatenate([label for _, label in alone]), labels)

    monkeypatch.setattr(smileys, "CHUNK_PIXELS", 7 * 40 * 32)
    np.testing.assert_array_equal(smileys.draw_indices(5, indices, (40, 32), 3)[0], pictures)


def test_seeds_name_different_sets() -> None:
    indices = np.arange(200)
    same = smileys.draw_indices(0, indices, (16, 16), 1)[1] == smileys.draw_indices(1, indices, (16, 16), 1)[1]
    assert same.mean() < 0.05
    labels = smileys.draw_indices(0, indices, (16, 16), 1)[1]
    np.testing.assert_array_equal(labels, smileys.draw_indices(0, indices, (64, 48), 4)[1])


def test_no_faces_are_an_empty_batch() -> None:
    pictures, labels = smileys.draw_indices(0, np.arange(0), (32, 24), 3)
    assert pictures.shape == (0, 32, 24, 3)
    assert pictures.dtype == np.uint8
    assert labels.shape == (0,)


# ---- what is seen


def changed(name: str, first: int, second: int, **others: int) -> np.ndarray:
    """Where two plain faces that differ in one attribute differ, bool (64, 64)."""
    one, two = (smileys.draw(plain(**{name: value}, **others), (64, 64))[0] for value in (first, second))
    return (one != two).any(axis=-1)


@pytest.mark.parametrize(
    ("name", "left", "top", "right", "bottom"),
    [
        ("expression", -0.7, 0.05, 0.7, 0.9),
        ("eyes", -0.7, -0.5, 0.7, 0.1),
        ("accessory", -1.0, -1.25, 1.0, 0.25),
    ],
)
def test_features_change_in_their_place_only(name: str, left: float, top: float, right: float, bottom: float) -> None:
    x, y = face_coordinates(64)
    inside = (x > left) & (x < right) & (y > top) & (y < bottom)
    for first, second in itertools.combinations(range(len(ATTRIBUTES[name])), 2):
        difference = changed(name, first, second)
        assert difference[inside].sum() > 0.02 * difference.size, (first, second)
        assert not difference[~inside].any(), (first, second)


def test_colours_change_in_their_place_only() -> None:
    x, y = face_coordinates(64)
    distance = np.sqrt(x**2 + y**2)
    for first, second in itertools.combinations(range(len(ATTRIBUTES["face_colour"])), 2):
        difference = changed("face_colour", first, second)
        assert difference[distance < 0.8].mean() > 0.6
        assert not difference[distance > 1].any()
    for first, second in itertools.combinations(range(len(ATTRIBUTES["background"])), 2):
        difference = changed("background", first, second)
        assert difference[distance > 1.05].all()
        assert not difference[distance < 0.95].any()


def test_every_two_modes_look_different_even_when_blurred() -> None:
    pictures = smileys.draw(smileys.attributes_from_label(EVERY_LABEL), (64, 64))
    # What remains after averaging 4 x 4 pixels is at most the difference at full size, and a person sees it. 0.8 levels
    # on average is as much as 13 pixels of 64 x 64 that turn from black to white.
    blurred = block_means(pictures, 4).reshape(NUM_MODES, -1)
    nearest = [np.abs(blurred[i + 1 :] - blurred[i]).mean(axis=1).min() for i in range(NUM_MODES - 1)]
    assert min(nearest) > 0.8, LABEL_NAMES[int(np.argmin(nearest))]


def test_colours_are_told_apart_in_grey() -> None:
    codes = [*smileys.FACE_COLOURS.values(), *smileys.BACKGROUNDS.values(), smileys.INKS["line"]]
    lumas = sorted(float(smileys._inks([code], 1)[0, 0, 0, 0]) for code in codes)
    assert np.diff(lumas).min() > 15
    assert lumas[1] - lumas[0] > 80  # the line on the darkest face


def test_place_size_and_line_do_what_they_say() -> None:
    face = plain()
    x, y = face_coordinates(128)

    def weight(attributes: Attributes) -> np.ndarray:
        return smileys.draw(attributes, (128, 128), 4)[0, ..., 3] / 255

    def middle(cover: np.ndarray) -> np.ndarray:
        return np.array([(cover * x).sum(), (cover * y).sum()]) / cover.sum() * smileys.FACE_RADIUS * 64

    still = weight(face)
    # A quarter of a pixel to the right and half a pixel up: only antialiasing can show that.
    moved = weight(replace(face, shift_x=middle_of(0.25 / 64), shift_y=middle_of(-0.5 / 64)))
    np.testing.assert_allclose(middle(moved) - middle(still), [0.25, -0.5], atol=0.01)
    assert weight(replace(face, scale=middle_of(1.05))).sum() / still.sum() == pytest.approx(1.05**2, rel=1e-3)

    thin, thick = (
        (smileys.draw(replace(face, line_width=middle_of(width)), (128, 128), 1) < 80).sum() for width in (0.85, 1.15)
    )
    assert thick > 1.15 * thin


# ---- how it is drawn


@pytest.mark.parametrize("size", [(28, 28), (32, 32), (64, 64), (48, 24)])
def test_drawing_is_proportional_to_the_size(size: tuple[int, int]) -> None:
    attributes = smileys.attributes_of(0, np.arange(100))
    small = smileys.draw(attributes, size).astype(np.float32)
    large = smileys.draw(attributes, (2 * size[0], 2 * size[1]))
    difference = np.abs(block_means(large, 2) - small)
    # The cover of a pixel is exact for level and upright edges and up to 0.043 (11 levels of 255) off for an edge at 45
    # degrees; only pixels in which several edges meet may differ more, and there are few of them.
    assert (difference > 12).mean() < 0.02
    assert difference.mean() < 1.25
    flat = (large.reshape(100, size[0], 2, size[1], 2, 3).std(axis=(2, 4)) == 0).all(axis=-1)
    assert (difference[flat] < 12).mean() > 0.999


def test_edges_are_antialiased() -> None:
    radius = smileys.FACE_RADIUS * 64
    cover = smileys.draw(plain(), (128, 128), 4)[0, ..., 3]
    between = ((cover > 0) & (cover < 255)).sum()
    assert 2 * np.pi * radius * 0.9 < between < 2 * np.pi * radius * 1.5  # one pixel, or two, all along the edge
    assert (cover / 255).sum() == pytest.approx(np.pi * radius**2, rel=1e-3)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_longer_side_only_adds_background(channels: int) -> None:
    attributes = smileys.attributes_of(0, np.arange(60))
    square = smileys.draw(attributes, (48, 48), channels)
    wide = smileys.draw(attributes, (48, 64), channels)
    tall = smileys.draw(attributes, (64, 48), channels)
    np.testing.assert_array_equal(wide[:, :, 8:-8], square)
    np.testing.assert_array_equal(tall[:, 8:-8], square)
    for border in (wide[:, :, :8], wide[:, :, -8:], tall[:, :8], tall[:, -8:]):
        np.testing.assert_array_equal(border, np.broadcast_to(wide[:, :1, :1], border.shape))


def test_grey_is_the_luma_of_the_colours() -> None:
    attributes = smileys.attributes_of(0, np.arange(100))
    colour = smileys.draw(attributes, (32, 32), 3) @ np.array([0.299, 0.587, 0.114])
    grey = smileys.draw(attributes, (32, 32), 1)[..., 0]
    assert np.abs(grey - colour).max() <= 1.01  # each is rounded once
    assert np.abs(grey - colour)[:, 0].max() <= 0.51  # only the grey one where nothing but background is


def test_alpha_over_the_background_is_the_colour_drawing() -> None:
    attributes = smileys.attributes_of(0, np.arange(100))
    colour = smileys.draw(attributes, (32, 32), 3).astype(np.float32)
    cut_out = smileys.draw(attributes, (32, 32), 4).astype(np.float32)
    alpha = cut_out[..., 3:] / 255
    over = cut_out[..., :3] * alpha + colour[:, :1, :1] * (1 - alpha)
    assert np.abs(over - colour).max() <= 2  # colour, alpha and the drawing itself are rounded


def test_alpha_holds_face_and_hat_and_nothing_reaches_the_border() -> None:
    accessories = ATTRIBUTES["accessory"]
    bare, hat = (smileys.draw(plain(accessory=accessories.index(kind)), (64, 64), 4)[0] for kind in ("none", "hat"))
    x, y = face_coordinates(64)
    assert (bare[np.hypot(x, y) < 0.95, 3] == 255).all()
    assert (bare[np.hypot(x, y) > 1.05] == 0).all()
    assert (hat[(np.abs(x) < 0.5) & (y > -1.1) & (y < -0.5), 3] == 255).all()

    for shift_x, shift_y in itertools.product((-smileys.SHIFT, smileys.SHIFT), repeat=2):
        extreme = replace(
            smileys.attributes_from_label(EVERY_LABEL),
            shift_x=np.full(NUM_MODES, shift_x, np.float32),
            shift_y=np.full(NUM_MODES, shift_y, np.float32),
            scale=np.full(NUM_MODES, 1 + smileys.SCALE, np.float32),
        )
        alpha = smileys.draw(extreme, (64, 64), 4)[..., 3]
        assert not alpha[:, [0, -1]].any()
        assert not alpha[:, :, [0, -1]].any()
