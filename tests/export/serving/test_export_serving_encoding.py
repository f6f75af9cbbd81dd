"""Who encodes, who waits for it, and who is refused."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from ganlet.export.serving import encoding, pictures
from ganlet.export.serving.batching import QueueFull
from ganlet.export.serving.encoding import Lane
from ganlet.export.serving.limits import Limits


@pytest.fixture
def opened():
    opened = threading.Event()
    yield opened
    opened.set()


@pytest.fixture
def lane():
    lane = Lane(1, most=10, name="encodes")
    yield lane
    lane.stop()


async def until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


def test_work_that_nobody_waits_for_any_more_holds_its_place_to_its_end(lane, opened):
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        opened.wait(20)
        return number

    async def main():
        first = asyncio.create_task(lane.run(lambda: work(1), 6))
        await until(lambda: begun == [1])
        first.cancel()
        second = asyncio.create_task(lane.run(lambda: work(2), 4))
        await asyncio.sleep(0.05)
        assert begun == [1]
        assert lane.pixels == 10
        with pytest.raises(QueueFull):
            await lane.run(lambda: work(3), 1)
        opened.set()
        assert await second == 2
        await until(lambda: lane.pixels == 0)

    asyncio.run(main())
    assert begun == [1, 2]


def test_work_that_waits_leaves_with_who_waits_for_it(lane, opened):
    async def main():
        first = asyncio.create_task(lane.run(lambda: opened.wait(20), 6))
        gone = asyncio.create_task(lane.run(lambda: pytest.fail("nobody waits for it"), 4))
        await until(lambda: lane.pixels == 10)
        gone.cancel()
        await until(lambda: lane.pixels == 6)
        opened.set()
        assert await first

    asyncio.run(main())


def test_an_empty_lane_takes_any_work_and_tells_its_mistake(lane):
    async def main():
        assert await lane.run(lambda: 1, 100) == 1
        with pytest.raises(ZeroDivisionError):
            await lane.run(lambda: 1 // 0, 100)
        await until(lambda: lane.pixels == 0)

    asyncio.run(main())


def test_no_still_waits_for_films_and_too_many_of_them_are_refused_at_once(behind, monkeypatch, opened):
    encoded = pictures.encoded

    def slow(drawing, form, layout):
        if layout.film:
            opened.wait(20)
        return encoded(drawing, form, layout)

    monkeypatch.setattr(pictures, "encoded", slow)
    monkeypatch.setattr(encoding, "ANSWERS", 0)  # none waits
    film, sheet = {"seeds": [1, 2], "steps": 6, "format": "webp"}, {"num": 64, "scale": 2, "format": "png"}
    with behind(limits=Limits(seconds=0.6)) as client:
        late = client.post("/interpolate", json=film)
        assert (late.status_code, late.json()["error"]) == (503, "This took longer than 0.6 seconds.")
        began = time.monotonic()
        refused = client.post("/interpolate", json=film)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert "Too much" in refused.json()["error"]
        assert time.monotonic() - began < 0.5
        assert client.post("/generate", json=sheet).status_code == 200
        opened.set()
        deadline = time.monotonic() + 20
        while client.post("/interpolate", json=film).status_code == 503:
            assert time.monotonic() < deadline
