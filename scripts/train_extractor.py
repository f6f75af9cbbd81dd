"""Train the feature extractor that ganlet ships, from public pictures and smileys, and say how well it sees.

    python scripts/train_extractor.py --cifar10 DIR --fashion-mnist DIR --mnist DIR --out FILE.safetensors

The folders hold the official files. One softmax over all classes of the four sets; half of every batch is CIFAR-10.
Grey pictures are shown in random colours half of the time, and colour pictures in grey one time in five, so that the
features tell shapes apart and not merely which set a picture is from. Neither blurred nor noisy pictures are shown:
features that had learnt to overlook either could not measure it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.nn import functional

from ganlet.config import validate
from ganlet.data.smileys import attributes_from_label, draw_indices
from ganlet.data.source import open_source
from ganlet.metrics.extractor_network import CLASSES, SIZE, ExtractorNetwork

BATCH = 128
# How many pictures of each set a batch holds.
SHARES = {"cifar10": 64, "fashion-mnist": 32, "mnist": 12, "smileys": 20}
PEAK_RATE, WEIGHT_DECAY, MOMENTUM = 0.1, 5e-4, 0.9
NUM_FACES, FACES_SEED = 40_000, 20_161
LUMA = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)


@dataclass(frozen=True)
class Labelled:
    """Pictures uint8 (N, 32, 32, C) and their classes int64 (N,), numbered over all sets."""

    pictures: np.ndarray
    classes: np.ndarray

    def batch(self, indices: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Images (n, 3, 32, 32) in [-1, 1] and classes (n,)."""
        images = torch.from_numpy(self.pictures[indices]).permute(0, 3, 1, 2).float() / 127.5 - 1
        return images.expand(-1, 3, -1, -1), torch.from_numpy(self.classes[indices])


def read(name: str, source: str, split: str) -> Labelled:
    """One set, brought to 32 x 32."""
    if name == "smileys":  # faces that no run is trained on, for they are drawn with another seed
        numbers = np.arange(NUM_FACES, NUM_FACES + 10_000) if split == "test" else np.arange(NUM_FACES)
        pictures, modes = draw_indices(FACES_SEED, numbers, (SIZE, SIZE), 3)
        labels = attributes_from_label(modes).expression
    else:
        pack = open_source(validate({"data": {"source": source, "size": SIZE, "split": split}}).data)
        assert pack.labels is not None, name
        pictures, labels = np.array(pack.pictures), np.asarray(pack.labels)
    first = sum(len(CLASSES[other]) for other in list(CLASSES)[: list(CLASSES).index(name)])
    return Labelled(pictures, labels.astype(np.int64) + first)


def vary(images: torch.Tensor, name: str, generator: torch.Generator) -> torch.Tensor:
    """Random shifts by up to 4 pixels, mirror images where they mean the same, and random colours."""
    count = len(images)
    if name in ("cifar10", "fashion-mnist"):
        flipped = torch.rand(count, generator=generator) < 0.5
        images = torch.where(flipped.view(-1, 1, 1, 1), images.flip(3), images)
    padded = functional.pad(images, (4, 4, 4, 4), mode="reflect" if name == "cifar10" else "replicate")
    corners = torch.randint(0, 9, (2, count), generator=generator)
    shifts = torch.arange(SIZE)
    rows, columns = corners[0, :, None] + shifts, corners[1, :, None] + shifts
    picture, channel = torch.arange(count)[:, None, None, None], torch.arange(3)[:, None, None]
    images = padded[picture, channel, rows[:, None, :, None], columns[:, None, None, :]]
    chosen = torch.rand(count, generator=generator)
    if name in ("fashion-mnist", "mnist"):
        ends = torch.rand(2, count, 3, 1, 1, generator=generator) * 2 - 1
        share = (images + 1) / 2
        return torch.where((chosen < 0.5).view(-1, 1, 1, 1), ends[0] * (1 - share) + ends[1] * share, images)
    grey = (images * LUMA).sum(1, keepdim=True).expand_as(images)
    return torch.where((chosen < 0.2).view(-1, 1, 1, 1), grey, images)


@torch.inference_mode()
def accuracy(network: ExtractorNetwork, labelled: Labelled) -> float:
    """Share of pictures whose class is told out of all classes of all sets."""
    network.eval()
    hits = 0
    for indices in np.array_split(np.arange(len(labelled.classes)), len(labelled.classes) // 250):
        images, classes = labelled.batch(indices)
        hits += int((network(images.contiguous(memory_format=torch.channels_last))[1].argmax(1) == classes).sum())
    network.train()
    return hits / len(labelled.classes)


def main() -> None:
    """Train, measure on the test pictures, save in half precision."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("cifar10", "fashion-mnist", "mnist"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=8_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    sources = {"smileys": "smileys", **{n: getattr(arguments, n.replace("-", "_")) for n in CLASSES if n != "smileys"}}
    sets = {name: read(name, sources[name], "train") for name in SHARES}
    torch.manual_seed(arguments.seed)
    generator = torch.Generator().manual_seed(arguments.seed)
    network = ExtractorNetwork().to(memory_format=torch.channels_last)
    decay = [p for p in network.parameters() if p.ndim > 1]
    plain = [p for p in network.parameters() if p.ndim == 1]
    optimizer = torch.optim.SGD(
        [{"params": decay, "weight_decay": WEIGHT_DECAY}, {"params": plain, "weight_decay": 0.0}],
        lr=PEAK_RATE,
        momentum=MOMENTUM,
        nesterov=True,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_RATE, total_steps=arguments.steps, pct_start=0.15, cycle_momentum=False
    )
    start = time.monotonic()
    for step in range(arguments.steps):
        parts, targets = [], []
        for name, share in SHARES.items():
            chosen = torch.randint(0, len(sets[name].classes), (share,), generator=generator).numpy()
            images, classes = sets[name].batch(chosen)
            parts.append(vary(images, name, generator))
            targets.append(classes)
        images = torch.cat(parts).contiguous(memory_format=torch.channels_last)
        loss = functional.cross_entropy(network(images)[1], torch.cat(targets))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"{step + 1} {loss.item():.3f} {(step + 1) * BATCH / (time.monotonic() - start):.0f}/s", flush=True)
        if step % 2000 == 1999 or step + 1 == arguments.steps:
            save(network, arguments.out, {})
    found = {name: round(accuracy(network, read(name, sources[name], "test")), 4) for name in SHARES}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    record = {
        "accuracy on test pictures": found,
        "steps": arguments.steps,
        "batch": BATCH,
        "seed": arguments.seed,
        "date": str(date.today()),
        "commit": commit,
        "torch": torch.__version__,
    }
    save(network, arguments.out, {"record": json.dumps(record)})
    print(json.dumps(record, indent=1))


def save(network: ExtractorNetwork, path: Path, record: dict[str, str]) -> None:
    """Write the weights in half precision (they are read back as float32)."""
    tensors = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous()
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    save_file(tensors, path, record)


if __name__ == "__main__":
    main()
