"""What a page computes with: a small runtime of our own, or ONNX Runtime Web for graphs that it does not know."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ganlet.errors import ConfigError
from ganlet.export import precision as onnx_precision
from ganlet.export.web.graph import program_of
from ganlet.export.web.ort import OrtFiles
from ganlet.export.web.packing import PRECISIONS, Bytes, Precision, packed, rounded
from ganlet.export.web.text import as_text, carried

if TYPE_CHECKING:
    import onnx

PACKAGE = "ganlet.export.web"


class Runtime(Protocol):
    """How a page computes.

    Attributes:
        script: of the page, which defines `Runtime.load(program, bytes, kernel)`.
        precisions: in which weights can be kept.
        candidates: those that are tried where none is asked for, the smallest first; after them comes fp32.
    """

    script: str
    precisions: tuple[Precision, ...]
    candidates: tuple[Precision, ...]

    def rounded(self, model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
        """A copy of a graph with the weights that the page has."""
        ...

    def packed(self, model: onnx.ModelProto, precision: Precision, into: Bytes) -> dict[str, Any]:
        """A graph as `script` loads it. Raises `ConfigError` for an operator that it does not know."""
        ...

    def carried(self) -> Mapping[str, str]:
        """What else the page carries, by name."""
        ...


class OwnRuntime:
    """`runtime.js` with `kernel.wasm`, which know the operators that our generators consist of."""

    script = "runtime.js"
    precisions = PRECISIONS
    candidates: tuple[Precision, ...] = ("int10", "fp16")

    def rounded(self, model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
        from onnx import numpy_helper

        copy = copied(model)
        axes = onnx_precision.output_axes(copy)
        for tensor in copy.graph.initializer:
            if tensor.name in axes:
                weights = rounded(numpy_helper.to_array(tensor), axes[tensor.name], precision)
                tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(weights), tensor.name))
        return copy

    def packed(self, model: onnx.ModelProto, precision: Precision, into: Bytes) -> dict[str, Any]:
        return packed(program_of(model), precision, into)

    def carried(self) -> Mapping[str, str]:
        return {"kernel": as_text((resources.files(PACKAGE) / "kernel.wasm").read_bytes())}


class OrtRuntime:
    """ONNX Runtime Web, which knows every operator, and makes the page larger by 5 MB."""

    script = "ort.js"
    precisions: tuple[Precision, ...] = onnx_precision.PRECISIONS
    candidates: tuple[Precision, ...] = ("fp16",)

    def __init__(self, files: OrtFiles) -> None:
        self.files = files

    def rounded(self, model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
        if precision not in onnx_precision.PRECISIONS:
            expected = ", ".join(onnx_precision.PRECISIONS)
            raise ConfigError(
                "ONNX Runtime Web has no such precision.", where="--precision", got=precision, expected=expected
            )
        copy = copied(model)
        onnx_precision.reduce_weights(copy, precision, onnx_precision.layer_sizes(copy))
        return copy

    def packed(self, model: onnx.ModelProto, precision: Precision, into: Bytes) -> dict[str, Any]:
        data = self.rounded(model, precision).SerializeToString(deterministic=True)
        shapes = {one.name: [axis.dim_value for axis in one.type.tensor_type.shape.dim] for one in model.graph.input}
        return {"model": [into.add(data), len(data)], "inputs": shapes, "output": model.graph.output[0].name}

    def carried(self) -> Mapping[str, str]:
        return {"ort": carried(self.files.module), "ort-wasm": carried(self.files.wasm)}


def copied(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy of a graph."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
