"""How many smileys are drawn a second on one core: `python benchmarks/smileys_speed.py`.

Drawing is plain NumPy arithmetic in one thread, so the processor time is counted, which other work on the machine
disturbs less than the clock on the wall. A line is the median of several runs over fresh faces; the lines take turns.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from ganlet.data import smileys

COUNT = 2_048
REPEATS = 5
SHAPES = (((28, 28), 1), ((32, 32), 3), ((48, 64), 3), ((64, 64), 1), ((64, 64), 3), ((64, 64), 4), ((128, 128), 3))


def seconds(size: tuple[int, int], channels: int, start: int) -> float:
    """Processor seconds to draw COUNT faces from `start` on, attributes and labels included."""
    begin = time.process_time()
    smileys.draw_indices(0, np.arange(start, start + COUNT), size, channels)
    return time.process_time() - begin


def main() -> None:
    times = {shape: [] for shape in SHAPES}
    for repeat in range(REPEATS):
        for size, channels in SHAPES:
            times[size, channels].append(seconds(size, channels, repeat * COUNT))
    print(f"{'size':>9} channels   pictures/s   the default set of {smileys.DEFAULT_COUNT:,}")
    for ((height, width), channels), taken in times.items():
        rate = COUNT / statistics.median(taken)
        print(f"{height:>4} x{width:>3} {channels:>8} {rate:>12,.0f} {smileys.DEFAULT_COUNT / rate:>8.1f} s")


if __name__ == "__main__":
    main()
