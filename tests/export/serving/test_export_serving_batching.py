"""Who waits together is drawn together, in order, and each gets its own."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
import torch

from ganlet.export.serving.batching import Batcher, QueueFull, Stopped
from ganlet.latent.space import Points


class Gate:
    """Draws the numbers of points, and only while it is open."""

    def __init__(self) -> None:
        self.open, self.entered = threading.Event(), threading.Event()
        self.batches: list[list[int]] = []

    def __call__(self, points: Points) -> np.ndarray:
        self.entered.set()
        self.open.wait(20)
        self.batches.append(points.values[:, 0].int().tolist())
        return points.values[:, 0].numpy()


def points(*numbers: int):
    return lambda: Points(torch.tensor(numbers, dtype=torch.float32)[:, None])


async def begun(batcher: Batcher, *jobs: tuple[int, ...]) -> list[asyncio.Task]:
    """Jobs in their order, all in the queue."""
    tasks = [asyncio.create_task(batcher.drawn(len(numbers), points(*numbers))) for numbers in jobs]
    await asyncio.sleep(0)
    return tasks


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def batcher(gate):
    batcher = Batcher(gate, most=4, most_waiting=8)
    batcher.start()
    yield batcher
    gate.open.set()
    batcher.stop()


def test_what_gathers_while_a_batch_is_drawn_is_the_next_one(gate, batcher):
    async def main():
        first = await begun(batcher, (1,))
        await asyncio.to_thread(gate.entered.wait)
        others = await begun(batcher, (2,), (3, 4), (5, 6))
        assert batcher.waiting == 5
        gate.open.set()
        return [drawn.pictures.tolist() for drawn in await asyncio.gather(*first, *others)]

    assert asyncio.run(main()) == [[1], [2], [3, 4], [5, 6]]
    assert gate.batches == [[1], [2, 3, 4], [5, 6]]
    assert batcher.waiting == 0


def test_more_than_a_batch_is_drawn_in_parts(gate, batcher):
    async def main():
        gate.open.set()
        return (await batcher.drawn(6, points(*range(6)))).pictures.tolist()

    assert asyncio.run(main()) == list(range(6))
    assert gate.batches == [[0, 1, 2, 3], [4, 5]]


def test_a_full_queue_refuses(gate, batcher):
    async def main():
        first = await begun(batcher, (1,))
        await asyncio.to_thread(gate.entered.wait)
        others = await begun(batcher, tuple(range(5)))
        with pytest.raises(QueueFull):
            await batcher.drawn(4, points(*range(4)))
        others += await begun(batcher, (7, 8, 9))
        gate.open.set()
        await asyncio.gather(*first, *others)

    asyncio.run(main())


def test_whoever_has_gone_is_not_drawn(gate, batcher):
    async def main():
        first = await begun(batcher, (1,))
        await asyncio.to_thread(gate.entered.wait)
        gone, stays = await begun(batcher, (2,), (3,))
        gone.cancel()
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(*first, stays)

    asyncio.run(main())
    assert gate.batches == [[1], [3]]


def test_a_mistake_of_one_is_not_told_to_others(gate, batcher):
    def wrong():
        raise ValueError("no such label")

    async def main():
        first = await begun(batcher, (1,))
        await asyncio.to_thread(gate.entered.wait)
        bad = asyncio.create_task(batcher.drawn(1, wrong))
        (good,) = await begun(batcher, (2,))
        gate.open.set()
        await asyncio.gather(*first)
        with pytest.raises(ValueError, match="no such label"):
            await bad
        assert (await good).pictures.tolist() == [2]

    asyncio.run(main())


def test_drawing_may_fail_and_goes_on(batcher, gate):
    async def main():
        gate.open.set()
        batcher.draw = lambda points: 1 / 0
        with pytest.raises(ZeroDivisionError):
            await batcher.drawn(1, points(1))
        batcher.draw = gate
        assert (await batcher.drawn(1, points(2))).pictures.tolist() == [2]

    asyncio.run(main())


def test_stopping_draws_what_waits(gate, batcher):
    async def main():
        tasks = await begun(batcher, (1,), (2, 3))
        stopped = asyncio.create_task(asyncio.to_thread(batcher.stop))
        await asyncio.to_thread(gate.entered.wait)
        gate.open.set()
        await stopped
        assert [drawn.pictures.tolist() for drawn in await asyncio.gather(*tasks)] == [[1], [2, 3]]
        with pytest.raises(Stopped):
            await batcher.drawn(1, points(4))

    asyncio.run(main())
