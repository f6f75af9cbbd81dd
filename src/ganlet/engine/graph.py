"""One CUDA graph for a whole iteration: on a GPU, small networks wait for launches, not for arithmetic.

The iteration is recorded once for each pattern of due penalties, inputs and stage of growing, and replayed over static
buffers, into which the inputs are copied. Elsewhere, and where the config does not ask for it, iterations simply run.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from ganlet.engine.inputs import Inputs
from ganlet.engine.state import TrainState
from ganlet.engine.step import Due, Iteration

WARM_UP = 3
Runner = Callable[[Inputs, Due], None]


def build_runner(iteration: Iteration, state: TrainState, *, cuda_graph: bool) -> Runner:
    """What carries out iterations on `state`."""
    if cuda_graph:
        return GraphRunner(iteration, state)
    return lambda inputs, due: iteration(state, inputs, due)


class GraphRunner:
    """Replays recorded iterations. The state's tensors must stay where they are; `TrainState.load` copies in place."""

    def __init__(self, iteration: Iteration, state: TrainState) -> None:
        self.iteration = iteration
        self.state = state
        self.graphs: dict[tuple[Due, tuple[str, ...], int], tuple[torch.cuda.CUDAGraph, Inputs]] = {}

    def __call__(self, inputs: Inputs, due: Due) -> None:
        stage = self.state.generator.stage
        key = (due, tuple(inputs.tensors()), stage)
        if key not in self.graphs:
            self.graphs = {
                known: graph for known, graph in self.graphs.items() if known[-1] == stage
            }  # memory is freed
            self.graphs[key] = self._record(inputs, due)
        graph, static = self.graphs[key]
        copy_inputs(static, inputs)
        graph.replay()

    def _record(self, inputs: Inputs, due: Due) -> tuple[torch.cuda.CUDAGraph, Inputs]:
        """Record one iteration without advancing the state: warm-up changes it and draws, so both are put back."""
        static = clone_inputs(inputs)
        random = torch.cuda.get_rng_state()
        before = {m: {n: t.clone() for n, t in tensors.items()} for m, tensors in self.state.members().items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self.iteration(self.state, static, due)
        torch.cuda.current_stream().wait_stream(side)
        for optimizer in (self.state.generator_optimizer, self.state.discriminator_optimizer):
            optimizer.zero_grad(set_to_none=True)  # so that gradients are allocated inside the graph
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.iteration(self.state, static, due)
        self.state.load(before, self.state.images_seen)
        torch.cuda.set_rng_state(random)
        return graph, static


def clone_inputs(inputs: Inputs) -> Inputs:
    """Inputs in buffers of their own."""
    return inputs.map(torch.clone)


def copy_inputs(static: Inputs, inputs: Inputs) -> None:
    """Overwrite the buffers of `static` with `inputs` of the same names and shapes."""
    sources = inputs.tensors()
    for name, target in static.tensors().items():
        target.copy_(sources[name])
