from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlet.objective.views import add_noise, noise_level


@pytest.mark.parametrize(
    ("images_seen", "level"), [(0, 0.4), (25, 0.3), (50, 0.2), (99, 0.004), (100, 0.0), (101, 0.0), (10**9, 0.0)]
)
def test_the_level_falls_linearly_to_nothing(images_seen, level):
    assert noise_level(0.4, 100, images_seen) == pytest.approx(level, abs=1e-12)


def test_noise_that_ends_at_once_never_was():
    assert noise_level(0.4, 0, 0) == 0


@settings(deadline=None)
@given(st.floats(0, 2), st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_level_is_never_negative_and_never_rises(sigma, until, moment, later):
    level = noise_level(sigma, until, moment)
    assert 0 <= noise_level(sigma, until, moment + later) <= level <= sigma


def test_noise_is_added_at_its_level():
    images, noise = torch.full((2, 3, 4, 4), 0.9), torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(add_noise(images, noise, torch.tensor(0.5)), 0.9 + 0.5 * noise)
    assert torch.equal(add_noise(images, noise, torch.tensor(0.0)), images)
    assert torch.equal(images, torch.full((2, 3, 4, 4), 0.9))
