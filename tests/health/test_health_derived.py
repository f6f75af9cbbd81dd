from __future__ import annotations

import pytest

from ganlet.health import derived
from ganlet.health.history import RunHistory
from ganlet.health.signal_table import SIGNALS, latest, series


@pytest.fixture
def values(info, monkeypatch):
    """The values of a derived signal, from looks, log rows and measurements at 1000, 2000 ... images."""
    monkeypatch.setattr(derived, "SWING_ROWS", 3)
    monkeypatch.setattr(derived, "SWING_LOOKS", 3)

    def values(name, looks=(), steps=(), measurements=(), events=()):
        rows = []
        for event, of_event in (("health", looks), (None, steps), ("measurement", measurements)):
            for place, row in enumerate(of_event, 1):
                rows.append({"images_seen": 1_000 * place, **({"event": event} if event else {}), **row})
        rows.sort(key=lambda row: row["images_seen"])
        history = RunHistory.read([*rows, *events], info(), early=0)
        return [(images // 1_000, value) for images, value in series(history, name)]

    return values


def logits(*pairs):
    return [{"real_logit": real, "fake_logit": fake} for real, fake in pairs]


def of(name, *numbers):
    return [{name: number} for number in numbers]


def test_the_logit_gap(values):
    steps = [*logits((2, -1), (0, 3)), {"real_logit": 1.0}]
    assert values("logit_gap", steps=steps) == [(1, 3.0), (2, -3.0)]


def test_the_swing_of_the_logits_is_relative_to_their_gap(values):
    assert values("logit_swing", steps=logits((4, 0), (6, 0), (4, 0), (4, 0))) == [(3, 0.5), (4, 0.25)]
    # a gap near zero counts as a half
    assert values("logit_swing", steps=logits((0.1, 0), (0, 0), (0.1, 0))) == [(3, pytest.approx(0.2))]


def test_the_swing_of_the_separation(values):
    looks = of("separation", 0.9, 0.5, 0.8, 0.8)
    assert values("separation_swing", looks) == [(3, pytest.approx(0.35)), (4, pytest.approx(0.15))]


def test_what_is_kept_of_the_best_is_against_a_median_of_three(values):
    looks = of("coverage", 0.4, 0.9, 0.5, 0.25, 0.5)  # one look at 0.9 makes no record
    assert values("coverage_kept", looks) == [(4, pytest.approx(0.5)), (5, pytest.approx(1.0))]
    assert values("coverage_kept", of("coverage", 0.1, 0.1, 0.1, 0.01)) == []  # a best of next to nothing
    assert values("diversity_kept", of("diversity", 0.5, 0.5, 0.5, 0.2)) == [(4, pytest.approx(0.4))]
    assert values("distance_growth", of("distance", 0.3, 0.2, 0.4, 0.9)) == [(4, pytest.approx(3.0))]
    assert values("distance_growth", of("distance", 0.01, 0.01, 0.01, 0.2)) == [(4, pytest.approx(2.0))]


def test_the_gain_of_the_distance_compares_the_latest_looks_with_those_before(values):
    looks = of("distance", 1.0, 0.8, 0.5, 0.4, 0.4)
    assert values("distance_gain", looks) == [(4, pytest.approx(0.45 / 0.9)), (5, pytest.approx(0.4 / 0.65))]


def test_measured_growth_gives_three_errors_away(values):
    measured = [{"metric": "kd", "value": value, "error": 0.1} for value in (2.0, 1.0, 1.6)]
    assert values("measured_growth", measurements=measured) == [
        (2, pytest.approx(0.7 / 2.3)),
        (3, pytest.approx(1.3 / 1.3)),
    ]
    exact = [{"metric": "fd", "value": value, "error": None} for value in (20.0, 30.0)]
    assert values("measured_growth", measurements=exact) == [(2, 1.5)]
    assert values("measured_growth", measurements=[*measured, *exact]) == [(5, 1.5)]  # of the latest metric alone
    for name, grown in (("extractor", []), ("seed", [(2, 1.5)])):
        other = [{**row, "protocol": {name: place}} for place, row in enumerate(exact)]
        assert values("measured_growth", measurements=other) == grown


def test_a_best_below_zero_makes_no_growth_of_noise(values):
    # A kernel distance has no bias, so chance may take it below 0.
    measured = [{"metric": "kd", "value": value, "error": 0.125} for value in (-0.5, 0.5)]
    assert values("measured_growth", measurements=measured) == [(2, pytest.approx(0.125 / 0.375))]


def test_growth_against_the_first_third(values):
    steps = of("generator_loss", 1.0, 3.0, 5.0, 4.0, 6.0, 8.0)
    assert values("loss_growth", steps=steps) == [(3, 2.5), (4, 2.0), (5, 3.0), (6, 4.0)]
    steps = of("generator_gradient_norm", 10.0, 10.0, 10.0, 5.0, 1.0, 0.5)
    assert values("gradient_share", steps=steps)[-1] == (6, 0.05)
    assert values("loss_growth", steps=steps[:2]) == []


def test_growth_of_weights(values):
    looks = of("generator_weight_norm", 2.0, 3.0, 50.0)
    assert values("generator_growth", looks) == [(1, 1.0), (2, 1.5), (3, 25.0)]
    late = of("generator_weight_norm", *[2.0] * 3, *[8.0] * 9)
    assert values("generator_growth", late)[-5:] == [(8, 4.0), (9, 4.0), (10, 1.0), (11, 1.0), (12, 1.0)]
    assert values("discriminator_growth", looks) == []


def test_numbers_that_are_not_finite_are_counted(values):
    steps = [{"generator_loss": 1.0}, {"generator_loss": None, "real_logit": float("nan"), "fake_logit": 2.0}]
    failure = {"event": "failure", "images_seen": 3_000}
    assert values("not_finite", steps=steps, events=[failure]) == [(1, 0.0), (2, 2.0), (3, 1.0)]


def test_the_least_varied_class(values):
    looks = [
        {"class_diversity/a": 0.8, "class_diversity/b": 0.2, "class_diversity/c": 1.0},
        {"class_diversity/a": 0.7},
        {},
    ]
    assert values("class_diversity", looks) == [(1, 0.2), (2, 0.7)]
    assert values("class_beside", looks) == [(1, pytest.approx(0.2 / 0.9))]  # a single class is beside no other


def test_the_growth_of_a_critics_scores_either_way_round(values):
    steps = logits((1, 0), (0, 1), (4, 0), (0, 5), (6, 0), (7, 0))
    assert values("critic_growth", steps=steps) == [(3, 4.0), (4, 5.0), (5, 6.0), (6, 7.0)]


def test_disagreement_is_the_gap_in_training_where_looks_are_fooled(values):
    steps, looks = logits((2, -2), (3, -3), (4, -4)), of("separation", 0.9, 0.1, 0.2)
    assert values("disagreement", looks, steps) == [(1, 0.0), (2, 5.0), (3, 6.0)]


def test_a_signal_is_looked_for_in_all_rows(values, info):
    assert values("separation", of("separation", 0.9)) == [(1, 0.9)]
    assert values("generator_loss", steps=of("generator_loss", 2.0)) == [(1, 2.0)]
    assert values("value", measurements=of("value", 3.0)) == [(1, 3.0)]
    assert values("nothing") == []
    looks = [{"event": "health", "images_seen": place, "copies": float(place)} for place in (1, 2, 3, 4)]
    history = RunHistory.read(looks, info(), early=0)
    assert (latest(history, "copies"), latest(history, "copies", 2), latest(history, "distance")) == (3.0, 3.5, None)


def test_every_derived_signal_is_empty_without_rows(values):
    assert all(values(name) == [] for name, signal in SIGNALS.items() if signal.derive)
