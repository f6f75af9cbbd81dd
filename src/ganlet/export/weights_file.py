"""generator.safetensors to be handed on: weights and config, of the place where it was made nothing."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from ganlet import paths
from ganlet.config import portable_tree, read_yaml
from ganlet.data.settings import UNKNOWN_LICENCE
from ganlet.errors import ConfigError, RunError
from ganlet.export.taken import taken
from ganlet.runs.archive import is_generator_file
from ganlet.runs.files import write_atomic
from ganlet.runs.folder import RunFolder, handed_in
from ganlet.runs.hub import given_run, place_beside, stem_of
from ganlet.runs.weights import generator_bytes, load_generator_file, portable_generator
from ganlet.workflows.generators import no_generator, open_checkpoint, open_generator
from ganlet.workflows.records import read_environment
from ganlet.workflows.reporting import Reporter, Silent

SUFFIXES = [".safetensors"]


def to_safetensors(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    checkpoint: str | int | None = None,
    reporter: Reporter | None = None,
) -> Path:
    """Write the generator of a run as one file, by default NAME.safetensors beside the run, and return its path.

    Equal runs give equal bytes. `checkpoint` is best, latest, or the images seen of one; default: the generator that
    the run came to. Raises `RunError` or `CheckpointError` where there is none, `ConfigError` for a name that is taken.
    """
    reporter, source = reporter or Silent(), given_run(run)
    if is_generator_file(source):
        if checkpoint is not None:
            raise ConfigError("A file holds one generator; others are in checkpoints of its run.", where=source)
        data, beside, name = portable_generator(source), place_beside(run), f"{stem_of(run, source)}-portable"
    else:
        folder = RunFolder.open(source)
        data, beside, name = _of_run(folder, checkpoint), source.absolute().parent, folder.path.absolute().name
    target = beside / f"{name}.safetensors" if out is None else Path(out)
    target = paths.file_to_write(target, "--out", SUFFIXES, "A generator")
    _require_replaceable(target)
    write_atomic(target, data)
    return target


def _require_replaceable(target: Path) -> None:
    """Raise `ConfigError` where there is another file of this name than a generator of ganlet."""
    if target.exists():
        try:
            load_generator_file(target)
        except RunError:
            raise taken(target) from None


def _of_run(folder: RunFolder, checkpoint: str | int | None) -> bytes:
    licence = (read_yaml(folder.config_path).get("data") or {}).get("licence", UNKNOWN_LICENCE)
    if checkpoint is None and folder.generator_path.exists():
        return portable_generator(folder.generator_path, licence)
    if checkpoint is None:
        raise no_generator(folder)
    trained, environment = open_generator(folder, checkpoint, torch.device("cpu")), read_environment(folder)
    tree = portable_tree(open_checkpoint(folder, trained.images_seen).meta["config"])
    tree["data"]["licence"] = licence
    extra = {
        "images_seen": trained.images_seen,
        "data_fingerprint": trained.data_fingerprint,
        **({"labels": environment["labels"]} if environment.get("labels") else {}),
        **({"given": given} if (given := handed_in(environment)) else {}),
    }
    return generator_bytes(trained.generator.state_dict(), tree, extra)
