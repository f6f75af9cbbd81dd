"""What metadata a picture carries, sound or not, never decides about its pixels."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from ganlet.data.decode import BrokenPicture, colour_and_alpha, decode, strict_pillow
from ganlet.data.metadata import without_metadata

MAX_PIXELS = 10**6
PIXELS = np.random.default_rng(3).integers(0, 256, (6, 5, 3), dtype=np.uint8)
FORMATS = {"PNG": {}, "JPEG": {}, "WEBP": {"lossless": True}}


@pytest.fixture(autouse=True)
def pillow():
    with strict_pillow():
        yield


def saved(kind, orientation=1):
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind, exif=exif, **FORMATS[kind])
    return buffer.getvalue()


def png_chunk(name, content, checksum=None):
    checksum = zlib.crc32(name + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def with_png_chunk(data, chunk, at_end=False):
    place = len(data) - 12 if at_end else 33
    return data[:place] + chunk + data[place:]


def with_segment(data, marker, content):
    return data[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + data[2:]


def with_webp_chunk(data, name, content):
    body = data[8:] + name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def decoded(data):
    return decode(data, MAX_PIXELS)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_ends_at_its_beginning_is_broken(kind):
    data = saved(kind, orientation=6)
    for end in range(40):
        with pytest.raises(BrokenPicture):
            decoded(data[:end])


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("compressed", [True, False])
def test_a_png_with_much_text_is_read_and_stays_upright(orientation, compressed):
    info = PngImagePlugin.PngInfo()
    info.add_text("workflow", "[" + "1234567890," * 150_000 + "]", zip=compressed)
    info.add_itxt("prompt", "x" * 2_000_000, zip=compressed)
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG", pnginfo=info, exif=exif)
    expected = PIXELS if orientation == 1 else PIXELS.swapaxes(0, 1)[:, ::-1]
    np.testing.assert_array_equal(decoded(buffer.getvalue()).pixels, expected)
    assert colour_and_alpha(buffer.getvalue(), MAX_PIXELS) == (True, False)


def test_text_of_more_than_all_memory_is_never_unpacked():
    bomb = png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000)))
    data = with_png_chunk(saved("PNG"), bomb * 80)
    np.testing.assert_array_equal(decoded(data).pixels, PIXELS)


def test_transparency_is_no_metadata():
    data = with_png_chunk(saved("PNG"), png_chunk(b"tRNS", struct.pack(">3H", *PIXELS[0, 0])))
    wrong_text = with_png_chunk(data, png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2_000_000))))
    assert decoded(wrong_text).pixels.shape == (6, 5, 4)
    assert decoded(wrong_text).pixels[0, 0, 3] == 0


def test_damaged_pixels_stay_damaged_whatever_is_left_out():
    data = with_png_chunk(saved("PNG"), png_chunk(b"tEXt", b"k\0v", checksum=1))
    with pytest.raises(BrokenPicture, match="damaged"):
        decoded(data[:-30])


@given(
    name=st.sampled_from(
        [b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"tIME", b"pHYs", b"gAMA", b"cHRM", b"sRGB", b"quIt"]
    ),
    content=st.binary(max_size=60),
    checksum=st.none() | st.integers(0, 2**32 - 1),
    at_end=st.booleans(),
)
@settings(deadline=None)
def test_no_chunk_of_a_png_makes_it_unreadable(name, content, checksum, at_end):
    whole = saved("PNG", 1)
    plain = whole[: whole.index(b"eXIf") - 4] + whole[whole.index(b"IDAT") - 4 :]
    found = decoded(with_png_chunk(plain, png_chunk(name, content, checksum), at_end)).pixels
    if name == b"eXIf" or b"xmp" in content:  # may turn it
        assert sorted(found.reshape(-1, 3).tolist()) == sorted(PIXELS.reshape(-1, 3).tolist())
    else:
        np.testing.assert_array_equal(found, PIXELS)


JPEG_STARTS = [
    b"",
    b"Exif\0\0",
    b"Exif\0\0II*\0",
    b"ICC_PROFILE\0",
    b"MPF\0",
    b"MPF\0II*\0",
    b"http://ns.adobe.com/xap/1.0/\0",
]


@given(
    marker=st.integers(0xE1, 0xED) | st.just(0xFE), start=st.sampled_from(JPEG_STARTS), content=st.binary(max_size=60)
)
@settings(deadline=None)
def test_no_segment_of_a_jpeg_makes_it_unreadable(marker, start, content):
    found = decoded(with_segment(saved("JPEG"), marker, start + content)).pixels
    assert sorted(found.shape) == [3, 5, 6]


@given(name=st.sampled_from([b"EXIF", b"XMP ", b"ICCP"]), content=st.binary(max_size=60))
@settings(deadline=None)
def test_no_chunk_of_a_webp_makes_it_unreadable(name, content):
    found = decoded(with_webp_chunk(saved("WEBP"), name, content)).pixels
    assert sorted(found.reshape(-1, 3).tolist()) == sorted(PIXELS.reshape(-1, 3).tolist())


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("keep_exif", [True, False])
def test_what_is_left_is_the_same_picture(kind, keep_exif):
    data = saved(kind, 6)
    if kind == "PNG":
        data = with_png_chunk(data, png_chunk(b"tEXt", b"k\0v"))
    if kind == "JPEG":
        data = with_segment(data, 0xFE, b"hello")
    if kind == "WEBP":
        data = with_webp_chunk(data, b"XMP ", b"hello")
    left = without_metadata(data, keep_exif)
    assert b"hello" not in left
    assert b"tEXt" not in left
    assert len(left) < len(data)
    assert decoded(left).turned == keep_exif
    whole = decoded(data).pixels
    back = whole if keep_exif else whole[:, ::-1].swapaxes(0, 1)
    np.testing.assert_array_equal(decoded(left).pixels, back)


def test_other_formats_and_plain_files_are_left_alone():
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    assert without_metadata(buffer.getvalue(), False) is None
    assert without_metadata(b"GIF89a" + bytes(50), False) is None


@given(st.binary(max_size=40), st.integers(0, 100), st.sampled_from(list(FORMATS)))
@settings(deadline=None)
def test_whatever_follows_no_format_is_left_to_the_decoder(noise, share, kind):
    data = saved(kind, 6)
    place = share * len(data) // 100
    for keep_exif in (True, False):
        left = without_metadata(data[:place] + noise + data[place:], keep_exif)
        assert left is None or len(left) <= len(data) + len(noise)


def tiff(orientation, *more, order="<"):
    """A TIFF file put together by hand, with more entries: (tag, type, count, value)."""
    pixels = PIXELS.tobytes()
    entries = [(256, 4, 1, 5), (257, 4, 1, 6), (258, 3, 3, 8 + len(pixels)), (259, 4, 1, 1), (262, 4, 1, 2)]
    entries += [(273, 4, 1, 8), (274, 4, 1, orientation), (277, 4, 1, 3), (278, 4, 1, 6), (279, 4, 1, len(pixels))]
    page = b"".join(struct.pack(f"{order}HHII", *entry) for entry in sorted([*entries, *more]))
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 14 + len(pixels))
    count = struct.pack(f"{order}H", len(entries) + len(more))
    return start + pixels + struct.pack(f"{order}3H", 8, 8, 8) + count + page + bytes(4)


METADATA_TAGS = [270, 282, 305, 306, 315, 700, 33432, 33723, 34377, 34665, 34675, 34853, 37724, 40965, 42112]
NUMBERS = st.sampled_from([0, 1, 2, 8, 100, 1000, 2**31, 2**32 - 1])


@given(
    tag=st.sampled_from(METADATA_TAGS),
    kind=st.integers(0, 14),
    count=NUMBERS,
    value=NUMBERS,
    orientation=st.sampled_from([1, 3, 6]),
    order=st.sampled_from("<>"),
)
@settings(deadline=None, max_examples=200)
def test_no_entry_of_a_tiff_makes_it_unreadable(tag, kind, count, value, orientation, order):
    found = decoded(tiff(orientation, (tag, kind, count, value), order=order)).pixels
    turned = {1: PIXELS, 3: PIXELS[::-1, ::-1], 6: PIXELS.swapaxes(0, 1)[:, ::-1]}[orientation]
    np.testing.assert_array_equal(found, turned)


@pytest.mark.parametrize("order", "<>")
def test_what_a_tiff_points_to_may_be_wrong(order):
    with pytest.raises(TypeError):
        Image.open(io.BytesIO(tiff(6, (700, 9, 1, 8), order=order))).load()
    expected = PIXELS.swapaxes(0, 1)[:, ::-1]
    np.testing.assert_array_equal(decoded(tiff(6, (700, 9, 1, 8), order=order)).pixels, expected)
