"""Formats of picture files: which are read, how they begin, and what to do with those that are not.

A suffix *claims* to be a picture for every format that people keep pictures in, read or not: a file with such a suffix
never goes missing without a word. What is read is decided by content, never by suffix.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

from PIL import features

SUFFIXES_READ = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "TGA": (".tga",),
}


def _is_there(part: str | None) -> bool:
    return part is None or (part in {*features.modules, *features.codecs} and features.check(part) is True)


# By Pillow's names; a Pillow may lack some of the decoders.
FORMATS = tuple(
    kind for kind in SUFFIXES_READ if _is_there({"AVIF": "avif", "JPEG2000": "jpg_2000", "WEBP": "webp"}.get(kind))
)
SUFFIXES = frozenset(suffix for kind in FORMATS for suffix in SUFFIXES_READ[kind])
FORMAT_NAMES = "PNG, JPEG, WebP, BMP, GIF, TIFF, AVIF, JPEG 2000, PNM or TGA"

# Pictures, in formats that are not read: what to do with them.
CONVERT = "convert them to PNG or JPEG"
CLAIMED = {
    **dict.fromkeys((".heic", ".heif", ".hif", ".jxl", ".jxr", ".wdp", ".hdp", ".jls", ".flif", ".bpg"), CONVERT),
    **dict.fromkeys((".ico", ".icns", ".cur", ".dib", ".pcx", ".dds", ".sgi", ".xbm", ".xpm", ".ras"), CONVERT),
    **dict.fromkeys((".qoi", ".wbmp", ".pict", ".pct", ".iff", ".ilbm", ".avifs", ".djvu"), CONVERT),
    **dict.fromkeys(
        (suffix for kind, some in SUFFIXES_READ.items() if kind not in FORMATS for suffix in some), CONVERT
    ),
    **dict.fromkeys((".dcm", ".dicom", ".nii", ".nrrd", ".mha", ".mhd"), "export their slices as 16-bit PNG"),
    **dict.fromkeys((".fits", ".fts", ".mrc", ".czi", ".lif", ".nd2", ".lsm", ".stk"), "export them as 16-bit PNG"),
    **dict.fromkeys((".svs", ".ndpi", ".scn", ".mrxs", ".vms"), "cut tiles out of them, as PNG or JPEG"),
    **dict.fromkeys((".exr", ".hdr", ".rgbe"), "map their tones to PNG, or save them as float TIFF"),
    **dict.fromkeys((".svg", ".svgz", ".eps", ".ps", ".ai", ".cdr", ".emf", ".wmf"), "draw them as PNG"),
    **dict.fromkeys((".psd", ".psb", ".xcf", ".kra", ".ora", ".clip", ".afphoto", ".sketch"), "export them as PNG"),
    **dict.fromkeys((".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng"), "develop them to JPEG"),
    **dict.fromkeys(
        (".orf", ".rw2", ".raf", ".pef", ".3fr", ".erf", ".kdc", ".mrw", ".x3f", ".iiq", ".srw"), "develop them to JPEG"
    ),
}
# Files that may hold pictures, or something else altogether.
CONTAINERS = {
    **dict.fromkeys(
        (".npy", ".npz", ".mat", ".h5", ".hdf5", ".pkl", ".pt", ".pth"), "arrays go to open_images in Python"
    ),
    **dict.fromkeys(
        (".parquet", ".arrow", ".tfrecord", ".tfrecords", ".lmdb", ".mdb", ".rec"), "export their pictures"
    ),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"), "unpack them"),
    **dict.fromkeys((".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".gifv"), "save their frames"),
    ".pdf": "draw their pages as PNG",
}

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
STARTS = {
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (b"\xff\xd8\xff",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": TIFF_STARTS,
    "JPEG2000": (b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  \r\n\x87\n"),
}
TGA_FOOTER, TGA_HEADER = b"TRUEVISION-XFILE.\0", 18
# Files that only stand for another one, or have come in its place: how they begin, what they are, and what to do.
STAND_INS = (
    (re.compile(rb"version https://git-lfs"), "a Git LFS pointer", "fetch the files themselves: git lfs pull"),
    (re.compile(rb"/annex/objects/"), "a git-annex pointer", "fetch the files themselves: git annex get"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype\s+html|html|head)\b", re.IGNORECASE), "a web page",
     "download it again: the page of a web site was saved in its place"),
)  # fmt: skip


def suffix_of(name: str) -> str:
    """The suffix of a path, in small letters; empty where there is none."""
    return posixpath.splitext(name)[1].lower()


def claims(name: str) -> bool:
    """Whether a name claims to be that of a picture, in a format that is read or in another one."""
    suffix = suffix_of(name)
    return suffix in SUFFIXES or suffix in CLAIMED


def is_read(name: str, begin: Callable[[], bytes]) -> bool:
    """Whether a file is one of the pictures, by its name or else by its first 16 bytes, which `begin` reads.

    The files of many cameras and microscopes are TIFF to look at, with a small preview in front: those are not read.
    """
    suffix = suffix_of(name)
    if suffix in SUFFIXES:
        return True
    start = begin()
    return looks_like_picture(start) and not (suffix in CLAIMED and start.startswith(TIFF_STARTS))


def looks_like_picture(start: bytes) -> bool:
    """Whether the first 16 or more bytes of a file are those of one of the formats; TGA has none to be told by."""
    return (
        any(start.startswith(STARTS[kind]) for kind in FORMATS if kind in STARTS)
        or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")
        or (start[:2] == b"BM" and start[6:10] == bytes(4))
        or ("AVIF" in FORMATS and start[4:12] in (b"ftypavif", b"ftypavis"))
        or _is_pnm(start)
    )


def is_tga(data: bytes) -> bool:
    """Whether a file may be TGA: its footer says so, or its header claims as many bytes as there are."""
    if len(data) < TGA_HEADER or data[1] > 1 or data[2] not in (1, 2, 3, 9, 10, 11):
        return False
    if data.endswith(TGA_FOOTER):
        return True
    width, height, depth = int.from_bytes(data[12:14], "little"), int.from_bytes(data[14:16], "little"), data[16]
    palette = int.from_bytes(data[5:7], "little") * data[7] // 8 if data[1] else 0
    needed = TGA_HEADER + data[0] + palette + width * height * depth // 8
    return data[2] < 9 and depth in (8, 16, 24, 32) and needed == len(data)


def stand_in(data: bytes) -> tuple[str, str] | None:
    """What a file is that is there in place of another, by how it begins, and what to do; None where it is no such."""
    return next(((words, advice) for begins, words, advice in STAND_INS if begins.match(data)), None)


def _is_pnm(start: bytes) -> bool:
    """Text may begin like this too, so a number or a comment has to follow."""
    if start[:1] != b"P" or start[1:2] not in (b"1", b"2", b"3", b"4", b"5", b"6", b"f") or not start[2:3].isspace():
        return False
    return start[3:4].isdigit() or start[3:4] == b"#"
