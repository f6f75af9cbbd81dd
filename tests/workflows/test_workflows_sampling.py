from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from ganlet.errors import ConfigError, RunError
from ganlet.games.drawn import generate
from ganlet.latent.space import Points
from ganlet.networks.latents import BLOCK, Latents
from ganlet.runs.certificate import Maker
from ganlet.workflows.drawing import Drawing
from ganlet.workflows.generators import open_generator
from ganlet.workflows.sampling import sample

CPU = torch.device("cpu")
NORMAL, UNIFORM = Latents(7), Latents(7, "uniform")


@pytest.mark.parametrize("asked", [NORMAL, UNIFORM], ids=["normal", "uniform"])
@pytest.mark.parametrize("truncation", [None, 0.7])
def test_the_first_askedare_the_same_however_many_there_are(asked, truncation):
    many = asked.sample(200, 3, truncation)
    assert many.shape == (200, 7)
    for num in (1, BLOCK, BLOCK + 1, 199):
        assert torch.equal(asked.sample(num, 3, truncation), many[:num])
    assert len(many.unique(dim=0)) == 200
    assert not torch.equal(asked.sample(200, 4, truncation), many)


@pytest.mark.parametrize("asked", [NORMAL, UNIFORM], ids=["normal", "uniform"])
@pytest.mark.parametrize("truncation", [0.01, 0.5, 0.99])
def test_a_truncation_bounds_every_number(asked, truncation):
    latents = asked.sample(2000, 0, truncation)
    assert latents.abs().max() <= truncation
    assert latents.abs().max() > 0.99 * truncation
    assert abs(latents.mean()) < 0.05 * truncation
    # Drawn anew, not clipped: nothing piles up at the bounds.
    assert (latents.abs() == truncation).float().mean() < 0.001


def test_without_truncation_numbers_go_as_far_as_they_go():
    assert NORMAL.sample(2000, 0).abs().max() > 3
    assert torch.equal(UNIFORM.sample(64, 0, 5.0), UNIFORM.sample(64, 0))


def test_the_same_seed_draws_the_same_pictures(straight):
    pictures = sample(straight.path, 100, seed=5, device="cpu")
    assert pictures.shape == (100, 16, 16, 3)
    assert pictures.dtype == np.uint8
    assert np.array_equal(sample(straight.path, 100, seed=5, device="cpu"), pictures)
    assert not np.array_equal(sample(straight.path, 100, seed=6, device="cpu"), pictures)
    # Whole batches of 64 are computed alike; in a smaller one the arithmetic may round otherwise.
    assert np.array_equal(sample(straight.path, BLOCK, seed=5, device="cpu"), pictures[:BLOCK])
    few = sample(straight.path, 10, seed=5, device="cpu")
    assert np.abs(few.astype(int) - pictures[:10]).max() <= 1


def test_pictures_are_those_of_the_averaged_generator_in_evaluation_mode(straight):
    trained = open_generator(straight.folder, None, CPU)
    assert not trained.generator.training
    with torch.no_grad():
        images = trained.generator(trained.generator.latents.sample(8, 0))
    expected = ((images + 1) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1).numpy()
    drawn = sample(straight.path, 8, device="cpu")
    assert np.abs(drawn.astype(int) - expected).max() <= 1
    assert drawn.std() > 0


@pytest.mark.parametrize("training", [True, False])
def test_drawing_leaves_the_generator_as_it_was(straight, training):
    generator = open_generator(straight.folder, None, CPU).generator
    generator.train(training)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    generate(generator, generator.latents.sample(3, 0))
    assert generator.training == training
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())


def test_a_generator_that_fails_goes_on_in_training(straight):
    generator = open_generator(straight.folder, None, CPU).generator.train()
    with pytest.raises(RuntimeError):
        generate(generator, torch.zeros(2, straight.config.generator.latent_size + 1))
    assert generator.training


@pytest.mark.parametrize(
    ("asked", "where"), [({"num": 0}, "--num"), ({"truncation": 0.0}, "--truncation"), ({"num": -1}, "--num")]
)
def test_impossible_wishes(straight, asked, where):
    with pytest.raises(ConfigError) as caught:
        sample(straight.path, **asked)
    assert caught.value.where == where


def test_a_run_without_a_generator_says_how_to_get_one(start, tmp_path):
    def break_down(moment):
        raise KeyError

    with pytest.raises(KeyError):
        start("run", None, break_down)
    with pytest.raises(RunError, match="no generator yet") as caught:
        sample(tmp_path / "run")
    assert caught.value.hint == f"ganlet resume {tmp_path / 'run'}"


def test_weights_of_another_network_are_refused(tmp_path, straight):
    from ganlet.runs.weights import load_generator_file, save_generator

    tensors, _ = load_generator_file(straight.folder.generator_path)
    tensors.pop("from_latent.weight")
    run = shutil.copytree(straight.path, tmp_path / "run")
    save_generator(run / "generator.safetensors", tensors, straight.config.model_dump_json())
    with pytest.raises(RunError, match="do not fit") as caught:
        sample(run, device="cpu")
    assert "from_latent.weight" in str(caught.value.got)


def drawing(pictures):
    """Pictures as if a generator had drawn them."""
    return Drawing(pictures, Points(torch.zeros(len(pictures), 4)), Maker("run", "weights", 0), "latents")


def test_one_grid_or_single_pictures(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 12, 3), dtype=np.uint8)
    (grid,) = drawing(pictures).save(tmp_path / "new" / "grid.png")
    with Image.open(grid) as sheet:
        sheet.load()
        # Three columns and two rows with gaps, enlarged by a whole factor.
        assert (sheet.width / sheet.height) == pytest.approx((3 * 12 + 4 * 2) / (2 * 16 + 3 * 2), rel=0.01)
    paths = drawing(pictures).save(tmp_path / "folder")
    assert [path.name for path in paths] == ["0000.png", "0001.png", "0002.png", "0003.png", "0004.png"]
    for path, picture in zip(paths, pictures, strict=True):
        with Image.open(path) as opened:
            assert np.array_equal(np.asarray(opened), picture)


def test_the_command_draws_a_grid_into_the_run(cli, start):
    run = start("run")
    code, out, _ = cli("sample", run.path, "--num", 9, "--seed", 3, "--device", "cpu")
    assert (code, out.strip()) == (0, str(run.path / "sample-3.png"))
    first = (run.path / "sample-3.png").read_bytes()
    cli("sample", run.path, "--num", 9, "--seed", 3, "--device", "cpu")
    assert (run.path / "sample-3.png").read_bytes() == first
    cli("sample", run.path, "--num", 9, "--seed", 3, "--truncation", 0.3, "--device", "cpu")
    assert (run.path / "sample-3.png").read_bytes() != first


def test_the_command_draws_single_pictures_into_a_folder(cli, straight, tmp_path):
    code, out, _ = cli("sample", straight.path, "--num", 3, "--out", tmp_path / "pictures", "--device", "cpu")
    assert (code, out.strip()) == (0, str(tmp_path / "pictures"))
    drawn = straight.sample(3, seed=0)
    for index, path in enumerate(sorted((tmp_path / "pictures").iterdir())):
        with Image.open(path) as opened:
            assert np.array_equal(np.asarray(opened), drawn[index])
    assert cli("sample", straight.path, "--num", 0)[0] == 2


@pytest.mark.parametrize("name", ["out.jpg", "out.WEBP"])
def test_other_picture_files_are_refused_instead_of_made_into_folders(cli, straight, tmp_path, name):
    code, _, err = cli("sample", straight.path, "--out", tmp_path / name)
    assert code == 2
    assert "PNG only" in err
    assert not (tmp_path / name).exists()


def test_a_place_that_cannot_be_written_to_is_one_message(cli, straight):
    code, _, err = cli("sample", straight.path, "--out", "/proc/nowhere/pictures")
    assert code == 3
    assert "Traceback" not in err


def test_drawing_that_takes_long_is_told_as_it_goes(straight, told, monkeypatch):
    from ganlet.workflows import sampling

    expected = sample(straight.path, 600, device="cpu", reporter=told)
    assert told.lines == []  # it took no time
    monkeypatch.setattr(sampling, "QUIET_SECONDS", -1.0)
    assert np.array_equal(sample(straight.path, 600, device="cpu", reporter=told), expected)
    assert told.lines == ["drawing 256/600", "drawing 512/600", "drawing 600/600"]


def test_a_folder_that_has_pictures_is_left_as_it_is(tmp_path):
    pictures = np.zeros((2, 8, 8, 3), np.uint8)
    drawing(pictures).save(tmp_path / "s")
    with pytest.raises(ConfigError, match="pictures in this folder already"):
        drawing(pictures + 1).save(tmp_path / "s")
    with Image.open(tmp_path / "s" / "0000.png") as kept:
        assert not np.asarray(kept).any()
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "notes.txt").touch()
    assert len(drawing(pictures).save(str(tmp_path / "t"))) == 2
