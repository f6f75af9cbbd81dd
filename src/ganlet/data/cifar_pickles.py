"""The pickles of CIFAR-10 and CIFAR-100 (Krizhevsky 2009), as torchvision lays them out, read without running anything.

A pickle names functions, and whoever unpickles calls them. Here five names are known, and none stands for the function
that it names: each gives a stand-in that only keeps what it is handed. So a file can make dicts, lists, numbers, text,
bytes and stand-ins of arrays, and nothing else happens, whatever is in it. Its opcodes are looked at before any is
carried out: a few of them could take all memory, or nest tuples until their hash ends the process.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ganlet.errors import DataError
from ganlet.paths import printable, shortened

MAX_BYTES = 2**30  # the largest official file has 154 MB
RECORD = (3, 32, 32)  # planes of red, green and blue
MAX_TUPLES = 1000  # an array has six, and each bytes of Python 3 in a pickle for Python 2 has one
# What pickles of dicts, lists, numbers, text, bytes and arrays are made of; others have DUP, sets or persistent ids.
TUPLES = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
PUTS, GETS = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}
OPCODES = {
    *TUPLES, *PUTS, *GETS, "MEMOIZE", "PROTO", "FRAME", "STOP", "MARK", "EMPTY_TUPLE", "GLOBAL", "STACK_GLOBAL",
    *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "LIST", "APPEND", "APPENDS", "REDUCE", "BUILD"),
    *("NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
}  # fmt: skip


@dataclass(frozen=True)
class Batch:
    """The records of one file: uint8 (N, 3, 32, 32), and lists of labels by name, such as labels or fine_labels."""

    records: np.ndarray
    labels: Mapping[str, list[int]]


def read_batch(path: Path) -> Batch:
    """The pictures and labels of one file. Raises DataError where it is damaged or holds what such a file never has."""
    content = read_pickle(path)
    array, labels = content.get("data"), {name: value for name, value in content.items() if name.endswith("labels")}
    state = getattr(array, "state", None)
    if not (isinstance(state, tuple) and len(state) == 5):
        raise _damaged(path, "no array of pictures", "data")
    _, shape, dtype, is_fortran, data = state
    kind, size = getattr(dtype, "kind", None), math.prod(RECORD)
    whole = isinstance(shape, tuple) and len(shape) == 2 and all(_is_below(MAX_BYTES, side) for side in shape)
    if not whole or shape[1] != size or kind != "u1" or is_fortran or not isinstance(data, bytes):
        sides = " x ".join(map(str, shape)) if whole else "of no such shape"  # else it can be anything, however large
        raise _damaged(path, f"an array of {shortened(str(kind))}, {sides}", f"bytes (n, {size})")
    if len(data) != math.prod(shape):
        raise _damaged(path, f"{len(data)} bytes of pictures", f"{math.prod(shape)}, as its array says")
    for name, numbers in labels.items():
        if (
            not isinstance(numbers, list)
            or len(numbers) != shape[0]
            or not all(_is_below(MAX_BYTES, one) for one in numbers)
        ):
            raise _damaged(path, f"{name} that are no numbers, or too few", f"{shape[0]}, one for each picture")
    return Batch(np.frombuffer(data, np.uint8).reshape(-1, *RECORD), labels)


def read_names(path: Path, key: str) -> tuple[str, ...]:
    """The names of the labels that stand under a key of a file of their own."""
    names = read_pickle(path).get(key)
    if not isinstance(names, list) or not all(isinstance(name, bytes | str) for name in names):
        raise _damaged(path, f"no {key}", "a list of names")
    return tuple(map(_text, names))


def read_pickle(path: Path) -> dict[str, Any]:
    """A pickled dict with text as keys; arrays in it are stand-ins with their `state`. Raises DataError."""
    if path.stat().st_size > MAX_BYTES:
        raise _damaged(path, f"{path.stat().st_size} bytes", f"at most {MAX_BYTES}")
    try:
        data = path.read_bytes()
        _require_plain(data)
        found = _unpickler(data).load()
    except pickle.UnpicklingError as error:
        if isinstance(error, _Forbidden):
            raise DataError(
                "This pickle is refused: it names a function that no file of CIFAR has, and was not run.",
                where=printable(path),
                got=printable(error),
                expected="dicts, lists, text, numbers and arrays",
                hint="download the set again, from a place that you trust",
            ) from None
        raise _damaged(path, shortened(printable(error)), "a whole pickle") from None
    except Exception as error:  # unpickling raises whatever it stumbles on
        raise _damaged(path, shortened(printable(f"{type(error).__name__}: {error}")), "a whole pickle") from None
    if not isinstance(found, dict) or not all(isinstance(key, bytes | str) for key in found):
        raise _damaged(path, f"a {type(found).__name__}", "a dict")
    return {_text(key): value for key, value in found.items()}


class _Forbidden(pickle.UnpicklingError):
    """A name that is not known."""


def _require_plain(data: bytes) -> None:
    """Raise UnpicklingError for opcodes that no file of CIFAR has, or that would take far more memory than the file.

    A tuple can be the key of a dict, whose hash goes through all of it: so tuples are few, and none is used twice.
    """
    num_tuples, kept, tuples, just_made = 0, set[int](), set[int](), False
    for opcode, argument, position in pickletools.genops(data):
        name = opcode.name
        if name not in OPCODES:
            raise pickle.UnpicklingError(f"{name} at byte {position}, which no file of CIFAR has")
        if name in PUTS or name == "MEMOIZE":
            index = len(kept) if name == "MEMOIZE" else int(argument)  # pyright: ignore[reportArgumentType]
            if index > (position or 0):  # picklers count from 0 or 1, and all places up to it take memory
                raise pickle.UnpicklingError(f"a place in memory that is too high, at byte {position}")
            kept.add(index)
            if just_made:
                tuples.add(index)
            else:
                tuples.discard(index)
            continue
        if name in GETS and argument in tuples:
            raise pickle.UnpicklingError(f"a tuple that is used twice, at byte {position}")
        just_made = name in TUPLES
        num_tuples += just_made
        if num_tuples > MAX_TUPLES:
            raise pickle.UnpicklingError(f"more than {MAX_TUPLES:,} tuples")


def _unpickler(data: bytes) -> pickle.Unpickler:
    """An unpickler with stand-ins of its own: a file that tampers with them spoils nobody else's."""

    class Array:
        def __setstate__(self, state: object) -> None:
            self.state = state

    class Kind:
        def __init__(self, kind: object, *_: object) -> None:
            self.kind = _text(kind) if isinstance(kind, bytes | str) else None

        def __setstate__(self, state: object) -> None:
            pass

    def reconstruct(*_: object) -> Array:
        return Array()

    def encode(text: str, encoding: str) -> bytes:  # how bytes are written for Python 2
        if encoding != "latin1":
            raise ValueError("text in another encoding than latin1")
        return str.encode(text, "latin1")

    known = {
        ("numpy.core.multiarray", "_reconstruct"): reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): reconstruct,
        ("numpy", "ndarray"): Array,
        ("numpy", "dtype"): Kind,
        ("_codecs", "encode"): encode,
    }

    class Restricted(pickle.Unpickler):
        def find_class(self, module_name: str, global_name: str, /) -> Any:
            if (module_name, global_name) not in known:
                raise _Forbidden(f"{module_name}.{global_name}"[:200])
            return known[module_name, global_name]

        def persistent_load(self, pid: object, /) -> Any:
            raise _Forbidden("an object that lies elsewhere")

    return Restricted(io.BytesIO(data), encoding="bytes")  # as text of Python 2 is bytes


def _is_below(most: int, value: object) -> bool:
    """Whether a value is a number that a message can show: a pickle may hold one with millions of digits."""
    return type(value) is int and -most < value < most


def _text(value: bytes | str) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else value


def _damaged(path: Path, got: str, expected: str) -> DataError:
    return DataError("A file of CIFAR is damaged.", where=printable(path), got=got, expected=expected)
