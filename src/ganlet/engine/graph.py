"""One CUDA graph for a whole iteration: on a GPU, small networks wait for launches, not for arithmetic.

The iteration is recorded once for each pattern of what is due, inputs and stage of growing, and replayed over static
buffers, into which the inputs are copied.
"""

from __future__ import annotations

from typing import Any

import torch

from ganlet.engine.distributed import ALONE, Ranks
from ganlet.engine.state import TrainState
from ganlet.engine.step import iterate
from ganlet.games import Inputs

WARM_UP = 3


class GraphRunner:
    """Replays recorded iterations. The state's tensors must stay where they are; `TrainState.load` copies in place."""

    def __init__(self, state: TrainState, ranks: Ranks = ALONE) -> None:
        self.state = state
        self.ranks = ranks
        self.graphs: dict[tuple[Any, ...], tuple[torch.cuda.CUDAGraph, Inputs]] = {}

    def __call__(self, inputs: Inputs) -> None:
        """Carry out one iteration."""
        stages = tuple(getattr(network, "stage", 0) for network in self.state.networks.values())
        key = (inputs.due, tuple(inputs.tensors()), stages)
        if key not in self.graphs:
            # Those of past stages never come again: their memory is freed.
            self.graphs = {known: graph for known, graph in self.graphs.items() if known[-1] == stages}
            self.graphs[key] = self._record(inputs)
        graph, static = self.graphs[key]
        copy_inputs(static, inputs)
        graph.replay()

    def _record(self, inputs: Inputs) -> tuple[torch.cuda.CUDAGraph, Inputs]:
        """Record one iteration without advancing the state: warm-up changes it and draws, so both are put back."""
        static = inputs.map(torch.clone)
        random = torch.cuda.get_rng_state()
        before = {m: {n: t.clone() for n, t in tensors.items()} for m, tensors in self.state.members().items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                iterate(self.state, static, self.ranks)
        torch.cuda.current_stream().wait_stream(side)
        for optimizer in self.state.optimizers.values():
            optimizer.zero_grad(set_to_none=True)  # so that gradients are allocated inside the graph
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            iterate(self.state, static, self.ranks)
        self.state.load(before, self.state.images_seen)
        torch.cuda.set_rng_state(random)
        return graph, static


def copy_inputs(static: Inputs, inputs: Inputs) -> None:
    """Overwrite the buffers of `static` with `inputs` of the same names and shapes."""
    sources = inputs.tensors()
    for name, target in static.tensors().items():
        target.copy_(sources[name])
