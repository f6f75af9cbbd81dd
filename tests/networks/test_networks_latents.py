from __future__ import annotations

import numpy as np
import pytest
import torch

from ganlet.networks.latents import interpolate


def normal(count, width=6, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(count, width=6, seed=0):
    return torch.rand(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


@pytest.mark.parametrize("latents", ["normal", "uniform"])
def test_a_way_begins_at_its_start_and_ends_at_its_end(latents):
    starts, ends = normal(5), normal(5, seed=1)
    torch.testing.assert_close(interpolate(starts, ends, 0.0, latents), starts)
    torch.testing.assert_close(interpolate(starts, ends, 1.0, latents), ends)


def test_normal_latents_go_along_the_circle():
    start, end = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    for position in (0.25, 0.5, 0.9):
        angle = position * np.pi / 2
        expected = torch.tensor([[2 * np.cos(angle), 2 * np.sin(angle)]], dtype=torch.float32)
        torch.testing.assert_close(interpolate(start, end, position, "normal"), expected)


def test_uniform_latents_go_straight():
    start, end = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    torch.testing.assert_close(interpolate(start, end, 0.25, "uniform"), torch.tensor([[1.5, 0.5]]))


def test_each_way_has_its_own_position():
    starts, ends, positions = normal(4), normal(4, seed=1), torch.tensor([0.0, 0.3, 0.6, 1.0])
    together = interpolate(starts, ends, positions, "normal")
    for index, position in enumerate(positions):
        alone = interpolate(starts[index : index + 1], ends[index : index + 1], position.item(), "normal")
        torch.testing.assert_close(together[index : index + 1], alone, atol=1e-7, rtol=0)


@pytest.mark.parametrize("factor", [1.0, 3.0, -1.0, 0.0])
def test_ways_between_parallel_opposite_and_zero_latents_are_straight(factor):
    starts = normal(3).float()
    found = interpolate(starts, factor * starts, 0.25, "normal")
    torch.testing.assert_close(found, (0.75 + 0.25 * factor) * starts)
    assert found.dtype == torch.float32
