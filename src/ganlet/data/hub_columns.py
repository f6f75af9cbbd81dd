"""The columns of a set on the hub: which hold pictures, labels and attributes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ganlet.data.settings import DataConfig
from ganlet.errors import DataError
from ganlet.hub import HubName
from ganlet.paths import printable

IMAGES = ("image", "img", "images", "pixel_values")  # what columns of pictures are called, the likelier first
LABELS = ("label", "labels", "fine_label", "class", "category", "target", "cls")
WHOLE, BOOLEAN, TEXT = ("int", "uint"), "bool", ("string", "large_string")


class Columns(NamedTuple):
    """The columns that are read: of pictures, of labels, and of attributes, which are yes or no."""

    image: str
    label: str | None
    attributes: tuple[str, ...]
    others: tuple[str, ...]  # further columns of pictures or labels, which are not read


def choose_columns(library: Any, name: HubName, features: Mapping[str, Any], config: DataConfig) -> Columns:
    """Which columns are read. Raises DataError where none has pictures."""
    images = [column for column, kind in features.items() if isinstance(kind, library.Image)]
    if not images:
        raise DataError(
            "The set has no column of pictures.",
            where=str(name),
            got=", ".join(f"{printable(column)} ({type(kind).__name__})" for column, kind in features.items()),
            expected="a column of the kind Image",
        )
    named = [column for column, kind in features.items() if isinstance(kind, library.ClassLabel)]
    labels = named or [column for column, kind in features.items() if column in LABELS and _is_label(kind)]
    dtypes = {column: getattr(kind, "dtype", "") for column, kind in features.items()}
    attributes = [column for column in features if dtypes[column] == BOOLEAN] if config.labels == "attributes" else []
    image, label = _likeliest(images, IMAGES), _likeliest(labels, LABELS) if labels else None
    others = [column for column in [*images, *labels] if column not in (image, label)]
    return Columns(image, label, tuple(attributes), tuple(others))


def _is_label(kind: Any) -> bool:
    dtype = str(getattr(kind, "dtype", ""))
    return dtype.startswith(WHOLE) or dtype in TEXT


def _likeliest(columns: Sequence[str], known: Sequence[str]) -> str:
    return next((column for column in known if column in columns), columns[0])


def read_labels(
    library: Any, columns: Columns, pictures: Mapping[str, Any]
) -> tuple[dict[str, list[int]] | None, tuple[str, ...] | None]:
    """The label of every picture by split, and their names; none at all where some picture has none."""
    if columns.label is None:
        return None, None
    values = {split: list(dataset[columns.label]) for split, dataset in pictures.items()}
    kind = next(iter(pictures.values())).features[columns.label]
    everything = list(itertools.chain.from_iterable(values.values()))
    if any(value is None or value == -1 for value in everything):
        return None, None
    if isinstance(kind, library.ClassLabel) and kind.names:
        return values, tuple(kind.names)
    names = sorted(set(everything))
    places = {value: place for place, value in enumerate(names)}
    return {split: [places[value] for value in some] for split, some in values.items()}, tuple(map(str, names))


def read_attributes(name: HubName, columns: Columns, pictures: Mapping[str, Any]) -> dict[str, list[bytes]]:
    """A byte for each attribute of every picture, by split. Raises DataError where some are unknown."""
    found = {}
    for split, dataset in pictures.items():
        values = [list(dataset[column]) for column in columns.attributes]
        for column, some in zip(columns.attributes, values, strict=True):
            if None in some:
                raise DataError("An attribute of a picture is not known.", where=f"{name}, {split}, column {column}",
                                got=f"nothing in row {some.index(None)}", expected="true or false")  # fmt: skip
        found[split] = [row.tobytes() for row in np.array(values, np.uint8).T]
    return found
