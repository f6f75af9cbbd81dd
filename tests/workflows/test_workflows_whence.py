from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from PIL import Image

import ganlet
from ganlet.errors import ConfigError, RunError
from ganlet.networks.settings import GENERATORS
from ganlet.runs.picture_files import FILMS, LOSSY, STILL, read
from ganlet.workflows import training
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.sampling import draw_samples
from ganlet.workflows.whence import whence

QUICK = [("dcgan", "none"), ("style", "classes")]
EVERY_KIND = [(kind, labels) for kind in GENERATORS for labels in ("none", "classes")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_config):
    """A run of a kind of generator, with labels or without, made when it is first asked for: only to be looked at."""
    folder = tmp_path_factory.mktemp("runs")

    @cache
    def made(kind, labels):
        changes = {"generator.kind": kind, "data.labels": labels, "train.total_images": 64}
        changes |= {"generator.initial": "kaiming"}  # pictures with contrast
        return ganlet.train(tiny_config(changes), folder / f"{kind}-{labels}", device="cpu")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "redraw", lambda *_: None)
        yield lambda kind, labels="none": made(kind, labels)


@pytest.mark.parametrize(
    "kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in EVERY_KIND], ids="-".join
)
def test_what_was_drawn_is_drawn_again_from_every_kind_of_file_after_the_run_has_moved(runs, tmp_path, kind):
    run = runs(*kind)
    moved = shutil.copytree(run.path, tmp_path / "moved")
    drawing = draw_samples(run.path, 10, seed=5, device="cpu")
    for suffix in (STILL, *FILMS):
        (path,) = drawing.save(tmp_path / f"p{suffix}")
        origin = whence(path, moved, device="cpu")
        expected = ("rounded", True) if suffix == LOSSY else ("same", True)
        assert (origin.verdict, origin.unchanged) == expected, suffix
        np.testing.assert_array_equal(origin.drawn.pictures, drawing.pictures)
    drawing = draw_samples(run.path, 70, seed=5, device="cpu")
    files = drawing.save(tmp_path / "singles")
    for number in (0, 63, 64, 69):
        origin = whence(files[number], moved / "generator.safetensors", device="cpu")
        assert origin.verdict == "same"
        np.testing.assert_array_equal(origin.drawn.pictures[0], drawing.pictures[number])


def test_a_truncated_picture_and_one_of_a_label_are_drawn_again(runs, tmp_path):
    style, labelled = runs("style"), runs("dcgan", "classes")
    name = labelled.config.data.label_names[2]
    for run, settings in (
        (style, {"truncation": 0.5}),
        (labelled, {"labels": [name]}),
        (labelled, {"truncation": 0.7}),
    ):
        drawing = draw_samples(run.path, 9, seed=1, device="cpu", **settings)
        for path in (
            drawing.save(tmp_path / f"{run.path.name}-{len(settings)}.png"),
            drawing.save(tmp_path / "f")[4:5],
        ):
            assert whence(path[0], run.path, device="cpu").verdict == "same"
        shutil.rmtree(tmp_path / "f")


@pytest.mark.parametrize("kind", [("dcgan", "none"), ("style", "classes")])
def test_sheets_drawn_while_training_say_whence_and_are_drawn_again_while_their_weights_are_there(runs, kind):
    run = runs(*kind)
    sheets = sorted(path for path in run.folder.samples_path.glob("0*.png"))
    assert whence(sheets[-1], run.path, device="cpu").verdict == "same"
    first = whence(sheets[0])
    assert (first.verdict, first.certificate.maker.images_seen) == ("unchecked", 0)
    with pytest.raises(ConfigError, match="not here"):
        whence(sheets[0], run.path, device="cpu")
    # Its latents are those of the last sheet: the same pictures at another age.
    lab = Lab.open(run.path, device="cpu")
    again = [lab.points(f"{sheet}#2").values for sheet in sheets]
    assert (again[0] == again[-1]).all()


def test_a_picture_that_was_changed_is_told_apart(straight, tmp_path):
    (path,) = draw_samples(straight.path, 4, device="cpu").save(tmp_path / "p.png")
    frames, text = read(path)
    from ganlet.runs.picture_files import encode

    frames[0, 10, 10] ^= 1
    path.write_bytes(encode(frames, ".png", text))
    alone, with_run = whence(path), whence(path, straight.path, device="cpu")
    assert (alone.verdict, with_run.verdict) == ("changed", "changed")
    assert "CHANGED" in str(alone)
    listed = replace(
        alone, certificate=replace(alone.certificate, how={"verb": "edit", "along": ["a", "b"], "seed": 0})
    )
    assert "edit (along a, b; seed 0)" in str(listed)
    # Shrunk, with its certificate kept:
    path.write_bytes(encode(frames[:, ::2, ::2], ".png", text))
    assert whence(path, straight.path, device="cpu").verdict == "changed"


def test_another_picture_under_an_honest_certificate_is_told_apart(runs, tmp_path):
    from ganlet.runs.certificate import Certificate
    from ganlet.runs.picture_files import certified

    run = runs("dcgan")
    (one,) = draw_samples(run.path, 1, seed=0, device="cpu").save(tmp_path / "one.png")
    (other,) = draw_samples(run.path, 1, seed=1, device="cpu").save(tmp_path / "other.png")
    forged = tmp_path / "forged.png"
    forged.write_bytes(certified(read(one)[0], ".png", Certificate.from_text(read(other)[1])))
    assert whence(forged).unchanged
    assert whence(forged, run.path, device="cpu").verdict == "changed"


def test_a_certificate_that_does_not_fit_its_generator_is_one_message(straight, tmp_path):
    from dataclasses import replace

    from ganlet.runs.certificate import Certificate
    from ganlet.runs.picture_files import certified

    (path,) = draw_samples(straight.path, 4, device="cpu").save(tmp_path / "p.png")
    frames, text = read(path)
    honest = Certificate.from_text(text)
    odd = tmp_path / "odd.png"
    for changed in ({"values": honest.values[:, :3]}, {"labels": np.ones((4, 2), np.float32)}):
        odd.write_bytes(certified(frames, ".png", replace(honest, **changed)))
        with pytest.raises(ConfigError, match="does not fit"):
            whence(odd, straight.path, device="cpu")
    # Numbers of a seed that are none, and a film whose cells would be miles apart:
    how = {"index": 0, "num": 4, "seed": 0, "label_names": 7}
    odd.write_bytes(certified(frames, ".png", replace(honest, how=how)))
    assert whence(odd, straight.path, device="cpu").verdict == "same"
    film = tmp_path / "odd.webp"
    film.write_bytes(certified(frames, ".webp", replace(honest, boxes=honest.boxes + np.array([0, 0, 10**9, 0]))))
    assert whence(film, straight.path, device="cpu").verdict == "changed"


def test_pictures_of_other_weights_and_without_a_certificate_are_one_message(cli, straight, runs, tmp_path):
    (path,) = draw_samples(runs("mlp").path, 4, device="cpu").save(tmp_path / "p.png")
    code, _, err = cli("whence", path, straight.path)
    assert code == 2
    assert "weights that drew this picture are not here" in err
    with Image.open(path) as image:
        image.convert("RGB").save(tmp_path / "bare.png")
    code, _, err = cli("whence", tmp_path / "bare.png")
    assert code == 2
    assert "no certificate" in err
    assert "invert" in err
    (tmp_path / "broken.png").write_bytes(path.read_bytes()[:60])
    assert cli("whence", tmp_path / "broken.png")[0] == 2
    assert cli("whence", tmp_path / "nothing.png")[0] == 2
    with pytest.raises(RunError):
        whence(path, tmp_path)


def test_the_command_says_whence_and_draws_again(cli, straight, tmp_path):
    cli("sample", straight.path, "--num", 5, "--seed", 8, "--out", tmp_path / "p.png", "--device", "cpu")
    code, out, _ = cli("whence", tmp_path / "p.png", straight.path, "--out", tmp_path / "again.png", "--json")
    told = json.loads(out)
    assert (code, told["verdict"], told["how"]["seed"], told["num_pictures"]) == (0, "same", 8, 5)
    np.testing.assert_array_equal(read(tmp_path / "again.png")[0], read(tmp_path / "p.png")[0])
    assert whence(tmp_path / "again.png", straight.path, device="cpu").verdict == "same"
    code, out, _ = cli("whence", tmp_path / "p.png")
    assert code == 0
    assert "seed 8" in out
    assert cli("whence", tmp_path / "p.png", "--out", tmp_path / "x.png")[0] == 2


def test_a_certificate_can_be_left_out(cli, straight, tmp_path):
    cli("sample", straight.path, "--num", 2, "--out", tmp_path / "p.png", "--no-certificate", "--device", "cpu")
    assert read(tmp_path / "p.png")[1] is None
    cli("sample", straight.path, "--num", 2, "--out", tmp_path / "p", "--no-certificate", "--device", "cpu")
    assert read(tmp_path / "p" / "0001.png")[1] is None


def test_certificates_tell_no_path(straight, tmp_path):
    for path in [*straight.folder.samples_path.glob("*.png"), *draw_samples(straight.path, 2).save(tmp_path / "x")]:
        text = read(path)[1] or ""
        assert str(tmp_path.parent) not in text
        assert str(straight.path.parent) not in text
