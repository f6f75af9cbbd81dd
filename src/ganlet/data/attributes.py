"""Tables beside pictures that say which attributes each of them has.

- `attributes.csv`, or `list_attr_celeba.csv` as Kaggle has it: a line of names, of which the first is that of the
  column of files, then a line for each picture; between commas, semicolons, tabs or bars, in UTF-8 or UTF-16, as
  spreadsheets write it; a first column without a name that numbers the rows, as pandas writes it, is left out;
- `list_attr_celeba.txt`, as CelebA (Liu et al. 2015) has it: the number of pictures, the names, then the pictures.

Files are paths within the source, or within the folder of the table or the one that all pictures share. A picture has
an attribute at 1, true or yes, and has not at 0, -1, false or no; 0 and -1 in one table are refused, lest one of them
mean that nobody knows. Lines about pictures that are not there are counted.
"""

from __future__ import annotations

import codecs
import csv
import io
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ganlet.data.decode import BrokenPicture
from ganlet.data.formats import claims
from ganlet.data.parts import above
from ganlet.errors import DataError
from ganlet.paths import finder, printable

VALUES = {"1": 1, "1.0": 1, "true": 1, "yes": 1, "0": 0, "0.0": 0, "-1": 0, "-1.0": 0, "false": 0, "no": 0}
DELIMITERS = ",;\t|"
SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n")  # which Excel may write first
LISTED = 10

WORDS_HINT = "words are classes: sort the pictures into a sub-folder for each, and --set data.labels=classes"

Cells = Iterator[tuple[int, list[str]]]  # number of the line, and what is in its columns: first those of the header


@dataclass(frozen=True)
class Rows:
    """The names of the attributes, and a byte for each of them, 0 or 1, for every picture; all None without a table.
    `num_unused` is the number of lines about pictures that are not there."""

    attribute_names: tuple[str, ...] | None
    of_pictures: Sequence[bytes | None]
    num_unused: int = 0


def find_table(root: Path, names: Sequence[str], others: Container[str]) -> str | None:
    """The path of the table among the `others` of a source, whose pictures are `names`.

    It lies in the folder that all pictures share, or in one above. Raises DataError where there are several.
    """
    found = [path for folder in above(names) for name in TABLES if (path := posixpath.join(folder, name)) in others]
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
        data = read(table)
        text = data.decode("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except BrokenPicture as error:
        raise _unreadable(where, str(error)) from error
    except UnicodeDecodeError as error:
        hint = "save it as UTF-8: in a spreadsheet, as 'CSV UTF-8'"
        raise _unreadable(where, f"byte {error.start} is not UTF-8 text", hint) from error
    cells = TABLES[posixpath.basename(table)](text, where)
    line, header = next(cells)
    attribute_names = _header(line, header, where, text.split("\n")[line - 1 : line])
    folders = ["", posixpath.dirname(table), above(names)[-1]]
    found, unused = _values(cells, len(attribute_names), names, folders, where)
    missing = [name for name in names if name not in found]
    if missing:
        unknown = f"; there is one for {_short(unused[0])}, which is no picture here" if unused else ""
        raise DataError(
            f"{len(missing)} of {len(names)} pictures have no line in the table of attributes.",
            where=where,
            got=", ".join(map(printable, missing[:LISTED])) + (" ..." if len(missing) > LISTED else ""),
            expected=f"a line for every picture{unknown}",
            hint="add their lines, or take the pictures out",
        )
    return Rows(attribute_names, [found[name] for name in names], len(unused))


def _header(line: int, names: list[str], where: str, read: Sequence[str]) -> tuple[str, ...]:
    """The names of the attributes, which are there, not empty, and different; `read` is the line that they stand in."""
    if not names:
        told = "".join(f": {_short(text.strip())}" for text in read if text.strip())
        raise _wrong(where, line, f"no names of attributes{told}", "the name of each column, such as file,hat,glasses")
    if "" in names:
        raise _wrong(where, line, f"column {names.index('') + 2} without a name", "a name for each column")
    name, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise _wrong(where, line, f"{count} columns named {_short(name)}", "each name once")
    return tuple(names)


def _values(
    cells: Cells, num: int, names: Sequence[str], folders: Sequence[str], where: str
) -> tuple[dict[str, bytes], list[str]]:
    """The attributes of each picture that has a line, and the files of the lines that are about no picture."""
    found: dict[str, bytes] = {}
    unused: list[str] = []
    negatives: set[str] = set()
    find = finder(names)
    for line, (file, *texts) in cells:
        if len(texts) != num:
            raise _wrong(where, line, f"{len(texts)} value{'s' * (len(texts) != 1)}", f"{num}, one for each attribute")
        tidy = posixpath.normpath(file.strip().replace("\\", "/"))
        name = next(filter(None, (find(posixpath.join(folder, tidy)) for folder in folders)), None)
        if name is None:
            unused.append(file.strip())
            continue
        if name in found:
            raise _wrong(where, line, f"{_short(file)} for a second time", "each picture once")
        texts = [text.strip().lower() for text in texts]
        for text in set(texts):
            if text not in VALUES:
                hint = WORDS_HINT if text.replace(" ", "").isalpha() else None
                raise _wrong(where, line, f"the value '{_short(text)}'", "0 or 1, -1 or 1, false or true", hint)
        negatives |= {"0", "-1"}.intersection(text.removesuffix(".0") for text in texts)
        if len(negatives) > 1:
            raise _wrong(where, line, "both 0 and -1 in one table", "one of them for what a picture has not")
        found[name] = bytes(map(VALUES.__getitem__, texts))
    return found, unused


def _csv_cells(text: str, where: str) -> Cells:
    """Columns without a name at the right and lines without a value are left out, as long as all of them are empty."""
    before = 0
    if first := SEPARATOR_LINE.match(text):
        before, text = 1, text[first.end() :]
    header = text.partition("\n")[0]
    delimiter = first[1] if first else max(DELIMITERS, key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter)
    try:
        names = [name.strip() for name in next(reader, [])]
        _require_names(names, where, max(reader.line_num, 1) + before, delimiter)
        width, line = len(names), max(reader.line_num, 1) + before
        while len(names) > 1 and not names[-1]:
            names.pop()
        rows, numbered = ((reader.line_num + before, cells) for cells in reader), False
        if names[:1] == [""] and len(names) > 2:
            rows = list(rows)
            numbered = _is_numbered([cells for _, cells in rows])
        names, width = names[numbered:], width - numbered
        yield line, names[1:] or [""] * (width > 1)
        for number, row in rows:
            cells = row[numbered:]
            while len(cells) > len(names) and not cells[-1].strip():
                cells.pop()
            if len(names) < len(cells) <= width:
                raise _wrong(where, line, f"column {len(names) + 1} without a name", "a name for each column")
            if any(cell.strip() for cell in cells):
                yield number, cells
    except csv.Error as error:
        line = reader.line_num + before
        raise _wrong(where, line, str(error), "lines of values between commas") from error


def _require_names(names: Sequence[str], where: str, line: int, delimiter: str) -> None:
    """Raise DataError where the first line of a table is about a picture already."""
    if names and claims(names[0]):
        read = _short(delimiter.join(names))
        expected = "a first line with the name of each column, such as file,hat,glasses"
        raise _wrong(where, line, f"a picture in place of names: {read}", expected)


def _is_numbered(rows: Sequence[list[str]]) -> bool:
    """Whether the first column merely numbers the rows, as pandas writes it, and files stand in the second."""
    rows = [cells for cells in rows if any(cell.strip() for cell in cells)]
    numbered = all(cells[0].strip().isdecimal() for cells in rows)
    return numbered and not all(len(cells) > 1 and cells[1].strip().lower() in VALUES for cells in rows)


def _celeba_cells(text: str, where: str) -> Cells:
    """Values stand between spaces; the name of a file may hold spaces too."""
    count, _, rest = text.partition("\n")
    names, _, rest = rest.partition("\n")
    if count.strip().isdecimal():
        _require_names(names.split(), where, 2, " ")
    yield 2, names.split()
    lines = [(number, line) for number, line in enumerate(rest.split("\n"), start=3) if line.strip()]
    if count.strip() != str(len(lines)):
        raise _wrong(where, 1, _short(count.strip()), f"{len(lines)}, the number of lines with pictures")
    for number, line in lines:
        yield number, line.rsplit(maxsplit=len(names.split()))


def _short(text: str) -> str:
    return printable(text)[:200]


def _unreadable(where: str, got: str, hint: str | None = None) -> DataError:
    return DataError("The table of attributes cannot be read.", where=where, got=got, hint=hint)


def _wrong(where: str, line: int, got: str, expected: str, hint: str | None = None) -> DataError:
    where = f"{where}, line {line}"
    return DataError("The table of attributes is wrong.", where=where, got=got, expected=expected, hint=hint)


TABLES: dict[str, Callable[[str, str], Cells]] = {
    "attributes.csv": _csv_cells,
    "attributes.tsv": _csv_cells,
    "list_attr_celeba.csv": _csv_cells,
    "list_attr_celeba.txt": _celeba_cells,
}
