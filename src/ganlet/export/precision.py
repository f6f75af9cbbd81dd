"""Smaller ONNX files: weights as 16-bit floats or 8-bit integers. What is computed with them stays float32."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    import onnx

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
FEWEST = 256  # numbers of what is worth it; biases, scales and shifts are too few, and too much hangs on each
LEVELS, REST = 127, 15


def reduce_weights(model: onnx.ModelProto, precision: Precision, coarse: Collection[str] = ()) -> None:
    """Store the large tensors of a graph in a precision, and turn them into float32 again where the graph begins.

    fp16 is rounding to 11 bits. int8 is q = round(w / s) with s = max |w| / 127 for each output channel of a layer
    (Jacob et al. 2018, section 2.1, symmetric), and 4 more bits for what is left, w - s q = about r s / 15; layers in
    `coarse` go without these. Tensors that are no layer's weights become fp16 then. Nothing is calibrated.
    """
    if precision == "fp32":
        return
    axes = output_axes(model) if precision == "int8" else {}
    stored, nodes = [], []
    for tensor in model.graph.initializer:
        name, array = tensor.name, _large_array(tensor)
        if array is None:
            stored.append(tensor)
            continue
        parts, added = _int8(name, array, axes[name], name not in coarse) if name in axes else _fp16(name, array)
        stored += parts
        nodes += added
    nodes += list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(stored)
    model.graph.node.extend(nodes)


def layer_sizes(model: onnx.ModelProto) -> dict[str, int]:
    """How many numbers each weight has that int8 is for."""
    axes = output_axes(model)
    large = [tensor for tensor in model.graph.initializer if _large_array(tensor) is not None]
    return {tensor.name: int(np.prod(tensor.dims)) for tensor in large if tensor.name in axes}


def quantised(weights: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights as int8 q, what is left r between -8 and 7, and the float32 scale s of each place along `axis`.

    Weights are about s q, and closer to s q + s / 15 r.
    """
    others = tuple(other for other in range(weights.ndim) if other != axis)
    scales = np.abs(weights).max(axis=others).astype(np.float32) / np.float32(LEVELS)
    scales[scales == 0] = 1.0  # a channel without weights
    spread = scales.reshape([-1 if place == axis else 1 for place in range(weights.ndim)])
    whole = np.rint(weights / spread).clip(-LEVELS, LEVELS)
    left = np.rint((weights - whole * spread) / (spread / REST)).clip(-8, 7)
    return whole.astype(np.int8), left.astype(np.int8), scales


def output_axes(model: onnx.ModelProto) -> dict[str, int]:
    """The axis of the output channels of every layer's weight."""
    axes = {}
    dims = {tensor.name: len(tensor.dims) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if len(node.input) < 2 or node.input[1] not in dims:
            continue
        name = node.input[1]
        if node.op_type == "Conv":
            axes[name] = 0
        elif node.op_type == "ConvTranspose":
            axes[name] = 1
        elif node.op_type == "Gemm":
            transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
            axes[name] = 0 if transposed else 1
        elif node.op_type == "MatMul":
            axes[name] = dims[name] - 1
    return axes


def _large_array(tensor: onnx.TensorProto) -> np.ndarray | None:
    from onnx import TensorProto, numpy_helper

    if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < FEWEST or len(tensor.dims) < 2:
        return None
    return numpy_helper.to_array(tensor)


def _fp16(name: str, array: np.ndarray) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    from onnx import TensorProto, helper, numpy_helper

    largest = np.finfo(np.float16).max
    rounded = array.clip(-largest, largest).astype(np.float16)
    node = helper.make_node("Cast", [f"{name}.fp16"], [name], name=f"{name} as float32", to=TensorProto.FLOAT)
    return [numpy_helper.from_array(rounded, f"{name}.fp16")], [node]


def _int8(
    name: str, array: np.ndarray, axis: int, with_rest: bool
) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    from onnx import TensorProto, helper, numpy_helper

    whole, left, scales = quantised(array, axis)
    stored = [numpy_helper.from_array(whole, f"{name}.int8"), numpy_helper.from_array(scales, f"{name}.scale")]
    if not with_rest:
        inputs = [f"{name}.int8", f"{name}.scale"]
        return stored, [helper.make_node("DequantizeLinear", inputs, [name], name=f"{name} as float32", axis=axis)]
    packed = helper.make_tensor(f"{name}.int4", TensorProto.INT4, left.shape, _nibbles(left), raw=True)
    stored += [packed, numpy_helper.from_array(scales / np.float32(REST), f"{name}.scale4")]
    nodes = [
        helper.make_node(
            "DequantizeLinear", [f"{name}.{kind}", f"{name}.scale{bits}"], [f"{name}.{part}"],
            name=f"{name}, {part}", axis=axis,
        )
        for kind, bits, part in (("int8", "", "coarse"), ("int4", "4", "rest"))
    ]  # fmt: skip
    sum_node = helper.make_node("Add", [f"{name}.coarse", f"{name}.rest"], [name], name=f"{name} as float32")
    return stored, [*nodes, sum_node]


def _nibbles(numbers: np.ndarray) -> bytes:
    """Numbers between -8 and 7, two in a byte, the first in the lower half."""
    halves = (numbers.ravel().astype(np.int8) & 0x0F).astype(np.uint8)
    if len(halves) % 2:
        halves = np.append(halves, np.uint8(0))
    return (halves[::2] | halves[1::2] << 4).tobytes()
