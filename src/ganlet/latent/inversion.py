"""From pictures back to the points that draw them, or come nearest to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from ganlet.errors import ConfigError
from ganlet.images import to_network
from ganlet.latent.coordinates import Coordinates
from ganlet.latent.search import Features, Objective, Wanted, descend, polish
from ganlet.latent.space import Points, Space, joined

Encoder = Callable[[torch.Tensor], Points]
"""Float images (N, C, H, W) in [-1, 1] -> points near those that draw them."""
Progress = Callable[[int, int], None]

FOUND = 0.5  # grey levels, root mean square: rounding to whole ones alone gives 0.29
NOTHING_LEFT = 0.3  # below this a search ends at once
AT_ONCE = 8  # pictures that are searched for together
MOST_LABELS = 16


@dataclass(frozen=True)
class Search:
    """How points are searched for.

    Attributes:
        starts: points that each picture's search starts from.
        steps: of Adam, all starts together.
        rate: its first rate, in deviations of the prior.
        rounds: how many of the starts are polished, the best first, until one has found the picture.
        polish_steps: Gauss-Newton steps of a start.
        features_weight: how much features count beside pixels; see `search.Objective`.
        prior_weight: how much the prior counts: squared grey levels for a squared deviation.
        every_level: whether each level gets a style of its own in the end, where there are styles.
    """

    starts: int = 8
    steps: int = 50
    rate: float = 0.3
    rounds: int = 2
    polish_steps: int = 20
    features_weight: float = 0.0
    prior_weight: float = 0.1
    every_level: bool = True


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

    Without labels (N, num_labels), a generator that is fed some is tried with several of `space.labels`, the encoder's
    guess first. Raises `ConfigError` for pictures of another size or of other channels.

    Gradient descent on latents: Creswell & Bharath 2016, Lipton & Tripathi 2017. It finds a generator's own pictures
    again; for others it finds the nearest that it can draw, of those it comes by.
    """
    search = search or Search()
    images = as_images(space, pictures)
    objective = Objective(
        space,
        prior_weight=search.prior_weight,
        features=features,
        features_weight=search.features_weight,
    )
    found, traces = [], []
    for start in range(0, len(images), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        given = None if labels is None else labels[rows]
        points, trace = _searched(objective, images[rows], given, encoder, search, seed)
        found.append(points)
        traces.append(trace)
        if progress is not None:
            progress(min(start + AT_ONCE, len(images)), len(images))
    points = joined(found)
    errors, distances = pixel_errors(space, points, images), _distances(space, points, images, features)
    return Inversion(points, errors, distances, _padded(traces))


def as_images(space: Space, pictures: np.ndarray | torch.Tensor) -> torch.Tensor:
    """Pictures as float images (N, C, H, W) in [-1, 1]. Raises `ConfigError` where the generator draws others."""
    pictures = torch.as_tensor(pictures)
    images = to_network(pictures).contiguous() if pictures.dtype == torch.uint8 else pictures.float()
    expected = drawn_shape(space)
    if images.dim() != 4 or tuple(images.shape[1:]) != expected:
        channels, height, width = expected
        raise ConfigError(
            "These are no pictures as the generator draws them.",
            where="pictures",
            got=f"shape {tuple(pictures.shape)} of {str(pictures.dtype).removeprefix('torch.')}",
            expected=f"uint8 (N, {height}, {width}, {channels}), or float (N, {channels}, {height}, {width}) in [-1, 1]",
        )
    return images


@torch.no_grad()
def drawn_shape(space: Space) -> tuple[int, int, int]:
    """Channels, height and width of the pictures that a generator draws."""
    labels = None if space.labels is None else space.labels[:1]
    channels, height, width = space.images(space.sample(1, 0, labels)).shape[1:]
    return channels, height, width


@torch.no_grad()
def pixel_errors(space: Space, points: Points, images: torch.Tensor) -> np.ndarray:
    """Mean absolute errors (N,) in grey levels of the pictures at points, against images (N, C, H, W)."""
    drawn = torch.from_numpy(space.pictures(points)).permute(0, 3, 1, 2)
    wanted = images.add(1.0).mul(127.5).round().clamp(0, 255)
    return (drawn - wanted).abs().double().mean(dim=(1, 2, 3)).numpy()


@torch.no_grad()
def _distances(space: Space, points: Points, images: torch.Tensor, features: Features | None) -> np.ndarray | None:
    if features is None:
        return None
    parts = []
    for start in range(0, len(points), 64):
        drawn = space.images(points[start : start + 64])
        parts.append((features(drawn) - features(images[start : start + 64].to(drawn))).norm(dim=1).double().cpu())
    return torch.cat(parts).numpy()


def _searched(
    objective: Objective,
    images: torch.Tensor,
    labels: torch.Tensor | None,
    encoder: Encoder | None,
    search: Search,
    seed: int,
) -> tuple[Points, torch.Tensor]:
    """The best points of some pictures, and the best objective of each after each step (N, T)."""
    num = len(images)
    coordinates = Coordinates(objective.space, shared=True)
    numbers, fed = starting_points(coordinates, images, labels, encoder, search.starts, seed)
    starts = len(numbers) // num
    wanted = Wanted(images.repeat_interleave(starts, dim=0), labels=fed)
    trace = []

    def best(losses: torch.Tensor) -> torch.Tensor:
        return losses.view(num, starts).amin(dim=1)

    for numbers, losses in descend(
        objective, coordinates, numbers, wanted, steps=search.steps, rate=search.rate, seed=seed
    ):
        trace.append(best(losses))
    losses = objective.losses(coordinates, numbers, wanted)
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
        for numbers, losses in polish(
            objective, coordinates, numbers, wanted, steps=search.polish_steps, enough=FOUND**2
        ):
            trace.append(losses)
    return coordinates.points(numbers, wanted.labels), torch.stack(trace, dim=1)


def starting_points(
    coordinates: Coordinates,
    images: torch.Tensor,
    labels: torch.Tensor | None,
    encoder: Encoder | None,
    starts: int,
    seed: int,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Numbers (N * S, size) and labels (N * S, num_labels) to start from, S of each picture one after another.

    The encoder's guess comes first. All pictures get the same random ones, so that what is found does not depend on
    what else is looked for. Where labels are not known, S is raised to try each that pictures have, up to `MOST_LABELS`.
    """
    num, known = len(images), coordinates.space.labels
    candidates = None if labels is not None or known is None else known.unique(dim=0)[:MOST_LABELS]
    if candidates is not None:
        starts = max(starts, len(candidates))
    numbers = coordinates.draw(starts, seed, "starts of an inversion").repeat(num, 1, 1)
    fed = None if labels is None else labels[:, None].expand(-1, starts, -1).clone()
    if candidates is not None:
        fed = candidates[torch.arange(starts) % len(candidates)].repeat(num, 1, 1)
    if encoder is not None:
        guess = encoder(images)
        numbers[:, 0] = coordinates.numbers(guess.values)
        if candidates is not None and fed is not None and guess.labels is not None:
            fed[:, 0] = candidates[torch.cdist(guess.labels, candidates).argmin(dim=1)]
    return numbers.flatten(0, 1).contiguous(), None if fed is None else fed.flatten(0, 1)


def _padded(traces: list[torch.Tensor]) -> np.ndarray:
    """Traces (n, T) of several lengths as one (N, T): what is found stays as it is."""
    longest = max(trace.shape[1] for trace in traces)
    return torch.cat([torch.cat([t, t[:, -1:].expand(-1, longest - t.shape[1])], dim=1) for t in traces]).numpy()
