"""New pictures from a trained generator, and writing them."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from ganlet import paths
from ganlet.engine.devices import choose_device
from ganlet.errors import ConfigError
from ganlet.games import Game
from ganlet.games.drawn import BATCH, generate
from ganlet.images import save_png
from ganlet.networks.latents import sample_latents
from ganlet.runs.files import os_errors_explained
from ganlet.runs.folder import RunFolder
from ganlet.runs.pictures import save_sheet
from ganlet.workflows.arguments import names_of, require_number, require_whole
from ganlet.workflows.generators import open_generator, open_generator_file
from ganlet.workflows.labels import named_labels
from ganlet.workflows.reporting import Reporter, Silent

# What names of files end with that are no PNG, beside all that Pillow writes: no folder is meant by them.
OTHER_FILES = {".svg", ".npy", ".npz", ".pt", ".safetensors", ".zip", ".tar", ".gz", ".mp4", ".html", ".txt", ".csv"}
BLOCK = 4 * BATCH  # pictures that are drawn between two words of progress: whole batches, so the bits stay the same
QUIET_SECONDS = 3.0  # drawing that takes no longer is not worth a word


def sample(
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
) -> np.ndarray:
    """`num` new pictures from a run: uint8 (num, H, W, C). Raises `RunError` or `ConfigError`.

    Args:
        run: the run's folder, or a generator.safetensors alone.
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
    if truncation is not None:
        require_number("truncation", truncation)
        if not 0 <= truncation < math.inf:
            raise ConfigError("A truncation must be a number from 0 on.", where="--truncation", got=truncation)
    names = names_of("labels", labels)
    path, chosen = paths.given(run), choose_device(device)
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
        given = _tensor(latents, one.dtype)
        _require_shape(given, one.shape[1:])
        num = len(given)
    named = named_labels(names, num, trained.config) if names else None
    drawn = trained.labels.draw(num, seed) if trained.labels and named is None else named
    return _drawn(generator, given, drawn, of_styles, reporter or Silent())


def _drawn(
    generator: nn.Module, given: torch.Tensor, labels: torch.Tensor | None, of_styles: float | None, reporter: Reporter
) -> np.ndarray:
    """What `generate` gives, with a word of progress where that takes long."""
    began, pictures = time.monotonic(), []
    for start in range(0, len(given), BLOCK):
        rows = slice(start, start + BLOCK)
        pictures.append(generate(generator, given[rows], None if labels is None else labels[rows], of_styles))
        if time.monotonic() - began > QUIET_SECONDS:
            reporter.progress("drawing", min(start + BLOCK, len(given)), len(given))
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


def samples_path(out: str | os.PathLike[str]) -> Path:
    """Where pictures are to be written: a .png file for one grid, or a folder that has no pictures yet.

    Raises `ConfigError` for other files, for a folder that is called like one, and for a folder with pictures.
    """
    path = paths.given(out, "--out")
    suffix = path.suffix.lower()
    if suffix == ".png":
        if os.path.isdir(path):
            raise ConfigError("A file is meant here, and this is a folder.", where="--out", got=paths.printable(path))
        return path
    if suffix in OTHER_FILES or suffix in Image.registered_extensions():
        got, expected = paths.printable(path), "FILE.png or a folder"
        raise ConfigError("Pictures are written as PNG only.", where="--out", got=got, expected=expected)
    if os.path.isfile(path):
        got, expected = paths.printable(path), "FILE.png or a folder"
        raise ConfigError("A folder is meant here, and this is a file.", where="--out", got=got, expected=expected)
    if count := _num_pictures(path):
        raise ConfigError(
            "There are pictures in this folder already, which nobody could tell from the new ones.",
            where="--out",
            got=f"{count:,} in {paths.printable(path)}",
            expected="a folder without pictures",
            hint="choose another one with --out",
        )
    return path


def save_samples(pictures: np.ndarray, out: str | os.PathLike[str]) -> list[Path]:
    """Write pictures (N, H, W, C): one grid if `out` ends in .png, else one file each into the folder `out`.

    Raises `ConfigError` as `samples_path` does, and else as `runs.files.os_errors_explained`.
    """
    path = samples_path(out)
    with os_errors_explained(path):
        if path.suffix.lower() == ".png":
            path.parent.mkdir(parents=True, exist_ok=True)
            save_sheet(path, pictures)
            return [path]
        path.mkdir(parents=True, exist_ok=True)
        width = max(4, len(str(len(pictures) - 1)))
        files = [path / f"{index:0{width}}.png" for index in range(len(pictures))]
        for file, picture in zip(files, pictures, strict=True):
            save_png(file, picture)
        return files


def _num_pictures(folder: Path) -> int:
    try:
        suffixes = [os.path.splitext(name)[1].lower() for name in os.listdir(folder)]
    except OSError:  # it is not there yet, or writing will say what is wrong with it
        return 0
    return sum(suffix in Image.registered_extensions() for suffix in suffixes)
