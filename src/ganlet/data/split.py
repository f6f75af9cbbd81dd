"""The part of a pack that training may show, as a pack of its own: whoever has it cannot use what is kept out."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import numpy as np

from ganlet.data.cache import building_folder, cache_folder, cache_problems
from ganlet.data.ingest import digest_of
from ganlet.data.pack import fingerprint_from, fingerprint_of, gather, mapped, pack_path
from ganlet.data.spec import Pack
from ganlet.errors import DataError
from ganlet.paths import printable
from ganlet.randomness import numpy_generator

SEED = 0  # what is kept out does not depend on the run's seed, so that runs can be compared


def held_out_indices(count: int, share: float) -> np.ndarray:
    """Which of `count` pictures are kept out of training, int64, rising: about that share, at least 1 and never all.

    Raises DataError when there is but one picture.
    """
    if count < 2:
        raise DataError(
            "There are too few pictures to keep some out of training.",
            where="data.holdout",
            got=f"{count} different picture",
            expected="at least 2",
            hint="--set data.holdout=0",
        )
    num = min(max(round(count * share), 1), count - 1)
    return np.sort(numpy_generator(SEED, "holdout", count).permutation(count)[:num])


def training_part(whole: Pack, share: float) -> Pack:
    """`whole` without the share of its pictures that is kept out of training.

    Equal pictures stay together: no copy of one that is kept out is trained on. The part is kept in the cache like
    every pack and has a fingerprint of its own, so that what is computed from it is told from what the whole gives.
    """
    digests = [digest_of(picture) for picture in whole.pictures]
    different = sorted(set(digests))
    held_out = {different[index] for index in held_out_indices(len(different), share)}
    kept = [index for index, digest in enumerate(digests) if digest not in held_out]

    labels = None if whole.labels is None else whole.labels[kept]
    classes: Counter[int] = Counter(() if labels is None else labels.tolist())
    summary = {
        **whole.summary,
        "count": len(kept),
        "num_held_out": len(whole) - len(kept),
        "num_duplicates": len(kept) - len(different) + len(held_out),
        "classes": {printable(name): classes[number] for number, name in enumerate(whole.label_names)},
    }
    fingerprint = fingerprint_from([digests[index] for index in kept], whole.pictures.shape[1:])
    return replace(
        whole,
        pictures=_kept_in_cache(whole.pictures, kept, fingerprint),
        labels=labels,
        names=None if whole.names is None else tuple(whole.names[index] for index in kept),
        fingerprint=fingerprint,
        summary=summary,
        attributes=None if whole.attributes is None else whole.attributes[kept],
    )


def _kept_in_cache(pictures: np.ndarray, kept: list[int], fingerprint: str) -> np.ndarray:
    """The pictures at `kept` as a read-only map of a file in the cache, written unless it is there and sound."""
    cache, shape = cache_folder(), (len(kept), *pictures.shape[1:])
    path = pack_path(cache, fingerprint)
    try:
        found = mapped(path, shape)
        if fingerprint_of(found) == fingerprint:
            return found
    except (OSError, ValueError):
        pass
    with cache_problems(cache, int(np.prod(shape))), building_folder(cache) as building:
        gather(pictures, kept, building / "pictures.npy")
        os.replace(building / "pictures.npy", path)
    return mapped(path, shape)
