"""A game or networks of somebody's own, tried once before a run begins, so that mistakes are told in their words."""

from __future__ import annotations

import copy
from typing import Any

import torch

from ganlet.engine.estimate import blank_inputs
from ganlet.engine.state import TrainState
from ganlet.engine.step import checked
from ganlet.errors import ConfigError, GanletError
from ganlet.randomness import RandomInput


def rehearse(state: TrainState) -> None:
    """Play one iteration on black pictures with copies of the networks, and change nothing.

    Raises `ConfigError` where random inputs, pictures, or what the game yields are not what training needs; what is
    raised by the game or a network itself is its cause.
    """
    game, name = state.game, type(state.game).__name__
    networks = copy.deepcopy(state.networks)
    for network in networks.values():
        network.train()
    try:
        for asked_for, (asked, _) in game.random(networks, game.levels(0)).items():
            _require_numbers(asked, asked_for, state.device)
        num = 2 * game.config.train.accumulate
        inputs = blank_inputs(state, num)
        if game.draws is not None:
            generator: Any = networks[game.draws]
            latents = generator.latents.draw((num,), 0, "rehearsal", device=state.device)
            _require_pictures(generator(latents, *inputs.batch().condition), num, state)
        played = False
        for yielded in game.play(networks, inputs):
            turn, played = checked(yielded, state), True
            trained = [networks[one] for one in state.players[turn.player].networks]
            parameters = [p for network in trained for p in network.parameters() if p.requires_grad]
            gradients = torch.autograd.grad(turn.loss, parameters, allow_unused=True)
            if all(gradient is None for gradient in gradients):
                raise ConfigError(
                    f"The loss of {turn.player} does not depend on the weights of {turn.player}.",
                    where=name,
                    hint="was something detached that should not be?",
                )
            state.window.require_known(turn.parts or {})
        if not played:
            raise ConfigError("The game yields no loss.", where=name, expected="a player's name and its loss")
    except GanletError:
        raise
    except Exception as error:
        raise ConfigError(
            "What was handed in failed when it was tried on black pictures.",
            where=name,
            got=f"{type(error).__name__}: {error}",
            expected="networks and a game that fit each other and the config",
        ) from error


def _require_numbers(asked: RandomInput, name: str, device: torch.device) -> None:
    """Raise ConfigError unless what is drawn is a tensor, and a pure function of seed, stream and clock."""
    where = f"{type(asked).__name__}.draw, which is asked for {name}"
    shape = (2, 64)  # enough for few values not to be the same by chance
    first, again, later = (asked.draw(shape, 0, "rehearsal", clock, device) for clock in (0, 0, 1))
    if not isinstance(first, torch.Tensor) or first.shape[:2] != shape:
        got = f"shape {tuple(first.shape)}" if isinstance(first, torch.Tensor) else type(first).__name__
        what = "`draw` must give one tensor with numbers for each picture."
        raise ConfigError(what, where=where, got=got, expected=f"shape {shape} and more when {shape} is asked for")
    hint = "ganlet.games.derive makes a seed of seed, stream and clock"
    if not torch.equal(first, again):
        raise ConfigError("`draw` gives other numbers when it is asked again.", where=where, hint=hint)
    if torch.equal(first, later):
        raise ConfigError("`draw` gives the same numbers at every moment.", where=where, hint=hint)


def _require_pictures(images: Any, num: int, state: TrainState) -> None:
    data = state.game.config.data
    expected = (num, data.channels, *data.size)
    if not isinstance(images, torch.Tensor) or tuple(images.shape) != expected:
        raise ConfigError(
            "The generator does not draw pictures as the config has them.",
            where=state.game.draws,
            got=f"shape {tuple(images.shape)}" if isinstance(images, torch.Tensor) else type(images).__name__,
            expected=f"shape {expected}, which is (N, channels, height, width)",
            hint="set data.size and data.channels to what it draws, or the other way round",
        )
