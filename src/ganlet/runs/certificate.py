"""Certificates: what the file of a picture or film says of how it was drawn, so that it can be drawn again.

A certificate holds the points that every cell was drawn from, where the cells are, and whose weights drew them: in
a PNG as text, in a WebP as EXIF, in a GIF as a comment, in an MP4 as metadata. It tells no path, user or host. It is
no signature: whoever can write the file can write another certificate. It does tell what was changed by accident, or
by somebody who did not mean to forge it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch

from ganlet import __version__
from ganlet.errors import ConfigError

SCHEMA = 1
SPACES = ("latents", "styles")
MOST_NUMBERS = 16_000_000  # in one array: what somebody else wrote must not fill the memory
HASH_BYTES = 16


@dataclass(frozen=True)
class Maker:
    """Who draws: `run` is what runs that began alike share, `weights` the hash of the network."""

    run: str
    weights: str
    images_seen: int


@dataclass(frozen=True, eq=False)
class Certificate:
    """How the cells of a picture, or of a film's frames, were drawn.

    Attributes:
        maker: who drew them.
        how: plain data for people and for drawing again, such as {"verb": "sample", "seed": 3}.
        space: what the values are, "latents" or "styles".
        values: float32 (N, ...), the point of each cell.
        labels: float32 (N, num_labels), where the generator is fed labels.
        boxes: int64 (N, 4): frame, top, left, and how many pixels each pixel of the cell has become on a side.
        pixels: hash of the file's pixels, see `pixels_hash`.
        version: of ganlet.
    """

    maker: Maker
    how: Mapping[str, Any]
    space: str
    values: np.ndarray
    labels: np.ndarray | None
    boxes: np.ndarray
    pixels: str = ""
    version: str = field(default=__version__)

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def without_points(cls, maker: Maker, how: Mapping[str, Any]) -> Certificate:
        """One that says by whom and how, of what shows more than one generator's pictures."""
        return cls(maker, how, "latents", np.empty((0, 1), np.float32), None, np.empty((0, 4), np.int64))

    def to_text(self) -> str:
        """The certificate as ASCII text: JSON with a checksum of the rest."""
        tree = vars(self) | {name: _packed(getattr(self, name)) for name in ("values", "labels", "boxes")}
        tree |= {"schema": SCHEMA, "how": dict(self.how), "maker": asdict(self.maker)}
        return json.dumps({**tree, "checksum": _checksum(tree)}, sort_keys=True)

    @classmethod
    def from_text(cls, text: str, where: str | None = None) -> Certificate:
        """The certificate that a text holds. Raises `ConfigError` where it was changed, or is of a newer kind.

        `where` is what holds it, for the message.
        """
        try:
            tree = json.loads(text)
            checksum, schema = tree.pop("checksum"), tree.pop("schema")
            if schema != SCHEMA:
                hint = "install a newer ganlet: pip install --upgrade ganlet"
                raise ConfigError(
                    "Another version of ganlet wrote this certificate.", where=where, got=f"schema {schema}", hint=hint
                )
            if checksum != _checksum({**tree, "schema": schema}):
                raise ValueError("its checksum is another one")
            arrays: dict[str, Any] = {name: _unpacked(tree.pop(name)) for name in ("values", "labels", "boxes")}
            found = cls(maker=Maker(**tree.pop("maker")), **arrays, **tree)
            found._require_sense()
            return found
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, zlib.error) as error:
            raise ConfigError(
                "The certificate of this picture was changed or damaged, so nothing in it can be relied on.",
                where=where,
                got=error,
                hint="find the picture's latent by looking for it: ganlet explore RUN invert PICTURE",
            ) from None

    def _require_sense(self) -> None:
        """Raise `ValueError` where parts are not of their kinds, as nothing is that ganlet wrote itself."""
        texts = (self.maker.run, self.maker.weights, self.pixels, self.version)
        if not all(isinstance(text, str) for text in texts) or not isinstance(self.how, Mapping):
            raise ValueError("it does not say who drew it, and how")
        if type(self.maker.images_seen) is not int or self.space not in SPACES:
            raise ValueError("it does not say of which moment or space it is")
        arrays = [self.values] if self.labels is None else [self.values, self.labels]
        if any(array.dtype != np.float32 or array.ndim < 2 or len(array) != len(self) for array in arrays):
            raise ValueError("its cells are without points")
        if self.boxes.shape != (len(self), 4) or self.boxes.dtype != np.int64:
            raise ValueError("it does not say where its cells are")
        frames, scales = self.boxes[:, 0], self.boxes[:, 3]
        if (self.boxes < 0).any() or (frames >= len(self)).any() or (scales < 1).any():
            raise ValueError("its cells are nowhere")


def weights_hash(network: torch.nn.Module) -> str:
    """A hash of a network's tensors, by name: equal ones draw equal pictures."""
    digest = hashlib.blake2b(digest_size=HASH_BYTES)
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def pixels_hash(frames: np.ndarray) -> str:
    """A hash of pixels uint8 (frames, H, W, C)."""
    digest = hashlib.blake2b(str(frames.shape).encode(), digest_size=HASH_BYTES)
    digest.update(np.ascontiguousarray(frames).data)
    return digest.hexdigest()


def _checksum(tree: Mapping[str, Any]) -> str:
    return hashlib.blake2b(json.dumps(tree, sort_keys=True).encode(), digest_size=HASH_BYTES).hexdigest()


def _packed(array: np.ndarray | None) -> dict[str, Any] | None:
    if array is None:
        return None
    data = base64.b64encode(zlib.compress(np.ascontiguousarray(array).tobytes(), 9)).decode()
    return {"dtype": str(array.dtype), "shape": list(array.shape), "data": data}


def _unpacked(packed: Mapping[str, Any] | None) -> np.ndarray | None:
    if packed is None:
        return None
    dtype, shape = {"float32": np.float32, "int64": np.int64}[packed["dtype"]], tuple(map(int, packed["shape"]))
    count = int(np.prod(shape))
    if min(shape, default=0) < 0 or count > MOST_NUMBERS:
        raise ValueError(f"an array of shape {shape}")
    size = count * np.dtype(dtype).itemsize
    data = zlib.decompressobj().decompress(base64.b64decode(packed["data"], validate=True), size + 1)
    if len(data) != size:
        raise ValueError(f"{len(data):,} bytes for an array of shape {shape}")
    array = np.frombuffer(data, dtype).reshape(shape)
    if not np.isfinite(array).all():
        raise ValueError("numbers that are not finite")
    return array
