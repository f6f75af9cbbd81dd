"""The nouns of the data package: a source, its pictures before and after packing, and the pack."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganlet.data.formats import suffix_of
from ganlet.data.settings import DataConfig
from ganlet.paths import printable


@dataclass(frozen=True)
class SourcePicture:
    """One picture as its source has it: uint8 pixels (h, w, C) in memory, or a function that reads the bytes of a file.

    `name` is the path within the source, empty where pictures are no files; `label` is an index into the label names;
    `attributes` has a byte for each attribute name, 1 where the picture has it and 0 where it has not.
    """

    content: np.ndarray | Callable[[], bytes]
    name: str = ""
    label: int | None = None
    attributes: bytes | None = None


BY_SUFFIX = ("format", "container", "other")  # why files are left out that are told of by their suffixes


@dataclass(frozen=True)
class LeftOut:
    """A file or folder of a source that is not read, by its path within the source, and why: a key of
    `leftovers.WORDS`."""

    name: str
    why: str
    is_folder: bool = False


@dataclass(frozen=True)
class Source:
    """Where pictures come from. `pictures()` walks over all `count` of them, always in the same order.

    `identity` is a text that differs whenever the content may have changed. `channels` is what the pictures have, None
    when only the files can tell. `left_out` is all that is there and not read, `used` are files that labels were read
    from, `tables` others that may be tables, and `notes` lines that the user should know. `has_test` tells whether
    there is a test split. Where there are names of labels or attributes, every picture has them. Call `close` at the
    end.
    """

    kind: str
    identity: str
    count: int
    pictures: Callable[[], Iterator[SourcePicture]]
    label_names: tuple[str, ...] | None = None
    channels: int | None = None
    left_out: tuple[LeftOut, ...] = ()
    close: Callable[[], None] = lambda: None
    attribute_names: tuple[str, ...] | None = None
    used: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    has_test: bool = False

    @property
    def ignored(self) -> Mapping[str, int]:
        """How many files there are that are no pictures, or in a format that is not read, by suffix."""
        names = (one.name for one in self.left_out if one.why in BY_SUFFIX)
        return Counter(map(suffix_of, names))


def path_of(text: str) -> Path:
    """The path that a `data.source` stands for, where it is one."""
    return Path(text).expanduser()


@dataclass(frozen=True)
class SourceKind:
    """A kind of source: what it is, in words; whether a `data.source` is of this kind; and how it is opened.

    `absolute` is what means the same from every working folder.
    """

    text: str
    matches: Callable[[str], bool]
    open: Callable[[DataConfig], Source]
    absolute: Callable[[str], str] = lambda text: str(path_of(text).absolute())


@dataclass(frozen=True, eq=False)
class Pack:
    """Pictures ready for training, in an order that depends on nothing but what they show.

    `pictures` is a read-only memory map, uint8 (N, H, W, C); `labels` is int64 (N,), the class of each, or None;
    `attributes` is uint8 (N, A), 1 where a picture has an attribute and 0 where not, or None unless `data.labels` asks
    for them; `names` are the paths within the source, or None where pictures are no files. `fingerprint` covers the
    pictures alone. `summary` is plain JSON data about the source: counts, modes, classes, skipped and ignored files.
    """

    pictures: np.ndarray
    labels: np.ndarray | None
    label_names: tuple[str, ...]
    names: tuple[str, ...] | None
    fingerprint: str
    summary: dict[str, Any]
    attributes: np.ndarray | None = None
    attribute_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.pictures)

    def name(self, index: int) -> str:
        """What to call a picture in a message: its path within the source, else its index; escaped."""
        return printable(self.names[index]) if self.names else str(index)


def name_bytes(name: str) -> bytes:
    """What names are sorted by, so that their order is the same on every system."""
    return name.encode("utf-8", "surrogatepass")


def state_text(state: os.stat_result) -> str:
    """What changes when a file is written or replaced."""
    return f"{state.st_ino} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}"
