"""The folder of a run: where everything lies, making a new one, opening one that is there."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any

from ganlet import paths
from ganlet.caller import is_command_line
from ganlet.data.cache_contents import source_of_run
from ganlet.errors import EnvironmentProblem, RunError, nearest
from ganlet.hub import is_hub_name
from ganlet.paths import given, printable
from ganlet.runs.files import TEMPORARY, free_name, fsync_directory, os_errors_explained, sweep, write_atomic
from ganlet.runs.lock import HOLDER, LOCK, run_lock
from ganlet.runs.plain_json import read_json

CONFIG, GENERATOR = "config.yaml", "generator.safetensors"


class RunFolder:
    """The paths of one run. `create` makes a new run and `open` finds one; the constructor only names the paths."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_path = path / CONFIG
        self.environment_path = path / "environment.json"
        self.metrics_path = path / "metrics.jsonl"
        self.evaluations_path = path / "evaluations.jsonl"
        self.tensorboard_path = path / "tensorboard"
        self.samples_path = path / "samples"
        self.neighbours_path = path / "samples" / "neighbours.png"
        self.checkpoints_path = path / "checkpoints"
        self.generator_path = path / GENERATOR
        self.report_path = path / "report.html"
        self.log_path = path / "log.txt"

    def __repr__(self) -> str:
        return f"RunFolder({str(self.path)!r})"

    @classmethod
    def create(cls, path: Path, config_text: str) -> RunFolder:
        """Make the folder of a new run with its config.yaml.

        Raises RunError when there is something in it already, EnvironmentProblem when it cannot be written to and
        ResourceProblem on a full disk: before any model is built.
        """
        run = cls(path)
        with os_errors_explained(path):
            require_new(path)
            path.mkdir(parents=True, exist_ok=True)
            # Two processes may have found the same empty folder: under the lock only the first still does.
            with run.lock():
                require_new(path)
                run.samples_path.mkdir(exist_ok=True)
                run.checkpoints_path.mkdir(exist_ok=True)
                fsync_directory(path.parent)
                # What makes the folder a run comes last; until then it still counts as empty.
                write_atomic(run.config_path, config_text.encode())
        return run

    @classmethod
    def create_next(cls, path: Path, config_text: str) -> RunFolder:
        """Make a new run in the first of `path`, path-2, path-3 ... that nobody has, whoever else is doing the same."""
        while True:
            free = free_name(path)
            try:
                with os_errors_explained(free):
                    free.parent.mkdir(parents=True, exist_ok=True)
                    try:
                        free.mkdir()  # of several processes one succeeds: that decides whose it is
                    except FileExistsError:
                        continue
                return cls.create(free, config_text)
            except RunError:  # another process has taken the empty folder by its name
                continue

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> RunFolder:
        """The run at `path`, as a person gives it: a folder, or a file that `ganlet zip` wrote, see `sealed`.

        Raises RunError when that is not a run, naming the nearest one that is, and ConfigError when it is no path.
        """
        if is_hub_name(path):
            hint = f"draw with it: ganlet sample {shlex.quote(str(path))}"
            raise RunError("On the hub there are generators, and this needs the folder of a run.", where=str(path),
                           hint=hint)  # fmt: skip
        path = given(path)
        if path.is_file():
            from ganlet.runs.archive import is_archive
            from ganlet.runs.archive_reading import opened_run

            if is_archive(path):
                return cls(opened_run(path))
        try:
            (path / CONFIG).stat()
        except PermissionError as error:
            hint = "ask its owner for the permission to read it"
            raise EnvironmentProblem("The run may not be read.", where=path, got=error.strerror, hint=hint) from None
        except OSError:
            pass
        if is_run(path):
            return cls(path)
        what = "There is no run here."
        if path.is_dir():
            what = f"This folder is not a run: it has no {CONFIG}."
        elif path.is_file():
            what = "This is a file, and a run is a folder or a zip."
        siblings = {run.name: run for run in _runs_in(path.parent)}
        close = nearest(path.name, siblings)
        if os.path.isfile(path / GENERATOR):
            hint = f"draw with the generator in it: ganlet sample {shlex.quote(str(path / GENERATOR))}"
        elif inside := _runs_in(path):
            hint = f"choose one of the {len(inside)} runs in it, such as {shlex.quote(str(inside[0]))}"
        elif close:
            hint = f"did you mean {shlex.quote(str(siblings[close]))}?"
        else:
            hint = "start a run: ganlet train --out FOLDER"
        raise RunError(what, where=printable(path), expected="a folder that `ganlet train` made", hint=hint)

    @cached_property
    def sealed(self) -> Path | None:
        """The zip that this run was opened from, which is only read; None for a run in a folder of its own."""
        return source_of_run(self.path)

    def require_unsealed(self) -> None:
        """Raise RunError where the run is in a zip, for what would write into it."""
        if self.sealed is not None:
            zipped = shlex.quote(str(self.sealed))
            raise RunError(
                "A run in a zip is only read.",
                where=printable(self.sealed),
                expected="the folder of a run",
                hint=f"unpack it first: ganlet unzip {zipped}",
            )

    def lock(self) -> AbstractContextManager[None]:
        """The lock that a process holds, in a `with` block, as long as it writes to this run."""
        return run_lock(self.path)

    def resume_command(
        self, settings: Mapping[str, object] | None = None, *, shown: Path | None = None, **arguments: bool
    ) -> str:
        """What to type to go on with this run, with settings by dotted path and what else the verb takes.

        Where it was begun with objects from Python it goes on with them only, so it is a call; else a command. `shown`
        is what the folder is called there.
        """
        path, settings = str(shown or self.path), settings or {}
        if not self.given_names and (is_command_line() or not arguments):
            options = [f"--set {shlex.quote(f'{key}={value}')}" for key, value in settings.items()]
            flags = [f"--{name.replace('_', '-')}" for name in arguments]
            return " ".join(["ganlet resume", shlex.quote(path), *options, *flags])
        words = [
            repr(path),
            *([repr(dict(settings))] if settings else []),
            *(f"{name}=..." for name in self.given_names),
        ]
        return f"ganlet.resume({', '.join([*words, *(f'{name}={value}' for name, value in arguments.items())])})"

    @property
    def given_names(self) -> list[str]:
        """The names of what was handed in from Python as objects, by environment.json where that can be read."""
        try:
            environment = read_json(self.environment_path.read_text("utf-8"))
            return list(handed_in(environment))
        except (OSError, ValueError, AttributeError):
            return []

    def sweep(self) -> list[str]:
        """Remove what interrupted writes left anywhere in this run, and name it; call it only under the lock."""
        return [*sweep(self.path), *sweep(self.samples_path), *sweep(self.checkpoints_path)]


def handed_in(environment: Mapping[str, Any]) -> dict[str, str]:
    """What a run was begun with as objects, by name and class, by its environment.json.

    A path to pictures is none, though runs of older versions noted it: the config has it, too.
    """
    given = {str(name): str(kind) for name, kind in (environment.get("given") or {}).items()}
    return {
        name: kind
        for name, kind in given.items()
        if name != "dataset" or kind not in ("str", "PosixPath", "WindowsPath")
    }


def require_makeable(path: Path) -> None:
    """Raise what `create` would raise where the folder of a new run cannot be made, to be told early."""
    with os_errors_explained(path):
        paths.require_makeable(path)


def is_run(path: Path) -> bool:
    """Whether `path` is the folder of a run."""
    return os.path.isfile(path / CONFIG)


def default_run_path(parent: Path, name: str) -> Path:
    """The first of parent/name, parent/name-2, parent/name-3 ... that does not exist yet."""
    return free_name(parent / name)


def require_new(path: Path) -> None:
    """Raise RunError when there is already something at `path`: what `create` asks for, to be asked early."""
    if path.exists() and not path.is_dir():
        raise RunError("A run is a folder, and this is a file.", where=path, hint="choose another name with --out")
    if is_run(path):
        again = f"go on with it: {RunFolder(path).resume_command()}, or choose another folder with --out"
        raise RunError("There is a run in this folder already.", where=path, hint=again)
    names = sorted(entry.name for entry in path.iterdir() if not _is_ours(entry)) if path.exists() else []
    if names:
        raise RunError(
            "A new run needs an empty folder.",
            where=path,
            got=", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else ""),
            hint="choose another one with --out",
        )


def _is_ours(entry: Path) -> bool:
    """Whether `create`, had it been interrupted, could have left this."""
    if entry.name in (LOCK, HOLDER) or entry.name.startswith(TEMPORARY):
        return True
    return entry.name in ("samples", "checkpoints") and entry.is_dir() and not any(entry.iterdir())


def _runs_in(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if is_run(entry))
    except OSError:  # there is no such folder, or it may not be looked into
        return []
