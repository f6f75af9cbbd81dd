"""The whole of what is minimised: total and named parts, for the discriminator and for the generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch.nn import functional

from ganlet.config.schema import RunConfig
from ganlet.networks.interfaces import Discriminator, Judgement
from ganlet.objective.adaptive import Adaptive
from ganlet.objective.augment import NUM_DRAWS, augment
from ganlet.objective.losses import LOSSES, Loss
from ganlet.objective.needs import Need
from ganlet.objective.penalties import PENALTIES, Anchors, Critique, Judged, Penalty
from ganlet.objective.views import add_noise

Parts = dict[str, torch.Tensor]
REAL, FAKE = 0, 1  # places of the two sides in random numbers that are drawn for both


@dataclass(frozen=True)
class WeightedPenalty:
    """A penalty with its name, its weight and its interval in discriminator steps."""

    name: str
    penalty: Penalty
    weight: float
    every: int = 1

    def due(self, step: int) -> bool:
        """Whether the penalty is added at the discriminator step of that number."""
        return step % self.every == 0


@dataclass(frozen=True)
class Pass:
    """One discriminator step on a batch: its loss, and the deviation of the noise on its real images."""

    loss: Loss
    noise: float = 0.0


@dataclass(frozen=True)
class Shown:
    """What a step is about: images (N, C, H, W), their label vectors, random numbers by the names of the needs.

    `levels` are scalar tensors that depend on the clock: "instance_noise" while there is some, "top_share" where the
    generator learns from its best images only. Real and generated images have the same labels.
    """

    real: torch.Tensor
    fake: torch.Tensor
    labels: torch.Tensor | None
    random: Mapping[str, torch.Tensor]
    levels: Mapping[str, torch.Tensor]

    def parts(self, number: int) -> list[Shown]:
        """The same in `number` parts of equal size."""
        if number == 1:
            return [self]
        size = len(self.real) // number
        return [self._part(slice(start, start + size)) for start in range(0, size * number, size)]

    def of(self, fake: torch.Tensor) -> Shown:
        """The same with other generated images."""
        return replace(self, fake=fake)

    def _part(self, which: slice) -> Shown:
        return Shown(
            real=self.real[which],
            fake=self.fake[which],
            labels=None if self.labels is None else self.labels[which],
            random={name: numbers[which] for name, numbers in self.random.items()},
            levels=self.levels,
        )


@dataclass(frozen=True)
class Objective:
    """A loss, its penalties, and what is shown to the discriminator.

    `passes` are the discriminator steps on each batch, at least one. `policies` name the augmentations. `exclusive`
    says that labels are classes, of which a picture has one, and not attributes.
    """

    loss: Loss
    penalties: tuple[WeightedPenalty, ...] = ()
    passes: tuple[Pass, ...] = ()
    policies: tuple[str, ...] = ()
    label_flips: float = 0.0
    classifier_weight: float = 1.0
    exclusive: bool = True

    @property
    def needs(self) -> tuple[Need, ...]:
        """The random numbers of a step; "instance_noise" only while there is some."""
        needs = [Need("instance_noise", "normal", lambda shape: (2, *shape))]
        if self.policies:
            needs.append(Need("augment", "unit", lambda shape: (2, NUM_DRAWS)))
        if self.label_flips:
            needs.append(Need("label_flips", "unit", lambda shape: ()))
        if any(turn.noise for turn in self.passes):
            needs.append(Need("pass_noise", "normal", lambda shape: (len(self.passes), *shape)))
        return (*needs, *(need for weighted in self.penalties for need in weighted.penalty.needs))

    def due(self, step: int) -> tuple[WeightedPenalty, ...]:
        """The penalties that are added at the discriminator step of that number (lazy regularisation)."""
        return tuple(penalty for penalty in self.penalties if penalty.due(step))

    def for_discriminator(
        self,
        discriminator: Discriminator,
        shown: Shown,
        adaptive: Adaptive,
        due: tuple[WeightedPenalty, ...] = (),
        number: int = 0,
    ) -> tuple[torch.Tensor, Parts]:
        """Total (scalar) and named parts (scalars) of the pass of that number, with the penalties that are `due`.

        A lazy penalty is multiplied by its interval (Karras et al. 2020, appendix B), so that its weight means the
        same at every interval.
        """
        turn = self.passes[number] if self.passes else Pass(self.loss)
        real, fake = self._seen(shown.real, REAL, shown, adaptive), self._seen(shown.fake, FAKE, shown, adaptive)
        if turn.noise:
            real = (real + turn.noise * shown.random["pass_noise"][:, number]).clamp(-1.0, 1.0)
        if any(weighted.penalty.differentiates for weighted in due):
            real, fake = real.detach().requires_grad_(), fake.detach().requires_grad_()
        judged_real, judged_fake = discriminator.judge(real, shown.labels), discriminator.judge(fake, shown.labels)
        real_logits, fake_logits = judged_real.logits.float(), judged_fake.logits.float()
        total = turn.loss.discriminator(*self._flipped(real_logits, fake_logits, shown)).mean()
        parts: Parts = {
            "discriminator_loss": total.detach(),
            "real_logit": real_logits.detach().mean(),
            "fake_logit": fake_logits.detach().mean(),
            "real_probability": real_logits.detach().sigmoid().mean(),
            "fake_probability": fake_logits.detach().sigmoid().mean(),
        }
        if self.policies:
            parts["augment_strength"] = adaptive["strength"].clone()
            parts["real_sign"] = real_logits.detach().sign().mean()
        if judged_real.label_logits is not None:
            label_loss = self._label_loss(judged_real, shown)
            total = total + self.classifier_weight * (label_loss + self._label_loss(judged_fake, shown))
            parts["label_loss"] = label_loss.detach()
        if due:
            critique = Critique(
                judge=lambda images: discriminator.judge(images, shown.labels).logits.float(),
                real=Judged(real, real_logits),
                fake=Judged(fake, fake_logits),
                random=shown.random,
                anchors=Anchors(adaptive["real_anchor"], adaptive["fake_anchor"]),
            )
            for weighted in due:
                value = weighted.penalty(critique).mean()
                total = total + weighted.weight * weighted.every * value
                parts[weighted.name] = value.detach()
        return total, parts

    def for_generator(
        self, discriminator: Discriminator, shown: Shown, adaptive: Adaptive
    ) -> tuple[torch.Tensor, Parts]:
        """Total (scalar) and named parts (scalars); gradients flow through `shown.fake`."""
        real_logits = None
        if self.loss.pairs:
            with torch.no_grad():
                real_logits = discriminator(self._seen(shown.real, REAL, shown, adaptive), shown.labels).float()
        judged = discriminator.judge(self._seen(shown.fake, FAKE, shown, adaptive), shown.labels)
        fake_logits = judged.logits.float()
        losses = self.loss.generator(real_logits, fake_logits)
        if "top_share" in shown.levels:
            losses = _of_the_best(losses, fake_logits, shown.levels["top_share"])
        total = losses.mean()
        parts: Parts = {"generator_loss": total.detach()}
        if judged.label_logits is not None:
            label_loss = self._label_loss(judged, shown)
            total = total + self.classifier_weight * label_loss
            parts["fake_label_loss"] = label_loss.detach()
        return total, parts

    def seen_as_real(self, images: torch.Tensor, shown: Shown, adaptive: Adaptive) -> torch.Tensor:
        """As many other images as the discriminator is shown the real ones of a step, with the same numbers."""
        return self._seen(images, REAL, shown, adaptive)

    def _seen(self, images: torch.Tensor, side: int, shown: Shown, adaptive: Adaptive) -> torch.Tensor:
        """Images as the discriminator is shown them: augmented, then with instance noise."""
        if self.policies:
            images = augment(images, shown.random["augment"][:, side], adaptive["strength"], self.policies)
        if "instance_noise" in shown.levels:
            images = add_noise(images, shown.random["instance_noise"][:, side], shown.levels["instance_noise"])
        return images

    def _flipped(self, real: torch.Tensor, fake: torch.Tensor, shown: Shown) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits with some pairs exchanged: as if their labels had been noted the wrong way round, for every loss."""
        if not self.label_flips:
            return real, fake
        flips = shown.random["label_flips"] < self.label_flips
        return torch.where(flips, fake, real), torch.where(flips, real, fake)

    def _label_loss(self, judgement: Judgement, shown: Shown) -> torch.Tensor:
        """How badly the auxiliary classifier guesses the labels (Odena et al. 2017, equation 3), a scalar."""
        assert judgement.label_logits is not None
        assert shown.labels is not None
        logits = judgement.label_logits.float()
        if self.exclusive:
            return functional.cross_entropy(logits, shown.labels)
        return functional.binary_cross_entropy_with_logits(logits, shown.labels)


def _of_the_best(losses: torch.Tensor, logits: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Losses (N,) of the given share of images with the highest logits, the others 0, with the mean of those kept."""
    rank = logits.detach().argsort(descending=True).argsort()
    kept = (rank < torch.ceil(share * len(logits))).to(losses.dtype)
    return losses * kept * (len(kept) / kept.sum())


def build_objective(config: RunConfig) -> Objective:
    """The objective of a resolved config."""
    settings = config.objective
    passes = []
    for turn in settings.passes:
        smoothed = settings.loss.model_copy(update={"label_smoothing": turn.label_smoothing})
        loss = smoothed if turn.label_smoothing else settings.loss  # the config allows smoothing for bce only
        passes.append(Pass(LOSSES[loss.kind](loss), turn.noise))
    return Objective(
        loss=LOSSES[settings.loss.kind](settings.loss),
        penalties=tuple(WeightedPenalty(p.kind, PENALTIES[p.kind](p), p.weight, p.every) for p in settings.penalties),
        passes=tuple(passes),
        policies=settings.augment.policies,
        label_flips=settings.label_flips,
        classifier_weight=settings.classifier_weight,
        exclusive=config.data.labels != "attributes",
    )


def measured_beside(config: RunConfig) -> list[str]:
    """Names of what is measured besides what every run measures: for the log."""
    settings = config.objective
    names = [penalty.kind for penalty in settings.penalties]
    if settings.augment.policies:
        names += ["augment_strength", "real_sign"]
        names += ["held_out_logit"] if settings.augment.adaptive == "held_out" else []
    if config.data.labels != "none" and config.discriminator.condition == "classifier":
        names += ["label_loss", "fake_label_loss"]
    return names
