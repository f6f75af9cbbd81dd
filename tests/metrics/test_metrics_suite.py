"""All metrics together: the numbers are those of the pure functions, and whatever goes wrong stays with its metric."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ganlet.errors import ConfigError, GanletError, MetricError
from ganlet.metrics import evidence as evidence_module
from ganlet.metrics import measures
from ganlet.metrics.accumulate import statistics_of
from ganlet.metrics.distances import frechet_distance, kernel_distance, kernel_distance_subsets
from ganlet.metrics.evidence import Evidence, Gathering, Side
from ganlet.metrics.extractors import CallableExtractor
from ganlet.metrics.features import Extracted
from ganlet.metrics.manifold import density_coverage, precision_recall
from ganlet.metrics.modes import ModeCoverage
from ganlet.metrics.protocol import Measurement, Protocol
from ganlet.metrics.references import Reference
from ganlet.metrics.smoothness import PathLength
from ganlet.metrics.suite import METRICS, Metric, Refused, choose_metrics, measure, sentence

FLOOR_KEYS = {"frechet", "kernel", "precision", "recall", "density", "coverage", "score", "ms_ssim"}  # among others


def means(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.float().mean((1, 2))


EXTRACTOR = CallableExtractor(means, torch.device("cpu"))


def side(features, *, logits=None, labels=None, batch=50, pictures=None) -> Side:
    """A side that was gathered in batches."""
    features = np.asarray(features, np.float32)
    gathering = Gathering()
    if pictures is None:
        pictures = drawn(len(features))
    for start in range(0, len(features), batch):
        rows = slice(start, start + batch)
        gathering.add(Extracted(features[rows], None if logits is None else logits[rows]), pictures[rows])
    return replace(gathering.side(), labels=labels)


def drawn(count, seed=0):
    """Pictures of noise."""
    return np.random.default_rng(seed).integers(0, 256, (count, 12, 12, 3), dtype=np.uint8)


def normal(count, shift=0.0, width=6, seed=0):
    return np.random.default_rng(seed).normal(shift, 1.0, (count, width)).astype(np.float32)


def evidence_of(real: Side, fake: Side, **more) -> Evidence:
    protocol = Protocol.of(
        EXTRACTOR,
        num_fakes=fake.count,
        num_reals=real.count,
        reals="training pictures",
        data_fingerprint="f",
        weights="ema",
        seed=3,
    )
    more.setdefault("training", real.pictures)
    return Evidence(real=real, fake=fake, extractor=EXTRACTOR, protocol=protocol, **more)


def one(key: str, evidence: Evidence) -> Measurement | Refused:
    (found,) = measure(evidence, [key])
    return found


@pytest.fixture(scope="module")
def enough() -> Evidence:
    """Everything that any metric needs."""
    random = np.random.default_rng(5)
    labels = np.arange(2_100) % 3
    real = side(normal(2_100, seed=1), logits=random.normal(size=(2_100, 4)), labels=labels)
    fake = side(normal(2_048, 0.3, seed=2), logits=random.normal(size=(2_048, 4)) * 3, labels=labels[:2_048])
    coverage = ModeCoverage(3, 4, 4.0, 0.25, 0.01, 0.5, 0.9, 2_048, ("hat, blue",))
    return evidence_of(
        real,
        fake,
        label_names=("a", "b", "c"),
        unseen=drawn(400, seed=3),
        path_length=lambda: PathLength(4.0, 2.0, 100),
        modes=lambda: coverage,
    )


# What is measured


def test_with_everything_at_hand_every_metric_is_measured(enough):
    found = measure(enough, list(METRICS))
    assert [one.metric for one in found] == list(METRICS)
    assert all(isinstance(one, Measurement) for one in found)


def test_the_numbers_are_those_of_the_pure_functions(enough):
    values = {found.metric: found for found in measure(enough, list(METRICS))}
    real, fake = enough.real.features, enough.fake.features
    assert values["frechet"].value == pytest.approx(frechet_distance(statistics_of(fake), statistics_of(real)))
    assert (values["kernel"].value, values["kernel"].spread) == pytest.approx(kernel_distance(fake, real))
    assert (values["precision"].value, values["recall"].value) == precision_recall(real, fake)
    assert (values["density"].value, values["coverage"].value) == density_coverage(real, fake)
    assert (values["path_length"].value, values["path_length"].spread) == (4.0, 0.2)
    assert values["modes"].value == 0.75
    assert 0 < values["ms_ssim"].value < 0.2
    assert values["intra_class"].value > values["frechet"].value


def test_classes_are_compared_one_by_one(enough):
    found = one("intra_class", enough)
    assert found.biased  # 682 pictures of a class are few
    assert "mean over 3 classes of 682 pictures or more" in found.note
    many = replace(enough, real=side(normal(4_200), labels=np.arange(4_200) % 2), label_names=("a", "b"))
    many = replace(many, fake=side(normal(4_200, 0.3, seed=2), labels=np.arange(4_200) % 2))
    assert not one("intra_class", many).biased
    swapped = replace(enough, fake=replace(enough.fake, features=normal(2_048) + np.eye(3, 6)[enough.fake.labels]))
    assert "farthest is" in one("intra_class", swapped).note
    attributes = one("intra_class", replace(enough, by_attributes=True))
    assert isinstance(attributes, Refused)
    assert "any number" in attributes.reason


def test_every_metric_points_the_right_way():
    real, near, far = (side(normal(400, shift, seed=seed)) for seed, shift in ((1, 0.0), (2, 0.1), (3, 1.0)))
    for key in ("kernel", "frechet", "precision", "recall", "density", "coverage"):
        values = [one(key, evidence_of(real, fake, force=True)).value for fake in (near, far)]
        assert (values[0] < values[1]) == (METRICS[key].better == "lower"), key


def test_only_inception_makes_an_fid(enough):
    names = {found.metric: found.name for found in measure(enough, list(METRICS))}
    assert (names["frechet"], names["kernel"], names["score"]) == (
        "FD (means)",
        "KD (means)",
        "classifier score (means)",
    )
    inception = CallableExtractor(means, torch.device("cpu"))
    inception.is_inception = True
    names = {found.metric: found.name for found in measure(replace(enough, extractor=inception), list(METRICS))}
    assert (names["frechet"], names["kernel"], names["score"]) == ("FID", "KID", "Inception Score")


def test_a_kid_is_computed_as_published(enough):
    inception = CallableExtractor(means, torch.device("cpu"))
    inception.is_inception = True
    found = one("kernel", replace(enough, extractor=inception))
    expected = kernel_distance_subsets(enough.fake.features, enough.real.features, seed=3)
    assert (found.value, found.spread) == pytest.approx(expected)
    assert "as published" in found.note
    few = evidence_of(side(normal(300)), side(normal(200, seed=1)))
    note = one("kernel", replace(few, extractor=inception)).note
    assert "subsets of 200" in note
    assert "published" not in note


def test_each_number_tells_of_how_many_pictures_it_is(enough, monkeypatch):
    monkeypatch.setattr(evidence_module, "KEEP", 150)
    real, fake = side(normal(2_100, seed=1)), side(normal(2_048, seed=2))
    counts = {
        key: (
            one(key, evidence_of(real, fake)).protocol.num_fakes,
            one(key, evidence_of(real, fake)).protocol.num_reals,
        )
        for key in ("frechet", "kernel", "recall")
    }
    assert counts == {"frechet": (2_048, 2_100), "kernel": (150, 150), "recall": (150, 150)}


def test_two_metrics_of_one_function_are_computed_once(enough, monkeypatch):
    calls = []
    monkeypatch.setattr(measures, "precision_recall", lambda *sides: calls.append(len(sides[0])) or (0.5, 0.25))
    found = measure(enough, ["recall", "precision"])
    assert [(one.metric, one.value) for one in found] == [("recall", 0.25), ("precision", 0.5)]
    assert calls == [420] * 5 + [2_100]


def test_copies_are_found_by_their_pixels_among_all_training_pictures():
    training = drawn(1_500, seed=1)
    pictures = np.concatenate([training[-90:], drawn(210, seed=2)])
    # What features say does not matter: these are of no picture.
    evidence = evidence_of(side(normal(400)), side(normal(300), pictures=pictures), training=training)
    for unseen in (None, drawn(400, seed=3)):
        found = one("memorisation", replace(evidence, unseen=unseen))
        assert found.value == pytest.approx(0.3, abs=4 * found.spread)
        assert (found.protocol.num_fakes, found.protocol.num_reals) == (300, 1_500)
        assert "exact copies" in found.note
    assert "(held-out pictures)" in found.note


# Spreads


@pytest.mark.parametrize("key", ["frechet", "precision", "coverage"])
def test_the_spread_is_about_how_far_equal_measurements_lie_apart(key):
    real = side(normal(600, seed=99))
    found = [one(key, evidence_of(real, side(normal(600, 0.2, seed=seed)), force=True)) for seed in range(24)]
    apart = np.std([measured.value for measured in found], ddof=1)
    told = np.mean([measured.spread for measured in found])
    # Real pictures count as drawn anew too, so rather more than less is told.
    assert 0.7 * apart < told < 1.8 * apart


def test_too_few_pictures_for_parts_have_no_spread():
    few = evidence_of(side(normal(100)), side(normal(100, seed=1)), force=True)
    assert [found.spread for found in measure(few, ["frechet", "precision", "density"])] == [None] * 3


# Refusals


@pytest.mark.parametrize(("num_fakes", "num_reals"), [(2_047, 2_048), (2_048, 2_047)])
def test_a_frechet_distance_of_few_pictures_is_refused_unless_forced(num_fakes, num_reals):
    few = evidence_of(side(normal(num_reals, seed=1)), side(normal(num_fakes, seed=2)))
    found = one("frechet", few)
    assert isinstance(found, Refused)
    assert "2,048" in found.reason
    assert f"{num_fakes:,} generated and {num_reals:,} real" in found.reason
    assert "--force" in found.reason
    forced = one("frechet", replace(few, force=True))
    assert forced.biased
    assert "biased" in forced.note
    assert isinstance(one("kernel", few), Measurement)


def test_2048_pictures_are_enough():
    found = one("frechet", evidence_of(side(normal(2_048, seed=1)), side(normal(2_048, seed=2))))
    assert isinstance(found, Measurement)
    assert not found.biased


def test_what_is_missing_is_refused_with_a_sentence():
    bare = evidence_of(side(normal(300)), side(normal(300, seed=1)))
    reasons = {found.metric: found.reason for found in measure(bare, list(METRICS)) if isinstance(found, Refused)}
    assert reasons.keys() >= {"frechet", "score", "intra_class", "path_length", "modes"}
    assert not reasons.keys() & {"kernel", "precision", "recall", "density", "coverage", "ms_ssim", "memorisation"}
    assert "takes no labels" in reasons["intra_class"]
    assert "means names no classes" in reasons["score"]
    assert "--extractor ganlet" in reasons["path_length"]
    for reason in reasons.values():
        assert reason[0].isupper()
        assert reason.endswith((".", ")."))
        assert "\n" not in reason


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (RuntimeError("out of luck"), "RuntimeError: out of luck"),
        (MemoryError(), "not enough memory"),
        (MetricError("Too few.", got=3, hint="more"), r"Too few \(got 3, next: more\)\."),
        (math.nan, "not a finite number"),
        (math.inf, "not a finite number"),
    ],
)
def test_a_metric_that_fails_does_not_stop_the_others(enough, monkeypatch, failure, words):
    def fail(_):
        if isinstance(failure, Exception):
            raise failure
        return {"kernel": measures.Value(failure)}

    monkeypatch.setitem(METRICS, "kernel", Metric("kernel", "broken", "lower", fail))
    found = {one.metric: one for one in measure(enough, ["frechet", "kernel", "precision"])}
    assert isinstance(found["kernel"], Refused)
    assert found["kernel"].name == "KD (means)"
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found["kernel"].reason)
    assert isinstance(found["frechet"], Measurement)
    assert isinstance(found["precision"], Measurement)


CASES = {
    "two pictures": (normal(2), normal(2, seed=1)),
    "ten pictures": (normal(10), normal(10, seed=1)),
    "the same picture again and again": (np.ones((300, 4)), np.ones((300, 4))),
    "one constant side": (normal(300, width=4), np.zeros((300, 4))),
    "copies": (normal(150).repeat(2, axis=0), normal(150).repeat(2, axis=0)),
    "a singular covariance": (normal(300, width=1).repeat(3, axis=1), normal(300, seed=1, width=1).repeat(3, axis=1)),
    "huge features": (normal(300) * 1e30, normal(300, seed=1) * 1e30),
}


@pytest.mark.parametrize("case", CASES)
def test_at_the_edges_there_is_a_finite_number_or_a_refusal(case):
    real, fake = CASES[case]
    for force in (False, True):
        for found in measure(evidence_of(side(real), side(fake), force=force), list(METRICS)):
            if isinstance(found, Measurement):
                assert math.isfinite(found.value), found
                assert found.spread is None or found.spread >= 0
            else:
                assert len(found.reason) > 10


def test_an_error_in_one_line():
    error = GanletError("It broke.", where="here", got=1, expected=2, hint="mend it")
    assert sentence(error) == "It broke (at here, got 1, expected 2, next: mend it)."
    assert sentence(GanletError("It broke.")) == "It broke."


# Choosing


def test_metrics_are_chosen_by_name_in_the_order_of_the_table():
    assert choose_metrics(None) == list(METRICS)
    assert choose_metrics(["recall", "frechet", "recall"]) == ["frechet", "recall"]


def test_an_unknown_metric_is_refused_and_the_nearest_named():
    with pytest.raises(ConfigError) as caught:
        choose_metrics(["kernel", "frechett"])
    assert caught.value.got == "frechett"
    assert caught.value.hint == "did you mean frechet?"
    with pytest.raises(ConfigError) as caught:
        choose_metrics(["zzz"])
    assert caught.value.hint == "ganlet list metrics"


def test_progress_names_what_comes_next(enough):
    told = []
    measure(enough, ["frechet", "recall"], lambda *news: told.append(news))
    assert told == [("FD (means)", 0, 2), ("recall", 1, 2)]


def test_what_has_a_floor_needs_nothing_but_pictures():
    bare = evidence_of(
        side(normal(2_048), logits=normal(2_048, width=3)), side(normal(2_048, seed=1), logits=normal(2_048, width=3))
    )
    with_floor = {key for key, metric in METRICS.items() if metric.with_floor}
    measured = {found.metric for found in measure(bare, list(with_floor)) if isinstance(found, Measurement)}
    assert measured >= FLOOR_KEYS
    assert with_floor - measured == {"intra_class"}
    assert not with_floor & {"path_length", "memorisation", "modes"}


# Gathering


@pytest.mark.parametrize("batch", [1, 7, 256])
def test_gathering_does_not_depend_on_the_batch(batch):
    features = normal(300)
    gathered = side(features, batch=batch)
    whole = statistics_of(features)
    assert gathered.count == 300
    np.testing.assert_allclose(gathered.statistics.mean, whole.mean, atol=1e-9)
    np.testing.assert_allclose(gathered.statistics.covariance, whole.covariance, atol=1e-9)
    np.testing.assert_array_equal(gathered.features, features)
    assert sum(part.count for part in gathered.parts) == 300


def test_gathering_keeps_no_more_than_it_must(monkeypatch):
    monkeypatch.setattr(evidence_module, "KEEP", 20)
    monkeypatch.setattr(evidence_module, "KEEP_PICTURES", 15)
    features, pictures = normal(100), np.arange(100, dtype=np.uint8).reshape(-1, 1, 1, 1)
    gathered = side(features, logits=features, pictures=pictures, batch=8)
    assert gathered.count == gathered.statistics.count == 100
    np.testing.assert_array_equal(gathered.features, features[:20])
    np.testing.assert_array_equal(gathered.logits, features[:20])
    np.testing.assert_array_equal(gathered.pictures, pictures[:15])


def reference_of(count: int) -> tuple[Reference, np.ndarray]:
    """A reference of every second picture, each of which shows its number."""
    features = normal(count)
    labels = np.arange(count) % 4
    pictures = np.arange(2 * count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return Reference(statistics_of(features), features, None, labels, 2 * np.arange(count), 2 * count), pictures


def test_the_real_side_is_the_reference():
    reference, pictures = reference_of(30)
    real = Side.of_reference(reference, pictures)
    assert real.count == 60
    assert real.features is reference.features
    np.testing.assert_array_equal(real.pictures.ravel(), 2 * np.arange(30))


@pytest.mark.parametrize("count", [4, 30, 31])
def test_halves_share_no_picture_and_leave_none_out(count):
    reference, pictures = reference_of(count)
    first, second = Side.halves_of(reference, pictures)
    assert abs(first.count - second.count) <= 1
    for name in ("features", "labels"):
        joined = np.concatenate([getattr(first, name), getattr(second, name)])
        np.testing.assert_array_equal(joined, getattr(reference, name))
    np.testing.assert_array_equal(np.concatenate([first.pictures, second.pictures]).ravel(), 2 * np.arange(count))
    np.testing.assert_allclose(second.statistics.mean, second.features.mean(axis=0), atol=1e-6)
