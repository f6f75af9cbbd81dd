"""Programs as data: JSON that tells their steps, and one row of bytes that holds their constants.

Weights are rounded to halves (fp16), or to whole numbers with a scale for each channel that a layer makes: of ten bits
(int10), those of small matrices, which stand close to the picture, of twelve; or of eight (int8). What is small keeps
its precision.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ganlet.errors import ConfigError
from ganlet.export.web.graph import Constant, Program

Precision = Literal["fp32", "fp16", "int10", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int10", "int8")
SMALL = 1_024  # numbers that are not worth rounding
LARGE = 32_768  # weights from which on a matrix counts as large
# By precision, whole numbers go from minus this to this: in large matrices, and in small ones, close to the picture.
LARGEST_WHOLE = {"int8": (127, 127), "int10": (400, 2047)}
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
    """The program as data whose constants are places in `into`, as `runtime.js` unpacks them.

    A constant is [shape, "f32", place], [shape, "f16", place] or [shape, bits, place, rows that share a scale].
    """
    return {
        "inputs": {name: number for number, name in enumerate(program.inputs)},
        "output": program.output,
        "shapes": {str(number): list(shape) for number, shape in program.shapes.items()},
        "constants": {str(number): _packed(one, precision, into) for number, one in program.constants.items()},
        "steps": program.steps,
    }


def packed_numbers(values: np.ndarray, into: Bytes) -> list[Any]:
    """Numbers that are kept as they are, as a constant."""
    return _packed(Constant(np.ascontiguousarray(values, np.float32)), "fp32", into)


def _packed(constant: Constant, precision: Precision, into: Bytes) -> list[Any]:
    values, shape = constant.values, list(constant.values.shape)
    if not np.isfinite(values).all():
        raise ConfigError("This generator has weights that are no numbers, so it draws nothing.", got="inf or nan")
    if precision == "fp32" or values.size <= SMALL:
        return [shape, "f32", into.add(values.astype("<f4").tobytes())]
    if constant.group and precision != "fp16":
        most = LARGEST_WHOLE[precision][values.size < LARGE]
        bits = 1 + most.bit_length()
        return [shape, bits, into.add(_whole(values, constant.group, most, bits)), constant.group]
    if np.abs(values).max() > LARGEST_HALF:
        return _packed(constant, "fp32", into)
    # All low bytes, then all high ones: these are alike, and so become few.
    halves = values.astype("<f2").reshape(-1).view(np.uint8).reshape(-1, 2)
    return [shape, "f16", into.add(halves.T.tobytes())]


def rounded(weights: np.ndarray, axis: int, precision: Precision) -> np.ndarray:
    """Weights of a layer, whose channels are along `axis`, as the page has them."""
    if precision == "fp32" or weights.size <= SMALL:
        return weights
    if precision == "fp16":
        return weights.astype(np.float16).astype(np.float32) if np.abs(weights).max() <= LARGEST_HALF else weights
    rows = np.moveaxis(weights, axis, 0)
    scales, whole = _scaled(rows.reshape(len(rows), -1), LARGEST_WHOLE[precision][weights.size < LARGE])
    exact = (scales.astype("<u4") << np.uint32(16)).view("<f4")[:, None] * whole.astype(np.float32)
    return np.moveaxis(exact.reshape(rows.shape), 0, axis)


def _scaled(rows: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows as whole numbers from -most to most, and the upper halves of their float32 scales."""
    # The upper half is enough of a scale, rounded up, so that no weight is beyond the largest number.
    scales = (np.abs(rows).max(axis=1) / np.float32(most)).astype("<f4").view("<u4")
    scales = ((scales + np.uint32(0xFFFF)) >> np.uint32(16)).astype("<u2")
    exact = (scales.astype("<u4") << np.uint32(16)).view("<f4")
    whole = np.round(rows / np.where(exact == 0, np.float32(1), exact)[:, None]).clip(-most, most)
    return scales, whole.astype(np.int16)


def _whole(weights: np.ndarray, group: int, most: int, bits: int) -> bytes:
    """Weights (rows, K) as whole numbers: scales, the upper eight bits of each, and bit by bit what is below these.

    Upper bits are small numbers more often than large ones, and become few; lower ones are like noise.
    """
    scales, whole = _scaled(weights.reshape(-1, group * weights.shape[1]), most)
    whole, below = whole.reshape(-1), bits - 8
    planes = [np.packbits((whole >> plane).astype(np.uint8) & 1, bitorder="little") for plane in range(below)]
    return b"".join([scales.tobytes(), (whole >> below).astype(np.int8).tobytes(), *(one.tobytes() for one in planes)])
