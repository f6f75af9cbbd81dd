"""Sources made of picture files: a folder, or a zip archive that is read in place and never extracted.

What counts as a picture: a regular file that has the suffix or the first bytes of a format in `decode`. Everything else
is left alone and counted by suffix; hidden files and folders are not looked at. Links to folders are not followed,
links to files only as far as they stay within the folder.

Labels: the sub-folders below the folder that all pictures share, unless some picture lies directly in that folder.
Attributes, where they are asked for: the table beside the pictures, see `tables`.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import posixpath
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ganlet.data.attributes import find_table, read_table
from ganlet.data.decode import BrokenPicture
from ganlet.data.formats import FORMAT_NAMES, SUFFIXES, looks_like_picture
from ganlet.data.settings import DataConfig
from ganlet.data.spec import Source, SourceKind, SourcePicture, name_bytes, printable, state_text
from ganlet.errors import DataError

MAX_MEMBERS = 2_000_000
MAX_ARCHIVE_BYTES = 64 * 2**30
MAX_RATIO = 2_000  # deflate cannot do better than 1032, so more is a trick
START_BYTES = 16


@dataclass(frozen=True)
class Found:
    """A file within a folder: where it is, its path below the folder, and its state on disk."""

    path: str
    name: str
    state: os.stat_result


def open_folder(root: Path, max_bytes: int, attributes: bool = False) -> Source:
    """The pictures in a folder and its sub-folders, sorted by the bytes of their paths."""
    found = sorted(_walk(os.path.realpath(root)), key=lambda file: name_bytes(file.name))
    files, others = [], dict[str, Found]()
    for file in found:
        if _is_picture(file):
            files.append(file)
        else:
            others[file.name] = file
    names = [file.name for file in files]
    ignored = Counter(map(_suffix, others))
    _require_pictures(root, len(files), ignored)
    labels, label_names = labels_from_paths(names)
    table = find_table(root, names, others) if attributes else None
    identity = hashlib.blake2b(digest_size=16)
    for file in [*files, *([others[table]] if table else [])]:
        identity.update(name_bytes(file.name) + b"\0" + state_text(file.state).encode() + b"\0")
    rows = read_table(root, table, names, lambda name: _read_file(others[name].path, max_bytes))

    def pictures() -> Iterator[SourcePicture]:
        for file, label, row in zip(files, labels, rows.of_pictures, strict=True):
            yield SourcePicture(partial(_read_file, file.path, max_bytes), file.name, label, row)

    return Source(
        "folder",
        identity.hexdigest(),
        len(files),
        pictures,
        label_names,
        ignored=ignored,
        attribute_names=rows.attribute_names,
    )


def open_zip(path: Path, max_bytes: int, attributes: bool = False) -> Source:
    """The pictures in a zip archive. An archive that looks like an attack is refused as a whole: DataError."""
    try:
        state = path.stat()
        archive = zipfile.ZipFile(path)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise DataError("The zip archive cannot be opened.", where=printable(path), got=printable(error)) from error
    try:
        found, others = _members(archive, path, max_bytes)
        ignored = Counter(map(_suffix, others))
        _require_pictures(path, len(found), ignored)
        names = sorted(found, key=name_bytes)
        table = find_table(path, names, others) if attributes else None
        rows = read_table(path, table, names, lambda name: _read_member(archive, others[name]))
    except BaseException:
        archive.close()
        raise
    labels, label_names = labels_from_paths(names)

    def pictures() -> Iterator[SourcePicture]:
        for name, label, row in zip(names, labels, rows.of_pictures, strict=True):
            yield SourcePicture(partial(_read_member, archive, found[name]), name, label, row)

    return Source(
        "zip",
        state_text(state) + (f" {table}" if table else ""),
        len(names),
        pictures,
        label_names,
        ignored=ignored,
        close=archive.close,
        attribute_names=rows.attribute_names,
    )


def labels_from_paths(names: Sequence[str]) -> tuple[list[int | None], tuple[str, ...] | None]:
    """A label for each path and the names of the labels, or no labels at all.

    `pets/cats/1.png` and `pets/dogs/2.png` have the labels cats and dogs; `pets/1.png` and `pets/2.png` have none.
    """
    folders, shared = _folders(names)
    if any(len(folder) == shared for folder in folders):
        return [None] * len(names), None
    label_names = sorted({folder[shared] for folder in folders}, key=name_bytes)
    numbers = {name: number for number, name in enumerate(label_names)}
    return [numbers[folder[shared]] for folder in folders], tuple(label_names)


def beside_classes(names: Sequence[str]) -> list[str]:
    """The paths of those pictures that lie beside the sub-folders, and so have no label."""
    folders, shared = _folders(names)
    return [name for name, folder in zip(names, folders, strict=True) if len(folder) == shared]


def _folders(names: Sequence[str]) -> tuple[list[list[str]], int]:
    """The folders on the way to each picture, and how many of them all pictures share."""
    folders = [name.split("/")[:-1] for name in names]
    # What the first and the last in order begin with, all between them begin with.
    ends = zip(min(folders), max(folders), strict=False)
    return folders, sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], ends))


def _walk(root: str) -> Iterator[Found]:
    """Regular files below a folder that is given as its real path."""
    pending = [(root, "")]
    while pending:
        folder, prefix = pending.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        pending.append((entry.path, f"{prefix}{entry.name}/"))
                    elif entry.is_file(follow_symlinks=False):
                        yield Found(entry.path, prefix + entry.name, entry.stat())
                    elif entry.is_symlink() and (target := _file_within(entry.path, root)):
                        yield Found(target, prefix + entry.name, os.stat(target))
        except OSError as error:
            raise DataError("A folder cannot be read.", where=printable(folder), got=error.strerror) from error


def _file_within(link: str, root: str) -> str | None:
    """The file that a link leads to, if there is one and it lies below `root`."""
    target = os.path.realpath(link)
    return target if os.path.isfile(target) and Path(target).is_relative_to(root) else None


def _is_picture(file: Found) -> bool:
    if _suffix(file.name) in SUFFIXES:
        return True
    try:
        with open(file.path, "rb") as opened:
            return looks_like_picture(opened.read(START_BYTES))
    except OSError:
        return False


def _suffix(name: str) -> str:
    return posixpath.splitext(name)[1].lower()


def _require_pictures(where: Path, count: int, ignored: Counter[str]) -> None:
    if count:
        return
    others = ", ".join(f"{number} {printable(suffix) or 'without suffix'}" for suffix, number in ignored.most_common(5))
    raise DataError(
        "There are no pictures here.",
        where=printable(where),
        got=f"{ignored.total()} other files ({others})" if ignored else "no files",
        expected=f"at least 2 {FORMAT_NAMES} files, in sub-folders if they have labels",
    )


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


Members = dict[str, zipfile.ZipInfo]


def _members(archive: zipfile.ZipFile, path: Path, max_bytes: int) -> tuple[Members, Members]:
    """The pictures of an archive by name, and its other files."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise _refused(path, f"{len(infos)} members", f"at most {MAX_MEMBERS}")
    total = sum(info.file_size for info in infos)
    if total > MAX_ARCHIVE_BYTES:
        raise _refused(path, f"{total} bytes when unpacked", f"at most {MAX_ARCHIVE_BYTES}")
    seen: set[str] = set()
    members, others = {}, {}
    for info in infos:
        _check_member(info, path, max_bytes)
        name = posixpath.normpath(info.filename)
        if name in seen:
            raise _refused(path, f"two members named {printable(name)}", "each name once")
        seen.add(name)
        if info.is_dir() or any(part.startswith(".") for part in name.split("/")):
            continue
        if _suffix(name) in SUFFIXES or looks_like_picture(_start_of(archive, info)):
            members[name] = info
        else:
            others[name] = info
    return members, others


def _check_member(info: zipfile.ZipInfo, path: Path, max_bytes: int) -> None:
    """Refuse what a well-meant archive never has. The name is judged as it is stored, before Python tidies it."""
    stored = info.orig_filename
    if stored.startswith("/") or "\\" in stored or "\0" in stored or stored[1:2] == ":" or ".." in stored.split("/"):
        raise _refused(path, f"a member named {printable(stored)}", "plain relative paths")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refused(path, f"{printable(stored)}, which is a link or a device", "files and folders only")
    if info.file_size > max_bytes:
        raise _refused(path, f"{printable(stored)} of {info.file_size} bytes", f"at most data.max_bytes = {max_bytes}")
    if info.file_size > MAX_RATIO * max(info.compress_size, 1):
        raise _refused(
            path, f"{printable(stored)}: {info.compress_size} bytes that become {info.file_size}", "no bombs"
        )


def _refused(path: Path, got: str, expected: str) -> DataError:
    return DataError(
        "The zip archive is refused.",
        where=printable(path),
        got=got,
        expected=expected,
        hint="if you trust it, unpack it yourself and give the folder",
    )


def _start_of(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        with archive.open(info) as member:
            return member.read(START_BYTES)
    except Exception:  # whatever cannot be read is no picture
        return b""


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The bytes of a member, never more than declared. Raises BrokenPicture for whatever is wrong with it."""
    try:
        return archive.read(info)
    except Exception as error:  # encrypted, damaged, of a compression that Python lacks, cut off ...
        raise BrokenPicture(f"cannot be read from the archive: {printable(error)[:100]}") from error


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _opened(config: DataConfig, open_kind: Callable[[Path, int, bool], Source]) -> Source:
    return open_kind(_path(config.source), config.max_bytes, config.labels == "attributes")


ZIP = SourceKind(
    "a zip archive of such files, read in place",
    matches=lambda text: _path(text).is_file() and zipfile.is_zipfile(_path(text)),
    open=lambda config: _opened(config, open_zip),
)
FOLDER = SourceKind(
    "a folder of PNG, JPEG, WEBP, BMP and GIF files; sub-folders are labels",
    matches=lambda text: _path(text).is_dir(),
    open=lambda config: _opened(config, open_folder),
)
