"""From evidence to values: each function computes one metric, or two that go together, by key."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ganlet.errors import MetricError
from ganlet.metrics.distances import frechet_distance, intra_class_distance, kernel_distance, kernel_distance_subsets
from ganlet.metrics.evidence import NUM_PARTS, Evidence
from ganlet.metrics.manifold import density_coverage, precision_recall
from ganlet.metrics.memorisation import memorised_share, pixels
from ganlet.metrics.scores import inception_score
from ganlet.metrics.similarity import ms_ssim_diversity

FEWEST_FOR_FRECHET = 2_048  # as many as Inception has features: below, the bias is larger than what is measured
FEWEST_FOR_SPREAD = 50  # pictures in a part
SUBSET_SIZE = 1_000
NUM_PAIRS = 1_000
MOST_NAMED = 3  # modes that are missing


@dataclass(frozen=True)
class Value:
    """A number, how far it can be trusted, and what must be said beside it."""

    value: float
    spread: float | None = None
    num_fakes: int | None = None  # where it is of fewer than all
    num_reals: int | None = None
    biased: bool = False
    note: str = ""


def _spread(parts: Sequence[float]) -> float | None:
    """The standard error of a mean of disjoint parts of a set: about that of the number for the whole set."""
    return statistics.stdev(parts) / math.sqrt(len(parts)) if len(parts) > 2 else None


def frechet(evidence: Evidence) -> dict[str, Value]:
    real, fake = evidence.real, evidence.fake
    few = min(real.count, fake.count) < FEWEST_FOR_FRECHET
    if few and not evidence.force:
        raise MetricError(
            f"With fewer than {FEWEST_FOR_FRECHET:,} pictures on a side it says more about their number than about "
            "the generator",
            got=f"{fake.count:,} generated and {real.count:,} real ones",
            hint="more pictures with --num, the kernel distance, which has no such bias, or --force",
        )
    parts = [part for part in fake.parts if part.count >= FEWEST_FOR_SPREAD]
    value = Value(
        frechet_distance(fake.statistics, real.statistics),
        _spread([frechet_distance(part, real.statistics) for part in parts]),
        biased=few,
        note=f"biased upwards, for it is of fewer than {FEWEST_FOR_FRECHET:,} pictures on a side" if few else "",
    )
    return {"frechet": value}


def kernel(evidence: Evidence) -> dict[str, Value]:
    fakes, reals = evidence.fake.features, evidence.real.features
    if evidence.extractor.is_inception:
        size = min(SUBSET_SIZE, len(fakes), len(reals))
        value, spread = kernel_distance_subsets(fakes, reals, subset_size=size, seed=evidence.protocol.seed)
        note = f"mean and deviation over 100 subsets of {size:,}" + (", as published" if size == SUBSET_SIZE else "")
    else:
        value, spread = kernel_distance(fakes, reals)
        note = ""
    return {"kernel": Value(value, spread, len(fakes), len(reals), note=note)}


def _by_parts(
    evidence: Evidence, compute: Callable[[np.ndarray, np.ndarray], tuple[float, float]], keys: tuple[str, str]
) -> dict[str, Value]:
    """Two numbers from the features of reals and fakes, with the spread that disjoint parts of both show."""
    reals, fakes = evidence.real.features, evidence.fake.features
    parts = []
    if min(len(reals), len(fakes)) >= NUM_PARTS * FEWEST_FOR_SPREAD:
        pieces = zip(np.array_split(reals, NUM_PARTS), np.array_split(fakes, NUM_PARTS), strict=True)
        parts = [compute(*piece) for piece in pieces]
    values = compute(reals, fakes)
    return {
        key: Value(value, _spread([part[place] for part in parts]), len(fakes), len(reals))
        for place, (key, value) in enumerate(zip(keys, values, strict=True))
    }


def precision_and_recall(evidence: Evidence) -> dict[str, Value]:
    return _by_parts(evidence, precision_recall, ("precision", "recall"))


def density_and_coverage(evidence: Evidence) -> dict[str, Value]:
    return _by_parts(evidence, density_coverage, ("density", "coverage"))


def score(evidence: Evidence) -> dict[str, Value]:
    logits = evidence.fake.logits
    if logits is None:
        raise MetricError(f"The extractor {evidence.extractor.name} names no classes.")
    value, spread = inception_score(logits)
    return {"score": Value(value, spread, len(logits), note="mean and deviation over ten parts")}


def intra_class(evidence: Evidence) -> dict[str, Value]:
    fake, real = evidence.fake, evidence.real
    if evidence.by_attributes:
        raise MetricError(
            "The generator takes attributes, of which a picture has any number: there are no classes to compare."
        )
    if fake.labels is None:
        raise MetricError("The generator takes no labels, so it cannot be asked for pictures of one class.")
    if real.labels is None:
        raise MetricError("The real pictures have no labels.")
    found = intra_class_distance(fake.features, fake.labels, real.features, real.labels, evidence.label_names)
    places = [place for place, name in enumerate(evidence.label_names) if name in found.distances]
    fewest = min(int((labels == place).sum()) for labels in (fake.labels, real.labels) for place in places)
    note = f"mean over {len(found.distances)} classes of {fewest:,} pictures or more"
    if found.refused:
        note += f", {len(found.refused)} more have too few pictures"
    if few := fewest < FEWEST_FOR_FRECHET:
        note += f"; biased upwards, for these are fewer than {FEWEST_FOR_FRECHET:,}"
    worst = max(found.distances, key=lambda name: found.distances[name])
    note += f"; farthest is {worst}: {found.distances[worst]:.4g}"
    return {"intra_class": Value(found.mean, None, len(fake.features), len(real.features), biased=few, note=note)}


def ms_ssim(evidence: Evidence) -> dict[str, Value]:
    pictures = evidence.fake.pictures
    found = ms_ssim_diversity(pictures, NUM_PAIRS)
    note = f"mean over {found.num_pairs:,} pairs, on {found.num_scales} of 5 scales"
    return {"ms_ssim": Value(found.value, found.error, len(pictures), note=note)}


def path_length(evidence: Evidence) -> dict[str, Value]:
    if evidence.path_length is None:
        raise MetricError(
            f"The extractor {evidence.extractor.name} sees whole grey levels only, in which small steps vanish",
            hint="--extractor ganlet",
        )
    found = evidence.path_length()
    error = found.spread / math.sqrt(found.num_steps)
    return {"path_length": Value(found.value, error, note=f"mean over {found.num_steps:,} steps in latent space")}


def memorisation(evidence: Evidence) -> dict[str, Value]:
    found = memorised_share(evidence.fake.pictures, evidence.training, evidence.unseen, represent=pixels)
    note = (
        f"{found.share:.1%} of the generated pictures lie as near to a training picture as {found.expected:.1%} of "
        f"others do ({found.compared_with}); compared are pixels, which always find exact copies and, of natural "
        "pictures, noisy and blurred ones too, but of line drawings such as smileys exact ones only; mirrored ones are "
        "not found"
    )
    return {"memorisation": Value(found.copies, found.copies_error, found.num_fakes, found.num_training, note=note)}


def modes(evidence: Evidence) -> dict[str, Value]:
    if evidence.modes is None:
        raise MetricError("Nothing tells the modes of these pictures.")
    found = evidence.modes()
    note = f"{found.covered:,} of {found.total:,} modes; as many real pictures cover {found.expected_covered:,.0f}"
    note += f"; divergence of their frequencies {found.kl:.3f} nats, by chance {found.expected_kl:.3f}"
    if found.clear_share is not None and found.expected_clear_share is not None:
        note += f"; clear is the mode of {found.clear_share:.1%}, of real pictures {found.expected_clear_share:.1%}"
    if found.missing:
        note += f"; never drawn: {' / '.join(found.missing[:MOST_NAMED])}"
    return {"modes": Value(found.covered / found.total, num_fakes=found.num_pictures, note=note)}
