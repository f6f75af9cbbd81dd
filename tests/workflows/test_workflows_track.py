"""What counts as the best and as progress, from rows alone."""

from __future__ import annotations

import pytest

from ganlet.workflows.track import Track, is_lower

PROTOCOL = {"extractor_identity": "a", "num_fakes": 256, "num_reals": 40, "weights": "ema", "seed": 0}


def row(images_seen, value, error=0.1, metric="kd", **protocol):
    return {
        "event": "measurement",
        "images_seen": images_seen,
        "metric": metric,
        "name": "KD (pixels)",
        "value": value,
        "error": error,
        "protocol": PROTOCOL | protocol,
    }


def track(*values, error=0.1, every=10):
    return Track.of([row(every * number, value, error) for number, value in enumerate(values, 1)])


def moments(rows):
    return [row["images_seen"] for row in rows]


def test_lower_beyond_the_noise_is_lower_by_more_than_both_errors_combined():
    assert is_lower(row(20, 0.499, 0.3), row(10, 1.0, 0.4))
    assert not is_lower(row(20, 0.5, 0.3), row(10, 1.0, 0.4))
    assert not is_lower(row(20, 1.0), row(10, 0.4))
    # Without an error, as for the Frechet distance, every bit counts.
    assert is_lower(row(20, 0.999, None), row(10, 1.0, None))
    assert not is_lower(row(20, 1.0, None), row(10, 1.0, None))


def test_the_best_is_the_lowest_and_the_earliest_of_equals():
    assert track(3.0, 1.0, 0.99, 2.0, 0.99).best["images_seen"] == 30
    assert track().best is None


def test_the_best_is_better_than_the_last_only_beyond_the_noise():
    assert track(3.0, 1.0, 1.1).better_than_last is None
    assert track(3.0, 1.0, 1.2).better_than_last["images_seen"] == 20
    assert track(3.0, 1.0).better_than_last is None
    assert track().better_than_last is None


def test_small_steps_add_up_to_progress():
    # Each step is within the noise of sqrt(2) * 0.1; two of them are not.
    assert moments(track(1.0, 0.9, 0.8, 0.7, 0.6).progress) == [10, 30, 50]
    # Within the noise nothing moves the mark, however low it is.
    assert moments(track(1.0, 0.9, 1.0, 0.9, 0.87, 1.0).progress) == [10]


def test_images_without_progress():
    assert track().images_without_progress == 0
    assert track(1.0).images_without_progress == 0
    assert track(1.0, 0.5).images_without_progress == 0
    assert track(1.0, 0.5, 0.6, 0.45, 0.7).images_without_progress == 30


def reductions(values, patience, **settings):
    """The moments at which a run with these measurements would have reduced its rate."""
    return [10 * n for n in range(1, len(values) + 1) if track(*values[:n], **settings).reduces(patience)]


@pytest.mark.parametrize(
    ("values", "patience", "expected"),
    [
        ([], 10, []),
        ([1.0], 10, []),
        ([1.0, 1.0, 1.0, 1.0, 1.0], 20, [30, 50]),
        ([1.0, 1.0, 1.0, 1.0, 1.0], 15, [30, 50]),
        ([1.0, 1.0, 1.0, 1.0], 5, [20, 30, 40]),
        # Progress starts the count anew, also right after a reduction.
        ([1.0, 1.0, 0.5, 0.5, 0.5, 0.1, 0.1, 0.1], 20, [50, 80]),
        ([1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5], 20, [30, 60]),
        ([5.0, 4.0, 3.0, 2.0, 1.0], 10, []),
    ],
)
def test_a_plateau_is_so_many_images_without_progress_or_reduction(values, patience, expected):
    assert reductions(values, patience) == expected


def test_only_what_can_be_compared_is():
    rows = [row(10, 1.0), row(20, 0.1, num_fakes=512), row(30, 2.0), row(40, 0.1, metric="fd"), row(50, 1.5, seed=3)]
    assert moments(Track.of(rows).rows) == [10, 30, 50]
    assert moments(Track.of(rows[:2]).rows) == [20]
    assert moments(Track.of(rows[:1]).and_then(row(20, 5.0, extractor_identity="b")).rows) == [20]


def test_other_rows_do_not_count():
    rows = [{"images_seen": 5, "value": 0}, row(10, 1.0), {"event": "resume", "images_seen": 10}]
    assert Track.of(rows).rows == (rows[1],)
    assert Track.of(rows).moment == 10
    assert Track.of([]).moment is None
