from __future__ import annotations

import pytest
import torch

from ganlet.health.label_signals import RealByLabel, label_effect, other_labels
from ganlet.health.signals import pair_distance

NAMES = ("bag", "boot", "coat")


def blobs(count=60, seed=0, spread=1.0):
    """Features (N, 4) around a mean for each of three classes, and their label vectors."""
    random = torch.Generator().manual_seed(seed)
    classes = (torch.arange(count) % 3)[torch.randperm(count, generator=random)]
    means = 6.0 * torch.eye(3, 4)
    return means[classes] + spread * torch.randn(count, 4, generator=random), torch.eye(3)[classes]


def test_other_labels_are_those_of_the_next_row_that_differs():
    labels = torch.eye(3)[[0, 0, 1, 2]]
    assert other_labels(labels).argmax(1).tolist() == [1, 1, 2, 0]
    assert other_labels(torch.eye(3)[[1, 1]]) is None


def test_the_effect_of_labels_is_a_share_of_the_usual_distance():
    features = torch.arange(8.0)[:, None]
    assert label_effect(features, features) == 0
    assert label_effect(features, features + 1.5) == pytest.approx(1.5 / pair_distance(features).item())


def test_pictures_of_their_classes_agree_as_well_as_real_ones():
    known = RealByLabel.of(*blobs(), exclusive=True)
    assert known.questions[0].kappa == pytest.approx(1, abs=0.05)
    fake, labels = blobs(seed=1)
    assert known.agreement(fake, labels) == pytest.approx(1, abs=0.1)
    assert known.agreement(fake, labels.roll(1, 1)) < 0  # always another class than drawn
    shuffled = labels[torch.randperm(60, generator=torch.Generator().manual_seed(0))]
    assert known.agreement(fake, shuffled) == pytest.approx(0, abs=0.25)
    assert known.agreement(fake[:1].expand(60, -1), labels) == pytest.approx(0, abs=1e-6)


def test_half_of_the_pictures_agree():
    fake, labels = blobs(120, seed=1)
    others = labels[torch.randperm(120, generator=torch.Generator().manual_seed(0))]
    drawn = torch.where(torch.arange(120)[:, None] % 2 == 0, labels, others)
    known = RealByLabel.of(*blobs(), exclusive=True)
    assert 0.3 < known.agreement(fake, drawn) < 0.7


def test_where_features_do_not_tell_classes_nothing_is_said():
    features, labels = blobs()
    noise = torch.randn(60, 4, generator=torch.Generator().manual_seed(3))
    assert RealByLabel.of(noise, labels, exclusive=True).agreement(features, labels) is None


def test_classes_with_few_pictures_are_left_out():
    features, labels = blobs(150)
    rare = (labels[:, 2] == 0) | (labels[:, 2].cumsum(0) <= 4)  # four coats
    known = RealByLabel.of(features[rare], labels[rare], exclusive=True)
    assert known.questions[0].answers.tolist() == [0, 1]
    assert set(known.diversity(features, labels, NAMES)) == {"class_diversity/bag", "class_diversity/boot"}
    assert set(known.diversity(features[:20], labels[:20], NAMES)) == set()  # fewer than eight of each


def test_the_diversity_of_each_class_is_a_ratio_to_its_real_pictures():
    known = RealByLabel.of(*blobs(600), exclusive=True)
    fake, labels = blobs(600, seed=1)
    fake[labels[:, 1] == 1] = fake[1].clone()  # all boots are one
    found = known.diversity(fake, labels, NAMES)
    assert found["class_diversity/bag"] == pytest.approx(1, abs=0.1)
    assert found["class_diversity/boot"] == pytest.approx(0, abs=1e-3)
    half, labels = blobs(600, seed=2, spread=0.5)
    assert known.diversity(half, labels, NAMES)["class_diversity/coat"] == pytest.approx(0.5, abs=0.05)


def test_a_class_whose_real_pictures_are_all_the_same_cannot_collapse():
    features, labels = blobs()
    features[labels[:, 0] == 1] = features[0].clone()
    known = RealByLabel.of(features, labels, exclusive=True)
    assert set(known.diversity(features, labels, NAMES)) == {"class_diversity/boot", "class_diversity/coat"}


def attributes(count=200, seed=0):
    """Two attributes that the first two features show, and a third that none does."""
    random = torch.Generator().manual_seed(seed)
    labels = (torch.rand(count, 3, generator=random) < 0.5).float()
    return torch.cat([5 * labels[:, :2], torch.zeros(count, 2)], 1) + torch.randn(count, 4, generator=random), labels


def test_of_attributes_those_count_that_features_tell():
    known = RealByLabel.of(*attributes(), exclusive=False)
    assert [question.place for question in known.questions] == [0, 1]
    fake, labels = attributes(seed=1)
    assert known.agreement(fake, labels) == pytest.approx(1, abs=0.1)
    one_ignored = torch.cat([labels[:, :1].roll(1, 0), labels[:, 1:]], 1)
    assert known.agreement(fake, one_ignored) == pytest.approx(0.5, abs=0.15)
    assert known.diversity(fake, labels, NAMES) == {}


def test_real_pictures_set_the_mark_where_features_tell_classes_badly():
    known = RealByLabel.of(*blobs(600, spread=5.0), exclusive=True)
    assert 0.2 < known.questions[0].kappa < 0.6
    assert known.agreement(*blobs(600, seed=1, spread=5.0)) == pytest.approx(1, abs=0.25)
