"""Tables beside pictures that say which attributes each of them has.

- `attributes.csv`: a line of names, of which the first is that of the column of files, then a line for each picture;
- `list_attr_celeba.txt`, as CelebA (Liu et al. 2015) has it: the number of pictures, the names, then the pictures.

Files are paths within the source, or within the folder that all pictures share. A picture has an attribute at 1 or
true, and has not at 0, -1 or false; 0 and -1 in one table are refused, lest one of them mean that nobody knows.
"""

from __future__ import annotations

import csv
import io
import posixpath
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganlet.data.decode import BrokenPicture
from ganlet.data.spec import printable
from ganlet.errors import DataError

VALUES = {"1": 1, "true": 1, "0": 0, "-1": 0, "false": 0}
LISTED = 10

Cells = Iterator[tuple[int, list[str]]]  # number of the line, and what is in its columns: first those of the header


@dataclass(frozen=True)
class Rows:
    """The names of the attributes, and a byte for each of them, 0 or 1, for every picture; all None without a table."""

    attribute_names: tuple[str, ...] | None
    of_pictures: Sequence[bytes | None]


def find_table(root: Path, names: Sequence[str], others: Container[str]) -> str | None:
    """The path of the table among the `others` of a source, whose pictures are `names`.

    It lies in the folder that all pictures share, or in one above. Raises DataError where there are several.
    """
    shared = posixpath.commonpath([posixpath.dirname(name) for name in names])
    parts = shared.split("/") if shared else []
    folders = ["/".join(parts[:depth]) for depth in range(len(parts) + 1)]
    found = [path for folder in folders for name in TABLES if (path := posixpath.join(folder, name)) in others]
    if len(found) > 1:
        raise DataError(
            "There are several tables of attributes.",
            where=printable(root),
            got=", ".join(map(printable, found)),
            expected="one",
            hint="remove the others",
        )
    return found[0] if found else None


def read_table(root: Path, table: str | None, names: Sequence[str], read: Callable[[str], bytes]) -> Rows:
    """The attributes of pictures by their paths `names`, from what `read(table)` gives; nothing without a table.

    Raises DataError, with the line, for whatever is wrong with the table.
    """
    if table is None:
        return Rows(None, [None] * len(names))
    where = f"{printable(root)}, {printable(table)}"
    try:
        text = read(table).decode("utf-8-sig")
    except (BrokenPicture, UnicodeDecodeError) as error:
        got = str(error) if isinstance(error, BrokenPicture) else f"byte {error.start} is not UTF-8 text"
        raise DataError("The table of attributes cannot be read.", where=where, got=got) from error
    cells = TABLES[posixpath.basename(table)](text, where)
    attribute_names = _header(*next(cells), where)
    shared = posixpath.commonpath([posixpath.dirname(name) for name in names])
    found = _values(cells, len(attribute_names), set(names), shared, where)
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(names)} pictures have no line in the table of attributes.",
            where=where,
            got=", ".join(map(printable, missing[:LISTED])) + (" ..." if len(missing) > LISTED else ""),
            expected="a line for every picture",
            hint="add their lines, or take the pictures out",
        )
    return Rows(attribute_names, [found[name] for name in names])


def _header(line: int, names: list[str], where: str) -> tuple[str, ...]:
    """The names of the attributes, which are there, not empty, and different."""
    if not names:
        raise _wrong(where, line, "no names of attributes", "the name of each column")
    if "" in names:
        raise _wrong(where, line, f"column {names.index('') + 2} without a name", "a name for each column")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise _wrong(where, line, f"{count} columns named {_short(name)}", "each name once")
    return tuple(names)


def _values(cells: Cells, num: int, names: set[str], shared: str, where: str) -> dict[str, bytes]:
    """The attributes of each picture that has a line."""
    found: dict[str, bytes] = {}
    negatives: set[str] = set()
    for line, (file, *texts) in cells:
        if len(texts) != num:
            raise _wrong(where, line, f"{len(texts)} value{'s' * (len(texts) != 1)}", f"{num}, one for each attribute")
        name = posixpath.normpath(file.strip())
        if name not in names:
            name = posixpath.join(shared, name)
        if name not in names:
            raise _wrong(where, line, f"{_short(file)}, which is no picture here", f"a path like {_short(min(names))}")
        if name in found:
            raise _wrong(where, line, f"{_short(file)} for a second time", "each picture once")
        texts = [text.strip().lower() for text in texts]
        for text in set(texts):
            if text not in VALUES:
                raise _wrong(where, line, f"the value '{_short(text)}'", "0 or 1, -1 or 1, false or true")
        negatives |= {"0", "-1"}.intersection(texts)
        if len(negatives) > 1:
            raise _wrong(where, line, "both 0 and -1 in one table", "one of them for what a picture has not")
        found[name] = bytes(map(VALUES.__getitem__, texts))
    return found


def _csv_cells(text: str, where: str) -> Cells:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        yield max(reader.line_num, 1), [name.strip() for name in next(reader, [])[1:]]
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise _wrong(where, reader.line_num, str(error), "lines of values between commas") from error


def _celeba_cells(text: str, where: str) -> Cells:
    """Values stand between spaces; the name of a file may hold spaces too."""
    count, _, rest = text.partition("\n")
    names, _, rest = rest.partition("\n")
    yield 2, names.split()
    lines = [(number, line) for number, line in enumerate(rest.split("\n"), start=3) if line.strip()]
    if count.strip() != str(len(lines)):
        raise _wrong(where, 1, _short(count.strip()), f"{len(lines)}, the number of lines with pictures")
    for number, line in lines:
        yield number, line.rsplit(maxsplit=len(names.split()))


def _short(text: str) -> str:
    return printable(text)[:200]


def _wrong(where: str, line: int, got: str, expected: str) -> DataError:
    return DataError("The table of attributes is wrong.", where=f"{where}, line {line}", got=got, expected=expected)


TABLES: dict[str, Callable[[str, str], Cells]] = {"attributes.csv": _csv_cells, "list_attr_celeba.txt": _celeba_cells}
