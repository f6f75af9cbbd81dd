"""Stopping politely: the first signal asks the loop to finish its iteration and save; the second ends at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """The number of the signal that asked to stop; 0 while none has."""

    number = 0


@contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Within this context SIGINT and SIGTERM only leave a note; outside the main thread they are left alone."""
    request = StopRequest()

    def note(number: int, frame: FrameType | None) -> None:
        if request.number:
            os._exit(128 + number)
        request.number = number

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
