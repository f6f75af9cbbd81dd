"""What logits mean for each loss. Only those of some are probabilities, and a critic's have no unit at all."""

from __future__ import annotations

BOUNDARIES = {"bce": 0.0, "hinge": 0.0, "lsgan": 0.5}


def boundary(loss: str) -> float | None:
    """The logit between real and generated pictures; None for losses that compare and put neither anywhere."""
    return BOUNDARIES.get(loss)

UNBOUNDED = "critic unbounded"
