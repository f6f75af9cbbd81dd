"""What lies in a source of files: one walk for folders and archives alike, after which every file is an entry to be
read, or left out for a reason.

Not looked into are: runs of ganlet, the cache, what is hidden, and what systems and other programs leave behind. Links
are followed, but each real folder is read once, by the name under which it really lies in the source if it does.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from ganlet.data.formats import CLAIMED, CONTAINERS, claims, is_read, suffix_of
from ganlet.data.spec import LeftOut, name_bytes

SYSTEM_FOLDERS = frozenset(
    (
        *("__macosx", "network trash folder", "temporary items", "lost+found"),
        *("$recycle.bin", "recycler", "recycled", "system volume information"),
        *("@eadir", "#recycle", "@recycle", "@recently-snapshot", "#snapshot", "~snapshot", "lost.dir"),
        "__pycache__",
    )
)
SYSTEM_FILES = frozenset(
    (
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "autorun.inf", "icon\r"),
        *("picasa.ini", "zbthumbnail.info", "dwrcache.dat", "synoindex_media_info"),
    )
)
RUN_FILE = "config.yaml"
RUN_MARKS = ({"environment.json"}, {"samples", "checkpoints"})  # early on a run has the latter alone


class Entry(NamedTuple):
    """A file that is there to be read: its path within the source, its size in bytes, functions that give all of its
    bytes or the first 16, and its state on a disk. `read` raises BrokenPicture."""

    name: str
    size: int
    read: Callable[[], bytes]
    start: Callable[[], bytes]
    state: os.stat_result | None = None


class Folder(Protocol):
    """A folder of a source, by its path there; `key` is the same for all ways to the same folder."""

    name: str

    @property
    def key(self) -> Hashable:
        """Another one for every other folder."""
        ...

    def children(self) -> Iterable[Child]:
        """What is in it. Raises DataError where it cannot be read."""
        ...


class Child(NamedTuple):
    """What is in a folder, by the last part of its name: a file, a folder, or neither and why. `is_link` tells links to
    folders, and those to files out of the source."""

    name: str
    file: Entry | None = None
    folder: Folder | None = None
    is_link: bool = False
    why_not: str = ""


@dataclass
class Found:
    """What a walk has found: pictures and other files, sorted by the bytes of their names; what is left out besides
    those other files; links that were followed out of the source; and whether the source itself is a run."""

    pictures: list[Entry] = field(default_factory=list)
    others: dict[str, Entry] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    followed: list[str] = field(default_factory=list)
    is_run: bool = False


def walk(root: Folder) -> Found:
    """Look at everything below a folder."""
    found, seen = Found(), {root.key}
    pending: list[Folder] = [root]
    links: list[tuple[bytes, Folder]] = []  # a heap by their names, of which no two are the same
    walked: list[str] = []
    while pending or links:
        if not pending:  # what really lies in the source has been seen
            _, link = heapq.heappop(links)
            if link.key in seen:
                found.left_out.append(LeftOut(link.name, "linked twice", is_folder=True))
                continue
            seen.add(link.key)
            found.followed.append(link.name)
            pending.append(link)
        folder = pending.pop()
        children = list(folder.children())
        prefix = f"{folder.name}/" if folder.name else ""
        if _is_run({child.name for child in children}):
            if folder is not root:
                found.left_out.append(LeftOut(folder.name, "run", is_folder=True))
                continue
            found.is_run = True
        walked.append(folder.name)
        for child in children:
            name = prefix + child.name
            if why := _left_behind(child) or child.why_not:
                found.left_out.append(LeftOut(name, why, is_folder=child.folder is not None))
            elif child.file is not None:
                if child.is_link:
                    found.followed.append(name)
                if is_read(child.name, child.file.start):
                    found.pictures.append(child.file)
                else:
                    found.others[name] = child.file
            elif child.is_link:
                assert child.folder is not None
                heapq.heappush(links, (name_bytes(name), child.folder))
            elif child.folder is not None and child.folder.key not in seen:
                seen.add(child.folder.key)
                pending.append(child.folder)
            else:
                found.left_out.append(LeftOut(name, "linked twice", is_folder=True))
    found.followed.sort(key=name_bytes)
    found.pictures.sort(key=lambda entry: name_bytes(entry.name))
    found.left_out += [LeftOut(name, "no pictures", is_folder=True) for name in _without_pictures(walked, found)]
    return found


def why_not_read(name: str) -> str:
    """The reason why a file that is no picture is left out."""
    suffix = suffix_of(name)
    return "format" if suffix in CLAIMED else "container" if suffix in CONTAINERS else "other"


def claiming(left_out: Iterable[LeftOut]) -> list[LeftOut]:
    """Those that claim to be pictures."""
    return [one for one in left_out if one.why == "format" or _is_gone(one)]


def _is_gone(one: LeftOut) -> bool:
    return one.why in ("dead link", "special") and claims(one.name)


def _is_run(names: set[str]) -> bool:
    """Whether a folder with these names in it is a run of ours, complete or just begun."""
    return RUN_FILE in names and any(marks <= names for marks in RUN_MARKS)


def _left_behind(child: Child) -> str:
    """Why a child is not looked at, by its name alone; empty where it is."""
    if child.name.startswith("."):
        return "hidden"
    known = SYSTEM_FILES if child.folder is None else SYSTEM_FOLDERS
    return "system" if child.name.casefold() in known or child.name.startswith("~$") else ""


def _without_pictures(walked: Iterable[str], found: Found) -> list[str]:
    """The folders below which lies no picture, nor another folder that is told of; without those in such folders."""
    holding = {""}
    told = (one.name for one in found.left_out if one.is_folder and one.why in ("run", "cache", "linked twice"))
    for name in [*told, *(entry.name for entry in found.pictures)]:
        folder = name.rpartition("/")[0]
        while folder not in holding:
            holding.add(folder)
            folder = folder.rpartition("/")[0]
    empty = [name for name in walked if name not in holding]
    return sorted((name for name in empty if name.rpartition("/")[0] in holding), key=name_bytes)
