"""How good generated pictures are: functions of arrays of features or pictures, each a number with its error.

Features are float arrays (N, F), those of pictures uint8 (N, H, W, C) by `features(pictures, extractor)`. Functions
that measure one set against another take reals or fakes as their names say.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganlet.metrics.distances import kernel_distance
    from ganlet.metrics.features import open_extractor
    from ganlet.metrics.functions import distance, features, frechet_distance
    from ganlet.metrics.manifold import density_coverage, precision_recall
    from ganlet.metrics.scores import inception_score

_HOMES = {
    "density_coverage": "manifold",
    "distance": "functions",
    "features": "functions",
    "frechet_distance": "functions",
    "inception_score": "scores",
    "kernel_distance": "distances",
    "open_extractor": "features",
    "precision_recall": "manifold",
}

__all__ = [
    "density_coverage",
    "distance",
    "features",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "open_extractor",
    "precision_recall",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"ganlet.metrics.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ganlet.metrics' has no attribute {name!r}")
