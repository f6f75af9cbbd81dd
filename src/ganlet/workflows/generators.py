"""The trained generator of a run: the one it ended with, or that of a checkpoint."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from ganlet.config import RunConfig, validate
from ganlet.config.tree import Tree
from ganlet.engine.schedule import growth
from ganlet.engine.state import average_member
from ganlet.errors import ConfigError, RunError
from ganlet.networks import Generator, build_generator
from ganlet.runs import checkpoint
from ganlet.runs.folder import RunFolder
from ganlet.runs.weights import Tensors, load_generator_file
from ganlet.workflows.labels import LabelStock
from ganlet.workflows.records import read_environment


@dataclass(frozen=True, eq=False)
class Trained:
    """A generator on its device, in evaluation mode, with its config and the moment it is of."""

    generator: Generator
    config: RunConfig
    images_seen: int
    labels: LabelStock | None = None  # as its training pictures have them, where it was trained with labels

    @property
    def weights(self) -> Literal["ema", "raw"]:
        """Averaged weights, or those of the moment."""
        return self.config.evaluate.weights


def open_generator(
    folder: RunFolder, which: str | int | None, device: torch.device, average: int | None = None
) -> Trained:
    """The generator in generator.safetensors, or that of the checkpoint best, latest, or of a number of images seen.

    Of a checkpoint, too, it is the averaged one unless the config wants the momentary one. `average` is the half-life
    of one of the further averages; they are in checkpoints only, by default in the latest. Raises RunError or
    CheckpointError where there is none or it is damaged, ConfigError where `which` or `average` means nothing.
    """
    environment = read_environment(folder)
    if which is None and average is not None:
        which = "latest"
    if which is None:
        path = folder.generator_path
        if not path.exists():
            raise RunError(
                "This run has no generator yet: nothing was saved so far.",
                where=folder.path,
                hint=f"ganlet resume {shlex.quote(str(folder.path))}",
            )
        tensors, metadata = load_generator_file(path)
        images_seen = int(metadata.get("images_seen") or 0)
        return _built(validate(metadata["config"]), tensors, path, images_seen, environment, device)
    saved = checkpoint.load(folder.checkpoints_path, _moment(folder, which), environment.get("run_id"))
    assert saved is not None  # a moment was asked for
    config = validate(saved.meta["config"])
    tensors = saved.members[_member(config, average)]
    return _built(config, tensors, saved.path, saved.images_seen, environment, device)


def _member(config: RunConfig, average: int | None) -> str:
    """The member of a checkpoint that is drawn with."""
    known = config.generator.ema.more_half_lives
    if average is None:
        return "average" if config.evaluate.weights == "ema" else "generator"
    if average not in known:
        raise ConfigError(
            "There is no average of that half-life.",
            where="--average",
            got=average,
            expected=", ".join(map(str, known)) or "a run with generator.ema.more_half_lives",
        )
    return average_member(average)


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


def _built(
    config: RunConfig, tensors: Tensors, where: Path, images_seen: int, environment: Tree, device: torch.device
) -> Trained:
    generator = build_generator(config)
    try:
        generator.load_state_dict(tensors)
    except RuntimeError as error:
        raise RunError("The weights do not fit the config beside them.", where=where, got=str(error)) from None
    generator.set_stage(*growth(config, generator.num_stages, images_seen))
    labels = LabelStock.from_sets(environment.get("labels"), config.data.num_labels)
    return Trained(generator.to(device).eval(), config, images_seen, labels)
