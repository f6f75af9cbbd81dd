"""Programs as data: JSON that tells their steps, and one row of bytes that holds their constants.

Weights are rounded to halves (fp16), or to whole numbers with a scale for each channel that a layer makes (int8). What is
small, and what is no weight, keeps its precision.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ganlet.errors import ConfigError
from ganlet.export.web.graph import Constant, Program

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
SMALL = 1_024  # numbers that are not worth rounding
LARGEST_HALF = 65_504.0


class Bytes:
    """A row of bytes that grows; what is in it already is not added again."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._places: dict[bytes, int] = {}
        self._size = 0

    def add(self, data: bytes) -> int:
        """The place of these bytes."""
        if data not in self._places:
            self._places[data] = self._size
            self._parts.append(data)
            self._size += len(data)
        return self._places[data]

    def joined(self) -> bytes:
        return b"".join(self._parts)


def packed(program: Program, precision: Precision, into: Bytes) -> dict[str, Any]:
    """The program as data whose constants are places in `into`: [shape, kind, place, rows that share a scale]."""
    return {
        "inputs": {name: number for number, name in enumerate(program.inputs)},
        "output": program.output,
        "shapes": {str(number): list(shape) for number, shape in program.shapes.items()},
        "constants": {str(number): _packed(one, precision, into) for number, one in program.constants.items()},
        "steps": program.steps,
    }


def packed_numbers(values: np.ndarray, into: Bytes) -> list[Any]:
    """Numbers that are kept as they are, as `runtime.js` unpacks them."""
    return _packed(Constant(np.ascontiguousarray(values, np.float32)), "fp32", into)


def _packed(constant: Constant, precision: Precision, into: Bytes) -> list[Any]:
    values = constant.values
    shape, kind = list(values.shape), precision
    if not np.isfinite(values).all():
        raise ConfigError("Weights of this generator are not finite, so it draws nothing.", got="inf or nan")
    if values.size <= SMALL or (kind == "int8" and not constant.group):
        kind = "fp32" if values.size <= SMALL or precision == "fp32" else "fp16"
    if kind == "fp16" and np.abs(values).max() > LARGEST_HALF:
        kind = "fp32"
    if kind == "int8":
        grouped = values.reshape(-1, constant.group * values.shape[1])
        scales = (np.abs(grouped).max(axis=1) / 127).astype(np.float32)
        whole = np.round(grouped / np.where(scales == 0, 1, scales)[:, None]).astype(np.int8)
        return [shape, "i8", into.add(scales.tobytes() + whole.tobytes()), constant.group]
    if kind == "fp16":
        # All low bytes, then all high ones: these are alike, and so become few.
        halves = values.astype("<f2").reshape(-1).view(np.uint8).reshape(-1, 2)
        return [shape, "f16", into.add(halves.T.tobytes()), 0]
    return [shape, "f32", into.add(values.astype("<f4").tobytes()), 0]
