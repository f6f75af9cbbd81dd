"""From latents to pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ganlet.config import RunConfig
from ganlet.config.networks import GeneratorSettings, StyleGeneratorConfig
from ganlet.engine.devices import choose_device
from ganlet.engine.draws import draw
from ganlet.engine.state import TrainState
from ganlet.errors import ConfigError
from ganlet.images import save_png, to_packed
from ganlet.networks import Generator
from ganlet.randomness import derive
from ganlet.runs.files import explained
from ganlet.runs.folder import RunFolder
from ganlet.runs.pictures import save_sheet
from ganlet.workflows.generators import open_generator
from ganlet.workflows.labels import named_labels

BATCH = 64
OTHER_PICTURES = {".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


def shown_generator(state: TrainState, config: RunConfig) -> Generator:
    """The generator that pictures are drawn with: the averaged one, unless the config wants the momentary one."""
    return state.average if config.evaluate.weights == "ema" else state.generator


@torch.inference_mode()
def generate(
    generator: Generator, latents: torch.Tensor, labels: torch.Tensor | None = None, truncation: float | None = None
) -> np.ndarray:
    """Latents (N, latent_size) -> uint8 pictures (N, H, W, C), in evaluation mode, in batches of 64.

    `labels` (N, num_labels) are for generators with labels; `truncation` is for those that truncate styles.
    """
    device = next(generator.parameters()).device
    shown_with = (
        [None] * len(latents.split(BATCH)) if labels is None else [part.to(device) for part in labels.split(BATCH)]
    )
    styled = {} if truncation is None else {"truncation": truncation}
    was_training = generator.training
    generator.eval()
    try:
        pictures = [
            to_packed(generator(part.to(device), labelled, **styled)).cpu().numpy()
            for part, labelled in zip(latents.split(BATCH), shown_with, strict=True)
        ]
    finally:
        generator.train(was_training)  # also where memory has run out, for training may go on
    return np.concatenate(pictures)


def latents_for(num: int, seed: int, settings: GeneratorSettings, truncation: float | None = None) -> torch.Tensor:
    """Latents (num, latent_size); the first ones are the same for every `num`.

    With a truncation, normal latents are drawn anew where they lie beyond it (Brock et al. 2019, section 3.1), and
    uniform ones are drawn up to it: pictures become more typical and less varied.
    """
    shape = (BATCH, settings.latent_size)
    parts = []
    for part in range(-(-num // BATCH)):
        if truncation is not None and settings.latents == "normal":
            random = torch.Generator().manual_seed(derive(seed, "sample", part))
            latents = torch.empty(shape)
            torch.nn.init.trunc_normal_(latents, 0.0, 1.0, -truncation, truncation, generator=random)
        else:
            latents = draw(settings.latents, seed, "sample", part, shape) * min(truncation or 1.0, 1.0)
        parts.append(latents)
    return torch.cat(parts)[:num]


def sample(
    run: str | Path,
    num: int = 16,
    *,
    seed: int = 0,
    labels: Sequence[str] = (),
    truncation: float | None = None,
    average: int | None = None,
    device: str = "auto",
) -> np.ndarray:
    """`num` new pictures from a run: uint8 (num, H, W, C). Raises `RunError` or `ConfigError`.

    Args:
        run: the run's folder.
        num: how many pictures.
        seed: the same one draws the same pictures.
        labels: names of classes or attributes, where the run was trained with them; default: as its pictures have them.
        truncation: below 1 pictures are more typical and less varied. Styles are drawn towards their mean (Karras et
            al. 2019, appendix B), latents of other generators are kept within it.
        average: the half-life of one of `generator.ema.more_half_lives`; default: the usual average.
        device: auto, cpu, cuda or mps.

    On one machine the same seed draws the same pictures. The first ones are the same for every `num`, bit by bit in
    whole batches of 64; in a smaller batch a device may round otherwise, by one grey level at most.
    """
    if num < 1:
        raise ConfigError("There must be at least one picture to draw.", where="--num", got=num)
    if truncation is not None and not 0 <= truncation < math.inf:
        raise ConfigError("A truncation must be a number from 0 on.", where="--truncation", got=truncation)
    trained = open_generator(RunFolder.open(Path(run)), None, choose_device(device), average)
    settings = trained.config.generator
    if truncation == 0 and not isinstance(settings, StyleGeneratorConfig):
        raise ConfigError(
            "A truncation to 0 leaves nothing to draw latents from.",
            where="--truncation",
            got=truncation,
            expected="a number above 0; only styles can be truncated to their mean",
        )
    if truncation is not None and settings.latents == "sphere" and not isinstance(settings, StyleGeneratorConfig):
        raise ConfigError(
            "Latents on a sphere all have one length, which a truncation cannot change.",
            where="--truncation",
            got=truncation,
            expected="a generator with normal or uniform latents, or with styles",
        )
    named = named_labels(labels, num, trained.config) if labels else None
    drawn = trained.labels.draw(num, seed) if trained.labels and named is None else named
    if isinstance(settings, StyleGeneratorConfig):
        return generate(trained.generator, latents_for(num, seed, settings), drawn, truncation)
    return generate(trained.generator, latents_for(num, seed, settings, truncation), drawn)


def save_samples(pictures: np.ndarray, out: Path) -> list[Path]:
    """Write pictures (N, H, W, C): one grid if `out` ends in .png, else one file each into the folder `out`.

    Raises `ConfigError` for other picture files, and as `runs.files.explained` does.
    """
    if out.suffix.lower() in OTHER_PICTURES:
        raise ConfigError("Pictures are written as PNG only.", where="--out", got=out, expected="FILE.png or a folder")
    with explained(out):
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
