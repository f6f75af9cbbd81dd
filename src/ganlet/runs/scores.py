"""What the scores of a discriminator mean: that depends on the loss, and only those of some are probabilities."""

from __future__ import annotations

from ganlet.config import RunConfig


def gives_probabilities(config: RunConfig) -> bool:
    """Whether the sigmoid of a logit is what the discriminator takes for the probability that a picture is real."""
    return config.objective.loss.kind == "bce"


# What their means near the end of a run say.
SCORES_IN_WORDS = {
    "hinge": "With the hinge loss scores are no probabilities: beyond 1 for a real picture, or below -1 for a "
    "generated one, it is content and pushes no further.",
    "lsgan": "With this loss scores are no probabilities: real pictures are to be at 1 and generated ones at 0, and "
    "the nearer both are to 0.5, the less it can tell them apart.",
    "wasserstein": "A critic's scores are no probabilities: only their distance counts, which estimates how far the "
    "generated pictures are from the real ones. It can be compared with earlier moments of this run only.",
}

# What to look for in their curves.
SCORES_AS_LINES = {
    "hinge": "With the hinge loss it is content with real pictures above 1 and generated ones below -1.",
    "lsgan": "With this loss real pictures are to be at 1 and generated ones at 0.",
    "relativistic": "With this loss only the distance between the two lines counts, not where they lie.",
    "wasserstein": "Only the distance between the lines counts: the critic's estimate of how far generated pictures "
    "are from real ones. It should shrink. Its unit is the critic's own.",
}
