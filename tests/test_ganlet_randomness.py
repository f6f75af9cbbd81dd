from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlet.randomness import Numbers, callers_randomness_kept, derive, draw, numpy_generator

MOMENTS = st.tuples(
    st.integers(0, 2**32 - 1),
    st.text(alphabet="abc|/0123456789", max_size=8),
    st.integers(0, 10**15),
    st.integers(0, 10**4),
)


@pytest.mark.parametrize(
    ("arguments", "seed"),
    [
        ((0, "latents"), 4374636346158662393),
        ((0, "latents", 64), 4407623640791606170),
        ((1, "order", 10_000, 3), 6156266817721557979),
    ],
)
def test_seeds_are_the_same_in_every_version(arguments, seed):
    # A run that one version began must go on with the same draws in the next: never change these.
    assert derive(*arguments) == seed


@settings(deadline=None)
@given(MOMENTS, MOMENTS)
def test_unequal_moments_have_unequal_seeds(one, other):
    assert (derive(*one) == derive(*other)) == (one == other)


@settings(deadline=None)
@given(MOMENTS)
def test_seeds_fit_into_63_bits(moment):
    assert 0 <= derive(*moment) < 2**63


def test_moments_that_would_add_up_to_the_same_differ():
    seeds = {derive(seed, "latents", clock, rank) for seed in range(6) for clock in range(6) for rank in range(6)}
    assert len(seeds) == 6**3
    assert derive(1, "a") != derive(0, "b")
    assert derive(1, "1", 1) != derive(11, "", 1)


def test_every_bit_of_a_seed_is_used():
    seeds = [derive(0, "latents", clock) for clock in range(1000)]
    for bit in range(63):
        share = sum(seed >> bit & 1 for seed in seeds) / len(seeds)
        assert 0.4 < share < 0.6, bit


def test_clock_and_rank_begin_at_zero():
    assert derive(3, "latents") == derive(3, "latents", 0, 0)


def test_draws_depend_on_their_moment_and_on_nothing_else():
    first = numpy_generator(0, "noise", 64, 1).standard_normal(5)
    np.random.seed(7)  # noqa: NPY002
    random.seed(7)
    np.random.rand(3)  # noqa: NPY002
    again = numpy_generator(0, "noise", 64, 1).standard_normal(5)
    assert np.array_equal(first, again)
    for other in ((1, "noise", 64, 1), (0, "nois", 64, 1), (0, "noise", 65, 1), (0, "noise", 64, 0)):
        assert not np.array_equal(first, numpy_generator(*other).standard_normal(5))


def test_drawing_leaves_the_global_randomness_alone():
    before = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    numpy_generator(0, "noise").standard_normal(5)
    assert np.array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert random.getstate() == before[1]


def test_neighbouring_moments_are_not_correlated():
    draws = np.stack([numpy_generator(0, "noise", clock).standard_normal(2000) for clock in range(20)])
    correlations = np.corrcoef(draws) - np.eye(20)
    assert np.abs(correlations).max() < 0.12


# Numbers of torch


@pytest.mark.parametrize("kind", ["normal", "uniform", "sphere", "unit"])
def test_numbers_of_torch_depend_on_their_moment_and_on_nothing_else(kind):
    first = draw(kind, 3, "noise", 64, (5, 4))
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    assert torch.equal(draw(kind, 3, "noise", 64, (5, 4)), first)
    assert torch.equal(torch.rand(2), expected)  # the global stream is left alone
    for other in ((4, "noise", 64), (3, "nois", 64), (3, "noise", 65)):
        assert not torch.equal(draw(kind, *other, (5, 4)), first)


def test_each_kind_of_numbers_has_its_range():
    normal, uniform, sphere, unit = (
        draw(kind, 0, "numbers", 0, (5000, 4)) for kind in ("normal", "uniform", "sphere", "unit")
    )
    assert (normal.mean().abs() < 0.03, (normal.std() - 1).abs() < 0.03) == (True, True)
    assert -1 <= uniform.min() < -0.99 < 0.99 < uniform.max() < 1
    assert 0 <= unit.min() < 0.01 < 0.99 < unit.max() < 1
    torch.testing.assert_close(sphere.norm(dim=1), torch.full((5000,), 2.0))


def test_numbers_are_drawn_for_each_of_what_they_are_asked_for():
    asked = Numbers("unit", (2, 3))
    numbers = asked.draw((4, 5), 1, "flips", 32)
    assert numbers.shape == (4, 5, 2, 3)
    assert len(numbers.flatten().unique()) == numbers.numel()
    assert torch.equal(numbers, draw("unit", 1, "flips", 32, (4, 5, 2, 3)))
    assert Numbers("normal").draw((4, 5), 1, "flips").shape == (4, 5)


def test_a_callers_own_stream_goes_on_where_it_was_even_after_an_error():
    torch.manual_seed(5)
    expected = torch.rand(3), torch.rand(3), torch.rand(3)
    torch.manual_seed(5)
    found = [torch.rand(3)]
    with callers_randomness_kept():
        torch.manual_seed(99)
        torch.rand(7)
        with callers_randomness_kept():
            torch.manual_seed(100)
    found.append(torch.rand(3))
    with contextlib.suppress(KeyError), callers_randomness_kept():
        torch.manual_seed(99)
        raise KeyError
    found.append(torch.rand(3))
    assert torch.initial_seed() == 5
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, expected, strict=True))


def test_pythons_own_stream_goes_on_where_it_was_too():
    random.seed(3)
    expected = random.random()
    random.seed(3)
    with callers_randomness_kept():
        random.random()
    assert random.random() == expected
