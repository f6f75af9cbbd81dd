"""New pictures from a trained generator."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from functools import wraps
from typing import ParamSpec

import numpy as np
import torch

from ganlet.engine.devices import choose_device
from ganlet.errors import ConfigError
from ganlet.games import Game
from ganlet.games.drawn import BATCH
from ganlet.latent.space import Points, Space
from ganlet.runs.archive import is_generator_file
from ganlet.runs.folder import RunFolder
from ganlet.runs.hub import given_run
from ganlet.workflows.arguments import names_of, require_truncation, require_whole
from ganlet.workflows.drawing import Drawing
from ganlet.workflows.generators import Trained, open_generator, open_generator_file
from ganlet.workflows.labels import named_labels
from ganlet.workflows.reporting import Reporter, Silent

P = ParamSpec("P")
BLOCK = 4 * BATCH  # pictures that are drawn between two words of progress: whole batches, so the bits stay the same
QUIET_SECONDS = 3.0  # drawing that takes no longer is not worth a word


def draw_samples(
    run: str | os.PathLike[str],
    num: int = 16,
    *,
    seed: int = 0,
    labels: str | Iterable[str] = (),
    truncation: float | None = None,
    average: int | None = None,
    latents: np.ndarray | torch.Tensor | None = None,
    checkpoint: str | int | None = None,
    network: str | None = None,
    device: str = "auto",
    game: Game | type[Game] | None = None,
    reporter: Reporter | None = None,
) -> Drawing:
    """`num` new pictures from a run: uint8 (num, H, W, C). Raises `RunError` or `ConfigError`.

    Args:
        run: the run's folder, a generator.safetensors alone, or one on the hub: "hf:OWNER/NAME".
        num: how many pictures.
        seed: the same one draws the same pictures.
        labels: a name or names of classes or attributes, where the run was trained with them; default: as its
            pictures have them.
        truncation: below 1 pictures are more typical and less varied. Styles are drawn towards their mean (Karras et
            al. 2019, appendix B), latents of other generators are kept within it.
        average: the half-life of one of `generator.ema.more_half_lives`; default: the usual average.
        latents: own ones (num, latent_size), or (num, num_levels, latent_size) to mix them; then `num`, and `seed`
            but for labels, do not matter.
        checkpoint: best, latest, or the images seen of one; default: generator.safetensors.
        network: the name of another network of the run's game that draws; default: the one that the game says.
        device: auto, cpu, cuda or mps.
        game: for runs whose networks are not described by their config.
        reporter: where progress is told; default: nowhere.

    On one machine the same seed draws the same pictures. The first ones are the same for every `num`, bit by bit in
    whole batches of 64; in a smaller batch a device may round otherwise, by one grey level at most.
    """
    require_whole("num", num)
    require_whole("seed", seed)
    if num < 1:
        raise ConfigError("There must be at least one picture to draw.", where="--num", got=num)
    require_truncation(truncation)
    names = names_of("labels", labels)
    path, chosen = given_run(run), choose_device(device)
    if is_generator_file(path):
        if (average, checkpoint, network) != (None, None, None):
            raise ConfigError("A file holds one generator; others are in checkpoints of its run.", where=path)
        trained = open_generator_file(path, chosen, game)
    else:
        trained = open_generator(RunFolder.open(path), checkpoint, chosen, average, game, network)
    generator, how = trained.generator, {"verb": "sample"}
    space = Space(generator)
    if latents is None:
        points = sampled_points(trained, space, num, seed, names, truncation)
        how |= {"seed": seed, "num": num, "truncation": truncation, "label_names": names}
    else:
        one = generator.latents.draw((1,), 0, "shape")
        given = _tensor(latents, one.dtype)
        _require_shape(given, one.shape[1:])
        points = space.enter(given, _labels(trained, len(given), seed, names), truncation)
    pictures = _pictures(space, points, reporter or Silent())
    return Drawing(pictures, points, trained.maker, space.points_are, how)


def sampled_points(
    trained: Trained, space: Space, num: int, seed: int, names: list[str], truncation: float | None
) -> Points:
    """The points of `ganlet sample --seed`."""
    return space.sample(num, seed, _labels(trained, num, seed, names), truncation)


def _labels(trained: Trained, num: int, seed: int, names: list[str]) -> torch.Tensor | None:
    """Labels by name, or else as the run's pictures have them; None without labels."""
    if names:
        return named_labels(names, num, trained.config)
    return trained.labels.draw(num, seed) if trained.labels else None


def _pictures(space: Space, points: Points, reporter: Reporter) -> np.ndarray:
    """The pictures of points, with a word of progress where that takes long."""
    began, pictures = time.monotonic(), []
    for start in range(0, len(points), BLOCK):
        pictures.append(space.pictures(points[start : start + BLOCK]))
        if time.monotonic() - began > QUIET_SECONDS:
            reporter.progress("drawing", min(start + BLOCK, len(points)), len(points))
    return np.concatenate(pictures)


def _tensor(latents: object, dtype: torch.dtype) -> torch.Tensor:
    try:
        return torch.as_tensor(latents, dtype=dtype)
    except (TypeError, ValueError, RuntimeError) as error:
        got = f"{type(latents).__name__}: {error}"
        raise ConfigError("These latents are no numbers.", where="latents", got=got) from None


def _require_shape(latents: torch.Tensor, one: torch.Size) -> None:
    fits = latents.shape[-len(one) :] == one and latents.dim() > len(one) if one else latents.dim() == 1
    if not fits or not len(latents):
        expected = f"({', '.join(['num', *map(str, one)])})"
        raise ConfigError("These latents do not fit the generator.", got=tuple(latents.shape), expected=expected)


def _pictures_of(drawing: Callable[P, Drawing]) -> Callable[P, np.ndarray]:
    @wraps(drawing)
    def pictures(*args: P.args, **kwargs: P.kwargs) -> np.ndarray:
        return drawing(*args, **kwargs).pictures

    return pictures


sample = _pictures_of(draw_samples)  # what a program asks for; the command also writes down how they were drawn
