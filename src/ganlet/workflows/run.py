"""A run as a library user holds it."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganlet.config import RunConfig, read_run_config
from ganlet.hub import is_hub_name
from ganlet.paths import given
from ganlet.runs.folder import GENERATOR, RunFolder, is_run
from ganlet.runs.history import read_history
from ganlet.runs.hub import given_run, pinned

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ganlet.games import Game
    from ganlet.health.findings import Diagnosis
    from ganlet.workflows.evaluating import Evaluation
    from ganlet.workflows.generators import Networks
    from ganlet.workflows.lab.lab import Lab


class Run:
    """One run, in a folder or a zip: its config, its history, its networks, and new pictures from its generator.

    Of a run on the hub there is the generator with its config, and no more. It stands wherever a path of a run does.

    Attributes:
        game: of a run whose networks are not described by its config; see `open_run`.
    """

    def __init__(self, path: str | os.PathLike[str], *, game: Game | None = None) -> None:
        at = given_run(path)
        # A generator, and no more of its run.
        alone = is_hub_name(path) or (at.name == GENERATOR and at.parent == given(path))
        self.folder = RunFolder(at.parent) if alone else RunFolder.open(path)
        # What is on the hub may change under its name, and this stays what it is.
        self._named = pinned(path, at) if is_hub_name(path) else self.folder.path
        self.game = game

    def __repr__(self) -> str:
        return f"Run({str(self._named)!r})"

    def __fspath__(self) -> str:
        return os.fspath(self._named)

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path

    @cached_property
    def config(self) -> RunConfig:
        """The resolved config."""
        if is_run(self.path):
            return read_run_config(self.folder.config_path)
        from ganlet.runs.weights import load_generator_file
        from ganlet.workflows.generators import drawing_config

        return drawing_config(load_generator_file(self.folder.generator_path)[1]["config"])

    @property
    def history(self) -> list[dict[str, Any]]:
        """The log rows, each a dict with `images_seen`, events left out; `pandas.DataFrame(run.history)` takes them."""
        return [row for row in read_history(self.folder.metrics_path) if "event" not in row]

    @property
    def generator(self) -> nn.Module:
        """The generator that the run ended with, in evaluation mode on the CPU: that of generator.safetensors."""
        from ganlet.workflows.generators import open_generator

        return open_generator(self.folder, None, _cpu(), game=self.game).generator

    @property
    def discriminator(self) -> nn.Module:
        """The discriminator of the latest checkpoint, in evaluation mode on the CPU."""
        return self.load("latest").discriminator

    def load(self, checkpoint: str | int = "latest", *, ema: bool = True) -> Networks:
        """All networks of the checkpoint best, latest, or of a number of images seen: attributes by name.

        `ema`: averaged weights where there are any, as pictures are drawn with.
        """
        from ganlet.workflows.generators import open_networks

        return open_networks(self.folder, checkpoint, _cpu(), ema=ema, game=self.game)

    def zip(self, path: str | os.PathLike[str] | None = None, *, checkpoints: str = "latest") -> Path:
        """Write it as one file that other machines open and go on with; see `workflows.archiving.zip_run`."""
        from ganlet.workflows.archiving import zip_run

        return zip_run(self._named, path, checkpoints=checkpoints).path

    def diagnose(self) -> Diagnosis:
        """What is wrong with it, since when, and what to try first; for a run still in training: so far."""
        from ganlet.workflows.diagnosing import diagnose

        return diagnose(self._named)

    def evaluate(self, num: int = 10_000, **settings: Any) -> Evaluation:
        """How good its generator is, by `num` pictures; `settings` are those of `ganlet.evaluate`."""
        from ganlet.workflows.evaluating import evaluate

        return evaluate(self._named, num, game=self.game, **settings)

    def lab(self, **settings: Any) -> Lab:
        """Its generator in the latent lab: walks, edits, mixtures and looks inside; `settings` are `Lab.open`'s."""
        from ganlet.workflows.lab.lab import Lab

        return Lab.open(self._named, game=self.game, **settings)

    def sample(self, num: int = 16, *, seed: int = 0, **settings: Any) -> np.ndarray:
        """`num` new pictures: uint8 (num, H, W, C); `settings` are those of `ganlet.sample`, `latents` among them."""
        from ganlet.workflows.sampling import sample

        return sample(self._named, num, seed=seed, game=self.game, **settings)


def open_run(
    path: str | os.PathLike[str],
    *,
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
    game: type[Game] | None = None,
) -> Run:
    """The run in a folder, in its zip, or on the hub ("hf:OWNER/NAME"), with what was handed to `train` as objects.

    Raises `RunError` when there is none.
    """
    run = Run(path)
    if (generator, discriminator, game) != (None, None, None):
        from ganlet.workflows.given import Given

        run.game = Given(generator, discriminator, game).game(run.config)
    return run


def _cpu() -> torch.device:
    import torch

    return torch.device("cpu")
