from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from ganlet.health import leaks
from ganlet.health.image_rules import LEAKED_BESIDE
from ganlet.health.leaks import fit_leak_tests
from ganlet.objective.augment import augment, num_draws

ALL = ("color", "translation", "cutout")


def discs(count, seed=0):
    """Red and blue discs on a light ground, as faces are."""
    random = torch.Generator().manual_seed(seed)
    rows, columns = torch.meshgrid(torch.arange(24), torch.arange(24), indexing="ij")
    centres, radii = (
        8 + 8 * torch.rand(2, count, 1, 1, generator=random),
        4 + 4 * torch.rand(count, 1, 1, generator=random),
    )
    inside = (rows - centres[0]).square() + (columns - centres[1]).square() < radii.square()
    reds, blues = torch.tensor([[0.8, -0.6, -0.6], [-0.6, -0.6, 0.8]])[:, :, None, None]
    colors = torch.where(torch.rand(count, 1, 1, 1, generator=random) < 0.5, reds, blues)
    return torch.where(inside[:, None], colors, torch.full((count, 3, 24, 24), 0.6))


def augmented(images, policies, share=1.0, seed=5):
    random = torch.Generator().manual_seed(seed)
    return augment(images, torch.rand(len(images), num_draws(), generator=random), torch.tensor(share), policies)


@pytest.fixture(scope="module")
def tests():
    return fit_leak_tests(discs(300), ALL, seed=0)


def test_real_pictures_show_no_leak(tests):
    assert set(tests) == set(ALL)
    assert leaks.leaks(tests, discs(200, seed=1)) == pytest.approx(
        dict.fromkeys([f"leak_{p}" for p in ALL], 0), abs=0.05
    )


@pytest.mark.parametrize("policy", ALL)
def test_a_policy_that_leaks_is_told_from_the_others(policy, tests):
    found = leaks.leaks(tests, augmented(discs(200, seed=1), (policy,)))
    assert found[f"leak_{policy}"] > 0.85
    others = [share for name, share in found.items() if name != f"leak_{policy}"]
    assert max(others) < LEAKED_BESIDE * found[f"leak_{policy}"]


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_the_share_that_leaks_is_estimated(share, tests):
    found = leaks.leaks(tests, augmented(discs(600, seed=1), ("cutout",), share))
    assert found["leak_cutout"] == pytest.approx(share, abs=0.1)


def test_pictures_of_a_poor_generator_are_no_augmented_ones(tests):
    real = discs(200, seed=1)
    noisy = (real + 0.1 * torch.randn(real.shape, generator=torch.Generator().manual_seed(2))).clamp(-1, 1)
    blurred = functional.avg_pool2d(functional.pad(real, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    for poor in (noisy, blurred):
        assert all(share < 0.25 for share in leaks.leaks(tests, poor).values())


def test_where_a_policy_leaves_no_marks_nothing_is_said():
    random = torch.Generator().manual_seed(0)
    grey = 0.01 * torch.randn(100, 1, 16, 16, generator=random)  # what is filled with 0 looks like all the rest
    assert "translation" not in fit_leak_tests(grey, ("translation", "cutout"), seed=0)


def test_the_same_pictures_make_the_same_tests_and_few_make_none(tests):
    again = fit_leak_tests(discs(300), ALL, seed=0)
    assert all(torch.equal(test.weights, again[policy].weights) for policy, test in tests.items())
    assert fit_leak_tests(discs(leaks.FEWEST_PICTURES - 1), ALL, seed=0) == {}
    assert fit_leak_tests(discs(100), (), seed=0) == {}
