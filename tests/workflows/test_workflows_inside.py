"""Looking into the networks of a run, and at the structure of its space."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from ganlet.errors import ConfigError, DataError, EnvironmentProblem, RunError
from ganlet.images import to_network
from ganlet.latent.space import Points
from ganlet.runs.pictures import ACCENT
from ganlet.workflows.lab import lab as laboratory
from ganlet.workflows.lab import structure
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.lab.opened import opened_network
from ganlet.workflows.lab.structure import TRAINING


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    for name, few in (("WAYS", 3), ("STEPS", 12), ("EVEN", 5), ("AXIS_POINTS", 4)):
        monkeypatch.setattr(structure, name, few)


@pytest.fixture
def lab(straight, told):
    return Lab.open(straight.path, reporter=told)


class Judge:
    """Whether a picture's left or right half is brighter."""

    attributes = {"side": ("left", "right")}  # noqa: RUF012

    def __call__(self, pictures):
        half = pictures.shape[2] // 2
        left, right = (part.mean(axis=(1, 2, 3)) for part in (pictures[:, :, :half], pictures[:, :, half:]))
        return (right > left).astype(int)[:, None]


@pytest.fixture
def judged(lab, monkeypatch):
    monkeypatch.setattr(laboratory.Lab, "judge", Judge())
    return lab


def test_both_networks_are_on_one_page_and_in_its_data(lab, tmp_path):
    sheet = lab.inside(num=12)
    assert [layer["name"] for layer in sheet.data["layers"]["generator"]][-1] == "to_image"
    assert sheet.data["layers"]["discriminator"][0]["shape"] == [4, 8, 8]
    selective = sheet.data["selective"]["discriminator"][0]
    number = int(selective["pictures"][0].removeprefix("training "))
    picture = Points(to_network(torch.tensor(lab.training_pictures[[number]])))
    answer = opened_network(lab, "discriminator", 12, 0).inside.activations(picture, selective["layer"])
    highest = sheet.tensors[f"discriminator/{selective['layer']}/peaks"][:, selective["unit"]].max()
    assert float(answer[0, selective["unit"]].max()) == pytest.approx(float(highest), rel=1e-3)
    assert sheet.tensors["generator/first/peaks"].shape == (12, 8)
    assert sheet.tensors["looking/logits"].shape == (10,)
    assert sheet.tensors["looking/occlusion"].shape == (10, 16, 16)
    files = sheet.save(tmp_path / "new" / "page.png")
    assert [file.name for file in files] == ["page.png", "page.json", "page.safetensors"]
    with Image.open(files[0]) as image:
        assert np.array_equal(np.asarray(image), sheet.picture)
    assert json.loads(files[1].read_text()) == json.loads(json.dumps(sheet.data))
    assert set(safetensors.torch.load_file(files[2])) == set(sheet.tensors)


def test_the_same_page_comes_out_twice_and_the_run_is_left_alone(lab):
    before = {path: path.stat().st_mtime_ns for path in lab.folder.path.rglob("*")}
    first, second = lab.inside(num=12, seed=3), lab.inside(num=12, seed=3)
    assert np.array_equal(first.picture, second.picture)
    assert first.data == second.data
    assert {path: path.stat().st_mtime_ns for path in lab.folder.path.rglob("*")} == before


def test_units_answer_to_the_pictures_that_are_named(lab):
    sheet = lab.inside(layer="first", num=12)
    peaks = sheet.tensors["peaks"]
    unit = sheet.data["units"][3]
    assert unit["pictures"][0] == f"0#{int(peaks[:, 3].argmax())}"
    assert sheet.tensors["activations"].shape == (10, 8, 4, 4)
    assert sheet.data["layer"]["name"] == "first"


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_one_network_or_one_unit_can_be_looked_at(lab, network):
    sheet = lab.inside(network, num=12)
    assert list(sheet.data["layers"]) == [network]
    assert ("looking/logits" in sheet.tensors) is (network == "discriminator")
    layer = sheet.data["selective"][network][0]
    one = lab.inside(network, layer["layer"], unit=layer["unit"], num=12)
    assert one.data["unit"] == layer["unit"]
    assert one.tensors["peaks"].shape == (12,)
    assert ("silenced" in one.data) is (network == "generator")


def test_what_goes_when_units_are_silenced(judged):
    sheet = judged.inside(layer="first", silence=range(8), num=20)
    # Without any input of its coarsest map, the generator always draws the same.
    images = sheet.tensors["images"]
    assert torch.equal(images[0], images[9])
    assert sheet.data["silence"] == list(range(8))
    assert sheet.data["change"] == pytest.approx(sheet.data["change_random"])  # as many random ones are all of them
    assert set(sheet.data["flipped"]) == {"side"}
    dissected = judged.inside(layer="first", dissect=True, num=20)
    assert len(dissected.data["silenced"]) == 8
    assert dissected.tensors["where"].shape == (8, 16, 16)
    assert {row["value"] for row in dissected.data["goes_with"]} <= {"side left", "side right"}
    alone = judged.inside(layer="first", silence=[5], num=20)
    assert alone.data["change"] == pytest.approx(dissected.data["silenced"][5]["change"])


def test_without_a_judge_the_change_is_shown(lab, monkeypatch, told):
    class Gone:
        def __get__(self, *_):
            raise DataError("They are gone.")

    monkeypatch.setattr(laboratory.Lab, "pack", Gone())
    sheet = lab.inside(layer="first", dissect=True, num=12)
    assert "flipped" not in sheet.data["silenced"][0]
    assert "They are gone." in told.text


def test_a_generator_alone_is_looked_into_alone(straight, tmp_path, told):
    file = shutil.copy(straight.folder.generator_path, tmp_path / "g.safetensors")
    lab = Lab.open(file, reporter=told)
    assert list(lab.inside(num=12).data["layers"]) == ["generator"]
    assert "no discriminator" in told.text
    with pytest.raises(RunError, match=r"no discriminator(.|\n)*network generator"):
        lab.inside("discriminator", "blocks.0", num=12)
    sheet = lab.map(num=12)
    assert len(sheet.data["pictures"]) == 12
    assert "nearest" not in sheet.data


def test_pictures_that_are_gone_are_replaced_by_generated_ones(lab, monkeypatch, told):
    def gone(_):
        raise DataError("There are no pictures here.")

    monkeypatch.setattr(laboratory.Lab, "training_pictures", property(gone))
    sheet = lab.inside("discriminator", num=12)
    assert sheet.data["selective"]["discriminator"][0]["pictures"][0].startswith("0#")
    assert len(sheet.tensors["looking/logits"]) == 5
    assert "generated pictures instead" in told.text


@pytest.mark.parametrize("kind", ["mlp", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("resnet", "style"))])
def test_other_kinds_and_labels_have_their_pages(start, kind, monkeypatch):
    monkeypatch.setattr(laboratory.Lab, "judge", Judge())
    changes = {"generator.kind": kind, "data.labels": "attributes", "train.total_images": 32, "data.num_images": 600}
    if kind != "style":
        changes |= {"discriminator.kind": kind}
    lab = Lab.open(start("run", changes).path)
    assert lab.num_labels > 1
    sheet = lab.inside(num=12)
    assert sheet.picture.shape[2] == 3
    layer = opened_network(lab, "generator", 12, 0).main_layers[-1]
    assert lab.inside(layer=layer.name, unit=0, num=12).picture.any()
    assert lab.map(num=12).data["smoothness"]["jumps"]


def test_the_map_says_where_every_picture_is(lab):
    sheet = lab.map(num=20)
    generated = [row for row in sheet.data["pictures"] if row["generated"]]
    assert len(generated) == len(sheet.data["pictures"]) - len(generated) == 20
    assert len({tuple(row["cell"]) for row in sheet.data["pictures"]}) == 40
    assert generated[3]["picture"] == "0#3"
    assert generated[3]["place"] == sheet.tensors["places"][3].tolist()
    colours = {tuple(pixel) for pixel in sheet.picture.reshape(-1, 3)}
    assert {ACCENT, TRAINING} <= colours
    nearest = sheet.data["nearest"][0]
    assert len(nearest["training"]) == 3
    assert nearest["distances"] == sorted(nearest["distances"])
    found = sheet.data["smoothness"]
    assert len(found["path_lengths"]) == lab.space.shape[-1]
    assert len(found["jumps"]) == len(found["steps"]) == 3


def test_training_pictures_on_the_map_are_those_that_are_named(lab):
    sheet = lab.map(num=20)
    row = sheet.data["pictures"][25]
    picture = lab.training_pictures[int(row["picture"].removeprefix("training "))]
    features = lab.extractor(torch.tensor(picture[None]))[0][0]
    torch.testing.assert_close(features, sheet.tensors["features"][25], rtol=1e-3, atol=1e-3)


BAD = [
    ({"layer": "firts"}, "--layer", "--layer first"),
    ({"layer": "first", "unit": 8}, "--unit", None),
    ({"layer": "first", "unit": -1}, "--unit", None),
    ({"layer": "first", "silence": [0, 9]}, "--silence", None),
    ({"unit": 3}, "--layer", "--layer NAME beside --unit"),
    ({"silence": [3]}, "--layer", "--layer NAME beside --silence"),
    ({"dissect": True}, "--layer", "--layer NAME beside --dissect"),
    ({"network": "discriminater"}, "--network", "--network discriminator"),
    ({"network": "discriminator", "layer": "blocks.0", "silence": [1]}, "--silence", "--network generator"),
    ({"num": 3}, "--num", None),
    ({"num": 10**6}, "--num", None),
]


@pytest.mark.parametrize(("settings", "option", "hint"), BAD)
def test_what_is_not_there_is_named_with_what_to_type(lab, settings, option, hint):
    with pytest.raises(ConfigError) as caught:
        lab.inside(**{"num": 12, **settings})
    assert (caught.value.where, caught.value.hint, caught.value.exit_code) == (option, hint, 2)


def test_impossible_maps_are_refused_before_anything_is_drawn(lab, monkeypatch):
    monkeypatch.setattr("ganlet.workflows.lab.structure.extract", None)
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    with pytest.raises(EnvironmentProblem, match=r"ganlet\[map\]"):
        lab.map("umap")
    for settings, where in (({"method": "tsne"}, "--method"), ({"num": 1}, "--num"), ({"num": 10**6}, "--num")):
        with pytest.raises(ConfigError) as caught:
            lab.map(**settings)
        assert caught.value.where == where


def test_the_command_writes_pages_and_ends_with_the_right_code(cli, straight, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "umap", None)
    code, out, _ = cli("explore", straight.path, "inside", "-n", 12, "--out", tmp_path / "page.png")
    assert (code, out.strip()) == (0, str(tmp_path / "page.png"))
    assert (tmp_path / "page.json").is_file()
    code, out, _ = cli("explore", straight.path, "map", "-n", 12, "--out", tmp_path / "pages")
    assert (code, out.strip()) == (0, str(tmp_path / "pages" / "map.png"))
    silencing = ("--layer", "first", "--silence", 1, "--silence", 2, "-n", 12)
    assert cli("explore", straight.path, "inside", *silencing, "--out", tmp_path / "silenced.png")[0] == 0
    assert json.loads((tmp_path / "silenced.json").read_text())["silence"] == [1, 2]
    code, _, told = cli("explore", straight.path, "inside", "--layer", "blocks.7")
    assert code == 2
    assert "next:     --layer blocks." in told
    code, _, told = cli("explore", straight.path, "map", "--method", "umap")
    assert code == 3
    assert "pip install 'ganlet[map]'" in told
    assert cli("explore", straight.path, "inside", "--out", tmp_path / "page.gif")[0] == 2


def test_the_data_of_a_page_take_the_place_of_no_other_file(cli, straight, tmp_path):
    file = shutil.copy(straight.path / "generator.safetensors", tmp_path / "generator.safetensors")
    before = (tmp_path / "generator.safetensors").read_bytes()
    code, _, err = cli("explore", file, "inside", "--num", 12, "--out", tmp_path / "generator.png")
    assert (code, "generator.safetensors" in err) == (2, True), err
    assert (tmp_path / "generator.safetensors").read_bytes() == before
    for _ in range(2):  # a page takes its own place
        assert cli("explore", file, "inside", "--num", 12, "--out", tmp_path / "page.png")[0] == 0
