"""Picture files as they go wrong, made from a seed: cut off, flipped, disguised, lying about their size, or just rare.

Each comes with what a strict reader must make of it: `broken`, `good`, or `either` where the harm may fall on bytes
that do not matter. Names are harmless here; `make_awkward_entries` has the awkward ones.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

Verdict = Literal["broken", "good", "either"]
Random = np.random.Generator


@dataclass(frozen=True)
class BadFile:
    """A file: which kind of trouble, its suffix, its bytes, and what must be made of it."""

    kind: str
    suffix: str
    content: bytes
    verdict: Verdict

    def name(self, number: int) -> str:
        """A name that sorts by number."""
        return f"{number:05}-{self.kind}{self.suffix}"


def bad_files(seed: int, count: int) -> list[BadFile]:
    """`count` files, every kind about equally often."""
    random = np.random.default_rng(seed)
    kinds = list(KINDS)
    return [_make(kinds[index % len(kinds)], random) for index in range(count)]


def write(root: Path, files: list[BadFile]) -> None:
    """Write them into a folder."""
    root.mkdir(parents=True)
    for number, file in enumerate(files):
        (root / file.name(number)).write_bytes(file.content)


def make_awkward_entries(root: Path, outside: Path) -> set[bytes]:
    """Links, pipes, empty folders and pictures with awkward names; returns the names of the good pictures."""
    good = _saved(_pixels(np.random.default_rng(0)), "PNG")
    folder = os.fsencode(root)
    names = [
        "caf\u00e9.png".encode(),
        "cafe\u0301.png".encode(),  # the same, decomposed
        "\u202egnp.exe\u202c.png".encode(),  # turned around when shown
        b"line\nbreak.png",
        b"\x1b[31mred.png",
        b"<b onclick=alert(1)>.png",
        b"bytes\xff\xfe.png",
        b"n" * 251 + b".png",
        b" .png",
        b"%s{0}$x.png",
    ]
    for name in names:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(good)
    (root / "empty" / "emptier").mkdir(parents=True)
    (root / "loop").symlink_to(root)
    (root / "self.png").symlink_to("self.png")
    (root / "gone.png").symlink_to("nowhere.png")
    outside.mkdir()
    (outside / "secret.png").write_bytes(good)
    (root / "outside.png").symlink_to(outside / "secret.png")
    (root / "outside").symlink_to(outside)
    os.mkfifo(root / "pipe.png")
    return set(names)


def _make(kind: str, random: Random) -> BadFile:
    suffix, content, verdict = KINDS[kind](random)
    return BadFile(kind, suffix, content, verdict)


Made = tuple[str, bytes, Verdict]


def _pixels(random: Random, channels: int = 3) -> np.ndarray:
    height, width = random.integers(8, 48, 2)
    ramp = np.add.outer(np.arange(height), np.arange(width))[..., None] * random.integers(1, 5, channels)
    return ((ramp + random.integers(0, 40, (height, width, channels))) % 256).astype(np.uint8)


def _saved(picture: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _any(random: Random) -> tuple[str, bytes]:
    kind = str(random.choice(["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA"]))
    return {"JPEG": ".jpg", "JPEG2000": ".jp2"}.get(kind, f".{kind.lower()}"), _saved(_pixels(random), kind)


def _chunk(name: bytes, data: bytes, checksum: int | None = None) -> bytes:
    checksum = zlib.crc32(name + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", checksum)


def _png(width: int, height: int, rows: bytes, *extra: bytes, depth: int = 8, colour: int = 2) -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    pixels = _chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + pixels + _chunk(b"IEND", b"")


def _cut_off(random: Random) -> Made:
    suffix, content = _any(random)
    share = random.uniform(0, 1)
    return suffix, content[: int(share * len(content))], "broken" if share < 0.6 else "either"


def _cut_in_header(random: Random) -> Made:
    suffix, content = _any(random)
    return suffix, content[: random.integers(1, 24)], "broken"


def _flipped(random: Random) -> Made:
    suffix, content = _any(random)
    damaged = bytearray(content)
    for place in random.integers(0, len(damaged), random.integers(1, 6)):
        damaged[place] ^= 1 << random.integers(0, 8)
    return suffix, bytes(damaged), "either"


def _zeroed(random: Random) -> Made:
    suffix, content = _any(random)
    start = int(random.integers(0, len(content)))
    return suffix, content[:start] + bytes(len(content) - start), "broken" if start < 20 else "either"


def _huge_claim(random: Random) -> Made:
    side = int(random.integers(20_000, 65_000))
    webp = struct.pack("<I", 10) + bytes(4) + (16_000).to_bytes(3, "little") * 2
    claims = {
        ".png": _png(side, side, b""),
        ".gif": b"GIF89a"
        + struct.pack("<HH", side, side)
        + b"\x00\x00\x00,"
        + bytes(4)
        + struct.pack("<HH", side, side),
        ".bmp": b"BM" + struct.pack("<IIIIiiHH", 54, 0, 54, 40, side, side, 1, 24) + bytes(24),
        ".jpg": _saved(_pixels(random), "JPEG").replace(
            b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x08\xff\xdc\xff\xdc~~", 1
        ),
        ".webp": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + webp,
    }
    claims |= {
        ".ppm": b"P6 %d %d 255\n" % (side, side) + bytes(9),
        ".tga": b"\0\0\2" + bytes(9) + struct.pack("<HHBB", side, side, 24, 0) + bytes(50) + b"TRUEVISION-XFILE.\0",
        ".tif": _with_tiff_sides(side),
    }
    suffix = str(random.choice(list(claims)))
    return suffix, claims[suffix], "broken"


def _with_tiff_sides(side: int) -> bytes:
    """A TIFF header of a grey picture of `side` x `side` without any pixels."""
    tags = [(256, side), (257, side), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, side), (279, side * side)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)


def _below_the_ceiling(random: Random) -> Made:
    return ".png", _png(7_000, 7_000, b"\x00" * 100), "broken"


def _nothing_wide(random: Random) -> Made:
    width, height = [(0, 8), (8, 0), (0, 0)][random.integers(0, 3)]
    return ".png", _png(width, height, b"\x00" * 8), "broken"


def _disguised(random: Random) -> Made:
    starts = [
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
        b"8BPS\x00\x01" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3) + bytes(12),
        b"%PDF-1.7\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"\x00\x00\x01\x00\x01\x00\x10\x10",
        _saved(Image.fromarray(np.float32(300 * random.random((9, 9)) + 2)), "TIFF"),
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100),
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12345\n",
        b"#!/bin/sh\necho not a picture\n",
        "not a picture at all".encode("utf-16"),
        bytes(random.integers(0, 256, 300, dtype=np.uint8)),
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"\xff\xd8\xff",
    ]
    return str(random.choice([".png", ".jpg", ".gif"])), starts[random.integers(0, len(starts))], "broken"


def _bad_checksum(random: Random) -> Made:
    content = bytearray(_png(4, 4, (b"\x00" + b"\x80" * 12) * 4))
    chunk, length, verdict = [(b"IHDR", 13, "broken"), (b"IDAT", 0, "either")][random.integers(0, 2)]
    place = content.index(chunk) + 4 + length
    content[place] ^= 255  # of IHDR: its checksum; of IDAT: how its data is packed
    return ".png", bytes(content), verdict


def _odd_chunks(random: Random) -> Made:
    extra = [
        _chunk(b"iCCP", b"x\x00\x00" + bytes(random.integers(0, 256, 50, dtype=np.uint8))),
        _chunk(b"zTXt", b"k\x00\x00" + zlib.compress(bytes(3_000_000))),
        _chunk(b"tEXt", b"k\x00" + b"v" * 50_000),
        _chunk(b"eXIf", bytes(random.integers(0, 256, 60_000, dtype=np.uint8))),
        _chunk(b"gAMA", b"\x00\x00"),
        _chunk(b"tRNS", b"\x00"),
        _chunk(b"quIt", b"", checksum=1),
        _chunk(b"iTXt", b"", checksum=1),
        _chunk(b"tEXt", b"k\x00" + b"v" * 2_000_000),
    ]
    chosen = extra[random.integers(0, len(extra))]
    # Metadata never makes a picture unreadable; what is transparent is about pixels.
    return ".png", _png(4, 4, (b"\x00" + b"\x80" * 12) * 4, chosen), "broken" if b"tRNS" in chosen else "good"


def _more_than_one_mode(random: Random) -> Made:
    grey = Image.fromarray(_pixels(random, 1)[..., 0])
    colour = Image.fromarray(_pixels(random))
    palette = colour.quantize(16)
    wide = Image.fromarray(random.integers(0, 65_536, (9, 9)).astype(np.uint16))
    made = [
        (".png", _saved(grey.convert("1"), "PNG")),
        (".png", _saved(wide, "PNG")),
        (".png", _saved(palette, "PNG", transparency=3)),
        (".png", _saved(palette, "PNG", transparency=bytes(range(0, 160, 10)))),
        (".png", _saved(grey.convert("LA"), "PNG")),
        (".png", _saved(colour, "PNG", transparency=(1, 2, 3))),
        (".jpg", _saved(colour.convert("CMYK"), "JPEG")),
        (".jpg", _saved(colour, "JPEG", progressive=True)),
        (".webp", _saved(colour.convert("RGBA"), "WEBP")),
        (".png", _png(9, 9, b"\x00" * (9 * 55), depth=16)),
        (".tif", _saved(wide, "TIFF")),
        (".tif", _saved(Image.fromarray(np.float32(random.random((9, 9)))), "TIFF")),
        (".tif", _saved(colour.convert("CMYK"), "TIFF", compression="tiff_lzw")),
        (".tif", _saved(colour.convert("YCbCr"), "TIFF")),
        (".jp2", _saved(wide, "JPEG2000")),
        (".pgm", _saved(wide, "PPM")),
        (".pbm", _saved(grey.convert("1"), "PPM")),
        (".tga", _saved(colour.convert("RGBA"), "TGA", compression="tga_rle")),
        (".avif", _saved(colour.convert("RGBA"), "AVIF")),
    ]
    return (*made[random.integers(0, len(made))], "good")


def _animated(random: Random) -> Made:
    frames = [Image.fromarray(np.roll(_pixels(np.random.default_rng(1)), step, axis=1)) for step in range(4)]
    kind = str(random.choice(["GIF", "WEBP", "PNG"]))
    return f".{kind.lower()}", _saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50), "good"


def _turned(random: Random) -> Made:
    exif = Image.Exif()
    exif[0x0112] = int(random.choice([1, 2, 3, 4, 5, 6, 7, 8, 0, 99]))
    kind = str(random.choice(["JPEG", "PNG", "WEBP"]))
    return {"JPEG": ".jpg"}.get(kind, f".{kind.lower()}"), _saved(_pixels(random), kind, exif=exif), "good"


def _huge_metadata(random: Random) -> Made:
    noise = bytes(random.integers(0, 256, 60_000, dtype=np.uint8))
    option: dict[str, bytes] = [{"exif": b"Exif\x00\x00" + noise}, {"icc_profile": noise * 3}, {"comment": noise}][
        random.integers(0, 3)
    ]
    return ".jpg", _saved(_pixels(random), "JPEG", **option), "good"


def _wrong_suffix(random: Random) -> Made:
    return str(random.choice([".gif", ".png", ".jpeg", ".bmp"])), _any(random)[1], "good"


def _with_a_tail(random: Random) -> Made:
    suffix, content = _any(random)
    while suffix == ".tga":  # which is told by its end
        suffix, content = _any(random)
    return suffix, content + b"PK\x03\x04" + bytes(random.integers(0, 256, 500, dtype=np.uint8)), "good"


def _extreme_shape(random: Random) -> Made:
    shape = [(1, 1), (1, 3_000), (3_000, 1), (2, 1)][random.integers(0, 4)]
    return ".png", _saved(random.integers(0, 256, (*shape, 3), dtype=np.uint8), "PNG"), "good"


KINDS: dict[str, Callable[[Random], Made]] = {
    "cut-off": _cut_off,
    "cut-in-header": _cut_in_header,
    "flipped": _flipped,
    "zeroed": _zeroed,
    "empty": lambda random: (".png", b"", "broken"),
    "huge-claim": _huge_claim,
    "below-the-ceiling": _below_the_ceiling,
    "nothing-wide": _nothing_wide,
    "disguised": _disguised,
    "bad-checksum": _bad_checksum,
    "odd-chunks": _odd_chunks,
    "modes": _more_than_one_mode,
    "animated": _animated,
    "turned": _turned,
    "huge-metadata": _huge_metadata,
    "wrong-suffix": _wrong_suffix,
    "with-a-tail": _with_a_tail,
    "extreme-shape": _extreme_shape,
}
