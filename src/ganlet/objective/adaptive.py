"""What the objective adapts to the discriminator as training goes on: the augmentation, and anchors for its logits."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ganlet.config.objective import AugmentConfig, LecamConfig, ObjectiveConfig

READING_HALF_LIFE = 1_000  # images that the readings behind the augmentation's strength are averaged over
READINGS = ("real_sign", "real_logit", "fake_logit", "held_out_logit")
ANCHORS = ("real_anchor", "fake_anchor")


class Adaptive:
    """Scalars on the device, part of the training state.

    `strength` is that of the augmentation. The others are moving averages: of the sign of real logits and of logits for
    real, fake and held-out images, and the two anchors of the LeCam penalty.
    """

    def __init__(self, settings: ObjectiveConfig, device: torch.device) -> None:
        self._values = {name: torch.zeros((), device=device) for name in ("strength", *READINGS, *ANCHORS)}
        self._values["strength"].fill_(settings.augment.strength)

    def __getitem__(self, name: str) -> torch.Tensor:
        return self._values[name]

    def tensors(self) -> dict[str, torch.Tensor]:
        """The live tensors by name."""
        return self._values


@dataclass(frozen=True)
class Adaptation:
    """How an `Adaptive` follows what was measured in an iteration. Never waits for the device."""

    augment: AugmentConfig
    anchor_half_life: int | None  # in images; None: no LeCam penalty

    @torch.no_grad()
    def __call__(self, adaptive: Adaptive, measured: dict[str, torch.Tensor], num_images: int) -> None:
        """Move on by `num_images` images with the means that were measured of them."""
        if self.anchor_half_life:
            for side in ("real", "fake"):
                _follow(adaptive[f"{side}_anchor"], measured[f"{side}_logit"], num_images, self.anchor_half_life)
        if self.augment.adaptive != "none" and self.augment.policies:
            for name in READINGS:
                if name in measured:
                    _follow(adaptive[name], measured[name], num_images, READING_HALF_LIFE)
            above = torch.sign(self._overfitting(adaptive) - self.augment.target)
            adaptive["strength"].add_(above * (num_images / self.augment.speed)).clamp_(0.0, 1.0)

    def _overfitting(self, adaptive: Adaptive) -> torch.Tensor:
        """r_t or r_v of Karras et al. 2020 (ADA), equation 1: 0 means no overfitting, 1 complete overfitting."""
        if self.augment.adaptive == "sign":
            return adaptive["real_sign"]
        real, fake, held_out = (adaptive[f"{name}_logit"] for name in ("real", "fake", "held_out"))
        gap = real - fake
        return torch.where(gap > 0, (real - held_out) / gap.clamp_min(1e-6), 0.0)  # fooled: nothing is memorised


def build_adaptation(settings: ObjectiveConfig) -> Adaptation | None:
    """The adaptation that the settings ask for, if any."""
    half_lives = [penalty.half_life for penalty in settings.penalties if isinstance(penalty, LecamConfig)]
    if not half_lives and (settings.augment.adaptive == "none" or not settings.augment.policies):
        return None
    return Adaptation(settings.augment, half_lives[0] if half_lives else None)


def _follow(average: torch.Tensor, value: torch.Tensor, num_images: int, half_life: int) -> None:
    average.lerp_(value.to(average.dtype), 1.0 - 0.5 ** (num_images / half_life))
