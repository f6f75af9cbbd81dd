"""Whether a file draws what PyTorch draws: the same inputs to both, at several sizes of the batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ganlet.errors import EnvironmentProblem
from ganlet.export.precision import Precision

if TYPE_CHECKING:
    import onnxruntime

# Three sizes, for what was baked in for one of them fails for the others; and pictures enough to count pixels in.
BATCHES = (1, 2, 5, 56)
FP32_ERROR = 1e-5
WITHIN_ONE = 0.999  # share of pixels
LOGITS_ERROR = {"fp32": 1e-4, "fp16": 2e-2, "int8": 0.2}  # as a share of how much logits differ


@dataclass(frozen=True)
class Parity:
    """How far what a file gives is from what PyTorch gives.

    Attributes:
        precision: of the weights in the file.
        batches: the sizes of the batches that were compared.
        error: the largest absolute difference of two values.
        spread: for logits: the standard deviation of PyTorch's; 0 for images.
        worst: for images: the most levels of 255 that a value is off by.
        changed: share of pixels that differ by any level in any channel.
        within_one: share of pixels that differ by at most one level in every channel.
    """

    precision: Precision
    batches: tuple[int, ...]
    error: float
    spread: float = 0.0
    worst: int = 0
    changed: float = 0.0
    within_one: float = 1.0

    @property
    def holds(self) -> bool:
        """Whether it is within the bound."""
        if self.spread:
            return self.error <= LOGITS_ERROR[self.precision] * self.spread
        return self.error <= FP32_ERROR if self.precision == "fp32" else self.within_one >= WITHIN_ONE

    @property
    def bound(self) -> str:
        """What it is held to, in words."""
        if self.spread:
            return f"an error of at most {LOGITS_ERROR[self.precision]:g} of the spread of the logits"
        if self.precision == "fp32":
            return f"an error of at most {FP32_ERROR:g}"
        return f"{WITHIN_ONE:.1%} of pixels within 1 level of 255"

    def __str__(self) -> str:
        batches = ", ".join(map(str, self.batches))
        said = f"against PyTorch, batches of {batches}: largest error {self.error:.1e}"
        if self.spread:
            return f"{said}, {self.error / self.spread:.1e} of the spread of the logits"
        return (
            f"{said}; of 255 levels {self.worst} at worst, {share(self.changed)} of pixels changed, "
            f"{share(self.within_one)} within 1"
        )


def images_parity(
    session: onnxruntime.InferenceSession,
    precision: Precision,
    cases: Callable[[int], tuple[Mapping[str, np.ndarray], np.ndarray]],
) -> Parity:
    """Compare images. `cases` gives, for a size of the batch, the inputs by name and PyTorch's images."""
    errors, off = [], []
    for batch in BATCHES:
        inputs, wanted = cases(batch)
        images = answer(session, inputs)
        errors.append(_error(images, wanted))
        if images.shape == wanted.shape:
            off.append(np.abs(pixels(images) - pixels(wanted)).max(axis=1).ravel())  # of the channels
    levels = np.concatenate(off) if off else np.array([255])
    return Parity(
        precision,
        BATCHES,
        max(errors),
        worst=int(levels.max()),
        changed=float((levels > 0).mean()),
        within_one=float((levels <= 1).mean()),
    )


def logits_parity(
    session: onnxruntime.InferenceSession,
    precision: Precision,
    cases: Callable[[int], tuple[Mapping[str, np.ndarray], np.ndarray]],
) -> Parity:
    """Compare logits, as `images_parity` compares images."""
    errors, all_wanted = [], []
    for batch in BATCHES:
        inputs, wanted = cases(batch)
        errors.append(_error(answer(session, inputs), wanted))
        all_wanted.append(wanted)
    spread = max(float(np.concatenate(all_wanted).std()), np.finfo(np.float32).tiny)
    return Parity(precision, BATCHES, max(errors), spread)


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """ONNX Runtime with a model, on the CPU with as many threads as PyTorch uses."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; what it thinks of a graph beside that is told by the comparison
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def answer(session: onnxruntime.InferenceSession, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """What a file gives for inputs by name. Raises `EnvironmentProblem` where ONNX Runtime fails at it."""
    try:
        (given,) = session.run(None, dict(inputs))
    except Exception as error:  # its own classes have no common one
        raise EnvironmentProblem(
            "ONNX Runtime cannot work with what was exported, so nothing was written.",
            got=str(error).splitlines()[0],
            hint="pip install --upgrade onnx onnxscript onnxruntime",
        ) from error
    return np.asarray(given)


def pixels(images: np.ndarray) -> np.ndarray:
    """Images in [-1, 1] as whole numbers from 0 to 255, as `images.to_packed` makes them; int16, so they subtract."""
    return ((images + 1.0) * 127.5).round().clip(0, 255).astype(np.int16)


def share(value: float) -> str:
    """A share in per cent, rounded down, lest nearly all read as all."""
    return f"{np.floor(value * 1e4) / 1e2:.2f} %" if value < 1 else "100 %"


def _error(given: np.ndarray, wanted: np.ndarray) -> float:
    if given.shape != wanted.shape:
        return float("inf")
    difference = np.abs(given.astype(np.float64) - wanted)
    return float(difference.max()) if np.isfinite(difference).all() else float("inf")
