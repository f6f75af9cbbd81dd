"""Whether generated pictures look augmented: then the augmentation has leaked from what the discriminator is shown.

A leak is what Karras et al. 2020 (section 2.2) and Zhao et al. 2020 warn of: shown augmented pictures only, a
discriminator cannot tell whether the generator augments too. Each policy has a test of its own: a linear discriminant
(Fisher 1936) on traits of pictures that see what policies do, fitted to tell training pictures with the policy from
those without it, whatever the other policies do to either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from ganlet.health.signals import Signals, separation
from ganlet.objective.augment import DRAWS_EACH, POLICIES, augment, num_draws

GREY = 0.06  # nearer to 0 than about this, a value is what translation and cutout fill with
RIDGE = 1e-2  # of the mean variance of the traits, which are brought to variance 1
TELLING = 0.85  # area under the ROC curve that a test must reach on pictures that it was not fitted to
FALSE_ALARMS = 0.02  # share of real pictures that count as augmented
LEAST_DEVIATION = 0.05  # of a trait: smaller ones are noise
NOISE, TONE = 0.1, 0.15  # of an imperfect generator: deviation of noise, largest shift of brightness and contrast
NUM_WORN = 3  # random numbers for each image
FARTHEST = 4.0  # deviations
FEWEST_PICTURES = 32  # real ones
NUM_FITTED = 512  # of them, that tests are made from


def traits(images: torch.Tensor) -> torch.Tensor:
    """Images (N, C, H, W), cut off to [-1, 1] as a generator's are -> (N, F): what policies change, and little else.

    Colours: brightness, contrast and saturation of a picture. Borders: how grey the outermost lines are, as
    translation leaves them. Squares: how grey the greyest window of a quarter of the sides is, as cutout leaves it.
    """
    images = images.clamp(-1.0, 1.0)
    colors = images[:, :3]
    brightness = colors.mean(1)
    flat = brightness.flatten(1).sort(dim=1).values
    places = [round(share * (flat.shape[1] - 1)) for share in (0.05, 0.25, 0.5, 0.75, 0.95)]
    saturation = (colors - colors.mean(1, keepdim=True)).abs().flatten(1)
    grey = torch.exp(-(images / GREY).square()).mean(1)
    window = [max(2, side // 4) for side in grey.shape[1:]]
    squares = functional.avg_pool2d(grey[:, None], window, stride=[max(1, side // 2) for side in window])
    edges = (grey[:, :2], grey[:, -2:], grey[:, :, :2].mT, grey[:, :, -2:].mT)  # two lines at each edge
    lines = torch.cat([edge.mean(2) for edge in edges], dim=1)
    parts = [
        flat.mean(1, keepdim=True),
        flat.std(1, keepdim=True),
        flat[:, places],
        colors.mean((2, 3)),
        saturation.mean(1, keepdim=True),
        grey.mean((1, 2))[:, None],
        squares.flatten(1).amax(1, keepdim=True),
        lines,
        lines.amax(1, keepdim=True),
    ]
    return torch.cat(parts, dim=1)


@dataclass(frozen=True, eq=False)
class LeakTest:
    """A score of pictures by which those with a policy are told from those without.

    `limit` is the score above which a picture counts as augmented; so do the shares `of_real` of real pictures and
    `of_augmented` of augmented ones.
    """

    mean: torch.Tensor
    deviation: torch.Tensor
    weights: torch.Tensor
    limit: float
    of_real: float
    of_augmented: float

    def share(self, images: torch.Tensor) -> float:
        """The estimated share of images (N, C, H, W) that are augmented by the policy: 0 as in real ones, 1 all."""
        scores = _expanded(traits(images), self.mean, self.deviation) @ self.weights
        found = float((scores > self.limit).float().mean())
        return min(1.0, max(0.0, (found - self.of_real) / (self.of_augmented - self.of_real)))


def fit_leak_tests(real: torch.Tensor, policies: Sequence[str], seed: int) -> dict[str, LeakTest]:
    """Tests from real images (N, C, H, W), by policy; without those that cannot tell augmented ones from the others.

    One half of the images fits a test, the other half says how far it can be trusted.
    """
    if len(real) < FEWEST_PICTURES:
        return {}
    random = torch.Generator().manual_seed(seed)
    draws = torch.rand(4, len(real), num_draws(policies), generator=random).to(real.device)
    found = {policy: _fit(real, policy, tuple(policies), draws) for policy in policies}
    return {policy: test for policy, test in found.items() if test is not None}


def leaks(tests: dict[str, LeakTest], fake: torch.Tensor) -> Signals:
    """The estimated share of generated images (N, C, H, W) that each policy has leaked into."""
    return {f"leak_{policy}": test.share(fake) for policy, test in tests.items()}


def _fit(real: torch.Tensor, policy: str, policies: tuple[str, ...], draws: torch.Tensor) -> LeakTest | None:
    """The test of one policy; None where it tells too little."""
    others = tuple(name for name in policies if name != policy)
    half = real.new_full((), 0.5)
    always = draws[1].clone()
    always[:, DRAWS_EACH * list(POLICIES).index(policy)] = 0.0  # this policy on every image, the others on half of them
    tone = TONE if policy == "color" else 0.0  # the others are known by a grey that does not move
    plain = traits(real)
    low = traits(worn(augment(real, draws[0], half, others), draws[2], tone))
    high = traits(worn(augment(real, always, half, policies), draws[3], tone))
    middle = len(real) // 2
    mean, deviation = low[:middle].mean(0), low[:middle].std(0).clamp_min(LEAST_DEVIATION)
    below = torch.cat([_expanded(part[:middle], mean, deviation) for part in (low, plain)])
    weights = _discriminant(below, _expanded(high[:middle], mean, deviation))
    first, (without, unchanged, augmented) = (
        below @ weights,
        (_expanded(part[middle:], mean, deviation) @ weights for part in (low, plain, high)),
    )
    if separation(augmented, without) < TELLING:
        return None
    limit = float(first.sort().values[round((1 - FALSE_ALARMS) * (len(first) - 1))])
    shares = [float((scores > limit).float().mean()) for scores in (unchanged, augmented)]
    return LeakTest(mean, deviation, weights, limit, *shares)


def worn(images: torch.Tensor, random: torch.Tensor, tone: float) -> torch.Tensor:
    """Images (N, C, H, W) as a generator may draw them, by numbers (N, NUM_WORN) in [0, 1).

    About a third are blurred and a third noisy, and all are up to `tone` brighter or darker, stronger or duller.
    """
    blurred = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    numbers = torch.Generator().manual_seed(0)
    noisy = images + NOISE * torch.randn(images.shape, generator=numbers).to(images.device)
    which, shift, factor = random[:, :NUM_WORN, None, None, None].unbind(1)
    images = torch.where(which < 1 / 3, blurred, torch.where(which < 2 / 3, noisy, images))
    return images * (1.0 + tone * (2.0 * factor - 1.0)) + tone * (2.0 * shift - 1.0)


def _discriminant(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Weights (F,) along which vectors (N, F) and (M, F) lie farthest apart, for their scatter about their means."""
    centred = torch.cat([low - low.mean(0), high - high.mean(0)])
    scatter = centred.T @ centred / len(centred)
    ridge = RIDGE * scatter.diagonal().mean() * torch.eye(len(scatter), device=low.device)
    return torch.linalg.solve(scatter + ridge, high.mean(0) - low.mean(0))


def _expanded(found: torch.Tensor, mean: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    """Traits (N, F) -> (N, 2 F): brought to variance 1, and their squares, for policies change them both ways.

    Cut off, so that a picture unlike any other counts as one unlike any other and no more.
    """
    standard = ((found - mean) / deviation).clamp(-FARTHEST, FARTHEST)
    return torch.cat([standard, standard.square()], dim=1)
