"""The trained generator of a run: the one it ended with, or that of a checkpoint."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from ganlet.config import RunConfig, validate
from ganlet.errors import ConfigError, RunError
from ganlet.networks import Generator, build_generator
from ganlet.runs import checkpoint
from ganlet.runs.folder import RunFolder
from ganlet.runs.weights import Tensors, load_generator_file
from ganlet.workflows.records import read_environment


@dataclass(frozen=True, eq=False)
class Trained:
    """A generator on its device, in evaluation mode, with its config and the moment it is of."""

    generator: Generator
    config: RunConfig
    images_seen: int

    @property
    def weights(self) -> Literal["ema", "raw"]:
        """Averaged weights, or those of the moment."""
        return self.config.evaluate.weights


def open_generator(folder: RunFolder, which: str | int | None, device: torch.device) -> Trained:
    """The generator in generator.safetensors, or that of the checkpoint best, latest, or of a number of images seen.

    Of a checkpoint, too, it is the averaged one unless the config wants the momentary one. Raises RunError or
    CheckpointError where there is none or it is damaged, ConfigError where `which` means nothing.
    """
    if which is None:
        path = folder.generator_path
        if not path.exists():
            raise RunError(
                "This run has no generator yet: nothing was saved so far.",
                where=folder.path,
                hint=f"ganlet resume {shlex.quote(str(folder.path))}",
            )
        tensors, metadata = load_generator_file(path)
        return _built(validate(metadata["config"]), tensors, path, int(metadata.get("images_seen") or 0), device)
    saved = checkpoint.load(folder.checkpoints_path, _moment(folder, which), read_environment(folder).get("run_id"))
    assert saved is not None  # a moment was asked for
    config = validate(saved.meta["config"])
    tensors = saved.members["average" if config.evaluate.weights == "ema" else "generator"]
    return _built(config, tensors, saved.path, saved.images_seen, device)


def _moment(folder: RunFolder, which: str | int) -> int:
    """The images seen of the checkpoint that is meant."""
    known = ", ".join(map(str, checkpoint.moments(folder.checkpoints_path))) or "none"
    pointers: dict[str | int, checkpoint.Pointer] = {"best": "best", "latest": "latest"}
    if which in pointers:
        moment = checkpoint.read_pointer(folder.checkpoints_path, pointers[which])
        if moment is None:
            raise RunError(f"This run has no {which} checkpoint yet.", where=folder.path, expected=f"one of: {known}")
        return moment
    try:
        return int(which)
    except ValueError:
        raise ConfigError(
            "There is no such checkpoint.",
            where="--checkpoint",
            got=which,
            expected=f"best, latest, or one of: {known}",
        ) from None


def _built(config: RunConfig, tensors: Tensors, where: Path, images_seen: int, device: torch.device) -> Trained:
    generator = build_generator(config)
    try:
        generator.load_state_dict(tensors)
    except RuntimeError as error:
        raise RunError("The weights do not fit the config beside them.", where=where, got=str(error)) from None
    return Trained(generator.to(device).eval(), config, images_seen)
