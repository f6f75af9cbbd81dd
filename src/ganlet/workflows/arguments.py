"""What a program hands to a workflow, looked at before anything is done with it: each mistake is one `ConfigError`.

Where names are asked for, text is one name, and never its letters.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping
from typing import Any, cast

from ganlet.config import RunConfig
from ganlet.errors import ConfigError
from ganlet.paths import given

SHOWN = 60  # characters of a wrong argument


def require_config(config: object) -> None:
    """Raise `ConfigError` for what is no config, such as the name of a preset."""
    if isinstance(config, RunConfig):
        return
    made = "ganlet.make_config(...)"
    if isinstance(config, str):
        made = f"ganlet.make_config({config!r})"
    elif isinstance(config, Mapping):
        made = "ganlet.make_config(overrides={...})"
    raise _wrong("config", config, "a config", hint=f"ganlet.train({made})")


def require_whole(name: str, value: object) -> None:
    """Raise `ConfigError` unless a value is a whole number."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise _wrong(name, value, "a whole number")


def require_number(name: str, value: object) -> None:
    """Raise `ConfigError` unless a value is a number."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise _wrong(name, value, "a number")


def require_truncation(truncation: object) -> None:
    """Raise `ConfigError` unless a truncation is a number from 0 on, or none is asked for."""
    if truncation is not None:
        require_number("truncation", truncation)
        if not 0 <= cast(float, truncation) < math.inf:
            raise ConfigError("A truncation must be a number from 0 on.", where="--truncation", got=truncation)


def require_callables(name: str, value: object) -> None:
    """Raise `ConfigError` unless a value is a list of what can be called."""
    if isinstance(value, list | tuple) and all(map(callable, value)):
        return
    raise _wrong(name, value, "a list of functions that take an event")


def require_settings(name: str, value: object) -> None:
    """Raise `ConfigError` unless a value holds settings by path."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _wrong(name, value, 'settings by path, such as {"train.batch_size": 32}')


def require_extractor_path(extractor: object) -> None:
    """Raise `ConfigError` where an extractor is a file (FILE, or NAME=FILE for its weights) at an impossible path."""
    if isinstance(extractor, str):
        given(extractor.rpartition("=")[2], "--extractor")


def names_of(name: str, value: str | Iterable[Any] | None) -> list[str]:
    """The names that an argument holds: one, or some in a list or the like. Raises `ConfigError` for anything else."""
    return [] if value is None else several(name, value, str, "names")


def several(name: str, value: Any, one: type | tuple[type, ...], what: str) -> list[Any]:
    """The items of an argument that may be one item too. Raises `ConfigError` for items of another kind."""
    if isinstance(value, one):
        return [value]
    if isinstance(value, Mapping | bytes) or not isinstance(value, Iterable):
        raise _wrong(name, value, f"a list of {what}")
    items = list(value)
    for item in items:
        if not isinstance(item, one):
            raise _wrong(name, item, f"a list of {what}")
    return items


def _wrong(name: str, value: object, expected: str, hint: str | None = None) -> ConfigError:
    shown = repr(value)
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}..."
    kind = "" if value is None else f" ({type(value).__name__})"
    return ConfigError(
        f"The argument {name} cannot be used.", where=f"--{name}", got=f"{shown}{kind}", expected=expected, hint=hint
    )
