from __future__ import annotations

import numpy as np
import pytest
import torch

from ganlet.errors import MetricError
from ganlet.metrics.similarity import ms_ssim, ms_ssim_diversity, num_scales


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def images(pictures):
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).double()


def naive_factors(first, second):
    """Mean luminance and mean contrast times structure of two grey pictures (H, W), window by window."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    luminances, structures, both = [], [], []
    for top in range(first.shape[0] - 10):
        for left in range(first.shape[1] - 10):
            x, y = (side[top : top + 11, left : left + 11] for side in (first, second))
            mean_x, mean_y = (window * x).sum(), (window * y).sum()
            variance_x, variance_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
            covariance = (window * (x - mean_x) * (y - mean_y)).sum()
            luminances.append((2 * mean_x * mean_y + 6.5025) / (mean_x**2 + mean_y**2 + 6.5025))
            structures.append((2 * covariance + 58.5225) / (variance_x + variance_y + 58.5225))
            both.append(luminances[-1] * structures[-1])
    return np.mean(structures), np.mean(both)


def halved(picture):
    return picture.reshape(picture.shape[0] // 2, 2, picture.shape[1] // 2, 2).mean(axis=(1, 3))


def test_two_scales_window_by_window():
    first = noise(24, 28).astype(float)
    second = 0.8 * first + 0.2 * noise(24, 28, seed=1) + 10
    fine, _ = naive_factors(first, second)
    _, coarse = naive_factors(halved(first), halved(second))
    weights = np.array([0.0448, 0.2856]) / (0.0448 + 0.2856)
    expected = fine ** weights[0] * coarse ** weights[1]
    found = ms_ssim(torch.from_numpy(first)[None, None], torch.from_numpy(second)[None, None])
    assert found.item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("height", "width", "scales"),
    [(10, 64, 0), (11, 11, 1), (21, 64, 1), (28, 28, 2), (64, 64, 3), (256, 128, 4), (176, 176, 5), (999, 999, 5)],
)
def test_scales_that_there_is_room_for(height, width, scales):
    assert num_scales(height, width) == scales


@pytest.mark.parametrize("shape", [(16, 16, 1), (28, 33, 3), (32, 32, 4), (176, 176, 1)])
def test_identical_pictures_are_similar_by_one(shape):
    pictures = np.repeat(noise(1, *shape), 3, axis=0)
    found = ms_ssim_diversity(pictures, num_pairs=5)
    assert found.value == pytest.approx(1.0, abs=1e-12)
    assert found.error == pytest.approx(0.0, abs=1e-12)
    assert found.num_scales == num_scales(*shape[:2])


def test_similarity_falls_with_noise_and_is_symmetric():
    first = noise(4, 32, 32, 3)
    values = []
    for share in (0.1, 0.3, 0.6, 1.0):
        second = ((1 - share) * first + share * noise(4, 32, 32, 3, seed=1)).astype(np.uint8)
        values.append(ms_ssim(images(first), images(second)).mean().item())
        assert ms_ssim(images(second), images(first)).mean().item() == pytest.approx(values[-1])
    assert 0.99 > values[0] > values[1] > values[2] > values[3] > 0.0


def test_opposite_pictures_count_as_nothing_in_common():
    picture = noise(1, 32, 32, 1)
    assert ms_ssim(images(picture), images(255 - picture)).item() == 0.0


def test_black_and_white_have_little_in_common_and_constant_pictures_are_no_trouble():
    black, white = np.zeros((1, 32, 32, 1), np.uint8), np.full((1, 32, 32, 1), 255, np.uint8)
    assert ms_ssim(images(black), images(black)).item() == pytest.approx(1.0)
    assert 0.0 < ms_ssim(images(black), images(white)).item() < 0.01


def test_diversity_is_the_mean_over_pairs_of_different_pictures():
    pictures = noise(2, 16, 16, 1)
    expected = ms_ssim(images(pictures[:1]), images(pictures[1:])).item()
    found = ms_ssim_diversity(pictures, num_pairs=50)
    assert found.value == pytest.approx(expected, rel=1e-10)
    assert found.value < 0.9
    assert found.num_pairs == 50


def test_all_pairs_are_drawn_alike():
    # A picture among three that differs from the two others, which are the same: a third of the pairs are similar.
    pictures = np.concatenate([np.repeat(noise(1, 16, 16, 1), 2, axis=0), noise(1, 16, 16, 1, seed=1)])
    other = ms_ssim(images(pictures[:1]), images(pictures[2:])).item()
    found = ms_ssim_diversity(pictures, num_pairs=3_000)
    assert found.value == pytest.approx((1 + 2 * other) / 3, abs=4 * found.error)
    assert found.error == pytest.approx(np.sqrt(2 / 9) * (1 - other) / np.sqrt(3_000), rel=0.1)


def test_the_seed_chooses_the_pairs():
    pictures = noise(20, 16, 16, 1)
    first, again, other = (ms_ssim_diversity(pictures, num_pairs=10, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.value != other.value


def test_large_pictures_go_through_in_batches():
    pictures = noise(3, 512, 1024, 4)[:, ::2, ::2]
    assert 0 <= ms_ssim_diversity(pictures, num_pairs=3).value < 0.5


@pytest.mark.parametrize("count", [0, 1])
def test_pairs_need_two_pictures(count):
    with pytest.raises(MetricError, match="Too few pictures") as caught:
        ms_ssim_diversity(noise(count, 16, 16, 1))
    assert (caught.value.got, caught.value.expected) == (count, "2 or more")


def test_no_pairs_and_tiny_pictures_are_refused():
    with pytest.raises(MetricError, match="Too few pairs"):
        ms_ssim_diversity(noise(2, 16, 16, 1), num_pairs=0)
    with pytest.raises(MetricError, match="too small") as caught:
        ms_ssim_diversity(noise(2, 32, 10, 1))
    assert caught.value.got == "32 x 10 pixels"
    assert ms_ssim_diversity(noise(2, 16, 16, 1), num_pairs=1).error == 0.0
