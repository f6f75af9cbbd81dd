"""Markdown and its YAML head, written so that no name of a class, source or licence can become more than a name."""

from __future__ import annotations

import html
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganlet.config import plain_yaml
from ganlet.errors import UNSEEN

LONGEST = 200  # characters of a name
SPECIAL = re.compile(r"([\\`*_{}\[\]#|~!$])")
ADDRESS = re.compile(r"(?i)\b(https?|ftp|mailto|www)([:.])")  # what some readers make a link of


def one_line(value: object, longest: int | None = LONGEST) -> str:
    """A text as one line without what cannot be seen, and no longer than a name is."""
    text = UNSEEN.sub(" ", str(value))
    text = " ".join(text.split())
    return text if longest is None or len(text) <= longest else f"{text[:longest]}..."


def plain(value: object, longest: int | None = LONGEST) -> str:
    """A name from elsewhere as Markdown, and HTML within it, shows it as it is."""
    escaped = SPECIAL.sub(r"\\\1", html.escape(one_line(value, longest), quote=False))
    return ADDRESS.sub(lambda found: f"{found[1]}&#{ord(found[2])};", escaped)


def prose(value: object) -> str:
    """A sentence, of any length, that may hold names from elsewhere."""
    return plain(value, None)


def code(value: object) -> str:
    """A text as a piece of code; a backtick, which would end it, becomes an apostrophe."""
    return f"`{one_line(value).replace('`', chr(39)).replace('|', '¦')}`"


def word(value: object, instead: str) -> str:
    """A word of a command for a shell, or the placeholder `instead` where code would make another command of it."""
    quoted = shlex.quote(str(value))
    return quoted if len(quoted) < LONGEST // 2 and code(quoted) == f"`{quoted}`" else instead


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def head(values: Mapping[str, Any]) -> str:
    """The YAML that a card opens with, where every text is one line, so that none can close it."""
    return f"---\n{plain_yaml.dump(_of_lines(dict(values)))}---\n"


def _of_lines(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _of_lines(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_of_lines(item) for item in value]
    return one_line(value) if isinstance(value, str) else value
