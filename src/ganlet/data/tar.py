"""Tar archives, plain or compressed: their members in order, and any part of any member.

A compressed archive cannot be read but from its beginning, so it is unpacked once into a file without a name in the
cache folder, which is gone with the source. Headers are read one by one with Python's `tarfile.TarInfo`, because
`tarfile.open` ends quietly at a damaged header and reads extended headers of any size into memory.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import tarfile
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ganlet.data.cache import cache_folder, cache_problems
from ganlet.errors import DataError
from ganlet.paths import printable

BLOCK = tarfile.BLOCKSIZE
COPY_BYTES = 2**22
MAX_EXTENDED = 2**20  # bytes of a long name or of further facts about a member
LINKS = {
    tarfile.LNKTYPE: "a link",
    tarfile.SYMTYPE: "a link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}
WITHOUT_CONTENT = {kind for kind in (*LINKS, tarfile.DIRTYPE) if kind != tarfile.GNUTYPE_SPARSE}
FACTS = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
EXTENDED = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XGLTYPE, *FACTS)
FACT_LENGTH = re.compile(rb"(\d{1,7}) ")
OPENERS: dict[bytes, Callable[..., Any]] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}
UNPACKING = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


@dataclass(frozen=True)
class Member:
    """A member: its name as it is stored, tarfile's kind, and where its bytes lie in the unpacked archive."""

    name: str
    kind: bytes
    offset: int
    size: int

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.kind == tarfile.DIRTYPE


def holds_tar(path: Path) -> bool:
    """Whether a file is a tar archive, compressed or not, by its content."""
    return _is_header(unpacked_start(path, BLOCK))


def unpacked_start(path: Path, count: int) -> bytes:
    """The first bytes of what is in a file, unpacked if it is compressed; fewer where it is damaged."""
    try:
        with _opener(path)(path, "rb") as file:
            return file.read(count)
    except UNPACKING:
        return b""


class OpenedTar:
    """A tar archive that is open for reading, from several threads if need be.

    Raises DataError where it cannot be opened, is damaged, or unpacks to more than `limit` bytes; ResourceProblem and
    EnvironmentProblem for the cache folder.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            opener = _opener(path)
            self._file: IO[bytes] = open(path, "rb") if opener is open else self._unpacked(opener, limit)  # noqa: SIM115
        except OSError as error:
            raise self._damaged(printable(error.strerror or error)) from error

    def close(self) -> None:
        """Close it; what was unpacked is gone."""
        self._file.close()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def read(self, member: Member, count: int) -> bytes:
        """The first `count` bytes of a member, fewer where it has no more."""
        return self._at(member.offset, min(count, member.size))

    def members(self) -> Iterator[Member]:
        """All members, in their order, of each archive where several are written one behind the other."""
        facts: dict[str, str] = {}
        ended = False
        place, end = 0, self._file.seek(0, 2)
        while place < end:
            block = self._at(place, BLOCK)
            ended = not any(block)
            if ended:
                place += BLOCK
                continue
            try:
                info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
                if info.type not in EXTENDED:
                    info.size = int(facts.get("size", info.size))
            except tarfile.HeaderError as error:
                raise self._damaged(f"{printable(error)} at byte {place}") from error
            except ValueError as error:
                raise self._damaged(f"a size that is no number at byte {place}") from error
            if info.size < 0:
                raise self._damaged(f"a member of {info.size} bytes at byte {place}")
            place += BLOCK
            if info.type in EXTENDED:
                facts |= self._extended(info, place)
            else:
                if info.type in WITHOUT_CONTENT:
                    info.size = 0
                sparse = any(key.startswith("GNU.sparse") for key in facts)
                kind = tarfile.GNUTYPE_SPARSE if sparse else info.type
                yield Member(facts.get("path", info.name), kind, place, info.size)
                facts = {}
            place += -(-info.size // BLOCK) * BLOCK
        if not ended:
            raise self._damaged("it ends without the mark of its end, so it may have been cut off")

    def _extended(self, info: tarfile.TarInfo, place: int) -> dict[str, str]:
        """Facts about the next member that have no room in its header; those about all members do not matter here."""
        if info.size > MAX_EXTENDED:
            raise self._damaged(f"{info.size} bytes of facts about one member")
        data = self._at(place, info.size)
        if info.type == tarfile.GNUTYPE_LONGNAME:
            return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
        found = {}
        while info.type in FACTS and data:
            length = FACT_LENGTH.match(data)
            if length is None or not length.end() <= int(length[1]) <= len(data):
                raise self._damaged("facts about a member that cannot be read")
            key, _, value = data[length.end() : int(length[1])].rstrip(b"\n").partition(b"=")
            found[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
            data = data[int(length[1]) :]
        return found

    def _at(self, place: int, count: int) -> bytes:
        with self._lock:
            self._file.seek(place)
            return self._file.read(count)

    def _unpacked(self, opener: Callable[..., Any], limit: int) -> IO[bytes]:
        cache, total = cache_folder(), 0
        with cache_problems(cache, limit):
            cache.mkdir(parents=True, exist_ok=True)
            target = tempfile.TemporaryFile(dir=cache)  # noqa: SIM115
        try:
            with opener(self.path, "rb") as packed:
                while block := self._next(packed):
                    total += len(block)
                    if total > limit:
                        got = f"{self.path.stat().st_size} bytes that become more than {limit}"
                        raise DataError(
                            "The tar archive is refused.", where=printable(self.path), got=got, expected="no bombs"
                        )
                    with cache_problems(cache, total):
                        target.write(block)
        except BaseException:
            target.close()
            raise
        return target

    def _next(self, packed: IO[bytes]) -> bytes:
        try:
            return packed.read(COPY_BYTES)
        except UNPACKING as error:
            raise self._damaged(printable(error)) from error

    def _damaged(self, got: str) -> DataError:
        return DataError(
            "The tar archive is damaged.",
            where=printable(self.path),
            got=got,
            hint="copy it again, or unpack what is left of it and give the folder",
        )


def _opener(path: Path) -> Callable[..., Any]:
    with open(path, "rb") as file:
        start = file.read(8)
    return next((opener for magic, opener in OPENERS.items() if start.startswith(magic)), open)


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True
