"""From what a person wrote to what the run does: epochs become images, `auto` becomes what the pictures have."""

from __future__ import annotations

from typing import Any

from ganlet.config.base import EPOCHS, epochs_to_images
from ganlet.config.files import validate
from ganlet.config.schema import RunConfig


def resolve(config: RunConfig, *, num_pictures: int, channels: int) -> RunConfig:
    """The config with nothing left open, for a source of `num_pictures` pictures with `channels` channels.

    Raises `ConfigError` when the settings turn out to be impossible together.
    """
    tree = config.model_dump()
    # The name of a source may look like a number of epochs.
    data = {**tree.pop("data"), "channels": channels}
    return validate({**_in_images(tree, num_pictures), "data": data})


def relocate(config: RunConfig, source: str) -> RunConfig:
    """The config with its pictures at another place."""
    return config.model_copy(update={"data": config.data.model_copy(update={"source": source})})


def _in_images(value: Any, images_per_epoch: int) -> Any:
    """`value` with every length written in epochs turned into images."""
    if isinstance(value, dict):
        return {key: _in_images(item, images_per_epoch) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_in_images(item, images_per_epoch) for item in value]
    if isinstance(value, str) and EPOCHS.match(value):
        return epochs_to_images(value, images_per_epoch)
    return value
