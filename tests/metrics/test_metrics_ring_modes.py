import numpy as np
import pytest

from ganlet.data import ring
from ganlet.data.settings import DataConfig
from ganlet.data.source import open_source
from ganlet.metrics.mode_classifier import open_mode_classifier
from ganlet.metrics.ring_modes import RingModes


@pytest.fixture(scope="module")
def of_ring(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANLET_CACHE", str(tmp_path_factory.mktemp("cache")))
        pack = open_source(DataConfig(source="ring", num_images=4_000, size=8))
        return pack, open_mode_classifier(pack, (8, 8))


def around(centres, spread, count=500):
    noise = np.random.default_rng(0).normal(size=(count, 2))
    return ring.draw(np.asarray(centres)[np.arange(count) % len(centres)] + spread * noise, (8, 8))


def test_real_points_cover_all_modes(of_ring):
    pack, teller = of_ring
    assert isinstance(teller, RingModes)
    found = teller.coverage(np.array_split(pack.pictures, 3))
    assert (found.covered, found.total, found.missing, found.num_pictures) == (8, 8, (), 4_000)
    assert found.kl == pytest.approx(0, abs=1e-9)
    assert found.clear_share == found.expected_clear_share == pytest.approx(1 - np.exp(-4.5), abs=0.006)


def test_modes_are_those_of_the_labels(of_ring):
    pack, teller = of_ring
    modes, clear = teller(pack.pictures)
    np.testing.assert_array_equal(modes, pack.labels)
    assert (modes.dtype, clear.dtype) == (np.int64, bool)


def test_dropped_modes_are_named(of_ring):
    found = of_ring[1].coverage([around(ring.CENTRES[:5], ring.DEVIATION)])
    assert (found.covered, sorted(found.missing)) == (5, ["south", "south-east", "south-west"])
    assert found.kl == pytest.approx(np.log(8 / 5), abs=0.05)


def test_points_far_from_all_centres_cover_nothing(of_ring):
    between = ring.RADIUS * np.stack([np.cos(ring.ANGLES + np.pi / 8), np.sin(ring.ANGLES + np.pi / 8)], axis=1)
    for pictures in (around(between, 0), around([[0.0, 0.0]], 0.01)):
        found = of_ring[1].coverage([pictures])
        assert (found.covered, found.clear_share) == (0, 0)


def test_within_three_deviations_a_mode_is_clear(of_ring):
    steps = np.array([[0, 0], [2.8, 0], [3.2, 0], [0, -2.8], [0, -3.2]]) * ring.DEVIATION
    _, clear = of_ring[1](ring.draw(ring.CENTRES[2] + steps, (8, 8)))
    assert clear.tolist() == [True, True, False, True, False]
