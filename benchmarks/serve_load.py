"""How many requests does `ganlet serve` answer, how soon, and does it lose any? Each part prints a line of JSON.

    python benchmarks/serve_load.py load RUN [--clients 32] [--seconds 10] [--rounds 3]   batches, and one by one
    python benchmarks/serve_load.py draw RUN [--clients 32] [--seconds 10] [--rounds 3]   the same without HTTP and PNG
    python benchmarks/serve_load.py stop RUN [--clients 32] [--rounds 10]                 SIGTERM under load

The server is a process of its own, started as the command line starts it; clients are this process, each with one
connection that it keeps, and asks for the picture of another seed as soon as it has one. `load` draws at first whatever
waits together, then one picture at a time: a batch of one, not filled up. `stop` counts, for requests that were sent
before the signal, whether their answers came whole.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import count
from typing import Any

from ganlet.runs.picture_files import decode

# What draws one picture at a time, and does not fill up what it draws.
ONE_BY_ONE = """
import sys
from ganlet.export.serving.exact_batches import ExactBatches
ExactBatches.pictures = lambda self, points: self.space.pictures(points)
sys.argv += ["--batch", "1"]
"""
COMMAND = "from ganlet.cli import main; main()"


class Server:
    """`ganlet serve` as a process, at a port of its own."""

    def __init__(self, run: str, *options: str, before: str = "") -> None:
        arguments = ["serve", run, "--port", "0", *options]
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"{before}\n{COMMAND}", *arguments], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        address = self.process.stdout.readline().strip()
        self.port = int(address.rpartition(":")[2])

    def stop(self) -> int:
        """The exit code after a SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@dataclass
class Seen:
    """What clients saw: seconds of each answer, status codes, and requests whose answer did not come whole."""

    seconds: list[float] = field(default_factory=list)
    codes: Counter[int] = field(default_factory=Counter)
    lost: int = 0
    refused: int = 0  # connections, when nobody listens any more
    example: bytes = b""


async def client(port: int, seeds: Any, ends: asyncio.Event, seen: Seen, path: str) -> None:
    """Ask again and again on one connection; on another one where the server closes it."""
    reader = writer = None
    while not ends.is_set():
        if writer is None:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                seen.refused += 1
                return
        assert reader is not None
        began = time.perf_counter()
        try:
            writer.write(f"GET {path.format(seed=next(seeds))} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            seen.example = await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            seen.lost += 1
            return
        seen.seconds.append(time.perf_counter() - began)
        seen.codes[int(head.split()[1])] += 1
        if "connection: close" in head:
            writer.close()
            writer = None


async def crowd(port: int, num: int, seconds: float, path: str, at_end: Any = None) -> tuple[Seen, float]:
    """Let `num` clients ask for some seconds; returns what they saw, and how long it took."""
    seen, ends, seeds, began = Seen(), asyncio.Event(), count(), time.perf_counter()
    clients = [asyncio.create_task(client(port, seeds, ends, seen, path)) for _ in range(num)]
    await asyncio.sleep(seconds)
    if at_end is None:
        ends.set()
    else:
        at_end()  # clients go on until nobody listens
    await asyncio.gather(*clients)
    return seen, time.perf_counter() - began


def measure_load(run: str, clients: int, seconds: float, path: str, before: str) -> dict[str, Any]:
    """Requests a second and their times, after a second of warming up."""
    server = Server(run, before=before)
    try:
        asyncio.run(crowd(server.port, clients, 1.0, path))
        seen, took = asyncio.run(crowd(server.port, clients, seconds, path))
    finally:
        code = server.stop()
    times = sorted(seen.seconds)
    return {
        "requests_per_second": round(len(times) / took, 1),
        "p50_ms": round(1e3 * times[len(times) // 2], 1),
        "p99_ms": round(1e3 * times[int(len(times) * 0.99)], 1),
        "codes": dict(seen.codes),
        "lost": seen.lost,
        "picture": list(decode(seen.example, ".png")[0].shape[1:]),
        "exit_code": code,
    }


def compare_load(run: str, clients: int, seconds: float, rounds: int, path: str) -> dict[str, Any]:
    """Medians over rounds, batches and one by one in turn."""
    found: dict[str, list[dict[str, Any]]] = {"batches": [], "one by one": []}
    for _ in range(rounds):
        for name, rows in found.items():
            rows.append(measure_load(run, clients, seconds, path, ONE_BY_ONE if name == "one by one" else ""))
    speeds = {name: statistics.median(row["requests_per_second"] for row in rows) for name, rows in found.items()}
    return {
        "benchmark": "load",
        "clients": clients,
        **found,
        "ratio": round(speeds["batches"] / speeds["one by one"], 2),
    }


async def draws(model: Any, clients: int, seconds: float) -> float:
    """Pictures a second that clients of one model are given, who each ask for one at a time."""
    ends, seeds, done = time.perf_counter() + seconds, count(), 0

    async def ask() -> None:
        nonlocal done
        while time.perf_counter() < ends:
            await model.draw(1, partial(model.sampled, 1, next(seeds), None, None))
            done += 1

    began = time.perf_counter()
    await asyncio.gather(*(ask() for _ in range(clients)))
    return done / (time.perf_counter() - began)


def compare_draws(run: str, clients: int, seconds: float, rounds: int) -> dict[str, Any]:
    """What the queue and the network do alone: batches and one by one in turn."""
    import torch

    from ganlet.export.serving.limits import Limits
    from ganlet.export.serving.meters import Meters
    from ganlet.export.serving.models import open_models

    torch.set_num_threads(1)
    (together,) = open_models([run], Limits(), Meters(), "cpu").values()
    alone = together.again(Limits(batch=1), Meters())
    alone.batcher.draw = alone.lab.space.pictures
    found: dict[str, list[float]] = {"batches": [], "one by one": []}
    for model in (together, alone):
        model.batcher.start()
    for _ in range(rounds):
        for name, model in (("batches", together), ("one by one", alone)):
            found[name].append(round(asyncio.run(draws(model, clients, seconds)), 1))
    for model in (together, alone):
        model.batcher.stop()
    ratio = statistics.median(found["batches"]) / statistics.median(found["one by one"])
    return {"benchmark": "draw", "clients": clients, "pictures_per_second": found, "ratio": round(ratio, 2)}


def measure_stop(run: str, clients: int, rounds: int, path: str) -> dict[str, Any]:
    """What becomes of requests when the server is asked to end."""
    found: dict[str, Any] = {"benchmark": "stop", "clients": clients, "rounds": rounds, "answered": 0, "lost": 0}
    codes: Counter[int] = Counter()
    for number in range(rounds):
        server = Server(run, "--workers", str(1 + number % 2))
        seen, _ = asyncio.run(crowd(server.port, clients, 1.0 + 0.13 * number, path, server.process.terminate))
        codes += seen.codes
        found["answered"] += len(seen.seconds)
        found["lost"] += seen.lost
        found.setdefault("exit_codes", []).append(server.process.wait(60))
    return {**found, "codes": dict(codes)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["load", "draw", "stop"])
    parser.add_argument("run")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--path", default="/generate?seed={seed}")
    asked = parser.parse_args()
    before = os.getloadavg()[0]
    if asked.part == "load":
        row = compare_load(asked.run, asked.clients, asked.seconds, asked.rounds, asked.path)
    elif asked.part == "draw":
        row = compare_draws(asked.run, asked.clients, asked.seconds, asked.rounds)
    else:
        row = measure_stop(asked.run, asked.clients, asked.rounds, asked.path)
    machine = f"{os.cpu_count()} CPUs, {platform.machine()}, load {before:.1f} before"
    print(json.dumps({**row, "machine": machine, "date": date.today().isoformat()}))


if __name__ == "__main__":
    main()
