"""Walking the config as a tree of dotted paths: kinds of tagged unions, merging, differences."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ganlet.config.schema import RunConfig
from ganlet.settings import OneOf, Settings

Tree = dict[str, Any]


def kinds(field: FieldInfo) -> dict[str, type[Settings]]:
    """The kinds that a field may hold, or the items of its list, by name; empty for any other field."""
    marks = [*field.metadata, *(mark for item in typing.get_args(field.annotation) for mark in _marks(item))]
    return {name: kind for mark in marks if isinstance(mark, OneOf) for name, kind in mark.registry.items()}


def _marks(annotation: object) -> tuple[object, ...]:
    return typing.get_args(annotation)[1:] if typing.get_origin(annotation) is typing.Annotated else ()


def group(field: FieldInfo) -> type[Settings] | None:
    """The settings that a field holds, where they are always of the same class."""
    annotation: Any = field.annotation
    is_group = isinstance(annotation, type) and issubclass(annotation, Settings) and not kinds(field)
    return annotation if is_group else None


def child_model(model: type[Settings], key: str, values: object) -> type[Settings] | None:
    """The model that validates `key` of `model`, given the values there (whose `kind` chooses one)."""
    field = model.model_fields.get(key)
    if field is None:
        return None
    kind = values.get("kind") if isinstance(values, Mapping) else None
    return kinds(field).get(kind) if isinstance(kind, str) and kinds(field) else group(field)


def merge(base: Tree, overlay: Mapping[str, Any], model: type[Settings] | None = RunConfig) -> Tree:
    """`base` with `overlay` on top, key by key.

    Where the overlay chooses another `kind`, the new kind starts from its own defaults and takes over only what every
    kind has (that of the class which the field names): a preset's network settings must not become errors, or mean
    something else, because somebody asked for another network.
    """
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        if not isinstance(value, Mapping):
            merged[key] = value
            continue
        if isinstance(old, list | tuple) and value and all(place.isdigit() for place in value):
            # `penalties.0.weight` changes one item of a list.
            merged[key] = list(merge({str(place): item for place, item in enumerate(old)}, value, None).values())
            continue
        tagged = value if "kind" in value or not isinstance(old, Mapping) else old
        new_model = child_model(model, key, tagged) if model else None
        old = dict(old) if isinstance(old, Mapping) else {}
        if model and new_model and "kind" in value and old.get("kind") != value["kind"]:
            of_every_kind = getattr(model.model_fields[key].annotation, "model_fields", ())
            shared = {name: item for name, item in old.items() if name in of_every_kind}
            old = {**_defaults(new_model), **shared}
        merged[key] = merge(old, value, new_model)
    return merged


def _defaults(model: type[Settings]) -> Tree:
    """What a model holds when nothing is set; required fields are left out."""
    defaults = {
        name: field.get_default(call_default_factory=True)
        for name, field in model.model_fields.items()
        if not field.is_required()
    }
    return {name: value.model_dump() if isinstance(value, BaseModel) else value for name, value in defaults.items()}


def paths(model: type[Settings] = RunConfig, prefix: str = "", kind: str | None = None) -> dict[str, frozenset[str]]:
    """Every dotted path that the schema knows, with the kinds that have it (none where there are no kinds)."""
    found: dict[str, frozenset[str]] = {}
    having = frozenset() if kind is None else frozenset({kind})
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        found[path] = having
        only = group(field)
        members: dict[str | None, type[Settings]] = {None: only} if only else {**kinds(field)}
        for member, settings in members.items():
            for below, kinds_below in paths(settings, f"{path}.", member).items():
                found[below] = found.get(below, frozenset()) | kinds_below
    return found


def flatten(tree: object, prefix: str = "") -> dict[str, object]:
    """A nested dict (or list) as {dotted path: leaf}."""
    if isinstance(tree, Mapping):
        items: list[tuple[object, object]] = list(tree.items())
    elif isinstance(tree, list | tuple) and any(isinstance(item, Mapping) for item in tree):
        items = list(enumerate(tree))
    else:
        return {prefix: tree}
    flat: dict[str, object] = {}
    for key, value in items:
        flat |= flatten(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


def differences(old: RunConfig, new: RunConfig) -> dict[str, tuple[object, object]]:
    """{dotted path: (old value, new value)} of everything in which two configs differ."""
    before, after = flatten(old.model_dump(mode="json")), flatten(new.model_dump(mode="json"))
    return {
        path: (before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    }
