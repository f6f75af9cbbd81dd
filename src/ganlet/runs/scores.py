"""What the scores of a discriminator are: that depends on the loss."""

from __future__ import annotations

from ganlet.config import RunConfig


def gives_probabilities(config: RunConfig) -> bool:
    """Whether the sigmoid of a logit is what the discriminator takes for the probability that a picture is real."""
    return config.objective.loss.kind == "bce"
