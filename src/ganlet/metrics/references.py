"""What generated pictures are measured against: the features of the real ones, computed once and kept in the cache.

One that is damaged, or of anything else, is computed again. The key covers the pictures, the size at which they are
shown, the extractor and how many features are kept, but no device: they agree to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ganlet.data.cache import build_lock, cache_folder
from ganlet.data.ingest import Progress
from ganlet.data.spec import Pack
from ganlet.images import center_crop
from ganlet.metrics.accumulate import Accumulator, Statistics
from ganlet.metrics.extractors import Extractor
from ganlet.metrics.feature_cache import Facts, keep, key_name, read_kept
from ganlet.metrics.features import extract_batches
from ganlet.randomness import numpy_generator

REFERENCE_VERSION = 1
FOLDER = "references"
KEEP = 10_000
SEED = 0  # which features are kept never depends on the seed of a run, so that runs share them


@dataclass(frozen=True, eq=False)
class Reference:
    """Real pictures as an extractor sees them.

    `statistics` are over all `count` of them. `features` float32 (n, F) and `logits` (n, K) are those of a fixed random
    choice of at most `keep`; `indices` int64 (n,), rising, are their places in the pack and `labels` int64 (n,) their
    classes.
    """

    statistics: Statistics
    features: np.ndarray
    logits: np.ndarray | None
    labels: np.ndarray | None
    indices: np.ndarray
    count: int


def open_reference(
    pack: Pack, size: tuple[int, int], extractor: Extractor, keep: int = KEEP, progress: Progress | None = None
) -> Reference:
    """The reference of a pack as shown at `size` (H, W), from the cache, else computed and kept there.

    Raises MetricError as `extract_batches` does, and EnvironmentProblem when the cache folder cannot be written.
    """
    key = {
        "version": REFERENCE_VERSION,
        "data_fingerprint": pack.fingerprint,
        "size": list(size),
        "extractor": extractor.identity,
        "resizer": extractor.resizer,
        "channel_rule": extractor.channel_rule,
        "keep": keep,
    }
    reference = _read(key, pack.labels)
    if reference is None:
        with build_lock(cache_folder(), f"reference-{key_name(key)}"):
            # Whoever had to wait finds what the first one has computed.
            reference = _read(key, pack.labels)
            if reference is None:
                reference = compute_reference(center_crop(pack.pictures, size), pack.labels, extractor, keep, progress)
                _keep(reference, key)
    return reference


def compute_reference(
    pictures: np.ndarray,
    labels: np.ndarray | None,
    extractor: Extractor,
    keep: int = KEEP,
    progress: Progress | None = None,
) -> Reference:
    """The reference of pictures uint8 (N, H, W, C), not cached; memory grows with `keep`, not with N."""
    indices = kept_indices(len(pictures), keep)
    features, logits = [], []
    accumulator, start = None, 0
    for part in extract_batches(extractor, pictures, progress=progress):
        accumulator = accumulator or Accumulator(part.features.shape[1])
        accumulator.add(part.features)
        stop = start + len(part.features)
        first, last = np.searchsorted(indices, (start, stop))
        chosen = indices[first:last] - start
        features.append(part.features[chosen])
        if part.logits is not None:
            logits.append(part.logits[chosen])
        start = stop
    assert accumulator is not None
    return Reference(
        statistics=accumulator.statistics(),
        features=np.concatenate(features),
        logits=np.concatenate(logits) if logits else None,
        labels=None if labels is None else labels[indices],
        indices=indices,
        count=len(pictures),
    )


def kept_indices(count: int, keep: int) -> np.ndarray:
    """Which of `count` pictures have their features kept: int64, rising; more of them hold fewer of them."""
    return np.sort(numpy_generator(SEED, "reference", count).permutation(count)[:keep])


def _read(key: Facts, labels: np.ndarray | None) -> Reference | None:
    """A reference from the cache, where there is one. Equal pictures may have other labels, so these are not kept."""
    kept = read_kept(FOLDER, key)
    if kept is None:
        return None
    tensors, facts = kept
    indices = tensors["indices"]
    return Reference(
        statistics=Statistics(facts["count"], tensors["mean"], tensors["covariance"]),
        features=tensors["features"],
        logits=tensors.get("logits"),
        labels=None if labels is None else labels[indices],
        indices=indices,
        count=facts["count"],
    )


def _keep(reference: Reference, key: Facts) -> None:
    tensors = {
        "mean": reference.statistics.mean,
        "covariance": reference.statistics.covariance,
        "features": reference.features,
        "indices": reference.indices,
        **({} if reference.logits is None else {"logits": reference.logits}),
    }
    keep(FOLDER, key, tensors, {"count": reference.count})
