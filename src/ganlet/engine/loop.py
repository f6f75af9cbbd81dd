"""The training loop."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ganlet.config.schema import RunConfig
from ganlet.data.feed import Feed
from ganlet.engine.distributed import ALONE, Ranks
from ganlet.engine.draws import Draws, noise_seed, seed_layers
from ganlet.engine.graph import build_runner
from ganlet.engine.hooks import Hook, Moment
from ganlet.engine.optimizers import set_rate
from ganlet.engine.schedule import growth, images, iteration_images, measure_every, rate_factor
from ganlet.engine.signals import StopRequest
from ganlet.engine.state import TrainState
from ganlet.engine.step import Due, Iteration, build_iteration
from ganlet.engine.wishes import Outcome, Wishes
from ganlet.errors import TrainingError
from ganlet.networks.style import NoiseInput

__all__ = ["Outcome", "not_finite", "run_loop"]


def run_loop(
    config: RunConfig,  # resolved
    state: TrainState,  # changed in place, from its own clock on
    feed: Feed,  # real images by position
    hooks: Sequence[Hook] = (),  # shown every iteration, in this order
    ranks: Ranks = ALONE,  # this process among others
    stop: StopRequest | None = None,  # a signal's note
    saver: Hook | None = None,  # shown last, when what the others have asked of the state is granted
    held_out: Feed | None = None,  # pictures kept out of training, where the augmentation follows them
) -> Outcome:
    """Train `state` until `train.total_images` images have been seen, a signal asks to stop, or a hook does.

    Raises `TrainingError`, on all ranks, when a loss, gradient or weight is not finite; the state is then not to be
    saved.
    """
    train = config.train
    total, step, turn = images(train.total_images), iteration_images(config), measure_every(config)
    device = next(state.generator.parameters()).device

    # How an iteration is carried out, and what it is fed.
    iteration = build_iteration(config, ranks, device.type)
    run = build_runner(iteration, state, cuda_graph=train.cuda_graph and device.type == "cuda")
    draws = Draws(
        config,
        feed,
        device,
        ranks,
        state.course.rollbacks,
        needs=iteration.objective.needs,
        num_levels=state.generator.num_levels,
        held_out=held_out,
    )
    layers_seed = noise_seed(config.seed, state.course.rollbacks)
    layers_draw = _draw_for_themselves(state)
    state.generator.train()
    state.discriminator.train()

    stages = state.generator.num_stages
    state.set_stage(*growth(config, stages, state.images_seen))

    wishes, outcome = Wishes(stop, ranks), None
    while outcome is None and state.images_seen < total:
        before = state.images_seen

        # Everything that depends on the clock is set from outside the iteration.
        _set_rates(config, state, before, total)
        if layers_draw:
            seed_layers(layers_seed, before, ranks.rank)
        inputs = draws.at(before)

        # One iteration.
        try:
            run(inputs, _due(iteration, before, train.n_critic, train.batch_size))
        except TrainingError as error:
            raise not_finite(error.what, f"after {before:,} images") from None
        state.images_seen = before + step
        state.set_stage(*growth(config, stages, state.images_seen))

        # Show it around, grant what is asked for, save, and see whether anybody wants to stop.
        moment = Moment(state, before, state.images_seen, finished=state.images_seen >= total)
        measured = bool(turn) and moment.passed(turn)
        wishes.gather(hooks, moment)
        wishes.grant_reductions(moment, measured)
        wishes.gather([saver] if saver else [], moment)
        outcome = wishes.outcome(moment, state.images_seen // step, measured)
    return outcome or Outcome(finished=True)


def _due(iteration: Iteration, images_seen: int, n_critic: int, batch_size: int) -> Due:
    first = images_seen // batch_size
    return tuple(iteration.objective.due(first + step) for step in range(n_critic))


def _set_rates(config: RunConfig, state: TrainState, images_seen: int, total: int) -> None:
    """Each side's rate: its schedule at this moment, and what every rollback so far multiplies both rates by."""
    after_rollbacks = config.health.rate_factor**state.course.rollbacks
    for side, settings, optimizer in (
        ("generator", config.generator.optimizer, state.generator_optimizer),
        ("discriminator", config.discriminator.optimizer, state.discriminator_optimizer),
    ):
        factor = rate_factor(settings.schedule, images_seen, total, state.course.reductions(side))
        set_rate(optimizer, settings.lr * factor * after_rollbacks)


def _draw_for_themselves(state: TrainState) -> bool:
    layers = (nn.Dropout, nn.Dropout2d, NoiseInput)
    return any(isinstance(m, layers) for net in (state.generator, state.discriminator) for m in net.modules())


def not_finite(what: str, where: str) -> TrainingError:
    """The error of a run whose loss or gradient was not finite at the moment that `where` tells."""
    return TrainingError(
        what,
        where=where,
        expected="finite numbers; nothing of this iteration was saved, the checkpoints are sound",
        hint="--set generator.optimizer.lr and discriminator.optimizer.lr to a third, or add an r1 penalty",
    )
