"""Config in and out: YAML text, dotted overrides, and every problem told at once.

Only plain YAML is read: no tags, no aliases, no duplicate keys, no more than 1 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
import yaml.composer
import yaml.constructor
from pydantic import ValidationError

from ganlet.config.checks import impossible
from ganlet.config.schema import SCHEMA_VERSION, RunConfig
from ganlet.config.tree import Tree, merge, paths
from ganlet.errors import ConfigError, nearest

MAX_BYTES = 1_000_000


class _PlainLoader(yaml.SafeLoader):
    """Safe YAML without aliases (which can grow without bound) and without duplicate keys (of which one is lost)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is not text", key_node.start_mark)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def parse_yaml(text: str, where: str) -> Tree:
    """YAML text as a dict. Raises `ConfigError` with line and column."""
    if len(text.encode()) > MAX_BYTES:
        raise ConfigError("This config file is too large to be one.", where=where, expected="at most 1 MB")
    try:
        tree = yaml.load(text, Loader=_PlainLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where
        problem = getattr(error, "problem", None) or "not readable as YAML"
        raise ConfigError(f"This is not a config file: {problem}.", where=place) from None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError("A config file must hold keys and values.", where=where, got=type(tree).__name__)
    return tree


def read_yaml(path: Path) -> Tree:
    """A config file as a dict. Raises `ConfigError`."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError("This config file is too large to be one.", where=path, expected="at most 1 MB")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError("The config file cannot be read.", where=path, got=error.strerror) from None
    except UnicodeDecodeError:
        raise ConfigError("The config file is not text in UTF-8.", where=path) from None
    return parse_yaml(text, str(path))


def parse_override(text: str) -> Tree:
    """`a.b=c` as {"a": {"b": c}}; the value is read as YAML. Raises `ConfigError`."""
    path, equals, value = text.partition("=")
    path = path.strip()
    if not equals or not path or not all(part for part in path.split(".")):
        raise ConfigError(
            "An override must look like key=value.", where=f"--set {text}", hint="--set train.batch_size=64"
        )
    parsed: Any = parse_yaml(f"value: {value}", f"--set {text}").get("value")
    for part in reversed(path.split(".")):
        parsed = {part: parsed}
    return parsed


def build_config(layers: Iterable[Mapping[str, Any]]) -> RunConfig:
    """The config that results from laying `layers` over the defaults, the last one on top.

    Raises `ConfigError` that names every problem at once: its path, what was expected, the nearest known key.
    """
    tree = RunConfig().model_dump()
    for layer in layers:
        tree = merge(tree, layer)
    return validate(tree)


def validate(tree: Tree) -> RunConfig:
    """A dict as a config. Raises `ConfigError` that names every problem at once."""
    version = tree.get("schema_version", SCHEMA_VERSION)
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise ConfigError(
            "This config was written by a newer ganlet.",
            where="schema_version",
            got=version,
            expected=f"at most {SCHEMA_VERSION}",
            hint="pip install --upgrade ganlet",
        )
    try:
        config = RunConfig.model_validate(tree)
    except ValidationError as error:
        problems = [_describe(problem, tree) for problem in error.errors(include_url=False)]
        raise _config_error(problems) from None
    if problems := impossible(config):
        raise _config_error(problems)
    return config


def dump_yaml(config: RunConfig) -> str:
    """The config with every field, as YAML that `read_yaml` reads back."""
    tree = _kind_first(config.model_dump(mode="json"))
    return yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=100)


def _kind_first(value: Any) -> Any:
    """A tree with every `kind` moved to the front of its group, where a reader looks for it."""
    if isinstance(value, list):
        return [_kind_first(item) for item in value]
    if not isinstance(value, dict):
        return value
    ordered = {"kind": value["kind"], **value} if "kind" in value else value
    return {key: _kind_first(item) for key, item in ordered.items()}


def _config_error(problems: list[str]) -> ConfigError:
    lines = "\n".join(f"  - {problem}" for problem in problems)
    count = "One setting is" if len(problems) == 1 else f"{len(problems)} settings are"
    return ConfigError(f"{count} not possible:\n{lines}", hint="ganlet list settings")


def _describe(problem: Any, tree: Tree) -> str:
    """One line for one pydantic error: dotted path, what is wrong, range or nearest known key."""
    kind, context = problem["type"], problem.get("ctx", {})
    parts = _path_in(tree, problem["loc"])
    path = ".".join(parts)
    if kind == "extra_forbidden":
        return f"{path}: unknown key{_suggest(parts)}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        known = context.get("expected_tags", "").replace("'", "") or "a kind"
        got = context.get("tag")
        close = nearest(str(got), known.split(", ")) if got else None
        return f"{path}.kind: {got!r} is not known; one of {known}" + (f"; did you mean {close}?" if close else "")
    if kind == "missing":
        return f"{path}: must be given"
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"{path}: {message[0].lower()}{message[1:]}, got {problem['input']!r}"


def _path_in(tree: Tree, location: tuple[int | str, ...]) -> list[str]:
    """The path as a person wrote it: pydantic adds the kind of a union to it, which is no key."""
    parts: list[str] = []
    node: Any = tree
    for step in location:
        if isinstance(node, Mapping) and step not in node and step == node.get("kind"):
            continue
        parts.append(str(step))
        if isinstance(node, Mapping):
            node = node.get(step)
        elif isinstance(node, list | tuple) and isinstance(step, int) and step < len(node):
            node = node[step]
    return parts


def _suggest(parts: list[str]) -> str:
    """The nearest known key: a sibling, or the same name elsewhere in the tree."""
    name, known = parts[-1], sorted(set(paths()))
    parent_path = ".".join(part for part in parts[:-1] if not part.isdigit())
    siblings = [path for path in known if path.rpartition(".")[0] == parent_path]
    if close := nearest(name, [path.rpartition(".")[2] for path in siblings]):
        return f"; did you mean {'.'.join([*parts[:-1], close])}?"
    elsewhere = [path for path in known if path.rpartition(".")[2] == name]
    if elsewhere:
        return f"; did you mean {' or '.join(elsewhere[:3])}?"
    if close := nearest(".".join(parts), known):
        return f"; did you mean {close}?"
    return ""
