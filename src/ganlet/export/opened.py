"""The network of a run that is to be exported, and what it is asked to see whether a file does the same."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ganlet.config import RunConfig
from ganlet.errors import ConfigError, RunError
from ganlet.games import Game
from ganlet.networks.latents import Latents, sample_latents
from ganlet.networks.minibatch import BatchStatistics
from ganlet.paths import as_text
from ganlet.randomness import draw
from ganlet.runs.archive import is_generator_file
from ganlet.runs.certificate import Maker, weights_hash
from ganlet.runs.folder import RunFolder
from ganlet.workflows.generators import (
    Trained,
    game_of,
    open_generator,
    open_generator_file,
    open_networks,
)
from ganlet.workflows.labels import LabelSampler
from ganlet.workflows.records import read_environment

NETWORKS = ("generator", "discriminator")
SEED = 0
NOISE = 0.1  # added to generated pictures for a discriminator, which else says nearly the same of all
TRUNCATIONS = {1: 1.0, 2: 0.7}  # of styles, by the size of the batch; else 0.5


@dataclass(frozen=True, eq=False)
class Opened:
    """A network of a run, on the CPU in evaluation mode.

    Attributes:
        name: generator or discriminator.
        trained: the generator, whose pictures a discriminator is asked about.
        network: the one that is meant.
        maker: whose weights they are.
    """

    name: str
    trained: Trained
    network: Any
    maker: Maker

    @property
    def config(self) -> RunConfig:
        return self.trained.config

    @property
    def looks_at_batch(self) -> bool:
        """Whether what it says of an image depends on the other images of the batch."""
        parts = self.network.modules()
        return any(isinstance(part, BatchStatistics) and part.extra_features for part in parts)


def path_and_game(run: str | os.PathLike[str], game: Game | type[Game] | None) -> tuple[str, Game | type[Game] | None]:
    """The path of a run, and its game: that of a `Run` that was opened with networks of the caller's own."""
    return as_text(run), getattr(run, "game", None) if game is None else game


def open_network(
    source: Path, name: str, checkpoint: str | int | None = None, game: Game | type[Game] | None = None
) -> Opened:
    """A network of a run's folder, or of a generator.safetensors. Raises `ConfigError` or `RunError`."""
    cpu = torch.device("cpu")
    if is_generator_file(source):
        if checkpoint is not None:
            raise ConfigError("A file holds one generator; others are in checkpoints of its run.", where=source)
        if name != "generator":
            raise RunError(
                "There is no discriminator in the file of a generator.",
                where=source,
                expected="the folder of a run, whose checkpoints have both networks",
            )
        trained = open_generator_file(source, cpu, game)
        return Opened(name, trained, trained.generator, trained.maker)
    folder = RunFolder.open(source)
    if name == "generator":
        trained = open_generator(folder, checkpoint, cpu, game=game)
        return Opened(name, trained, trained.generator, trained.maker)
    which = "latest" if checkpoint is None else checkpoint
    trained = open_generator(folder, which, cpu, game=game)
    judges = game_of(trained.config, read_environment(folder), folder.path, game).judges
    if judges is None:
        raise ConfigError("The game of this run has no network that judges pictures.", where="--network discriminator")
    networks = open_networks(folder, which, cpu, game=game)
    network: nn.Module = networks[judges]
    maker = Maker(trained.maker.run, weights_hash(network), networks.images_seen)
    return Opened(name, trained, network, maker)


@torch.inference_mode()
def cases(opened: Opened, batch: int, seed: int = SEED) -> tuple[Mapping[str, np.ndarray], np.ndarray]:
    """Inputs by name, as many as `batch`, and what PyTorch makes of them."""
    inputs, truncation = _generator_inputs(opened.trained, batch, seed)
    images = opened.trained.generator(*inputs.values(), **truncation)
    if opened.name == "generator":
        given = inputs | {name: torch.full((batch,), value) for name, value in truncation.items()}
        return _arrays(given), images.numpy()
    noise = draw("normal", seed, "export", batch, tuple(images.shape))
    given = {"images": (images + NOISE * noise).clamp(-1.0, 1.0)}
    given |= {name: tensor for name, tensor in inputs.items() if name == "labels"}
    return _arrays(given), opened.network(*given.values()).numpy()


@torch.inference_mode()
def rounding(opened: Opened, batches: Iterable[int]) -> float:
    """How far PyTorch's own images are from those that it computes in float64, at most; 0 where it cannot."""
    furthest = 0.0
    for batch in batches:
        inputs, truncation = _generator_inputs(opened.trained, batch, SEED)
        exact = copy.deepcopy(opened.network).double()
        try:
            images = exact(*(tensor.double() for tensor in inputs.values()), **truncation)
        except RuntimeError:  # somebody's own network, which insists on float32
            return 0.0
        furthest = max(furthest, float((images - opened.network(*inputs.values(), **truncation)).abs().max()))
    return furthest


def _generator_inputs(trained: Trained, batch: int, seed: int) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Latents, and labels where there are some; and the truncation, where there are styles."""
    latents = sample_latents(trained.generator.latents, batch, seed + batch)
    has_styles = getattr(trained.generator, "has_styles", False)
    inputs = {"latents": _mixed(latents, trained.generator.latents) if has_styles else latents}
    if sampler := trained.labels or LabelSampler.from_sets(None, trained.config.data.num_labels):
        inputs["labels"] = sampler.draw(batch, seed)
    return inputs, {"truncation": TRUNCATIONS.get(batch, 0.5)} if has_styles else {}


def _mixed(latents: torch.Tensor, asked: Latents) -> torch.Tensor:
    """Latents (N, levels, size): in the upper half of the levels those of the next picture."""
    repeated = latents[:, None].repeat(1, asked.levels, 1)
    half = asked.levels // 2
    repeated[:, half:] = repeated[:, half:].roll(1, dims=0)
    return repeated


def _arrays(inputs: Mapping[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.contiguous().numpy() for name, tensor in inputs.items()}
