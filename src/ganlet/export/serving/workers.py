"""Several processes that share one socket: begun, watched, replaced, and stopped together."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import NoReturn

from ganlet.errors import EnvironmentProblem, Interrupted

SIGNALS = (signal.SIGINT, signal.SIGTERM)
MOST_ENDS, WITHIN = 5, 60.0  # workers that may end by themselves within so many seconds

Work = Callable[[int, Callable[[], None]], None]


class Crew:
    """Processes by number. They are forked before torch is imported, and each opens the models itself."""

    def __init__(self, work: Work, stopping: Callable[[], None]) -> None:
        self.work = work
        self.stopping = stopping
        self.stopped_by = 0
        self.numbers: dict[int, int] = {}  # by process id

    def begin(self, number: int) -> bool:
        """Begin a worker; returns, here, whether it got ready. In the worker it returns never.

        Once a signal has come none is begun. One that comes now waits until it finds, here, the worker among those that
        it asks to stop, and, there, what a worker does at a signal.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            if self.stopped_by:
                return False
            reading, writing = os.pipe()
            pid = os.fork()
            if pid:
                self.numbers[pid] = number
            else:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if not pid:
            os.close(reading)
            self.work(number, partial(_tell_ready, writing))
            sys.exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            return pipe.read(1) == b"1"

    def note(self, number: int, frame: FrameType | None = None) -> None:
        """Handle a signal: the first one asks workers to stop, a second one ends them."""
        again, self.stopped_by = bool(self.stopped_by), self.stopped_by or number
        self.stopping()
        self.ask_to_stop(signal.SIGKILL if again else signal.SIGTERM)

    def ask_to_stop(self, number: int = signal.SIGTERM) -> None:
        """Send all workers a signal."""
        for pid in list(self.numbers):
            with suppress(ProcessLookupError):  # it has ended, and is about to be taken off the list
                os.kill(pid, number)

    def wait(self) -> tuple[int, int]:
        """The number and exit code of the next worker that ends."""
        pid, status = os.wait()
        while pid not in self.numbers:  # the first process of a container is given those whose parent has ended
            pid, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        return self.numbers.pop(pid), code if code >= 0 else 128 - code


def supervised(
    num: int, work: Work, ready: Callable[[], None], tell: Callable[[str], None], stopping: Callable[[], None]
) -> NoReturn:
    """Keep `num` workers at work until a signal comes, which is `Interrupted` when all have ended.

    `stopping` is called at the signal: this process must not keep open what its workers close.
    Where the first one does not get ready this process ends with its exit code; it has said why.
    """
    crew = Crew(work, stopping)
    before = {number: signal.signal(number, crew.note) for number in SIGNALS}
    try:
        for number in range(num):
            if not crew.begin(number) and not crew.stopped_by:
                code = _end(crew)
                sys.exit(code)
        if not crew.stopped_by:
            ready()
        ends: list[float] = []
        while not crew.stopped_by:
            number, code = crew.wait()
            if crew.stopped_by:
                break
            ends = [moment for moment in ends if time.monotonic() - moment < WITHIN] + [time.monotonic()]
            if len(ends) > MOST_ENDS:
                _end(crew)
                raise EnvironmentProblem("Workers keep ending by themselves.", got=f"exit code {code}")
            tell(f"Worker {number} ended with code {code}; another one takes its place.")
            crew.begin(number)
        _end(crew)
        raise Interrupted(crew.stopped_by, "Stopped: whatever was asked has been answered.")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell_ready(pipe: int) -> None:
    with suppress(BrokenPipeError):  # who watched over this worker has gone, which it is about to notice
        os.write(pipe, b"1")
    os.close(pipe)


def _end(crew: Crew) -> int:
    """Ask all to stop, and wait for them; returns the highest exit code of those that ended by themselves."""
    codes: list[int] = []
    if not crew.stopped_by:  # else they have been asked, and a second time would end them at once
        crew.ask_to_stop()
    while crew.numbers:
        codes.append(crew.wait()[1])
    return max((code for code in codes if code != 128 + signal.SIGTERM), default=1)
