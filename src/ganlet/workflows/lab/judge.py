"""Verdicts on pictures, by the classifier that measures the coverage of modes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ganlet.metrics.mode_classifier import ModeClassifier
from ganlet.metrics.ring_modes import RingModes

if TYPE_CHECKING:
    from ganlet.latent.space import Points
    from ganlet.workflows.lab.lab import Lab

BLOCK = 1_024  # pictures that are judged at a time


@dataclass(frozen=True, eq=False)
class ModeJudge:
    """Tells the value of each attribute.

    Attributes:
        attributes: the values' names by attribute, such as {"accessory": ("none", "glasses", "hat")}.
        accuracy: by attribute, on real pictures that it was not trained on; 1 where the truth is computed.
    """

    classifier: ModeClassifier | RingModes
    attributes: dict[str, tuple[str, ...]]
    accuracy: dict[str, float]

    @classmethod
    def of(cls, classifier: ModeClassifier | RingModes) -> ModeJudge:
        """The verdicts of a classifier of modes."""
        names = classifier.modes.attributes
        return cls(classifier, names, getattr(classifier, "accuracy", dict.fromkeys(names, 1.0)))

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """The value of each attribute of pictures uint8 (N, H, W, C), as a place among its values: int64 (N, A)."""
        return self.classifier.modes.digits(self.classifier(pictures)[0])


def judged(lab: Lab, judge: ModeJudge, num: int, seed: int) -> tuple[Points, torch.Tensor]:
    """Points of a seed, and the verdicts on their pictures, int64 (num, A)."""
    points = lab.sample(num, seed)
    verdicts = []
    for rows in torch.arange(num).split(BLOCK):
        verdicts.append(torch.from_numpy(judge(lab.space.pictures(points[rows]))))
        lab.reporter.progress("judging pictures", int(rows[-1]) + 1, num)
    return points, torch.cat(verdicts)
