"""The run doctor at work while a run trains: it looks, notes what it sees, tells what is new, and may ask to stop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ganlet.data.holdout import held_out_pack
from ganlet.engine.loop import Event, Stop
from ganlet.engine.schedule import health_interval
from ganlet.health.history import HEALTH, Row, RunInfo
from ganlet.health.live import LiveDoctor, News
from ganlet.metrics.features import open_extractor
from ganlet.runs.history import read_history
from ganlet.workflows.examiner import Examiner
from ganlet.workflows.records import read_environment
from ganlet.workflows.session import Session

logger = logging.getLogger(__name__)

# The doctor's thresholds were set with these features, whatever distances are measured in.
EXTRACTOR = "ganlet"


@dataclass
class Doctor:
    """A look every `health.every` images: a row of signals, and a row and a line for each verdict that is new.

    Changes nothing in the training state. A look that fails (no memory) is told once, and training goes on without it.
    """

    session: Session
    note: Callable[[Mapping[str, Any]], None]  # appends a row to the history
    rows_before: Sequence[Row]  # of the run so far, at the start of this session
    _every: int = field(init=False)
    _live: LiveDoctor = field(init=False)
    _examiner: Examiner | None = None
    _told: bool = False

    def __post_init__(self) -> None:
        config = self.session.config
        self._every = health_interval(config)
        self._live = LiveDoctor(RunInfo(config, len(self.session.pack)), config.health.action)
        self._live.catch_up(self.rows_before)

    def __call__(self, event: Event) -> Stop | None:
        game = event.state.game
        if not self._every or not event.passed(self._every) or game.draws is None or game.judges is None:
            return None
        try:
            signals = self._examine(event)
        except Exception as error:  # whatever it is, no look is worth a run
            self._complain(error)
            return None
        event.latest[HEALTH] = look = {"event": HEALTH, "images_seen": event.images_seen, **signals}
        self.note(look)
        rows = read_history(self.session.folder.metrics_path)
        try:
            news = self._live.look(rows)
        except Exception as error:
            self._complain(error)
            return None
        return self._tell(news)

    def _examine(self, event: Event) -> dict[str, float]:
        if self._examiner is None:
            self._examiner = _open_examiner(self.session)
        return self._examiner.examine(event.state)

    def _tell(self, news: News) -> Stop | None:
        """Tell and note what is new."""
        for row in news.rows:
            self.note(row)
        for text in news.lines:
            self.session.reporter.say(f"doctor: {text}")
            logger.warning(text)
        return Stop(news.reason, rollback=True) if news.reason else None

    def _complain(self, error: Exception) -> None:
        if self._told:
            return
        self._told = True
        text = f"the doctor could not look, and training goes on without it: {type(error).__name__}: {error}"
        self.session.reporter.say(text)
        logger.warning(text, exc_info=error)
        if self.session.device.type == "cuda":
            torch.cuda.empty_cache()


def _open_examiner(session: Session) -> Examiner:
    config, pack = session.config, session.pack
    unseen = held_out_pack(pack, config.data, limit=config.health.num_pictures)
    extractor = open_extractor(EXTRACTOR, session.device)
    norms = read_environment(session.folder).get("weight_norms")
    return Examiner(config, pack, unseen, extractor, session.device, session.labels, norms)
