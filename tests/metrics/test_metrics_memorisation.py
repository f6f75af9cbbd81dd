import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlet.errors import MetricError
from ganlet.metrics import memorisation
from ganlet.metrics.memorisation import memorised_share, nearest_neighbours, pixels


def features(count, seed, width=6):
    return np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)


def all_distances(first, second):
    return np.linalg.norm(first[:, None].astype(np.float64) - second[None], axis=2)


@settings(max_examples=40, deadline=None)
@given(
    num=st.integers(1, 30),
    num_training=st.integers(3, 60),
    wanted=st.integers(1, 3),
    cut=st.integers(0, 60),
    elements=st.integers(1, 500),
)
def test_the_nearest_are_the_nearest_of_all_in_blocks_and_batches(num, num_training, wanted, cut, elements):
    ours, training = features(num, 1), features(num_training, 2)
    expected = all_distances(ours, training)
    for rows in (training, [training[:cut], training[cut:]], iter([training[:cut], training[cut:]])):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memorisation, "BLOCK_ELEMENTS", elements)
            distances, indices = nearest_neighbours(ours, rows, wanted)
        np.testing.assert_array_equal(indices, expected.argsort(axis=1)[:, :wanted])
        np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :wanted], rtol=1e-6)
    assert (distances.dtype, indices.dtype) == (np.float64, np.int64)


def test_a_copy_is_at_no_distance_however_large_its_features_are():
    training = features(500, 3, width=64) * 50 + 3000
    distances, indices = nearest_neighbours(training[::-1][:40], training)
    np.testing.assert_array_equal(indices[:, 0], np.arange(499, 459, -1))
    assert distances.max() == 0


@pytest.mark.parametrize("cut", [0, 7, 20])
def test_a_row_may_be_kept_from_being_compared_with_itself(cut):
    training = features(20, 4)
    expected = all_distances(training, training)
    np.fill_diagonal(expected, np.inf)
    itself = np.arange(20)
    itself[3], expected[3, 3] = -1, 0
    distances, indices = nearest_neighbours(training, [training[:cut], training[cut:]], 2, itself=itself)
    np.testing.assert_array_equal(indices, expected.argsort(axis=1)[:, :2])
    np.testing.assert_allclose(distances, np.sort(expected, axis=1)[:, :2], rtol=1e-6)


def test_with_too_few_to_compare_with_none_is_nearest():
    for training, num, itself in (
        (np.empty((0, 6)), 1, None),
        ([], 1, None),
        (features(1, 2), 1, np.array([0])),
        (features(2, 2), 3, None),
    ):
        with pytest.raises(MetricError, match="too few training pictures"):
            nearest_neighbours(features(1, 1), training, num, itself=itself)
    distances, indices = nearest_neighbours(np.empty((0, 6)), features(3, 1))
    assert distances.shape == indices.shape == (0, 1)


def test_nearness_is_the_distance_to_the_nearest_beside_the_fifth():
    fakes, training = features(100, 1), features(300, 2)
    distances = np.sort(all_distances(fakes, training), axis=1)
    found = memorised_share(fakes, training)
    np.testing.assert_allclose(found.nearness, distances[:, 0] / distances[:, 4], rtol=1e-6)
    np.testing.assert_array_equal(found.indices, all_distances(fakes, training).argmin(axis=1))


def test_fakes_like_new_pictures_are_as_near_as_expected():
    shares = []
    for seed in range(10):
        fakes, training, held_out = (features(count, 100 * seed + i) for i, count in enumerate((1000, 2000, 1000)))
        found = memorised_share(fakes, training, held_out)
        assert found.expected == 0.05
        assert found.compared_with == "held-out pictures"
        assert (found.num_fakes, found.num_training, found.num_compared) == (1000, 2000, 1000)
        assert abs(found.share - found.expected) < 4 * found.error
        assert found.copies < 4 * found.copies_error
        shares.append(found.share)
    assert np.mean(shares) == pytest.approx(0.05, abs=4 * 0.0097 / np.sqrt(10))  # binomial, twice 5 % of 1000


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("with_held_out", [True, False])
def test_copies_are_counted(noise, with_held_out):
    training, held_out = features(2000, 1), features(1000, 2)
    fakes = features(1000, 3)
    fakes[:300] = training[100:400] + noise * features(300, 4)
    found = memorised_share(fakes, training, held_out if with_held_out else None)
    assert found.copies == pytest.approx(0.3, abs=4 * found.copies_error)
    assert found.share == pytest.approx(0.3 + 0.7 * 0.05, abs=4 * found.error)
    np.testing.assert_array_equal(found.indices[:300], np.arange(100, 400))
    assert (found.nearness[:300] <= found.threshold).all()


def test_copies_are_told_from_new_pictures_through_what_moves_both():
    training, fakes = features(2000, 1, width=40), features(1000, 3, width=40)
    fakes[:300] = training[:300]
    fakes += 0.5 * features(1000, 4, width=40)
    found = memorised_share(fakes, training, features(1000, 2, width=40))
    assert found.copies == pytest.approx(0.3, abs=4 * found.copies_error)


def test_worse_pictures_are_no_copies():
    found = memorised_share(features(500, 1) + 6, features(1000, 2), features(500, 3))
    assert found.share < 0.05
    assert found.copies == 0


def test_copies_of_pictures_that_were_not_looked_at_are_allowed_for():
    trained_on = features(4000, 1)
    fakes = features(4000, 2)
    fakes[:1600] = trained_on[:1600]
    part = trained_on[np.random.default_rng(0).permutation(4000)[:1000]]
    found = memorised_share(fakes, part, features(2000, 3), num_training=4000)
    assert found.share < 0.25
    assert found.copies == pytest.approx(0.4, abs=4 * found.copies_error)
    assert found.num_training == 4000


def test_without_held_out_pictures_the_training_pictures_stand_in():
    training = features(1000, 1)
    found = memorised_share(features(500, 2), training)
    distances = all_distances(training, training)
    np.fill_diagonal(distances, np.inf)
    distances.sort(axis=1)
    assert found.threshold == pytest.approx(np.sort(distances[:, 0] / distances[:, 4])[49], rel=1e-6)
    assert found.expected == 0.05
    assert found.compared_with == "training pictures, each with all others"


def test_of_many_training_pictures_some_stand_in():
    training = features(2500, 1)
    found = memorised_share(features(500, 2), training)
    assert found.num_compared == 2000
    assert found.threshold == pytest.approx(
        memorised_share(features(500, 2), training, features(2000, 3)).threshold, rel=0.2
    )


def test_exact_copies_among_the_training_pictures_do_not_hide_a_generator_that_copies():
    training = features(1000, 1)
    training[:300] = training[300:600]
    fakes = training[400:900] + 0.01 * features(500, 2)
    found = memorised_share(fakes, training)
    assert found.num_compared == 400
    assert found.threshold > 0
    assert found.copies > 0.9


def test_a_picture_that_was_trained_on_many_times_has_copies_too():
    training = features(200, 1)
    training[:50] = training[0]
    found = memorised_share(training[:100], training, features(100, 2))
    assert found.nearness[:50].max() == 0
    assert found.copies == pytest.approx(1)


def test_where_new_pictures_are_copies_too_more_is_expected():
    training = features(1000, 1)
    held_out = np.concatenate([training[:100], features(400, 2)])
    found = memorised_share(training[:500], training, held_out)
    assert (found.threshold, found.expected, found.share) == (0.0, 0.2, 1.0)
    assert found.copies == 1


@pytest.mark.parametrize(("which", "what"), [(0, "generated"), (1, "training"), (2, "held-out")])
def test_too_few_pictures_are_refused(which, what):
    sides = [features(100, seed) for seed in range(3)]
    memorised_share(*sides)
    sides[which] = sides[which][:99]
    with pytest.raises(MetricError, match=f"too few {what} pictures") as caught:
        memorised_share(*sides)
    assert caught.value.got == 99


def test_training_pictures_that_are_all_the_same_are_refused():
    with pytest.raises(MetricError, match="without an exact copy"):
        memorised_share(features(100, 1), np.zeros((200, 6), np.float32))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_features_that_are_not_finite_are_refused(bad, which):
    sides = [features(100, seed) for seed in range(3)]
    sides[which][5, 2] = bad
    with pytest.raises(MetricError, match="not finite"):
        memorised_share(*sides)


@pytest.mark.parametrize(("side", "expected"), [(8, 8), (32, 32), (63, 63), (64, 32), (100, 33), (256, 32)])
def test_pixels_are_averaged_down(side, expected):
    pictures = np.random.default_rng(0).integers(0, 256, (2, side, side + 1, 3), dtype=np.uint8)
    rows = pixels(pictures)
    assert rows.dtype == np.float32
    assert rows.shape == (2, expected * ((side + 1) // (side // expected)) * 3)
    assert rows.mean() == pytest.approx(pictures.mean() / 255, abs=0.01)
    if side == 64:
        assert rows[1, 3] == pytest.approx(pictures[1, :2, 2:4, 0].mean() / 255)


@pytest.mark.parametrize("elements", [2**22, 2**14])
def test_noisy_copies_are_found_by_their_pixels(monkeypatch, elements):
    monkeypatch.setattr(memorisation, "BLOCK_ELEMENTS", elements)
    random = np.random.default_rng(0)
    training, new, held_out = (random.integers(0, 256, (count, 8, 8, 1), dtype=np.uint8) for count in (600, 100, 300))
    noisy = np.clip(training[:100] + random.normal(0, 20, (100, 8, 8, 1)), 0, 255).astype(np.uint8)
    for others in (held_out, None):
        found = memorised_share(np.concatenate([noisy, new]), training, others, represent=pixels)
        assert found.copies == pytest.approx(0.5, abs=4 * found.copies_error)
        np.testing.assert_array_equal(found.indices[:100], np.arange(100))


@pytest.mark.parametrize("with_held_out", [True, False])
def test_only_some_pictures_are_represented_at_once(monkeypatch, with_held_out):
    monkeypatch.setattr(memorisation, "BLOCK_ELEMENTS", 2**12)
    random = np.random.default_rng(0)
    fakes, training, held_out = (random.integers(0, 256, (200, 8, 8, 1), dtype=np.uint8) for _ in range(3))
    shown = []
    memorised_share(
        fakes,
        training,
        held_out if with_held_out else None,
        represent=lambda pictures: shown.append(pictures.size) or pixels(pictures),
    )
    assert sum(shown) == 64 * 200 * 4
    assert max(shown) <= 2**12
