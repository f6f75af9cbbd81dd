"""From pictures back to the points that draw them, or come nearest to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ganlet.errors import ConfigError
from ganlet.games.drawn import BATCH
from ganlet.images import to_network
from ganlet.latent.coordinates import Coordinates
from ganlet.latent.pool import Pool
from ganlet.latent.search import Features, Objective, Wanted, polish
from ganlet.latent.space import Points, Space, joined
from ganlet.randomness import derive

Encoder = Callable[[torch.Tensor], Points]
"""Float images (N, C, H, W) in [-1, 1] -> points near those that draw them."""
Progress = Callable[[int, int], None]

FOUND = 0.5  # grey levels, root mean square: rounding to whole ones alone gives 0.29
NEAR = 6.0  # grey levels, mean absolute: what the generator cannot draw is mostly further off
NOTHING_LEFT = 0.3  # below this a search ends at once
POOL = 1_024  # points that a guess is learnt from
SCATTER = 0.7  # deviations of the prior: how far starts lie from what is guessed
COMPARED = 1_024  # pictures that are compared at once
AT_ONCE = 8  # pictures that are searched for together


@dataclass(frozen=True)
class Search:
    """How points are searched for.

    Attributes:
        starts: points that each picture's search starts from.
        rounds: how many of the starts are polished, the best first, until one has found the picture.
        polish_steps: Gauss-Newton steps of a start.
        features_weight: how much features count beside pixels; see `search.Objective`.
        prior_weight: how much the prior counts: squared grey levels for a squared deviation.
        every_level: whether each level gets a style of its own in the end, where there are styles.
        tries: searches, each from other starts, for a picture that was come near to (`NEAR`) but not found: it may be
            one of the generator's own.
    """

    starts: int = 12
    rounds: int = 8
    polish_steps: int = 20
    features_weight: float = 0.0
    prior_weight: float = 0.1
    every_level: bool = True
    tries: int = 3


@dataclass(frozen=True, eq=False)
class Inversion:
    """Points (N) that were found for pictures, and how good they are.

    Attributes:
        errors: mean absolute error of each picture in grey levels, as it is drawn, rounded: float64 (N,).
        distances: of features, Euclidean: float64 (N,), where features were handed in.
        trace: the best objective of each picture after each step: float32 (N, T).
    """

    points: Points
    errors: np.ndarray
    distances: np.ndarray | None
    trace: np.ndarray


def invert(
    space: Space,
    pictures: np.ndarray | torch.Tensor,
    *,
    labels: torch.Tensor | None = None,
    encoder: Encoder | None = None,
    features: Features | None = None,
    search: Search | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Inversion:
    """The points that draw pictures uint8 (N, H, W, C), or float (N, C, H, W) in [-1, 1], or come nearest to them.

    Without labels (N, num_labels), a generator that is fed some is tried with those of the encoder's guess and of the
    nearest pictures of a pool that it draws. Raises `ConfigError` for pictures of another size or of other channels.

    A guess at the point, then descent: Zhu et al. 2016, with Gauss-Newton steps in place of gradient ones. It finds a
    generator's own pictures again; for others it finds the nearest that it can draw, of those it comes by.
    """
    search = search or Search()
    images = as_images(space, pictures)
    objective = Objective(
        space,
        prior_weight=search.prior_weight,
        features=features,
        features_weight=search.features_weight,
    )
    points, traces = _searched_in_parts(objective, images, labels, encoder, search, seed, progress)
    errors = pixel_errors(space, points, images)
    for attempt in range(1, search.tries):
        again = torch.from_numpy(((errors >= FOUND) & (errors < NEAR)).nonzero()[0])
        if not len(again):
            break
        given = None if labels is None else labels[again]
        others, _ = _searched_in_parts(objective, images[again], given, None, search, derive(seed, "again", attempt))
        better = torch.from_numpy(pixel_errors(space, others, images[again]) < errors[again.numpy()])
        points = points.replaced(again[better], others[better])
        errors = pixel_errors(space, points, images)
    distances = None if features is None else feature_distances(space, points, images, features)
    return Inversion(points, errors, distances, _padded(traces))


def _searched_in_parts(
    objective: Objective,
    images: torch.Tensor,
    labels: torch.Tensor | None,
    encoder: Encoder | None,
    search: Search,
    seed: int,
    progress: Progress | None = None,
) -> tuple[Points, list[torch.Tensor]]:
    """The best points of all pictures, some at a time, and the traces of each part."""
    space = objective.space
    pool = Pool(Coordinates(space, shared=True), drawn_shape(space), seed, POOL, search.starts)
    found, traces = [], []
    for start in range(0, len(images), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        given = None if labels is None else labels[rows]
        points, trace = _searched(objective, images[rows], given, encoder, pool, search)
        found.append(points)
        traces.append(trace)
        if progress is not None:
            progress(min(start + AT_ONCE, len(images)), len(images))
    return joined(found), traces


def as_images(space: Space, pictures: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Pictures as float images (N, C, H, W) in [-1, 1]. Raises `ConfigError` where the generator draws others."""
    pictures = (
        torch.from_numpy(np.array(pictures)) if isinstance(pictures, np.ndarray) else pictures
    )  # may be read-only
    images = to_network(pictures).contiguous() if pictures.dtype == torch.uint8 else pictures.float()
    expected = drawn_shape(space)
    if images.dim() != 4 or tuple(images.shape[1:]) != expected:
        channels, height, width = expected
        raise ConfigError(
            "These are no pictures as the generator draws them.",
            where="pictures",
            got=f"shape {tuple(pictures.shape)} of {str(pictures.dtype).removeprefix('torch.')}",
            expected=f"uint8 (N, {height}, {width}, {channels}) or float (N, {channels}, {height}, {width})",
        )
    return images


@torch.no_grad()
def drawn_shape(space: Space) -> tuple[int, int, int]:
    """Channels, height and width of the pictures that a generator draws."""
    labels = None if space.labels is None else space.labels[:1]
    channels, height, width = space.images(space.sample(1, 0, labels)).shape[1:]
    return channels, height, width


@torch.no_grad()
def pixel_errors(space: Space, points: Points, images: torch.Tensor, weights: torch.Tensor | None = None) -> np.ndarray:
    """Mean absolute errors (N,) in grey levels of the pictures at points, against images (N or 1, C, H, W).

    `weights` of pixels are (N or 1, 1, H, W) and of mean 1.
    """
    drawn = torch.from_numpy(space.pictures(points)).permute(0, 3, 1, 2)
    off = (drawn - images.add(1.0).mul(127.5).round().clamp(0, 255)).abs().double()
    return (off if weights is None else off * weights).mean(dim=(1, 2, 3)).numpy()


def nearest_errors(pictures: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The errors float64 (N,) of the nearest of other pictures uint8 (M, H, W, C), and which these are, int64 (N,).

    Nearest by the same mean absolute error, so that no other of them would do better.
    """
    wanted = torch.from_numpy(pictures.reshape(len(pictures), -1).astype(np.float32))
    errors, nearest = torch.full((len(pictures),), torch.inf), torch.zeros(len(pictures), dtype=torch.int64)
    for start in range(0, len(others), COMPARED):
        part = others[start : start + COMPARED]
        least = torch.cdist(wanted, torch.from_numpy(part.reshape(len(part), -1).astype(np.float32)), p=1).min(dim=1)
        nearest = torch.where(least.values < errors, least.indices + start, nearest)
        errors = torch.minimum(errors, least.values)
    return errors.double().numpy() / wanted.shape[1], nearest.numpy()


def mean_errors(pictures: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The errors float64 (N,) of the mean of other pictures uint8 (M, H, W, C)."""
    return np.abs(pictures - others.mean(axis=0).round()).mean(axis=(1, 2, 3))


@torch.no_grad()
def feature_distances(space: Space, points: Points, images: torch.Tensor, features: Features) -> np.ndarray:
    """Euclidean distances (N,) of the features of the pictures at points from those of images (N, C, H, W)."""
    parts = []
    for start in range(0, len(points), BATCH):
        drawn = space.images(points[start : start + BATCH])
        wanted = images[start : start + BATCH].to(drawn.device)
        parts.append((features(drawn) - features(wanted)).norm(dim=1).double().cpu())
    return torch.cat(parts).numpy()


def _searched(
    objective: Objective,
    images: torch.Tensor,
    labels: torch.Tensor | None,
    encoder: Encoder | None,
    pool: Pool,
    search: Search,
) -> tuple[Points, torch.Tensor]:
    """The best points of some pictures, and the best objective of each after each step (N, T)."""
    num = len(images)
    coordinates = Coordinates(objective.space, shared=True)
    numbers, fed = starting_points(pool, coordinates, images, labels, encoder, search.starts)
    starts = search.starts
    wanted = Wanted(images.repeat_interleave(starts, dim=0), labels=fed)

    def best(losses: torch.Tensor) -> torch.Tensor:
        return losses.view(num, starts).amin(dim=1)

    losses = objective.losses(coordinates, numbers, wanted)
    trace = [best(losses)]
    order = losses.view(num, starts).argsort(dim=1)
    for turn in range(min(search.rounds, starts)):
        missing = (best(losses) > FOUND**2).nonzero().flatten()
        if not len(missing):
            break
        rows = order[missing, turn] + starts * missing
        for polished, after in polish(
            objective, coordinates, numbers[rows], wanted[rows], steps=search.polish_steps, enough=NOTHING_LEFT**2
        ):
            numbers, losses = numbers.index_copy(0, rows, polished), losses.index_copy(0, rows, after)
            trace.append(best(losses))
    chosen = losses.view(num, starts).argmin(dim=1) + starts * torch.arange(num)
    numbers, wanted = numbers[chosen], wanted[chosen]
    if coordinates.shared and search.every_level:
        shared, coordinates = coordinates, Coordinates(objective.space)
        numbers = coordinates.numbers(shared.values(numbers))
        refining = polish(objective, coordinates, numbers, wanted, steps=search.polish_steps, enough=FOUND**2)
        for moved, losses in refining:
            numbers = moved
            trace.append(losses)
    return coordinates.points(numbers, wanted.labels), torch.stack(trace, dim=1)


def starting_points(
    pool: Pool,
    coordinates: Coordinates,
    images: torch.Tensor,
    labels: torch.Tensor | None,
    encoder: Encoder | None,
    starts: int,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Numbers (N * S, size) and labels (N * S, num_labels) to start from, S of each picture one after another.

    First the pool's guess, or the encoder's with the labels that it guesses where none are known; the others lie
    scattered around the pool's guess, about as far from it as the point itself. Labels that are not known are those of
    the nearest pictures of the pool.
    """
    guesses = pool.guess(images)
    offsets = pool.numbers[: starts - 1] * SCATTER
    numbers = torch.cat([guesses[:, None], guesses[:, None] + offsets], dim=1).clamp(-coordinates.box, coordinates.box)
    fed = None
    if labels is not None:
        fed = labels[:, None].repeat(1, starts, 1)
    elif pool.labels is not None:
        fed = pool.labels[pool.nearest(images, starts)]
    if encoder is not None:
        guess = encoder(images)
        numbers[:, 0] = coordinates.numbers(guess.values)
        if labels is None and fed is not None and guess.labels is not None and pool.labels is not None:
            fed[:, 0] = pool.labels[torch.cdist(guess.labels, pool.labels).argmin(dim=1)]
    return numbers.flatten(0, 1), None if fed is None else fed.flatten(0, 1)


def _padded(traces: list[torch.Tensor]) -> np.ndarray:
    """Traces (n, T) of several lengths as one (N, T): what is found stays as it is."""
    longest = max(trace.shape[1] for trace in traces)
    return torch.cat([torch.cat([t, t[:, -1:].expand(-1, longest - t.shape[1])], dim=1) for t in traces]).numpy()
