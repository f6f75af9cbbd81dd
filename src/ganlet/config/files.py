"""Config in and out: YAML text, dotted overrides, and every problem told at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ganlet.config import plain_yaml
from ganlet.config.checks import impossible
from ganlet.config.schema import SCHEMA_VERSION, RunConfig
from ganlet.config.tree import Tree, flatten, merge, paths
from ganlet.errors import ConfigError, nearest

MAX_PROBLEMS = 20  # nobody reads more at once
MAX_SHOWN = 60  # characters of a wrong value

BRANCH = re.compile(r"(literal|tuple|list)\[")  # what pydantic puts into a path where a value may be of several types

# What pydantic says about types, in words for people; everything else it says well itself.
PLAIN_WORDS = {
    "tuple_type": "a list",
    "too_short": "at least {min_length} in the list",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
}


def parse_yaml(text: bytes | str, where: str) -> Tree:
    """YAML text as a dict. Raises `ConfigError` with line and column."""
    tree = plain_yaml.load(text, where)
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError("A config file must hold keys and values.", where=where, got=type(tree).__name__)
    return tree


def read_yaml(path: Path) -> Tree:
    """A config file as a dict. Raises `ConfigError`."""
    try:
        with path.open("rb") as file:
            content = file.read(plain_yaml.MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError("The config file cannot be read.", where=path, got=error.strerror) from None
    return parse_yaml(content, str(path))


def parse_override(text: str) -> Tree:
    """`a.b=c` as {"a": {"b": c}}; the value is read as YAML. Raises `ConfigError`."""
    path, equals, value = text.partition("=")
    path, value = path.strip(), value.strip()
    if not equals or not all(path.split(".")):
        raise ConfigError(
            "An override must look like key=value.", where=f"--set {text}", hint="--set train.batch_size=64"
        )
    # In a file `#` opens a comment; here it belongs to the value: a colour, the name of a folder.
    quoted = value.startswith(("'", '"', "[", "{"))
    parsed: Any = value if "#" in value and not quoted else plain_yaml.load(value, f"--set {text}")
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
        found = _of_the_branch_meant(error.errors(include_url=False))
        problems = [_describe(problem) for problem in found[:MAX_PROBLEMS]]
        raise _config_error(problems, len(found)) from None
    if problems := _truth_as_number(tree, config) + impossible(config):
        raise _config_error(problems, len(problems))
    return config


def read_run_config(path: Path) -> RunConfig:
    """The config in a run's folder. Raises `ConfigError`, which tells of kinds that the run's own program entered."""
    try:
        return validate(read_yaml(path))
    except ConfigError as error:
        hint = "kinds of one's own are entered in their registries first, as the program that trained it did"
        raise ConfigError(error.what, where=path, hint=hint) from None


def dump_yaml(config: RunConfig) -> str:
    """The config with every field, as YAML that `read_yaml` reads back."""
    return plain_yaml.dump(_kind_first(config.model_dump(mode="json")))


def _kind_first(value: Any) -> Any:
    """A tree with every `kind` moved to the front of its group, where a reader looks for it."""
    if isinstance(value, list):
        return [_kind_first(item) for item in value]
    if not isinstance(value, dict):
        return value
    ordered = {"kind": value["kind"], **value} if "kind" in value else value
    return {key: _kind_first(item) for key, item in ordered.items()}


def _truth_as_number(tree: Tree, config: RunConfig) -> list[str]:
    """A line for everything like `seed: true`, which Python takes for 1."""
    taken = flatten(config.model_dump())
    return [
        f"{path}: neither true nor false, got {value}"
        for path, value in flatten(tree).items()
        if isinstance(value, bool) and not isinstance(taken[path], bool)
    ]


def _config_error(problems: list[str], count: int) -> ConfigError:
    more = [f"and {count - len(problems)} more"] if count > len(problems) else []
    lines = "\n".join(f"  - {problem}" for problem in problems + more)
    subject = "One setting is" if count == 1 else f"{count} settings are"
    return ConfigError(f"{subject} not possible:\n{lines}", hint="ganlet list settings")


def _of_the_branch_meant(problems: list[Any]) -> list[Any]:
    """Without what is wrong with a list as one of the words that could stand in its place."""
    return [
        problem
        for problem in problems
        if not (isinstance(problem["input"], list | tuple) and str(problem["loc"][-1]).startswith("literal["))
    ]


def _describe(problem: Any) -> str:
    """One line for one pydantic error: dotted path, what is wrong, range or nearest known key."""
    kind, value = problem["type"], problem["input"]
    parts = [str(part) for part in problem["loc"] if not BRANCH.match(str(part))]
    path = ".".join(parts)
    if kind == "extra_forbidden":
        return f"{path}: unknown key{_suggest(parts)}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        known = sorted(paths()[_in_schema([*parts, "kind"])])
        given = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
        wrong = "must be given" if kind == "union_tag_not_found" else f"{_shown(given)} is not known"
        close = nearest(str(given), known)
        return f"{path}.kind: {wrong}; one of {', '.join(known)}" + (f"; did you mean {close}?" if close else "")
    if kind == "missing":
        return f"{path}: must be given"
    words = PLAIN_WORDS[kind].format(**problem.get("ctx", {})) if kind in PLAIN_WORDS else problem["msg"]
    if kind == "string_type" and isinstance(value, int | float):
        words = f'a string, such as "{value}" in quotes'
    message = words.removeprefix("Value error, ").removeprefix("Input should be ")
    known = paths().get(_in_schema([*parts, "kind"]), ())
    meant = f"; did you mean {path}.kind={value}?" if isinstance(value, str) and value in known else ""
    return f"{path}: {message[0].lower()}{message[1:]}, got {_shown(value)}{meant}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _in_schema(parts: list[str]) -> str:
    """A path as the schema knows it: without positions in lists."""
    return ".".join(part for part in parts if not part.isdigit())


def _suggest(parts: list[str]) -> str:
    """The nearest known key: a sibling, or the same name elsewhere in the tree."""
    path, name, known = _in_schema(parts), parts[-1], paths()
    if path in known:
        group, dot, leaf = name.rpartition(".")
        return f"; indent {leaf} under {group}" if dot else f"; only with kind {' or '.join(sorted(known[path]))}"
    parent = _in_schema(parts[:-1])
    siblings = [other.rpartition(".")[2] for other in known if other.rpartition(".")[0] == parent]
    if close := nearest(name, siblings):
        return f"; did you mean {'.'.join([*parts[:-1], close])}?"
    elsewhere = sorted(other for other in known if other.rpartition(".")[2] == name)
    if elsewhere:
        return f"; did you mean {' or '.join(elsewhere[:3])}?"
    if close := nearest(path, [other for other in known if not path.startswith(f"{other}.")]):
        return f"; did you mean {close}?"
    return ""
