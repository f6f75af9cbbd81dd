"""What a config costs on this machine: memory by calculation, speed by a few iterations on random pictures."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import torch

from ganlet.config import RunConfig
from ganlet.data.batches import Batches
from ganlet.data.resize import packed_size
from ganlet.data.spec import Pack
from ganlet.engine.devices import out_of_memory_explained
from ganlet.engine.estimate import estimate_memory
from ganlet.engine.loop import Event, run_loop
from ganlet.engine.state import build_state
from ganlet.settings import as_images

SECONDS = 2.0
WARM_UP = 3  # iterations, where there is time for more
ENDLESS = 10**12


@dataclass(frozen=True)
class Cost:
    """Images a second, seconds for the whole run, and bytes of memory beside torch itself."""

    device: str
    images_per_second: float
    total_images: int
    seconds: float
    memory: int


@dataclass
class Stopwatch:
    """A hook that notes when each iteration has ended, and stops the loop when it has seen enough."""

    limit: float
    device: torch.device
    times: list[float] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def __call__(self, event: Event) -> str | None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.times.append(time.monotonic())
        return "timed" if self.times[-1] - self.begun >= self.limit else None

    @property
    def seconds_each(self) -> float:
        """Seconds for an iteration, the first ones left out where there are enough."""
        times = [self.begun, *self.times]
        times = times[min(WARM_UP, len(times) - 2) :]
        return (times[-1] - times[0]) / (len(times) - 1)


def measure_cost(config: RunConfig, num_pictures: int, device: torch.device, seconds: float = SECONDS) -> Cost:
    """Time a resolved config for about `seconds`, and one iteration at least. Raises `ResourceProblem`."""
    train, channels = config.train, config.data.channels
    assert channels != "auto"
    shape = (4 * train.batch_size, *packed_size(config.data.size, config.data.crop), channels)
    pictures = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    pack = Pack(pictures, None, (), None, "", {})
    endless = config.model_copy(update={"train": train.model_copy(update={"total_images": ENDLESS})})
    with out_of_memory_explained():
        batches = Batches(pack, size=config.data.size, seed=0, random_crop=config.data.crop == "random", device=device)
        state = build_state(endless, device)
        watch = Stopwatch(seconds, device)
        run_loop(state, {"real": batches}, [watch])
        memory = estimate_memory(build_state(config)).total
    rate = train.batch_size * train.n_critic / watch.seconds_each
    total = as_images(train.total_images)
    stored = num_pictures * int(np.prod(shape[1:]))
    return Cost(str(device), round(rate, 1), total, round(total / rate, 1), memory + stored)
