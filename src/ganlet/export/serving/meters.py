"""What the server counts, as Prometheus reads it (text format 0.0.4)."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCHES = (1, 2, 4, 8, 16, 32, 64)

Labels = tuple[tuple[str, str], ...]


class Histogram:
    """How many values were at most each bound."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self, name: str, labels: Labels) -> Iterator[str]:
        total = 0
        for bound, count in zip([*map(str, self.bounds), "+Inf"], self.counts, strict=True):
            total += count
            yield _line(f"{name}_bucket", (*labels, ("le", bound)), total)
        yield _line(f"{name}_sum", labels, self.sum)
        yield _line(f"{name}_count", labels, total)


@dataclass(eq=False)
class Meters:
    """The counts of one process."""

    worker: int = 0
    requests: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))  # by path and code
    seconds: dict[str, Histogram] = field(default_factory=lambda: defaultdict(lambda: Histogram(SECONDS)))
    batches: dict[str, Histogram] = field(default_factory=lambda: defaultdict(lambda: Histogram(BATCHES)))
    waiting: dict[str, Callable[[], int]] = field(default_factory=dict)  # by model
    running: int = 0
    began: float = field(default_factory=time.time)

    def answered(self, path: str, code: int, seconds: float) -> None:
        """Count an answer."""
        self.requests[path, code] += 1
        self.seconds[path].add(seconds)

    def text(self) -> str:
        """All of it, as Prometheus reads it."""
        one: Labels = (("worker", str(self.worker)),)
        waiting = [((*one, ("model", name)), count()) for name, count in self.waiting.items()]
        answered = [((*one, ("path", path), ("code", str(code))), n) for (path, code), n in self.requests.items()]
        lines = [
            *_family("ganlet_requests_total", "counter", "Answers by path and status code.", answered),
            *_family("ganlet_requests_running", "gauge", "Requests that are being answered.", [(one, self.running)]),
            *_family("ganlet_queue_pictures", "gauge", "Pictures that wait to be drawn.", waiting),
            *_family("ganlet_start_time_seconds", "gauge", "When this process began.", [(one, self.began)]),
        ]
        for name, label, told, histograms in (
            ("ganlet_request_seconds", "path", "Seconds until a request was answered.", self.seconds),
            ("ganlet_batch_pictures", "model", "Pictures that were drawn at once.", self.batches),
        ):
            lines += _family(name, "histogram", told)
            for key, histogram in list(histograms.items()):
                lines += histogram.lines(name, (*one, (label, key)))
        return "\n".join(lines) + "\n"


def _family(name: str, kind: str, told: str, values: Iterable[tuple[Labels, float]] = ()) -> list[str]:
    head = [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
    return head + [_line(name, labels, value) for labels, value in values]


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{inside}}} {value:.6f}" if isinstance(value, float) else f"{name}{{{inside}}} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
