"""The commands that draw again what is on the page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from ganlet.paths import printable
from ganlet.workflows.lab.lab import Lab


def run_name(lab: Lab) -> str:
    """What the run, or the file of its generator, is called: the page is passed on, and need not tell of folders."""
    return printable(lab.run.absolute().name)


def command(lab: Lab, verb: str, *arguments: object, **options: object) -> str:
    """`ganlet explore RUN VERB` with arguments; an option of several values is given again and again."""
    words = ["ganlet", "explore", run_name(lab), verb, *map(str, arguments)]
    for name, value in options.items():
        for one in value if isinstance(value, Sequence) and not isinstance(value, str) else [value]:
            words += [f"--{name.rstrip('_')}", str(one)]
    return " ".join(quoted(printable(word)) for word in words)


def quoted(word: str) -> str:
    """A word as a shell takes it; a # within a word means nothing to it."""
    plain = word.replace("#", "")
    return word if shlex.quote(plain) == plain and not word.startswith("#") else shlex.quote(word)
