from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ganlet.data import smileys
from ganlet.data.settings import DataConfig
from ganlet.data.source import open_source
from ganlet.data.spec import Pack
from ganlet.data.stacked import stacked_names
from ganlet.errors import MetricError
from ganlet.metrics import mode_classifier
from ganlet.metrics.mode_classifier import MIN_ACCURACY, open_mode_classifier

FASHION = Path(__file__).parents[2].parent / "shared/data/fashion-mnist"
MNIST = FASHION.with_name("mnist")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANLET_CACHE", str(tmp_path))
    return tmp_path


@pytest.fixture
def not_trained_again(monkeypatch):
    return lambda: monkeypatch.setattr(mode_classifier, "_fit", lambda *_: pytest.fail("trained again"))


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(mode_classifier, "MIN_SHOWN", 640)
    monkeypatch.setattr(mode_classifier, "WIDTH", 8)


def sides(count=600, seed=0, right=1.0):
    """Noisy pictures that are brighter on one of two sides: which one is the label, of the share `right`."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, count)
    pictures = random.integers(0, 100, (count, 16, 16, 1), dtype=np.uint8)
    pictures[labels == 0, :, :8] += 100
    pictures[labels == 1, :, 8:] += 100
    wrong = random.random(count) >= right
    return Pack(pictures, np.where(wrong, 1 - labels, labels), ("left", "right"), None, f"{seed}", {"source": "sides"})


@pytest.fixture(scope="module")
def of_smileys():
    """A classifier of few faces, which is trained in a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mode_classifier, "MIN_SHOWN", 3_000)
        return open_mode_classifier(open_source(DataConfig(num_images=3_000)), (32, 32), min_accuracy=0)


def test_the_modes_of_faces_that_it_was_not_trained_on_are_told(of_smileys):
    pictures, labels = smileys.draw_indices(1, np.arange(1_000), (32, 32), 3)
    modes, probability = of_smileys(pictures)
    assert modes.dtype == np.int64
    assert (modes == labels).mean() > 0.95
    assert ((probability >= 0) & (probability <= 1)).all()
    right = modes == labels
    assert probability[right].mean() > 0.9
    digits, true = of_smileys.modes.digits(modes), of_smileys.modes.digits(labels)
    measured = (digits == true).mean(axis=0)
    assert list(of_smileys.accuracy) == list(smileys.ATTRIBUTES)
    np.testing.assert_allclose(list(of_smileys.accuracy.values()), measured, atol=0.03)  # 300 pictures were tested
    assert of_smileys.num_tested == 300
    assert of_smileys.mode_accuracy <= min(of_smileys.accuracy.values())


def test_a_batch_does_not_change_what_is_told(of_smileys):
    pictures, _ = smileys.draw_indices(2, np.arange(30), (32, 32), 3)
    whole, parts = of_smileys(pictures), of_smileys(pictures, batch=7)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_allclose(whole[1], parts[1], rtol=1e-4)
    assert [len(found) for found in of_smileys(pictures[:0])] == [0, 0]


def test_a_generator_that_makes_few_faces_is_found_out(of_smileys):
    pictures, labels = smileys.draw_indices(3, np.arange(2_000), (32, 32), 3)
    digits = of_smileys.modes.digits(labels)
    sad, colour = list(smileys.EXPRESSIONS).index("sad"), list(smileys.FACE_COLOURS).index("blue")
    some = pictures[(digits[:, 2] != sad) & (digits[:, 0] != colour)]
    every, few = (of_smileys.coverage(np.array_split(made, 3)) for made in (pictures, some))
    assert every.covered == pytest.approx(every.expected_covered, abs=25)
    assert few.covered <= 540 * (3 / 4) * (4 / 5) + 25
    assert few.kl > every.kl + 0.3
    assert few.expected_covered > 400
    assert all("sad" in name or "blue" in name for name in few.missing)


def test_noise_covers_nothing(of_smileys):
    noise = np.random.default_rng(0).integers(0, 256, (500, 32, 32, 3), dtype=np.uint8)
    found = of_smileys.coverage([noise])
    assert found.clear_share < 0.2 < found.expected_clear_share
    assert found.covered < 20


@pytest.mark.parametrize("size", [(16, 16), (12, 14)])
def test_it_is_kept_and_found_again(cache, quick, not_trained_again, size):
    pack = sides()
    first = open_mode_classifier(pack, size)
    not_trained_again()
    again = open_mode_classifier(pack, size)
    assert (again.accuracy, again.mode_accuracy, again.clear_share) == (
        first.accuracy,
        first.mode_accuracy,
        first.clear_share,
    )
    for ours, theirs in zip(first(pack.pictures), again(pack.pictures), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_other_pictures_labels_or_sizes_are_another_classifier(cache, monkeypatch):
    trained = []
    monkeypatch.setattr(mode_classifier, "_fit", lambda *arguments: trained.append(arguments))
    pack = sides()
    relabelled = replace(pack, labels=1 - pack.labels)
    named = replace(pack, label_names=("here", "there"))
    for other, size in (
        (pack, (16, 16)),
        (pack, (16, 16)),
        (sides(seed=1), (16, 16)),
        (relabelled, (16, 16)),
        (named, (16, 16)),
        (pack, (12, 16)),
    ):
        open_mode_classifier(other, size, min_accuracy=0)
    assert len(trained) == 5


def test_a_damaged_one_is_trained_anew(cache, quick):
    pack = sides()
    first = open_mode_classifier(pack, (16, 16))
    (path,) = (cache / "classifiers").glob("*.safetensors")
    facts = path.with_suffix(".json")
    for damaged, before, after in (
        (path, path.read_bytes()[-1:], b"x"),
        (facts, b'"num_tested": 60', b'"num_tested": 61'),
    ):
        sound = damaged.read_bytes()
        assert before in sound
        damaged.write_bytes(after.join(sound.rsplit(before, 1)))
        again = open_mode_classifier(pack, (16, 16))
        assert (again.accuracy, again.num_tested) == (first.accuracy, first.num_tested)
        assert damaged.read_bytes() == sound


def test_it_is_trained_the_same_and_leaves_randomness_alone(tmp_path, monkeypatch, quick):
    told = []
    for name in ("first", "second"):
        monkeypatch.setenv("GANLET_CACHE", str(tmp_path / name))
        (tmp_path / name).mkdir()
        torch.manual_seed(len(told))
        before = torch.get_rng_state()
        told.append(open_mode_classifier(sides(), (16, 16))(sides(seed=2).pictures))
        assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(told[0][1], told[1][1])


def test_labels_that_pictures_do_not_tell_are_refused(cache, quick):
    pack = sides(right=0.7)
    with pytest.raises(MetricError, match="small classifier is right about the class of") as caught:
        open_mode_classifier(pack, (16, 16))
    assert caught.value.expected == f"at least {MIN_ACCURACY:.0%}"
    assert open_mode_classifier(pack, (16, 16), min_accuracy=0).accuracy["class"] < MIN_ACCURACY


def test_few_pictures_are_refused(cache):
    with pytest.raises(MetricError, match="too few pictures to train") as caught:
        open_mode_classifier(sides(count=499), (16, 16))
    assert caught.value.got == 499


def test_progress_counts_up_to_the_total(cache, quick):
    calls = []
    open_mode_classifier(sides(), (16, 16), progress=lambda done, total: calls.append((done, total)))
    assert calls == [(step, len(calls)) for step in range(1, len(calls) + 1)]


def test_pictures_packed_for_random_cuts_are_seen_in_the_middle(cache, monkeypatch):
    seen = []
    monkeypatch.setattr(mode_classifier, "_fit", lambda network, pictures, *_: seen.append(pictures))
    pack = open_source(DataConfig(num_images=600, size=16, crop="random"))
    open_mode_classifier(pack, (16, 16), min_accuracy=0)
    np.testing.assert_array_equal(seen[0], pack.pictures[:, 1:17, 1:17])


def stacks(count=600, seed=0):
    """Stacks of digits that are bright on one of three sides."""
    random = np.random.default_rng(seed)
    digits = random.integers(0, 3, (count, 3))
    pictures = random.integers(0, 100, (count, 18, 16, 3), dtype=np.uint8)
    for side in range(3):
        pictures[:, 6 * side : 6 * side + 6] += 100 * (digits[:, None, None] == side).astype(np.uint8)
    names = stacked_names(("1", "4", "7"))
    return Pack(pictures, digits @ [9, 3, 1], names, None, f"{seed}", {"kind": "stacked", "source": "stacks"})


def test_stacked_digits_are_told_channel_by_channel(cache, quick, not_trained_again, monkeypatch):
    monkeypatch.setattr(mode_classifier, "MIN_SHOWN", 3_200)
    classifier = open_mode_classifier(stacks(), (18, 16))
    assert list(classifier.accuracy) == ["red", "green", "blue"]
    others = stacks(count=200, seed=1)
    modes, _ = classifier(others.pictures)
    assert (modes == others.labels).mean() > 0.95
    of_swapped, _ = classifier(others.pictures[..., ::-1])  # no channel has a classifier of its own
    digits = classifier.modes.digits(modes)
    np.testing.assert_array_equal(classifier.modes.digits(of_swapped), digits[:, ::-1])
    found = classifier.coverage([others.pictures[digits[:, 1] != 0]])
    assert found.total == 27
    assert 14 <= found.covered <= 18
    not_trained_again()
    np.testing.assert_array_equal(open_mode_classifier(stacks(), (18, 16))(others.pictures)[0], modes)


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST")
def test_stacked_mnist_is_told():
    pack = open_source(DataConfig(source=f"stacked:{MNIST}"))
    test = open_source(DataConfig(source=f"stacked:{MNIST}", split="test"))
    classifier = open_mode_classifier(pack, (32, 32))
    modes, _ = classifier(test.pictures)
    assert (modes == test.labels).mean() > 0.95
    assert classifier.coverage([test.pictures]).covered > 990


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("side", [16, 32, 64])
def test_every_face_of_the_whole_set_is_told(channels, side):
    classifier = open_mode_classifier(open_source(DataConfig(size=side, channels=channels)), (side, side))
    assert classifier.mode_accuracy > 0.99


@pytest.mark.slow
@pytest.mark.skipif(not FASHION.is_dir(), reason="needs Fashion-MNIST")
def test_fashion_is_told():
    pack = open_source(DataConfig(source=str(FASHION), channels=1))
    test = open_source(DataConfig(source=str(FASHION), channels=1, split="test"))
    classifier = open_mode_classifier(pack, (32, 32))
    modes, _ = classifier(test.pictures)
    assert (modes == test.labels).mean() == pytest.approx(classifier.accuracy["class"], abs=0.02)
