"""What the scores of a discriminator mean: that depends on the loss, and only those of some are probabilities."""

from __future__ import annotations

from ganlet.config import RunConfig
from ganlet.objective.losses import LOSSES


def gives_probabilities(config: RunConfig) -> bool:
    """Whether the sigmoid of a logit is what the discriminator takes for the probability that a picture is real."""
    return config.objective.loss.probabilities


SCORES_IN_WORDS = {name: loss.in_words for name, loss in LOSSES.items()}
SCORES_AS_LINES = {name: loss.as_lines for name, loss in LOSSES.items()}
