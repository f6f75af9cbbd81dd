"""A folder of picture files as a source. What is in it is told by `tree`, what becomes of it by `layout`."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from pathlib import Path

from ganlet.data.cache import cache_folder
from ganlet.data.decode import BrokenPicture
from ganlet.data.formats import FORMAT_NAMES
from ganlet.data.layout import Wanted, arranged
from ganlet.data.settings import DataConfig
from ganlet.data.spec import LeftOut, Source, SourceKind, name_bytes, path_of, state_text
from ganlet.data.tree import Child, Entry, Found, walk, why_not_read
from ganlet.errors import DataError
from ganlet.paths import printable

START_BYTES = 16


class DiskFolder:
    """A folder on a disk; `name` is its path within the source that begins at `root`, a real path like all others."""

    def __init__(self, path: str, name: str, root: str, cache: str, max_bytes: int) -> None:
        self.path, self.name, self.root, self.cache, self.max_bytes = path, name, root, cache, max_bytes
        self.key: Hashable = _key(path)

    def children(self) -> Iterator[Child]:
        """What is in it. Raises DataError where it cannot be read."""
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    try:
                        child = self._child(entry)
                    except FileNotFoundError:  # gone since it was listed
                        continue
                    yield child
        except OSError as error:
            raise DataError("A folder cannot be read.", where=printable(self.path), got=error.strerror) from error

    def _child(self, entry: os.DirEntry[str]) -> Child:
        name = entry.name
        if entry.is_file(follow_symlinks=False):
            return Child(name, self._file(entry.path, name, entry.stat()))
        if entry.is_dir(follow_symlinks=False):
            return Child(
                name, folder=self._folder(entry.path, name), why_not="cache" if entry.path == self.cache else ""
            )
        if not entry.is_symlink():
            return Child(name, why_not="special")
        target = os.path.realpath(entry.path)
        try:
            state = os.stat(target)
        except OSError:
            return Child(name, why_not="dead link")
        if stat.S_ISREG(state.st_mode):
            return Child(name, self._file(target, name, state), is_link=not Path(target).is_relative_to(self.root))
        if not stat.S_ISDIR(state.st_mode):
            return Child(name, why_not="special")
        around = Path(self.root).is_relative_to(target) and target != self.root
        return Child(name, folder=self._folder(target, name), is_link=True, why_not="around" if around else "")

    def _folder(self, path: str, name: str) -> DiskFolder:
        name = f"{self.name}/{name}" if self.name else name
        return DiskFolder(path, name, self.root, self.cache, self.max_bytes)

    def _file(self, path: str, name: str, state: os.stat_result) -> Entry:
        name = f"{self.name}/{name}" if self.name else name
        read, start = partial(_read_file, path, self.max_bytes), partial(_start_of, path)
        return Entry(name, state.st_size, read, start, state)


def open_folder(root: Path, max_bytes: int, wanted: Wanted | None = None) -> Source:
    """The pictures in a folder and its sub-folders, sorted by the bytes of their paths."""
    found = _walked(root, max_bytes)
    arrangement = arranged(root, found, wanted or Wanted())
    identity = hashlib.blake2b(digest_size=16)
    for entry in [*found.pictures, *(found.others[name] for name in arrangement.used)]:
        assert entry.state is not None, entry.name
        identity.update(name_bytes(entry.name) + b"\0" + state_text(entry.state).encode() + b"\0")
    return arrangement.source("folder", identity.hexdigest())


def beside(folder: Path, is_known: Callable[[str], object]) -> tuple[LeftOut, ...]:
    """What lies in a folder besides files of another kind, which are known by their paths there."""
    found = _walked(folder, max_bytes=0)
    left_out = [one for one in found.left_out if one.why != "no pictures"]
    left_out += [LeftOut(name, why_not_read(name)) for name in found.others if not is_known(name)]
    left_out += [LeftOut(entry.name, "beside") for entry in found.pictures]
    return tuple(sorted(left_out, key=lambda one: name_bytes(one.name)))


def _walked(root: Path, max_bytes: int) -> Found:
    real = os.path.realpath(root)
    return walk(DiskFolder(real, "", real, os.path.realpath(cache_folder()), max_bytes))


def _key(path: str) -> Hashable:
    """The same for all paths to a folder; the path itself where it cannot be told."""
    try:
        state = os.stat(path)
    except OSError:
        return path
    return state.st_dev, state.st_ino


def _start_of(path: str) -> bytes:
    try:
        with open(path, "rb") as opened:
            return opened.read(START_BYTES)
    except OSError:
        return b""


def _read_file(path: str, max_bytes: int) -> bytes:
    """The bytes of a file. Raises BrokenPicture when it is too large or cannot be read."""
    try:
        # A pipe that has taken the place of the file since it was listed must not make us wait.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(handle, "rb") as file:
            state = os.fstat(handle)
            if not stat.S_ISREG(state.st_mode):
                raise BrokenPicture("not a regular file")
            if state.st_size > max_bytes:
                raise BrokenPicture(f"{state.st_size} bytes, more than data.max_bytes = {max_bytes}")
            return file.read()
    except OSError as error:
        raise BrokenPicture(f"cannot be read: {error.strerror}") from error


def _open(config: DataConfig) -> Source:
    return open_folder(path_of(config.source), config.max_bytes, Wanted.by(config))


KIND = SourceKind(
    f"a folder of {FORMAT_NAMES} files; sub-folders are labels",
    matches=lambda text: path_of(text).is_dir(),
    open=_open,
)
