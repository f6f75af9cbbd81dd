"""How the world watches a run: hooks are shown every iteration, may ask to stop, and never alter anything."""

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


class Hook(Protocol):
    """Observes; answers with a reason in order to stop the run, else with None."""

    def __call__(self, moment: Moment) -> str | None: ...
