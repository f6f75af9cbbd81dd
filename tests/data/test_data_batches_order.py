import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlet.data.batches import Balanced, Epochs
from ganlet.randomness import numpy_generator


def classes_of(counts):
    """Classes of as many pictures as `counts` says, in a mixed order; class numbers have gaps."""
    classes = np.repeat(np.arange(len(counts)) * 3 + 1, counts)
    return np.random.default_rng(0).permutation(classes)


@given(position=st.integers(0, 10**9), count=st.integers(1, 60), seed=st.integers(0, 9))
def test_epochs_are_the_permutations_they_always_were(position, count, seed):
    first = position // 23
    permutations = [numpy_generator(seed, "order", first + later).permutation(23) for later in range(4)]
    expected = np.concatenate(permutations)[position % 23 :][:count]
    np.testing.assert_array_equal(Epochs(23, seed).indices(position, count), expected)


counts_of_classes = st.lists(st.integers(1, 30), min_size=1, max_size=12)


@given(counts=counts_of_classes, first_round=st.integers(0, 10**9), rounds=st.integers(1, 40))
def test_every_round_shows_every_class_once(counts, first_round, rounds):
    classes, num = classes_of(counts), len(counts)
    chosen = Balanced(classes, 0).indices(first_round * num, rounds * num)
    assert chosen.dtype == np.int64
    shown = classes[chosen].reshape(rounds, num)
    np.testing.assert_array_equal(np.sort(shown, axis=1), np.tile(np.unique(classes), (rounds, 1)))


@given(counts=counts_of_classes, epoch=st.integers(0, 10**6))
def test_every_epoch_of_a_class_shows_each_of_its_pictures_once(counts, epoch):
    classes, num = classes_of(counts), len(counts)
    longest = max(counts)
    chosen = Balanced(classes, 0).indices(epoch * longest * num, longest * num)
    members = np.flatnonzero(classes == (np.argmax(counts)) * 3 + 1)
    np.testing.assert_array_equal(np.sort(chosen[np.isin(chosen, members)]), members)


@given(
    counts=counts_of_classes,
    position=st.integers(0, 10**12),
    first=st.integers(1, 3_000),
    second=st.integers(1, 90),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_balanced_order_is_a_function_of_the_position_alone(counts, position, first, second, seed):
    classes = classes_of(counts)
    whole = Balanced(classes, seed).indices(position, first + second)
    other = Balanced(classes, seed)
    np.testing.assert_array_equal(other.indices(position + first, second), whole[first:])
    np.testing.assert_array_equal(other.indices(position, first), whole[:first])


def test_rounds_epochs_and_seeds_have_orders_of_their_own():
    classes = classes_of([20] * 5)
    chosen = Balanced(classes, 0).indices(0, 5 * 20 * 40)
    assert len(np.unique(classes[chosen].reshape(-1, 5), axis=0)) == 120  # all orders of 5 in 800 rounds
    of_a_class = chosen[classes[chosen] == 1].reshape(40, 20)
    assert len(np.unique(of_a_class, axis=0)) == 40
    assert not np.array_equal(chosen, Balanced(classes, 1).indices(0, len(chosen)))


def test_classes_do_not_follow_each_other():
    classes = np.repeat([0, 1], 50)
    chosen = Balanced(classes, 0).indices(0, 100)
    of_first, of_second = chosen[chosen < 50], chosen[chosen >= 50] - 50
    assert not np.array_equal(of_first, of_second)


@pytest.mark.parametrize("count", [1, 5_000])
def test_a_rare_class_is_shown_as_often_as_a_frequent_one(count):
    classes = np.array([0] * count + [1])
    chosen = Balanced(classes, 0).indices(0, 1_000)
    assert (classes[chosen] == 1).sum() == 500
