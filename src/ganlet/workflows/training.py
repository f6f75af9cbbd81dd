"""Training a new run, and resuming one: both end in `_run`."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from ganlet import paths
from ganlet.config import RunConfig, differences, dump_yaml, read_run_config, validate, without_effect
from ganlet.config.tree import merge
from ganlet.data.labels import label_notes
from ganlet.engine.devices import determinism, out_of_memory_explained
from ganlet.engine.distributed import Ranks, ranks
from ganlet.engine.loop import Hook
from ganlet.engine.rehearsal import rehearse
from ganlet.engine.signals import stop_on_signals
from ganlet.engine.state import TrainState, build_state
from ganlet.errors import CheckpointError, ConfigError, DataError, Interrupted, RunError
from ganlet.games import Game
from ganlet.randomness import callers_randomness_kept
from ganlet.runs import checkpoint
from ganlet.runs.checkpoint import Checkpoint
from ganlet.runs.files import going_on_by
from ganlet.runs.folder import RunFolder, require_makeable, require_new
from ganlet.workflows.arguments import require_callables, require_config, require_settings
from ganlet.workflows.configuring import nested
from ganlet.workflows.finishing import redraw
from ganlet.workflows.given import Given
from ganlet.workflows.prepare import prepare
from ganlet.workflows.records import log_file, read_environment
from ganlet.workflows.reporting import Reporter, default_reporter
from ganlet.workflows.requirements import require_changeable, require_length, require_same_pictures
from ganlet.workflows.run import Run
from ganlet.workflows.session import Session, counted_rollbacks, train_to_the_end
from ganlet.workflows.transfer import initial_state


@callers_randomness_kept()
def train(
    config: RunConfig,
    out: str | os.PathLike[str] | None = None,
    *,
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
    game: type[Game] | None = None,
    dataset: Any = None,
    callbacks: Sequence[Hook] = (),
    device: str = "auto",
    reporter: Reporter | None = None,
) -> Run:
    """Train a generator in a new run folder and return the run.

    Args:
        config: may leave things open (`auto`, epochs); the run folder holds what they became.
        out: the folder, which must be new or empty; default: the first free runs/PRESET.
        generator, discriminator: networks of one's own in place of those that the config describes. Copies are trained;
            the results are `run.generator` and `run.discriminator`. A generator is fed what its attribute `latents`
            asks for (see `ganlet.nn.Latents`), by default as `generator.latent_size` and `generator.latents` say.
        game: another job for the networks: a subclass of `ganlet.games.Game`.
        dataset: pictures in place of `data.source`: whatever `ganlet.data.open_images` takes; for games of several
            streams a dict of such by stream, "real" among them. A path is the same as `data.source`.
        callbacks: observers that are shown an `Event` after every iteration and may ask to stop.
        device: auto, cpu, cuda or mps. Under `torchrun` each process trains on its share of every batch.
        reporter: where progress is told; default: in a terminal or notebook as a live line, elsewhere nowhere.

    What is given as an object is noted in the run; to resume it, give it again. The caller's random state is left as
    it was. Raises an error of the `GanletError` family; bad input is found before there is a folder. On signals that
    end a job (`engine.signals`) the run is saved and `Interrupted` is raised; a second Ctrl-C is `KeyboardInterrupt`.
    """
    reporter = reporter or default_reporter()
    require_config(config)
    require_callables("callbacks", callbacks)
    given = Given(generator, discriminator, game, dataset)
    path = paths.given(Path("runs") / (config.preset or "run") if out is None else out, "--out")
    paths.require_text(path, "--out")
    if out is not None:
        require_new(path)
        require_makeable(path)
    config, chosen, packs = prepare(config, given, device, reporter)
    of_pictures = [*packs["real"].summary["notes"], *label_notes(packs["real"], config.data)]
    for note in [*without_effect(config), *of_pictures, *given.notes()]:
        reporter.say(f"note: {note}")
    with out_of_memory_explained(), ranks(chosen.type) as here:
        its_game = given.game(config)
        state = initial_state(config, chosen, reporter, its_game)
        if given.record():
            rehearse(state)
        folder = _new_folder(path, config, here, by_default=out is None)
        session = Session(config, folder, packs, chosen, here, reporter, callbacks, its_game, given.record())
        with _at_work(session):
            return _run(session, state, restored=None)


@callers_randomness_kept()
def resume(
    run: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    *,
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
    game: type[Game] | None = None,
    dataset: Any = None,
    callbacks: Sequence[Hook] = (),
    device: str = "auto",
    allow_data_change: bool = False,
    reporter: Reporter | None = None,
) -> Run:
    """Go on with a run from its newest sound checkpoint, to the same end as if it had never stopped.

    `overrides` (by dotted path, or nested) may change how far the run goes and how it is watched; see
    `requirements.CHANGEABLE`. What was given to `train` as an object must be given again. Raises `CheckpointError`
    when the checkpoint belongs to another config, `RunError` when something that was given is missing, `DataError`
    when the pictures have changed and `allow_data_change` is not given.
    """
    reporter = reporter or default_reporter()
    require_settings("overrides", overrides or {})
    require_callables("callbacks", callbacks)
    folder = RunFolder.open(run)
    folder.require_unsealed()
    paths.require_text(folder.path, "run")
    given = Given(generator, discriminator, game, dataset)
    environment = read_environment(folder)
    given.require_all_of(environment, folder)
    saved = read_run_config(folder.config_path)
    wanted = validate(merge(saved.model_dump(), nested(overrides or {})))
    require_changeable(saved, wanted, folder, ConfigError, "These settings cannot be changed on resume.")
    with _asked_where_they_are(folder):
        config, chosen, packs = prepare(wanted, given, device, reporter)
    require_same_pictures(folder, packs["real"], config, allow_data_change, reporter)
    with out_of_memory_explained(), ranks(chosen.type) as here:
        its_game = given.game(config)
        session = Session(config, folder, packs, chosen, here, reporter, callbacks, its_game, given.record())
        with _at_work(session):
            restored = checkpoint.load(folder.checkpoints_path, run_id=environment.get("run_id"))
            if restored is None:
                _require_nothing_lost(folder)
            state = (
                build_state(config, chosen, session.game)
                if restored
                else initial_state(config, chosen, reporter, session.game)
            )
            _restore(session, state, restored)
            return _run(session, state, restored)


def _new_folder(path: Path, config: RunConfig, here: Ranks, by_default: bool) -> RunFolder:
    """The folder of a new run, made by the first rank; by default the first free one whose name begins like `path`."""
    name = path.name
    if here.is_first:
        create = RunFolder.create_next if by_default else RunFolder.create
        name = create(path, dump_yaml(config)).path.name
    # The others are told the number behind the name, for they cannot tell whose a folder is that is there.
    number = here.any(int(name.removeprefix(path.name).removeprefix("-") or 0))
    return RunFolder(path.with_name(f"{path.name}-{number}") if number else path)


@contextmanager
def _asked_where_they_are(folder: RunFolder) -> Iterator[None]:
    """Within this context an error about a run's pictures says how to go on where they have been moved."""
    try:
        yield
    except DataError as error:
        hint = f"where they are now: {folder.resume_command({'data.source': 'PATH'})}"
        if error.hint and error.hint.startswith("did you mean"):
            hint = f"{error.hint} {hint}"
        raise DataError(error.what, where=error.where, got=error.got, expected=error.expected, hint=hint) from error


def _require_nothing_lost(folder: RunFolder) -> None:
    """Raise `RunError` where a run without checkpoints had some: to begin anew would undo what it has become."""
    if folder.generator_path.exists():
        raise RunError(
            "This run has no checkpoints to go on from, only the generator that it came to.",
            where=folder.path,
            expected="a run with a checkpoint, such as `ganlet zip RUN --checkpoints latest` writes",
        )


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
    state.rollbacks = max(state.rollbacks, counted_rollbacks(folder, state.images_seen))
    reporter.say(f"resuming {folder.path} after {state.images_seen:,} images")


@contextmanager
def _at_work(session: Session) -> Iterator[None]:
    """Hold the run alone, note in its log.txt what happens, and leave out what an interrupted process left."""
    if not session.ranks.is_first:
        yield
        return
    with going_on_by(session.folder.resume_command()), session.folder.lock(), log_file(session.folder):
        session.folder.sweep()
        yield


def _run(session: Session, state: TrainState, restored: Checkpoint | None) -> Run:
    """Train from the state's moment to the end, save, and leave the run's pictures and report."""
    folder, here = session.folder, session.ranks
    with determinism(session.config, session.device), stop_on_signals() as stop:
        ended = train_to_the_end(session, state, stop, restored)
        if here.is_first and not ended.signal_number:
            session.reporter.say("drawing the pictures and the report")
            redraw(folder, state.images_seen, session.game)
        here.barrier()
    if ended.signal_number:
        raise Interrupted(
            ended.signal_number,
            f"Stopped by {signal.Signals(ended.signal_number).name} after {state.images_seen:,} images; "
            "everything is saved.",
            hint=folder.resume_command(),
        )
    return Run(folder.path, game=session.game)


def _note_extension(trained: RunConfig, config: RunConfig, reporter: Reporter) -> None:
    """Say so where another length changes what came before: what spans the whole run."""
    if "train.total_images" not in differences(trained, config):
        return
    for side, settings in (("generator", config.generator), ("discriminator", config.discriminator)):
        schedule = settings.optimizer.schedule
        if schedule.spans_run:
            reporter.say(
                f"note: the {side}'s {schedule.kind} schedule now spans the new length, so its rate jumps here"
            )
    if config.objective.instance_noise.sigma > 0 and config.objective.instance_noise.until is None:
        reporter.say("note: the instance noise now fades over the new length, so its level jumps here")
    if config.objective.top_k.share < 1 and config.objective.top_k.until is None:
        reporter.say(
            "note: the share that the generator learns from now falls over half the new length, so it jumps here"
        )
