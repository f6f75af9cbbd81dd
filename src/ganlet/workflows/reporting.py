"""Telling a person how it goes, on stderr: a live line in a terminal, plain lines elsewhere, or nothing.

Whoever listens may go away, and telling is never worth the work that is told of: see `Lenient`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from importlib.util import find_spec
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from rich.progress import TaskID

PLAIN_EVERY = 10.0  # seconds between plain lines
FEWEST_FOR_PACE, SECONDS_FOR_PACE = 20, 600  # items, of which fewer say nothing; the newest that count


class Reporter(Protocol):
    """Where a workflow tells what it is doing."""

    def say(self, text: str) -> None:
        """One line of prose."""
        ...

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """How far `what` has come."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


class Silent:
    """Tells nothing: the default of the library."""

    def say(self, text: str) -> None: ...

    def progress(self, what: str, done: int, total: int, note: str = "") -> None: ...

    def close(self) -> None: ...


class Lenient:
    """A text stream that never fails: what its encoding lacks is escaped, and what cannot be written is not.

    A closed pipe, a full disk, a terminal that has gone or a stream that was never open (None) silence it for good.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._silent = stream is None

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError("only text can be told")  # as text streams say, by which they are told from binary ones
        try:
            if not self._silent:
                self._stream.write(text)
        except UnicodeEncodeError:
            encoding = getattr(self._stream, "encoding", None) or "ascii"
            self.write(text.encode(encoding, "backslashreplace").decode(encoding))
        except (OSError, ValueError):  # ValueError: it is closed
            self._silent = True
        return len(text)

    def flush(self) -> None:
        try:
            if not self._silent:
                self._stream.flush()
        except (OSError, ValueError):
            self._silent = True

    def isatty(self) -> bool:
        try:
            return not self._silent and self._stream.isatty()
        except (OSError, ValueError):
            return False

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":  # not even made yet
            raise AttributeError(name)
        return getattr(self._stream, name)


class _Tasks:
    """What is being done, by name: rich notes how far it has come, and so how fast it goes."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._stream = Lenient(sys.stderr)
        self._console = Console(file=cast(IO[str], self._stream), highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f} / {task.total:,.0f}"),
            TextColumn("{task.fields[pace]}"),
            TextColumn("{task.fields[note]}", style="dim"),
            console=self._console,
            transient=True,
            get_time=time.monotonic,
            speed_estimate_period=SECONDS_FOR_PACE,
        )
        self._tasks: dict[str, TaskID] = {}

    def _update(self, what: str, done: int, total: int, note: str) -> str:
        """Returns items a second and the time that is left, as soon as there are enough to tell."""
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total, pace="", note="")
        key = self._tasks[what]
        self._progress.update(key, completed=done, total=total, note=note)
        (task,) = (task for task in self._progress.tasks if task.id == key)
        pace = ""
        if task.speed and task.time_remaining is not None and done >= FEWEST_FOR_PACE:
            pace = f"{task.speed:,.0f} images/s  {timedelta(seconds=task.time_remaining)} left"
            self._progress.update(key, pace=pace)
        if done >= total:
            self._progress.remove_task(self._tasks.pop(what))
        return pace


class Plain(_Tasks):
    """Lines without control characters, a progress line every ten seconds: for logs and pipes."""

    _next = 0.0

    def say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        pace = self._update(what, done, total, note)
        if time.monotonic() >= self._next or done >= total:
            self._next = time.monotonic() + PLAIN_EVERY
            self.say(f"{what}  {done:,} of {total:,}  {pace}  {note}".rstrip())

    def close(self) -> None: ...


class Live(_Tasks):
    """One live progress line in a terminal or a notebook."""

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        self._progress.start()
        self._update(what, done, total, note)

    def close(self) -> None:
        self._progress.stop()


def is_first_process() -> bool:
    """Whether this process may speak: under torchrun one speaks for all."""
    return os.environ.get("RANK", "0") == "0"


def choose_reporter() -> Reporter:
    """Live in a terminal, plain lines elsewhere; under torchrun one process speaks for all."""
    if not is_first_process():
        return Silent()
    return Live() if Lenient(sys.stderr).isatty() else Plain()


def default_reporter() -> Reporter:
    """What a library may do unasked: a live line in a terminal or a notebook (plain ones where it has no widgets)."""
    from rich.console import Console

    notebook = Console().is_jupyter
    if not is_first_process() or not (notebook or Lenient(sys.stderr).isatty()):
        return Silent()
    return Plain() if notebook and find_spec("ipywidgets") is None else Live()


def describe_row(row: Mapping[str, Any], probabilities: bool = True) -> str:
    """The numbers of a log row that a person follows; logits where they make no probabilities."""
    names = [name for name in row if name.endswith("_loss")]
    if not {"generator_loss", "real_probability" if probabilities else "real_logit"} <= row.keys():  # another game
        return "loss " + " ".join(f"{name.removesuffix('_loss')} {row[name]:.3f}" for name in names)
    losses = f"loss D {row['discriminator_loss']:.3f} G {row['generator_loss']:.3f}"
    if not probabilities:
        return f"{losses}  logits real {row['real_logit']:.2f} fake {row['fake_logit']:.2f}"
    return f"{losses}  D(real) {row['real_probability']:.2f} D(fake) {row['fake_probability']:.2f}"
