"""Whether pictures may be mirrored: can a simple judge tell them from their mirror images?

The judge is linear (ridge regression) and sees what mirroring turns around: the difference between a picture's
brightness at 16 x 16 and that of its mirror image. It learns on one half of the pictures and is asked about the other,
both ways. Where it is right no more often than by guessing, mirrored pictures are plausible members of the set; digits,
text, or shoes that all point one way are told apart at once. What it cannot see is the meaning of small things that may
be anywhere, such as a sign in the background.
"""

from __future__ import annotations

import numpy as np

from ganlet.data.inspection.survey import luma

SIDE = 16
FEWEST = 200  # pictures: with fewer, guessing may look like knowing
MAX_ACCURACY = 0.58
RIDGE = 0.1  # of the variance of a feature


def mirror_accuracy(sample: np.ndarray) -> float | None:
    """The share of pictures uint8 (M, 32, 32, 3) that are told from their mirror images, 0.5 being a guess.

    None when there are too few, or when all are the same mirrored.
    """
    step = sample.shape[1] // SIDE
    light = luma(sample).reshape(len(sample), SIDE, step, SIDE, step).mean(axis=(2, 4))
    turned = (light - light[:, :, ::-1])[:, :, : SIDE // 2].reshape(len(sample), -1)
    if len(sample) < FEWEST or np.abs(turned).max() < 1:
        return None
    halves = turned[::2], turned[1::2]
    return float(np.mean([_accuracy(halves[0], halves[1]), _accuracy(halves[1], halves[0])]))


def _accuracy(known: np.ndarray, asked: np.ndarray) -> float:
    """How often a judge trained on features (N, F) of pictures is right about others (M, F); a tie is half right."""
    scale = known.std(axis=0) + 1e-3
    known, asked = known / scale, asked / scale
    second_moments = known.T @ known / len(known) + RIDGE * np.eye(known.shape[1], dtype=known.dtype)
    score = asked @ np.linalg.solve(second_moments, known.mean(axis=0))
    return float(((score > 0) + 0.5 * (score == 0)).mean())
