"""The distance between generated and real pictures, measured while a run trains, and what follows from it.

Nothing in the training state or its randomness is touched: the latents have a stream of their own and are always the
same. A turn that fails (no memory, no extractor) is told once, and training goes on without it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch

from ganlet.config.checks import measuring_decides, plateau_schedules
from ganlet.data.spec import Pack
from ganlet.engine.loop import Event, Reduce
from ganlet.engine.schedule import measure_every
from ganlet.engine.state import TrainState
from ganlet.errors import GanletError
from ganlet.metrics.accumulate import statistics_of
from ganlet.metrics.distances import frechet_distance, kernel_distance
from ganlet.metrics.features import Extractor, distance_name, extract, open_extractor
from ganlet.metrics.protocol import Measurement, Protocol
from ganlet.metrics.references import Reference, kept_indices, open_reference
from ganlet.settings import as_images
from ganlet.workflows.session import Session
from ganlet.workflows.track import MEASUREMENT, Track

logger = logging.getLogger(__name__)

REALS = "training pictures"
Distance = Callable[[np.ndarray, Reference], tuple[float, float | None]]  # features of fakes -> value, standard error


@dataclass
class Measurer:
    """A row of metrics.jsonl with the distance, every `evaluate.every` images and at the end.

    A turn is skipped while measuring has taken more than `evaluate.budget` of the run's time, except for the last one.
    None is skipped where the outcome depends on it: with a plateau schedule, with patience, or where `health.action` is
    rollback. What is skipped depends on the clock on the wall, so with a budget below 1 two equal runs may differ in
    which checkpoint they call the best; their weights do not differ.
    """

    session: Session
    note: Callable[[Mapping[str, Any]], None]  # appends a row to the history
    track: Track
    seconds_before: float  # of earlier sessions of this run
    spent: float  # seconds of those on measuring
    _started: float = field(default_factory=time.monotonic)
    _every: int = field(init=False)
    _instruments: tuple[Extractor, Reference] | None = None
    _told: bool = False

    def __post_init__(self) -> None:
        self._every = measure_every(self.session.config)

    def __call__(self, event: Event) -> None:
        if not self._every or not event.passed(self._every) or event.state.game.draws is None:
            return
        if not (event.finished or self._may_take_time()):
            return
        begun = time.monotonic()
        measured = self._attempt(event.state)
        seconds = time.monotonic() - begun
        self.spent += seconds
        if measured is not None:
            event.latest[MEASUREMENT] = self._record(event.images_seen, measured, seconds)

    def _may_take_time(self) -> bool:
        config = self.session.config
        elapsed = self.seconds_before + time.monotonic() - self._started
        return measuring_decides(config) or bool(self.session.hooks) or self.spent <= config.evaluate.budget * elapsed

    def _attempt(self, state: TrainState) -> Measurement | None:
        try:
            if self._instruments is None:
                self._instruments = _open_instruments(self.session)
            return measure(state, self.session, *self._instruments)
        except Exception as error:  # whatever it is, no number is worth a run
            self._complain(error)
        if self.session.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _complain(self, error: Exception) -> None:
        if self._told:
            return
        self._told = True
        what = error.what if isinstance(error, GanletError) else f"{type(error).__name__}: {error}"
        text = f"the distance could not be measured, and training goes on without it: {what}"
        self.session.reporter.say(text)
        logger.warning(text, exc_info=error)

    def _record(self, images_seen: int, measured: Measurement, seconds: float) -> Mapping[str, Any]:
        row = {
            "event": MEASUREMENT,
            "images_seen": images_seen,
            "metric": measured.metric,
            "name": measured.name,
            "value": measured.value,
            "error": measured.spread,
            "seconds": round(seconds, 3),
            "protocol": asdict(measured.protocol),
        }
        self.track = self.track.and_then(row)
        is_best = self.track.best is row
        row = {**row, "best": is_best}
        self.note(row)
        best = ", the best so far" if is_best and len(self.track.rows) > 1 else ""
        text = f"after {images_seen:,} images: {describe_value(row)}{best}"
        self.session.reporter.say(text)
        logger.info(text)
        return row


def measured_now(event: Event) -> bool:
    """Whether the distance was measured at this very moment."""
    return event.latest.get(MEASUREMENT, {}).get("images_seen") == event.images_seen


@dataclass(frozen=True)
class Plateau:
    """Asks for lower rates where the schedules say so, right after each measurement."""

    measurer: Measurer

    def __call__(self, event: Event) -> Reduce | None:
        if not measured_now(event):
            return None
        track, session = self.measurer.track, self.measurer.session
        due = {side: s for side, s in plateau_schedules(session.config).items() if track.reduces(as_images(s.patience))}
        for side, schedule in due.items():
            text = f"the {side}'s learning rate falls: no progress in {as_images(schedule.patience):,} images"
            session.reporter.say(text)
            logger.info(text)
        return Reduce(tuple(due)) if due else None


@dataclass(frozen=True)
class Patience:
    """Asks to stop where for `evaluate.patience` images there was no progress."""

    measurer: Measurer

    def __call__(self, event: Event) -> str | None:
        return self.exhausted() if measured_now(event) else None

    def exhausted(self) -> str | None:
        """The reason to stop, if there is one; also where a run was interrupted after it had one."""
        patience, track = self.measurer.session.config.evaluate.patience, self.measurer.track
        if patience is None or track.best is None or track.images_without_progress < as_images(patience):
            return None
        return f"no progress in {track.images_without_progress:,} images; the best was {describe_value(track.best)}"


def measure(state: TrainState, session: Session, extractor: Extractor, reference: Reference) -> Measurement:
    """The distance of what is drawn at this moment, always from the same latents. Raises `MetricError`."""
    config = session.config
    settings = config.evaluate
    labels = session.labels.draw(settings.num_fakes, config.seed) if session.labels else None
    drawn = state.game.drawn(state.for_sampling(), settings.num_fakes, config.seed, "measure", labels)
    assert drawn is not None
    fakes = extract(extractor, drawn).features
    kind, distance = DISTANCES[settings.metric]
    value, error = distance(fakes, reference)
    protocol = Protocol.of(
        extractor,
        num_fakes=len(fakes),
        num_reals=reference.count,
        reals=REALS,
        data_fingerprint=session.pack.fingerprint,
        weights=settings.weights,
        seed=config.seed,
    )
    return Measurement(settings.metric, distance_name(kind, extractor), value, error, "lower", protocol)


def describe_value(row: Mapping[str, Any]) -> str:
    """A measurement in a few words."""
    error = "" if row["error"] is None else f" ± {row['error']:.2g}"
    return f"{row['name']} {row['value']:.4g}{error}"


def _open_instruments(session: Session) -> tuple[Extractor, Reference]:
    """The extractor, and what it makes of as many real pictures as are generated."""
    settings = session.config.evaluate
    extractor = open_extractor(settings.extractor, session.device)
    chosen = _some(session.pack, settings.num_fakes)
    return extractor, open_reference(chosen, session.config.data.size, extractor, keep=len(chosen))


def _some(pack: Pack, num: int) -> Pack:
    """At most `num` pictures of a pack, always the same ones: all of a large source would take longer than training."""
    if len(pack) <= num:
        return pack
    chosen = kept_indices(len(pack), num)
    fingerprint = f"{num} of {pack.fingerprint}"
    return replace(pack, pictures=pack.pictures[chosen], labels=None, names=None, fingerprint=fingerprint)


def _kernel(fakes: np.ndarray, reference: Reference) -> tuple[float, float | None]:
    return kernel_distance(fakes, reference.features)


def _frechet(fakes: np.ndarray, reference: Reference) -> tuple[float, float | None]:
    return frechet_distance(statistics_of(fakes), reference.statistics), None


DISTANCES: dict[str, tuple[Literal["kernel", "frechet"], Distance]] = {
    "kd": ("kernel", _kernel),
    "fd": ("frechet", _frechet),
}
