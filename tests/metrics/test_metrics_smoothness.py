from __future__ import annotations

import numpy as np
import pytest
import torch

from ganlet.errors import MetricError
from ganlet.metrics.smoothness import (
    EPSILON,
    perceptual_path_length,
    squared_distance,
    step_distances,
)
from ganlet.networks.latents import interpolate


def normal(count, width=6, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(count, width=6, seed=0):
    return torch.rand(count, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def test_ways_are_those_of_torch_fidelity(torch_fidelity):
    from torch_fidelity.noise import batch_lerp, batch_slerp_any

    starts, ends, normal_ends = uniform(50), uniform(50, seed=1), normal(50, seed=1)
    torch.testing.assert_close(interpolate(starts, ends, 0.3, "uniform"), batch_lerp(starts, ends, 0.3))
    torch.testing.assert_close(
        interpolate(starts, normal_ends, 0.3, "normal"), batch_slerp_any(starts, normal_ends, 0.3)
    )


def linear(matrix):
    return lambda latents: latents @ matrix


def test_the_path_of_a_linear_generator_is_known():
    matrix, starts, ends = normal(6, 9, seed=3), uniform(40), uniform(40, seed=1)
    distances = step_distances(
        linear(matrix), squared_distance, starts, ends, torch.linspace(0, 1, 40), "uniform", batch_size=7
    )
    expected = ((ends - starts) @ matrix).square().sum(dim=1).numpy()
    np.testing.assert_allclose(distances / EPSILON**2, expected, rtol=1e-6)


def test_on_a_circle_the_speed_is_the_angle():
    starts = normal(30)
    ends = normal(30, seed=1)
    ends = ends / ends.norm(dim=1, keepdim=True) * starts.norm(dim=1, keepdim=True)
    angles = torch.acos((starts * ends).sum(dim=1) / starts.square().sum(dim=1))
    distances = step_distances(
        linear(torch.eye(6, dtype=torch.float64)), squared_distance, starts, ends, torch.rand(30), "normal"
    )
    expected = (angles * starts.norm(dim=1)).square().numpy()
    np.testing.assert_allclose(distances / EPSILON**2, expected, rtol=1e-6)


def test_steps_of_float32_are_long_enough_to_be_measured():
    starts, ends, matrix = normal(200, 64).float(), normal(200, 64, seed=1).float(), normal(64, 64, seed=3)
    measured = [
        perceptual_path_length(
            step_distances(
                linear(matrix.to(dtype)), squared_distance, starts.to(dtype), ends.to(dtype), torch.zeros(200), "normal"
            )
        ).value
        for dtype in (torch.float32, torch.float64)
    ]
    assert measured[0] == pytest.approx(measured[1], rel=1e-3)


def test_the_generator_sees_both_ends_of_a_step_in_one_batch_and_keeps_no_gradients():
    sizes = []

    def generate(latents):
        sizes.append(len(latents))
        return (latents * torch.ones(6, dtype=torch.float64, requires_grad=True)).clone()

    distances = step_distances(
        generate, squared_distance, normal(5), normal(5, seed=1), torch.rand(5), "normal", batch_size=2
    )
    assert sizes == [4, 4, 2]
    assert distances.shape == (5,)


def test_the_extremes_are_left_out():
    distances = np.arange(1.0, 201.0)  # 1 % below 3 (lower: 2), 1 % above 198 (higher: 199)
    distances[-1] = 1e9
    found = perceptual_path_length(np.random.default_rng(0).permutation(distances), epsilon=0.1)
    kept = np.arange(2.0, 200.0) * 100
    assert found.value == pytest.approx(kept.mean(), rel=1e-12)
    assert found.spread == pytest.approx(kept.std(), rel=1e-12)
    assert found.num_steps == 200


def test_one_step_and_equal_steps_have_a_length():
    assert perceptual_path_length([3e-8]).value == pytest.approx(3.0)
    assert perceptual_path_length(np.full(10, 3e-8)).value == pytest.approx(3.0)
    assert perceptual_path_length(np.zeros(10)).value == 0.0


def test_no_steps_are_refused():
    empty = step_distances(linear(torch.eye(6)), squared_distance, normal(0), normal(0), torch.zeros(0), "normal")
    with pytest.raises(MetricError, match="Too few steps") as caught:
        perceptual_path_length(empty)
    assert caught.value.got == 0


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_distances_that_are_not_finite_are_refused(broken):
    with pytest.raises(MetricError, match="not finite") as caught:
        perceptual_path_length([1.0, broken, 2.0])
    assert str(caught.value.got).startswith("1 of 3")
