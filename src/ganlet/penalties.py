"""Penalties on a discriminator as functions, (N,) each and differentiable; and the classes of a config around them."""

from ganlet.objective.penalties import (
    PENALTIES,
    CriticStep,
    Need,
    Penalty,
    Scored,
    consistency,
    dragan,
    gradient_norm,
    gradient_penalty,
    lecam,
    r1,
    squared_gradient_norm,
)

__all__ = [
    "PENALTIES",
    "CriticStep",
    "Need",
    "Penalty",
    "Scored",
    "consistency",
    "dragan",
    "gradient_norm",
    "gradient_penalty",
    "lecam",
    "r1",
    "squared_gradient_norm",
]
