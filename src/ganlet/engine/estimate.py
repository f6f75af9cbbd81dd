"""How much memory a run will take, measured on a tiny batch before anything is started."""

from __future__ import annotations

import weakref
from collections import Counter
from dataclasses import dataclass

import torch

from ganlet.engine.state import TrainState
from ganlet.games import Inputs
from ganlet.images import to_network

ADAM_COPIES = 4  # weight, gradient and two moments of each parameter
BYTES = 4


@dataclass(frozen=True)
class MemoryEstimate:
    """Bytes of the weights with all that belongs to them, and of what one batch keeps for its backward passes."""

    weights: int
    batch: int

    @property
    def total(self) -> int:
        """Bytes altogether, without torch itself and the pictures."""
        return self.weights + self.batch


def estimate_memory(state: TrainState) -> MemoryEstimate:
    """The largest amount that one iteration of the state's game holds at a time, with all lazy penalties due."""
    train = state.game.config.train
    parameters = sum(p.numel() for network in state.networks.values() for p in network.parameters())
    averaged = sum(t.numel() for net in state.averages.values() for t in [*net.parameters(), *net.buffers()])
    kept = {batch: _most_kept(state, batch * train.accumulate) for batch in (2, 4)}
    # The weights, kept for the backward pass too, are the same in both and cancel out.
    per_image = (kept[4] - kept[2]) / (2 * train.accumulate)
    return MemoryEstimate(
        weights=BYTES * (ADAM_COPIES * parameters + averaged), batch=round(per_image * train.batch_size)
    )


def _most_kept(state: TrainState, batch: int) -> int:
    """The most bytes of distinct tensors that wait for a backward pass at any turn of an iteration."""
    kept: Counter[tuple[int, int]] = Counter()  # how often each storage is kept

    def keep(tensor: torch.Tensor) -> _Kept:
        storage = tensor.untyped_storage()
        key = (storage.data_ptr(), storage.nbytes())
        kept[key] += 1
        held = _Kept(tensor)
        weakref.finalize(held, kept.subtract, [key])
        return held

    most = 0
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda held: held.tensor):
        play = state.game.play(state.networks, blank_inputs(state, batch))
        while (turn := next(play, None)) is not None:
            most = max(most, sum(size for (_, size), times in kept.items() if times > 0))
            del turn  # a step would have freed its graph
    return most


class _Kept:
    """A tensor that a graph keeps, as an object that tells when it is given up."""

    def __init__(self, tensor: torch.Tensor) -> None:
        self.tensor = tensor


def blank_inputs(state: TrainState, batch: int) -> Inputs:
    """Inputs of the first iteration with black pictures, on the state's device."""
    game, data = state.game, state.game.config.data
    streams, levels = game.streams(), game.levels(0)
    labelled = [name for name in streams if name in ("real", "held_out") and data.num_labels]
    inputs = Inputs(
        images={
            name: to_network(torch.zeros(steps, batch, *data.size, int(data.channels), dtype=torch.uint8))
            for name, steps in streams.items()
        },
        labels={name: torch.zeros(streams[name], batch, data.num_labels) for name in labelled},
        random={
            name: asked.draw((steps, batch), 0, name)
            for name, (asked, steps) in game.random(state.networks, levels).items()
        },
        levels={name: torch.tensor(level) for name, level in levels.items()},
        memory=state.memory,
        due=game.due(0),
    )
    return inputs.map(lambda tensor: tensor.to(state.device))
