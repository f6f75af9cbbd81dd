"""One iteration of any game: a step for each loss that it yields, then averages of weights and of what was measured.

A pure function of (state, inputs): every random draw is in the inputs, so an iteration can be captured in a CUDA graph,
tested, and replayed bit for bit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import torch
from torch import nn

from ganlet.engine.distributed import ALONE, Ranks
from ganlet.engine.state import TrainState
from ganlet.errors import ConfigError, TrainingError
from ganlet.games import Inputs, Turn
from ganlet.images import to_network

UNIT_VECTORS = ("._u", "._v")  # of torch's spectral_norm


def iterate(state: TrainState, inputs: Inputs, ranks: Ranks = ALONE) -> None:
    """Let the networks play once, and change the state by that."""
    accumulate = state.game.config.train.accumulate
    losses: dict[str, list[torch.Tensor]] = defaultdict(list)  # of the parts of a player's next step
    measured: dict[str, list[torch.Tensor]] = defaultdict(list)

    for player, loss, parts in _turns(state, inputs):
        optimizer = state.optimizers[player]
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        if not losses[player]:
            optimizer.zero_grad(set_to_none=True)
        # Nothing but this player's weights gets a gradient: not the other networks', not the images of a penalty.
        loss.backward(inputs=parameters)
        losses[player].append(loss.detach())
        if parts is not None:  # where a game has a part of that name, it is meant in place of the whole loss
            for name, value in {f"{player}_loss": loss.detach(), **parts}.items():
                measured[name].append(value)
        if len(losses[player]) == accumulate:
            norm, failed = optimizer_step(state, player, losses.pop(player), parameters, ranks)
            measured[f"{player}_gradient_norm"].append(norm)
            measured["failed_steps"].append(failed)

    if unfinished := [player for player, held in losses.items() if held]:
        raise ConfigError(
            "The game does not cut its batch into parts.",
            where="train.accumulate",
            got=f"another number of losses of {', '.join(unfinished)}",
            expected=f"a multiple of {accumulate} for each player",
            hint="--set train.accumulate=1",
        )

    # One value of each name, as is usual, stays what it is: every sum and quotient is a launch on a GPU.
    sums = {name: torch.stack(values).sum() if len(values) > 1 else values[0] for name, values in measured.items()}
    counts = {name: len(values) for name, values in measured.items()} | {"failed_steps": 1}
    if ranks.world > 1:
        ranks.average([*sums.values(), *_running_statistics(state)])
    means = {name: total / counts[name] if counts[name] > 1 else total for name, total in sums.items()}
    state.game.remember(state.memory, means, inputs.num_images * ranks.world)
    for name, average in state.averages.items():
        update_average(average, state.networks[state.averaged[name].network], inputs.ema_weights[name])
    state.window.add(sums, counts)


def _turns(state: TrainState, inputs: Inputs) -> Iterator[Turn]:
    """The turns of the game, each computed in the precision of the run when it is asked for."""
    device = inputs.images["real"].device.type
    shown = {stream: to_network(pictures) for stream, pictures in inputs.images.items()}
    play = state.game.play(state.networks, replace(inputs, images=shown))
    half = state.game.config.train.precision == "bf16"
    while True:
        # The cache of casted weights would outlive their update within an iteration, and cannot be captured.
        with torch.autocast(device if half else "cpu", torch.bfloat16, enabled=half, cache_enabled=False):
            turn = next(play, None)
        if turn is None:
            return
        yield checked(turn, state)


def checked(yielded: Any, state: TrainState) -> Turn:
    """What a game has yielded, as a turn. Raises `ConfigError` where it is none."""
    is_turn = isinstance(yielded, tuple) and len(yielded) in (2, 3)
    turn = Turn(*cast(Any, yielded)) if is_turn else Turn("", cast(Any, yielded))
    parts: Any = turn.parts or {}
    numbers: list[Any] = [turn.loss, *(parts.values() if isinstance(parts, Mapping) else [parts])]
    scalars = all(isinstance(number, torch.Tensor) and number.dim() == 0 for number in numbers)
    if isinstance(turn.player, str) and turn.player in state.players and scalars and turn.loss.requires_grad:
        return turn
    raise ConfigError(
        "A game yields a player's name, its loss, and scalars for the log by name.",
        where=type(state.game).__name__,
        got=", ".join(map(_in_short, (turn.player, *numbers))),
        expected=f"one of {', '.join(state.players)}; scalar tensors, of which the first has a gradient: loss.mean()",
    )


def _in_short(value: object) -> str:
    """A value for a message: of a tensor, its shape."""
    if not isinstance(value, torch.Tensor):
        return repr(value)
    return f"shape {tuple(value.shape)}" + ("" if value.requires_grad else " without a gradient")


def optimizer_step(
    state: TrainState, player: str, losses: list[torch.Tensor], parameters: list[nn.Parameter], ranks: Ranks
) -> tuple[torch.Tensor, torch.Tensor]:
    """Average gradients over the parts of a batch and over ranks, clip them, and step.

    Returns the gradient norm and whether the step failed (0 or 1). A loss or gradient that is not finite never reaches
    the weights: off the GPU it raises `TrainingError` before the step; on the GPU, where asking would stall, the step
    is skipped on the device and the failure counted. What got no gradient, as the finer layers of a network that
    grows, is left alone.
    """
    optimizer, settings = state.optimizers[player], state.players[player].optimizer
    loss = torch.stack(losses).mean()
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if len(losses) > 1:
        torch._foreach_div_(gradients, float(len(losses)))  # pyright: ignore[reportPrivateImportUsage]
    if ranks.world > 1:
        ranks.average([*gradients, loss])  # the loss too: all ranks must agree on whether the step failed
    norm = torch.nn.utils.get_total_norm(gradients)
    failed = torch.logical_not(torch.isfinite(norm + loss)).float()
    if settings.clip_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, settings.clip_norm, norm)
    if settings.clip_value is not None:
        torch.nn.utils.clip_grad_value_(parameters, settings.clip_value)
    if loss.device.type == "cuda":
        optimizer.found_inf = failed  # type: ignore[attr-defined] # read by the fused kernel, as by torch.amp
    elif failed.item():
        raise TrainingError(f"The {player}'s loss or gradient is not finite.")
    optimizer.step()
    limit = state.players[player].weight_clip
    if limit is not None:  # Arjovsky et al. 2017, algorithm 1
        with torch.no_grad():
            for parameter in parameters:
                parameter.clamp_(-limit, limit)
    return norm, failed


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, weight: torch.Tensor) -> None:
    """Move `average` towards `network` by the share `weight` (a scalar tensor), in place.

    The running statistics of batch normalisation are averaged like the weights that they belong to: the momentary
    ones would not fit averaged weights. Counters are copied, and so are the vectors of spectral norms: they have length
    1, and an average of them has not.
    """
    old, new = [], []
    for (name, mine), (_, theirs) in zip(_tensors(average), _tensors(network), strict=True):
        if mine.is_floating_point() and not name.endswith(UNIT_VECTORS):
            old.append(mine)
            new.append(theirs)
        else:
            mine.copy_(theirs)
    change = torch._foreach_sub(new, old)  # pyright: ignore[reportPrivateImportUsage]
    torch._foreach_mul_(change, weight)  # pyright: ignore[reportPrivateImportUsage]
    torch._foreach_add_(old, change)  # pyright: ignore[reportPrivateImportUsage]


def _tensors(network: nn.Module) -> list[tuple[str, torch.Tensor]]:
    return [*network.named_parameters(), *network.named_buffers()]


def _running_statistics(state: TrainState) -> list[torch.Tensor]:
    """Statistics that each rank gathers from its own share of the batch."""
    buffers = (buffer for network in state.networks.values() for buffer in network.buffers())
    return [buffer for buffer in buffers if buffer.is_floating_point()]
