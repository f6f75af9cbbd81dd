"""What `ganlet.metrics` offers for loops of one's own: real ones first, then generated ones."""

from __future__ import annotations

import numpy as np
import pytest

import ganlet
from ganlet.errors import MetricError
from ganlet.metrics.accumulate import statistics_of
from ganlet.metrics.distances import frechet_distance, kernel_distance

REALS, FAKES = (np.random.default_rng(s).integers(0, 128 * (1 + s), (6 + s, 8, 8, 3), dtype=np.uint8) for s in (0, 1))


def test_a_distance_says_which_side_is_which():
    measured = ganlet.metrics.distance(REALS, FAKES, extractor="pixels")
    assert (measured.protocol.num_reals, measured.protocol.num_fakes) == (6, 7)
    reals, fakes = (ganlet.metrics.features(side, "pixels") for side in (REALS, FAKES))
    assert (
        (measured.value, measured.spread)
        == kernel_distance(fakes, reals)
        == ganlet.metrics.kernel_distance(reals, fakes)
    )
    frechet = ganlet.metrics.distance(REALS, FAKES, "fd", extractor="pixels").value
    assert frechet == ganlet.metrics.frechet_distance(reals, fakes)
    assert frechet == frechet_distance(statistics_of(fakes), statistics_of(reals))


@pytest.mark.parametrize(
    ("arguments", "words"), [((REALS, FAKES, "fid"), "no such distance"), ((REALS / 255, FAKES), "no pictures")]
)
def test_what_is_no_distance_of_pictures_is_refused(arguments, words):
    with pytest.raises(MetricError, match=words):
        ganlet.metrics.distance(*arguments, extractor="pixels")
