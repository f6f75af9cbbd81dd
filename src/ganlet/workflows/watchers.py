"""The hooks of a training run: what observes it and writes into its folder."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ganlet.config import RunConfig, dump_yaml, portable
from ganlet.data.labels import label_fingerprint
from ganlet.engine.loop import Event, Hook, not_finite
from ganlet.engine.state import TrainState
from ganlet.errors import CheckpointError, ResourceProblem
from ganlet.games import Game
from ganlet.games.drawn import Drawn
from ganlet.health.history import HEALTH
from ganlet.images import center_crop, grid
from ganlet.runs import checkpoint
from ganlet.runs.certificate import Certificate, Maker, weights_hash
from ganlet.runs.checkpoint import Checkpoint
from ganlet.runs.environment import describe_environment
from ganlet.runs.files import write_atomic
from ganlet.runs.folder import RunFolder
from ganlet.runs.history import History, TensorBoardMirror, read_history
from ganlet.runs.pictures import save_sheet
from ganlet.runs.weights import save_generator
from ganlet.workflows.doctor import Doctor
from ganlet.workflows.examiner import weight_norms
from ganlet.workflows.generators import run_fingerprint
from ganlet.workflows.labels import LabelSampler
from ganlet.workflows.measuring import Measurer, Patience, Plateau, describe_value, measured_now
from ganlet.workflows.records import write_environment
from ganlet.workflows.reporting import Reporter, describe_row
from ganlet.workflows.session import Session
from ganlet.workflows.track import MEASUREMENT, Track

logger = logging.getLogger(__name__)

RETRY_AFTER = (1.0, 5.0, 20.0)  # seconds, when the disk is full


@dataclass
class Logger:
    """A row of metrics.jsonl every `train.log_every` images: means since the row before."""

    config: RunConfig
    history: History
    mirror: TensorBoardMirror | None
    reporter: Reporter
    seconds_before: float  # spent by earlier sessions of this run
    _started: float = field(default_factory=time.monotonic)
    _last: tuple[float, int] | None = None

    def __call__(self, event: Event) -> None:
        last_time, last_images = self._last = self._last or (self._started, event.before)
        if not event.passed(self.config.train.log_every):
            return
        means = event.state.window.read()
        if means.pop("failed_steps") > 0:
            raise not_finite("A loss or gradient is not finite.", f"before {event.images_seen:,} images")
        now = time.monotonic()
        self._last = (now, event.images_seen)
        row: dict[str, Any] = {
            "images_seen": event.images_seen,
            **means,
            **event.state.rates(),
            "images_per_second": round((event.images_seen - last_images) / max(now - last_time, 1e-9), 1),
            "seconds": round(self.seconds_before + now - self._started, 3),
        }
        event.latest["row"] = row
        _patiently(lambda: self.history.append(row))
        if self.mirror:
            self.mirror.scalars(row)
        told = describe_row(row, self.config.objective.loss.probabilities)
        seen = min(event.images_seen, event.total_images)  # an iteration may go past the end
        self.reporter.progress("training", seen, event.total_images, told)


@dataclass
class Sampler:
    """A grid from the same latents every `train.sample_every` images."""

    config: RunConfig
    folder: RunFolder
    mirror: TensorBoardMirror | None
    data_fingerprint: str
    labels: LabelSampler | None = None

    def __call__(self, event: Event) -> None:
        if event.passed(self.config.train.sample_every):
            self.save(event.state, event.images_seen)

    def save(self, state: TrainState, images_seen: int) -> None:
        """Draw and save the grid of this moment."""
        num, seed = self.config.evaluate.num_samples, self.config.seed
        labels = self.labels.for_grid(num, seed) if self.labels else None
        shown = state.game.preview(state.for_sampling(), num, seed, labels)
        if shown is None:
            return
        pictures = shown[:num]
        certificate = self._certificate(shown, images_seen) if isinstance(shown, Drawn) else None
        path = self.folder.samples_path / f"{images_seen:09}.png"
        _patiently(lambda: save_sheet(path, pictures, certificate=certificate))
        if self.mirror:
            self.mirror.picture("samples", grid(pictures), images_seen)

    def _certificate(self, shown: Drawn, images_seen: int) -> Certificate:
        maker = Maker(run_fingerprint(self.config, self.data_fingerprint), weights_hash(shown.generator), images_seen)
        labels = None if shown.labels is None else shown.labels.float().numpy()
        values = shown.latents.float().numpy()
        return Certificate(maker, {"verb": "train"}, "latents", values, labels, np.zeros((len(values), 4), np.int64))


@dataclass
class Saver:
    """A checkpoint every `train.checkpoint_every` images and at the best, with generator.safetensors beside it."""

    config: RunConfig
    folder: RunFolder
    history: History
    measurer: Measurer
    data_fingerprint: str
    run_id: str
    resumed_from: int | None  # never pruned
    game: Game
    label_sets: list[list[int]] | None = None  # what pictures are drawn with
    given: Mapping[str, str] = field(default_factory=dict)  # what was handed in as objects
    saved_at: int | None = None

    def __post_init__(self) -> None:
        self.saved_at = self.resumed_from
        self._point_at_best()  # also after a resume, for a kill may have come between the two

    def __call__(self, event: Event) -> None:
        is_best = measured_now(event) and event.latest[MEASUREMENT]["best"]
        if is_best or event.passed(self.config.train.checkpoint_every):
            self.save(event.state)

    def save(self, state: TrainState) -> None:
        """Save this moment, unless that was done."""
        if self.saved_at != state.images_seen:
            _patiently(lambda: self._save(state))
            self.saved_at = state.images_seen

    def save_generator(self, state: TrainState) -> None:
        """Write generator.safetensors alone: also after a resume, for a kill may have come between the two."""
        if state.game.draws is not None:
            self._write_generator(state.for_sampling()[state.game.draws].state_dict(), state.images_seen)

    def keep_best(self, reporter: Reporter) -> None:
        """At the end: let generator.safetensors be the best one, where the last one is worse beyond the noise.

        Checkpoints stay what they are: a run that is extended goes on from the last one.
        """
        best = self.measurer.track.better_than_last
        if best is None or not self.config.evaluate.keep_best:
            return
        moment = best["images_seen"]
        try:
            found = checkpoint.load(self.folder.checkpoints_path, moment, self.run_id)
            assert found is not None
        except CheckpointError as error:
            text = f"generator.safetensors is the last one, for the best cannot be read: {error.what}"
        else:
            shown = self.game.member_of(str(self.game.draws), self.config.evaluate.weights == "ema")
            _patiently(lambda: self._write_generator(found.members[shown], moment))
            value, last = describe_value(best), describe_value(self.measurer.track.rows[-1])
            text = f"generator.safetensors is the best one, after {moment:,} images: {value}, at last {last}"
        reporter.say(text)
        logger.info(text)

    def _write_generator(self, tensors: Mapping[str, torch.Tensor], images_seen: int) -> None:
        config = portable(self.config).model_dump_json()  # the file is passed on, and need not tell of this machine
        extra: dict[str, Any] = {"images_seen": images_seen, "data_fingerprint": self.data_fingerprint}
        if self.label_sets is not None:
            extra["labels"] = self.label_sets
        if self.given:
            extra["given"] = dict(self.given)
        save_generator(self.folder.generator_path, tensors, config, extra)

    def _save(self, state: TrainState) -> None:
        folder = self.folder.checkpoints_path
        self.history.sync()
        meta = {
            "config": self.config.model_dump(mode="json"),
            "data_fingerprint": self.data_fingerprint,
            "run_id": self.run_id,
        }
        checkpoint.save(folder, state.images_seen, state.members(), meta, self.run_id)
        self.save_generator(state)
        self._point_at_best()
        protect = () if self.resumed_from is None else (self.resumed_from,)
        checkpoint.prune(folder, self.config.train.keep_checkpoints, protect, self.run_id)

    def _point_at_best(self) -> None:
        best, folder = self.measurer.track.best, self.folder.checkpoints_path
        moment = best["images_seen"] if best else None
        if moment in checkpoint.moments(folder) and moment != checkpoint.read_pointer(folder, "best"):
            checkpoint.write_pointer(folder, "best", moment)


@dataclass(frozen=True)
class Watchers:
    """What observes a run and writes into its folder; the saver is shown each moment last, for it covers the others."""

    history: History
    logger: Logger
    sampler: Sampler
    measurer: Measurer
    doctor: Doctor
    saver: Saver

    @property
    def hooks(self) -> list[Hook]:
        """All but the saver, in the order in which they are shown each moment."""
        return [self.logger, self.sampler, self.measurer, Plateau(self.measurer), self.patience, self.doctor]

    @property
    def patience(self) -> Patience:
        """What asks to stop when nothing becomes better."""
        return Patience(self.measurer)


def begin_session(session: Session, state: TrainState, restored: Checkpoint | None) -> str:
    """Note in the run folder what this session trains, and on what machine. Returns the run's id."""
    folder = session.folder
    write_atomic(folder.config_path, dump_yaml(session.config).encode())  # a resume may have changed how far it goes
    known_id = restored.meta.get("run_id") if restored else None
    now = describe_environment(str(session.device), session.ranks.world)
    pack, of_labels = session.pack, label_fingerprint(session.pack, session.config.data)
    data = {**pack.summary, "fingerprint": pack.fingerprint}
    return write_environment(
        folder,
        now,
        data if of_labels is None else {**data, "label_fingerprint": of_labels},
        session.reporter,
        known_id,
        labels=session.labels.sets() if session.labels else None,
        weight_norms=weight_norms(state) if state.images_seen == 0 else None,
        given=session.given,
    )


def watch(
    stack: ExitStack, session: Session, state: TrainState, run_id: str, restored: Checkpoint | None, seam: bool
) -> Watchers:
    """Open the run's records, mark the seam of a resume where it is one, and make the hooks that write them.

    What they remember comes from the rows that count at the state's moment, so they go on as if never interrupted.
    """
    config, folder = session.config, session.folder
    rows = [row for row in read_history(folder.metrics_path) if row["images_seen"] <= state.images_seen]
    history = stack.enter_context(History(folder.metrics_path))
    begun_before = folder.metrics_path.stat().st_size > 0
    if begun_before and seam:
        history.mark_resume(state.images_seen)
    mirror = None
    if config.train.tensorboard:
        mirror = TensorBoardMirror(folder.tensorboard_path, state.images_seen + 1 if begun_before else None)
        stack.callback(mirror.close)
    seconds = max((row["seconds"] for row in rows if "event" not in row), default=0.0)
    resumed_from = restored.images_seen if restored else None
    track = Track.of(rows)
    spent = sum(row["seconds"] for row in track.rows)
    measurer = Measurer(session, _noting(history, mirror), track, seconds, spent)
    watchers = Watchers(
        history,
        Logger(config, history, mirror, session.reporter, seconds),
        Sampler(config, folder, mirror, session.pack.fingerprint, session.labels),
        measurer,
        Doctor(session, _noting_health(history, mirror), rows),
        Saver(
            config,
            folder,
            history,
            measurer,
            session.pack.fingerprint,
            run_id,
            resumed_from,
            session.game,
            session.labels.sets() if session.labels else None,
            session.given,
        ),
    )
    if restored is None:
        real = center_crop(session.pack.pictures[: config.evaluate.num_samples], config.data.size)
        save_sheet(folder.samples_path / "real.png", real)
        watchers.sampler.save(state, 0)
    else:
        watchers.saver.save_generator(state)
    return watchers


def _noting(history: History, mirror: TensorBoardMirror | None) -> Callable[[Mapping[str, Any]], None]:
    """What writes down a measurement; TensorBoard shows its value under the name of the metric."""

    def note(row: Mapping[str, Any]) -> None:
        _patiently(lambda: history.append(row))
        if mirror:
            numbers = {row["metric"]: row["value"], f"{row['metric']}_error": row["error"]}
            mirror.scalars({"images_seen": row["images_seen"], **numbers})

    return note


def _noting_health(history: History, mirror: TensorBoardMirror | None) -> Callable[[Mapping[str, Any]], None]:
    """What writes down a look or a verdict; TensorBoard shows the signals of looks."""

    def note(row: Mapping[str, Any]) -> None:
        _patiently(lambda: history.append(row))
        if mirror and row["event"] == HEALTH:
            signals = {f"health/{name}": value for name, value in row.items() if name not in ("event", "images_seen")}
            mirror.scalars({"images_seen": row["images_seen"], **signals})

    return note


def _patiently(write: Callable[[], None]) -> None:
    """Write; a full disk is given some time before it ends the run."""
    for seconds in RETRY_AFTER:
        try:
            return write()
        except ResourceProblem:
            time.sleep(seconds)
    return write()
