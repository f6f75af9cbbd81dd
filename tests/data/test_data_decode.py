import io
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ganlet.data.decode import BrokenPicture, colour_and_alpha, decode, strict_pillow
from ganlet.data.formats import FORMATS, looks_like_picture

MAX_PIXELS = 10**6


@pytest.fixture(autouse=True)
def pillow():
    with strict_pillow():
        yield


def pixels_of(data):
    return decode(data, MAX_PIXELS).pixels


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


# A small file of each format, whose pixels are the same for each that is lossless.
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8))
FILES = {kind: saved(PICTURE, kind, lossless=True) for kind in FORMATS}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "JPEG2000", "PPM", "TGA"])
@pytest.mark.parametrize("channels", [1, 3])
def test_lossless_formats_give_the_pixels_that_were_saved(kind, channels, noise, encode):
    saved_pixels = noise(7, 5, channels)
    decoded = decode(encode(saved_pixels, kind, **({"lossless": True} if kind == "WEBP" else {})), MAX_PIXELS)
    expected = saved_pixels.repeat(3, axis=2) if kind == "WEBP" and channels == 1 else saved_pixels
    np.testing.assert_array_equal(decoded.pixels, expected)
    assert decoded.mode == ("RGB" if expected.shape[2] == 3 else "L")
    assert not decoded.animated


def test_jpeg_keeps_flat_colours(encode):
    flat = np.full((16, 16, 3), (200, 30, 90), np.uint8)
    assert np.abs(pixels_of(encode(flat, "JPEG", quality=100)).astype(int) - flat).max() <= 2


def test_one_bit_is_black_and_white(encode):
    bits = Image.fromarray(np.array([[0, 255, 255], [255, 0, 0]], np.uint8)).convert("1")
    np.testing.assert_array_equal(pixels_of(encode(bits))[..., 0], [[0, 255, 255], [255, 0, 0]])


def test_grey_with_alpha_becomes_colour_with_alpha(encode):
    image = Image.fromarray(np.array([[[10, 0], [200, 128]]], np.uint8), "LA")
    np.testing.assert_array_equal(pixels_of(encode(image)), [[[10, 10, 10, 0], [200, 200, 200, 128]]])


def test_colour_with_alpha_is_kept_even_where_it_is_hidden(encode):
    rgba = np.array([[[1, 2, 3, 0], [4, 5, 6, 255]]], np.uint8)
    np.testing.assert_array_equal(pixels_of(encode(rgba)), rgba)


def palette_image():
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    image.putdata([0, 1, 2])
    return image


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
def test_palette_becomes_colour(kind, encode):
    decoded = decode(encode(palette_image(), kind), MAX_PIXELS)
    np.testing.assert_array_equal(decoded.pixels, [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]])
    assert decoded.mode == "P"


def test_palette_with_an_alpha_for_each_colour(encode):
    pixels = pixels_of(encode(palette_image(), "PNG", transparency=bytes([0, 77, 255])))
    np.testing.assert_array_equal(pixels, [[[255, 0, 0, 0], [0, 255, 0, 77], [0, 0, 255, 255]]])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_one_transparent_colour(kind, encode):
    pixels = pixels_of(encode(palette_image(), kind, transparency=1))
    np.testing.assert_array_equal(pixels[0, :, 3], [255, 0, 255])


def test_every_16_bit_value_is_scaled_and_rounded(encode):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    decoded = decode(encode(Image.fromarray(values)), MAX_PIXELS)
    np.testing.assert_array_equal(decoded.pixels[..., 0], np.rint(values / 257))
    assert decoded.mode == "I;16"


def test_16_bit_colour_keeps_the_high_byte(raw_png):
    pixels = pixels_of(raw_png(1, 1, 16, 2, [[1, 255, 128, 0, 254, 7]]))
    np.testing.assert_array_equal(pixels, [[[1, 128, 254]]])


@pytest.mark.parametrize(
    ("depth", "row", "transparent", "grey", "alpha"),
    [
        (1, [0b10000000], 1, [255, 0], [0, 255]),
        (2, [0b10110000], 2, [170, 255], [0, 255]),
        (4, [0x3C], 3, [51, 204], [0, 255]),
        (8, [3, 4], 3, [3, 4], [0, 255]),
        (16, [0x12, 0x34, 0x12, 0x35], 0x1234, [18, 18], [0, 255]),
    ],
)
def test_a_transparent_grey_of_any_depth(raw_png, depth, row, transparent, grey, alpha):
    pixels = pixels_of(raw_png(2, 1, depth, 0, [row], transparent.to_bytes(2, "big")))
    np.testing.assert_array_equal(pixels[0], [[g, g, g, a] for g, a in zip(grey, alpha, strict=True)])


@pytest.mark.parametrize("depth", [8, 16])
def test_a_transparent_colour_must_match_in_all_channels(raw_png, depth):
    colours = [(1, 2, 3), (1, 2, 4)]
    row = b"".join(value.to_bytes(depth // 8, "little") for colour in colours for value in colour)
    transparent = b"".join((value << (depth - 8)).to_bytes(2, "big") for value in colours[0])
    if depth == 16:
        row = b"".join(bytes([value, 0]) for colour in colours for value in colour)
    pixels = pixels_of(raw_png(2, 1, depth, 2, [row], transparent))
    np.testing.assert_array_equal(pixels, [[[1, 2, 3, 0], [1, 2, 4, 255]]])


def test_cmyk_becomes_colour(encode):
    flat = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    decoded = decode(encode(flat, "JPEG", quality=100), MAX_PIXELS)
    assert decoded.mode == "CMYK"
    assert np.abs(decoded.pixels.astype(int) - (255, 0, 0)).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_exif_orientation_is_applied(orientation, kind, noise, encode):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(noise(3, 5, 3), kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(pixels_of(data), expected)
    assert pixels_of(data).shape[:2] == ((5, 3) if orientation >= 5 else (3, 5))


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
)
def test_metadata_that_cannot_be_read_counts_as_none(exif, noise, encode):
    plain = noise(3, 5, 3)
    np.testing.assert_array_equal(pixels_of(encode(plain, "PNG", exif=b"Exif\0\0" + exif)), plain)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(kind, encode):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("#ff0000", "#00ff00", "#0000ff")]
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode(encode(frames[0], kind, save_all=True, append_images=frames[1:], **options), MAX_PIXELS)
    assert decoded.animated
    np.testing.assert_array_equal(decoded.pixels[..., :3], np.full((8, 8, 3), (255, 0, 0)))


def test_of_a_multi_picture_jpeg_the_first_is_taken(encode):
    red, blue = Image.new("RGB", (16, 16), "#ff0000"), Image.new("RGB", (16, 16), "#0000ff")
    pixels = pixels_of(encode(red, "MPO", save_all=True, append_images=[blue]))
    assert np.abs(pixels.astype(int) - (255, 0, 0)).max() <= 3


BROKEN = {
    "nothing": (b"", "empty file"),
    "text": (b"this is no picture at all", "not a PNG"),
    "html": (b"<!DOCTYPE html><html>404</html>", "a web page, not the picture"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not a PNG"),
    "a photograph of a phone": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(300), "not a PNG"),
    "lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer"),
    "annex": (b"/annex/objects/SHA256E-s1--0.png\n", "a git-annex pointer"),
    "icon": (saved(PICTURE, "ICO"), "not a PNG"),
    "signature only": (FILES["PNG"][:8], "not a PNG"),
    "half a png": (FILES["PNG"][:-40], "damaged: "),
    "half a jpeg": (FILES["JPEG"][:-40], "damaged: "),
    "half a webp": (FILES["WEBP"][:-40], "damaged: "),
    "half a bmp": (FILES["BMP"][:-40], "damaged: "),
    "half a gif": (FILES["GIF"][:-40], "damaged: "),
    "half a tiff": (FILES["TIFF"][:-40], "damaged: "),
    "half an avif": (FILES["AVIF"][:-40], "damaged: "),
    "half a jpeg 2000": (FILES["JPEG2000"][:-40], "damaged: "),
    "half a pnm": (FILES["PPM"][:-40], "damaged: "),
    "half a tga": (FILES["TGA"][:-40], "not a PNG"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_gives_a_short_reason(name):
    data, reason = BROKEN[name]
    with pytest.raises(BrokenPicture, match=reason) as caught:
        decode(data, MAX_PIXELS)
    assert len(str(caught.value)) < 120
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [(0, 4), (4, 0)])
def test_a_picture_without_pixels_is_broken(raw_png, size):
    with pytest.raises(BrokenPicture):
        decode(raw_png(*size, 8, 0, [b""] * size[1]), MAX_PIXELS)


@pytest.mark.parametrize(
    ("side", "max_pixels", "reason"),
    [
        (1001, MAX_PIXELS, "1001 x 1001 pixels, more than data.max_pixels = 1000000"),
        (9_000, 50_000_000, "9000 x 9000 pixels"),
        (12_000, 50_000_000, "more pixels than data.max_pixels = 50000000"),  # where Pillow only warns
        (100_000, 10**9, "more pixels than data.max_pixels = 1000000000"),  # where Pillow raises
    ],
)
def test_sizes_are_judged_by_the_header_alone(raw_png, monkeypatch, side, max_pixels, reason):
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded all the same"))
    with strict_pillow(max_pixels), pytest.raises(BrokenPicture, match=reason):
        decode(raw_png(side, side, 8, 0, [b""]), max_pixels)


def test_a_limit_above_that_of_pillow_counts(raw_png):
    rows = [bytes(10_000 // 8)] * 10_000
    with strict_pillow(10**8):
        assert decode(raw_png(10_000, 10_000, 1, 0, rows), 10**8).pixels.shape == (10_000, 10_000, 1)


def test_a_mode_without_a_policy_is_refused(monkeypatch):
    monkeypatch.setattr(Image, "open", lambda *arguments, **named: Image.new("LAB", (2, 2)))
    with pytest.raises(BrokenPicture, match="mode LAB"):
        decode(b"anything", MAX_PIXELS)


def test_pillow_is_left_as_it_was(raw_png):
    filters, ceiling = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    with strict_pillow(10**9), pytest.raises(BrokenPicture):
        decode(raw_png(100_000, 100_000, 8, 0, [b""]), 10**9)
    assert list(warnings.filters) == filters
    assert Image.MAX_IMAGE_PIXELS == ceiling > 0


@given(kind=st.sampled_from(FORMATS), share=st.floats(0, 1, exclude_max=True))
@settings(deadline=None)
def test_a_truncated_file_is_broken_or_lacks_no_pixel(kind, share):
    data = FILES[kind]
    try:
        pixels = pixels_of(data[: int(share * len(data))])
    except BrokenPicture:
        return
    np.testing.assert_array_equal(pixels, pixels_of(data))


@given(kind=st.sampled_from(FORMATS), place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255))
@settings(deadline=None, max_examples=300)
def test_a_damaged_file_never_fails_in_another_way(kind, place, value):
    data = bytearray(FILES[kind])
    data[int(place * len(data))] = value
    try:
        decoded = decode(bytes(data), MAX_PIXELS)
    except BrokenPicture as error:
        assert str(error)  # noqa: PT017
    else:
        assert decoded.pixels.dtype == np.uint8
        assert decoded.pixels.shape[2] in (1, 3, 4)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "TGA"])
def test_pictures_are_recognised_by_their_first_bytes(kind):
    assert looks_like_picture(FILES[kind][:16])


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"BM is how this text begins",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"PK\3\4",
        b"%PDF-1.7 and more",
        b"P1 was the first of us",
        b"P5 # a comment"[:2],
        b"\0\0\0\x18ftypmp42isom",
        b"II* and so on",
    ],
)
def test_other_files_are_not_taken_for_pictures(start):
    assert not looks_like_picture(start[:16])


def flat_rgba(alpha):
    return np.full((2, 2, 4), (9, 9, 9, alpha), np.uint8)


def grey_palette():
    image = palette_image()
    image.putpalette([0, 0, 0, 7, 7, 7, 9, 9, 9, 255, 0, 0])  # the last, red, is not used
    return image


@pytest.mark.parametrize(
    ("make", "kind", "expected"),
    [
        (lambda: np.zeros((2, 2, 1), np.uint8), "PNG", (False, False)),
        (lambda: np.zeros((2, 2, 3), np.uint8), "PNG", (True, False)),  # by its mode, whatever it shows
        (lambda: np.zeros((2, 2), np.uint16), "PNG", (False, False)),
        (lambda: flat_rgba(255), "PNG", (True, False)),
        (lambda: flat_rgba(254), "PNG", (True, True)),
        (lambda: Image.new("LA", (2, 2), (3, 0)), "PNG", (False, True)),
        (lambda: Image.new("CMYK", (2, 2)), "JPEG", (True, False)),
        (palette_image, "PNG", (True, False)),
        (grey_palette, "PNG", (False, False)),
    ],
)
def test_colour_and_alpha(make, kind, expected, encode):
    assert colour_and_alpha(encode(make(), kind), MAX_PIXELS) == expected


@pytest.mark.parametrize("kind", ["TIFF", "PPM"])
def test_floats_from_0_to_1_are_scaled_and_rounded(kind, encode):
    values = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)
    decoded = decode(encode(Image.fromarray(values), kind), MAX_PIXELS)
    np.testing.assert_array_equal(decoded.pixels[..., 0], np.rint(values.astype(float) * 255))
    assert (decoded.mode, decoded.highest) == ("F", 1.0)


def test_16_bits_are_the_same_in_every_format_and_byte_order(noise, encode):
    values = np.array([[0, 128, 129, 3700], [257, 32767, 65534, 65535]], np.uint16)
    expected = [[0, 0, 1, 14], [1, 127, 255, 255]]
    files = [encode(Image.fromarray(values), kind) for kind in ("PNG", "TIFF", "JPEG2000", "PPM")]
    files.append(encode(Image.fromarray(values.astype(">u2")), "TIFF"))
    for data in files:
        decoded = decode(data, MAX_PIXELS)
        np.testing.assert_array_equal(decoded.pixels[..., 0], expected)
        assert decoded.highest == 65535


@pytest.mark.parametrize(
    ("values", "white", "expected"),
    [
        (np.array([[0, 8, 9, 2048, 4095, 5000]], np.uint16), 4095, [0, 0, 1, 128, 255, 255]),
        (np.array([[-1000, 0, 500, 1000, 3000]], np.int32), 1000, [0, 0, 128, 255, 255]),
        (np.array([[-1, 0, 50, 100, 300]], np.float32), 100, [0, 0, 128, 255, 255]),
        (np.array([[0, 1, 2, 3]], np.uint16), 2.5, [0, 102, 204, 255]),
    ],
)
def test_a_white_level_may_be_set(values, white, expected, encode):
    kind = "PNG" if values.dtype == np.uint16 else "TIFF"
    decoded = decode(encode(Image.fromarray(values), kind), MAX_PIXELS, white)
    assert decoded.pixels[0, :, 0].tolist() == expected
    assert decoded.highest == values.max()


def test_8_bits_have_no_white_level(noise, encode):
    plain = noise(5, 4, 1)
    np.testing.assert_array_equal(decode(encode(plain), MAX_PIXELS, 10).pixels, plain)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.array([[0, 2]], np.float32), "values from 0 to 2, where 0 is black and 1 white: set data.white"),
        (np.array([[-1, 1]], np.float32), "values from -1 to 1, where"),
        (np.array([[0, 70_000]], np.int32), "values from 0 to 70000, where 0 is black and 65535 white"),
        (np.array([[0, np.nan]], np.float32), "values that are no numbers"),
        (np.array([[0, np.inf]], np.float32), "values that are no numbers"),
    ],
)
def test_values_beyond_white_are_refused_unless_it_is_set(values, reason, encode):
    with pytest.raises(BrokenPicture, match=reason):
        decode(encode(Image.fromarray(values), "TIFF"), MAX_PIXELS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_upright_once(orientation, noise, encode):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = noise(3, 5, 3)
    decoded = decode(encode(stored, "TIFF", exif=exif), MAX_PIXELS)
    flipped = stored[:, ::-1] if orientation in (2, 3, 7, 8) else stored
    flipped = flipped[::-1] if orientation in (3, 4, 6, 7) else flipped
    expected = {5: stored, 6: stored[::-1], 7: stored[::-1, ::-1], 8: stored[:, ::-1]}.get(orientation)
    expected = flipped if expected is None else expected.swapaxes(0, 1)
    np.testing.assert_array_equal(decoded.pixels, expected)
    assert decoded.turned == (orientation > 1)


def test_of_a_tiff_the_first_page_is_taken(encode):
    pages = [Image.new("RGB", (8, 8), colour) for colour in ("#ff0000", "#00ff00")]
    decoded = decode(encode(pages[0], "TIFF", save_all=True, append_images=pages[1:]), MAX_PIXELS)
    assert decoded.animated
    np.testing.assert_array_equal(decoded.pixels, np.full((8, 8, 3), (255, 0, 0)))


def test_tga_is_told_by_its_footer_or_by_its_length(encode):
    picture = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    data = encode(picture, "TGA")
    old = data[: 18 + picture.size]  # as it was before there were footers
    np.testing.assert_array_equal(pixels_of(old), picture)
    np.testing.assert_array_equal(pixels_of(encode(picture, "TGA", compression="tga_rle")), picture)
    for wrong in (old[:-1], old + b"\0", bytes([*old[:16], 7, *old[17:]])):
        with pytest.raises(BrokenPicture, match="not a PNG"):
            decode(wrong, MAX_PIXELS)
