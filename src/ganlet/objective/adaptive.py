"""What adapts to the discriminator as training goes on: the strength of the augmentation, and anchors for its logits.

They are scalars on the device, the memory of the game: part of the training state. Nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from ganlet.objective.penalties import Anchored
from ganlet.objective.settings import AugmentConfig, ObjectiveConfig

READING_HALF_LIFE = 1_000  # images that the readings behind the augmentation's strength are averaged over
READINGS = ("real_sign", "real_logit", "fake_logit", "held_out_logit")
ANCHORS = ("real_anchor", "fake_anchor")


def initial(objective: ObjectiveConfig) -> dict[str, float]:
    """`strength` is that of the augmentation. The others are moving averages, which begin at 0.

    They are the sign of real logits, the logits of real, fake and held-out images, and the anchors of penalties.
    """
    return {"strength": objective.augment.strength, **dict.fromkeys((*READINGS, *ANCHORS), 0.0)}


@torch.no_grad()
def follow(
    objective: ObjectiveConfig, memory: Mapping[str, torch.Tensor], means: Mapping[str, torch.Tensor], num_images: int
) -> None:
    """Move on by `num_images` images with the means that were measured of them."""
    half_lives = [penalty.half_life for penalty in objective.penalties if isinstance(penalty, Anchored)]
    for side in ("real", "fake") if half_lives else ():
        _move(memory[f"{side}_anchor"], means[f"{side}_logit"], num_images, half_lives[0])
    augment = objective.augment
    if augment.adaptive != "none" and augment.policies:
        for name in READINGS:
            if name in means:
                _move(memory[name], means[name], num_images, READING_HALF_LIFE)
        above = torch.sign(_overfitting(augment, memory) - augment.target)
        memory["strength"].add_(above * (num_images / augment.speed)).clamp_(0.0, 1.0)


def _overfitting(augment: AugmentConfig, memory: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """r_t or r_v of Karras et al. 2020 (ADA), equation 1: 0 means no overfitting, 1 complete overfitting."""
    if augment.adaptive == "sign":
        return memory["real_sign"]
    real, fake, held_out = (memory[f"{name}_logit"] for name in ("real", "fake", "held_out"))
    gap = real - fake
    return torch.where(gap > 0, (real - held_out) / gap.clamp_min(1e-6), 0.0)  # fooled: nothing is memorised


def _move(average: torch.Tensor, value: torch.Tensor, num_images: int, half_life: int) -> None:
    average.lerp_(value.to(average.dtype), 1.0 - 0.5 ** (num_images / half_life))
