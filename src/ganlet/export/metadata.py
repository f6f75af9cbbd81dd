"""What an ONNX file says of itself: how it is fed, what it gives, and whose weights it has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from ganlet import __version__
from ganlet.config import RunConfig
from ganlet.networks.latents import Latents
from ganlet.runs.certificate import Maker

if TYPE_CHECKING:
    import onnx

COLOURS = {1: "grey", 3: "red, green, blue", 4: "red, green, blue, alpha"}
KINDS = {
    "normal": "independent normal numbers of mean 0 and standard deviation 1",
    "uniform": "independent numbers, uniform between -1 and 1",
    "sphere": "normal numbers divided by their root mean square, so that they lie on a sphere of radius sqrt(size)",
}
MADE_BY = "made_by"
TO_PIXELS = "round((images + 1) * 127.5), clipped to 0..255; then (N, C, H, W) to (N, H, W, C)"
TO_IMAGES = "pixels / 127.5 - 1; from (N, H, W, C) to (N, C, H, W)"


def describe(model: onnx.ModelProto, config: RunConfig, maker: Maker, precision: str, about: dict[str, str]) -> None:
    """Write into a graph what all files say, and `about`, what this one says: text by key, and of inputs by name."""
    facts = {
        MADE_BY: f"ganlet {__version__}",
        "licence": config.data.licence,
        "run": maker.run,
        "weights": maker.weights,
        "images_seen": str(maker.images_seen),
        "precision": precision,
        "height": str(config.data.size[0]),
        "width": str(config.data.size[1]),
        "channels": str(config.data.channels),
        **about,
    }
    for key, text in sorted(facts.items()):
        model.metadata_props.add(key=key, value=text)
    for value in (*model.graph.input, *model.graph.output):
        value.doc_string = facts.get(value.name, "")
    model.producer_name, model.producer_version = "ganlet", __version__


def about_generator(generator: Any, config: RunConfig) -> dict[str, str]:
    """What is to be known of a generator's inputs and its images."""
    asked = generator.latents
    size = tuple(asked.draw((1,), 0, "shape").shape[1:])
    facts = {
        "images": f"float32 (batch, {_image(config)}) from -1 to 1; {COLOURS[_channels(config)]}; pixels: {TO_PIXELS}",
        "layout": "NCHW",
        "value_range": "-1 to 1",
        "to_pixels": TO_PIXELS,
        "latent_shape": json.dumps(size),
    }
    kind = asked.kind if isinstance(asked, Latents) else None
    facts["latents"] = f"float32 {_shape(size)}: {KINDS[kind] if kind else 'random numbers as its author draws them'}"
    if kind is not None:
        facts |= {"latent_kind": kind, "latent_size": str(asked.size), "num_levels": str(asked.levels)}
    if getattr(generator, "has_styles", False):
        levels = generator.num_levels
        facts["latents"] = (
            f"float32 {_shape((levels, *size))}: {KINDS[asked.kind]}; one latent repeated {levels} times, or, to mix "
            "pictures, latents of several at different levels, the coarsest level first"
        )
        facts["truncation"] = (
            "float32 (batch,): 1 draws pictures as training has met them; below 1 more typical, less varied ones"
        )
    else:
        parts = getattr(getattr(generator, "inputs", None), "part_sizes", [])
        if len(parts) > 1:
            facts["level_sizes"] = json.dumps(parts)
            facts["latents"] += (
                f"; the coarsest level reads the first {parts[0]}, each next level the next ones (level_sizes), so "
                "latents of several pictures can be mixed"
            )
    return facts | about_labels(config)


def about_discriminator(discriminator: torch.nn.Module, config: RunConfig, whole_batch: bool) -> dict[str, str]:
    """What is to be known of a discriminator's inputs and its logits."""
    logits = "float32 (batch,): higher for what looks real; only differences mean something"
    if whole_batch:
        logits += "; each also depends on the other images of its batch"
    images = f"float32 (batch, {_image(config)}) from -1 to 1; {COLOURS[_channels(config)]}; of pixels: {TO_IMAGES}"
    return {
        "images": images,
        "layout": "NCHW",
        "value_range": "-1 to 1",
        "to_images": TO_IMAGES,
        "logits": logits,
    } | about_labels(config)


def about_labels(config: RunConfig) -> dict[str, str]:
    """How labels are given, where there are some."""
    num, names = config.data.num_labels, config.data.label_names
    if not num:
        return {}
    which = "one 1, the others 0" if config.data.labels == "classes" else "1 for each that holds, the others 0"
    text = f"float32 (batch, {num}), in the order of label_names: {which}; shares between two are drawn too"
    return {"labels": text, "label_names": json.dumps(list(names), ensure_ascii=False)}


def _channels(config: RunConfig) -> int:
    assert config.data.channels != "auto"  # a run that has begun knows them
    return config.data.channels


def _image(config: RunConfig) -> str:
    return ", ".join(map(str, (_channels(config), *config.data.size)))


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(['batch', *map(str, shape)])})" if shape else "(batch,)"
