"""How the world watches a run: hooks are shown every iteration, may ask to stop, and never alter anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ganlet.engine.schedule import crosses
from ganlet.engine.state import TrainState


@dataclass(frozen=True)
class Moment:
    """What a hook is shown after each iteration.

    `before` is the clock before the iteration, `images_seen` after it; `is_last` when the loop ends here, for whatever
    reason.
    """

    state: TrainState
    before: int
    images_seen: int
    is_last: bool

    def passed(self, every: int) -> bool:
        """Whether a multiple of `every` images was passed, or the run ends here."""
        return self.is_last or crosses(self.before, self.images_seen, every)


class Hook(Protocol):
    """Observes; answers with a reason in order to stop the run, else with None."""

    def __call__(self, moment: Moment) -> str | None: ...
