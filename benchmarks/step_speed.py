"""Images a second of our training step against the classic loop, side by side.

The classic loop is the algorithm of the widely copied PyTorch DCGAN example, written anew: sequential networks with
convolutions at the edges, contiguous memory, sigmoid and BCELoss, default Adam, two backward passes for the
discriminator, its gradients computed again and thrown away in the generator's step, and five `.item()` an iteration.
Both train the same networks (equal parameter counts, checked) on the same pictures, already in memory, in one process,
turn by turn; the ratio of each round is taken and the median of the ratios printed. Exit code 1 when one is below 1.

    python benchmarks/step_speed.py [--rounds 5] [--iterations 8] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import torch
from torch import nn

from ganlet.config import RunConfig, resolve
from ganlet.engine.inputs import InputMaker
from ganlet.engine.state import build_state
from ganlet.engine.step import iterate
from ganlet.networks.settings import resolutions
from ganlet.networks.zoo import parameter_count
from ganlet.workflows.configuring import make_config

CASES = {  # name: (side, channels, width, latent size)
    "28x28x1 width 32": (28, 1, 32, 64),
    "32x32x3 width 32": (32, 3, 32, 64),
    "32x32x3 width 64": (32, 3, 64, 128),
    "64x64x3 width 32": (64, 3, 32, 100),
    "64x64x3 width 64": (64, 3, 64, 100),
}
BATCH = 64
NUM_PICTURES = 512


class Pictures:
    """Batches of random pictures in memory; the classic loop gets the same ones as floats."""

    def __init__(self, side: int, channels: int) -> None:
        random = torch.Generator().manual_seed(0)
        shape = (NUM_PICTURES, side, side, channels)
        self.packed = torch.randint(0, 256, shape, dtype=torch.uint8, generator=random)
        self.floats = self.packed.permute(0, 3, 1, 2).contiguous().float() / 127.5 - 1.0

    def images(self, position: int, count: int, rank: int = 0, world: int = 1) -> torch.Tensor:
        start = position % NUM_PICTURES
        return self.packed[start : start + count]

    def labels(self, position: int, count: int, rank: int = 0, world: int = 1) -> None:
        return None


def ours(config: RunConfig, pictures: Pictures) -> Callable[[], None]:
    """One iteration of ours, what it is fed included, as a function."""
    state = build_state(config)
    maker = InputMaker(state, {"real": pictures})  # type: ignore[dict-item]

    def step() -> None:
        iterate(state, maker.at(state.images_seen))
        state.set_clock(state.images_seen + BATCH)

    step.parameters = sum(map(parameter_count, state.networks.values()))  # type: ignore[attr-defined]
    return step


def classic(side: int, channels: int, width: int, latent_size: int, pictures: Pictures) -> Callable[[], None]:
    """One iteration of the classic loop as a function."""
    sizes = [size[0] for size in resolutions((side, side))]
    counts = [width * 2**level for level in range(len(sizes) - 1)]
    generator = _classic_generator(sizes, counts, channels, latent_size)
    discriminator = _classic_discriminator(sizes, counts, channels)
    criterion = nn.BCELoss()
    optimizer_d = torch.optim.Adam(discriminator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    optimizer_g = torch.optim.Adam(generator.parameters(), lr=2e-4, betas=(0.5, 0.999))
    seen = 0

    def step() -> None:
        nonlocal seen
        start = seen % NUM_PICTURES
        real = pictures.floats[start : start + BATCH]
        seen += BATCH
        discriminator.zero_grad()
        label = torch.full((BATCH,), 1.0)
        output = discriminator(real).view(-1)
        loss_real = criterion(output, label)
        loss_real.backward()
        output.mean().item()
        fake = generator(torch.randn(BATCH, latent_size, 1, 1))
        label.fill_(0.0)
        output = discriminator(fake.detach()).view(-1)
        loss_fake = criterion(output, label)
        loss_fake.backward()
        output.mean().item()
        loss = loss_real + loss_fake
        optimizer_d.step()
        generator.zero_grad()
        label.fill_(1.0)
        output = discriminator(fake).view(-1)
        loss_generator = criterion(output, label)
        loss_generator.backward()
        output.mean().item()
        optimizer_g.step()
        loss.item(), loss_generator.item()

    step.parameters = parameter_count(generator) + parameter_count(discriminator)  # type: ignore[attr-defined]
    return step


def _classic_generator(sizes: list[int], counts: list[int], channels: int, latent_size: int) -> nn.Module:
    layers: list[nn.Module] = [
        nn.ConvTranspose2d(latent_size, counts[-1], sizes[-1], 1, 0, bias=False),
        nn.BatchNorm2d(counts[-1]),
        nn.ReLU(True),
    ]
    for before, after in zip(counts[:0:-1], counts[-2::-1], strict=True):
        layers += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(counts[0], channels, 4, 2, 1, bias=False), nn.Tanh())


def _classic_discriminator(sizes: list[int], counts: list[int], channels: int) -> nn.Module:
    layers: list[nn.Module] = [nn.Conv2d(channels, counts[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for before, after in pairwise(counts):
        layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(counts[-1], 1, sizes[-1], 1, 0, bias=False), nn.Sigmoid())


def seconds(step: Callable[[], None], iterations: int) -> float:
    """Seconds for an iteration, the mean over some."""
    start = time.perf_counter()
    for _ in range(iterations):
        step()
    return (time.perf_counter() - start) / iterations


def measure(name: str, rounds: int, iterations: int) -> dict[str, Any]:
    """Both loops turn by turn; each round gives a ratio."""
    side, channels, width, latent_size = CASES[name]
    pictures = Pictures(side, channels)
    overrides = {
        "data.size": side,
        "generator.width": width,
        "generator.latent_size": latent_size,
        "discriminator.width": width,
        "train.batch_size": BATCH,
    }
    config = resolve(make_config(overrides=overrides), num_pictures=NUM_PICTURES, channels=channels)
    steps = {"ours": ours(config, pictures), "classic": classic(side, channels, width, latent_size, pictures)}
    sizes = {key: step.parameters for key, step in steps.items()}  # type: ignore[attr-defined]
    assert len(set(sizes.values())) == 1, f"the networks differ: {sizes}"
    times: dict[str, list[float]] = {"ours": [], "classic": []}
    for step in steps.values():
        seconds(step, 2)
    for turn in range(rounds):
        order = list(steps) if turn % 2 else list(reversed(steps))
        for key in order:
            times[key].append(seconds(steps[key], iterations))
    ratios = [before / now for before, now in zip(times["classic"], times["ours"], strict=True)]
    return {
        "case": name,
        "ours": round(BATCH / statistics.median(times["ours"]), 1),
        "classic": round(BATCH / statistics.median(times["classic"]), 1),
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in ratios],
    }


def main() -> None:
    """Measure all cases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    print(
        f"{date.today()}  commit {commit}  torch {torch.__version__}  {platform.machine()}, "
        f"{torch.get_num_threads()} threads, batch {BATCH}, {arguments.rounds} rounds of {arguments.iterations}"
    )
    print(f"{'case':<20}{'classic':>10}{'ours':>10}  images/s   ratio (of each round)")
    results = []
    for name in arguments.cases:
        row = measure(name, arguments.rounds, arguments.iterations)
        results.append(row)
        print(f"{name:<20}{row['classic']:>10}{row['ours']:>10}{row['ratio']:>17}   {row['ratios']}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"commit": commit, "results": results}, indent=2) + "\n")
    sys.exit(min(row["ratio"] for row in results) < 1.0)


if __name__ == "__main__":
    main()
