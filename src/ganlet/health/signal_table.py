"""Every signal that a verdict may rest on: its name in a chart, what a value of it means, and where it comes from.

Logged ones are measured in `signals`, `label_signals` and `leaks`, the others are made of them in `derived`. Nearly all
are ratios, shares or chances, so that one set of limits serves every source and loss.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ganlet.health import derived
from ganlet.health.history import Points, RunHistory, points


@dataclass(frozen=True)
class Signal:
    """A signal; `derive` makes it where no row holds it."""

    title: str
    words: str
    derive: Callable[[RunHistory], Points] | None = None


SIGNALS: dict[str, Signal] = {
    # How the discriminator judges
    "separation": Signal("told apart by the discriminator", "the discriminator finds a real picture more real than a "
                         "generated one in {:.1%} of all pairs"),
    "recognition": Signal("training pictures recognised", "the discriminator finds a picture it was trained on more "
                          "real than one it never saw in {:.0%} of all pairs"),
    "logit_gap": Signal("real minus fake logits", "the discriminator's scores of real and of generated pictures are "
                        "{:.1f} apart", lambda history: derived.logit_gap(history.all_steps)),
    "logit_gap_size": Signal("distance between real and fake logits", "the discriminator's scores of real and of "
                             "generated pictures are {:.3f} apart", derived.logit_gap_size),
    "disagreement": Signal("scores in training against scores of the source", "in training its scores keep real and "
                           "generated pictures {:.1f} apart, yet it takes the source's own pictures for generated ones",
                           derived.disagreement),
    "logit_swing": Signal("swing of the discriminator's scores", "from one log row to the next the distance between "
                          "the scores changes by {:.0%}", derived.logit_swing),
    "separation_swing": Signal("swing of the separation", "from look to look the share of pairs told apart changes by "
                               "{:.0%}", derived.separation_swing),
    "critic_size": Signal("real minus fake scores of the critic", "the critic's scores of real and of generated "
                          "pictures are {:.0f} apart", derived.logit_gap_size),
    "critic_growth": Signal("growth of the critic's scores", "the distance between the critic's scores is {:.1f} times "
                            "what it was", lambda history: derived.against_start(derived.logit_gap_size(history))),
    "clipped_weights": Signal("weights cut off", "{:.0%} of the critic's weights are cut off at their limit"),
    # How the pictures look
    "colour_shift": Signal("colour shift",
                           "the mean colours are off by {:.2f} standard deviations of the real pictures"),
    "contrast": Signal("contrast", "the pictures have {:.0%} of the contrast of real ones"),
    "saturation": Signal("saturation", "{:.0%} more values than in real pictures are pure black or full colour"),
    "pixel_shift": Signal("largest shift at one pixel",
                          "at one place the mean picture is off by {:.0%} of the whole range"),
    "checkerboard": Signal("checkerboard",
                           "patterns that repeat every two pixels are {:.1f} times as strong as in real pictures"),
    "rough_diversity": Signal("rough diversity", "seen from afar, generated pictures differ from each other {:.0%} as "
                              "much as real ones do"),
    "raw_rough_diversity": Signal("rough diversity, momentary weights", "seen from afar, what the generator draws at "
                                  "this moment differs {:.0%} as much as real pictures do"),
    "diversity": Signal("diversity", "in what they show, generated pictures differ {:.0%} as much as real ones do"),
    "diversity_kept": Signal("diversity, share of its best", "the diversity is {:.0%} of the best it had",
                             partial(derived.share_of_best, signal="diversity", least=1e-9)),
    "duplicates": Signal("duplicates", "{:.0%} of the generated pictures have a near twin among a few dozen others"),
    "coverage": Signal("coverage", "{:.0%} of the real pictures have a generated one that is like them"),
    "coverage_kept": Signal("coverage, share of its best", "the coverage is {:.0%} of the best it had",
                            partial(derived.share_of_best, signal="coverage", least=0.3)),
    "distance": Signal("distance from real pictures", "the distance from real pictures is {:.2f}, where 0 is alike"),
    "distance_gain": Signal("distance, against earlier", "the distance from real pictures is {:.0%} of what it was "
                            "before", derived.distance_gain),
    "distance_growth": Signal("distance, multiple of its best", "the distance is {:.1f} times the best it had",
                              derived.distance_growth),
    "value": Signal("measured distance", "the measured distance is {:.4g}"),
    "measured_growth": Signal("measured distance, multiple of its best", "the measured distance is {:.1f} times the "
                              "best one, errors allowed for", derived.measured_growth),
    "copies": Signal("copies", "{:.0%} of the generated pictures are nearly the same as a training picture"),
    "epochs": Signal("times each picture was shown", "each training picture was shown about {:.0f} times"),
    "movement": Signal("movement from look to look", "from one look to the next the pictures changed by {:.1%} of the "
                       "distance between two of them"),
    **{f"leak_{policy}": Signal(f"leak of {policy}", f"{{:.0%}} of the generated pictures look as if {policy} had been "
                                "done to them, beyond what real ones do")
       for policy in ("color", "translation", "cutout")},
    # What labels do
    "label_effect": Signal("effect of labels", "another label changes a picture {:.0%} as much as other latents do"),
    "label_agreement": Signal("agreement with labels", "generated pictures fit the labels they were drawn with {:.0%} "
                              "as well as real ones fit theirs, above chance"),
    "class_diversity": Signal("diversity of the least varied class", "within the class generated pictures differ "
                              "{:.0%} as much as real ones do", partial(derived.least_class, beside=False)),
    "class_beside": Signal("diversity of the least varied class, beside others", "for the class's real pictures, "
                           "generated ones differ {:.0%} as much as those of other classes",
                           partial(derived.least_class, beside=True)),
    # Weights, losses, gradients
    "dead_units": Signal("dead units", "{:.0%} of the generator's units never fire"),
    "not_finite": Signal("not finite", "{:.0f} of the logged numbers are not finite", derived.not_finite),
    "loss_growth": Signal("generator's loss, growth", "the generator's loss is {:.1f} times what it was",
                          derived.loss_growth),
    "gradient_share": Signal("generator's gradient, share of usual",
                             "the generator's gradient is {:.1%} of its usual size",
                             lambda history: derived.against_start(points(history.steps, "generator_gradient_norm"))),
    **{f"{network}_not_finite": Signal(f"{network}: not finite",
                                       f"{{:.0f}} of the {network}'s weights are not finite numbers")
       for network in ("generator", "discriminator")},
    **{f"{network}_growth": Signal(f"{network}'s weights, growth",
                                   f"within a few looks the {network}'s weights have grown {{:.0f}}-fold",
                                   partial(derived.growth, network=network))
       for network in ("generator", "discriminator")},
    **{f"{network}_pace": Signal(f"{network}'s weights, pace",
                                 f"in 1,000 steps the {network}'s weights grow by {{:.0f}} times their initial size",
                                 partial(derived.pace, network=network))
       for network in ("generator", "discriminator")},
}  # fmt: skip


def series(history: RunHistory, signal: str) -> Points:
    """All that is known of a signal, the early phase included."""
    if signal in SIGNALS and (derive := SIGNALS[signal].derive):
        return derive(history)
    for rows in (history.all_looks, history.measurements, history.all_steps):
        if found := points(rows, signal):
            return found
    return []


def latest(history: RunHistory, signal: str, num: int = 3) -> float | None:
    """The median of the last `num` values of a derived signal, else of the looks after the early phase."""
    derive = SIGNALS[signal].derive
    known = derive(history) if derive else points(history.looks, signal)
    return statistics.median(value for _, value in known[-num:]) if known else None
