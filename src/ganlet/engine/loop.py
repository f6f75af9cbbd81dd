"""The training loop, what observes it, and why it ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from ganlet.config.schema import RunConfig
from ganlet.data.batches import Batches
from ganlet.engine.distributed import ALONE, Ranks
from ganlet.engine.graph import GraphRunner
from ganlet.engine.inputs import InputMaker
from ganlet.engine.schedule import measure_every
from ganlet.engine.signals import StopRequest
from ganlet.engine.state import TrainState
from ganlet.engine.step import iterate
from ganlet.errors import ConfigError, TrainingError
from ganlet.randomness import derive, noise_seed
from ganlet.settings import Images, as_images

AGREE_EVERY = 8  # iterations between agreements of several ranks about stopping

# Reasons to stop by strength; the number of a signal (1 is SIGHUP) is added to the second. A rollback prevails over a
# signal, because what the signal saves would be the state that is not to be gone on with; the signal then ends the run
# one iteration later.
BY_HOOK, BY_SIGNAL, ROLL_BACK, FAILED = 1, 1, 64, 65


@dataclass(frozen=True)
class Event:
    """What a hook is shown after each iteration: the clock before it and after it, and the state after it.

    `latest` holds what other hooks have written down last in this session: "row" (of the log), "measurement" (of the
    distance) and "health" (the doctor's look), each a dict with `images_seen`, as metrics.jsonl has it.
    """

    state: TrainState
    before: int
    images_seen: int
    total_images: int  # of the run
    latest: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def finished(self) -> bool:
        """Whether all images of the run have been seen."""
        return self.images_seen >= self.total_images

    def passed(self, every: Images) -> bool:
        """Whether a multiple of `every` (of a resolved config) was passed, or the run is finished."""
        assert isinstance(every, int)
        return self.finished or self.images_seen // every > self.before // every


@dataclass(frozen=True)
class Stop:
    """A request to stop; with `rollback`, to go on from an earlier moment where the run is configured to do so."""

    reason: str
    rollback: bool = False


@dataclass(frozen=True)
class Reduce:
    """A request that the learning rates of these players fall once, as their plateau schedules say."""

    players: tuple[str, ...]


class Hook(Protocol):
    """Observes and alters nothing; answers with a request, where a mere reason is one to stop, else with None."""

    def __call__(self, event: Event) -> str | Stop | Reduce | None: ...


@dataclass(frozen=True)
class StopReason:
    """Why the loop ended: finished, by a signal (its number), or because a hook said so (its reason).

    With `rollback` the reason asks for more than to stop: for going on from an earlier moment.
    """

    finished: bool
    signal_number: int = 0
    reason: str | None = None
    rollback: bool = False


def run_loop(
    state: TrainState,  # changed in place, from its own clock on
    batches: Mapping[str, Batches],  # pictures by stream: "real", and what else the game asks for
    hooks: Sequence[Hook] = (),  # shown every iteration, in this order
    ranks: Ranks = ALONE,  # this process among others
    stop: StopRequest | None = None,  # a signal's note
    saver: Hook | None = None,  # shown last, when what the others have asked of the state is granted
) -> StopReason:
    """Train `state` until `train.total_images` images have been seen, a signal asks to stop, or a hook does.

    Raises `TrainingError`, on all ranks, when a loss, gradient or weight is not finite; the state is then not to be
    saved.
    """
    config = state.game.config
    total, num_images = as_images(config.train.total_images), state.game.num_images
    measure_interval = measure_every(config)
    maker = InputMaker(state, batches, ranks)
    graphs = GraphRunner(state, ranks) if config.train.cuda_graph and state.device.type == "cuda" else None
    for network in state.networks.values():
        network.train()

    requests, ended, latest = Requests(stop, ranks), None, {}
    while ended is None and state.images_seen < total:
        before = state.images_seen

        # Everything that depends on the clock is set from outside the iteration.
        _set_rates(config, state, before, total)
        # For layers that draw for themselves: dropout, noise.
        torch.manual_seed(derive(noise_seed(config.seed, state.rollbacks), "layers", before, ranks.rank))
        inputs = maker.at(before)

        # One iteration.
        try:
            graphs(inputs) if graphs else iterate(state, inputs, ranks)
        except TrainingError as error:
            raise not_finite(error.what, f"after {before:,} images") from None
        state.set_clock(before + num_images)

        # Show it around, grant what is asked for, save, and see whether anybody wants to stop.
        event = Event(state, before, state.images_seen, total, latest)
        measured = bool(measure_interval) and event.passed(measure_interval)
        requests.gather(hooks, event)
        requests.grant_reductions(event, measured)
        requests.gather([saver] if saver else [], event)
        ended = requests.decide(event, state.images_seen // num_images, measured)
    return ended or StopReason(finished=True)


def _set_rates(config: RunConfig, state: TrainState, images_seen: int, total: int) -> None:
    """Each player's rate: its schedule at this moment, and what every rollback so far multiplies all rates by."""
    after_rollbacks = config.health.rate_factor**state.rollbacks
    for player, optimizer in state.optimizers.items():
        settings = state.players[player].optimizer
        rate = settings.lr * settings.schedule.at(images_seen, total, state.reductions(player)) * after_rollbacks
        for group in optimizer.param_groups:
            if isinstance(group["lr"], torch.Tensor):  # a captured graph reads it: in place
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


def not_finite(what: str, where: str) -> TrainingError:
    """The error of a run whose loss or gradient was not finite at the moment that `where` tells."""
    return TrainingError(
        what,
        where=where,
        expected="finite numbers; nothing of this iteration was saved, the checkpoints are sound",
        hint="--set generator.optimizer.lr and discriminator.optimizer.lr to a third, or add an r1 penalty",
    )


@dataclass
class Requests:
    """What hooks and signals have asked for, and how several ranks agree on it."""

    stop: StopRequest | None
    ranks: Ranks
    strength: int = 0
    reason: str | None = None
    failure: TrainingError | None = None
    reduced: set[str] = field(default_factory=set)  # players whose rate shall fall

    def gather(self, hooks: Iterable[Hook], event: Event) -> None:
        """Show hooks an event. After a failure or a request to go back nothing is shown, as nothing is to be saved."""
        for hook in hooks:
            if self.strength >= ROLL_BACK:
                return
            try:
                answer = hook(event)
            except TrainingError as error:
                self.strength, self.failure = FAILED, error
                return
            if isinstance(answer, Reduce):
                self.reduced.update(answer.players)
            elif answer not in (None, ""):
                if not isinstance(answer, str | Stop):
                    what, expected = "This is no answer of a callback.", "None, the reason to stop, Stop or Reduce"
                    raise ConfigError(what, where=repr(hook), got=repr(answer), expected=expected)
                stop = answer if isinstance(answer, Stop) else Stop(answer)
                strength = ROLL_BACK if stop.rollback else BY_HOOK
                if strength > self.strength:
                    self.strength, self.reason = strength, stop.reason

    def grant_reductions(self, event: Event, meeting: bool) -> None:
        """Count the reductions that any rank has asked for; several ranks do so at a `meeting` only, all at once."""
        if self.ranks.world > 1:
            if not meeting:
                return
            self.reduced = {player for player in event.state.players if self.ranks.any(player in self.reduced)}
        for player in self.reduced:
            event.state.counts[f"{player}_reductions"].add_(1)
        self.reduced = set()

    def decide(self, event: Event, iterations: int, meeting: bool) -> StopReason | None:
        """Why the loop ends here, the same on all ranks; None: it goes on. Raises `TrainingError` where a hook did.

        A rank that stopped on its own would leave the others waiting for it; several ask each other only now and then,
        and at each `meeting`.
        """
        number = self.stop.number if self.stop else 0
        strength = max(self.strength, BY_SIGNAL + number if number else 0)
        if self.ranks.world > 1:
            if iterations % AGREE_EVERY and not (meeting or event.finished):
                return None
            strength = self.ranks.any(strength)
        if strength == FAILED:
            raise self.failure or TrainingError("Another process of this run met numbers that are not finite.")
        if strength == ROLL_BACK:
            return StopReason(finished=False, reason=self.reason, rollback=True)
        if event.finished:
            return StopReason(finished=True)
        if strength:
            return StopReason(False, 0 if strength == BY_HOOK else strength - BY_SIGNAL, self.reason)
        return None
