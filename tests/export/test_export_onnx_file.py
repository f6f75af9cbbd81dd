"""An ONNX file draws what PyTorch draws, says how it is fed, and tells nothing of where it was made."""

from __future__ import annotations

import getpass
import json
import shutil
import socket
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from every_kind import NUM_LABELS, trained_generator
from pydantic import ValidationError

import ganlet
from ganlet.errors import ConfigError, EnvironmentProblem, RunError
from ganlet.export import onnx_file, to_onnx
from ganlet.export.drawer import Drawer
from ganlet.export.onnx_file import onnx_graph
from ganlet.export.parity import open_session
from ganlet.networks.minibatch import MINIBATCH_STATISTICS
from ganlet.networks.settings import DISCRIMINATORS, GENERATORS
from ganlet.workflows.sampling import draw_samples


def allowed(settings, changes):
    try:
        settings(**changes)
    except ValidationError:
        return False
    return True


EVERY = [
    pytest.param(kind, num_labels, channels, changes, id=f"{kind}-{num_labels}-{channels}-{'-'.join(changes)}")
    for kind, settings in GENERATORS.items()
    for num_labels, channels, changes in (
        (0, 1, {}),
        (NUM_LABELS, 3, {}),
        (0, 4, {"skip_latent": True}),
        (NUM_LABELS, 3, {"skip_latent": True, "condition": "norm"}),
        (0, 3, {"upsample": "transposed"}),
        (0, 3, {"upsample": "nearest"}),
        (0, 3, {"upsample": "pixel_shuffle"}),
        *((0, 3, {"norm": norm}) for norm in ("none", "batch", "instance", "group", "layer", "pixel")),
        (0, 3, {"attention": 10}),
        (0, 3, {"spectral": True}),
    )
    if allowed(settings, changes)
]


@pytest.fixture(scope="module")
def made(run, tmp_path_factory):
    return to_onnx(run.path, tmp_path_factory.mktemp("made") / "faces.onnx")


def draws_the_same(module, graph, batches=(1, 2, 5)):
    session = open_session(graph.SerializeToString())
    random = torch.Generator().manual_seed(0)
    for batch in batches:
        given = {name: torch.randn(batch, *shape, generator=random) for name, shape in module.inputs.items()}
        (images,) = session.run(None, {name: tensor.numpy() for name, tensor in given.items()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(images), module(*given.values()), rtol=0, atol=1e-5)


def test_the_style_generator_is_drawn_for_any_batch():
    drawer = Drawer(trained_generator("style", NUM_LABELS), NUM_LABELS)
    draws_the_same(drawer, onnx_graph(drawer, drawer.inputs, batch=None))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "num_labels", "channels", "changes"), EVERY)
def test_every_kind_is_drawn_for_any_batch(kind, num_labels, channels, changes):
    drawer = Drawer(trained_generator(kind, num_labels, channels, **changes), num_labels)
    draws_the_same(drawer, onnx_graph(drawer, drawer.inputs, batch=None))


def test_a_file_is_fed_by_names_and_says_what_they_mean(run, made):
    session = open_session(made.path.read_bytes())
    assert [(given.name, given.shape) for given in session.get_inputs()] == [
        ("latents", ["batch", 4]),
        ("labels", ["batch", run.config.data.num_labels]),
    ]
    assert [(image.name, image.shape) for image in session.get_outputs()] == [("images", ["batch", 3, 16, 8])]
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["made_by"] == f"ganlet {ganlet.__version__}"
    assert (facts["height"], facts["width"], facts["channels"]) == ("16", "8", "3")
    assert (facts["latent_kind"], facts["latent_size"]) == ("normal", "4")
    assert json.loads(facts["label_names"]) == list(run.config.data.label_names)
    assert facts["licence"] == "unknown"
    drawing = draw_samples(run.path, 1, device="cpu")
    maker = drawing.maker
    assert (facts["run"], facts["weights"], facts["images_seen"]) == (maker.run, maker.weights, str(maker.images_seen))


def test_its_pictures_are_those_of_the_run(run, made):
    latents = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    drawing = draw_samples(run.path, latents=latents, device="cpu")
    session = open_session(made.path.read_bytes())
    (images,) = session.run(None, {"latents": latents, "labels": drawing.points.labels.numpy()})
    pixels = np.clip(np.round((images + 1) * 127.5), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    assert np.abs(pixels.astype(int) - drawing.pictures).max() <= 1
    assert len(np.unique(drawing.pictures)) > 5


def test_parity_was_measured_and_the_graph_is_one_that_people_can_read(made):
    assert made.parity.holds
    assert made.num_bytes == made.path.stat().st_size
    assert {1, 2, 5} <= set(made.parity.batches)
    model = onnx.load(made.path)
    names = {tensor.name for tensor in model.graph.initializer}
    assert {"from_latent.weight", "to_image.convolution.weight"} <= names
    assert not any(tensor.data_location for tensor in model.graph.initializer)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [20]
    parts = [*model.graph.node, *model.graph.value_info, *model.graph.initializer]
    assert not any(part.doc_string or part.metadata_props for part in parts)


def test_it_tells_nothing_of_the_machine_and_the_same_call_gives_the_same_bytes(run, made, tmp_path):
    data = made.path.read_bytes()
    places = {str(run.path), str(made.path), "/tmp/", "/home/", "/root", "site-packages", ".py", sys.prefix}
    for secret in places | {getpass.getuser(), socket.gethostname()}:
        assert secret.encode() not in data, secret
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.copy(run.path / "generator.safetensors", moved)
    again = to_onnx(moved / "generator.safetensors")
    assert again.path == moved / "generator.onnx"
    assert again.path.read_bytes() == data


def test_what_does_not_draw_the_same_is_not_written(run, tmp_path, monkeypatch):
    measured = onnx_file.images_parity
    monkeypatch.setattr(
        onnx_file, "images_parity", lambda *args, **kwargs: replace(measured(*args, **kwargs), error=1e-3)
    )
    with pytest.raises(EnvironmentProblem, match="does not give what PyTorch gives") as told:
        to_onnx(run.path, tmp_path / "faces.onnx")
    assert "1.0e-03" in told.value.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_generator_that_works_for_one_batch_only_is_refused(run, monkeypatch, tmp_path):
    class Baked(torch.nn.Module):
        def __init__(self, generator):
            super().__init__()
            self.generator, self.latents = generator, generator.latents

        def forward(self, latents, labels=None):
            return self.generator(latents, labels) + torch.ones(2, 1, 1, 1)

    opened = onnx_file.open_network(run.path, "generator")
    baked = replace(opened, network=Baked(opened.network))
    monkeypatch.setattr(onnx_file, "open_network", lambda *_: baked)
    with pytest.raises(ConfigError, match="cannot"):
        to_onnx(run.path, tmp_path / "faces.onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("statistics", MINIBATCH_STATISTICS)
@pytest.mark.parametrize("kind", DISCRIMINATORS)
def test_discriminators_are_exported_with_what_they_see_of_the_batch(kind, statistics, tiny_config, tmp_path):
    changes = {
        "discriminator": {"kind": kind, "width": 4, "batch_statistics": statistics},
        "data.labels": "attributes",
        "train.total_images": 64,
    }
    run = ganlet.train(tiny_config(changes), tmp_path / "run", device="cpu")
    made = to_onnx(run.path, network="discriminator")
    assert made.path == run.path / "discriminator.onnx"
    session = open_session(made.path.read_bytes())
    assert [given.name for given in session.get_inputs()] == ["images", "labels"]
    assert [(given.name, given.shape) for given in session.get_outputs()] == [("logits", ["batch"])]
    told = session.get_modelmeta().custom_metadata_map["logits"]
    assert ("other images of its batch" in told) == (statistics != "none")


@pytest.mark.slow
@pytest.mark.parametrize("network", ["generator", "discriminator"])
@pytest.mark.parametrize(("precision", "most"), [("fp16", 0.8), ("int8", 0.8)])
def test_smaller_weights_are_within_their_bound(precision, most, network, tiny_config, tmp_path):
    wider = {"generator.width": 16, "discriminator.width": 16, "train.total_images": 64}
    run = ganlet.train(tiny_config(wider), tmp_path / "run", device="cpu")
    made = to_onnx(run.path, precision=precision, network=network)
    whole = to_onnx(run.path, network=network)
    assert made.path.name == f"{network}-{precision}.onnx"
    assert made.parity.holds
    assert made.parity.error > 0
    assert made.num_bytes < most * whole.num_bytes


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"precision": "fp8"}, "fp32, fp16, int8"),
        ({"network": "generater"}, "network generator"),
        ({"out": "faces.pt"}, "FILE.onnx"),
        ({"out": "nowhere/faces.onnx"}, "no such folder"),
        ({"checkpoint": "oldest"}, "no such checkpoint"),
    ],
)
def test_what_cannot_be_is_told(run, arguments, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=named):
        to_onnx(run.path, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_file_alone_has_no_discriminator(run):
    with pytest.raises(RunError, match="no discriminator"):
        to_onnx(run.path / "generator.safetensors", network="discriminator")


@pytest.mark.parametrize("package", onnx_file.PACKAGES)
def test_a_missing_package_is_told_with_what_brings_it(package, run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'ganlet\[export\]'"):
        to_onnx(run.path, tmp_path / "faces.onnx")


def test_files_of_lone_files_do_not_take_each_others_names(tmp_path, run):
    zipped = run.zip(tmp_path / "cats.zip")
    alone = to_onnx(zipped), to_onnx(zipped, network="discriminator"), to_onnx(zipped, precision="fp16")
    assert [made.path.name for made in alone] == ["cats.onnx", "cats-discriminator.onnx", "cats-fp16.onnx"]
    assert all(made.path.parent == tmp_path for made in alone)
