import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ganlet.data.resize import composite, fit, packed_size, parse_colour, resize, to_channels

WHITE = (255, 255, 255)
CROPS = ("center", "pad", "stretch", "random")
shapes = st.tuples(st.integers(1, 60), st.integers(1, 60), st.sampled_from([1, 3, 4]))
sizes = st.tuples(st.integers(8, 40), st.integers(8, 40))


def test_a_colour_is_three_numbers():
    assert parse_colour("#0a80ff") == (10, 128, 255)


@pytest.mark.parametrize(
    ("size", "crop", "expected"),
    [
        ((32, 32), "random", (36, 36)),
        ((8, 30), "random", (9, 34)),
        ((9, 10), "random", (11, 12)),
        ((8, 30), "pad", (8, 30)),
    ],
)
def test_random_cuts_are_taken_from_a_picture_9_8_as_large(size, crop, expected):
    assert packed_size(size, crop) == expected


@pytest.mark.parametrize("background", [0, 1, 100, 254, 255])
def test_compositing_is_exact_for_every_value_and_alpha(background):
    value, alpha = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    pixels = np.stack([value, value, value, alpha], axis=2).astype(np.uint8)
    exact = np.rint(value * (alpha / 255) + background * ((255 - alpha) / 255))
    np.testing.assert_array_equal(composite(pixels, (background, 0, background))[..., 0], exact)


GREY, COLOUR, ALPHA = [[[7]]], [[[10, 200, 90]]], [[[255, 0, 0, 51]]]


@pytest.mark.parametrize(
    ("pixels", "channels", "expected"),
    [
        (GREY, 1, [7]),
        (GREY, 3, [7, 7, 7]),
        (GREY, 4, [7, 7, 7, 255]),
        (COLOUR, 1, [131]),  # 0.299 * 10 + 0.587 * 200 + 0.114 * 90 = 130.65
        (COLOUR, 3, [10, 200, 90]),
        (COLOUR, 4, [10, 200, 90, 255]),
        (ALPHA, 1, [64]),  # 0.299 * 51 + 0.587 * 80 + 0.114 * 16 = 64.03
        (ALPHA, 3, [51, 80, 16]),
        (ALPHA, 4, [255, 0, 0, 51]),
    ],
)
def test_channels(pixels, channels, expected):
    assert to_channels(np.array(pixels, np.uint8), channels, (0, 100, 20)).tolist() == [[expected]]


@given(shape=shapes, crop=st.sampled_from(CROPS))
def test_a_picture_that_fits_is_not_touched(shape, crop):
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(fit(pixels, shape[:2], shape[2], crop, WHITE), pixels)


@given(shape=shapes, size=sizes, channels=st.sampled_from([1, 3, 4]), crop=st.sampled_from(CROPS))
@settings(deadline=None)
def test_every_shape_fits_every_other(shape, size, channels, crop):
    fitted = fit(np.full(shape, 100, np.uint8), size, channels, crop, WHITE)
    assert fitted.shape == (*size, channels)
    assert fitted.dtype == np.uint8


@given(shape=st.tuples(st.integers(1, 60), st.integers(1, 60)), size=sizes, crop=st.sampled_from(["center", "stretch"]))
@settings(deadline=None)
def test_a_flat_picture_stays_flat(shape, size, crop):
    fitted = fit(np.full((*shape, 3), (3, 130, 251), np.uint8), size, 3, crop, WHITE)
    assert np.unique(fitted.reshape(-1, 3), axis=0).tolist() == [[3, 130, 251]]


@pytest.mark.parametrize("channels", [1, 3])
def test_grey_is_the_same_in_every_channel_at_another_size(channels, noise):
    grey = noise(28, 28, 1)
    expected = np.asarray(Image.fromarray(grey[..., 0]).resize((32, 32), Image.Resampling.BICUBIC))
    for channel in np.moveaxis(fit(grey, (32, 32), channels, "center", WHITE), 2, 0):
        np.testing.assert_array_equal(channel, expected)


def stripes(horizontal):
    """Three stripes of 20 x 60 pixels: red, green, blue; stacked, or side by side."""
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    side_by_side = colours.repeat(20, axis=0)[None].repeat(20, axis=0)
    return side_by_side.swapaxes(0, 1) if horizontal else side_by_side


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("side", [10, 20, 30])
def test_center_keeps_the_middle(horizontal, side):
    fitted = fit(stripes(horizontal), (side, side), 3, "center", WHITE)
    assert np.unique(fitted.reshape(-1, 3), axis=0).tolist() == [[0, 255, 0]]


@pytest.mark.parametrize("width", [9, 10, 11, 25])
def test_center_of_a_picture_of_the_right_height_only_cuts(width, noise):
    pixels = noise(8, width, 3)
    left = (width - 8) // 2
    np.testing.assert_array_equal(fit(pixels, (8, 8), 3, "center", WHITE), pixels[:, left : left + 8])


def test_center_into_another_shape():
    pixels = np.zeros((40, 40, 1), np.uint8)
    pixels[10:30] = 200
    assert np.unique(fit(pixels, (10, 20), 1, "center", WHITE)).tolist() == [200]


def test_pad_keeps_everything_on_the_background():
    fitted = fit(stripes(horizontal=False), (60, 60), 3, "pad", (9, 8, 7))
    np.testing.assert_array_equal(fitted[20:40], stripes(horizontal=False))
    assert np.unique(np.concatenate([fitted[:20], fitted[40:]]).reshape(-1, 3), axis=0).tolist() == [[9, 8, 7]]


def test_pad_of_a_grey_picture_has_the_luma_of_the_background():
    fitted = fit(np.zeros((8, 16, 1), np.uint8), (16, 16), 1, "pad", (10, 200, 90))
    assert fitted[0, 0].tolist() == [131]
    assert fitted[4:12].max() == 0


def test_pad_is_transparent_where_there_is_alpha():
    fitted = fit(np.full((8, 16, 3), 50, np.uint8), (16, 16), 4, "pad", (1, 2, 3))
    assert fitted[0, 0].tolist() == [1, 2, 3, 0]
    assert fitted[8, 8].tolist() == [50, 50, 50, 255]


def test_stretch_ignores_the_shape():
    fitted = fit(stripes(horizontal=False), (60, 60), 3, "stretch", WHITE)
    assert [fitted[30, x].argmax() for x in (8, 30, 52)] == [0, 1, 2]


def test_shrinking_averages():
    checks = np.indices((64, 64)).sum(axis=0)[..., None] % 2 * np.uint8(255)
    shrunk = resize(checks.astype(np.uint8), (8, 8))
    assert np.abs(shrunk.astype(int) - 127.5).max() < 8


def test_hidden_colours_do_not_bleed():
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[:, :16] = (255, 0, 0, 255)
    pixels[:, 16:] = (0, 255, 0, 0)
    for size in ((12, 12), (50, 50)):
        scaled = resize(pixels, size)
        assert scaled[..., 3].max() == 255
        assert scaled[..., 3].min() == 0
        assert scaled[..., 1].max() == 0
        np.testing.assert_array_equal(scaled[scaled[..., 3] > 8][:, 0], 255)
