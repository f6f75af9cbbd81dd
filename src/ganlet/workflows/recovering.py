"""Training to the end, and going back to an earlier moment where the config says so and something went wrong.

A run goes back as it resumes: what remembers anything is made anew from what is on disk. The row of a rollback in
metrics.jsonl, written when all that comes after its target is gone, is what makes it happen: a kill before that row
leaves an earlier end of the run that went wrong, which goes wrong again in the same way, and a kill after it leaves a
run that has gone back. What the row says is counted into the state, for the target's checkpoint cannot know it.
"""

from __future__ import annotations

import logging
from contextlib import ExitStack

from ganlet.config import RunConfig
from ganlet.data.feed import Feed
from ganlet.engine.loop import Outcome, run_loop
from ganlet.engine.schedule import images, iteration_images
from ganlet.engine.signals import StopRequest
from ganlet.engine.state import TrainState
from ganlet.errors import TrainingError
from ganlet.runs import checkpoint
from ganlet.runs.checkpoint import Checkpoint
from ganlet.runs.files import explained
from ganlet.runs.folder import RunFolder
from ganlet.runs.history import ROLLBACK, History, read_history
from ganlet.runs.manifest import directory_name
from ganlet.runs.pictures import sample_moments
from ganlet.workflows.judging import Track
from ganlet.workflows.measuring import Patience
from ganlet.workflows.reporting import Silent
from ganlet.workflows.session import Session
from ganlet.workflows.transferring import initial_state
from ganlet.workflows.watching import Watchers, begin_session, watch

logger = logging.getLogger(__name__)


def train_on(
    session: Session,
    state: TrainState,
    feed: Feed,
    stop: StopRequest,
    restored: Checkpoint | None,
    held_out: Feed | None = None,
) -> Outcome:
    """Train `state` from its moment until the run ends, and save it.

    Where `health.action` is rollback, numbers that are not finite and a hook's wish take the run back, at most
    `health.max_rollbacks` times in all. Raises `TrainingError` after that, or at once where the action is another one.
    """
    run_id = begin_session(session, restored) if session.ranks.is_first else None
    seam = True
    while True:
        with ExitStack() as stack:
            watchers = watch(stack, session, state, run_id, restored, seam) if run_id else None
            ended = _loop(session, state, feed, stop, watchers, held_out)
            if isinstance(ended, Outcome):
                if watchers:
                    _leave(session, state, watchers, ended)
                return ended
            if not _may_go_back(session.config, state):
                if watchers:
                    watchers.history.mark_failure(state.images_seen + iteration_images(session.config), ended.what)
                raise _exhausted(state, ended) if state.course.rollbacks else ended
        restored, seam = _go_back(session, state, ended.what, run_id), False


def counted_rollbacks(folder: RunFolder, images_seen: int) -> int:
    """How often a run has gone back, by the rows that count at a moment."""
    rows = [row for row in read_history(folder.metrics_path) if row["images_seen"] <= images_seen]
    return max((row["rollbacks"] for row in rows if row.get("event") == ROLLBACK), default=0)


def _loop(
    session: Session,
    state: TrainState,
    feed: Feed,
    stop: StopRequest,
    watchers: Watchers | None,
    held_out: Feed | None,
) -> Outcome | TrainingError:
    """The training loop with all hooks: why it ended, or what went wrong, which a hook may say too.

    There is nothing to do where patience had come to its end before an interruption.
    """
    config, here = session.config, session.ranks
    if state.images_seen < images(config.train.total_images):
        reason = Patience(watchers.measurer).exhausted() if watchers else None
        if here.any(reason is not None):
            return Outcome(finished=False, reason=reason)
    hooks = [*(watchers.hooks if watchers else []), *session.hooks]
    try:
        outcome = run_loop(config, state, feed, hooks, here, stop, watchers.saver if watchers else None, held_out)
    except TrainingError as error:
        return error
    if outcome.rollback and config.health.action == "rollback":
        return TrainingError(outcome.reason or "Another process of this run asked to go back.")
    return outcome


def _may_go_back(config: RunConfig, state: TrainState) -> bool:
    return config.health.action == "rollback" and state.course.rollbacks < config.health.max_rollbacks


def _leave(session: Session, state: TrainState, watchers: Watchers, outcome: Outcome) -> None:
    """Save the last moment, and note why the run ended before its time."""
    watchers.saver.save(state)
    watchers.saver.keep_best(session.reporter)
    if outcome.reason is not None:
        watchers.history.mark_stop(state.images_seen, outcome.reason)
        _tell(session, f"stopped after {state.images_seen:,} images: {outcome.reason}")


def _go_back(session: Session, state: TrainState, reason: str, run_id: str | None) -> Checkpoint | None:
    """Take all ranks back to the best checkpoint, or another one; returns it, or None for the start."""
    folder, here = session.folder, session.ranks
    number, undone_from = state.course.rollbacks + 1, state.images_seen
    to = here.any(_target(folder, undone_from, run_id) if here.is_first else 0)
    restored = checkpoint.load(folder.checkpoints_path, to, run_id) if to else None
    if restored is not None:
        state.load(restored.members, to)
    else:
        state.load(initial_state(session.config, session.device, Silent()).members(), to)
    state.course.rollbacks = number
    if here.is_first:
        _forget_after(folder, to, run_id)
        with History(folder.metrics_path) as history:
            history.mark_rollback(to, undone_from=undone_from, number=number, reason=reason)
        _tell(session, f"rollback {number}, from {undone_from:,} to {to:,} images: {reason}")
    return restored


def _target(folder: RunFolder, before: int, run_id: str | None) -> int:
    """The moment of the best checkpoint, else of the newest sound one before something went wrong, else 0."""
    saved = [moment for moment in checkpoint.moments(folder.checkpoints_path) if moment < before]
    best = Track.of(row for row in read_history(folder.metrics_path) if row["images_seen"] < before).best
    preferred = [best["images_seen"]] if best and best["images_seen"] in saved else []
    for moment in [*preferred, *reversed(saved)]:
        if not checkpoint.verify(folder.checkpoints_path / directory_name(moment), run_id):
            return moment
    return 0


def _forget_after(folder: RunFolder, images_seen: int, run_id: str | None) -> None:
    """Remove what was saved after a moment: it would be taken for the run's end."""
    checkpoint.forget_after(folder.checkpoints_path, images_seen, run_id)
    later = [path for moment, path in sample_moments(folder) if moment > images_seen]
    for path in later if images_seen else [*later, folder.generator_path]:
        with explained(path):
            path.unlink(missing_ok=True)


def _exhausted(state: TrainState, error: TrainingError) -> TrainingError:
    number = state.course.rollbacks
    times = "once" if number == 1 else f"{number} times"
    exhausted = TrainingError(
        f"The run went back {times}, and then it went wrong again: {error.what}",
        where=error.where or f"after {state.images_seen:,} images",
        expected="a run that stays sound at the lower rates after each rollback; its checkpoints are unharmed",
        hint="a new run with lower learning rates or a stronger r1 penalty, or allow more: --set health.max_rollbacks",
    )
    exhausted.__cause__ = error
    return exhausted


def _tell(session: Session, text: str) -> None:
    session.reporter.say(text)
    logger.info(text)
