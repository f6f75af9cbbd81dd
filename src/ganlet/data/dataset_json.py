"""Labels in a `dataset.json` beside pictures, as the tools of StyleGAN2-ADA and StyleGAN3 write it:
`{"labels": [["00000/img00000000.png", 6], ...]}`, or null where there are none. A label is a number, a name, or a list
with a single 1 in it. The sub-folders are mere storage then, and no labels.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlet.data.decode import BrokenPicture
from ganlet.data.parts import above
from ganlet.data.spec import name_bytes
from ganlet.data.tree import Entry
from ganlet.errors import DataError
from ganlet.paths import finder, printable

FILE_NAME = "dataset.json"
LISTED = 10


@dataclass(frozen=True)
class Labels:
    """Where labels were read, and the label of each picture by its path; None where there are none."""

    path: str
    by_name: Mapping[str, str | int] | None

    def of(self, names: Sequence[str]) -> tuple[list[int | None], tuple[str, ...] | None]:
        """A label for each path and the names of the labels, or no labels at all."""
        if self.by_name is None:
            return [None] * len(names), None
        known = set(self.by_name.values())
        if all(isinstance(label, int) for label in known):
            ordered = [str(label) for label in sorted(known, key=int)]
        else:
            ordered = sorted({str(label) for label in known}, key=name_bytes)
        numbers = {label: number for number, label in enumerate(ordered)}
        return [numbers[str(self.by_name[name])] for name in names], tuple(ordered)


def find_labels(root: Path, names: Sequence[str], others: Mapping[str, Entry], needed: bool) -> Labels | None:
    """The labels of pictures in the file beside them or in a folder above; None where there is no such file.

    Raises DataError for what is wrong with it where labels are `needed`; else there are no labels then.
    """
    for folder in reversed(above(names)):
        path = posixpath.join(folder, FILE_NAME)
        if path in others and (listed := _listed(others[path])) is not None:
            return _checked(f"{printable(root)}, {printable(path)}", path, folder, listed, names, needed)
    return None


def _listed(entry: Entry) -> dict[str, Any] | None:
    """What the file says, if it is one of this kind: a mapping with labels that are null or a list of pairs."""
    try:
        content = json.loads(entry.read())
    except (BrokenPicture, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or "labels" not in content:
        return None
    labels = content["labels"]
    pairs = isinstance(labels, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in labels)
    return content if labels is None or pairs else None


def _checked(
    where: str, path: str, folder: str, content: dict[str, Any], names: Sequence[str], needed: bool
) -> Labels | None:
    if content["labels"] is None:
        return Labels(path, None)
    found: dict[str, str | int] = {}
    find = finder(names)
    wrong = None
    for name, label in content["labels"]:
        kept = _label(label)
        if kept is None or not isinstance(name, str):
            wrong = printable(f"{name}: {label}")[:200]
            continue
        name = posixpath.normpath(posixpath.join(folder, name.replace("\\", "/")))
        name = find(name) or name
        if found.setdefault(name, kept) != kept:
            wrong = f"{printable(name)} with several labels"
    missing = [name for name in names if name not in found]
    if wrong is None and not missing:
        return Labels(path, {name: found[name] for name in names})
    if needed:
        listed = ", ".join(map(printable, missing[:LISTED])) + (" ..." if len(missing) > LISTED else "")
        raise DataError(
            "The labels in dataset.json cannot be used.",
            where=where,
            got=wrong or f"no label for {len(missing):,} of {len(names):,} pictures: {listed}",
            expected="a pair of a path and a label for every picture",
            hint="mend it, or --set data.labels=none",
        )
    return Labels(path, None)


def _label(label: Any) -> str | int | None:
    """A label as a name or a number; None for what is neither nor a list with a single 1."""
    if isinstance(label, list):
        ones = [place for place, value in enumerate(label) if value == 1]
        return ones[0] if len(ones) == 1 and all(value in (0, 1) for value in label) else None
    if isinstance(label, float) and label.is_integer():
        return int(label)
    return label if isinstance(label, int | str) and not isinstance(label, bool) else None
