"""Smaller ONNX files: weights as 16-bit floats or 8-bit integers. What is computed with them stays float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    import onnx

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
FEWEST = 256  # numbers of what is worth it; biases, scales and shifts are too few, and too much hangs on each
LEVELS = 127


def reduce_weights(model: onnx.ModelProto, precision: Precision) -> None:
    """Store the large tensors of a graph in a precision, and turn them into float32 again where the graph begins.

    fp16 is rounding to 11 bits. int8 is q = round(w / s) with s = max |w| / 127 for each output channel of a layer
    (Jacob et al. 2018, section 2.1, symmetric); tensors that are no layer's weights become fp16 then. Neither needs
    pictures to calibrate it.
    """
    if precision == "fp32":
        return
    axes = _output_axes(model) if precision == "int8" else {}
    stored, nodes = [], []
    for tensor in model.graph.initializer:
        array = _large_array(tensor)
        if array is None:
            stored.append(tensor)
            continue
        parts, node = _int8(tensor.name, array, axes[tensor.name]) if tensor.name in axes else _fp16(tensor.name, array)
        stored += parts
        nodes.append(node)
    nodes += list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(stored)
    model.graph.node.extend(nodes)


def quantised(weights: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights as int8, and the float32 scale of each place along `axis`: weights are about int8 * scale."""
    others = tuple(other for other in range(weights.ndim) if other != axis)
    scales = np.abs(weights).max(axis=others).astype(np.float32) / LEVELS
    scales[scales == 0] = 1.0  # a channel without weights
    shape = [-1 if place == axis else 1 for place in range(weights.ndim)]
    whole = np.rint(weights / scales.reshape(shape)).clip(-LEVELS, LEVELS)
    return whole.astype(np.int8), scales


def _output_axes(model: onnx.ModelProto) -> dict[str, int]:
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


def _fp16(name: str, array: np.ndarray) -> tuple[list[onnx.TensorProto], onnx.NodeProto]:
    from onnx import TensorProto, helper, numpy_helper

    largest = np.finfo(np.float16).max
    rounded = array.clip(-largest, largest).astype(np.float16)
    node = helper.make_node("Cast", [f"{name}.fp16"], [name], name=f"{name} as float32", to=TensorProto.FLOAT)
    return [numpy_helper.from_array(rounded, f"{name}.fp16")], node


def _int8(name: str, array: np.ndarray, axis: int) -> tuple[list[onnx.TensorProto], onnx.NodeProto]:
    from onnx import helper, numpy_helper

    whole, scales = quantised(array, axis)
    stored = [numpy_helper.from_array(whole, f"{name}.int8"), numpy_helper.from_array(scales, f"{name}.scale")]
    names = [tensor.name for tensor in stored]
    return stored, helper.make_node("DequantizeLinear", names, [name], name=f"{name} as float32", axis=axis)
