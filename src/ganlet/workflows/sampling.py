"""New pictures from a trained generator, and writing them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ganlet.engine.devices import choose_device
from ganlet.errors import ConfigError
from ganlet.games import Game
from ganlet.games.drawn import generate
from ganlet.images import save_png
from ganlet.networks.latents import sample_latents
from ganlet.runs.files import os_errors_explained
from ganlet.runs.folder import RunFolder
from ganlet.runs.pictures import save_sheet
from ganlet.workflows.generators import open_generator, open_generator_file
from ganlet.workflows.labels import named_labels

OTHER_PICTURES = {".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


def sample(
    run: str | Path,
    num: int = 16,
    *,
    seed: int = 0,
    labels: Sequence[str] = (),
    truncation: float | None = None,
    average: int | None = None,
    latents: np.ndarray | torch.Tensor | None = None,
    checkpoint: str | int | None = None,
    network: str | None = None,
    device: str = "auto",
    game: Game | type[Game] | None = None,
) -> np.ndarray:
    """`num` new pictures from a run: uint8 (num, H, W, C). Raises `RunError` or `ConfigError`.

    Args:
        run: the run's folder, or a generator.safetensors alone.
        num: how many pictures.
        seed: the same one draws the same pictures.
        labels: names of classes or attributes, where the run was trained with them; default: as its pictures have them.
        truncation: below 1 pictures are more typical and less varied. Styles are drawn towards their mean (Karras et
            al. 2019, appendix B), latents of other generators are kept within it.
        average: the half-life of one of `generator.ema.more_half_lives`; default: the usual average.
        latents: own ones (num, latent_size), or (num, num_levels, latent_size) to mix them; then `num`, and `seed`
            but for labels, do not matter.
        checkpoint: best, latest, or the images seen of one; default: generator.safetensors.
        network: the name of another network of the run's game that draws; default: the one that the game says.
        device: auto, cpu, cuda or mps.
        game: for runs whose networks are not described by their config.

    On one machine the same seed draws the same pictures. The first ones are the same for every `num`, bit by bit in
    whole batches of 64; in a smaller batch a device may round otherwise, by one grey level at most.
    """
    if num < 1:
        raise ConfigError("There must be at least one picture to draw.", where="--num", got=num)
    if truncation is not None and not 0 <= truncation < math.inf:
        raise ConfigError("A truncation must be a number from 0 on.", where="--truncation", got=truncation)
    path, chosen = Path(run), choose_device(device)
    if path.is_file():
        if (average, checkpoint, network) != (None, None, None):
            raise ConfigError("A file holds one generator; others are in checkpoints of its run.", where=path)
        trained = open_generator_file(path, chosen, game)
    else:
        trained = open_generator(RunFolder.open(path), checkpoint, chosen, average, game, network)
    generator = trained.generator
    of_styles = truncation if getattr(generator, "has_styles", False) else None
    if latents is None:
        given = sample_latents(generator.latents, num, seed, truncation if of_styles is None else None)
    else:
        one = generator.latents.draw((1,), 0, "shape")
        given = torch.as_tensor(latents, dtype=one.dtype)
        _require_shape(given, one.shape[1:])
        num = len(given)
    named = named_labels(labels, num, trained.config) if labels else None
    drawn = trained.labels.draw(num, seed) if trained.labels and named is None else named
    return generate(generator, given, drawn, of_styles)


def _require_shape(latents: torch.Tensor, one: torch.Size) -> None:
    fits = latents.shape[-len(one) :] == one and latents.dim() > len(one) if one else latents.dim() == 1
    if not fits or not len(latents):
        expected = f"({', '.join(['num', *map(str, one)])})"
        raise ConfigError("These latents do not fit the generator.", got=tuple(latents.shape), expected=expected)


def save_samples(pictures: np.ndarray, out: Path) -> list[Path]:
    """Write pictures (N, H, W, C): one grid if `out` ends in .png, else one file each into the folder `out`.

    Raises `ConfigError` for other picture files, and as `runs.files.os_errors_explained` does.
    """
    if out.suffix.lower() in OTHER_PICTURES:
        raise ConfigError("Pictures are written as PNG only.", where="--out", got=out, expected="FILE.png or a folder")
    with os_errors_explained(out):
        if out.suffix == ".png":
            out.parent.mkdir(parents=True, exist_ok=True)
            save_sheet(out, pictures)
            return [out]
        out.mkdir(parents=True, exist_ok=True)
        width = max(4, len(str(len(pictures) - 1)))
        paths = [out / f"{index:0{width}}.png" for index in range(len(pictures))]
        for path, picture in zip(paths, pictures, strict=True):
            save_png(path, picture)
        return paths
