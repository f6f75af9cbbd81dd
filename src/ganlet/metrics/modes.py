"""Which kinds of pictures are generated, where the kinds are known: modes covered, missing, and how evenly.

A mode is a class of a labelled source, or a combination of the attributes of a smiley or of stacked digits. The
functions here are pure. What tells the mode of a picture is somebody else's: `mode_classifier`, or `ring_modes`, by the
nearest centre.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ganlet.data import smileys, stacked
from ganlet.data.spec import Pack
from ganlet.errors import MetricError
from ganlet.randomness import numpy_generator

LISTED = 10  # missing modes that are named
REPETITIONS = 200  # draws of real pictures that expectations are the mean of


@dataclass(frozen=True)
class Modes:
    """The modes of a source: every combination of a value of each attribute.

    A mode's number has the attributes' values as digits, the last varies fastest. `frequencies` (K,) are those in the
    source and add up to 1.
    """

    attributes: dict[str, tuple[str, ...]]
    frequencies: np.ndarray

    @property
    def radices(self) -> tuple[int, ...]:
        """How many values each attribute has."""
        return tuple(len(values) for values in self.attributes.values())

    def digits(self, modes: np.ndarray) -> np.ndarray:
        """The values of modes (N,): indices int64 (N, number of attributes)."""
        return np.stack(np.unravel_index(modes, self.radices), axis=1)

    def name(self, mode: int) -> str:
        """A mode in words."""
        digits = self.digits(np.array([mode]))[0]
        if len(self.attributes) == 1:
            (values,) = self.attributes.values()
            return values[digits[0]]
        pairs = zip(self.attributes.items(), digits, strict=True)
        return ", ".join(f"{attribute.replace('_', ' ')} {values[digit]}" for (attribute, values), digit in pairs)

    def coverage(self, drawn: np.ndarray, clear: np.ndarray, expected_clear_share: float) -> ModeCoverage:
        """How well generated pictures cover them, by the mode of each, int (N,); see `coverage_of_modes`."""
        return coverage_of_modes(
            drawn, self.frequencies, clear=clear, expected_clear_share=expected_clear_share, name=self.name
        )


@dataclass(frozen=True)
class ModeCoverage:
    """How the modes of generated pictures compare with those of the source.

    Of `total` modes that the source has, `covered` were drawn; of as many real pictures `expected_covered` would be.
    `kl` is the Kullback-Leibler divergence in nats of the drawn modes from the source's, 0 when they are as frequent as
    there, and `expected_kl` what chance makes of it for as many real pictures. `clear_share` is the share of pictures
    whose mode is clear, where that is known, beside that of real ones: a low one means pictures that could be anything,
    but a high one proves no quality. `missing` names modes that were never drawn, those most frequent in the source
    first.
    """

    covered: int
    total: int
    expected_covered: float
    kl: float
    expected_kl: float
    clear_share: float | None
    expected_clear_share: float | None
    num_pictures: int
    missing: tuple[str, ...]


def modes_of(pack: Pack) -> tuple[Modes, np.ndarray]:
    """The modes of a source, and the mode of each of its pictures, int64 (N,).

    Raises MetricError where the source has no labels, or but one.
    """
    if pack.labels is None:
        raise MetricError(
            "The source has no labels, so its modes are not known.",
            where=pack.summary.get("source"),
            expected="smileys, ring, labelled idx or CIFAR files, or a folder with a sub-folder for each class",
        )
    attributes, modes = {"class": pack.label_names}, pack.labels
    if pack.summary.get("kind") == "smileys":
        attributes, digits = dict(smileys.ATTRIBUTES), smileys.attributes_from_label(pack.labels)
        if pack.pictures.shape[-1] == 4:  # drawn without a background
            del attributes["background"]
        radices = [len(values) for values in attributes.values()]
        modes = np.ravel_multi_index([getattr(digits, name) for name in attributes], radices)
    elif pack.summary.get("kind") == "stacked":
        attributes = {channel: stacked.digit_names(pack.label_names) for channel in stacked.CHANNELS}
    total = int(np.prod([len(values) for values in attributes.values()]))
    counts = np.bincount(modes, minlength=total)
    if (counts > 0).sum() < 2:
        raise MetricError("The source has but one class, so there are no modes to cover.")
    return Modes(attributes, counts / counts.sum()), np.asarray(modes, np.int64)


def coverage_of_modes(
    drawn: np.ndarray,
    frequencies: np.ndarray,
    *,
    min_count: int = 1,
    clear: np.ndarray | None = None,
    expected_clear_share: float = 1.0,
    name: Callable[[int], str] = str,
) -> ModeCoverage:
    """Compare the modes of generated pictures, int (N,), with their `frequencies` (K,) in the source.

    A mode is covered that `min_count` pictures have whose mode is clear: `clear`, bool (N,), leaves out those that
    could be anything; of real pictures the share `expected_clear_share` is. All pictures count for the divergence. In
    it a mode that the source lacks counts as one of which half a picture would be expected. Raises MetricError for no
    pictures.
    """
    if len(drawn) == 0:
        raise MetricError("There are no generated pictures to tell the modes of.")
    num_modes = len(frequencies)
    counts = np.bincount(drawn, minlength=num_modes)
    certain = counts if clear is None else np.bincount(drawn[clear], minlength=num_modes)
    occurring = frequencies > 0
    floor = np.where(occurring, frequencies, 0.5 / len(drawn))
    floor = floor / floor.sum()

    random = numpy_generator(0, "modes", len(drawn))
    reals = random.multinomial(len(drawn), frequencies / frequencies.sum(), size=REPETITIONS)
    clear_reals = random.binomial(reals, expected_clear_share)
    order = np.argsort(-frequencies, kind="stable")
    missing = [int(mode) for mode in order if occurring[mode] and certain[mode] == 0]
    return ModeCoverage(
        covered=int((certain[occurring] >= min_count).sum()),
        total=int(occurring.sum()),
        expected_covered=float((clear_reals[:, occurring] >= min_count).sum(axis=1).mean()),
        kl=float(_divergence(counts, floor)),
        expected_kl=float(_divergence(reals, floor).mean()),
        clear_share=None if clear is None else float(clear.mean()),
        expected_clear_share=None if clear is None else expected_clear_share,
        num_pictures=len(drawn),
        missing=tuple(name(mode) for mode in missing[:LISTED]),
    )


def attribute_shares(drawn: np.ndarray, modes: Modes) -> dict[str, dict[str, tuple[float, float]]]:
    """For each attribute and value, the share of pictures (N,) that have it, and the share in the source."""
    shares: dict[str, dict[str, tuple[float, float]]] = {}
    ours, theirs = modes.digits(drawn), modes.digits(np.arange(len(modes.frequencies)))
    for column, (attribute, values) in enumerate(modes.attributes.items()):
        fakes = np.bincount(ours[:, column], minlength=len(values)) / len(drawn)
        reals = np.bincount(theirs[:, column], weights=modes.frequencies, minlength=len(values))
        shares[attribute] = {value: (float(f), float(r)) for value, f, r in zip(values, fakes, reals, strict=True)}
    return shares


def _divergence(counts: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """KL(counts || frequencies) in nats, over the last axis."""
    shares = counts / counts.sum(axis=-1, keepdims=True)
    return (shares * np.log(np.where(shares > 0, shares / frequencies, 1.0))).sum(axis=-1)
