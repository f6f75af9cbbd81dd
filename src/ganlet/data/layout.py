"""What becomes of the files of a source: which pictures are meant, and what their labels are.

Labels are, where there are any: those in a `dataset.json` beside the pictures, as StyleGAN has it; else the sub-folders
below the folder that all pictures share, unless some picture lies directly in that folder. Sub-folders called train,
val, test and the like are parts (`parts`), of which `data.split` chooses. Attributes, where they are asked for, are in
the table beside the pictures (`attributes`).
"""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganlet.data.attributes import Rows, find_table, read_table
from ganlet.data.dataset_json import find_labels
from ganlet.data.formats import FORMAT_NAMES, suffix_of
from ganlet.data.leftovers import no_pictures
from ganlet.data.parts import above, find_parts, folders_of, require_test_part
from ganlet.data.settings import DataConfig
from ganlet.data.spec import LeftOut, Source, SourcePicture, name_bytes
from ganlet.data.tree import Entry, Found, why_not_read
from ganlet.errors import DataError
from ganlet.paths import printable

TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".xlsx", ".json", ".jsonl")
NAMED = 3


@dataclass(frozen=True)
class Wanted:
    """What is asked of a source of files: `data.split`, and whether it needs classes or attributes."""

    split: str = "train"
    attributes: bool = False
    classes: bool = False

    @classmethod
    def by(cls, config: DataConfig) -> Wanted:
        """What the settings ask for."""
        return cls(config.split, config.labels == "attributes", config.labels == "classes" or config.balance)


@dataclass(frozen=True)
class Arrangement:
    """Pictures that are meant, with a label and a row of attributes each, and what is left out beside them."""

    pictures: Sequence[Entry]
    labels: Sequence[int | None]
    label_names: tuple[str, ...] | None
    rows: Rows
    used: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    tables: tuple[str, ...]
    has_test: bool

    def source(self, kind: str, identity: str, close: Callable[[], None] = lambda: None) -> Source:
        """As a source."""

        def pictures() -> Iterator[SourcePicture]:
            for entry, label, row in zip(self.pictures, self.labels, self.rows.of_pictures, strict=True):
                yield SourcePicture(entry.read, entry.name, label, row)

        return Source(
            kind,
            identity,
            len(self.pictures),
            pictures,
            self.label_names,
            left_out=self.left_out,
            close=close,
            attribute_names=self.rows.attribute_names,
            used=self.used,
            notes=self.notes,
            tables=self.tables,
            has_test=self.has_test,
        )


def arranged(root: Path, found: Found, wanted: Wanted) -> Arrangement:
    """Arrange what was found at `root`.

    Raises DataError for a run of ganlet, where there are no pictures, where sub-folders look like parts and are none,
    and for whatever is wrong with labels that are asked for.
    """
    if found.is_run:
        raise DataError(
            "This is the folder of a run, not of pictures.",
            where=printable(root),
            expected="a folder of pictures",
            hint=f"what the run has drawn is in {printable(root / 'samples')}",
        )
    if not found.pictures:
        others = [LeftOut(name, why_not_read(name)) for name in found.others]
        expected = f"at least 2 {FORMAT_NAMES} files, in sub-folders if they have labels"
        raise no_pictures(printable(root), [*others, *found.left_out], expected)
    names = everything = [entry.name for entry in found.pictures]
    parts = find_parts(root, names)
    if wanted.split == "test":
        require_test_part(root, names, parts)
    stored = find_labels(root, names, found.others, needed=wanted.classes)
    labels, label_names = stored.of(names) if stored else labels_from_paths(parts.without(names) if parts else names)
    pictures, others = found.pictures, list[str]()
    if parts is not None:
        meant = [parts.is_meant(name, wanted.split) for name in names]
        others = [name for name, is_meant in zip(names, meant, strict=True) if not is_meant]
        pictures, labels = list(itertools.compress(pictures, meant)), list(itertools.compress(labels, meant))
        names = list(itertools.compress(names, meant))
    table = find_table(root, everything, found.others) if wanted.attributes else None
    rows = read_table(root, table, names, lambda name: found.others[name].read())
    used = (*((table,) if table else ()), *((stored.path,) if stored else ()))
    left_out = [
        *found.left_out,
        *(LeftOut(name, why_not_read(name)) for name in found.others if name not in used),
        *(LeftOut(name, "part") for name in others),
    ]
    return Arrangement(
        pictures,
        labels,
        label_names,
        rows,
        used,
        tuple(sorted(left_out, key=lambda one: name_bytes(one.name))),
        (*_followed(found.followed), *_unused(rows, table)),
        _tables(everything, found.others),
        parts is not None,
    )


def labels_from_paths(names: Sequence[str]) -> tuple[list[int | None], tuple[str, ...] | None]:
    """A label for each path and the names of the labels, or no labels at all.

    `pets/cats/1.png` and `pets/dogs/2.png` have the labels cats and dogs; `pets/1.png` and `pets/2.png` have none.
    """
    folders, shared = folders_of(names)
    if any(len(folder) == shared for folder in folders):
        return [None] * len(names), None
    label_names = sorted({folder[shared] for folder in folders}, key=name_bytes)
    numbers = {name: number for number, name in enumerate(label_names)}
    return [numbers[folder[shared]] for folder in folders], tuple(label_names)


def beside_classes(names: Sequence[str]) -> list[str]:
    """The paths of those pictures that lie beside the sub-folders, and so have no label."""
    folders, shared = folders_of(names)
    return [name for name, folder in zip(names, folders, strict=True) if len(folder) == shared]


def _tables(names: Sequence[str], others: dict[str, Entry]) -> tuple[str, ...]:
    """Files that may be tables, in the folder that all pictures share or in one above."""
    around = above(names)
    return tuple(name for name in others if posixpath.dirname(name) in around and suffix_of(name) in TABLE_SUFFIXES)


def _followed(links: Sequence[str]) -> list[str]:
    if not links:
        return []
    named = ", ".join(map(printable, itertools.islice(links, NAMED))) + (", ..." if len(links) > NAMED else "")
    return [f"followed: {len(links):,} link{'s' * (len(links) > 1)} out of the source: {named}"]


def _unused(rows: Rows, table: str | None) -> list[str]:
    if not rows.num_unused:
        return []
    assert table is not None
    return [f"{rows.num_unused:,} lines of {printable(table)} are about pictures that are not here"]
