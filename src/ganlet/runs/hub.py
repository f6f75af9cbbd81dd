"""Generators that others have put on the hub, opened by name: hf:OWNER/NAME[@REVISION].

Of a repository only generator.safetensors is fetched, at a commit, into the hub's own cache; it is read strictly and
its own hash is checked. Nothing else in there is ever looked into, and a pickle is never loaded.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
from pathlib import Path

from ganlet.errors import EnvironmentProblem, RunError
from ganlet.hub import SHOWN, HubName, NoAnswer, hub_library, hub_problems, is_hub_name, is_offline
from ganlet.paths import given, printable
from ganlet.runs.folder import GENERATOR, is_run

logger = logging.getLogger(__name__)

PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy")
COMMIT = re.compile(r"[0-9a-f]{40}")
TIMEOUT = 20  # seconds to wait for the list of files


def given_run(run: str | os.PathLike[str], where: str | None = None) -> Path:
    """The path that stands for a run: its folder, its zip, or a generator file, which may lie on the hub.

    A folder that is no run and has a generator.safetensors, such as what is pushed to the hub, stands for that file.
    Raises what `paths.given` and `fetch` do.
    """
    if is_hub_name(run):
        return fetch(HubName.of(str(run), where))
    path = given(run, where)
    inside = path / GENERATOR
    return inside if path.is_dir() and not is_run(path) and inside.is_file() else path


def place_beside(run: str | os.PathLike[str]) -> Path:
    """The folder where goes what is made of a run: the run's, or the one around its file.

    What is on the hub has its file in a cache, so it is the current folder.
    """
    if is_hub_name(run):
        return Path()
    path = given_run(run)
    return path.parent if path.is_file() else path


def stem_of(run: str | os.PathLike[str], path: Path) -> str:
    """What things made of a generator file at `path` are called after."""
    return HubName.of(str(run)).last if is_hub_name(run) else path.stem


def pinned(run: str | os.PathLike[str], path: Path) -> str:
    """The name on the hub with the commit that `path` was fetched at."""
    return str(HubName.of(str(run))._replace(revision=path.parent.name))


def fetch(name: HubName) -> Path:
    """The generator.safetensors of a repository on the hub, in the hub's cache, once it is known to be sound.

    Where the hub does not answer, what was fetched before serves. Raises RunError where there is no such repository or
    no such file in it, or the file is damaged, no safetensors, or of a newer ganlet; EnvironmentProblem without
    huggingface_hub, network, or permission.
    """
    api = hub_library().HfApi()
    try:
        if is_offline():
            raise NoAnswer("The hub is not to be asked (HF_HUB_OFFLINE).")
        if name.revision and COMMIT.fullmatch(name.revision) and (known := _known(name)):
            return _sound(name, known)  # a commit stays what it is
        with hub_problems(name, "model", RunError):
            info = api.model_info(name.repo, revision=name.revision, timeout=TIMEOUT)
            _require_generator(name, [one.rfilename for one in info.siblings or ()])
            # By the name of the revision, and not by the commit found: so the cache knows it by that name, too.
            path = Path(api.hf_hub_download(name.repo, GENERATOR, revision=name.revision))
    except NoAnswer as problem:
        path = _cached(name, problem)
    return _sound(name, path)


def _require_generator(name: HubName, files: list[str]) -> None:
    """Raise RunError, naming what is there instead, unless there is a generator."""
    if GENERATOR in files:
        return
    pickles = [file for file in files if file.lower().endswith(PICKLES)]
    others = [file for file in files if file.lower().endswith((".safetensors", ".onnx"))]
    why = ": only pickles, which could run anything and are never loaded" if pickles and not others else ""
    raise RunError(
        f"There is no generator of ganlet in this repository{why}.",
        where=str(name),
        got=", ".join(map(printable, (pickles + others or files)[:5])) or "no files",
        expected=f"{GENERATOR}, as `ganlet push` puts it there",
    )


def _cached(name: HubName, problem: NoAnswer) -> Path:
    """What was fetched before. Raises EnvironmentProblem where nothing was."""
    path = _known(name)
    if path is None:
        raise EnvironmentProblem(
            problem.what.removesuffix(".") + ", and nothing was fetched from there before.",
            where=str(name),
            got=problem.got,
            hint=problem.hint or "unset HF_HUB_OFFLINE",
        ) from problem
    logger.warning("%s %s is opened as it was fetched before: %s", problem.what, name, path.parent.name[:SHOWN])
    return path


def _known(name: HubName) -> Path | None:
    """The file in the hub's cache, if it is there."""
    found = hub_library().try_to_load_from_cache(name.repo, GENERATOR, revision=name.revision)
    return Path(found) if isinstance(found, str) else None


def _sound(name: HubName, path: Path) -> Path:
    """The path, unless what is there cannot be loaded: then RunError, in the name on the hub."""
    from ganlet.runs.weights import DAMAGED, load_generator_file

    try:
        load_generator_file(path)
    except RunError as error:
        hint = error.hint
        if error.what == DAMAGED:
            hint = f"if it is the copy here that was damaged, remove it: rm {shlex.quote(str(path.resolve()))}"
        where = f"{name}, {GENERATOR}"
        raise RunError(error.what, where=where, got=error.got, expected=error.expected, hint=hint) from error
    return path
