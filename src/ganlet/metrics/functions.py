"""Distances of arrays, in one call each: for loops and scripts of one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from ganlet.data.pack import fingerprint_of
from ganlet.errors import MetricError
from ganlet.metrics.accumulate import statistics_of
from ganlet.metrics.distances import frechet_distance as of_statistics
from ganlet.metrics.distances import kernel_distance as of_features
from ganlet.metrics.features import distance_name, extract, open_extractor
from ganlet.metrics.protocol import Measurement, Protocol


def features(pictures: np.ndarray, extractor: str | Path | Callable[..., Any] = "ganlet") -> np.ndarray:
    """Pictures uint8 (N, H, W, C) -> features float32 (N, F). Raises `MetricError`, or as `open_extractor` does."""
    pictures = np.asarray(pictures)
    if pictures.dtype != np.uint8 or pictures.ndim != 4:
        got, expected = f"{pictures.dtype} {pictures.shape}", "uint8 (N, H, W, C)"
        raise MetricError("These are no pictures.", got=got, expected=expected)
    return extract(open_extractor(extractor), pictures).features


def kernel_distance(reals: ArrayLike, fakes: ArrayLike) -> tuple[float, float]:
    """KID's distance of two sets of features (N, F) and (M, F) over all pairs, and its standard error; unbiased."""
    return of_features(fakes, reals)


def frechet_distance(reals: ArrayLike, fakes: ArrayLike) -> float:
    """The Frechet distance of two sets of features (N, F) and (M, F) (Heusel et al. 2017); biased for few pictures."""
    return of_statistics(statistics_of(fakes), statistics_of(reals))


def distance(
    reals: np.ndarray,
    fakes: np.ndarray,
    kind: Literal["kd", "fd"] = "kd",
    extractor: str | Path | Callable[..., Any] = "ganlet",
) -> Measurement:
    """How far generated pictures are from real ones, both uint8 (N, H, W, C), with its name and protocol.

    `kd` is the kernel distance (KID's, with its standard error), `fd` the Frechet distance (FID's). Raises
    `MetricError` for another kind, and for what are no pictures.
    """
    if kind not in ("kd", "fd"):
        raise MetricError("There is no such distance.", got=kind, expected="kd or fd")
    opened = open_extractor(extractor)
    of_fakes, of_reals = features(fakes, opened), features(reals, opened)
    value, error = kernel_distance(of_reals, of_fakes) if kind == "kd" else (frechet_distance(of_reals, of_fakes), None)
    protocol = Protocol.of(
        opened,
        num_fakes=len(of_fakes),
        num_reals=len(of_reals),
        reals="pictures",
        data_fingerprint=fingerprint_of(reals),
        weights="raw",
        seed=0,
    )
    name = distance_name("kernel" if kind == "kd" else "frechet", opened)
    return Measurement(kind, name, value, error, "lower", protocol)
