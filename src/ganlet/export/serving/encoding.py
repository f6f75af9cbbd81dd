"""Threads that encode what was drawn. Work that has begun keeps its place to its end, whoever waits for it or not.

Nobody can stop a thread: an answer that took too long is encoded to the end all the same. Were its place given to the
next request then, there would soon be more threads than processors, and no answer in time.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ganlet.export.serving.batching import QueueFull
from ganlet.export.serving.limits import Limits

ANSWERS = 16  # of the largest size: 3 to 10 seconds of work for one thread, far fewer than a request may take

Done = TypeVar("Done")


class Lane:
    """Some threads, and the work that waits for them: up to so many pixels, begun ones included."""

    def __init__(self, threads: int, most: int, name: str) -> None:
        self.most = most
        self.pixels = 0
        self._pool = ThreadPoolExecutor(threads, name)
        self._lock = threading.Lock()

    def require_room(self, pixels: int) -> None:
        """Raise `QueueFull` where work of so many pixels would not be taken. An empty lane takes any."""
        if self.pixels and self.pixels + pixels > self.most:
            raise QueueFull

    async def run(self, work: Callable[[], Done], pixels: int) -> Done:
        """The result of some work, done in a thread. Raises `QueueFull`, and whatever it raises."""
        with self._lock:
            self.require_room(pixels)
            self.pixels += pixels

        def left(_: object) -> None:
            with self._lock:
                self.pixels -= pixels

        future = self._pool.submit(work)
        future.add_done_callback(left)  # at its end; where nobody waits any more before it has begun, at once
        return await asyncio.wrap_future(future)

    def stop(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Encoders:
    """A lane for films and one for all else: a film takes as long as dozens of other answers, which do not wait for it.

    The other processors are for drawing; one thread of each there is at least.
    """

    def __init__(self, limits: Limits) -> None:
        processors, most = os.cpu_count() or 1, ANSWERS * limits.pixels
        self.stills = Lane(max(1, processors // 2), most, "encodes")
        self.films = Lane(max(1, processors // 4), most, "encodes films")

    def lane(self, film: bool) -> Lane:
        """Where a kind of answer is encoded."""
        return self.films if film else self.stills

    def stop(self) -> None:
        """Begin nothing more."""
        self.stills.stop()
        self.films.stop()
