"""YAML without its traps, in and out: no tags, no aliases, no duplicate keys; `no`, `1:30` and dates are text.

That is YAML 1.2 as far as configs need it; PyYAML by itself reads 1.1, for which 1e-4 is text too.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
import yaml.composer
import yaml.constructor
import yaml.reader

from ganlet.errors import ConfigError

MAX_BYTES = 2**16  # a whole config has 2 kB; PyYAML takes a second for a few times this

TAG = "tag:yaml.org,2002:"
FLOAT = (f"{TAG}float", re.compile(r"[-+]?(\d+\.\d*|\.\d+|\d+(?=[eE]))([eE][-+]?\d+)?$"), [*"-+.0123456789"])
# What stands for something else than text if it is not quoted: tag, form, first characters.
NOT_TEXT = (
    FLOAT,
    (f"{TAG}int", re.compile(r"[-+]?(0|[1-9][0-9_]*)$"), [*"-+0123456789"]),
    (f"{TAG}bool", re.compile(r"(true|True|TRUE|false|False|FALSE)$"), [*"tTfF"]),
    (f"{TAG}null", re.compile(r"(~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
)


class _Loader(yaml.SafeLoader):
    """Safe YAML without tags, aliases (which can grow without bound) and duplicate keys (of which one is lost)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed", event.start_mark)
        if tag := getattr(event, "tag", None):
            raise yaml.composer.ComposerError(None, None, f"the tag {tag!r} is not allowed", event.start_mark)
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

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError:
            raise yaml.constructor.ConstructorError(
                None, None, "the number has too many digits", node.start_mark
            ) from None


class _Dumper(yaml.SafeDumper):
    """Quotes the text that YAML 1.1 or 1.2 would read as something else."""


_Loader.yaml_implicit_resolvers = {}
for resolver in NOT_TEXT:
    _Loader.add_implicit_resolver(*resolver)
_Dumper.add_implicit_resolver(*FLOAT)


def load(content: bytes | str, where: str) -> Any:
    """What the YAML holds: dicts, lists, text, numbers, booleans, None. Raises `ConfigError` with line and column."""
    if len(content) > MAX_BYTES:
        raise ConfigError("This is too large for a config.", where=where, expected=f"at most {MAX_BYTES:,} bytes")
    # Bytes that are not UTF-8 become characters that YAML refuses, with their place.
    text = content if isinstance(content, str) else content.decode("utf-8-sig", "surrogateescape")
    try:
        return yaml.load(text, Loader=_Loader)
    except RecursionError:
        raise ConfigError("This is not a config: it is nested too deeply.", where=where) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
        problem = "this character is not text in UTF-8"
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        problem = str(error.problem).removeprefix("but ")
    raise ConfigError(f"This is not a config: {problem}.", where=f"{where}, line {line + 1}, column {column + 1}")


def dump(tree: Any) -> str:
    """Dicts, lists and values as YAML text."""
    return yaml.dump(tree, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=100)
