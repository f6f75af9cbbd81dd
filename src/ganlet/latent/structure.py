"""The structure of a space: a flat map of points or features, how smooth it is along its axes, and where it jumps."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ganlet.errors import ConfigError, EnvironmentProblem
from ganlet.latent.space import Points, Space
from ganlet.randomness import callers_randomness_kept, derive

METHODS = ("pca", "umap")
FEWEST_TO_MAP = {"pca": 3, "umap": 10}
NEIGHBOURHOOD = 15  # pictures that UMAP calls near
OUTER = 0.01  # share of pictures on each side of a map that may lie beyond its edge
STEP = 1e-3  # in standard deviations of points: as short as float32 allows for

Features = Callable[[torch.Tensor], torch.Tensor]  # images (N, C, H, W) in [-1, 1] -> (N, F)


@dataclass(frozen=True, eq=False)
class Principal:
    """The principal axes of rows: their mean (F,), axes (num, F) of length 1, and deviations (num,) along these.

    `shares` (num,) are those of the whole variance.
    """

    mean: torch.Tensor
    axes: torch.Tensor
    deviations: torch.Tensor
    shares: torch.Tensor

    def project(self, rows: torch.Tensor) -> torch.Tensor:
        """Rows (N, F) as coordinates (N, num)."""
        return (rows.double() - self.mean) @ self.axes.T


def principal_axes(rows: torch.Tensor, num: int) -> Principal:
    """The first `num` principal axes of rows (N, F), in float64; the largest part of each axis is positive."""
    rows = rows.double()
    mean = rows.mean(dim=0)
    _, sizes, axes = torch.linalg.svd(rows - mean, full_matrices=False)
    largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
    axes = axes * torch.where(largest < 0, -1.0, 1.0)
    variances = sizes.square() / max(len(rows) - 1, 1)
    shares = variances / variances.sum().clamp_min(torch.finfo(torch.float64).tiny)
    return Principal(mean, axes[:num], variances[:num].sqrt(), shares[:num])


def flat_map(features: torch.Tensor, method: str = "pca", seed: int = 0) -> np.ndarray:
    """Where pictures lie on a flat map, by their features (N, F): float64 (N, 2).

    By "pca" directions and distances mean something: they are those of the two directions in which features differ
    most. By "umap" (McInnes et al. 2018) only who is near whom does. Raises ConfigError for another method or too few
    pictures, EnvironmentProblem where UMAP is not installed.
    """
    if method not in METHODS:
        raise ConfigError("Maps are not drawn so.", where="--method", got=method, expected=", ".join(METHODS))
    if len(features) < FEWEST_TO_MAP[method]:
        expected = f"at least {FEWEST_TO_MAP[method]}"
        raise ConfigError("There are too few pictures for a map.", where="--num", got=len(features), expected=expected)
    if method == "pca":
        found = principal_axes(features, 2).project(features).numpy()
        return np.pad(found, ((0, 0), (0, 2 - found.shape[1])))
    reducer = umap_module().UMAP(
        n_components=2,
        n_neighbors=min(NEIGHBOURHOOD, len(features) - 1),
        random_state=derive(seed, "map") % 2**32,
        n_jobs=1,
    )
    with warnings.catch_warnings(), callers_randomness_kept():
        warnings.simplefilter("ignore")  # of its own parts, about which nobody here can do anything
        return np.asarray(reducer.fit_transform(features.numpy()), np.float64)


def umap_module() -> Any:
    """The package umap-learn. Raises `EnvironmentProblem` where it is not installed, or does not work."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("umap")
    except ImportError as error:
        raise EnvironmentProblem(
            "A map by UMAP needs a package that is not installed.",
            where="--method umap",
            got=error,
            hint="pip install 'ganlet[map]', or --method pca, which needs none",
        ) from error


def snapped(places: np.ndarray, columns: int, rows: int) -> np.ndarray:
    """A cell of a grid for each place (N, 2) on a map, no cell twice: int64 (N, 2), row and column.

    Each takes the nearest cell that is still free, those in the middle of the crowd first. Up is up: the first row has
    the largest second coordinate. Few far ones do not squeeze the others: they lie at the edge.
    """
    num = len(places)
    if num > columns * rows:
        expected = f"at most {columns * rows}"
        raise ConfigError("There are more pictures than cells.", where="--num", got=num, expected=expected)
    low, high = (np.quantile(places, share, axis=0) for share in (OUTER, 1 - OUTER))
    wanted = ((places - low) / np.maximum(high - low, 1e-12)).clip(0, 1)
    wanted = np.stack([(1 - wanted[:, 1]) * (rows - 1), wanted[:, 0] * (columns - 1)], axis=1)
    cells = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij"), axis=-1).reshape(-1, 2)
    free = np.ones(len(cells), bool)
    chosen = np.empty((num, 2), np.int64)
    middle = np.median(wanted, axis=0)
    for index in np.argsort(np.square(wanted - middle).sum(axis=1), kind="stable"):
        distances = np.where(free, np.square(cells - wanted[index]).sum(axis=1), np.inf)
        cell = int(distances.argmin())
        free[cell] = False
        chosen[index] = cells[cell]
    return chosen


def mosaic(pictures: np.ndarray, cells: np.ndarray, columns: int, rows: int, gap: int = 1) -> np.ndarray:
    """Pictures uint8 (N, H, W, C) in their cells (N, 2) on white, as one picture."""
    _, height, width, channels = pictures.shape
    sheet = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, channels), 255, np.uint8)
    for picture, (row, column) in zip(pictures, cells, strict=True):
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        sheet[top : top + height, left : left + width] = picture
    return sheet


@torch.no_grad()
def path_lengths(
    space: Space, points: Points, directions: torch.Tensor, features: Features, step: float = STEP
) -> np.ndarray:
    """Perceptual path length along each direction: float64 (num_directions, N), one number for each point.

    |f(G(p + step d)) - f(G(p))|^2 / step^2: how fast the features of the picture change when the point moves along d
    (Karras et al. 2019, equation 2, with one direction in place of random ways). `directions` are (num_directions,
    *space.shape), of the length that is called 1; where that is one standard deviation of the points, the numbers of
    different directions compare.
    """
    start = _features(space, points, features)
    lengths = []
    for direction in directions:
        moved = _features(space, points.moved(step * direction), features)
        lengths.append((moved - start).square().sum(dim=1) / step**2)
    return torch.stack(lengths).numpy()


@dataclass(frozen=True, eq=False)
class Steps:
    """How far pictures move in feature space with each of equal steps between two points: `lengths` (ways, steps)."""

    lengths: np.ndarray

    @property
    def jumps(self) -> np.ndarray:
        """The longest step of each way, in its median steps: (ways,). 1 would be perfectly even."""
        median = np.median(self.lengths, axis=1)
        longest = self.lengths.max(axis=1)
        return np.divide(longest, median, out=np.ones(len(median)), where=median > 0)

    @property
    def detours(self) -> np.ndarray:
        """How long each way is: the sum of its steps (ways,)."""
        return self.lengths.sum(axis=1)


@torch.no_grad()
def steps_between(space: Space, starts: Points, ends: Points, num_steps: int, features: Features) -> Steps:
    """The steps that pictures make on the ways from starts to ends, in features; the labels stay those of the starts.

    A way over ground that the generator knows makes even steps. Where it crosses from one kind of picture to another
    that has nothing in between, one of them is long.
    """
    lengths = []
    before = _features(space, starts, features)
    for number in range(1, num_steps + 1):
        values = space.between(starts.values, ends.values, number / num_steps)
        after = _features(space, Points(values, starts.labels), features)
        lengths.append((after - before).norm(dim=1))
        before = after
    return Steps(torch.stack(lengths, dim=1).numpy())


def _features(space: Space, points: Points, features: Features) -> torch.Tensor:
    """The features of the pictures of points, float64 (N, F), in batches."""
    parts = (features(images) for images in space.batches(points))
    return torch.cat([part.cpu().double() for part in parts])
