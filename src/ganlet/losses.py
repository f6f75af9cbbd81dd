"""Losses on logits, per sample: `Hinge().discriminator(real, fake)` and `.generator(real, fake)`, (N,) each -> (N,).

Only losses with `pairs = True` look at the real logits in the generator's step; to others None will do.
"""

from ganlet.objective.losses import LOSSES, Bce, Hinge, Loss, Lsgan, Relativistic, Wasserstein

__all__ = ["LOSSES", "Bce", "Hinge", "Loss", "Lsgan", "Relativistic", "Wasserstein"]
