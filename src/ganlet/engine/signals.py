"""Stopping politely: the first signal asks the loop to finish its iteration and save; a second ends at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ganlet.caller import is_command_line

# What a person sends who wants it to end: twice means at once.
URGENT = (signal.SIGINT, signal.SIGTERM)
# What else a system sends to a job that is to end: a terminal that has gone, a limit of time, a scheduler.
# They come several times and mean no more then.
NOTICES = tuple(
    getattr(signal, name) for name in ("SIGHUP", "SIGXCPU", "SIGUSR1", "SIGUSR2", "SIGBREAK") if hasattr(signal, name)
)
SIGNALS = (*URGENT, *NOTICES)


class StopRequest:
    """The number of the signal that asked to stop; 0 while none has."""

    number = 0


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Within this context signals that end a job only leave a note.

    A second SIGINT or SIGTERM after such a first one ends the command line's process at once, and is KeyboardInterrupt
    in a program. What is ignored (nohup) or, of the notices, handled by the program stays so. Outside the main thread
    all of them are left alone.
    """
    request = StopRequest()
    before: dict[int, Any] = {}
    urged = False

    def put_back() -> None:
        while before:
            signal.signal(*before.popitem())

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal urged
        if number in URGENT and urged:
            if not is_command_line():
                put_back()
                raise KeyboardInterrupt
            os._exit(128 + number)
        urged = urged or number in URGENT
        request.number = request.number or number

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    for number in filter(_ends_the_process, SIGNALS):
        before[number] = signal.signal(number, note)
    try:
        yield request
    finally:
        put_back()


def _ends_the_process(number: int) -> bool:
    """Whether a signal is one that this process should note: neither ignored, nor a notice that the program handles."""
    handler = signal.getsignal(number)
    if number in URGENT:
        return handler not in (signal.SIG_IGN, None)  # None: set by code that is not Python's, and cannot be put back
    return handler == signal.SIG_DFL
