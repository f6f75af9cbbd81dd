"""Parts of a data set in folders: train, val, test and the like, with the same sub-folders in each."""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ganlet.data.spec import name_bytes
from ganlet.errors import DataError
from ganlet.paths import printable

TRAIN = ("train", "training")
TEST = ("val", "valid", "validation", "dev", "test", "testing", "eval", "evaluation", "holdout")
AROUND = re.compile(r"[-_ ]?(set|images?|imgs?|data|\d{4})$")  # test_set, val2017, train_images
DOMAIN = re.compile(r"(train|val|test)[-_ ]?[ab]")  # of pictures that are translated into each other: trainA, trainB
SHOWN = 5


@dataclass(frozen=True)
class Parts:
    """The folder at `depth` of every path is the part that a picture belongs to."""

    depth: int

    def is_meant(self, name: str, split: str) -> bool:
        """Whether a picture belongs to `data.split`."""
        return split == "all" or part_of(name.split("/")[self.depth]) == split

    def without(self, names: Sequence[str]) -> list[str]:
        """The paths as they would be without the folders of the parts."""
        split = (name.split("/") for name in names)
        return ["/".join([*parts[: self.depth], *parts[self.depth + 1 :]]) for parts in split]


def part_of(folder: str) -> str | None:
    """The `data.split` that a folder is called after: train, or test for all that training must not see; else None."""
    name = AROUND.sub("", folder.casefold())
    return "train" if name in TRAIN else "test" if name in TEST else None


def folders_of(names: Sequence[str]) -> tuple[list[list[str]], int]:
    """The folders on the way to each picture, and how many of them all pictures share."""
    folders = [name.split("/")[:-1] for name in names]
    # What the first and the last in order begin with, all between them begin with.
    ends = zip(min(folders), max(folders), strict=False)
    return folders, sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], ends))


def above(names: Sequence[str]) -> list[str]:
    """The folder that all of these paths share, last, and those above it, the source itself first."""
    shared = posixpath.commonpath([posixpath.dirname(min(names)), posixpath.dirname(max(names))])
    parts = shared.split("/") if shared else []
    return ["/".join(parts[:depth]) for depth in range(len(parts) + 1)]


def find_parts(root: Path, names: Sequence[str]) -> Parts | None:
    """The parts that pictures are in, either all below train, test ... or each class with train, test ... in it.

    Raises DataError where folders are called like parts but are not the same inside: nobody can tell what is meant.
    """
    folders, shared = folders_of(names)
    at = _kinds(folders, shared)
    if {"train", "test"} <= at.keys():
        if None in at or not _alike(folders, shared):
            raise _unclear(root, folders, shared)
        return Parts(shared)
    children = {folder[shared] for folder in folders if len(folder) > shared}
    if len(children) > 1 and all(DOMAIN.fullmatch(child.casefold()) for child in children):
        raise _unclear(root, folders, shared)
    if _kinds(folders, shared + 1).keys() == {"train", "test"}:
        return Parts(shared + 1)
    return None


def require_test_part(root: Path, names: Sequence[str], parts: Parts | None) -> None:
    """Raise DataError where there is no part for `data.split=test`: neither beside one for training nor alone."""
    if parts is not None or part_of(root.name) == "test":
        return
    if not all(any(part_of(folder) == "test" for folder in name.split("/")[:-1]) for name in names):
        raise DataError(
            "The source has no part for testing.",
            where=printable(root),
            got="data.split = test",
            expected="sub-folders such as train and test with the same classes, or train, val",
            hint="give the folder of the test pictures, or --set data.split=train",
        )


def _kinds(folders: Sequence[Sequence[str]], depth: int) -> dict[str | None, str]:
    """The kinds of parts at a depth, each with a folder of it; None where one has no such folder or is no part."""
    named = {folder[depth] if len(folder) > depth else None for folder in folders}
    return {None if name is None else part_of(name): name or "" for name in named}


def _alike(folders: Sequence[Sequence[str]], depth: int) -> bool:
    """Whether what is held out has no other sub-folders than what is trained on."""
    inside: dict[str | None, set[str]] = {"train": set(), "test": set()}
    for folder in folders:
        inside[part_of(folder[depth])].add(folder[depth + 1] if len(folder) > depth + 1 else "")
    return "" in inside["train"] or inside["test"] <= inside["train"]


def _unclear(root: Path, folders: Sequence[Sequence[str]], depth: int) -> DataError:
    inside: dict[str, set[str]] = {}
    for folder in folders:
        child = folder[depth] if len(folder) > depth else ""
        inside.setdefault(child, set()).add(folder[depth + 1] if len(folder) > depth + 1 else "")
    told = []
    for child in sorted(inside, key=name_bytes):
        classes = sorted(inside[child] - {""}, key=name_bytes)
        listed = ", ".join(map(printable, classes[:SHOWN])) + (" ..." if len(classes) > SHOWN else "")
        told.append(f"{printable(child)}/ ({listed or 'pictures'})" if child else "pictures beside them")
    first = min((child for child in inside if child), key=lambda child: (part_of(child) != "train", name_bytes(child)))
    meant = root.joinpath(*folders[0][:depth], first)
    unpack = "" if root.is_dir() else "unpack it and "
    return DataError(
        "Sub-folders are called like parts of a data set, and are not the same inside.",
        where=printable(root),
        got=", ".join(told[: 2 * SHOWN]),
        expected="the same sub-folders in each part, and nothing beside them",
        hint=f"{unpack}give the part to train on: {printable(meant)}",
    )
