"""Requests that wait together are drawn together: whoever comes while a batch is drawn is in the next one.

There is no time for which a request waits for others. A lone one is drawn at once; the more there are, the more the
device is busy, the more of them have gathered when it is free.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ganlet.latent.space import Points, joined


class QueueFull(Exception):
    """More pictures wait than are allowed to."""


class Stopped(Exception):
    """The thread that draws has ended."""


@dataclass(eq=False)
class Job:
    """What one request wants drawn: `num` points, which are made in the thread that draws."""

    num: int
    make: Callable[[], Points]
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Drawn]


@dataclass(frozen=True, eq=False)
class Drawn:
    """Points and their pictures uint8 (N, H, W, C)."""

    points: Points
    pictures: np.ndarray


@dataclass(eq=False)
class Batcher:
    """A thread that draws, and the queue in front of it.

    Args:
        draw: points (N, ...), N up to `most`, to pictures.
        most: pictures that are drawn at once; a request for more is drawn in parts.
        most_waiting: pictures in the queue.
        watch: told the size of each batch.
    """

    draw: Callable[[Points], np.ndarray]
    most: int
    most_waiting: int
    watch: Callable[[int], None] = lambda size: None
    name: str = "draws"
    waiting: int = 0  # pictures that nobody draws yet
    _jobs: deque[Job] = field(default_factory=deque)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stopping: bool = False
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to draw."""
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Draw what waits, and end."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    async def drawn(self, num: int, make: Callable[[], Points]) -> Drawn:
        """The pictures of `num` points. Raises `QueueFull`, and whatever `make` and drawing raise."""
        loop = asyncio.get_running_loop()
        job = Job(num, make, loop, loop.create_future())
        with self._changed:
            if self._stopping:
                raise Stopped
            if self.waiting + num > self.most_waiting:
                raise QueueFull
            self.waiting += num
            self._jobs.append(job)
            self._changed.notify()
        return await job.answer

    def _run(self) -> None:
        while jobs := self._next():
            made: list[tuple[Job, Points]] = []
            failed: list[tuple[Job, Exception]] = []
            for job in jobs:
                try:
                    made.append((job, job.make()))
                except Exception as error:
                    failed.append((job, error))
            answers: list[tuple[Job, Drawn]] = []
            if made:
                try:
                    answers = self._drawn(made)
                except Exception as error:  # no memory: the next batch may be smaller
                    failed += [(job, error) for job, _ in made]
            for loop in {job.loop for job in jobs}:  # one of them but in tests
                loop.call_soon_threadsafe(_tell, loop, answers, failed)

    def _next(self) -> list[Job]:
        """All jobs that wait and fit together; one at least. Nothing at the end."""
        with self._changed:
            while True:
                while not self._jobs and not self._stopping:
                    self._changed.wait()
                taken: list[Job] = []
                room = self.most
                while self._jobs and (not taken or self._jobs[0].num <= room):
                    job = self._jobs.popleft()
                    self.waiting -= job.num
                    if not job.answer.cancelled():  # whoever asked has gone, or has waited for too long
                        taken.append(job)
                        room -= job.num
                if taken or self._stopping:
                    return taken

    def _drawn(self, made: list[tuple[Job, Points]]) -> list[tuple[Job, Drawn]]:
        together = joined(points for _, points in made)
        parts = []
        for start in range(0, len(together), self.most):
            part = together[start : start + self.most]
            parts.append(self.draw(part))
            self.watch(len(part))
        pictures, start, answers = np.concatenate(parts), 0, []
        for job, points in made:
            answers.append((job, Drawn(points, pictures[start : start + len(points)])))
            start += len(points)
        return answers


def _tell(
    loop: asyncio.AbstractEventLoop, answers: list[tuple[Job, Drawn]], failed: list[tuple[Job, Exception]]
) -> None:
    """Answer all jobs of a loop, in its thread."""
    for job, drawn in answers:
        if job.loop is loop and not job.answer.done():
            job.answer.set_result(drawn)
    for job, error in failed:
        if job.loop is loop and not job.answer.done():
            job.answer.set_exception(error)
