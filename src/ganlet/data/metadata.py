"""Picture files without their metadata, for what a decoder makes of text, profiles and the like must not decide about
pixels: a picture that cannot be decoded is tried again without them."""

from __future__ import annotations

import struct

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_KEPT = {b"tRNS", b"acTL", b"fcTL", b"fdAT"}  # chunks without which pixels differ, besides the critical ones
ANCILLARY = 0x20  # the bit in the first letter of such a chunk's name
APP0, APP1, APP14, APP15, COMMENT, SCAN = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE, 0xDA
TIFF_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
TIFF_TAGS = frozenset(  # without which pixels differ: baseline, tiles, colours, predictor, compression
    (
        *(254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 277, 278, 279, 280, 281, 284, 292, 293, 297, 317, 320),
        *(322, 323, 324, 325, 338, 339, 340, 341, 347, *range(512, 522), 529, 530, 531, 532),
    )
)
ORIENTATION = 274
WEBP_METADATA = {b"ICCP": 0x20, b"EXIF": 0x08, b"XMP ": 0x04}  # and the flag that announces each


def without_metadata(data: bytes, keep_exif: bool) -> bytes | None:
    """A PNG, JPEG, WebP or TIFF file without text, profiles, XMP and, unless it is kept, EXIF; None if it has none.

    What does not follow the format any more is kept as it is, for the decoder to judge.
    """
    if data.startswith(PNG_START):
        left = _png(data, keep_exif)
    elif data.startswith(b"\xff\xd8"):
        left = _jpeg(data, keep_exif)
    elif data[:4] == b"RIFF" and data[8:16] == b"WEBPVP8X":
        left = _webp(data, keep_exif)
    elif data[:4] in TIFF_ORDERS:
        left = _tiff(data, keep_exif)
    else:
        return None
    return left if left != data else None


def _png(data: bytes, keep_exif: bool) -> bytes:
    parts, place = [PNG_START], len(PNG_START)
    while place + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end > len(data):
            break
        metadata = name[0] & ANCILLARY and name not in PNG_KEPT and not (keep_exif and name == b"eXIf")
        if not metadata:
            parts.append(data[place:end])
        place = end
    return b"".join([*parts, data[place:]])


def _jpeg(data: bytes, keep_exif: bool) -> bytes:
    parts, place = [data[:2]], 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, (length,) = data[place + 1], struct.unpack_from(">H", data, place + 2)
        end = place + 2 + length
        if marker == SCAN or marker == 0xFF or length < 2 or end > len(data):
            break
        content = data[place + 4 : end]
        # How colours are stored is told by JFIF's and Adobe's segments.
        kept = (
            (marker == APP0 and content.startswith(b"JFIF"))
            or (marker == APP14 and content.startswith(b"Adobe"))
            or (keep_exif and marker == APP1 and content.startswith(b"Exif\0\0"))
        )
        if kept or not (APP0 <= marker <= APP15 or marker == COMMENT):
            parts.append(data[place:end])
        place = end
    return b"".join([*parts, data[place:]])


def _webp(data: bytes, keep_exif: bool) -> bytes:
    dropped = {name: flag for name, flag in WEBP_METADATA.items() if not (keep_exif and name == b"EXIF")}
    parts, place, flags = [], 12, 0
    while place + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, place)
        end = place + 8 + length + length % 2
        if end > len(data):
            break
        if name in dropped:
            flags |= dropped[name]
        else:
            parts.append(data[place:end])
        place = end
    content = bytearray(b"WEBP" + b"".join([*parts, data[place:]]))
    if len(content) > 12:  # else it is cut off before them
        content[12] &= ~flags & 0xFF  # the flags of VP8X, the first chunk
    return b"RIFF" + struct.pack("<I", len(content)) + bytes(content)


def _tiff(data: bytes, keep_exif: bool) -> bytes:
    """Only the entries of the first page are looked at; what they point to stays where it is."""
    order = TIFF_ORDERS[data[:4]]
    (start,) = struct.unpack_from(f"{order}I", data, 4) if len(data) >= 8 else (len(data),)
    if start + 2 > len(data):
        return data
    (count,) = struct.unpack_from(f"{order}H", data, start)
    end = start + 2 + 12 * count
    if end + 4 > len(data):
        return data
    entries = [data[place : place + 12] for place in range(start + 2, end, 12)]
    wanted = TIFF_TAGS | {ORIENTATION} if keep_exif else TIFF_TAGS
    kept = b"".join(entry for entry in entries if struct.unpack_from(f"{order}H", entry)[0] in wanted)
    page = struct.pack(f"{order}H", len(kept) // 12) + kept + data[end : end + 4]
    return data[:start] + page.ljust(end + 4 - start, b"\0") + data[end + 4 :]
