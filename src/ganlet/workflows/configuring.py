"""From what a person asks for to a config: the same for the command line and for Python. Imports no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import reduce
from typing import Any

from ganlet.config import RunConfig, build_config, presets, read_yaml
from ganlet.config.tree import Tree, merge
from ganlet.errors import ConfigError
from ganlet.paths import as_text, given
from ganlet.workflows.arguments import require_settings


def make_config(
    preset: str | None = None,
    source: str | os.PathLike[str] | None = None,
    *,
    file: str | os.PathLike[str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> RunConfig:
    """Defaults, preset, file, source and overrides, laid over each other in this order.

    Args:
        preset: the name of a recipe; without one, the `preset` that the file names, if any.
        source: where the pictures come from.
        file: a YAML file with settings.
        overrides: settings by dotted path, or nested: {"train.batch_size": 32} or {"train": {"batch_size": 32}}.

    Raises `ConfigError` that names every problem at once.
    """
    require_settings("overrides", overrides or {})
    written = read_yaml(given(file, "--config")) if file is not None else {}
    if preset is not None and not isinstance(preset, str):
        raise ConfigError("This is no preset.", where="--preset", got=repr(preset), expected=", ".join(presets.names()))
    name = preset or written.get("preset")
    layers: list[Tree] = [presets.load(str(name)).settings] if name is not None else []
    layers.append(written if preset is None else {**written, "preset": preset})
    if source is not None:
        layers.append({"data": {"source": as_text(source)}})
    layers.append(nested(overrides or {}))
    return build_config(layers)


def nested(settings: Mapping[str, Any]) -> Tree:
    """Settings with dotted keys as a nested dict; later ones win."""
    return reduce(lambda tree, item: merge(tree, _nest(*item), None), settings.items(), {})


def _nest(path: str, value: Any) -> Tree:
    first, dot, rest = path.partition(".")
    if dot:
        return {first: _nest(rest, value)}
    if isinstance(value, os.PathLike):
        return {first: as_text(value)}
    return {first: nested(value) if isinstance(value, Mapping) else value}
