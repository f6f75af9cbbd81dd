from __future__ import annotations

import numpy as np
import pytest
import torch
from handmade import painter

from ganlet.latent.dissection import ablation, agreement, random_groups, single_units


def judge(pictures):
    """Whether the first pixel is bright, and how many of the two in the middle are."""
    return np.stack([pictures[:, 0, 0, 0] > 127, (pictures[:, 0, 1:3, 0] > 127).sum(axis=1)], axis=1).astype(int)


def test_what_silencing_costs():
    inside, points = painter([2.0, 2.0, 2.0], [2.0, 0.0, 0.0], [0.0, 1.0, 2.0], [2.0, 0.0, 0.0])
    told = []
    found = ablation(inside, points, "parts", [[0], [1], [2], [0, 2]], judge, lambda *at: told.append(at))
    assert found.before.tolist() == [[1, 2], [1, 0], [0, 2], [1, 0]]
    assert found.lost(0, 1).tolist() == [1, 0, 0, 1]
    assert found.lost(1, 2).tolist() == [0, 0, 1, 1]
    assert found.others_flipped(0, 1) == pytest.approx([0, 0, 1 / 3, 1 / 3])
    assert found.flipped.tolist() == [[0.75, 0], [0, 0], [0, 0.5], [0.75, 0.5]]
    # Of 4 pictures with 8 pixels: 3 fall by 255; one by 255 and one by 127 or 128, half a grey level rounded; 4 by 255.
    assert found.change == pytest.approx([3 * 255 / 32, (255 + 128) / 32, 4 * 255 / 32, 7 * 255 / 32], abs=0.02)
    assert found.where.shape == (4, 2, 4)
    assert found.where[0].tolist() == [[0.75 * 255, 0, 0, 0], [0, 0, 0, 0]]
    assert found.drawing(0, 1).tolist()[0] == 0  # it costs nothing else, as the last group does
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_value_that_no_picture_shows_is_no_number():
    inside, points = painter([0.0, 0.0, 0.0])
    found = ablation(inside, points, "parts", single_units(3), judge)
    assert np.isnan(found.lost(0, 1)).all()
    assert np.isnan(found.others_flipped(0, 1)).all()
    assert found.drawing(0, 1).tolist() == [0, 1, 2]


def test_without_a_judge_the_change_is_told():
    inside, points = painter([2.0, 0.0, 0.0])
    found = ablation(inside, points, "parts", single_units(3))
    assert found.change.tolist() == [255 / 8, 0, 0]
    assert found.after.shape == (3, 1, 0)


def test_random_groups_are_as_large_and_repeatable():
    groups = random_groups(20, 4, 5, seed=1)
    assert groups == random_groups(20, 4, 5, seed=1) != random_groups(20, 4, 5, seed=2)
    assert all(len(set(group)) == 4 for group in groups)
    assert len({tuple(group) for group in groups}) > 1


def test_agreement_is_the_area_under_the_roc_curve():
    peaks = torch.tensor([[1.0, 5.0, 1.0], [2.0, 4.0, 1.0], [3.0, 0.0, 1.0], [3.0, 1.0, 1.0]])
    found = agreement(peaks, np.array([False, False, True, False]))
    # Of three pairs: above two and level with one; below all; level with all.
    assert found == pytest.approx([2.5 / 3, 0.0, 0.5])
    assert np.isnan(agreement(peaks, np.ones(4, bool))).all()
