"""Sources in the two classic binary formats: MNIST-style idx files and the binary files of CIFAR-10.

idx (LeCun et al. 1998): big-endian 32-bit numbers, first 0x00000803 for pictures (then count, height, width) or
0x00000801 for labels (then count), followed by bytes; plain or gzip-compressed. CIFAR-10 (Krizhevsky 2009): records
of a label byte and three planes of 32 x 32 bytes, red, green and blue.
"""

from __future__ import annotations

import gzip
import itertools
import os
import posixpath
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from ganlet.data.folder import beside
from ganlet.data.spec import Source, SourceKind, SourcePicture, path_of, state_text
from ganlet.data.tar import unpacked_start
from ganlet.errors import DataError
from ganlet.paths import printable

IDX_PICTURES, IDX_LABELS = 0x00000803, 0x00000801
IDX_START = b"\0\0\x08"
IDX_NAME = re.compile(r"(?P<before>.*?)(?P<part>train|t10k|test)-images[-.]idx3-ubyte(\.gz)?")
GZIP_START = b"\x1f\x8b"
READ_BYTES = 2**22
MAX_DEFLATE_RATIO = 1032
MAX_PICTURES = 10**8

CIFAR_FOLDER = "cifar-10-batches-bin"
CIFAR_PARTS = {"train": tuple(f"data_batch_{number}.bin" for number in range(1, 6)), "test": ("test_batch.bin",)}
CIFAR_KNOWN = {*itertools.chain(*CIFAR_PARTS.values()), "batches.meta.txt", "readme.html"}
CIFAR_SHAPE = (3, 32, 32)
CIFAR_RECORD = 1 + 3 * 32 * 32
CIFAR_LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class IdxFile:
    """An idx file of pictures that has been looked at, and the labels beside it, if any."""

    path: Path
    count: int
    height: int
    width: int
    labels: np.ndarray | None


START_BYTES = 4


def holds_idx(path: Path) -> bool:
    """Whether a file holds idx pictures by its content, compressed by gzip or not; or by its name, where it is damaged
    so that nobody can tell."""
    with open(path, "rb") as file:
        start = file.read(START_BYTES)
    if not start.startswith(GZIP_START):
        return start == IDX_PICTURES.to_bytes(START_BYTES, "big")
    start = unpacked_start(path, START_BYTES)
    # A file of labels is told later for what it is.
    return start.startswith(IDX_START) or (len(start) < START_BYTES and IDX_NAME.fullmatch(path.name) is not None)


def has_idx(folder: Path) -> bool:
    """Whether a folder holds idx files of pictures."""
    return any(_idx_files(folder))


def _idx_files(folder: Path) -> Iterator[Path]:
    """The files that are called like idx pictures, each in the folder or in one of its own name, as Kaggle has them."""
    for name in sorted(name for name in os.listdir(folder) if "ubyte" in name and IDX_NAME.fullmatch(name)):
        path = folder / name
        file = path / name if path.is_dir() else path
        if file.is_file():
            yield file


def has_test_files(folder: Path) -> bool:
    """Whether a folder holds the test pictures of CIFAR-10 or of an MNIST-style set."""
    if cifar := find_cifar(folder):
        return all((cifar / name).is_file() for name in CIFAR_PARTS["test"])
    matches = (IDX_NAME.fullmatch(path.name) for path in _idx_files(folder))
    return any(match["part"] != "train" for match in matches if match)


def open_idx(path: Path, split: str, max_pixels: int) -> Source:
    """The pictures of one idx file, or of the files of a split in a folder; labels come from the files beside them."""
    paths = [path] if path.is_file() else _idx_paths(path, split)
    files = [_look_at(file, max_pixels) for file in paths]
    labels, label_names = _numbered([file.labels for file in files])

    def pictures() -> Iterator[SourcePicture]:
        for file, numbers in zip(files, labels, strict=True):
            for pixels, label in zip(_idx_pictures(file), numbers or itertools.repeat(None), strict=False):
                yield SourcePicture(pixels, label=label)

    used = [found for file in files for found in (file.path, _labels_path(file.path)) if found]
    identity = " | ".join(state_text(found.stat()) for found in used)
    left_out = () if path.is_file() else beside(path, _is_known)
    count = sum(file.count for file in files)
    has_test = path.is_dir() and has_test_files(path)
    return Source("idx", identity, count, pictures, label_names, channels=1, left_out=left_out, has_test=has_test)


def _is_known(path: str) -> bool:
    """Whether a path in a folder is that of idx pictures or labels, where `_idx_files` looks for them."""
    folder, name = posixpath.split(path)
    as_pictures = name.replace("labels", "images").replace("idx1", "idx3")
    return folder in ("", name) and IDX_NAME.fullmatch(as_pictures) is not None


def _numbered(values: list[np.ndarray | None]) -> tuple[list[list[int] | None], tuple[str, ...] | None]:
    """Labels of each file as indices into the values that occur, and these as names; none if a file has no labels."""
    known = [labels for labels in values if labels is not None]
    if len(known) < len(values):
        return [None] * len(values), None
    names = np.unique(np.concatenate(known))
    return [np.searchsorted(names, labels).tolist() for labels in known], tuple(str(name) for name in names)


def find_cifar(folder: Path) -> Path | None:
    """The folder with the CIFAR-10 files: this one or the official one in it."""
    names = [name for part in CIFAR_PARTS.values() for name in part]
    for candidate in (folder, folder / CIFAR_FOLDER):
        if any((candidate / name).is_file() for name in names):
            return candidate
    return None


def open_cifar(folder: Path, split: str) -> Source:
    """The pictures of a split of CIFAR-10, with its labels, from its folder or the one around it."""
    root, folder = folder, find_cifar(folder) or folder
    paths = [folder / name for part in _parts(split) for name in CIFAR_PARTS[part]]
    for path in paths:
        if not path.is_file():
            raise DataError(
                "A file of CIFAR-10 is missing.", where=printable(path), hint="or choose another data.split"
            )
        size = path.stat().st_size
        if size == 0 or size % CIFAR_RECORD:
            raise DataError(
                "A file of CIFAR-10 is damaged.",
                where=printable(path),
                got=f"{size} bytes",
                expected=f"n x {CIFAR_RECORD}",
            )
    label_names = _cifar_label_names(folder)
    for path in paths:
        worst = int(_records(path)[:, 0].max())
        if worst >= len(label_names):
            raise DataError("A label of CIFAR-10 is wrong.", where=printable(path), got=worst, expected="0 to 9")

    def pictures() -> Iterator[SourcePicture]:
        for path in paths:
            for record in _records(path):
                yield SourcePicture(record[1:].reshape(CIFAR_SHAPE).transpose(1, 2, 0), label=int(record[0]))

    count = sum(path.stat().st_size for path in paths) // CIFAR_RECORD
    identity = " | ".join(state_text(path.stat()) for path in paths)
    left_out = beside(root, {(folder / name).relative_to(root).as_posix() for name in CIFAR_KNOWN}.__contains__)
    has_test = has_test_files(folder)
    return Source("cifar10", identity, count, pictures, label_names, channels=3, left_out=left_out, has_test=has_test)


def _parts(split: str) -> tuple[str, ...]:
    return ("train", "test") if split == "all" else (split,)


def _idx_paths(folder: Path, split: str) -> list[Path]:
    """The picture files of a split in a folder; of a plain and a compressed copy, the plain one.

    Kaggle has two copies of each: `train-images.idx3-ubyte`, and `train-images-idx3-ubyte` in a folder of that name.
    """
    found: dict[str, dict[str, Path]] = {"train": {}, "test": {}}
    for path in reversed(list(_idx_files(folder))):
        if match := IDX_NAME.fullmatch(path.name):
            found["train" if match["part"] == "train" else "test"][
                path.name.removesuffix(".gz").replace(".idx3", "-idx3")
            ] = path
    paths = []
    for part in _parts(split):
        names = [path.name for path in found[part].values()]
        if len(names) != 1:
            raise DataError(
                f"The folder has {len(names)} idx files of pictures for data.split {part}.",
                where=printable(folder),
                got=", ".join(printable(name) for name in sorted(names)[:10]) or None,
                expected="one, such as train-images-idx3-ubyte.gz or t10k-images-idx3-ubyte.gz",
                hint="give the path of the file itself" if names else "choose another data.split",
            )
        paths += found[part].values()
    return paths


def _look_at(path: Path, max_pixels: int) -> IdxFile:
    """Read the header of a picture file, and its labels, and check that they belong together."""
    with _opened(path) as file:
        count, height, width = _header(file, path, IDX_PICTURES, 3)
    if count > MAX_PICTURES:
        raise _damaged(path, f"{count} pictures", f"at most {MAX_PICTURES}")
    if height * width == 0 or height * width > max_pixels:
        raise _damaged(path, f"pictures of {height} x {width} pixels", f"1 to data.max_pixels = {max_pixels}")
    _check_length(path, count * height * width)
    labels_path = _labels_path(path)
    if labels_path is None:
        return IdxFile(path, count, height, width, None)
    with _opened(labels_path) as file:
        (num_labels,) = _header(file, labels_path, IDX_LABELS, 1)
        if num_labels != count:
            raise _damaged(labels_path, f"{num_labels} labels", f"{count}, one for each picture")
        labels = np.frombuffer(_read(file, labels_path, num_labels), np.uint8)
        _require_end(file, labels_path)
    return IdxFile(path, count, height, width, labels)


def _check_length(path: Path, num_bytes: int) -> None:
    """Find a header that claims more than the file can hold, before room is made for it."""
    size = path.stat().st_size
    if num_bytes > size * (MAX_DEFLATE_RATIO if _is_compressed(path) else 1):
        raise _damaged(path, f"a file of {size} bytes", f"{num_bytes} bytes of pictures, as its header says")


def _idx_pictures(file: IdxFile) -> Iterator[np.ndarray]:
    """Each picture as (h, w, 1), read a few megabytes at a time."""
    size = file.height * file.width
    step = max(1, READ_BYTES // size)
    with _opened(file.path) as opened:
        _header(opened, file.path, IDX_PICTURES, 3)
        for start in range(0, file.count, step):
            count = min(step, file.count - start)
            block = np.frombuffer(_read(opened, file.path, count * size), np.uint8)
            yield from block.reshape(count, file.height, file.width, 1)
        _require_end(opened, file.path)


def _labels_path(path: Path) -> Path | None:
    """The file of labels that belongs to a file of pictures."""
    name = path.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    own = path.parent.parent / name / name  # where pictures and labels have a folder each
    for candidate in (
        path.with_name(name),
        path.with_name(name + ".gz"),
        *([own] if path.parent.name == path.name else []),
    ):
        if candidate != path and candidate.is_file():
            return candidate
    return None


def _is_compressed(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == GZIP_START


def _opened(path: Path) -> IO[bytes]:
    try:
        return cast(IO[bytes], gzip.open(path, "rb")) if _is_compressed(path) else open(path, "rb")
    except OSError as error:
        raise DataError("An idx file cannot be read.", where=printable(path), got=error.strerror) from error


def _header(file: IO[bytes], path: Path, magic: int, dimensions: int) -> tuple[int, ...]:
    found, *sizes = np.frombuffer(_read(file, path, 4 + 4 * dimensions), ">u4").tolist()
    if found != magic:
        raise _damaged(path, f"it starts with 0x{found:08x}", f"0x{magic:08x}")
    return tuple(sizes)


def _read(file: IO[bytes], path: Path, count: int) -> bytes:
    """Exactly `count` bytes."""
    data = _up_to(file, path, count)
    if len(data) < count:
        raise _damaged(path, "it ends too early", "as many bytes as its header says")
    return data


def _require_end(file: IO[bytes], path: Path) -> None:
    """Reading past the end also makes gzip compare its checksum."""
    if _up_to(file, path, 1):
        raise _damaged(path, "it has more bytes than its header says", "no more")


def _up_to(file: IO[bytes], path: Path, count: int) -> bytes:
    try:
        return file.read(count)
    except (EOFError, OSError, zlib.error) as error:
        raise _damaged(path, printable(error), "a whole file") from error


def _damaged(path: Path, got: str, expected: str) -> DataError:
    return DataError("An idx file is damaged.", where=printable(path), got=got, expected=expected)


def _records(path: Path) -> np.ndarray:
    return np.memmap(path, np.uint8, mode="r").reshape(-1, CIFAR_RECORD)


def _cifar_label_names(folder: Path) -> tuple[str, ...]:
    names = folder / "batches.meta.txt"
    if not names.is_file():
        return CIFAR_LABELS
    lines = tuple(names.read_text(encoding="utf-8", errors="replace").split())
    return lines if len(lines) == len(set(lines)) == len(CIFAR_LABELS) else CIFAR_LABELS


def _is_idx(text: str) -> bool:
    path = path_of(text)
    if not path.is_file():
        return path.is_dir() and has_idx(path)
    return holds_idx(path)


CIFAR = SourceKind(
    "a folder with the binary files of CIFAR-10",
    matches=lambda text: path_of(text).is_dir() and find_cifar(path_of(text)) is not None,
    open=lambda config: open_cifar(path_of(config.source), config.split),
)
IDX = SourceKind(
    "MNIST-style idx files, plain or gzip-compressed: a folder of them or one file",
    matches=_is_idx,
    open=lambda config: open_idx(path_of(config.source), config.split, config.max_pixels),
)
