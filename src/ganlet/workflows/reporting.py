"""Telling a person how it goes, on stderr: a live line in a terminal, plain lines elsewhere, or nothing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol

PLAIN_EVERY = 10.0  # seconds between plain lines
FEWEST_FOR_RATE = 20  # items; the rate of fewer says nothing


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


class Plain:
    """Lines without control characters, a progress line every ten seconds: for logs and pipes."""

    def __init__(self) -> None:
        self._next = 0.0
        self._rate = _Rate()

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        self._rate.update(what, done)
        if time.monotonic() >= self._next or done >= total:
            self._next = time.monotonic() + PLAIN_EVERY
            self.say(f"{what}  {done:,} of {total:,}  {self._rate.text(total - done)}  {note}".rstrip())

    def close(self) -> None: ...


class Live:
    """One live progress line in a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:,.0f} / {task.total:,.0f}"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[note]}", style="dim"),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, Any] = {}
        self._rate = _Rate()

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        self._rate.update(what, done)
        if what not in self._tasks:
            self._progress.start()
            self._tasks[what] = self._progress.add_task(what, total=total, rate="", note="")
        rate = self._rate.text(total - done)
        self._progress.update(self._tasks[what], completed=done, total=total, rate=rate, note=note)
        if done >= total:
            self._progress.remove_task(self._tasks.pop(what))

    def close(self) -> None:
        self._progress.stop()


def is_first_process() -> bool:
    """Whether this process may speak: under torchrun one speaks for all."""
    return os.environ.get("RANK", "0") == "0"


def choose_reporter() -> Reporter:
    """Live in a terminal, plain lines elsewhere; under torchrun one process speaks for all."""
    if not is_first_process():
        return Silent()
    return Live() if sys.stderr.isatty() else Plain()


def default_reporter() -> Reporter:
    """That of the library: live in a terminal or a notebook, else silent."""
    if not is_first_process():
        return Silent()
    in_notebook = "ipykernel" in sys.modules
    return Live() if in_notebook or sys.stderr.isatty() else Silent()


def describe_row(row: Mapping[str, Any], probabilities: bool = True) -> str:
    """The numbers of a log row that a person follows; logits where they make no probabilities."""
    names = [name for name in row if name.endswith("_loss")]
    if not {"generator_loss", "real_probability" if probabilities else "real_logit"} <= row.keys():  # another game
        return "loss " + " ".join(f"{name.removesuffix('_loss')} {row[name]:.3f}" for name in names)
    losses = f"loss D {row['discriminator_loss']:.3f} G {row['generator_loss']:.3f}"
    if not probabilities:
        return f"{losses}  logits real {row['real_logit']:.2f} fake {row['fake_logit']:.2f}"
    return f"{losses}  D(real) {row['real_probability']:.2f} D(fake) {row['fake_probability']:.2f}"


class _Rate:
    """Items a second since the start, and the time that is left at that rate."""

    def __init__(self) -> None:
        self._what = ""
        self._started = (0.0, 0)
        self._now = (0.0, 0)

    def update(self, what: str, done: int) -> None:
        self._now = (time.monotonic(), done)
        if what != self._what:
            self._what, self._started = what, self._now

    def text(self, left: int) -> str:
        seconds, items = self._now[0] - self._started[0], self._now[1] - self._started[1]
        if seconds <= 0 or items < FEWEST_FOR_RATE:
            return ""
        rate = items / seconds
        minutes, rest = divmod(round(left / rate), 60)
        hours, minutes = divmod(minutes, 60)
        clock = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
        return f"{rate:,.0f} images/s  {clock} left"
