"""The large networks of the literature, by way of torch-fidelity: Inception for FID as published, CLIP and DINOv2.

Their weights are files of hundreds of megabytes that are downloaded into torch's hub cache (TORCH_HOME) when one is
asked for by name, and only used when their SHA-256 is the known one: they are pickles, which may hold any code.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import socket
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch

from ganlet.errors import ConfigError, EnvironmentProblem
from ganlet.metrics.extractors import Extractor, Output, as_pictures, opaque

TIMEOUT_SECONDS = 30.0
HUB_CODE = "facebookresearch_dinov2_main"  # the folder in the hub cache that DINOv2's code is in


@dataclass(frozen=True)
class Network:
    """A network of torch-fidelity: its name there, the outputs that are wanted (features, then logits), its weights."""

    registered: str
    outputs: tuple[str, ...]
    num_features: int
    side: int  # pixels of the pictures it sees
    file: str  # in the hub cache
    url: str
    sha256: str
    batch: int
    from_hub: bool = False  # built by code in torch's hub cache, which finds its weights itself


class FidelityExtractor(Extractor):
    """A network of torch-fidelity. `weights` is a copy of its file, for machines without internet.

    Raises EnvironmentProblem when the package or the weights cannot be had or are damaged.
    """

    channel_rule = "grey repeated, alpha on mid grey"

    def __init__(self, name: str, device: torch.device, weights: Path | None = None) -> None:
        network = NETWORKS[name]
        create = _package(name).create_feature_extractor
        if network.from_hub:
            _require_hub_code(name, weights)
        path = find_weights(name, weights)
        options = {} if network.from_hub else {"feature_extractor_weights_path": str(path)}
        self.name = name
        self.identity = network.sha256
        self.num_features = network.num_features
        self.resizer = f"bilinear as TensorFlow 1 {network.side} x {network.side}"
        self.is_inception = name == "inception"
        self.batch = network.batch
        self.device = device
        self._network = create(network.registered, list(network.outputs), cuda=False, verbose=False, **options)
        self._network.to(device)

    def __call__(self, pictures: torch.Tensor) -> Output:
        images = as_pictures(opaque(pictures)).expand(-1, 3, -1, -1)
        features, *logits = self._network(images)
        return features, logits[0] if logits else None


def is_at_hand(name: str) -> bool:
    """Whether the package is installed and the weights are cached, so that nothing has to be downloaded."""
    return importlib.util.find_spec("torch_fidelity") is not None and _cached(NETWORKS[name]).is_file()


def find_weights(name: str, given: Path | None) -> Path:
    """The verified file of a network: the one given, else that in the hub cache, where it is downloaded if missing."""
    network = NETWORKS[name]
    path = given.expanduser() if given else _cached(network)
    if not path.is_file():
        if given:
            raise EnvironmentProblem(
                f"There are no weights of {name} here.", where=path, expected=network.file, hint=_elsewhere(name)
            )
        _download(name, path)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != network.sha256:
        raise EnvironmentProblem(
            f"The weights of {name} are damaged, or others.",
            where=path,
            got=f"SHA-256 {digest[:16]}...",
            expected=f"SHA-256 {network.sha256[:16]}... of {network.url}",
            hint="delete the file, then " + _elsewhere(name),
        )
    return path


def _cached(network: Network) -> Path:
    return Path(torch.hub.get_dir(), "checkpoints", network.file)


def _download(name: str, path: Path) -> None:
    network, before = NETWORKS[name], socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)  # the hub sets none
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(network.url, str(path), network.sha256)
    except (OSError, RuntimeError, HTTPException) as error:
        raise EnvironmentProblem(
            f"The weights of {name} cannot be downloaded.",
            where=path,
            got=f"{network.url}: {error}",
            hint=_elsewhere(name),
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _elsewhere(name: str) -> str:
    network = NETWORKS[name]
    place = f"copy it to {_cached(network)}"
    if not network.from_hub:
        place += f", or name the extractor {name}=FILE"
    return f"download {network.url} on a machine with internet and {place}; the extractor ganlet needs no download"


def _package(name: str) -> Any:
    """The module of torch-fidelity that makes networks."""
    try:
        return importlib.import_module("torch_fidelity.utils")
    except ImportError as error:
        raise EnvironmentProblem(
            f"The extractor {name} needs a package that is not installed.",
            got=error,
            hint="pip install 'ganlet[fidelity]'",
        ) from error
    except Exception as error:  # a torchvision that was built for another torch fails in many ways
        raise EnvironmentProblem(
            f"The extractor {name} needs torchvision, and the one installed does not work with this torch.",
            got=f"torch {torch.__version__}; {type(error).__name__}: {error}",
            expected="both for the same device, from the same index",
            hint="pip install --force-reinstall torch torchvision --index-url https://download.pytorch.org/whl/"
            + ("cpu" if torch.version.cuda is None else f"cu{torch.version.cuda.replace('.', '')}"),
        ) from error


def _require_hub_code(name: str, weights: Path | None) -> None:
    """DINOv2's code is not in torch-fidelity but comes from GitHub by way of the hub; we never fetch code unasked."""
    if weights is not None:
        raise ConfigError("The weights of dinov2 cannot be given as a path.", where=weights, hint=_elsewhere(name))
    if not Path(torch.hub.get_dir(), HUB_CODE).is_dir():
        raise EnvironmentProblem(
            "The code of DINOv2 is not in torch's hub cache, and ganlet does not download code.",
            where=Path(torch.hub.get_dir(), HUB_CODE),
            hint="""python -c "import torch; torch.hub.load('facebookresearch/dinov2', 'dinov2_vitl14')" """.rstrip(),
        )


NETWORKS: dict[str, Network] = {
    "inception": Network(
        "inception-v3-compat", ("2048", "logits_unbiased"), 2048, 299, "weights-inception-2015-12-05-6726825d.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2", batch=50,
    ),
    "clip": Network(
        "clip-vit-b-32", ("clip",), 512, 224,
        "clip-vit-b-32-40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af.pt",
        "https://openaipublic.azureedge.net/clip/models/"
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af/ViT-B-32.pt",
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af", batch=100,
    ),
    "dinov2": Network(
        "dinov2-vit-l-14", ("dinov2",), 1024, 224, "dinov2_vitl14_pretrain.pth",
        "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
        "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428", batch=50, from_hub=True,
    ),
}  # fmt: skip
