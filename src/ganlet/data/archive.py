"""A zip or tar archive as a source: read in place, never extracted, and arranged as the folder would be.

An archive that looks like an attack is refused as a whole: absolute names, names that climb out, links and devices,
one name twice, bombs. Names are tidied before they are judged; limits hold for what would be read.
"""

from __future__ import annotations

import posixpath
import re
import stat
import zipfile
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ganlet.data.decode import BrokenPicture
from ganlet.data.layout import Arrangement, Wanted, arranged
from ganlet.data.spec import Source, SourceKind, path_of, state_text
from ganlet.data.tar import LINKS, Member, OpenedTar, holds_tar
from ganlet.data.tree import Child, Entry, walk
from ganlet.errors import DataError
from ganlet.paths import printable

MAX_MEMBERS = 2_000_000
MAX_ARCHIVE_BYTES = 64 * 2**30
MAX_RATIO = 2_000  # deflate cannot do better than 1032, so more is a trick
MAX_FOLDERS, MAX_NAME = 500_000, 1_024  # a name of few bytes may stand for many folders
START_BYTES = 16
ZIP_START = b"PK\x03\x04"
UTF8_FLAG = 0x800
WINDOWS = 0  # what made the archive, by zip's number


@dataclass
class ArchiveFolder:
    """A folder in an archive, with what is in it by the last part of the name, and how many folders it had made."""

    name: str = ""
    inside: dict[str, Entry | ArchiveFolder] = field(default_factory=dict)
    num_made: int = 0

    @property
    def key(self) -> Hashable:
        """Nothing in an archive can be reached in two ways."""
        return self.name

    def children(self) -> Iterator[Child]:
        """What is in it."""
        for name, child in self.inside.items():
            yield Child(name, folder=child) if isinstance(child, ArchiveFolder) else Child(name, file=child)

    def folder(self, name: str) -> ArchiveFolder | None:
        """The folder of that path, made where it is not there; None where a file is in the way."""
        place, path = self, ""
        for part in name.split("/") if name else ():
            path = f"{path}/{part}" if path else part
            below = place.inside.get(part)
            if below is None:
                below = place.inside[part] = ArchiveFolder(path)
                self.num_made += 1
            if not isinstance(below, ArchiveFolder):
                return None
            place = below
        return place

    def add(self, entry: Entry) -> bool:
        """Put a file where it belongs; False where something of that name is there."""
        place = self.folder(posixpath.dirname(entry.name))
        return place is not None and place.inside.setdefault(posixpath.basename(entry.name), entry) is entry


def open_zip(path: Path, max_bytes: int, wanted: Wanted | None = None) -> Source:
    """The pictures in a zip archive. Raises DataError where it cannot be opened or is refused."""
    try:
        state = path.stat()
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise DataError("The zip archive cannot be opened.", where=printable(path), got=printable(error)) from error
    except (ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        ended = zipfile.is_zipfile(path)  # its list of members stands at its end
        raise DataError(
            "The zip archive is damaged.",
            where=printable(path),
            got=printable(error) if ended else "it ends without the list of its members, so it may have been cut off",
            hint="copy it again, or unpack what is left of it and give the folder",
        ) from error
    try:
        root, infos = ArchiveFolder(), archive.infolist()
        _require_count(path, len(infos))
        packed = {}
        for info in infos:
            name = _judged(_decoded(info.orig_filename, info), path, info.create_system == WINDOWS)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(path, f"{printable(name)}, which is a link or a device", "files and folders only")
            if info.is_dir() or info.orig_filename.endswith("\\"):
                _add(path, root, name, None)
                continue
            packed[name] = info.compress_size
            read, start = partial(_read_member, archive, info, max_bytes), partial(_start_of, archive, info)
            _add(path, root, name, Entry(name, info.file_size, read, start))
        arrangement = _arranged(path, root, wanted, max_bytes, packed)
        identity = " ".join([state_text(state), *arrangement.used])
        return arrangement.source("zip", identity, archive.close)
    except BaseException:
        archive.close()
        raise


def open_tar(path: Path, max_bytes: int, wanted: Wanted | None = None) -> Source:
    """The pictures in a tar archive, which may be compressed: then it is unpacked once into a file without a name.

    Raises DataError where it cannot be opened or is refused, and what `cache_problems` raises for that file.
    """
    state = path.stat()
    limit = min(MAX_ARCHIVE_BYTES, max(max_bytes, MAX_RATIO * state.st_size))
    archive = OpenedTar(path, limit)
    try:
        root = ArchiveFolder()
        for count, member in enumerate(archive.members(), start=1):
            _require_count(path, count)
            name = _judged(member.name, path, from_windows=False)
            if member.kind in LINKS:
                raise _refused(path, f"{printable(name)}, which is {LINKS[member.kind]}", "files and folders only")
            if member.is_folder:
                _add(path, root, name, None)
                continue
            read, start = partial(_read_part, archive, member, max_bytes), partial(archive.read, member, START_BYTES)
            _add(path, root, name, Entry(name, member.size, read, start))
        arrangement = _arranged(path, root, wanted, max_bytes, {})
        identity = " ".join([state_text(state), *arrangement.used])
        return arrangement.source("tar", identity, archive.close)
    except BaseException:
        archive.close()
        raise


def _arranged(
    path: Path, root: ArchiveFolder, wanted: Wanted | None, max_bytes: int, packed: dict[str, int]
) -> Arrangement:
    """What is in an archive, arranged, once the sizes of all that would be read are judged."""
    found = walk(root)
    total = sum(entry.size for entry in found.pictures)
    if total > MAX_ARCHIVE_BYTES:
        raise _refused(path, f"{total} bytes of pictures", f"at most {MAX_ARCHIVE_BYTES}, unpacked")
    for entry in found.pictures:
        if entry.size > max_bytes:
            got = f"{printable(entry.name)} of {entry.size} bytes"
            raise _refused(path, got, f"at most data.max_bytes = {max_bytes} (up to {2**40})")
        size = packed.get(entry.name, entry.size)
        if entry.size > MAX_RATIO * max(size, 1):
            raise _refused(path, f"{printable(entry.name)}: {size} bytes that become {entry.size}", "no bombs")
    return arranged(path, found, wanted or Wanted())


def _require_count(path: Path, count: int) -> None:
    if count > MAX_MEMBERS:
        raise _refused(path, f"{count} members", f"at most {MAX_MEMBERS}")


def _decoded(stored: str, info: zipfile.ZipInfo) -> str:
    """A name as it was meant: many programs write UTF-8 without saying so, and Python takes it for code page 437."""
    if info.flag_bits & UTF8_FLAG:
        return stored
    try:
        return stored.encode("cp437").decode("utf-8")
    except UnicodeError:
        return stored


def _judged(stored: str, path: Path, from_windows: bool) -> str:
    """A member's name with / between folders. Refused is one that a well-meant archive never has."""
    if len(stored) > MAX_NAME:
        raise _refused(path, f"a name of {len(stored)} characters", f"at most {MAX_NAME}")
    parts = re.split(r"[/\\]", stored)
    if parts[0] == "" or "\0" in stored or stored[1:2] == ":" or ".." in parts:
        raise _refused(path, f"a member named {printable(stored)}", "plain relative paths")
    # Old programs for Windows write \ between folders; elsewhere it may be part of a name that has folders already.
    if from_windows or "/" not in stored:
        stored = stored.replace("\\", "/")
    return posixpath.normpath(stored)


def _add(path: Path, root: ArchiveFolder, name: str, entry: Entry | None) -> None:
    """Put a file or, without one, a folder into the tree."""
    if not (root.add(entry) if entry is not None else name == "." or root.folder(name) is not None):
        raise _refused(path, f"two members named {printable(name)}", "each name once")
    if root.num_made > MAX_FOLDERS:
        raise _refused(path, f"{root.num_made} folders", f"at most {MAX_FOLDERS}")


def _refused(path: Path, got: str, expected: str) -> DataError:
    kind = "tar" if holds_tar(path) else "zip"
    return DataError(
        f"The {kind} archive is refused.",
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


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> bytes:
    """The bytes of a member, never more than declared. Raises BrokenPicture for whatever is wrong with it."""
    if info.file_size > max_bytes:
        raise BrokenPicture(f"{info.file_size} bytes, more than data.max_bytes = {max_bytes}")
    try:
        return archive.read(info)
    except Exception as error:  # encrypted, damaged, of a compression that Python lacks, cut off ...
        raise BrokenPicture(f"cannot be read from the archive: {printable(error)[:100]}") from error


def _read_part(archive: OpenedTar, member: Member, max_bytes: int) -> bytes:
    if member.size > max_bytes:
        raise BrokenPicture(f"{member.size} bytes, more than data.max_bytes = {max_bytes}")
    data = archive.read(member, member.size)
    if len(data) < member.size:
        raise BrokenPicture("cannot be read from the archive: it has changed")
    return data


def _is_zip(path: Path) -> bool:
    """Whether a file is a zip archive, or the beginning of one."""
    if zipfile.is_zipfile(path):
        return True
    with open(path, "rb") as file:
        return file.read(len(ZIP_START)) == ZIP_START


ZIP = SourceKind(
    "a zip archive of such files, read in place",
    matches=lambda text: path_of(text).is_file() and _is_zip(path_of(text)),
    open=lambda config: open_zip(path_of(config.source), config.max_bytes, Wanted.by(config)),
)
TAR = SourceKind(
    "a tar archive of such files, plain or compressed by gzip, bzip2 or xz",
    matches=lambda text: path_of(text).is_file() and holds_tar(path_of(text)),
    open=lambda config: open_tar(path_of(config.source), config.max_bytes, Wanted.by(config)),
)
