"""From pictures to features, in batches, and the extractors by name."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from ganlet.data.ingest import Progress
from ganlet.errors import ConfigError, EnvironmentProblem, MetricError, nearest
from ganlet.metrics.extractors import CallableExtractor, Extractor, GanletExtractor, PixelsExtractor
from ganlet.metrics.fidelity import FidelityExtractor, is_at_hand

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Extracted:
    """Features float32 (N, F), and logits float32 (N, K) where the extractor classifies; all finite."""

    features: np.ndarray
    logits: np.ndarray | None


def extract(
    extractor: Extractor, pictures: Any, batch: int | None = None, progress: Progress | None = None
) -> Extracted:
    """The features of all pictures at once; see `extract_batches`."""
    parts = list(extract_batches(extractor, pictures, batch, progress))
    logits = [part.logits for part in parts if part.logits is not None]
    return Extracted(np.concatenate([part.features for part in parts]), np.concatenate(logits) if logits else None)


def extract_batches(
    extractor: Extractor, pictures: Any, batch: int | None = None, progress: Progress | None = None
) -> Iterator[Extracted]:
    """The features of pictures uint8 (N, H, W, C), some at a time: of an array on disk, no more than that is read.

    The result depends on neither the batch nor the device but for rounding. `progress` is called with the number of
    pictures done and their total. Raises MetricError when there are none, or for features that are not finite.
    """
    total = len(pictures)
    if total == 0:
        raise MetricError("There are no pictures to measure.", where=extractor.name)
    step = batch or extractor.batch
    for start in range(0, total, step):
        yield _extract(extractor, np.array(pictures[start : start + step]), start)
        if progress is not None:
            progress(min(start + step, total), total)


def open_extractor(which: str | Path | Callable[..., Any], device: torch.device | str = "cpu") -> Extractor:
    """The extractor meant by a name, `NAME=FILE` (weights that lie elsewhere), a safetensors file or a callable.

    "auto" is Inception where its package and weights are at hand, so that nothing is downloaded, else ganlet. Raises
    ConfigError for an unknown name or a file of another form, EnvironmentProblem for missing packages and weights.
    """
    device = torch.device(device)
    if isinstance(which, Extractor):
        return which
    if not isinstance(which, str | Path):
        return CallableExtractor(which, device)
    if which == "auto":
        return _automatic(device)
    name, given, path = str(which).partition("=")
    if name in EXTRACTORS:
        if not given:
            return EXTRACTORS[name](device)
        if name == "pixels":
            raise ConfigError("The extractor pixels has no weights.", got=which, hint="pixels")
        return EXTRACTORS[name](device, Path(path))
    if isinstance(which, Path) or which.endswith(".safetensors") or Path(which).is_file():
        return GanletExtractor(device, Path(which))
    raise ConfigError(
        "There is no such extractor of features.",
        got=which,
        expected=f"auto, {', '.join(EXTRACTORS)}, or a safetensors file",
        hint=f"did you mean {near}?" if (near := nearest(name, ["auto", *EXTRACTORS])) else "ganlet list metrics",
    )


def distance_name(kind: Literal["frechet", "kernel", "score"], extractor: Extractor) -> str:
    """What a number may be called: only Inception makes an FID, a KID and an Inception Score."""
    published, other = DISTANCE_NAMES[kind]
    return published if extractor.is_inception else f"{other} ({extractor.name})"


def _automatic(device: torch.device) -> Extractor:
    if is_at_hand("inception"):
        try:
            return FidelityExtractor("inception", device)
        except EnvironmentProblem as problem:
            log.warning("%s So the extractor ganlet is used.", problem.what)
    return GanletExtractor(device)


def _extract(extractor: Extractor, part: np.ndarray, start: int) -> Extracted:
    """The features of one batch uint8 (n, H, W, C), the first of which is picture number `start`."""
    assert (part.dtype, part.ndim) == (np.uint8, 4), (part.dtype, part.shape)
    with torch.inference_mode(), full_precision():
        features, logits = extractor(torch.from_numpy(part).to(extractor.device))
        found = Extracted(features.float().cpu().numpy(), None if logits is None else logits.float().cpu().numpy())
    for values in (found.features, found.logits):
        if values is not None and not np.isfinite(values).all():
            index = start + int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise MetricError(
                "The features of a picture are not finite.", where=f"picture {index}", got=f"extractor {extractor.name}"
            )
    return found


@contextmanager
def full_precision() -> Iterator[None]:
    """Without TF32, which keeps 10 bits of the 23: a GPU then gives what a CPU gives, to about 1e-6."""
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


DISTANCE_NAMES = {
    "frechet": ("FID", "FD"),
    "kernel": ("KID", "KD"),
    "score": ("Inception Score", "classifier score"),
}

# "auto" chooses among them. Each takes the device, and a path to other weights where it has any.
EXTRACTORS: dict[str, Callable[..., Extractor]] = {
    "inception": partial(FidelityExtractor, "inception"),
    "clip": partial(FidelityExtractor, "clip"),
    "dinov2": partial(FidelityExtractor, "dinov2"),
    "ganlet": GanletExtractor,
    "pixels": PixelsExtractor,
}
