"""What goes wrong and how it is told: one message with what, where, got, expected and what to do next.

Each class has the exit code that the command line ends with; README and `docs/errors.md` list them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import PurePath

from ganlet.caller import in_callers_words

# What a name from outside could do to a terminal: control and direction characters, and bytes that are no text.
UNSEEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class GanletError(Exception):
    """Base of every error that ganlet raises on purpose.

    `what` is a sentence that a user understands. The other parts are optional, in the order a reader needs them:
    where it is (path, key, line), what was found, what was expected, and the next thing to type. What names options is
    told to a program in the names of its arguments.
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        got: object = None,
        expected: object = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.got = got
        self.expected = expected
        self.hint = hint
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The whole error as lines of text."""
        parts = [self.what]
        for label, value in (("where", self.where), ("got", self.got), ("expected", self.expected)):
            if value is not None:
                text = in_callers_words(value) if label == "where" and isinstance(value, str) else str(value)
                if isinstance(value, PurePath):
                    text = text.replace("\n", "\\n")  # a name, not the end of a line
                parts.append(f"  {label + ':':<10}{text}")
        if self.hint is not None:
            parts.append(f"  {'next:':<10}{in_callers_words(self.hint)}")
        return UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), "\n".join(parts))


class ConfigError(GanletError):
    """A setting that is unknown, of the wrong type, out of range, or impossible beside another one."""


class DataError(GanletError):
    """A source of pictures that is missing, empty, broken or changed."""


class RunError(GanletError):
    """A run folder that cannot be used: not a run, not empty, in use by another process, of another config."""


class CheckpointError(GanletError):
    """A checkpoint that is damaged, incomplete or belongs to another config."""


class MetricError(GanletError):
    """A number that cannot be computed from what was given: too few pictures, features that are not finite."""


class EnvironmentProblem(GanletError):
    """The machine lacks something that was asked for: a device, an optional package, a fast data type."""

    exit_code = 3


class ResourceProblem(GanletError):
    """The machine ran out of disk or memory."""

    exit_code = 4


class TrainingError(GanletError):
    """Training itself failed: a loss, gradient or weight is not finite."""

    exit_code = 5


class Interrupted(GanletError):
    """A signal asked the run to stop; everything was saved. `signal_number` gives the exit code 128 + n."""

    def __init__(self, signal_number: int, what: str, *, hint: str | None = None) -> None:
        super().__init__(what, hint=hint)
        self.exit_code = 128 + signal_number


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be, or None when nothing is close."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None
