"""From an ONNX graph of batch 1 to the program that the page runs: its steps, and the constants they need.

All shapes are known, so that what the graph computes of shapes is done here, and what is left are steps over numbers.
A matrix product has its weights as rows, one for each number that it makes of its input: (rows, K).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ganlet.errors import ConfigError

if TYPE_CHECKING:
    import onnx

Attributes = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Constant:
    """Numbers of a program.

    Attributes:
        values: float32; of weights (rows, K).
        group: rows of weights that make one channel, and so have one scale where they are rounded to whole numbers;
            0 for what is no matrix of weights.
    """

    values: np.ndarray
    group: int = 0


@dataclass
class Program:
    """Steps in the order in which they are taken; values are known by whole numbers.

    Attributes:
        inputs: shapes by name.
        output: the value that is asked for.
        shapes: of every value that is no constant.
        constants: by value.
        steps: {"op", "in", "out", ...}.
    """

    inputs: dict[str, tuple[int, ...]] = field(default_factory=dict)
    output: int = -1
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    constants: dict[int, Constant] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)


def program_of(model: onnx.ModelProto) -> Program:
    """The program of a graph with one output, whose batch is fixed. Raises `ConfigError` for an unknown operator."""
    return _Translation(model).program


class _Translation:
    """A graph on its way to a program."""

    def __init__(self, model: onnx.ModelProto) -> None:
        from onnx import numpy_helper, shape_inference

        self.program = Program()
        graph = shape_inference.infer_shapes(model, data_prop=True).graph
        self.constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        self.shapes: dict[str, tuple[int, ...]] = {}
        for one in (*graph.value_info, *graph.input, *graph.output):
            self.shapes[one.name] = tuple(dim.dim_value for dim in one.type.tensor_type.shape.dim)
        self.numbers: dict[str, int] = {}
        self._num_values = 0
        for one in graph.input:
            if one.name not in self.constants:
                self.program.inputs[one.name] = self.shapes[one.name]
                self.numbers[one.name] = self._value(self.shapes[one.name])
        for node in graph.node:
            self._take(node)
        self.program.output = self.number(graph.output[0].name)

    def _take(self, node: onnx.NodeProto) -> None:
        from onnx import helper

        if all(not name or name in self.constants for name in node.input):
            self._fold(node)
            return
        attributes = {one.name: helper.get_attribute_value(one) for one in node.attribute}
        if node.op_type not in OPERATORS:
            raise _unknown(node.op_type)
        OPERATORS[node.op_type](self, node, attributes)

    def _fold(self, node: onnx.NodeProto) -> None:
        """Compute what depends on constants only."""
        from onnx.reference import ReferenceEvaluator

        given = {name: self.constants[name] for name in node.input if name}
        results = ReferenceEvaluator(node).run(None, given)
        self.constants.update(zip(node.output, map(np.asarray, results), strict=True))

    def _value(self, shape: Sequence[int]) -> int:
        number = self._num_values
        self._num_values += 1
        self.program.shapes[number] = tuple(shape)
        return number

    def constant(self, values: np.ndarray, group: int = 0) -> int:
        """The number of new constants."""
        number = self._num_values
        self._num_values += 1
        self.program.constants[number] = Constant(np.ascontiguousarray(values, np.float32), group)
        return number

    def number(self, name: str) -> int:
        """The number of a value by its name in the graph."""
        if name not in self.numbers:
            self.numbers[name] = self.constant(self.constants[name])
        return self.numbers[name]

    def shape(self, name: str) -> tuple[int, ...]:
        return self.constants[name].shape if name in self.constants else self.shapes[name]

    def known(self, node: onnx.NodeProto, place: int) -> np.ndarray | None:
        """An input that must be constant; None where it is left out."""
        if place >= len(node.input) or not node.input[place]:
            return None
        if node.input[place] not in self.constants:
            raise _unknown(f"{node.op_type} of a computed {node.input[place]}")
        return self.constants[node.input[place]]

    def whole(self, node: onnx.NodeProto, place: int) -> list[int] | None:
        """A constant input as whole numbers."""
        found = self.known(node, place)
        return None if found is None else [int(one) for one in np.atleast_1d(found)]

    def step(self, op: str, given: Sequence[int], name: str, **more: Any) -> None:
        """Add a step that makes the value `name`."""
        shape = self.shape(name)
        if not all(shape):
            raise _unknown(f"{op} of unknown shape")
        self.numbers[name] = self._value(shape)
        self.program.steps.append({"op": op, "in": list(given), "out": self.numbers[name], **more})

    def between(self, op: str, given: Sequence[int], shape: Sequence[int], **more: Any) -> int:
        """Add a step that makes a value which the graph has no name for."""
        number = self._value(shape)
        self.program.steps.append({"op": op, "in": list(given), "out": number, **more})
        return number


Operator = Callable[[_Translation, Any, Attributes], None]


def _unknown(what: str) -> ConfigError:
    return ConfigError(
        "The page cannot compute a part of this generator.",
        got=what,
        expected=f"operators of ONNX among {', '.join(sorted(OPERATORS))}",
        hint="ganlet export RUN --format web --runtime ort",
    )


def _view(graph: _Translation, node: Any, attributes: Attributes) -> None:
    graph.step("view", [graph.number(node.input[0])], node.output[0])


def _each(op: str, **named: str) -> Operator:
    """A function of each number, with attributes under our own names."""

    def add(graph: _Translation, node: Any, attributes: Attributes) -> None:
        more = {ours: float(attributes.get(theirs, DEFAULTS[theirs])) for ours, theirs in named.items()}
        graph.step(op, [graph.number(node.input[0])], node.output[0], **more)

    return add


def _pairs(op: str) -> Operator:
    """A function of numbers of several tensors, which are broadcast to each other."""

    def add(graph: _Translation, node: Any, attributes: Attributes) -> None:
        graph.step(op, [graph.number(name) for name in node.input], node.output[0])

    return add


def _gemm(graph: _Translation, node: Any, attributes: Attributes) -> None:
    if attributes.get("transA"):
        raise _unknown("Gemm of a transposed input")
    weight, bias = graph.known(node, 1), graph.known(node, 2)
    assert weight is not None
    rows = (weight if attributes.get("transB") else weight.T) * np.float32(attributes.get("alpha", 1.0))
    _linear(graph, node, rows, None if bias is None else bias * np.float32(attributes.get("beta", 1.0)))


def _matmul(graph: _Translation, node: Any, attributes: Attributes) -> None:
    if node.input[1] in graph.constants and graph.constants[node.input[1]].ndim == 2:
        _linear(graph, node, graph.constants[node.input[1]].T, None)
    else:
        graph.step("matmul", [graph.number(name) for name in node.input], node.output[0])


def _linear(graph: _Translation, node: Any, rows: np.ndarray, bias: np.ndarray | None) -> None:
    given = [graph.number(node.input[0]), graph.constant(rows, 1)]
    if bias is not None:
        given.append(graph.constant(np.broadcast_to(bias.reshape(-1), len(rows))))
    graph.step("linear", given, node.output[0])


def _convolution(graph: _Translation, node: Any, attributes: Attributes) -> None:
    weight = graph.known(node, 1)
    assert weight is not None
    _require_plain(node, attributes)
    _, _, *kernel = weight.shape
    given = [graph.number(node.input[0]), graph.constant(weight.reshape(len(weight), -1), 1)]
    _bias(graph, node, given)
    graph.step("conv", given, node.output[0], kernel=kernel, **_geometry(attributes))


def _transposed(graph: _Translation, node: Any, attributes: Attributes) -> None:
    weight = graph.known(node, 1)
    assert weight is not None
    _require_plain(node, attributes)
    if any(attributes.get("output_padding", ())) or "output_shape" in attributes:
        raise _unknown("ConvTranspose with output padding")
    before, _, *kernel = weight.shape
    rows = weight.reshape(before, -1).T  # (channels made * kernel, channels read)
    given = [graph.number(node.input[0]), graph.constant(rows, math.prod(kernel))]
    _bias(graph, node, given)
    graph.step("deconv", given, node.output[0], kernel=kernel, **_geometry(attributes))


def _bias(graph: _Translation, node: Any, given: list[int]) -> None:
    if (bias := graph.known(node, 2)) is not None:
        given.append(graph.constant(bias))


def _require_plain(node: Any, attributes: Attributes) -> None:
    plain = attributes.get("group", 1) == 1 and set(attributes.get("dilations", (1, 1))) == {1}
    if not plain or attributes.get("auto_pad", b"NOTSET") != b"NOTSET" or len(attributes.get("strides", (1, 1))) != 2:
        raise _unknown(f"{node.op_type} with groups, dilation, automatic padding or other than two dimensions")


def _geometry(attributes: Attributes) -> dict[str, list[int]]:
    return {"stride": list(attributes.get("strides", (1, 1))), "pads": list(attributes.get("pads", (0, 0, 0, 0)))[:2]}


def _batch_norm(graph: _Translation, node: Any, attributes: Attributes) -> None:
    scale, shift, mean, variance = (graph.known(node, place) for place in (1, 2, 3, 4))
    assert scale is not None
    assert shift is not None
    assert mean is not None
    assert variance is not None
    factor = scale / np.sqrt(variance + np.float32(attributes.get("epsilon", 1e-5)))
    spread = (1, -1, *[1] * (len(graph.shape(node.input[0])) - 2))
    scaled = graph.between(
        "mul", [graph.number(node.input[0]), graph.constant(factor.reshape(spread))], graph.shape(node.input[0])
    )
    graph.step("add", [scaled, graph.constant((shift - mean * factor).reshape(spread))], node.output[0])


def _instance_norm(graph: _Translation, node: Any, attributes: Attributes) -> None:
    given = [graph.number(name) for name in node.input]
    graph.step("instance_norm", given, node.output[0], epsilon=float(attributes.get("epsilon", 1e-5)))


def _resize(graph: _Translation, node: Any, attributes: Attributes) -> None:
    before, after = graph.shape(node.input[0]), graph.shape(node.output[0])
    times = [new / old for old, new in zip(before, after, strict=True)]
    whole = times[:2] == [1, 1] and len(times) == 4 and all(one == int(one) for one in times)
    ways = (attributes.get("coordinate_transformation_mode", b"half_pixel"), attributes.get("nearest_mode"))
    if not whole or attributes.get("mode") != b"nearest" or ways != (b"asymmetric", b"floor"):
        raise _unknown("Resize that does not repeat pixels a whole number of times")
    graph.step("repeat", [graph.number(node.input[0])], node.output[0], times=[int(one) for one in times[2:]])


def _reduce(op: str) -> Operator:
    def add(graph: _Translation, node: Any, attributes: Attributes) -> None:
        rank = len(graph.shape(node.input[0]))
        axes = graph.whole(node, 1) or list(attributes.get("axes", range(rank)))
        graph.step(op, [graph.number(node.input[0])], node.output[0], axes=sorted(axis % rank for axis in axes))

    return add


def _softmax(graph: _Translation, node: Any, attributes: Attributes) -> None:
    rank = len(graph.shape(node.input[0]))
    if attributes.get("axis", -1) % rank != rank - 1:
        raise _unknown("Softmax over another axis than the last")
    graph.step("softmax", [graph.number(node.input[0])], node.output[0])


def _transpose(graph: _Translation, node: Any, attributes: Attributes) -> None:
    order = list(attributes.get("perm", reversed(range(len(graph.shape(node.input[0]))))))
    graph.step("transpose", [graph.number(node.input[0])], node.output[0], order=order)


def _concat(graph: _Translation, node: Any, attributes: Attributes) -> None:
    axis = attributes["axis"] % len(graph.shape(node.output[0]))
    graph.step("concat", [graph.number(name) for name in node.input], node.output[0], axis=axis)


def _split(graph: _Translation, node: Any, attributes: Attributes) -> None:
    axis, start = attributes.get("axis", 0) % len(graph.shape(node.input[0])), 0
    for name in node.output:
        starts = [0] * len(graph.shape(name))
        starts[axis] = start
        graph.step("slice", [graph.number(node.input[0])], name, starts=starts, steps=[1] * len(starts))
        start += graph.shape(name)[axis]


def _slice(graph: _Translation, node: Any, attributes: Attributes) -> None:
    shape = graph.shape(node.input[0])
    begins = graph.whole(node, 1) or []
    axes, by = graph.whole(node, 3) or range(len(begins)), graph.whole(node, 4) or [1] * len(begins)
    starts, steps = [0] * len(shape), [1] * len(shape)
    for axis, begin, step in zip(axes, begins, by, strict=True):
        if step < 1:
            raise _unknown("Slice that goes backwards")
        starts[axis], steps[axis] = min(begin + shape[axis] if begin < 0 else begin, shape[axis]), step
    graph.step("slice", [graph.number(node.input[0])], node.output[0], starts=starts, steps=steps)


def _gather(graph: _Translation, node: Any, attributes: Attributes) -> None:
    index = graph.known(node, 1)
    shape = graph.shape(node.input[0])
    if index is None or index.size != 1:
        raise _unknown("Gather of several places")
    axis = attributes.get("axis", 0) % len(shape)
    starts = [0] * len(shape)
    starts[axis] = int(index.reshape(())) % shape[axis]
    taken = [1 if place == axis else side for place, side in enumerate(shape)]
    one = graph.between("slice", [graph.number(node.input[0])], taken, starts=starts, steps=[1] * len(shape))
    graph.step("view", [one], node.output[0])


def _depth_to_space(graph: _Translation, node: Any, attributes: Attributes) -> None:
    by, (num, depth, height, width) = attributes["blocksize"], graph.shape(node.input[0])
    depth //= by * by
    rows_first = attributes.get("mode", b"DCR") == b"CRD"
    apart = (num, depth, by, by, height, width) if rows_first else (num, by, by, depth, height, width)
    order = [0, 1, 4, 2, 5, 3] if rows_first else [0, 3, 4, 1, 5, 2]
    blocks = graph.between("view", [graph.number(node.input[0])], apart)
    turned = graph.between("transpose", [blocks], [apart[axis] for axis in order], order=order)
    graph.step("view", [turned], node.output[0])


def _expand(graph: _Translation, node: Any, attributes: Attributes) -> None:
    graph.step("expand", [graph.number(node.input[0])], node.output[0])


def _cast(graph: _Translation, node: Any, attributes: Attributes) -> None:
    from onnx import TensorProto

    if attributes["to"] not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        raise _unknown("Cast to whole numbers")
    _view(graph, node, attributes)


DEFAULTS = {"alpha": 0.01}
OPERATORS: dict[str, Operator] = {
    "Add": _pairs("add"),
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Concat": _concat,
    "Conv": _convolution,
    "ConvTranspose": _transposed,
    "DepthToSpace": _depth_to_space,
    "Div": _pairs("div"),
    "Dropout": _view,
    "Exp": _each("exp"),
    "Expand": _expand,
    "Flatten": _view,
    "Gather": _gather,
    "Gemm": _gemm,
    "Identity": _view,
    "InstanceNormalization": _instance_norm,
    "LeakyRelu": _each("leaky_relu", slope="alpha"),
    "MatMul": _matmul,
    "Mul": _pairs("mul"),
    "Neg": _each("neg"),
    "Pow": _pairs("pow"),
    "Reciprocal": _each("reciprocal"),
    "ReduceMean": _reduce("mean"),
    "ReduceSum": _reduce("sum"),
    "Relu": _each("relu"),
    "Reshape": _view,
    "Resize": _resize,
    "Sigmoid": _each("sigmoid"),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Sqrt": _each("sqrt"),
    "Squeeze": _view,
    "Sub": _pairs("sub"),
    "Tanh": _each("tanh"),
    "Transpose": _transpose,
    "Unsqueeze": _view,
    "Where": _pairs("where"),
}
