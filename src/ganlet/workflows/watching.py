"""The hooks of a training run: what observes it and writes into its folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ganlet.config import RunConfig, dump_yaml
from ganlet.engine.draws import draw
from ganlet.engine.hooks import Hook, Moment
from ganlet.engine.loop import not_finite
from ganlet.engine.schedule import images
from ganlet.engine.state import TrainState
from ganlet.errors import ResourceProblem
from ganlet.images import grid
from ganlet.networks import Generator
from ganlet.runs import checkpoint
from ganlet.runs.checkpoint import Checkpoint
from ganlet.runs.environment import describe_environment
from ganlet.runs.files import write_atomic
from ganlet.runs.folder import RunFolder
from ganlet.runs.history import History, TensorBoardMirror, read_history
from ganlet.runs.pictures import save_sheet
from ganlet.runs.weights import save_generator
from ganlet.workflows.records import write_environment
from ganlet.workflows.reporting import Reporter, describe_row
from ganlet.workflows.sampling import generate
from ganlet.workflows.session import Session

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

    def __call__(self, moment: Moment) -> None:
        last_time, last_images = self._last = self._last or (self._started, moment.before)
        if not moment.passed(images(self.config.train.log_every)):
            return
        means = moment.state.window.read()
        if means.pop("failed_steps") > 0:
            raise not_finite("A loss or gradient is not finite.", f"before {moment.images_seen:,} images")
        now = time.monotonic()
        self._last = (now, moment.images_seen)
        row: dict[str, Any] = {
            "images_seen": moment.images_seen,
            **means,
            "generator_rate": float(moment.state.generator_optimizer.param_groups[0]["lr"]),
            "discriminator_rate": float(moment.state.discriminator_optimizer.param_groups[0]["lr"]),
            "images_per_second": round((moment.images_seen - last_images) / max(now - last_time, 1e-9), 1),
            "seconds": round(self.seconds_before + now - self._started, 3),
        }
        _patiently(lambda: self.history.append(row))
        if self.mirror:
            self.mirror.scalars(row)
        total = images(self.config.train.total_images)
        self.reporter.progress("training", min(moment.images_seen, total), total, describe_row(row))


@dataclass
class Sampler:
    """A grid from the same latents every `train.sample_every` images."""

    config: RunConfig
    folder: RunFolder
    mirror: TensorBoardMirror | None

    def __call__(self, moment: Moment) -> None:
        if moment.passed(images(self.config.train.sample_every)):
            self.save(moment.state, moment.images_seen)

    def save(self, state: TrainState, images_seen: int) -> None:
        """Draw and save the grid of this moment."""
        settings = self.config.evaluate
        generator = self.config.generator
        shape = (settings.num_samples, generator.latent_size)
        latents = draw(generator.latents, self.config.seed, "preview", 0, shape)
        pictures = generate(shown_generator(state, self.config), latents)
        _patiently(lambda: save_sheet(self.folder.samples_path / f"{images_seen:09}.png", pictures))
        if self.mirror:
            self.mirror.picture("samples", grid(pictures), images_seen)


@dataclass
class Saver:
    """A checkpoint every `train.checkpoint_every` images, with generator.safetensors beside it."""

    config: RunConfig
    folder: RunFolder
    history: History
    data_fingerprint: str
    run_id: str
    resumed_from: int | None  # never pruned
    saved_at: int | None = None

    def __post_init__(self) -> None:
        self.saved_at = self.resumed_from

    def __call__(self, moment: Moment) -> None:
        if moment.passed(images(self.config.train.checkpoint_every)):
            self.save(moment.state)

    def save(self, state: TrainState) -> None:
        """Save this moment, unless that was done."""
        if self.saved_at != state.images_seen:
            _patiently(lambda: self._save(state))
            self.saved_at = state.images_seen

    def save_generator(self, state: TrainState) -> None:
        """Write generator.safetensors alone: also after a resume, for a kill may have come between the two."""
        save_generator(
            self.folder.generator_path,
            shown_generator(state, self.config).state_dict(),
            self.config.model_dump_json(),
            {"images_seen": state.images_seen},
        )

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
        protect = () if self.resumed_from is None else (self.resumed_from,)
        checkpoint.prune(folder, self.config.train.keep_checkpoints, protect, self.run_id)


def shown_generator(state: TrainState, config: RunConfig) -> Generator:
    """The generator that samples are drawn with: the averaged one, unless the config wants the momentary one."""
    return state.average if config.evaluate.weights == "ema" else state.generator


@dataclass(frozen=True)
class Watchers:
    """The hooks of a run in the order in which they are shown each moment: what is saved last covers the others."""

    logger: Logger
    sampler: Sampler
    saver: Saver

    @property
    def hooks(self) -> list[Hook]:
        """All of them."""
        return [self.logger, self.sampler, self.saver]


def watch(stack: ExitStack, session: Session, state: TrainState, restored: Checkpoint | None) -> Watchers:
    """Open the run's records for this session, mark the seam of a resume, and make the hooks that write them."""
    config, folder = session.config, session.folder
    write_atomic(folder.config_path, dump_yaml(config).encode())  # a resume may have changed how far it goes
    known_id = restored.meta.get("run_id") if restored else None
    run_id = write_environment(folder, _environment(session), session.pack, session.reporter, known_id)
    rows = [row for row in read_history(folder.metrics_path) if row["images_seen"] <= state.images_seen]
    history = stack.enter_context(History(folder.metrics_path))
    begun_before = folder.metrics_path.stat().st_size > 0
    if begun_before:
        history.mark_resume(state.images_seen)
    mirror = None
    if config.train.tensorboard:
        mirror = TensorBoardMirror(folder.tensorboard_path, state.images_seen + 1 if begun_before else None)
        stack.callback(mirror.close)
    seconds = max((row.get("seconds", 0.0) for row in rows), default=0.0)
    resumed_from = restored.images_seen if restored else None
    watchers = Watchers(
        Logger(config, history, mirror, session.reporter, seconds),
        Sampler(config, folder, mirror),
        Saver(config, folder, history, session.pack.fingerprint, run_id, resumed_from),
    )
    if restored is None:
        real = _middles(session.pack.pictures[: config.evaluate.num_samples], config.data.size)
        save_sheet(folder.samples_path / "real.png", real)
        watchers.sampler.save(state, 0)
    else:
        watchers.saver.save_generator(state)
    return watchers


def _patiently(write: Callable[[], None]) -> None:
    """Write; a full disk is given some time before it ends the run."""
    for seconds in RETRY_AFTER:
        try:
            return write()
        except ResourceProblem:
            time.sleep(seconds)
    return write()


def _middles(pictures: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle (H, W) of pictures that are packed larger than they are shown, as for random cuts."""
    top, left = ((pictures.shape[axis] - size[axis - 1]) // 2 for axis in (1, 2))
    return pictures[:, top : top + size[0], left : left + size[1]]


def _environment(session: Session) -> dict[str, Any]:
    return describe_environment(str(session.device), session.ranks.world)
