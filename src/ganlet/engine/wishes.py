"""What hooks and signals ask of a run, and how several ranks agree on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ganlet.engine.course import SIDES
from ganlet.engine.distributed import Ranks
from ganlet.engine.hooks import Hook, Moment, Reduce, Stop
from ganlet.engine.signals import StopRequest
from ganlet.errors import TrainingError

AGREE_EVERY = 8  # iterations between agreements of several ranks about stopping

# By strength; the number of a signal lies between the first two. A rollback prevails over a signal, because what the
# signal saves would be the state that is not to be gone on with; the signal then ends the run one iteration later.
BY_HOOK, ROLL_BACK, FAILED = 1, 64, 65


@dataclass(frozen=True)
class Outcome:
    """Why the loop ended: finished, by a signal (its number), or because a hook said so (its reason).

    With `rollback` the reason asks for more than to stop: for going on from an earlier moment.
    """

    finished: bool
    signal_number: int = 0
    reason: str | None = None
    rollback: bool = False


@dataclass
class Wishes:
    """What was asked for and not yet decided."""

    stop: StopRequest | None
    ranks: Ranks
    strength: int = 0
    reason: str | None = None
    failure: TrainingError | None = None
    sides: set[str] = field(default_factory=set)  # of which the rate shall fall

    def gather(self, hooks: Iterable[Hook], moment: Moment) -> None:
        """Show hooks a moment. After a failure or a wish to go back nothing is shown, for nothing is to be saved."""
        for hook in hooks:
            if self.strength >= ROLL_BACK:
                return
            try:
                answer = hook(moment)
            except TrainingError as error:
                self.strength, self.failure = FAILED, error
                return
            if isinstance(answer, Reduce):
                self.sides.update(answer.sides)
            elif answer:
                self._add(answer if isinstance(answer, Stop) else Stop(answer))

    def _add(self, wish: Stop) -> None:
        strength = ROLL_BACK if wish.rollback else BY_HOOK
        if strength > self.strength:
            self.strength, self.reason = strength, wish.reason

    def grant_reductions(self, moment: Moment, meeting: bool) -> None:
        """Count the reductions that any rank has asked for; several ranks do so at a `meeting` only, all at once."""
        if self.ranks.world > 1 and not meeting:
            return
        for side in SIDES:
            if self.ranks.any(side in self.sides):
                moment.state.course.reduce(side)
        self.sides.clear()

    def outcome(self, moment: Moment, iterations: int, meeting: bool) -> Outcome | None:
        """Why the loop ends here, the same on all ranks; None: it goes on. Raises `TrainingError` where a hook did.

        A rank that stopped on its own would leave the others waiting for it; several ask each other only now and then,
        and at each `meeting`.
        """
        if self.ranks.world > 1 and iterations % AGREE_EVERY and not (meeting or moment.finished):
            return None
        strength = self.ranks.any(max(self.strength, self.stop.number if self.stop else 0))
        if strength == FAILED:
            raise self.failure or TrainingError("Another process of this run met numbers that are not finite.")
        if strength == ROLL_BACK:
            return Outcome(finished=False, reason=self.reason, rollback=True)
        if moment.finished:
            return Outcome(finished=True)
        if strength:
            return Outcome(False, 0 if strength == BY_HOOK else strength, self.reason)
        return None
