"""Sets in formats of their own, as torchvision lays them out: CIFAR's pickles, STL-10's bytes, SVHN's MATLAB files."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganlet.data.cifar_pickles import RECORD, read_batch, read_names
from ganlet.data.spec import Source, SourcePicture, state_text
from ganlet.errors import DataError, EnvironmentProblem
from ganlet.paths import printable, shortened

STL10_SHAPE = (3, 96, 96)  # planes, columns, rows
STL10_LABELS = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")
SVHN_SHAPE = (32, 32, 3)
NUMBERS = {"uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "single", "double"}  # of MATLAB
BLOCK = 256
# Of what a compressed file says to hold: pictures of digits compress to about a half, a bomb to a thousandth.
MAX_RATIO, ALWAYS_ALLOWED = 100, 64 * 2**20


def open_cifar_pickles(kind: str, folder: Path, names: Sequence[str], meta: str, labels: str, names_key: str) -> Source:
    """The pictures of some files of CIFAR-10 or CIFAR-100, in their order, with the `labels` of that key."""
    paths = [folder / name for name in names]
    batches = [read_batch(path) for path in paths]
    label_names = read_names(folder / meta, names_key)
    for path, batch in zip(paths, batches, strict=True):
        numbers = batch.labels.get(labels)
        if numbers is None or (numbers and not 0 <= min(numbers) <= max(numbers) < len(label_names)):
            got = f"no {labels}" if numbers is None else f"{labels} {min(numbers)} to {max(numbers)}"
            raise DataError("The labels of a file of CIFAR are wrong.", where=printable(path), got=got,
                            expected=f"0 to {len(label_names) - 1}")  # fmt: skip

    def pictures() -> Iterator[SourcePicture]:
        for batch in batches:
            for record, label in zip(batch.records, batch.labels[labels], strict=True):
                yield SourcePicture(record.transpose(1, 2, 0), label=label)

    identity = _identity([*paths, folder / meta])
    count = sum(len(batch.records) for batch in batches)
    return Source(kind, identity, count, pictures, label_names, channels=RECORD[0])


def open_stl10(folder: Path, parts: Sequence[str]) -> Source:
    """The pictures of some parts of STL-10 (Coates et al. 2011): train, test and unlabeled, which has no labels."""
    paths = [folder / f"{part}_X.bin" for part in parts]
    label_paths = [folder / f"{part}_y.bin" for part in parts if part != "unlabeled"]
    size, counts = int(np.prod(STL10_SHAPE)), []
    for path in paths:
        num_bytes = path.stat().st_size
        if num_bytes == 0 or num_bytes % size:
            raise _damaged("STL-10", path, f"{num_bytes} bytes", f"n x {size}")
        counts.append(num_bytes // size)
    labelled = len(label_paths) == len(parts)
    labels, names = [], STL10_LABELS
    if labelled:
        if (known := folder / "class_names.txt").is_file():
            lines = tuple(known.read_text("utf-8", errors="replace").split())
            names = lines if len(set(lines)) == len(STL10_LABELS) == len(lines) else names
        for path, count in zip(label_paths, counts, strict=True):
            numbers = np.frombuffer(path.read_bytes(), np.uint8)
            if len(numbers) != count or numbers.min() < 1 or numbers.max() > len(names):
                raise _damaged("STL-10", path, f"{len(numbers)} labels", f"{count} from 1 to {len(names)}")
            labels += (numbers.astype(int) - 1).tolist()

    def pictures() -> Iterator[SourcePicture]:
        records = itertools.chain.from_iterable(
            np.memmap(path, np.uint8, mode="r").reshape(-1, *STL10_SHAPE) for path in paths
        )
        for record, label in zip(records, labels or itertools.repeat(None), strict=False):
            yield SourcePicture(record.transpose(2, 1, 0), label=label)

    identity = _identity([*paths, *(label_paths if labelled else ())])
    return Source("stl10", identity, sum(counts), pictures, names if labelled else None, channels=3)


def open_svhn(paths: Sequence[Path]) -> Source:
    """The cropped digits of SVHN (Netzer et al. 2011): X (32, 32, 3, N), and y, in which 10 stands for the digit 0.

    Raises EnvironmentProblem without SciPy, which reads MATLAB's files.
    """
    scipy_io = _scipy_io(paths[0])

    def arrays(path: Path, **only: Any) -> dict[str, Any]:
        try:
            return scipy_io.loadmat(path, **only)
        except Exception as error:  # whatever SciPy stumbles on
            raise _damaged("SVHN", path, shortened(printable(error)), "a whole MATLAB file of version 5") from error

    labels: list[np.ndarray] = []
    for path in paths:
        try:
            found = {name: (shape, kind) for name, shape, kind in scipy_io.whosmat(path)}
        except Exception as error:
            raise _damaged("SVHN", path, shortened(printable(error)), "a whole MATLAB file of version 5") from error
        shapes = {name: shape for name, (shape, _) in found.items()}
        shape = shapes.get("X", ())
        if len(shape) != 4 or shape[:3] != SVHN_SHAPE or "y" not in shapes:
            raise _damaged("SVHN", path, ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing",
                           "X (32, 32, 3, n) and y (n, 1)")  # fmt: skip
        kinds = {name: found[name][1] for name in ("X", "y")}
        if not NUMBERS.issuperset(kinds.values()):  # such as cells, of which their size is not told
            raise _damaged("SVHN", path, ", ".join(f"{name} of type {kind}" for name, kind in kinds.items()), "numbers")
        declared = sum(math.prod(map(int, shapes[name])) * (1 if kinds[name] == "uint8" else 8) for name in kinds)
        if declared > max(ALWAYS_ALLOWED, MAX_RATIO * path.stat().st_size):
            raise _damaged("SVHN", path, f"{path.stat().st_size:,} bytes that say to hold {declared:,}",
                           f"at most {MAX_RATIO} times as many")  # fmt: skip
        numbers = np.asarray(arrays(path, variable_names=("y",))["y"]).reshape(-1)
        if len(numbers) != shape[3] or not np.isin(numbers, range(11)).all():
            raise _damaged("SVHN", path, f"{len(numbers)} labels", f"{shape[3]} from 1 to 10")
        labels.append(numbers.astype(int) % 10)

    def pictures() -> Iterator[SourcePicture]:
        for path, numbers in zip(paths, labels, strict=True):
            pixels = arrays(path, variable_names=("X",))["X"]
            if pixels.dtype != np.uint8:
                raise _damaged("SVHN", path, str(pixels.dtype), "bytes")
            for start in range(0, len(numbers), BLOCK):  # a picture at a time would touch all of the memory each time
                block = np.ascontiguousarray(pixels[..., start : start + BLOCK].transpose(3, 0, 1, 2))
                for picture, label in zip(block, numbers[start : start + BLOCK].tolist(), strict=True):
                    yield SourcePicture(picture, label=label)

    return Source("svhn", _identity(paths), sum(map(len, labels)), pictures, tuple("0123456789"), channels=3)


def _scipy_io(path: Path) -> Any:
    try:
        import scipy.io
    except Exception as error:  # a broken one raises whatever it likes
        raise EnvironmentProblem(
            "SVHN is kept in files of MATLAB, which need SciPy.",
            where=printable(path),
            got=re.sub(r"\s+", " ", str(error))[:200],
            hint="pip install scipy",
        ) from error
    return scipy.io


def _identity(paths: Sequence[Path]) -> str:
    return " | ".join(state_text(os.stat(path)) for path in paths)


def _damaged(name: str, path: Path, got: str, expected: str) -> DataError:
    return DataError(f"A file of {name} is damaged.", where=printable(path), got=got, expected=expected)
