"""Networks as ONNX graphs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    import onnx

OPSET = 20  # what the exporter writes without converting; onnxruntime has read it since 1.17
EXAMPLE_BATCH = 2  # a batch of 1 may be taken for a constant


def onnx_graph(
    module: nn.Module, inputs: Mapping[str, tuple[int, ...]], *, batch: int | None, output: str = "images"
) -> onnx.ModelProto:
    """A module as an ONNX graph with its weights inside, which names no place of this machine.

    Args:
        module: in evaluation mode on the CPU, with one output; see `drawer`.
        inputs: the shape of each input without the batch, in the order of its `forward`.
        batch: how many it works on at once; None: any number, an axis called "batch".
        output: how its output is called.

    Initialisers have the names of the state_dict, those of the module's one child without its name.
    """
    examples = tuple(torch.zeros(batch or EXAMPLE_BATCH, *shape) for shape in inputs.values())
    shapes = None
    if batch is None:
        # Of `Dim("batch")` an exporter that needs it fixed would fix it without a word; this fails.
        axis = {0: torch.export.Dim.DYNAMIC}
        shapes = tuple([dict(axis) for _ in inputs])
    with _quiet_exporter():
        program = torch.onnx.export(
            _Positional(module),
            examples,
            dynamic_shapes=None if shapes is None else (shapes,),
            input_names=list(inputs),
            output_names=[output],
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    _tidy(model, None if batch is not None else "batch")
    return model


class _Positional(nn.Module):
    """A module whose `forward` takes any number of inputs, of whatever names."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.eval()

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.module(*inputs)


def _tidy(model: onnx.ModelProto, batch: str | None) -> None:
    """Take out what tells of the exporter and its machine, and give names that people understand."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")
    del model.functions[:]
    model.producer_name, model.producer_version = "", ""
    prefix = _common_prefix([tensor.name for tensor in graph.initializer])
    names = {tensor.name: tensor.name.removeprefix(prefix) for tensor in graph.initializer}
    for tensor in graph.initializer:
        tensor.name = names[tensor.name]
    for node in graph.node:
        for slot, name in enumerate(node.input):
            node.input[slot] = names.get(name, name)
    free = {axis.dim_param for value in graph.input for axis in value.type.tensor_type.shape.dim if axis.dim_param}
    for value in (*graph.input, *graph.output, *graph.value_info):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param in free and batch is not None:
                axis.dim_param = batch


def _common_prefix(names: list[str]) -> str:
    """What the wrapper put before the names of the network's tensors: "module.generator." """
    for prefix in ("module.generator.", "module.discriminator.", "module."):
        if any(name.startswith(prefix) for name in names):
            return prefix
    return ""


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Within this context PyTorch's exporter does not warn of itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        yield
