"""Who calls: the command line, whose words are options and commands, or a program, whose words are arguments."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

_callers: list[str] = []

# Options that are called otherwise, or need no value, as arguments.
ARGUMENTS = {
    "label": "labels",
    "set": "overrides",
    "allow-data-change": "allow_data_change=True",
    "show-anyway": "show_anyway=True",
    "force": "force=True",
}


SETTING = r"--set [\w.]+=(?:\.\.\.|\S*[^\s,.;])"
COMMAND = re.compile(r"(\bganlet [a-z-][^,;]*)")


@contextmanager
def command_line() -> Iterator[None]:
    """Within this context the command line calls; else a program does."""
    _callers.append("command line")
    try:
        yield
    finally:
        _callers.pop()


def is_command_line() -> bool:
    """Whether a person typed what is being done, and this process is there for nothing else."""
    return bool(_callers)


def in_callers_words(text: str) -> str:
    """A text that names options, such as `--label` or `--set data.flip=true`, with the names that its reader types.

    Whole commands (`ganlet resume RUN ...`) stay what they are: a shell is at hand for both.
    """
    if is_command_line():
        return text
    parts = COMMAND.split(text)  # what is outside of commands, and a command, by turns
    return "".join(part if place % 2 else _of_arguments(part) for place, part in enumerate(parts))


def _of_arguments(text: str) -> str:
    text = re.sub(rf"{SETTING}(?: {SETTING})*", lambda found: _overrides(found[0]), text)
    text = re.sub(r"--(device|preset) (\w+)", r'\1="\2"', text)
    return re.sub(r"(?<![\w-])--([a-z][a-z-]*)", lambda found: _argument(found[1]), text)


def _overrides(options: str) -> str:
    """What settings are called in Python that a person types as `--set KEY=VALUE --set ...`."""
    pairs = re.findall(r"--set ([\w.]+)=(\S+)", options)
    return "overrides={" + ", ".join(f'"{key}": {_value(value)}' for key, value in pairs) + "}"


def _argument(option: str) -> str:
    return ARGUMENTS.get(option, option.replace("-", "_"))


def _value(text: str) -> str:
    """What a value is called in Python that a person types after `--set KEY=`."""
    known = {"true": "True", "false": "False", "null": "None"}
    return known.get(text) or (text if re.fullmatch(r"-?[\d.]+(e-?\d+)?", text) else json.dumps(text))
