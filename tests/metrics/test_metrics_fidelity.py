"""The networks of torch-fidelity: found, verified, or refused in words. No test downloads anything."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch import nn

from ganlet.errors import ConfigError, EnvironmentProblem
from ganlet.metrics import fidelity
from ganlet.metrics.features import extract, open_extractor
from ganlet.metrics.fidelity import NETWORKS, FidelityExtractor, find_weights, is_at_hand

CPU = torch.device("cpu")
CONTENT = b"the weights of a large network"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty hub cache, and no way to download into it."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_: pytest.fail("downloaded"))
    return tmp_path / "torch" / "hub"


@pytest.fixture
def small_weights(monkeypatch):
    """Weights that are known by the hash of `CONTENT`."""
    known = {name: replace(network, sha256=hashlib.sha256(CONTENT).hexdigest()) for name, network in NETWORKS.items()}
    for name, network in known.items():
        monkeypatch.setitem(NETWORKS, name, network)


@pytest.fixture
def cached(hub, small_weights):
    """Put weights into the hub cache."""

    def cached(name, content=CONTENT):
        path = hub / "checkpoints" / NETWORKS[name].file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return cached


class FakeNetwork(nn.Module):
    """What torch-fidelity makes: uint8 (N, 3, H, W) -> a tuple, one tensor for each output that was asked for."""

    def __init__(self, registered, outputs, **options):
        super().__init__()
        self.registered, self.outputs, self.options = registered, outputs, options
        self.seen = torch.empty(0)

    def forward(self, pictures):
        assert pictures.dtype == torch.uint8
        assert pictures.shape[1] == 3
        self.seen = pictures
        return tuple(pictures.float().mean((2, 3)) + place for place in range(len(self.outputs)))


@pytest.fixture
def package(monkeypatch):
    """A torch-fidelity that makes fake networks, listed in the order in which they were asked for."""
    made = []

    def create_feature_extractor(registered, outputs, cuda, verbose, **options):
        assert not cuda
        assert not verbose
        made.append(FakeNetwork(registered, outputs, **options))
        return made[-1]

    module = SimpleNamespace(create_feature_extractor=create_feature_extractor)
    monkeypatch.setattr(fidelity, "_package", lambda name: module)
    return made


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_inception_is_made_from_the_cached_weights(cached, package):
    path = cached("inception")
    extractor = open_extractor("inception")
    assert package[0].registered == "inception-v3-compat"
    assert package[0].options == {"feature_extractor_weights_path": str(path)}
    pictures = noise(3, 8, 8, 1)
    found = extract(extractor, pictures)
    means = pictures.mean((1, 2)).repeat(3, axis=1)
    np.testing.assert_allclose(found.features, means, rtol=1e-5)
    np.testing.assert_allclose(found.logits, means + 1, rtol=1e-5)
    assert extractor.is_inception
    assert extractor.identity == hashlib.sha256(CONTENT).hexdigest()


def test_other_networks_are_no_inception_and_classify_nothing(cached, package, hub):
    cached("clip")
    cached("dinov2")
    (hub / "facebookresearch_dinov2_main").mkdir()
    for name in ("clip", "dinov2"):
        extractor = open_extractor(name)
        assert not extractor.is_inception
        assert extractor.name == name
        assert extract(extractor, noise(2, 8, 8, 3)).logits is None
    assert package[1].options == {}  # torch-fidelity takes no path for DINOv2


def test_pictures_with_alpha_are_laid_on_grey(cached, package):
    cached("clip")
    pictures = noise(2, 4, 4, 4)
    pictures[..., 3] = 0
    extract(open_extractor("clip"), pictures)
    assert (package[0].seen == 128).all()


def test_weights_may_lie_elsewhere(tmp_path, small_weights, hub, package):
    path = tmp_path / "some=where.pth"
    path.write_bytes(CONTENT)
    open_extractor(f"inception={path}")
    assert package[0].options == {"feature_extractor_weights_path": str(path)}
    with pytest.raises(EnvironmentProblem, match="no weights of inception here") as caught:
        open_extractor("inception=/no/where.pth")
    assert NETWORKS["inception"].url in caught.value.hint
    assert "inception=FILE" in caught.value.hint


def test_damaged_weights_are_never_loaded(cached, package):
    path = cached("clip", CONTENT[:-1])
    with pytest.raises(EnvironmentProblem, match="damaged, or others") as caught:
        open_extractor("clip")
    assert not package
    assert caught.value.where == path
    assert NETWORKS["clip"].url in caught.value.expected
    assert "delete the file" in caught.value.hint


def test_what_is_missing_is_downloaded_where_the_hub_looks_for_it(hub, small_weights, monkeypatch):
    def download(url, target, sha256):
        assert (url, sha256) == (NETWORKS["clip"].url, NETWORKS["clip"].sha256)
        with open(target, "wb") as file:
            file.write(CONTENT)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert find_weights("clip", None) == hub / "checkpoints" / NETWORKS["clip"].file


@pytest.mark.parametrize("error", [URLError("no route to host"), RuntimeError("invalid hash value"), TimeoutError()])
def test_without_internet_the_way_around_is_told(hub, small_weights, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(EnvironmentProblem, match="cannot be downloaded") as caught:
        find_weights("inception", None)
    assert caught.value.exit_code == 3
    message = caught.value.message
    assert NETWORKS["inception"].url in message
    assert str(hub / "checkpoints" / NETWORKS["inception"].file) in message
    assert "inception=FILE" in message


def test_code_is_not_downloaded(hub, package):
    with pytest.raises(EnvironmentProblem, match="does not download code") as caught:
        open_extractor("dinov2")
    assert caught.value.where == hub / "facebookresearch_dinov2_main"
    with pytest.raises(ConfigError, match="cannot be given as a path"):
        open_extractor("dinov2=weights.pth")


def test_without_the_package_what_to_install_is_told(hub, monkeypatch):
    for name in ("torch_fidelity", "torch_fidelity.utils"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EnvironmentProblem, match="not installed") as caught:
        FidelityExtractor("inception", CPU)
    assert caught.value.hint == "pip install 'ganlet[fidelity]'"


def test_a_torchvision_that_does_not_fit_is_told(hub, monkeypatch):
    def import_module(name):
        raise RuntimeError("operator torchvision::nms does not exist")

    monkeypatch.setattr(fidelity.importlib, "import_module", import_module)
    with pytest.raises(EnvironmentProblem, match="does not work with this torch") as caught:
        FidelityExtractor("clip", CPU)
    assert "torchvision::nms" in caught.value.got
    assert torch.__version__ in caught.value.got
    assert "pip install" in caught.value.hint


def test_auto_is_inception_only_where_nothing_is_missing(cached, package, monkeypatch):
    monkeypatch.setattr(fidelity.importlib.util, "find_spec", lambda name: object())
    assert not is_at_hand("inception")
    assert open_extractor("auto").name == "ganlet"
    cached("inception")
    assert open_extractor("auto").name == "inception"
    monkeypatch.setattr(fidelity.importlib.util, "find_spec", lambda name: None)
    assert open_extractor("auto").name == "ganlet"


def test_auto_goes_on_without_an_inception_that_is_damaged(cached, package, monkeypatch, caplog):
    monkeypatch.setattr(fidelity.importlib.util, "find_spec", lambda name: object())
    cached("inception", b"half of the wei")
    assert open_extractor("auto").name == "ganlet"
    assert "weights of inception are damaged" in caplog.text


def installed():
    """torch-fidelity, where it is installed and works."""
    try:
        import torch_fidelity
    except Exception as error:
        pytest.skip(f"torch-fidelity does not work here: {error}")
    return torch_fidelity


def test_the_networks_are_those_that_torch_fidelity_knows():
    package = installed()
    from torch_fidelity.feature_extractor_clip import MODEL_METADATA, MODEL_URLS
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    for network in NETWORKS.values():
        kind = package.registry.FEATURE_EXTRACTORS_REGISTRY[network.registered]
        assert set(network.outputs) <= set(kind.get_provided_features_list())
    inception, clip = NETWORKS["inception"], NETWORKS["clip"]
    assert inception.url == URL_INCEPTION_V3
    assert inception.url.endswith(f"{inception.file[:-4]}.pth")
    assert inception.file.removesuffix(".pth").endswith(inception.sha256[:8])
    assert clip.url == MODEL_URLS[clip.registered]
    assert clip.sha256 == MODEL_METADATA[clip.registered]["hash"]
    assert clip.file == f"{clip.registered}-{clip.sha256}.pt"


def test_inception_gives_what_torch_fidelity_gives(tmp_path, hub, monkeypatch):
    """With weights drawn at random, for the true ones cannot be shipped; through our batches and back."""
    installed()
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    path = tmp_path / "weights.pth"
    torch.manual_seed(0)
    with monkeypatch.context() as patch:
        patch.setattr(torch, "load", lambda *_, **__: {})
        patch.setattr(nn.Module, "load_state_dict", lambda *_: None)
        theirs = FeatureExtractorInceptionV3("inception-v3-compat", ["2048", "logits_unbiased"], "unused")
    torch.save(theirs.state_dict(), path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(NETWORKS, "inception", replace(NETWORKS["inception"], sha256=sha256))

    pictures = noise(3, 32, 32, 3)
    found = extract(open_extractor(f"inception={path}"), pictures, batch=2)
    features, logits = theirs(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    assert found.features.shape == (3, 2048)
    np.testing.assert_allclose(found.features, features.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.logits, logits.numpy(), rtol=1e-4, atol=1e-5)
