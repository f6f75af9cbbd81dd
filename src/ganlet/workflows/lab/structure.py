"""The structure of a run's space on one page: a map of its pictures and its training pictures, and how smooth it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ganlet.errors import ConfigError, DataError, RunError
from ganlet.images import opaque, to_pil
from ganlet.latent.space import Points
from ganlet.latent.structure import (
    METHODS,
    flat_map,
    mosaic,
    path_lengths,
    principal_axes,
    snapped,
    steps_between,
    umap_module,
)
from ganlet.metrics.features import extract
from ganlet.metrics.memorisation import nearest_neighbours
from ganlet.metrics.references import Reference, open_reference
from ganlet.randomness import numpy_generator
from ganlet.runs.panels import Panel, labelled_rows, page, side_by_side
from ganlet.runs.pictures import ACCENT
from ganlet.workflows.arguments import require_whole
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.lab.sheets import Sheet

THUMBNAIL, FRAME = 28, 2  # pixels
TRAINING = (63, 138, 99)
ROOM = 1.5  # cells for each picture
ASPECT = 4 / 3
FEWEST, MOST = 12, 4_000  # generated pictures
SHOWN, NEIGHBOURS = 12, 3
AXES, AXIS_POINTS = 10, 48
WAYS, STEPS = 24, 40
EVEN = 12  # pictures of a way that are shown


def space_map(lab: Lab, method: str = "pca", num: int = 400, seed: int = 0, *, training: bool = True) -> Sheet:
    """A map of `num` generated pictures and as many training pictures by what they look like, and how smooth it is.

    Args:
        method: "pca", or "umap" with the extra ganlet[map].
        training: whether training pictures are on it.

    Raises ConfigError for another method or number, EnvironmentProblem where UMAP is not installed. Where the training
    pictures are gone, generated ones are alone on it.
    """
    require_whole("num", num)
    require_whole("seed", seed)
    if method not in METHODS:
        raise ConfigError("Maps are not drawn so.", where="--method", got=method, expected=", ".join(METHODS))
    if not FEWEST <= num <= MOST:
        expected = f"from {FEWEST} to {MOST:,}"
        raise ConfigError("So many pictures make no map.", where="--num", got=num, expected=expected)
    if method == "umap":
        umap_module()  # before anything takes time
    pictures = lab.space.pictures(lab.sample(num, seed))
    features = extract(lab.extractor, pictures).features
    known = _reference(lab) if training else None
    indices, real = np.zeros(0, np.int64), np.zeros((0, features.shape[1]), np.float32)
    if known is not None:
        rows = np.sort(numpy_generator(seed, "map").permutation(len(known.indices))[:num])
        indices, real = known.indices[rows], known.features[rows]
    both = torch.from_numpy(np.concatenate([features, real]))
    lab.reporter.progress("drawing the map", 0, len(both))
    places = flat_map(both, method, seed)
    lab.reporter.progress("drawing the map", len(both), len(both))
    others = lab.training_pictures[indices] if len(indices) else pictures[:0]
    panel, cells = _map_panel(np.concatenate([pictures, others]), places, num, method)
    panels, data = [panel], {"verb": "map", "weights": lab.weights, "method": method, "seed": seed}
    addresses = [f"{seed}#{number}" for number in range(num)] + [f"training {number}" for number in indices]
    data["pictures"] = [
        {"picture": address, "generated": index < num, "place": places[index].tolist(), "cell": cells[index].tolist()}
        for index, address in enumerate(addresses)
    ]
    tensors = {"features": both, "places": torch.from_numpy(places)}
    if known is not None:
        panel, data["nearest"] = _nearest_panel(lab, pictures, features, known, seed)
        panels.append(panel)
    panel, data["smoothness"] = _smoothness_panel(lab, seed)
    panels.append(panel)
    return Sheet(page("The structure of the space", panels), data, lab.maker, tensors, panels)


def _reference(lab: Lab) -> Reference | None:
    """The features of the training pictures; None where these are gone or not known."""
    height, width = lab.trained.config.data.size
    try:
        return open_reference(lab.pack, (height, width), lab.extractor)
    except (DataError, RunError) as error:
        lab.reporter.say(f"{error.what} So only generated ones are on the map.")
        return None


def _map_panel(pictures: np.ndarray, places: np.ndarray, num: int, method: str) -> tuple[Panel, np.ndarray]:
    height, width = pictures.shape[1:3]
    framed = np.stack(
        [_framed(picture, ACCENT if number < num else TRAINING) for number, picture in enumerate(pictures)]
    )
    rows = math.ceil(math.sqrt(ROOM * len(pictures) / ASPECT * width / height))
    columns = math.ceil(ROOM * len(pictures) / rows)
    cells = snapped(places, columns, rows)
    note = f"{num} generated pictures (orange)"
    if len(pictures) > num:
        note += f" and {len(pictures) - num} training pictures (green)"
    note += ", placed by the features of the ganlet extractor: "
    if method == "pca":
        note += "the two directions in which they differ most, to the right and upwards. "
    else:
        note += "by UMAP, where only who is near whom means something. "
    note += "Each is moved to the nearest free cell."
    if len(pictures) > num:
        note += " Green without orange nearby: what the generator leaves out. Orange alone: what it makes up."
    return Panel("Map", note, mosaic(framed, cells, columns, rows)), cells


def _framed(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """A thumbnail (H, W, 3) in a frame."""
    factor = THUMBNAIL / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
    small = np.asarray(to_pil(opaque(picture)).resize(size))
    framed = np.full((small.shape[0] + 2 * FRAME, small.shape[1] + 2 * FRAME, 3), colour, np.uint8)
    framed[FRAME:-FRAME, FRAME:-FRAME] = small
    return framed


def _nearest_panel(
    lab: Lab, pictures: np.ndarray, features: np.ndarray, known: Reference, seed: int
) -> tuple[Panel, list[dict[str, Any]]]:
    """The first pictures with the training pictures that look most like them."""
    count = min(NEIGHBOURS, len(known.features))
    distances, found = nearest_neighbours(features, known.features, count)
    indices = known.indices[found]
    data = [
        {"picture": f"{seed}#{number}", "training": indices[number].tolist(), "distances": distances[number].tolist()}
        for number in range(len(features))
    ]
    columns = [opaque(picture) for picture in pictures[:SHOWN]]
    rows = [("generated", columns)]
    for place in range(count):
        nearest = lab.training_pictures[indices[:SHOWN, place]]
        rows.append((f"nearest {place + 1}" if place else "nearest", [opaque(picture) for picture in nearest]))
    note = (
        f"The first pictures of seed {seed}, and below each the training pictures nearest to it in features, of "
        f"{len(known.features):,}. Alike is not copied: ganlet evaluate --metrics all compares with pictures that "
        "training never showed."
    )
    return Panel("Nearest training pictures", note, labelled_rows(rows)), data


def _smoothness_panel(lab: Lab, seed: int) -> tuple[Panel, dict[str, Any]]:
    lengths = path_lengths(lab.space, lab.sample(AXIS_POINTS, seed), _axes(lab), lab.features).mean(axis=1)
    what = f"the first {len(lengths)} principal axes" if lab.space.has_styles else f"each of its {len(lengths)} axes"
    starts, ends = lab.sample(WAYS, seed), lab.sample(2 * WAYS, seed)[WAYS:]
    steps = steps_between(lab.space, starts, ends, STEPS, lab.features)
    jumps = steps.jumps
    rows = []
    for name, way in (("most even", int(jumps.argmin())), ("largest jump", int(jumps.argmax()))):
        longest = int(steps.lengths[way].argmax())
        first = min(max(longest - EVEN // 2 + 1, 0), STEPS + 1 - EVEN)
        positions = torch.arange(first, first + EVEN) / STEPS
        one = starts[[way] * EVEN]
        values = lab.space.between(one.values, ends[[way] * EVEN].values, positions)
        shown = lab.space.pictures(Points(values, one.labels))
        rows.append(
            (f"{name}\n{seed}#{way} to {seed}#{way + WAYS}\n{jumps[way]:.1f} x", [opaque(one) for one in shown])
        )
    labels = " (all under the labels of their starts)" if starts.labels is not None else ""
    note = (
        f"Perceptual path length along {what}, one standard deviation being 1: {_spread(lengths)}. Ways between "
        f"{WAYS} pairs of pictures in {STEPS} steps: the longest step is {np.median(jumps):.1f} times the median step "
        f"on the median way, {jumps.max():.1f} times on the worst{labels}. Below, {EVEN} steps around the longest one."
    )
    data = {
        "path_lengths": lengths.tolist(),
        "jumps": jumps.tolist(),
        "ways": [[f"{seed}#{way}", f"{seed}#{way + WAYS}"] for way in range(WAYS)],
        "steps": steps.lengths.tolist(),
    }
    return Panel("How smooth it is", note, side_by_side([labelled_rows(rows)])), data


def _axes(lab: Lab) -> torch.Tensor:
    """Directions (num, *space.shape) of one standard deviation: principal axes of styles, else the space's own."""
    space = lab.space
    if space.has_styles:
        found = principal_axes(lab.sample(2_048, 0).values[:, 0], AXES)
        axes = (found.axes * found.deviations[:, None]).float()
        return axes[:, None].expand(-1, *space.shape)
    deviation = space.typical[1].flatten()
    return torch.diag(deviation).view(-1, *space.shape)


def _spread(lengths: np.ndarray) -> str:
    low, middle, high = lengths.min(), np.median(lengths), lengths.max()
    return f"{middle:.3g} along the median one, {low:.3g} along the flattest, {high:.3g} along the liveliest"
