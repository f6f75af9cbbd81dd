"""The run doctor at work while a run trains: it looks, notes what it sees, tells what is new, and may ask to stop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ganlet.data.holdout import held_out_pack
from ganlet.engine.hooks import Moment, Stop
from ganlet.engine.schedule import look_every
from ganlet.health.history import HEALTH, Row, RunInfo
from ganlet.health.live import LiveDoctor, News
from ganlet.metrics.features import open_extractor
from ganlet.runs.history import read_history
from ganlet.workflows.examining import Examiner
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
    _live: LiveDoctor = field(init=False)
    _examiner: Examiner | None = None
    _told: bool = False

    def __post_init__(self) -> None:
        config = self.session.config
        self._live = LiveDoctor(RunInfo(config, len(self.session.pack)), config.health.action)
        self._live.catch_up(self.rows_before)

    def __call__(self, moment: Moment) -> Stop | None:
        every = look_every(self.session.config)
        if not every or not moment.passed(every):
            return None
        try:
            signals = self._examine(moment)
        except Exception as error:  # whatever it is, no look is worth a run
            self._complain(error)
            return None
        self.note({"event": HEALTH, "images_seen": moment.images_seen, **signals})
        rows = read_history(self.session.folder.metrics_path)
        try:
            news = self._live.look(rows)
        except Exception as error:
            self._complain(error)
            return None
        return self._tell(news)

    def _examine(self, moment: Moment) -> dict[str, float]:
        if self._examiner is None:
            self._examiner = _open_examiner(self.session)
        return self._examiner.examine(moment.state)

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
    return Examiner(config, pack, unseen, extractor, session.device, session.labels)
