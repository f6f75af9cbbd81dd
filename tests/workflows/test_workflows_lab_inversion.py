from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ganlet.data.source import open_source
from ganlet.latent import inversion
from ganlet.latent.encoder import train_encoder
from ganlet.latent.inversion import Search
from ganlet.workflows.lab import encoders
from ganlet.workflows.lab.foreign import read_foreign, read_mask
from ganlet.workflows.lab.lab import Lab

QUICK = Search(starts=2, rounds=1, tries=1)


@pytest.fixture
def lab(straight, tmp_path):
    lab = Lab.open(straight.path, device="cpu")
    lab.path = tmp_path / "lab"
    return lab


def saved(path, pixels):
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("crop", ["center", "pad", "stretch"])
def test_a_picture_is_brought_to_the_form_of_the_training_data(lab, tmp_path, crop):
    (tmp_path / "folder").mkdir()
    path = saved(tmp_path / "folder" / "photo.png", np.random.default_rng(0).integers(0, 256, (30, 50, 4), np.uint8))
    changes = {"source": str(tmp_path / "folder"), "crop": crop, "channels": 3, "num_images": None, "allow_few": True}
    data = lab.trained.config.data.model_copy(update=changes)
    object.__setattr__(lab.trained, "config", lab.trained.config.model_copy(update={"data": data}))
    foreign = read_foreign(lab, path, "PICTURE")
    np.testing.assert_array_equal(foreign.pixels, open_source(data).pictures[0])
    assert foreign.size == (30, 50)


def test_a_picture_of_ours_is_not_searched_for(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(inversion, "invert", None)
    points = lab.sample(3, 4)
    (path,) = lab.draw(points).save(tmp_path / "ours.png")
    found = lab.invert(path, f"{path}#2")
    np.testing.assert_array_equal(found.points.values, points[[0, 2]].values)
    assert found.exact.all()
    assert found.errors.max() == 0
    assert "by its certificate" in found.lines()[1]


def test_what_is_found_is_told_beside_the_training_pictures(lab, tmp_path):
    training = lab.training_pictures
    path = saved(tmp_path / "one.png", training[3])
    found = lab.invert(path, training[4], search=QUICK)
    assert found.nearest is not None
    assert found.mean is not None
    assert found.nearest.tolist() == [0.0, 0.0]
    assert not found.exact.any()
    assert len(found.lines()) == 4
    assert found.drawing.pictures.shape == (2, 16, 16, 3)
    again = Lab.invert(lab, found.drawing.save(tmp_path / "sheet.png")[0])
    np.testing.assert_array_equal(again.points.values, found.points[:1].values)


def test_an_encoder_is_kept_with_the_weights_it_belongs_to(lab, monkeypatch):
    monkeypatch.setattr(encoders, "train_encoder", lambda space, **_: train_encoder(space, num_pictures=64))
    assert encoders.kept_encoder(lab, train=False) is None
    first = encoders.kept_encoder(lab)
    monkeypatch.setattr(encoders, "train_encoder", None)
    again = encoders.kept_encoder(lab, train=False)
    images = lab.space.images(lab.sample(2)).detach()
    np.testing.assert_array_equal(first(images).values, again(images).values)
    path = lab.path / encoders.NAME
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    assert encoders.kept_encoder(lab, train=False) is None
    path.write_bytes(whole.replace(lab.weights.encode(), lab.weights[::-1].encode()))
    assert encoders.kept_encoder(lab, train=False) is None


def test_a_mask_is_cut_and_resized_as_its_picture_is(lab, tmp_path):
    mask = np.zeros((32, 64), np.uint8)
    mask[:, 16:32] = 255  # the left half of the middle that is cut out
    path = saved(tmp_path / "mask.png", mask)
    expected = np.zeros((16, 16), bool)
    expected[:, :8] = True
    np.testing.assert_array_equal(read_mask(lab, path, (32, 64)), expected)


def test_transparent_parts_are_free_where_there_is_no_mask(lab, tmp_path):
    picture = np.full((16, 16, 4), 200, np.uint8)
    picture[..., 3] = 0
    picture[:4, :, 3] = 255
    drawing, found = lab.paint(saved(tmp_path / "strokes.png", picture), num=2)
    top = drawing.pictures[:, :4].astype(float)
    np.testing.assert_allclose(found.errors, np.abs(top - 200).mean((1, 2, 3)))


def test_the_commands_work_without_options(cli, start, tmp_path):
    run = start("run")
    code, out, err = cli("explore", run.path, "paint")
    assert (code, out.splitlines()[-1]) == (0, str(run.path / "lab" / "paint.png")), err
    assert "alternatives differ by" in out
    path = saved(tmp_path / "photo.jpg", np.full((40, 20, 3), 90, np.uint8))
    code, out, err = cli("explore", run.path, "invert", path, "--keep", "mine", "--starts", 2)
    assert code == 0, err
    assert out.splitlines()[1].startswith("photo.jpg")
    assert cli("explore", run.path, "interpolate", "--from", "mine")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["invert", "text.png"], "cannot be used"),
        (["invert", "nowhere.png"], "no such picture"),
        (["paint", "--picture", "text.png"], "cannot be used"),
        (["paint", "--mask", "nothing.png"], "covers nothing"),
        (["paint", "--mask", "large.png"], "another size"),
        (["paint", "--mask", "text.png"], "cannot be used"),
        (["paint", "--mask", "nothing.png", "--keep", "left"], "Either"),
        (["paint", "--keep", "north"], "north"),
    ],
)
def test_what_cannot_be_is_one_message(cli, straight, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no picture")
    saved(tmp_path / "nothing.png", np.zeros((16, 16), np.uint8))
    saved(tmp_path / "large.png", np.zeros((40, 16), np.uint8))
    code, out, err = cli("explore", straight.path, *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


def test_without_pictures_some_that_training_never_saw_are_looked_for(cli, straight, tmp_path):
    from ganlet.data.holdout import held_out

    lab = Lab.open(straight.path, device="cpu")
    found = lab.invert(search=QUICK)
    np.testing.assert_array_equal(found.pictures, held_out(lab.pack, lab.trained.config.data, 4))
    assert (found.errors > 0).all()
