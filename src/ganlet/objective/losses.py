"""Losses on logits. Each is one class: its settings, what it promises, and its formulas.

Arguments are always real, then fake; logits are higher for real; results are per sample (N,). Every loss sees both, so
that relativistic ones fit the same form. A new loss is a subclass of `Loss` and a line in `LOSSES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from ganlet.lazy import functional, torch
from ganlet.settings import OneOf, Settings

if TYPE_CHECKING:
    from ganlet.config import RunConfig


class Loss(Settings):
    """What the two players minimise, per sample.

    Class attributes are what a loss promises; the defaults promise nothing.

    Attributes:
        pairs: the generator's loss needs the real logits too.
        probabilities: sigmoid(logit) is what the discriminator takes for the probability that an image is real.
        log_odds: a distance between logits tells how sure the discriminator is.
        boundary: the logit between real and generated images; None: it puts neither anywhere.
        unit: a distance between logits that is worth the name; None: only their own spread can tell.
        signed: a logit above 0 calls an image real.
        critic: logits estimate a distance and may be of any size; something must bound the critic's slope.
        saturates: a generator learns less and less where the discriminator is sure of itself.
        in_words, as_lines: what the report says of the discriminator's scores, and of their curves.
    """

    kind: str
    pairs: ClassVar[bool] = False
    probabilities: ClassVar[bool] = False
    log_odds: ClassVar[bool] = False
    boundary: ClassVar[float | None] = None
    unit: ClassVar[float | None] = None
    signed: ClassVar[bool] = False
    critic: ClassVar[bool] = False
    saturates: ClassVar[bool] = False
    in_words: ClassVar[str] = ""
    as_lines: ClassVar[str] = ""

    @property
    def weight_clip(self) -> float | None:
        """Where the discriminator's weights are cut off after each of its steps."""
        return None

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        """Logits of real and fake images, (N,) each -> (N,)."""
        raise NotImplementedError

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        """Logits (N,) of fake images, and of real ones where `pairs` -> (N,)."""
        raise NotImplementedError

    def problems(self, config: RunConfig) -> Iterator[str]:
        """A line for everything in a config that is impossible with this loss."""
        yield from ()

    def notes(self, config: RunConfig) -> Iterator[str]:
        """A line for everything in a config that has no effect or no meaning with this loss."""
        yield from ()


class Bce(Loss):
    """Binary cross-entropy (Goodfellow et al. 2014), non-saturating for the generator unless asked for otherwise.

    With label smoothing s the target of real images is 1 - s (one-sided: Salimans et al. 2016, section 3.4), with fake
    smoothing f that of fake ones is f (then two-sided), for the discriminator only. `saturating` is the minimax game
    itself, where the generator minimises log(1 - D(fake)) and learns little while it is found out.
    """

    kind: str = "bce"
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5, description="real labels are 1 minus this (one-sided)")
    fake_smoothing: float = Field(default=0.0, ge=0, lt=0.5, description="fake labels are this (then two-sided)")
    saturating: bool = Field(default=False, description="the generator minimises log(1 - D(fake)): the minimax game")
    probabilities: ClassVar[bool] = True
    log_odds: ClassVar[bool] = True
    boundary: ClassVar[float | None] = 0.0
    unit: ClassVar[float | None] = 1.0
    signed: ClassVar[bool] = True
    saturates: ClassVar[bool] = True

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        # -(t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))) = softplus(-x) + (1 - t) x = softplus(x) - t x
        of_real = functional.softplus(-real) + self.label_smoothing * real
        return of_real + functional.softplus(fake) - self.fake_smoothing * fake

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        return -functional.softplus(fake) if self.saturating else functional.softplus(-fake)


class Lsgan(Loss):
    """Least squares: logits of real pictures towards 1, of fake ones towards 0 (Mao et al. 2017, equation 9)."""

    kind: str = "lsgan"
    boundary: ClassVar[float | None] = 0.5
    unit: ClassVar[float | None] = 0.5
    in_words: ClassVar[str] = (
        "With this loss scores are no probabilities: real pictures are to be at 1 and generated ones at 0, and the "
        "nearer both are to 0.5, the less it can tell them apart."
    )
    as_lines: ClassVar[str] = "With this loss real pictures are to be at 1 and generated ones at 0."

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return 0.5 * (real - 1.0).square() + 0.5 * fake.square()

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        return 0.5 * (fake - 1.0).square()


class Hinge(Loss):
    """Hinge loss (Lim & Ye 2017; Miyato et al. 2018, equations 16 and 17)."""

    kind: str = "hinge"
    boundary: ClassVar[float | None] = 0.0
    unit: ClassVar[float | None] = 1.0
    signed: ClassVar[bool] = True
    in_words: ClassVar[str] = (
        "With the hinge loss scores are no probabilities: beyond 1 for a real picture, or below -1 for a generated "
        "one, it is content and pushes no further."
    )
    as_lines: ClassVar[str] = (
        "With the hinge loss it is content with real pictures above 1 and generated ones below -1."
    )

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return functional.relu(1.0 - real) + functional.relu(1.0 + fake)

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        return -fake


class Wasserstein(Loss):
    """Difference of mean logits (Arjovsky et al. 2017): needs a gradient penalty, or its weights clipped.

    How much higher the critic ranks fake images than real ones (equation 2). It has to be kept Lipschitz from outside.
    """

    kind: str = "wasserstein"
    clip: float | None = Field(
        default=None, gt=0, le=1, description="cut the critic's weights off at this size after each step; 0.01 in 2017"
    )
    critic: ClassVar[bool] = True
    in_words: ClassVar[str] = (
        "A critic's scores are no probabilities: only their distance counts, which estimates how far the generated "
        "pictures are from the real ones. It can be compared with earlier moments of this run only."
    )
    as_lines: ClassVar[str] = (
        "Only the distance between the lines counts: the critic's estimate of how far generated pictures are from "
        "real ones. It should shrink. Its unit is the critic's own."
    )

    @property
    def weight_clip(self) -> float | None:
        return self.clip

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        return fake - real

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        return -fake

    def problems(self, config: RunConfig) -> Iterator[str]:
        if self.clip is not None and config.discriminator.spectral:
            yield "objective.loss.clip: clipped weights and discriminator.spectral both bound the critic: take one"

    def notes(self, config: RunConfig) -> Iterator[str]:
        # Whose slope nothing bounds learns to be steep, not to tell a distance.
        bounded = any(penalty.bounds_slope for penalty in config.objective.penalties)
        if not (bounded or self.clip is not None or config.discriminator.spectral):
            yield "objective.loss: a wasserstein critic needs a gradient_penalty, clip or spectral"


class Relativistic(Loss):
    """How much more real than its partner, RpGAN, or than the average, RaGAN (Jolicoeur-Martineau 2018).

    RpGAN is that of Huang et al. 2024 (R3GAN), too. RaGAN (section 4 of 2018) compares with the mean of the logits
    handed in, so one sample's loss depends on the whole batch.
    """

    kind: str = "relativistic"
    average: bool = Field(default=False, description="compare with the batch's mean logit instead of one partner's")
    pairs: ClassVar[bool] = True
    log_odds: ClassVar[bool] = True
    unit: ClassVar[float | None] = 1.0
    as_lines: ClassVar[str] = "With this loss only the distance between the two lines counts, not where they lie."

    def discriminator(self, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
        if self.average:
            return functional.softplus(fake.mean() - real) + functional.softplus(fake - real.mean())
        return functional.softplus(fake - real)

    def generator(self, real: torch.Tensor | None, fake: torch.Tensor) -> torch.Tensor:
        assert real is not None
        return self.discriminator(fake, real)  # the same game with sides exchanged

    def notes(self, config: RunConfig) -> Iterator[str]:
        if self.average and config.objective.top_k.share < 1:
            yield "objective.top_k: a relativistic average compares whole batches, of which the best are no part"


LOSSES: dict[str, type[Loss]] = {
    "bce": Bce,
    "lsgan": Lsgan,
    "hinge": Hinge,
    "wasserstein": Wasserstein,
    "relativistic": Relativistic,
}
AnyLoss = Annotated[Loss, OneOf(LOSSES)]
