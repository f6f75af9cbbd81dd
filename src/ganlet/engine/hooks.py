"""How the world watches a run: hooks are shown every iteration, may ask for something, and never alter anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ganlet.engine.schedule import crosses
from ganlet.engine.state import TrainState


@dataclass(frozen=True)
class Moment:
    """What a hook is shown after each iteration: the clock before it and after it, and the state after it."""

    state: TrainState
    before: int
    images_seen: int
    finished: bool  # all images of the run have been seen

    def passed(self, every: int) -> bool:
        """Whether a multiple of `every` images was passed, or the run is finished."""
        return self.finished or crosses(self.before, self.images_seen, every)


@dataclass(frozen=True)
class Stop:
    """A wish to stop here; with `rollback`, to go on from an earlier moment where the run is configured to do so."""

    reason: str
    rollback: bool = False


@dataclass(frozen=True)
class Reduce:
    """A wish that the learning rates of these sides fall once, as their plateau schedules say."""

    sides: tuple[str, ...]


class Hook(Protocol):
    """Observes; answers with a wish, where a mere reason is a wish to stop, else with None."""

    def __call__(self, moment: Moment) -> str | Stop | Reduce | None: ...
