"""The training loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from ganlet.config.schema import RunConfig
from ganlet.data.feed import Feed
from ganlet.engine.distributed import ALONE, Ranks
from ganlet.engine.draws import Draws, seed_layers
from ganlet.engine.graph import build_runner
from ganlet.engine.hooks import Hook, Moment
from ganlet.engine.optimizers import set_rate
from ganlet.engine.schedule import images, rate_factor
from ganlet.engine.signals import StopRequest
from ganlet.engine.state import TrainState
from ganlet.engine.step import Due, Iteration
from ganlet.errors import TrainingError
from ganlet.objective import build_objective

AGREE_EVERY = 8  # iterations between agreements of several ranks about stopping
BY_HOOK = 1  # a hook's wish to stop: below the number of every signal that is handled, so that a signal prevails


@dataclass(frozen=True)
class Outcome:
    """Why the loop ended: finished, by a signal (its number), or because a hook said so (its reason)."""

    finished: bool
    signal_number: int = 0
    reason: str | None = None


def run_loop(
    config: RunConfig,  # resolved
    state: TrainState,  # changed in place, from its own clock on
    feed: Feed,  # real images by position
    hooks: Sequence[Hook] = (),  # shown every iteration, in this order
    ranks: Ranks = ALONE,  # this process among others
    stop: StopRequest | None = None,  # a signal's note
) -> Outcome:
    """Train `state` until `train.total_images` images have been seen, a signal asks to stop, or a hook does.

    Raises `TrainingError` when a loss, gradient or weight is not finite; the state is then not to be saved.
    """
    train = config.train
    total = images(train.total_images)
    device = next(state.generator.parameters()).device

    # How an iteration is carried out, and what it is fed.
    iteration = Iteration(
        objective=build_objective(config),
        ranks=ranks,
        generator_clip=config.generator.optimizer.clip_norm,
        discriminator_clip=config.discriminator.optimizer.clip_norm,
        autocast_device=device.type if train.precision == "bf16" else None,
    )
    run = build_runner(iteration, state, cuda_graph=train.cuda_graph and device.type == "cuda")
    draws = Draws(config, feed, device, ranks)
    layers_draw = _draw_for_themselves(state)
    state.generator.train()
    state.discriminator.train()

    reason = None
    while state.images_seen < total:
        before = state.images_seen

        # Everything that depends on the clock is set from outside the iteration.
        _set_rates(config, state, before, total)
        if layers_draw:
            seed_layers(config.seed, before, ranks.rank)
        inputs = draws.at(before)

        # One iteration.
        try:
            run(inputs, _due(iteration, before, train.n_critic, train.batch_size))
        except TrainingError as error:
            raise not_finite(error.what, f"after {before:,} images") from None
        state.images_seen = before + train.n_critic * train.batch_size

        # Show it around, and see whether anybody wants to stop.
        finished = state.images_seen >= total
        for hook in hooks:
            reason = hook(Moment(state, before, state.images_seen, finished)) or reason
        wish = _agreed_wish(stop, reason, ranks, state.images_seen // (train.n_critic * train.batch_size))
        if wish and not finished:
            return Outcome(finished=False, signal_number=0 if wish == BY_HOOK else wish, reason=reason)
    return Outcome(finished=True)


def _due(iteration: Iteration, images_seen: int, n_critic: int, batch_size: int) -> Due:
    first = images_seen // batch_size
    return tuple(iteration.objective.due(first + step) for step in range(n_critic))


def _set_rates(config: RunConfig, state: TrainState, images_seen: int, total: int) -> None:
    for settings, optimizer in (
        (config.generator.optimizer, state.generator_optimizer),
        (config.discriminator.optimizer, state.discriminator_optimizer),
    ):
        set_rate(optimizer, settings.lr * rate_factor(settings.schedule, images_seen, total))


def _agreed_wish(stop: StopRequest | None, reason: str | None, ranks: Ranks, iterations: int) -> int:
    """The wish to stop that all ranks know of: a signal's number, `BY_HOOK`, or 0.

    One that stopped on its own would leave the others waiting for it; several ask each other only now and then.
    """
    if ranks.world > 1 and iterations % AGREE_EVERY:
        return 0
    signal_number = stop.number if stop else 0
    return ranks.any(signal_number or (BY_HOOK if reason else 0))


def _draw_for_themselves(state: TrainState) -> bool:
    dropouts = (nn.Dropout, nn.Dropout2d)
    return any(isinstance(m, dropouts) for net in (state.generator, state.discriminator) for m in net.modules())


def not_finite(what: str, where: str) -> TrainingError:
    """The error of a run whose loss or gradient was not finite at the moment that `where` tells."""
    return TrainingError(
        what,
        where=where,
        expected="finite numbers; nothing of this iteration was saved, the checkpoints are sound",
        hint="--set generator.optimizer.lr and discriminator.optimizer.lr to a third, or add an r1 penalty",
    )
