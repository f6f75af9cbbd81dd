"""What tests of sources of files ask of them."""

from __future__ import annotations

import numpy as np

MAX_BYTES = 2**20
PIXEL = np.zeros((1, 1, 3), np.uint8)


def listed(source):
    """The names of the pictures."""
    return [picture.name for picture in source.pictures()]


def left_out(source):
    """What is not read, and why."""
    return {one.name: one.why for one in source.left_out}


def labelled(source):
    """The label of each picture, by name."""
    names = source.label_names
    return {picture.name: None if picture.label is None else names[picture.label] for picture in source.pictures()}
