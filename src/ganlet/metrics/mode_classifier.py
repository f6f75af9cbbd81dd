"""A small classifier that tells the mode of a picture, trained on the source itself, and how often it is right.

It is trained once on nine tenths of the labelled pictures and kept in the cache folder; the rest says how accurate it
is. A coverage of modes is only as good as that, so a classifier below `MIN_ACCURACY` is refused. Of stacked digits one
classifier of grey digits tells each channel by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ganlet.data.cache import build_lock, cache_folder
from ganlet.data.ingest import Progress
from ganlet.data.spec import Pack
from ganlet.errors import MetricError
from ganlet.images import center_crop, to_network
from ganlet.metrics.feature_cache import keep, key_name, read_kept
from ganlet.metrics.modes import ModeCoverage, Modes, modes_of
from ganlet.metrics.ring_modes import RingModes
from ganlet.paths import printable
from ganlet.randomness import derive, numpy_generator

CLASSIFIER_VERSION = 1  # to be raised whenever what is trained changes
FOLDER = "classifiers"
MIN_PICTURES = 500
MIN_ACCURACY = 0.85  # of every attribute on pictures that were not trained on
# A picture's mode is clear at this probability. So are next to all smileys, but 4 in 1,000 blends of two, and no noise.
# Of stacked digits it proves less: scrambled ones are all taken for the same three, with certainty.
CLEAR = 0.9

SIDE = 32  # of what the network sees
WIDTH = 16
BATCH = 64
MIN_SHOWN, MAX_SHOWN = 20_000, 60_000  # pictures; in between, each is shown once
PEAK_RATE, WEIGHT_DECAY = 4e-3, 0.01
TESTED_SHARE, MAX_TESTED = 0.1, 5_000


@dataclass(frozen=True, eq=False)
class ModeClassifier:
    """Tells the modes of pictures.

    `accuracy` is that of each attribute on `num_tested` pictures it was not trained on, `mode_accuracy` that of all of
    them together, and `clear_share` the share of those pictures whose mode was clear.
    """

    modes: Modes
    network: nn.Module
    accuracy: dict[str, float]
    mode_accuracy: float
    clear_share: float
    num_tested: int

    def __call__(self, pictures: np.ndarray, batch: int = 500) -> tuple[np.ndarray, np.ndarray]:
        """The modes of pictures uint8 (N, H, W, C), int64 (N,), and the probability of each mode, float64 (N,)."""
        digits, probability = _classify(self.network, pictures, self.modes.radices, batch)
        return np.asarray(np.ravel_multi_index(tuple(digits.T), self.modes.radices), np.int64), probability

    def coverage(self, batches: Iterable[np.ndarray]) -> ModeCoverage:
        """The coverage of modes by generated pictures, in batches uint8 (N, H, W, C) that are not kept."""
        drawn, probability = (np.concatenate(parts) for parts in zip(*map(self, batches), strict=True))
        return self.modes.coverage(drawn, probability >= CLEAR, self.clear_share)


def open_mode_classifier(
    pack: Pack,
    size: tuple[int, int],
    device: torch.device | str = "cpu",
    *,
    min_accuracy: float = MIN_ACCURACY,
    progress: Progress | None = None,
) -> ModeClassifier | RingModes:
    """The classifier of a labelled source shown at `size` (H, W), from the cache, else trained and kept there.

    Points on a ring need none: they have the mode of the nearest centre. Raises MetricError for a source without
    labels, with too few pictures, or whose modes the classifier tells apart worse than `min_accuracy`.
    """
    modes, of_pictures = modes_of(pack)
    kind = pack.summary.get("kind")
    if kind == "ring":
        return RingModes.of(modes, center_crop(pack.pictures, size))
    if len(pack) < MIN_PICTURES:
        raise MetricError(
            "There are too few pictures to train a classifier of their modes.",
            where=printable(pack.summary.get("source")),
            got=len(pack),
            expected=f"at least {MIN_PICTURES}",
        )
    key = {
        "version": CLASSIFIER_VERSION,
        "data_fingerprint": pack.fingerprint,
        "modes": hashlib.blake2b(of_pictures.tobytes(), digest_size=16).hexdigest(),  # the fingerprint knows no labels
        "attributes": [[attribute, list(values)] for attribute, values in modes.attributes.items()],
        "size": list(size),
    }
    if kind == "stacked":
        network = EveryChannel(build_network(1, modes.radices[0]))
    else:
        network = build_network(pack.pictures.shape[-1], sum(modes.radices))
    with build_lock(cache_folder(), f"classifier-{key_name(key)}"):
        kept = read_kept(FOLDER, key)
        if kept is None:
            facts = train_mode_classifier(
                network, center_crop(pack.pictures, size), modes, of_pictures, device, progress
            )
            keep(FOLDER, key, {name: tensor.numpy() for name, tensor in network.cpu().state_dict().items()}, facts)
        else:
            tensors, facts = kept
            network.load_state_dict({name: torch.from_numpy(tensor.copy()) for name, tensor in tensors.items()})
    worst = min(facts["accuracy"], key=facts["accuracy"].__getitem__)
    if facts["accuracy"][worst] < min_accuracy:
        raise MetricError(
            f"The modes of this source cannot be told well enough: a small classifier is right about the {worst} of "
            f"{facts['accuracy'][worst]:.1%} of the pictures.",
            where=printable(pack.summary.get("source")),
            expected=f"at least {min_accuracy:.0%}",
        )
    return ModeClassifier(modes, network.to(device).eval(), **facts)


def train_mode_classifier(
    network: nn.Module,
    pictures: np.ndarray,
    modes: Modes,
    of_pictures: np.ndarray,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> dict:
    """Train a new network in place on pictures uint8 (N, H, W, C) and their modes (N,); returns how accurate it became.

    The result is a function of the pictures alone, on one device.
    """
    order = numpy_generator(0, "mode_classifier", len(pictures)).permutation(len(pictures))
    num_tested = min(int(TESTED_SHARE * len(pictures)), MAX_TESTED)
    tested, trained_on = np.sort(order[:num_tested]), np.sort(order[num_tested:])
    targets = torch.from_numpy(modes.digits(of_pictures))
    _fit(network.to(device).train(), pictures, targets, trained_on, modes.radices, progress)
    digits, probability = _classify(network.eval(), pictures[tested], modes.radices)
    right = digits == targets[tested].numpy()
    return {
        "accuracy": dict(zip(modes.attributes, right.mean(axis=0).tolist(), strict=True)),
        "mode_accuracy": float(right.all(axis=1).mean()),
        "clear_share": float((probability >= CLEAR).mean()),
        "num_tested": num_tested,
    }


def build_network(channels: int, num_outputs: int) -> nn.Module:
    """Images (N, C, 32, 32) in [-1, 1] -> logits (N, num_outputs): those of each attribute after another.

    Its first weights are always the same, and nothing of the caller's randomness is touched.
    """
    widths = (WIDTH, 2 * WIDTH, 4 * WIDTH, 4 * WIDTH)
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(0, "mode_classifier"))
        for index, width in enumerate(widths):
            before = widths[index - 1] if index else channels
            layers += [
                nn.Conv2d(before, width, 3, stride=2 if index else 1, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        layers += [nn.Flatten(), nn.Linear(widths[-1] * (SIDE // 8) ** 2, num_outputs)]
    return nn.Sequential(*layers)


class EveryChannel(nn.Module):
    """One classifier of grey digits, asked about each channel: images (N, C, H, W) -> logits (N, C * K)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.network(images.flatten(0, 1)[:, None]).reshape(len(images), -1)


@torch.enable_grad()
def _fit(
    network: nn.Module,
    pictures: np.ndarray,
    targets: torch.Tensor,
    trained_on: np.ndarray,
    radices: tuple[int, ...],
    progress: Progress | None,
) -> None:
    steps = min(max(len(trained_on), MIN_SHOWN), MAX_SHOWN) // BATCH
    optimizer = torch.optim.AdamW(network.parameters(), PEAK_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_RATE, total_steps=steps, pct_start=0.2, cycle_momentum=False
    )
    epochs = -(-steps * BATCH // len(trained_on))
    order = np.concatenate(
        [numpy_generator(0, "mode_classifier_order", epoch).permutation(trained_on) for epoch in range(epochs)]
    )
    for step in range(steps):
        chosen = order[step * BATCH : (step + 1) * BATCH]
        logits = network(_seen(pictures[chosen], network))
        wanted = targets[chosen].to(logits.device)
        parts = logits.split(radices, dim=1)
        loss = torch.stack([functional.cross_entropy(part, wanted[:, i]) for i, part in enumerate(parts)]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step + 1, steps)


@torch.no_grad()
def _classify(
    network: nn.Module, pictures: np.ndarray, radices: tuple[int, ...], batch: int = 500
) -> tuple[np.ndarray, np.ndarray]:
    """The values of each picture's attributes (N, number of them), and the probability of all of them together (N,)."""
    digits, probability = [], []
    for start in range(0, len(pictures), batch):
        logits = network(_seen(pictures[start : start + batch], network)).cpu().double()
        parts = logits.split(radices, dim=1)
        best = [part.softmax(1).max(1) for part in parts]
        digits.append(torch.stack([found.indices for found in best], 1).numpy())
        probability.append(torch.stack([found.values for found in best]).prod(0).numpy())
    if not digits:
        return np.empty((0, len(radices)), np.int64), np.empty(0)
    return np.concatenate(digits), np.concatenate(probability)


def _seen(pictures: np.ndarray, network: nn.Module) -> torch.Tensor:
    """Pictures uint8 (N, H, W, C) as the network sees them, on its device."""
    device = next(network.parameters()).device
    images = to_network(torch.from_numpy(np.array(pictures)).to(device))
    if images.shape[2:] != (SIDE, SIDE):
        images = functional.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True)
    return images.contiguous(memory_format=torch.channels_last)
