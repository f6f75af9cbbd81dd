"""What each extractor does to pictures before it looks at them, and what tells one from another."""

from __future__ import annotations

import functools
import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from ganlet.errors import ConfigError, EnvironmentProblem, MetricError
from ganlet.metrics import extractors
from ganlet.metrics.extractor_network import NUM_CLASSES, NUM_FEATURES, ExtractorNetwork
from ganlet.metrics.extractors import CallableExtractor, GanletExtractor, PixelsExtractor, opaque, resized

CPU = torch.device("cpu")


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


def with_alpha(pictures: torch.Tensor, alpha: int) -> torch.Tensor:
    return torch.cat([pictures, torch.full((*pictures.shape[:3], 1), alpha, dtype=torch.uint8)], dim=3)


@torch.inference_mode()
def features(extractor: extractors.Extractor, pictures: torch.Tensor) -> torch.Tensor:
    return extractor(pictures)[0]


@pytest.fixture(scope="module")
def ganlet() -> GanletExtractor:
    return GanletExtractor(CPU)


@pytest.fixture
def write_weights(tmp_path):
    """Write weights of the ganlet network, with changes, to a file."""

    def write_weights(name="mine.safetensors", changes=None, without=()):
        torch.manual_seed(1)
        tensors = {key: value for key, value in ExtractorNetwork().state_dict().items() if "num_batches" not in key}
        tensors = {key: value for key, value in tensors.items() if key not in without} | (changes or {})
        safetensors.torch.save_file(tensors, tmp_path / name)
        return tmp_path / name

    return write_weights


def test_alpha_is_composited_on_mid_grey_without_rounding():
    colour = torch.tensor([10, 200, 30], dtype=torch.uint8).expand(1, 1, 1, 3)
    expected = {0: [127.5, 127.5, 127.5], 255: [10, 200, 30], 51: [104.0, 142.0, 108.0]}  # 0.2 * colour + 0.8 * 127.5
    for alpha, values in expected.items():
        torch.testing.assert_close(opaque(with_alpha(colour, alpha)).flatten(), torch.tensor(values).float())


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_without_alpha_are_only_turned(channels):
    pictures = noise(2, 5, 4, channels)
    assert torch.equal(opaque(pictures), pictures.permute(0, 3, 1, 2).float())


def test_shrinking_averages_and_does_not_round():
    columns = torch.arange(128).remainder(4).eq(0).float().expand(1, 1, 128, 128)  # 1 0 0 0 1 0 0 0 ...
    shrunk = resized(columns, 32)
    assert shrunk.shape == (1, 1, 32, 32)
    assert shrunk[..., 1:-1].sub(0.25).abs().max() < 0.05
    assert resized(torch.full((1, 3, 9, 20), 77.0), 32).sub(77).abs().max() < 1e-4


def test_pictures_of_the_right_size_are_not_touched():
    values = noise(2, 3, 16, 16).float()
    assert resized(values, 16) is values


def test_ganlet_gives_features_and_logits_and_has_the_hash_of_its_file(ganlet):
    found, logits = ganlet(noise(3, 32, 32, 3))
    assert found.shape == (3, NUM_FEATURES) == (3, ganlet.num_features)
    assert logits.shape == (3, NUM_CLASSES)
    assert found.dtype == logits.dtype == torch.float32
    data = files("ganlet.metrics").joinpath("ganlet-extractor.safetensors").read_bytes()
    assert ganlet.identity == hashlib.sha256(data).hexdigest()
    assert (ganlet.name, ganlet.is_inception) == ("ganlet", False)


def test_ganlet_does_what_its_network_does(ganlet, write_weights):
    """In evaluation mode, on pictures in [-1, 1]."""
    path = write_weights()
    network = ExtractorNetwork()
    network.load_state_dict(safetensors.torch.load_file(path), strict=False)
    pictures = noise(4, 32, 32, 3)
    with torch.inference_mode():
        expected = network.eval()(pictures.permute(0, 3, 1, 2).float() / 127.5 - 1)
        found = GanletExtractor(CPU, path)(pictures)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-4, atol=1e-5)


def test_for_ganlet_grey_is_colour_three_times_and_opaque_alpha_is_none(ganlet):
    grey, colour = noise(3, 20, 24, 1), noise(3, 20, 24, 3, seed=1)
    torch.testing.assert_close(features(ganlet, grey), features(ganlet, grey.expand(-1, -1, -1, 3)))
    torch.testing.assert_close(features(ganlet, with_alpha(colour, 255)), features(ganlet, colour))
    assert not torch.allclose(features(ganlet, with_alpha(colour, 128)), features(ganlet, colour), rtol=0.1)


@pytest.mark.parametrize("size", [(8, 8), (50, 70), (31, 33)])
def test_ganlet_sees_plain_colours_alike_at_any_size(ganlet, size):
    colours = noise(4, 1, 1, 3)
    expected = features(ganlet, colours.expand(-1, 32, 32, -1))
    torch.testing.assert_close(features(ganlet, colours.expand(-1, *size, -1)), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_the_pictures_themselves(channels):
    pictures = noise(2, 16, 16, channels)
    found, logits = PixelsExtractor(CPU)(pictures)
    torch.testing.assert_close(found, (pictures.permute(0, 3, 1, 2) / 127.5 - 1).flatten(1))
    assert logits is None
    assert len(found[0]) == 256 * channels


def test_pixels_of_pictures_with_alpha_have_three_channels():
    pictures = noise(2, 40, 24, 3)
    found = features(PixelsExtractor(CPU), with_alpha(pictures, 255))
    torch.testing.assert_close(found, features(PixelsExtractor(CPU), pictures))
    assert found.shape == (2, 3 * 256)
    assert features(PixelsExtractor(CPU), with_alpha(pictures, 0)).abs().max() < 1e-6


def test_weights_of_ones_own_are_another_extractor(ganlet, write_weights):
    path = write_weights()
    mine = GanletExtractor(CPU, path)
    assert mine.name == "mine"
    assert mine.identity == hashlib.sha256(path.read_bytes()).hexdigest() != ganlet.identity
    pictures = noise(3, 32, 32, 3)
    assert not torch.allclose(features(mine, pictures), features(ganlet, pictures), rtol=0.1)


def test_half_precision_is_read(write_weights):
    path = write_weights()
    half = {key: value.half() for key, value in safetensors.torch.load_file(path).items()}
    pictures = noise(3, 32, 32, 3)
    expected = features(GanletExtractor(CPU, path), pictures)
    found = features(GanletExtractor(CPU, write_weights("half.safetensors", half)), pictures)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
    assert found.dtype == torch.float32


@pytest.mark.parametrize(
    "options",
    [
        {"without": ["head.bias"]},
        {"changes": {"head.bias": torch.zeros(10)}},
        {"changes": {"extra": torch.zeros(10)}},
    ],
)
def test_weights_of_another_form_are_refused(write_weights, options):
    path = write_weights(**options)
    with pytest.raises(ConfigError, match="no weights of the network") as caught:
        GanletExtractor(CPU, path)
    assert caught.value.where == path
    assert "head.bias" in caught.value.got or "extra" in caught.value.got


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    (tmp_path / "mine.safetensors").write_bytes(b"PK\3\4 a pickle")
    with pytest.raises(ConfigError, match="no weights of the network"):
        GanletExtractor(CPU, tmp_path / "mine.safetensors")
    with pytest.raises(ConfigError, match="cannot be read"):
        GanletExtractor(CPU, tmp_path / "nowhere.safetensors")


def test_a_broken_installation_is_told(monkeypatch):
    monkeypatch.setattr(extractors, "OWN_WEIGHTS", "nowhere.safetensors")
    with pytest.raises(EnvironmentProblem, match="are missing") as caught:
        GanletExtractor(CPU)
    assert "pip install" in caught.value.hint
    monkeypatch.setattr(extractors, "OWN_WEIGHTS", "__init__.py")
    with pytest.raises(EnvironmentProblem, match="are damaged"):
        GanletExtractor(CPU)


def mean_colours(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.float().mean((1, 2))


def other_function(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.float().amax((1, 2))


def test_a_function_of_ones_own_sees_pictures_without_alpha():
    pictures = noise(3, 8, 9, 3)
    extractor = CallableExtractor(mean_colours, CPU)
    torch.testing.assert_close(features(extractor, pictures), pictures.float().mean((1, 2)))
    torch.testing.assert_close(features(extractor, with_alpha(pictures, 0)), torch.full((3, 3), 128.0))
    assert extractor.name == "mean_colours"
    seen = []
    CallableExtractor(lambda batch: seen.append(batch) or batch.flatten(1).float(), CPU)(with_alpha(pictures, 9))
    assert seen[0].dtype == torch.uint8
    assert seen[0].shape == (3, 8, 9, 3)


def test_functions_are_told_apart_by_their_source():
    identity = CallableExtractor(mean_colours, CPU).identity
    assert identity == CallableExtractor(mean_colours, CPU).identity != CallableExtractor(other_function, CPU).identity
    assert len(identity) == 64


def test_a_module_of_ones_own_is_told_by_its_tensors_and_evaluated():
    module = nn.Sequential(nn.Flatten(), nn.Dropout(0.5))
    module.insert(1, TooFloat())
    module.append(nn.Linear(12, 5))
    extractor = CallableExtractor(module, CPU)
    pictures = noise(4, 2, 2, 3)
    assert torch.equal(features(extractor, pictures), features(extractor, pictures))
    assert CallableExtractor(module, CPU).identity == extractor.identity
    with torch.no_grad():
        module[-1].bias[3] += 1e-3
    assert CallableExtractor(module, CPU).identity != extractor.identity


class TooFloat(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.float()


def test_an_identity_of_ones_own_counts_before_anything_else():
    first, second = functools.partial(mean_colours), functools.partial(mean_colours)
    first.identity, second.identity = "version 1", "version 2"
    assert CallableExtractor(first, CPU).identity != CallableExtractor(second, CPU).identity
    second.identity = "version 1"
    assert CallableExtractor(first, CPU).identity == CallableExtractor(second, CPU).identity


def test_a_callable_that_nothing_identifies_is_refused():
    with pytest.raises(ConfigError, match="Nothing tells this extractor from others") as caught:
        CallableExtractor(functools.partial(mean_colours), CPU)
    assert "`identity`" in caught.value.expected


@pytest.mark.parametrize(
    ("result", "got"),
    [
        (lambda n: torch.zeros(n), "a tensor (3,)"),
        (lambda n: torch.zeros(n + 1, 5), "a tensor (4, 5)"),
        (lambda n: [1.0] * n, "list"),
        (lambda n: (torch.zeros(n, 5), torch.zeros(1, 5)), "a tensor (1, 5)"),
    ],
)
def test_a_callable_that_gives_no_features_is_refused(result, got):
    extractor = CallableExtractor(lambda pictures: result(len(pictures)), CPU)
    with pytest.raises(MetricError, match="gives no features") as caught:
        extractor(noise(3, 8, 8, 1))
    assert caught.value.got == got


def test_the_shipped_weights_are_small():
    assert Path(str(files("ganlet.metrics").joinpath("ganlet-extractor.safetensors"))).stat().st_size < 5 * 2**20
