"""What turns pictures into features: the base of all extractors, and those that need no other package.

Every extractor sees the same pictures: where there is alpha, they are laid on mid grey (127.5), so that what is
transparent is neither black nor white.
"""

from __future__ import annotations

import hashlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn
from torch.nn import functional

from ganlet.errors import ConfigError, EnvironmentProblem, MetricError
from ganlet.metrics.extractor_network import NUM_FEATURES, SIZE, ExtractorNetwork

MIDDLE_GREY = 127.5
OWN_WEIGHTS = "ganlet-extractor.safetensors"
PIXELS_SIDE = 16

Output = tuple[torch.Tensor, torch.Tensor | None]


class Extractor(ABC):
    """Pictures uint8 (N, H, W, 1 | 3 | 4) on `device` -> features float32 (N, F), and logits (N, K) or None.

    `identity` is a SHA-256 of the weights or the definition: equal ones give equal features. `resizer` and
    `channel_rule` say in words what is done to pictures before; `num_features` is None where that depends on them.
    `batch` is how many pictures at a time fit into a laptop's memory.
    """

    name: str
    identity: str
    resizer: str
    channel_rule: str
    device: torch.device
    num_features: int | None = None
    is_inception: bool = False
    batch: int = 250

    @abstractmethod
    def __call__(self, pictures: torch.Tensor) -> Output:
        """Features (N, F) and logits (N, K), or None where the extractor does not classify."""


class GanletExtractor(Extractor):
    """The network that ganlet ships, or one of the same form from a safetensors file; see `scripts/train_extractor.py`.

    Raises ConfigError for a file that is missing or of another form.
    """

    num_features = NUM_FEATURES
    resizer = f"bilinear antialiased {SIZE} x {SIZE}"
    channel_rule = "grey repeated, alpha on mid grey"

    def __init__(self, device: torch.device, weights: Path | None = None) -> None:
        data = _own_weights() if weights is None else _read(weights)
        self.name = "ganlet" if weights is None else weights.stem
        self.identity = hashlib.sha256(data).hexdigest()
        self.device = device
        self._network = _network(data, weights).to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def __call__(self, pictures: torch.Tensor) -> Output:
        images = resized(opaque(pictures), SIZE).div_(MIDDLE_GREY).sub_(1.0)
        return self._network(images.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last))


class PixelsExtractor(Extractor):
    """The pictures themselves at 16 x 16, in [-1, 1]: no network, so nothing is learnt and nothing is overlooked."""

    name = "pixels"
    resizer = f"bilinear antialiased {PIXELS_SIDE} x {PIXELS_SIDE}"
    channel_rule = "own channels, alpha on mid grey"
    identity = hashlib.sha256(f"pixels in [-1, 1], {resizer}, {channel_rule}".encode()).hexdigest()

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __call__(self, pictures: torch.Tensor) -> Output:
        return resized(opaque(pictures), PIXELS_SIDE).div(MIDDLE_GREY).sub(1.0).flatten(1), None


class CallableExtractor(Extractor):
    """A user's function or module: uint8 (N, H, W, 1 | 3) on `device` -> features (N, F), or features and logits.

    What tells it from others is the text of its attribute `identity`, else the tensors of a module, else the source of
    a function; what a function refers to is not seen, so give one that uses a network an `identity`. A module is put
    on the device and into evaluation mode. Raises ConfigError where nothing identifies it.
    """

    resizer = "its own"
    channel_rule = "its own, alpha on mid grey"

    def __init__(self, function: Callable[[torch.Tensor], Any], device: torch.device) -> None:
        self.name = getattr(function, "__name__", type(function).__name__)
        self.identity = _identity(function, self.name)
        self.device = device
        self._function = function.eval().to(device) if isinstance(function, nn.Module) else function

    def __call__(self, pictures: torch.Tensor) -> Output:
        result = self._function(as_pictures(opaque(pictures)).permute(0, 2, 3, 1))
        features, logits = result if isinstance(result, tuple) else (result, None)
        for found in (features,) if logits is None else (features, logits):
            if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != len(pictures):
                got = f"a tensor {tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
                expected = f"tensors ({len(pictures)}, F): features, or a tuple of features and logits"
                raise MetricError("The extractor gives no features.", where=self.name, got=got, expected=expected)
        return features, logits


def opaque(pictures: torch.Tensor) -> torch.Tensor:
    """uint8 (N, H, W, 1 | 3 | 4) -> float32 (N, 1 | 3, H, W) in [0, 255]; alpha is composited on mid grey."""
    values = pictures.permute(0, 3, 1, 2).float()
    if values.shape[1] < 4:
        return values
    colours, alpha = values[:, :3], values[:, 3:] / 255
    return colours * alpha + MIDDLE_GREY * (1 - alpha)


def as_pictures(values: torch.Tensor) -> torch.Tensor:
    """float32 in [0, 255] -> uint8, rounded: for networks that take nothing else."""
    return values.round().clamp(0, 255).to(torch.uint8)


def resized(values: torch.Tensor, side: int) -> torch.Tensor:
    """float32 (N, C, H, W) -> (N, C, side, side), bilinear, averaging where it shrinks."""
    if values.shape[2:] == (side, side):
        return values
    return functional.interpolate(values, (side, side), mode="bilinear", antialias=True, align_corners=False)


def _own_weights() -> bytes:
    """The file that is shipped beside this one."""
    try:
        return files("ganlet.metrics").joinpath(OWN_WEIGHTS).read_bytes()
    except OSError as error:
        raise _not_whole("missing", error.strerror) from error


def _not_whole(what: str, got: str | None = None) -> EnvironmentProblem:
    hint = "pip install --force-reinstall --no-deps ganlet"
    return EnvironmentProblem(f"The weights of the extractor ganlet are {what}.", where=OWN_WEIGHTS, got=got, hint=hint)


def _read(path: Path) -> bytes:
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise ConfigError("The weights of the extractor cannot be read.", where=path, got=error.strerror) from error


def _network(data: bytes, path: Path | None) -> ExtractorNetwork:
    """The network in evaluation mode with the weights of a safetensors file."""
    network = ExtractorNetwork().eval().requires_grad_(False)
    try:
        tensors = {name: tensor.float() for name, tensor in safetensors.torch.load(data).items()}
        # Counts of batches are of no use but to training.
        counts = {name: value for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
        network.load_state_dict(counts | tensors)
    except (SafetensorError, RuntimeError) as error:
        if path is None:
            raise _not_whole("damaged") from error
        raise ConfigError(
            "These are no weights of the network that extracts features.",
            where=path,
            got=" ".join(str(error).split())[:200],
            expected="a safetensors file as scripts/train_extractor.py writes it; another network: hand in a callable",
        ) from error
    return network


def _identity(function: Callable[[torch.Tensor], Any], name: str) -> str:
    digest = hashlib.sha256(name.encode())
    own = getattr(function, "identity", None)
    if isinstance(own, str):
        digest.update(own.encode())
    elif isinstance(function, nn.Module):
        for key, tensor in function.state_dict().items():
            digest.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    else:
        try:
            digest.update(inspect.getsource(function).encode())
        except (OSError, TypeError) as error:
            raise ConfigError(
                "Nothing tells this extractor from others, so its numbers could not be compared.",
                where=name,
                expected="a function in a file, a torch module, or a text in its attribute `identity`",
            ) from error
    return digest.hexdigest()
