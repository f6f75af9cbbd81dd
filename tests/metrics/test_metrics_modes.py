import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlet.data import smileys
from ganlet.data.settings import DataConfig
from ganlet.data.source import open_source
from ganlet.data.spec import Pack
from ganlet.data.stacked import stacked_names
from ganlet.errors import MetricError
from ganlet.metrics.modes import Modes, attribute_shares, coverage_of_modes, modes_of

UNIFORM = np.full(8, 1 / 8)


def pack_of(labels, names=("a", "b", "c")):
    labels = None if labels is None else np.array(labels, np.int64)
    return Pack(np.zeros((6, 8, 8, 1), np.uint8), labels, names, None, "", {"kind": "folder", "source": "here"})


def test_every_mode_drawn_as_often_as_in_the_source_is_perfect():
    found = coverage_of_modes(np.arange(8).repeat(5), UNIFORM)
    assert (found.covered, found.total, found.missing, found.num_pictures) == (8, 8, (), 40)
    assert found.kl == pytest.approx(0, abs=1e-12)
    assert found.clear_share is None


def test_the_divergence_is_that_of_the_drawn_from_the_real_ones():
    found = coverage_of_modes(np.array([0, 0, 0, 1]), np.array([0.5, 0.25, 0.25]))
    assert found.kl == pytest.approx(0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.25))
    collapsed = coverage_of_modes(np.zeros(100, int), UNIFORM)
    assert collapsed.kl == pytest.approx(np.log(8))
    assert collapsed.covered == 1


@given(num=st.integers(1, 60), num_modes=st.integers(2, 12), min_count=st.integers(1, 2))
def test_as_many_are_expected_as_chance_leaves(num, num_modes, min_count):
    frequencies = np.arange(1, num_modes + 1) / np.arange(1, num_modes + 1).sum()
    found = coverage_of_modes(np.zeros(num, int), frequencies, min_count=min_count)
    too_few = (1 - frequencies) ** num
    if min_count == 2:
        too_few = too_few + num * frequencies * (1 - frequencies) ** (num - 1)
    exact = (1 - too_few).sum()
    spread = np.sqrt((too_few * (1 - too_few)).sum() / 200)  # at most: modes compete for pictures
    assert abs(found.expected_covered - exact) <= 5 * spread + 0.03


def test_chance_alone_makes_a_divergence():
    real = np.random.default_rng(0).integers(0, 8, 400)
    found = coverage_of_modes(real, UNIFORM)
    assert found.expected_kl == pytest.approx(7 / 800, rel=0.15)  # (K - 1) / 2N
    assert found.kl < 5 * found.expected_kl


def test_missing_modes_are_named_the_most_frequent_first():
    frequencies = np.array([0.1, 0.2, 0.05, 0.3, 0.3, 0.05, 0.0])
    found = coverage_of_modes(np.array([0, 0, 2]), frequencies, name=lambda mode: f"mode {mode}")
    assert found.missing == ("mode 3", "mode 4", "mode 1", "mode 5")
    assert (found.covered, found.total) == (2, 6)
    many = coverage_of_modes(np.zeros(3, int), np.full(100, 0.01))
    assert many.missing == tuple(str(mode) for mode in range(1, 11))


def test_a_mode_that_the_source_lacks_is_not_covered_but_counts_against():
    frequencies = np.array([0.5, 0.5, 0.0])
    found = coverage_of_modes(np.array([0, 1, 2, 2]).repeat(100), frequencies)
    assert (found.covered, found.total) == (2, 2)
    without = coverage_of_modes(np.array([0, 1, 0, 1]).repeat(100), frequencies)
    assert np.isfinite(found.kl)
    assert found.kl > without.kl + 0.5


def test_a_mode_needs_enough_clear_pictures():
    drawn = np.array([0, 0, 1, 1, 2])
    frequencies = np.full(3, 1 / 3)
    clear = np.array([True, True, True, False, False])
    assert [coverage_of_modes(drawn, frequencies, min_count=count).covered for count in (1, 2, 3)] == [3, 2, 0]
    found = coverage_of_modes(drawn, frequencies, clear=clear, expected_clear_share=0.9)
    assert (found.covered, found.missing) == (2, ("2",))
    assert (found.clear_share, found.expected_clear_share) == (0.6, 0.9)
    assert found.kl == coverage_of_modes(drawn, frequencies).kl
    assert coverage_of_modes(drawn, frequencies, clear=clear, min_count=2).covered == 1


def test_fewer_real_modes_are_expected_where_fewer_real_pictures_are_clear():
    drawn = np.zeros(10, int)
    expected = [
        coverage_of_modes(drawn, UNIFORM, clear=drawn == 0, expected_clear_share=share).expected_covered
        for share in (1.0, 0.5, 0.0)
    ]
    assert expected[0] > expected[1] > expected[2] == 0


def test_no_pictures_are_refused():
    with pytest.raises(MetricError, match="no generated pictures"):
        coverage_of_modes(np.empty(0, int), UNIFORM)


def test_points_around_a_ring_can_be_counted_too():
    angles = np.arange(8) * np.pi / 4
    centres = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = centres[np.arange(6).repeat(50)] + 0.02 * np.random.default_rng(0).normal(size=(300, 2))
    points[:3] *= 3
    distances = np.linalg.norm(points[:, None] - centres, axis=2)
    found = coverage_of_modes(distances.argmin(axis=1), UNIFORM, clear=distances.min(axis=1) < 0.1)
    assert (found.covered, found.missing, found.clear_share) == (6, ("6", "7"), 0.99)
    assert found.kl == pytest.approx(np.log(8 / 6))


def test_modes_are_digits_with_names():
    modes = Modes({"tens": ("zero", "ten"), "last_digit": ("a", "b", "c")}, np.full(6, 1 / 6))
    np.testing.assert_array_equal(modes.digits(np.array([0, 4, 5])), [[0, 0], [1, 1], [1, 2]])
    assert modes.name(5) == "tens ten, last digit c"
    assert Modes({"class": ("cat", "dog")}, np.full(2, 0.5)).name(1) == "dog"


def test_shares_are_told_for_each_attribute():
    modes = Modes({"tens": ("zero", "ten"), "last": ("a", "b", "c")}, np.array([0.5, 0.1, 0, 0.2, 0.1, 0.1]))
    shares = attribute_shares(np.array([0, 1, 1, 5]), modes)
    assert shares["tens"] == {"zero": (0.75, pytest.approx(0.6)), "ten": (0.25, pytest.approx(0.4))}
    assert shares["last"]["b"] == (0.5, pytest.approx(0.2))


def test_the_modes_of_a_labelled_source_are_its_classes():
    modes, of_pictures = modes_of(pack_of([0, 0, 2, 2, 2, 0]))
    assert modes.attributes == {"class": ("a", "b", "c")}
    np.testing.assert_array_equal(modes.frequencies, [0.5, 0, 0.5])
    np.testing.assert_array_equal(of_pictures, [0, 0, 2, 2, 2, 0])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_the_modes_of_smileys_are_combinations_of_what_is_seen_of_them(channels):
    pack = open_source(DataConfig(num_images=50, size=16, channels=channels))
    modes, of_pictures = modes_of(pack)
    expected = dict(smileys.ATTRIBUTES)
    if channels == 4:
        del expected["background"]
    assert modes.attributes == expected
    assert len(modes.frequencies) == (180 if channels == 4 else 540)
    assert modes.frequencies.sum() == pytest.approx(1)
    if channels == 4:
        assert (
            modes.name(of_pictures[0])
            .replace("face colour ", "")
            .startswith(smileys.LABEL_NAMES[pack.labels[0]].split()[0])
        )
    else:
        np.testing.assert_array_equal(of_pictures, pack.labels)
    digits = smileys.attributes_from_label(pack.labels)
    for column, attribute in enumerate(expected):
        np.testing.assert_array_equal(modes.digits(of_pictures)[:, column], getattr(digits, attribute))


def test_the_modes_of_stacks_are_a_digit_in_each_channel():
    names = stacked_names(("1", "7"))
    pack = Pack(np.zeros((3, 8, 8, 3), np.uint8), np.array([0, 3, 7]), names, None, "", {"kind": "stacked"})
    modes, of_pictures = modes_of(pack)
    assert modes.attributes == dict.fromkeys(("red", "green", "blue"), ("1", "7"))
    np.testing.assert_array_equal(of_pictures, [0, 3, 7])
    assert modes.name(3) == "red 1, green 7, blue 7"
    assert names[3] == "177"


def test_sources_without_modes_are_refused():
    with pytest.raises(MetricError, match="no labels") as caught:
        modes_of(pack_of(None, ()))
    assert caught.value.where == "here"
    with pytest.raises(MetricError, match="but one class"):
        modes_of(pack_of([1] * 6))
