"""A run as one file, and back."""

from __future__ import annotations

import os
import shlex
from functools import partial
from pathlib import Path

from ganlet import paths
from ganlet.errors import ConfigError, RunError
from ganlet.paths import printable
from ganlet.runs import archive, archive_reading
from ganlet.runs.archive import SUFFIX, Zipped, is_in_use, run_id_of
from ganlet.runs.folder import RunFolder
from ganlet.workflows.reporting import Reporter, Silent


def zip_run(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    checkpoints: str = "latest",
    reporter: Reporter | None = None,
) -> Zipped:
    """Write a run as one file, by default RUN.zip beside it, that tells nothing of this machine.

    `checkpoints` is none, latest (what is needed to go on) or all. A run in training is written as it is at its newest
    sound checkpoint. Raises `RunError` where nothing was saved so far, `ConfigError` for a name that is taken, else as
    `runs.files.os_errors_explained` does.
    """
    reporter, folder = reporter or Silent(), RunFolder.open(run)
    folder.require_unsealed()
    beside = folder.path.absolute()
    target = beside.with_name(f"{beside.name}{SUFFIX}") if out is None else Path(out)
    target = paths.file_to_write(target, "--out", [SUFFIX], "A run")
    _require_own(target, folder)
    in_use = is_in_use(folder)
    zipped = archive.zip_run(folder, target, checkpoints, partial(_portable_generator, folder))
    if in_use:
        moment = f"after {zipped.checkpoints[-1]:,} images" if zipped.checkpoints else "without checkpoints"
        reporter.say(f"note: the run is in training; the file has it as it was {moment}")
    if checkpoints != "none" and not zipped.checkpoints:
        reporter.say("note: there is no sound checkpoint, so nobody can go on with this run")
    if zipped.left_out:
        reporter.say(f"left out: {', '.join(map(printable, zipped.left_out))}")
    return zipped


def unzip_run(file: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> RunFolder:
    """The run in a zip as a new folder, by default of the file's name beside it. Raises as `archive_reading` does."""
    file = paths.given(file)
    if file.is_dir():
        raise ConfigError("A file is meant here, and this is a folder.", got=printable(file), expected="FILE.zip")
    if not file.exists():
        raise RunError("There is no such file.", where=printable(file), expected="a file that `ganlet zip` wrote")
    if out is None and file.suffix.lower() != SUFFIX:
        hint = f"name the new folder: ganlet unzip {shlex.quote(str(file))} --out FOLDER"
        raise ConfigError("This file does not say how its folder is to be called.", got=printable(file), hint=hint)
    target = file.with_suffix("") if out is None else paths.given(out, "--out")
    paths.require_folder(target.absolute().parent, "--out")
    archive_reading.unzip_run(file, target)
    return RunFolder(target)


def _require_own(target: Path, folder: RunFolder) -> None:
    """Raise `ConfigError` where there is another file of this name than an earlier zip of the same run."""
    if not target.exists():
        return
    try:
        with archive_reading.opened_contents(target) as contents:
            same = contents.get("run_id") == run_id_of(folder) is not None  # two runs without one are no same run
    except RunError:
        same = False
    if not same:
        raise ConfigError(
            "There is another file of this name, which is no zip of this run.",
            where="--out",
            got=printable(target),
            hint="choose another one with --out",
        )


def _portable_generator(folder: RunFolder) -> bytes:
    """generator.safetensors without what older versions wrote into it: where the pictures were."""
    from ganlet.runs.weights import portable_generator

    return portable_generator(folder.generator_path)
