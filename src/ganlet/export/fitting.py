"""Which layers of a network can do with 8 bits: as many as leave its pictures what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ganlet.export.parity import Parity
from ganlet.export.precision import layer_sizes, reduce_weights

if TYPE_CHECKING:
    import onnx

MARGIN = 0.5  # of the bound: pictures that were not looked at must be within it too


def coarse_layers(model: onnx.ModelProto, measure: Callable[[onnx.ModelProto], Parity]) -> set[str]:
    """The layers of a float32 graph that go without the further 4 bits of `precision.reduce_weights`.

    Those are the ones that cost least for each byte they save, as many of them as are within half of the bound.
    """
    sizes = layer_sizes(model)

    def parity(coarse: set[str]) -> Parity:
        return measure(reduced(model, coarse))

    if parity(set(sizes)).holds_by(MARGIN):
        return set(sizes)
    cost = {name: parity({name}).rms ** 2 / size for name, size in sizes.items()}
    order = sorted(sizes, key=lambda name: (cost[name], name))
    fewest, most = 0, len(order) - 1  # how many of them: `fewest` are taken for good, more than `most` are too many
    while fewest < most:
        middle = (fewest + most + 1) // 2
        if parity(set(order[:middle])).holds_by(MARGIN):
            fewest = middle
        else:
            most = middle - 1
    return set(order[:fewest])


def reduced(model: onnx.ModelProto, coarse: set[str]) -> onnx.ModelProto:
    """A copy of a graph with int8 weights."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    reduce_weights(copy, "int8", coarse)
    return copy
