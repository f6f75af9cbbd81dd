"""Where health ends and illness begins: every number that the verdicts depend on, in one place.

Signals are described in `signals`, derived ones in `case`. All are ratios, shares or chances, so that one set of
thresholds serves every source and loss.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Thresholds:
    """Limits of single signals, and how long one must be passed before that counts."""

    # The early phase: nothing but numbers that are not finite is judged before all of these have passed.
    early_steps: int = 250  # generator steps: 8,000 images of the preset `quick`
    early_share: float = 0.12  # of the whole run, but no more than
    early_most: int = 40_000  # images

    # Persistence: how many looks must agree (one look in between may disagree).
    looks: int = 3
    looks_serious: int = 2  # where waiting costs the run and the signal is far from anything healthy
    rows: int = 5  # the same for log rows, which come more often

    # Mode collapse, complete: (nearly) one picture.
    collapsed_rough_diversity: float = 0.2  # ratio to real pictures; a generator that learns nothing is at 0.3 to 0.5
    collapsed_duplicates: float = 0.8  # share of the generated pictures
    # Partial: a few pictures, or families of them.
    poor_rough_diversity: float = 0.6
    poor_duplicates: float = 0.3  # healthy runs stay below 0.05
    poor_diversity_kept: float = 0.65

    # Discriminator too strong: it is never fooled AND the pictures are poor AND they do not get better.
    never_fooled: float = 0.995  # separation; with batch normalisation 0.8 to 0.99 is healthy
    far_distance: float = 0.7  # energy distance as a share of the real pictures' spread; noise is at 1 or beyond
    flat: float = 0.9  # a distance above this share of what it was before has not got better
    vanished_gradient: float = 0.05  # the generator's gradient norm as a share of its usual one
    # Without looks, from the log alone: how far apart the logits are, and how much the generator's loss has grown.
    won_logit_gap: float = 10.0
    won_loss_growth: float = 1.5

    # Discriminator too weak.
    cannot_tell: float = 0.6  # separation; an illness only while pictures are poor
    fooled: float = 0.3  # separation; below, it finds generated pictures the more real ones
    weak_logit_gap: float = 1.0  # in training: real minus fake logits; above, it does tell what it is shown apart
    undecided_logit_gap: float = 0.05  # without looks: it says the same of all pictures

    # Oscillation: the mean change from one value to the next.
    swing_rows: int = 12  # log rows looked back on
    swing_looks: int = 6
    logit_swing: float = 0.5  # of the distance between real and fake logits, as a share of that distance
    separation_swing: float = 0.35  # 0.15 was seen in healthy runs
    restless: float = 1.0  # movement: as far as from one picture to another; 0.85 was seen in healthy runs

    # Divergence.
    exploded_logit_gap: float = 100.0
    exploded_weights: float = 4.0  # norm, as a multiple of what it was a few looks before; healthy ones grow by a half
    growth_looks: int = 6
    racing_weights: float = (
        5.0  # times their initial norm, in 1,000 steps; with `quick`, 0.6; at 100 times its rates, 50
    )
    lost_coverage: float = 0.4  # of the best so far ...
    least_coverage: float = 0.3  # ... where that was at least this much: other real pictures would cover 0.97
    lost_distance: float = 2.5  # as a multiple of the best so far
    least_distance: float = 0.1  # a best below this counts as this: noise
    lost_measured: float = 1.5  # measured distance as a multiple of the best so far, three errors in its favour

    # Overfitting.
    recognises: float = 0.7  # training against held-out pictures; one look is exact to 0.04
    knows_by_heart: float = 0.9
    copies: float = 0.4  # real pictures would have 0.05
    many_copies: float = 0.7
    few_pictures: int = 1_000  # with fewer, and none held out, nobody can know
    many_epochs: float = 40.0

    # Faults of the pictures.
    checkerboard: float = 3.0
    colour_shift: float = 0.4  # standard deviations; pictures as real ones would be within 0.15
    low_contrast: float = 0.6
    high_contrast: float = 1.5
    saturation: float = 0.3  # 0.18 was seen in young healthy runs
    pixel_shift: float = 0.35  # of the range from black to white; healthy runs come below 0.2

    # Learns nothing.
    still: float = 0.02  # movement; healthy runs are at 0.3 to 1
    dead_units: float = 0.9
    least_rate: float = 0.1  # below this share of its full rate a network is meant to stand still

    # Labels.
    label_effect: float = 0.1  # healthy ones are above 0.4
    label_agreement: float = 0.06  # one look is exact to 0.04; CIFAR-10, whose pictures show little yet, is above 0.09
    class_diversity: float = 0.35  # of one class, as a ratio to its real pictures; healthy classes are above 0.5
    class_beside: float = 0.45  # that ratio as a share of the other classes'; healthy ones are above 0.7

    # Augmentation leaks: share of the generated pictures.
    leaked: float = 0.3
    leaked_widely: float = 0.6
    leaked_beside: float = 2 / 3  # of the strongest leak: a weaker one may be its shadow

    # Critics.
    critic_growth: float = 4.0  # of the distance between its logits; a bounded critic's shrinks
    clipped_weights: float = 0.8

    # Progress. Gains must exceed the errors of what was measured twice over.
    near_end: float = 0.95  # of the run
    least_gain: float = 0.05  # of a distance, over a third of the run
    least_coverage_gain: float = 0.05
    fewest_measurements: int = 5
    fewest_looks: int = 6


THRESHOLDS = Thresholds()
