"""What commands print, and the streams that they print to, which may be closed, full, or of another encoding."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, cast

from ganlet.errors import ResourceProblem
from ganlet.workflows.reporting import Lenient

READER_GONE = 141  # 128 + SIGPIPE, as of any program whose reader has gone


def show(result: object) -> None:
    """Print a result to stdout.

    Ends the command with `READER_GONE` where nobody reads it any more. Raises `ResourceProblem` where it cannot be
    written.
    """
    try:
        print(result, flush=True)
    except (OSError, ValueError) as error:
        _give_up_stdout()
        if isinstance(error, BrokenPipeError):
            sys.exit(READER_GONE)
        raise unwritable(error) from error


def tell(text: object) -> None:
    """Print to stderr, which is no reason for anything to end."""
    print(text, file=Lenient(sys.stderr), flush=True)


def tell_result(result: object) -> None:
    """Print to stdout where something was made, and is there whether somebody reads of it or not."""
    with suppress(SystemExit, ResourceProblem):
        show(result)


def unwritable(error: OSError | ValueError) -> ResourceProblem:
    """The error for a stdout that cannot be written to."""
    got = getattr(error, "strerror", None) or str(error)
    return ResourceProblem("The result cannot be written to stdout.", got=got, hint="give it a place with room")


@contextmanager
def usable_streams() -> Iterator[None]:
    """Within this context stdin, stdout and stderr are open, take any text, and stderr never fails."""
    _open_what_is_closed()
    out = sys.stdout
    errors = _escaping(out)
    try:
        with ExitStack() as stack:
            if out is None:
                stack.enter_context(redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
            stack.enter_context(redirect_stderr(cast(Any, Lenient(sys.stderr))))
            yield
    finally:
        if errors is not None:
            with suppress(OSError, ValueError):
                cast(Any, out).reconfigure(errors=errors)


def _escaping(out: Any) -> str | None:
    """Let a stream escape what its encoding lacks, as stderr does; returns how it was, where it can be told."""
    if not hasattr(out, "reconfigure"):
        return None
    errors = out.errors
    with suppress(OSError, ValueError):  # it flushes
        out.reconfigure(errors="backslashreplace")
    return errors


def _open_what_is_closed() -> None:
    """Put nothing at the numbers of closed streams, lest the next file that is opened be taken for one of them."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free


def _give_up_stdout() -> None:
    """Drop what stdout still holds: at its end Python would try, and complain, once more."""
    with suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
