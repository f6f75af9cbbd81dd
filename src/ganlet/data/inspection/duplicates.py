"""Equal pictures, and pictures that look almost the same.

Equal are pictures with the same shape and the same pixels. Near are those whose hashes differ in at most 6 bits
(`hashing`), and that also agree in what sets pictures of this very set apart: their brightness at 16 x 16,
standardised, less what the set has in common, and weighted against the directions in which its pictures differ anyway.
Without that, garments photographed alike would pass for copies of each other. The thresholds were chosen on CIFAR-10
and Fashion-MNIST; `docs/inspect.md` has what they find and what they miss.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ganlet.data.inspection.hashing import near_pairs

FLAT = 3.0  # standard deviation in levels: a picture with less contrast has no hash worth comparing

MIN_SIMILARITY = 0.9  # cosine between weighted signatures
RIDGE = 3e-4  # of the variance in a direction, as a share of the whole: what saving and scaling change
PRIOR = 50  # pictures: how many it takes before a set's own mean and directions count more than none

MAX_CONTRAST_RATIO = 1.3
MAX_BRIGHTNESS_STEP = 32  # levels
MAX_COLOUR_STEP = 16  # levels, in any of 4 x 4 cells, beside the step in brightness
MAX_ASPECT_RATIO = 1.1
AT_ONCE = 2**15

Groups = list[np.ndarray]


@dataclass(frozen=True)
class Duplicates:
    """Groups of row numbers int64 (k,), k >= 2, the first of each being the one to keep: the largest of near ones.

    `complete` is False when there were so many near ones that not all were found.
    """

    equal: Groups
    near: Groups
    complete: bool


def find_duplicates(rows: np.ndarray) -> Duplicates:
    """All groups of equal pictures, and of near ones among those that are left with one of each equal group.

    Blank pictures take no part: each is as good as any other.
    """
    candidates = np.flatnonzero(~rows["blank"])
    equal = _equal(rows["digest"][candidates], candidates)
    copies = np.concatenate([group[1:] for group in equal]) if equal else np.empty(0, np.int64)
    single = np.setdiff1d(candidates, copies)
    single = single[rows["contrast"][single] >= FLAT]
    pairs = near_pairs(rows["hash"][single])
    alike = single[pairs.indices]
    alike = alike[_plainly_alike(rows, alike)]
    alike = alike[_similarities(rows["signature"], alike) >= MIN_SIMILARITY]
    areas = rows["height"].astype(np.int64) * rows["width"]
    near = [group[np.argsort(-areas[group], kind="stable")] for group in stars(alike)]
    return Duplicates(equal, near, pairs.complete)


def _equal(digests: np.ndarray, numbers: np.ndarray) -> Groups:
    """The numbers (N,) grouped by equal digests (N,), where there are several."""
    order = np.argsort(digests, kind="stable")
    borders = np.flatnonzero(digests[order][1:] != digests[order][:-1]) + 1
    groups = [numbers[group] for group in np.split(order, borders) if len(group) > 1]
    return sorted(groups, key=lambda group: int(group[0]))


def _plainly_alike(rows: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Which of the pairs (P, 2) agree in shape, brightness, contrast and colour: bool (P,)."""
    first, second = pairs.T
    aspect, contrast = np.log(rows["height"] / rows["width"]), np.log(np.maximum(rows["contrast"], FLAT))
    return (
        (np.abs(aspect[first] - aspect[second]) <= np.log(MAX_ASPECT_RATIO))
        & (np.abs(contrast[first] - contrast[second]) <= np.log(MAX_CONTRAST_RATIO))
        & (np.abs(rows["brightness"][first] - rows["brightness"][second]) <= MAX_BRIGHTNESS_STEP)
        & (_colour_steps(rows["colours"], first, second) <= MAX_COLOUR_STEP)
    )


def _colour_steps(colours: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The largest difference in colour between cells of pictures, brightness aside: float32 (P,)."""
    steps = [np.empty(0, np.float32)]
    for start in range(0, len(first), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        step = colours[first[part]].astype(np.float32) - colours[second[part]]
        steps.append(np.abs(step - step.mean(axis=3, keepdims=True)).max(axis=(1, 2, 3)))
    return np.concatenate(steps)


def _similarities(signatures: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """The cosine between the weighted signatures of each of the pairs (P, 2): float32 (P,)."""
    if not len(pairs):
        return np.empty(0, np.float32)
    mean, weights = _common(signatures)
    numbers, places = np.unique(pairs, return_inverse=True)
    places = places.reshape(pairs.shape)
    weighted = np.empty((len(numbers), weights.shape[1]), np.float32)
    for start in range(0, len(numbers), AT_ONCE):
        part = slice(start, start + AT_ONCE)
        directions = (_standardised(signatures[numbers[part]]) - mean) @ weights
        weighted[part] = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    result = [
        (weighted[places[start : start + AT_ONCE, 0]] * weighted[places[start : start + AT_ONCE, 1]]).sum(axis=1)
        for start in range(0, len(places), AT_ONCE)
    ]
    return np.concatenate(result)


def _common(signatures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean (256,) of a set's standardised signatures, and weights (256, 256) that even out its variance.

    Both are drawn towards those of a set without anything in common, the more the smaller the set is.
    """
    stride = max(1, len(signatures) // 4096)
    chosen = _standardised(signatures[::stride])
    trust = len(chosen) / (len(chosen) + PRIOR)
    mean = trust * chosen.mean(axis=0)
    centred = chosen - mean
    size = centred.shape[1]
    covariance = trust * (centred.T @ centred) / len(chosen) + (1 - trust) * np.eye(size, dtype=np.float32) / size
    variances, directions = np.linalg.eigh(covariance)
    return mean, directions / np.sqrt(np.maximum(variances, 0) + RIDGE)


def _standardised(signatures: np.ndarray) -> np.ndarray:
    """Signatures uint8 (N, 16, 16) as float32 (N, 256) of mean 0 and length 1."""
    flat = signatures.reshape(len(signatures), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-3)


def stars(pairs: np.ndarray) -> Groups:
    """Pairs (P, 2) as disjoint groups: the first picture that is left, with all that it is paired with itself.

    Chains are not followed, for at their ends there would be pictures that do not look alike.
    """
    partners: dict[int, list[int]] = {}
    for first, second in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))].tolist():
        partners.setdefault(first, []).append(second)
    groups, taken = [], set[int]()
    for first, others in partners.items():
        if first in taken:
            continue
        free = [other for other in others if other not in taken]
        if free:
            groups.append(np.array([first, *free]))
            taken.update([first, *free])
    return groups
