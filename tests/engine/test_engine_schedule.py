from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlet.engine.schedule import health_interval, measure_every
from ganlet.games import Average
from ganlet.networks.optimizers import (
    SCHEDULES,
    ConstantSchedule,
    CosineSchedule,
    LinearSchedule,
    MultistepSchedule,
    PlateauSchedule,
)
from ganlet.settings import as_images

TOTAL = 1000
MOMENTS = st.integers(0, 2 * TOTAL)


@given(MOMENTS)
def test_without_warm_up_a_constant_rate_is_constant(seen):
    assert ConstantSchedule().at(seen, TOTAL) == 1.0


@given(MOMENTS, st.integers(1, TOTAL))
def test_warm_up_climbs_linearly_to_the_full_rate(seen, warmup):
    assert ConstantSchedule(warmup=warmup).at(seen, TOTAL) == min(seen / warmup, 1.0)


@pytest.mark.parametrize(("seen", "expected"), [(0, 1.0), (250, 0.2 + 0.8 * (2 + math.sqrt(2)) / 4), (500, 0.6)])
def test_cosine_at_some_moments(seen, expected):
    assert CosineSchedule(final=0.2).at(seen, TOTAL) == pytest.approx(expected)


@given(MOMENTS, MOMENTS, st.floats(0, 1))
def test_cosine_never_climbs_and_ends_at_its_final_share(earlier, later, final):
    earlier, later = sorted((earlier, later))
    schedule = CosineSchedule(final=final)
    assert schedule.at(earlier, TOTAL) >= schedule.at(later, TOTAL)
    assert schedule.at(TOTAL, TOTAL) == schedule.at(2 * TOTAL, TOTAL) == pytest.approx(final)


def test_a_milestone_counts_from_its_very_moment_on():
    schedule = MultistepSchedule(milestones=(300, 600), factor=0.1)
    assert [schedule.at(seen, TOTAL) for seen in (299, 300, 599, 600)] == [1.0, 0.1, 0.1, 0.1**2]


@given(MOMENTS, st.sets(st.integers(1, TOTAL), min_size=1, max_size=5))
def test_multistep_multiplies_once_from_each_milestone_on(seen, milestones):
    schedule = MultistepSchedule(milestones=tuple(sorted(milestones)), factor=0.5)
    expected = 1.0
    for milestone in milestones:
        if seen >= milestone:
            expected /= 2
    assert schedule.at(seen, TOTAL) == expected


@given(MOMENTS, st.integers(1, TOTAL))
def test_warm_up_multiplies_the_other_curves(seen, warmup):
    climbing = ConstantSchedule(warmup=warmup).at(seen, TOTAL)
    for plain, warmed in (
        (CosineSchedule(final=0.1), CosineSchedule(final=0.1, warmup=warmup)),
        (MultistepSchedule(milestones=(300,)), MultistepSchedule(milestones=(300,), warmup=warmup)),
    ):
        assert warmed.at(seen, TOTAL) == pytest.approx(climbing * plain.at(seen, TOTAL))


@given(st.integers(1, 100_000), st.integers(1, 100))
def test_after_one_half_life_an_old_weight_counts_one_half(half_life, parts):
    new_images = half_life / parts
    old_share = (1.0 - Average("network", half_life, 0.0).weight(0, new_images)) ** parts
    assert old_share == pytest.approx(0.5)


@given(st.integers(0, 10_000), st.integers(1, 100), st.floats(0.01, 1))
def test_a_ramp_up_shortens_the_half_life_of_the_beginning_only(seen, new_images, ramp_up):
    ramped = Average("network", 500, ramp_up).weight(seen, new_images)
    assert 0 < Average("network", 500, 0.0).weight(seen, new_images) <= ramped <= 1
    if seen * ramp_up > 500:
        assert ramped == Average("network", 500, 0.0).weight(seen, new_images)
    elif seen * ramp_up >= 1:
        assert ramped == Average("network", round(seen * ramp_up), 0.0).weight(seen, new_images)


def test_no_half_life_is_no_averaging():
    nothing = [Average("network", half_life, ramp_up) for half_life, ramp_up in ((0, 0.0), (0, 0.1))]
    assert [average.weight(1000, 16) for average in nothing] == [1.0, 1.0]
    assert Average("network", 500, 0.1).weight(0, 16) == 1.0


def test_epochs_must_have_become_images():
    assert as_images(7) == 7
    with pytest.raises(AssertionError):
        as_images("2 epochs")


def test_a_linear_schedule_falls_to_its_end():
    schedule = LinearSchedule(final=0.2, warmup=100)
    factors = [schedule.at(seen, 1_000) for seen in (0, 50, 100, 500, 1_000, 2_000)]
    assert factors == pytest.approx([0.0, 0.5 * 0.96, 0.92, 0.6, 0.2, 0.2])


def test_each_reduction_lowers_a_plateau_and_never_below_the_least():
    schedule = PlateauSchedule(factor=0.1, min_factor=0.005)
    assert [schedule.at(500, TOTAL, reductions) for reductions in range(4)] == pytest.approx([1.0, 0.1, 0.01, 0.005])


@pytest.mark.parametrize("kind", SCHEDULES)
def test_every_schedule_stays_between_nothing_and_the_full_rate(kind):
    needs = {"milestones": (300, 600)} if kind == "multistep" else {}
    schedule = SCHEDULES[kind](warmup=100, **needs)
    factors = [schedule.at(seen, TOTAL, reductions) for seen in range(0, 2 * TOTAL, 50) for reductions in (0, 1, 9)]
    assert factors[0] == 0
    assert all(0 <= factor <= 1 for factor in factors)
    assert max(factors) >= 0.9


def test_turns_of_the_measured_distance(tiny_config):
    assert measure_every(tiny_config()) == 0
    assert measure_every(tiny_config({"evaluate.metric": "fd"})) == 64
    assert measure_every(tiny_config({"evaluate": {"metric": "kd", "every": 48}})) == 48


def test_turns_of_the_doctor(tiny_config):
    assert health_interval(tiny_config()) == 0
    assert health_interval(tiny_config({"health.every": 48})) == 48
    by_itself = {"health.every": None}
    assert health_interval(tiny_config({**by_itself, "train.total_images": 10_000})) == 4_000
    assert health_interval(tiny_config({**by_itself, "train.total_images": 1_000_000})) == 5_000
