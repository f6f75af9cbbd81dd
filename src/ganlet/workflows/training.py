"""Training a new run, and resuming one: both end in `_carry_on`."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ganlet.config import RunConfig, differences, dump_yaml, read_yaml, validate, without_effect
from ganlet.config.tree import merge
from ganlet.data.feed import Feed
from ganlet.data.labels import label_notes, label_vectors
from ganlet.engine.devices import choose_device, out_of_memory_explained, require_precision, set_determinism
from ganlet.engine.distributed import ranks, world_size
from ganlet.engine.hooks import Hook
from ganlet.engine.signals import stop_on_signals
from ganlet.engine.state import TrainState, build_state
from ganlet.errors import CheckpointError, ConfigError, Interrupted
from ganlet.runs import checkpoint
from ganlet.runs.checkpoint import Checkpoint
from ganlet.runs.folder import RunFolder, default_run_path, require_new
from ganlet.workflows.finishing import finish
from ganlet.workflows.labels import LabelStock
from ganlet.workflows.records import log_file, read_environment
from ganlet.workflows.recovering import counted_rollbacks, train_on
from ganlet.workflows.reporting import Reporter, Silent
from ganlet.workflows.requirements import (
    followed_pictures,
    open_pictures,
    require_changeable,
    require_extractor,
    require_length,
    require_same_pictures,
    require_shares,
    resolved,
)
from ganlet.workflows.run import Run
from ganlet.workflows.session import Session
from ganlet.workflows.transferring import initial_state


def train(
    config: RunConfig,
    out: str | Path | None = None,
    *,
    device: str = "auto",
    reporter: Reporter | None = None,
    hooks: Sequence[Hook] = (),
) -> Run:
    """Train a generator in a new run folder and return the run.

    Args:
        config: may leave things open (`auto`, epochs); the run folder holds what they became.
        out: the folder, which must be new or empty; default: the first free runs/PRESET.
        device: auto, cpu, cuda or mps. Under `torchrun` each process trains on its share of every batch.
        reporter: where progress is told; default: nowhere.
        hooks: observers that are shown every iteration and may ask to stop.

    Raises an error of the `GanletError` family; bad input is found before there is a folder. On SIGINT and SIGTERM the
    run is saved and `Interrupted` is raised.
    """
    reporter = reporter or Silent()
    chosen = choose_device(device)
    require_precision(config, chosen)
    require_shares(config, chosen, world_size())
    require_extractor(config)
    path = Path(out) if out is not None else default_run_path(Path("runs"), config.preset or "run")
    require_new(path)
    pack = open_pictures(config, reporter)
    config = resolved(config, pack)
    followed = followed_pictures(config, pack)
    for note in [*without_effect(config), *label_notes(pack, config.data)]:
        reporter.say(f"note: {note}")
    with out_of_memory_explained(), ranks(chosen.type) as here:
        stock = LabelStock.of(pack, config)
        session = Session(config, RunFolder(path), pack, chosen, here, reporter, hooks, stock, followed)
        state = initial_state(config, chosen, reporter)
        if here.is_first:
            RunFolder.create(path, dump_yaml(config))
        here.barrier()
        with _at_work(session):
            return _carry_on(session, state, restored=None)


def resume(
    run: str | Path,
    overrides: Mapping[str, Any] | None = None,
    *,
    device: str = "auto",
    allow_data_change: bool = False,
    reporter: Reporter | None = None,
    hooks: Sequence[Hook] = (),
) -> Run:
    """Go on with a run from its newest sound checkpoint, to the same end as if it had never stopped.

    `overrides` (nested, as in a config file) may change how far the run goes and how it is watched; see
    `requirements.CHANGEABLE`. Raises `CheckpointError` when the checkpoint belongs to another config, `DataError` when
    the pictures have changed and `allow_data_change` is not given.
    """
    reporter = reporter or Silent()
    folder = RunFolder.open(Path(run))
    saved = validate(read_yaml(folder.config_path))
    wanted = validate(merge(saved.model_dump(), overrides or {}))
    require_changeable(saved, wanted, folder, ConfigError, "These settings cannot be changed on resume.")
    chosen = choose_device(device)
    require_precision(wanted, chosen)
    require_shares(wanted, chosen, world_size())
    require_extractor(wanted)
    pack = open_pictures(wanted, reporter)
    config = resolved(wanted, pack)
    require_same_pictures(folder, pack, config, allow_data_change, reporter)
    followed = followed_pictures(config, pack)
    with out_of_memory_explained(), ranks(chosen.type) as here:
        stock = LabelStock.of(pack, config)
        session = Session(config, folder, pack, chosen, here, reporter, hooks, stock, followed)
        with _at_work(session):
            restored = _newest(session)
            state = build_state(config, chosen) if restored else initial_state(config, chosen, reporter)
            _restore(session, state, restored)
            return _carry_on(session, state, restored)


def _newest(session: Session) -> Checkpoint | None:
    """The newest sound checkpoint; None when nothing was ever saved."""
    folder = session.folder
    return checkpoint.load(folder.checkpoints_path, run_id=read_environment(folder).get("run_id"))


def _restore(session: Session, state: TrainState, restored: Checkpoint | None) -> None:
    """Bring `state` to a checkpoint, if there is one."""
    config, folder, reporter = session.config, session.folder, session.reporter
    if restored is not None:
        for problem in restored.problems:
            reporter.say(f"damaged, so the one before is used: {problem}")
        trained = validate(restored.meta["config"])
        require_changeable(trained, config, folder, CheckpointError, "The checkpoint belongs to another config.")
        require_length(config, trained, restored.images_seen)
        _note_extension(trained, config, reporter)
        state.load(restored.members, restored.images_seen)
    state.course.rollbacks = max(state.course.rollbacks, counted_rollbacks(folder, state.images_seen))
    reporter.say(f"resuming {folder.path} after {state.images_seen:,} images")


@contextmanager
def _at_work(session: Session) -> Iterator[None]:
    """Hold the run alone, note in its log.txt what happens, and leave out what an interrupted process left."""
    if not session.ranks.is_first:
        yield
        return
    with session.folder.lock(), log_file(session.folder):
        session.folder.sweep()
        yield


def _carry_on(session: Session, state: TrainState, restored: Checkpoint | None) -> Run:
    """Train from the state's moment to the end, save, and leave the run's pictures and report."""
    config, folder, here = session.config, session.folder, session.ranks
    set_determinism(config, session.device)
    with stop_on_signals() as stop:
        feed = Feed(
            session.pack,
            size=config.data.size,
            seed=config.seed,
            flip=config.data.flip,
            random_crop=config.data.crop == "random",
            labels=label_vectors(session.pack, config.data),
            balance=config.data.balance,
            device=session.device,
        )
        outcome = train_on(session, state, feed, stop, restored, _held_out_feed(session))
        if here.is_first and not outcome.signal_number:
            session.reporter.say("drawing the pictures and the report")
            finish(session, state)
        here.barrier()
    if outcome.signal_number:
        raise Interrupted(
            outcome.signal_number,
            f"Stopped by {signal.Signals(outcome.signal_number).name} after {state.images_seen:,} images; "
            "everything is saved.",
            hint=f"ganlet resume {shlex.quote(str(folder.path))}",
        )
    return Run(folder.path)


def _held_out_feed(session: Session) -> Feed | None:
    """Pictures that training does not show, where the strength of the augmentation follows them."""
    config, unseen = session.config, session.followed
    if unseen is None:
        return None
    return Feed(
        unseen,
        size=config.data.size,
        seed=config.seed,
        labels=label_vectors(unseen, config.data),
        device=session.device,
    )


def _note_extension(trained: RunConfig, config: RunConfig, reporter: Reporter) -> None:
    """Say so where another length changes what came before: what spans the whole run."""
    if "train.total_images" not in differences(trained, config):
        return
    for side, settings in (("generator", config.generator), ("discriminator", config.discriminator)):
        kind = settings.optimizer.schedule.kind
        if kind in ("cosine", "linear"):
            reporter.say(f"note: the {side}'s {kind} schedule now spans the new length, so its rate jumps here")
    if config.objective.instance_noise.sigma > 0 and config.objective.instance_noise.until is None:
        reporter.say("note: the instance noise now fades over the new length, so its level jumps here")
    if config.objective.top_k.share < 1 and config.objective.top_k.until is None:
        reporter.say(
            "note: the share that the generator learns from now falls over half the new length, so it jumps here"
        )
