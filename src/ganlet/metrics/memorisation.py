"""Does a generator draw its training pictures again? Nearest training neighbours, and how many fakes are too near.

Pictures of one source resemble each other, and noise or blur moves a copy away from its original, so a distance alone
says little. What is compared is how much nearer the nearest training picture is than the fifth nearest: a copy has one
neighbour that stands out (Yoon et al. 2023 and Carlini et al. 2023 compare with the second and with 50). And it is
compared with what real pictures have that training never showed: a generator that has learnt the source is no worse.

Pixels show copies better than features do, for noise and blur move features further than one picture is from the next:
of copies with noise of 8 grey levels, pixels find all on CIFAR-10 and Fashion-MNIST, features of the ganlet extractor
26 % on the latter. Smileys are nearer to each other than that: 31 % by pixels and none by features. These figures are
from `benchmarks/copies_found.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ganlet.errors import MetricError
from ganlet.randomness import numpy_generator

MIN_PICTURES = 100  # on each side: the threshold is the fifth smallest of so many
MAX_STAND_IN = 2_000  # training pictures that stand in for held-out ones
NEIGHBOURS = 5  # so that a picture that was trained on in up to four versions still stands out
NEAR = 0.05  # the share of never shown pictures that count as near by definition
BLOCK_ELEMENTS = 2**22  # of any array that is held at once: some 16 MB
PIXEL_SIDE = 32

Represent = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Memorisation:
    """How many fakes are too near to a training picture: nearer than `threshold`, beside what no copying would give.

    `share` is of the fakes, `expected` of real pictures that training never showed, which `compared_with` names;
    `error` is the standard error of their difference. `copies` estimates the share of fakes that are copies: what
    exceeds the expectation, scaled up where only some of the training pictures were looked at. `nearness` (N,) is each
    fake's distance to its nearest training picture, as a share of that to its fifth nearest, and `indices` (N,) which
    picture the nearest is.
    """

    share: float
    expected: float
    error: float
    copies: float
    copies_error: float
    threshold: float
    compared_with: str
    num_fakes: int
    num_training: int
    num_compared: int
    nearness: np.ndarray
    indices: np.ndarray


def pixels(pictures: np.ndarray) -> np.ndarray:
    """Pictures uint8 (N, H, W, C) as rows float32 (N, F) to compare, averaged down to 32 to 63 pixels a side."""
    num, height, width, channels = pictures.shape
    factor = max(1, min(height, width) // PIXEL_SIDE)
    rows, columns = height // factor, width // factor
    whole = pictures[:, : rows * factor, : columns * factor].astype(np.float32) / 255
    return whole.reshape(num, rows, factor, columns, factor, channels).mean(axis=(2, 4)).reshape(num, -1)


def memorised_share(
    fakes: np.ndarray,
    training: np.ndarray,
    held_out: np.ndarray | None = None,
    *,
    num_training: int | None = None,
    represent: Represent = np.asarray,
) -> Memorisation:
    """How many of `fakes` are copies of `training` pictures, rows being features, or pictures with represent=`pixels`.

    The threshold is what 5 % of `held_out`, real pictures that training never showed, fall below. Without them, up to
    2,000 training pictures stand in, each compared with all others; those with an exact copy among the others are left
    out of that, for they would set the threshold to 0 and hide every copy that is not exact.

    `num_training` is the number of pictures trained on, when `training` is a random part of them: only copies of that
    part can be found, and `copies` is scaled up for it. Mirrored copies are found only where `training` has mirror
    images too. Raises MetricError for fewer than 100 pictures on a side and features that are not finite.
    """
    _require(len(fakes), "generated pictures")
    _require(len(training), "training pictures")
    usual, compared_with = _usual_nearness(training, held_out, represent)
    distances, indices = nearest_neighbours(_all(fakes, represent), _batches(training, represent), NEIGHBOURS)
    nearness = _nearness(distances)
    # The k-th smallest of n numbers: a further one of the same kind falls below it with probability k / (n + 1).
    threshold = float(np.sort(usual)[int(NEAR * (len(usual) + 1)) - 1])
    share, expected = (float((found <= threshold).mean()) for found in (nearness, usual))
    error = np.sqrt(share * (1 - share) / len(fakes) + expected * (1 - expected) / len(usual))
    num_training = num_training or len(training)
    scale = num_training / len(training) / max(1 - expected, 1 / len(usual))
    return Memorisation(
        share=share,
        expected=expected,
        error=float(error),
        copies=min(max((share - expected) * scale, 0.0), 1.0),
        copies_error=float(error * scale),
        threshold=threshold,
        compared_with=compared_with,
        num_fakes=len(fakes),
        num_training=num_training,
        num_compared=len(usual),
        nearness=nearness,
        indices=indices[:, 0],
    )


def nearest_neighbours(
    features: np.ndarray, training: np.ndarray | Iterable[np.ndarray], num: int = 1, *, itself: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The Euclidean distances of each row of features (N, F) to the `num` nearest training rows, and which they are.

    `training` is one array (M, F) or batches of it in order. `itself` (N,) says which training row a row is and must
    not be compared with; -1: none. Returns float64 and int64 (N, num), the nearest first. Memory stays flat. Raises
    MetricError when there are fewer to compare with, or a feature is not finite.
    """
    features = _finite(features)
    itself = np.full(len(features), -1) if itself is None else itself
    # Squared distances are found as |b|^2 - 2ab, which cancels least near the origin.
    centre = features.mean(axis=0, keepdims=True) if len(features) else np.zeros(1, np.float32)
    centred = features - centre
    best = np.full((len(features), num), np.inf)
    index = np.full((len(features), num), -1, np.int64)
    start = 0
    for rows in _blocks(training, len(features)):
        others = _finite(rows) - centre
        # Without |a|^2, which does not matter for which is the smallest.
        squares = np.square(others).sum(axis=1) - 2 * (centred @ others.T)
        own = np.flatnonzero((itself >= start) & (itself < start + len(rows)))
        squares[own, itself[own] - start] = np.inf
        chosen = np.argpartition(squares, min(num, len(rows)) - 1, axis=1)[:, :num]
        # The distances of those chosen are computed without cancelling, so that a copy is at a distance of 0.
        offsets = (features - rows[column] for column in chosen.T)
        distances = np.stack([np.sqrt(np.square(part, dtype=np.float64).sum(axis=1)) for part in offsets], axis=1)
        distances[np.isinf(np.take_along_axis(squares, chosen, axis=1))] = np.inf
        distances, chosen = np.hstack([best, distances]), np.hstack([index, chosen + start])
        order = np.argsort(distances, axis=1, kind="stable")[:, :num]
        best, index = np.take_along_axis(distances, order, axis=1), np.take_along_axis(chosen, order, axis=1)
        start += len(rows)
    if not np.isfinite(best).all():
        raise MetricError("There are too few training pictures to find the nearest ones.", got=start)
    return best, index


def _usual_nearness(training: np.ndarray, held_out: np.ndarray | None, represent: Represent) -> tuple[np.ndarray, str]:
    """The nearness of real pictures that are no copies, and which they are."""
    if held_out is not None:
        _require(len(held_out), "held-out pictures")
        distances, _ = nearest_neighbours(_all(held_out, represent), _batches(training, represent), NEIGHBOURS)
        return _nearness(distances), "held-out pictures"
    order = numpy_generator(0, "memorisation", len(training)).permutation(len(training))
    chosen = np.sort(order[:MAX_STAND_IN])
    few = _all(training, represent, chosen)
    distances, _ = nearest_neighbours(few, _batches(training, represent), NEIGHBOURS, itself=chosen)
    usual = _nearness(distances[distances[:, 0] > 0])
    _require(len(usual), "training pictures without an exact copy")
    return usual, "training pictures, each with all others"


def _nearness(distances: np.ndarray) -> np.ndarray:
    """From 0, a copy, to 1, of distances (N, NEIGHBOURS)."""
    furthest = distances[:, -1]
    return np.divide(distances[:, 0], furthest, out=np.zeros(len(distances)), where=furthest > 0)


def _batches(pictures: np.ndarray, represent: Represent, chosen: np.ndarray | None = None) -> Iterable[np.ndarray]:
    """Pictures, or the chosen ones of them, represented some at a time: memory stays flat however large they are."""
    step = max(1, BLOCK_ELEMENTS // max(1, int(np.prod(pictures.shape[1:]))))
    for start in range(0, len(pictures) if chosen is None else len(chosen), step):
        rows = slice(start, start + step)
        yield represent(pictures[rows if chosen is None else chosen[rows]])


def _all(pictures: np.ndarray, represent: Represent, chosen: np.ndarray | None = None) -> np.ndarray:
    return np.concatenate(list(_batches(pictures, represent, chosen)))


def _blocks(training: np.ndarray | Iterable[np.ndarray], num: int) -> Iterable[np.ndarray]:
    """Rows in blocks that keep the matrix of distances small."""
    step = max(1, BLOCK_ELEMENTS // max(num, 1))
    for batch in [training] if isinstance(training, np.ndarray) else training:
        for start in range(0, len(batch), step):
            yield batch[start : start + step]


def _finite(features: np.ndarray) -> np.ndarray:
    if not np.isfinite(features).all():
        raise MetricError("Some features are not finite, so no distance can be measured.")
    return features


def _require(count: int, what: str) -> None:
    if count < MIN_PICTURES:
        expected = f"at least {MIN_PICTURES}"
        raise MetricError(f"There are too few {what} to tell copies by.", got=count, expected=expected)
