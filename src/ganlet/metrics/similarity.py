"""How alike generated pictures are to each other: the mean multi-scale structural similarity of random pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from ganlet.errors import MetricError
from ganlet.metrics.accumulate import check_count
from ganlet.randomness import numpy_generator

WINDOW = 11  # pixels, of a Gaussian of SIGMA pixels: Wang et al. 2004
SIGMA = 1.5
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # from the finest on: Wang et al. 2003, section 3.2
STABILISER_MEAN = (0.01 * 255) ** 2
STABILISER_SPREAD = (0.03 * 255) ** 2
VALUES = 2**20  # numbers in a batch of pairs: 8 MiB in float64


@dataclass(frozen=True)
class Diversity:
    """The mean similarity of pairs, and how it was found."""

    value: float  # 1: all pictures are the same; about 0: nothing in common
    error: float  # standard error of the mean over the pairs
    num_pairs: int
    num_scales: int  # of the published five; two numbers compare only if this is the same


def num_scales(height: int, width: int) -> int:
    """How many scales a picture has room for: each halves it, and the window of 11 pixels must fit."""
    return sum(min(height, width) // 2**scale >= WINDOW for scale in range(len(SCALE_WEIGHTS)))


def ms_ssim(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Multi-scale structural similarity (N,) of pairs of pictures (N, C, H, W) between 0 and 255.

    Wang, Simoncelli and Bovik 2003, equation 7: the product over the scales of the mean contrast times structure, at
    the coarsest one times luminance too, to the powers of the weights. Means are over pixels; the products over
    channels. Pictures under 176 pixels have room for fewer than the five published scales; the weights of those left
    are scaled to sum to 1. Means below 0 count as 0: their powers are not real. Pictures need 11 x 11 pixels or more.
    """
    scales = num_scales(*first.shape[-2:])
    weights = torch.tensor(SCALE_WEIGHTS[:scales], dtype=first.dtype)
    weights /= weights.sum()
    product = torch.ones(first.shape[:2], dtype=first.dtype)
    for scale in range(scales):
        if scale:
            first, second = functional.avg_pool2d(first, 2), functional.avg_pool2d(second, 2)
        luminance, contrast_structure = _compare(first, second)
        factor = luminance * contrast_structure if scale == scales - 1 else contrast_structure
        product *= factor.mean(dim=(2, 3)).clamp_min(0.0) ** weights[scale]
    return product.mean(dim=1)


def _compare(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The luminance factor, and that of contrast times structure, at each pixel that the window fits around."""
    mean_first, mean_second = _blur(first), _blur(second)
    variance_first = _blur(first * first) - mean_first.square()
    variance_second = _blur(second * second) - mean_second.square()
    covariance = _blur(first * second) - mean_first * mean_second
    luminance = (2 * mean_first * mean_second + STABILISER_MEAN) / (
        mean_first.square() + mean_second.square() + STABILISER_MEAN
    )
    contrast_structure = (2 * covariance + STABILISER_SPREAD) / (variance_first + variance_second + STABILISER_SPREAD)
    return luminance, contrast_structure


def _blur(images: torch.Tensor) -> torch.Tensor:
    """Means (N, C, H - 10, W - 10) under the Gaussian window, one direction after the other."""
    channels = images.shape[1]
    offsets = torch.arange(WINDOW, dtype=images.dtype) - WINDOW // 2
    window = torch.exp(-offsets.square() / (2 * SIGMA**2))
    window = (window / window.sum()).expand(channels, 1, WINDOW)
    images = functional.conv2d(images, window[..., None], groups=channels)
    return functional.conv2d(images, window[:, :, None], groups=channels)


def ms_ssim_diversity(pictures: np.ndarray, num_pairs: int = 1_000, seed: int = 0) -> Diversity:
    """The mean MS-SSIM over random pairs of different pictures among uint8 (N, H, W, C): the lower, the more varied.

    Odena, Olah and Shlens 2017, section 4.2. It sees pictures that all look the same, and little else: blur lowers no
    diversity. Compare it with that of real pictures of the same size. Raises MetricError for fewer than 2 pictures or
    for pictures under 11 x 11 pixels.
    """
    count, height, width, channels = pictures.shape
    check_count(count, "pictures for pairs", at_least=2)
    check_count(num_pairs, "pairs", at_least=1)
    if num_scales(height, width) == 0:
        raise MetricError(
            "The pictures are too small for structural similarity.",
            got=f"{height} x {width} pixels",
            expected=f"{WINDOW} x {WINDOW} or more, the size of its window",
        )
    draws = numpy_generator(seed, "ms-ssim pairs")
    first = draws.integers(count, size=num_pairs)
    second = (first + draws.integers(1, count, size=num_pairs)) % count
    step = max(1, VALUES // (height * width * channels))
    values = torch.cat(
        [
            ms_ssim(_images(pictures[first[start : start + step]]), _images(pictures[second[start : start + step]]))
            for start in range(0, num_pairs, step)
        ]
    ).numpy()
    error = values.std(ddof=1) / np.sqrt(num_pairs) if num_pairs > 1 else 0.0
    return Diversity(float(values.mean()), float(error), num_pairs, num_scales(height, width))


def _images(pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).double().contiguous()
