"""How good generated pictures are: functions of arrays of features or pictures, each a number with its error.

Features are float arrays (N, F), those of pictures uint8 (N, H, W, C) by `features(pictures, extractor)`. Functions
that measure one set against another take real ones first, then generated ones.
"""

from ganlet.metrics.features import open_extractor
from ganlet.metrics.functions import distance, features, frechet_distance, kernel_distance
from ganlet.metrics.manifold import density_coverage, precision_recall
from ganlet.metrics.scores import inception_score

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
