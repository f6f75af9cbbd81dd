import gzip
import struct

import numpy as np
import pytest

from ganlet.data.holdout import held_out
from ganlet.data.settings import DataConfig
from ganlet.data.source import open_source
from ganlet.errors import DataError
from ganlet.images import center_crop


def contents(pictures):
    return sorted(picture.tobytes() for picture in pictures)


def opened(source, **settings):
    config = DataConfig(source=str(source), **settings)
    return open_source(config), config


@pytest.fixture
def idx_folder(tmp_path):
    """Write pictures of two splits as idx files; None leaves a split out."""

    def idx_folder(train, test):
        for name, pictures in (("train", train), ("t10k", test)):
            if pictures is not None:
                data = struct.pack(">4I", 0x803, *pictures.shape) + pictures.tobytes()
                (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(data))
        return tmp_path

    return idx_folder


@pytest.fixture
def cifar_folder(tmp_path, noise):
    def cifar_folder(test):
        for number in range(1, 6):
            (tmp_path / f"data_batch_{number}.bin").write_bytes(b"\x01" + noise(3072, seed=number).tobytes())
        if test:
            (tmp_path / "test_batch.bin").write_bytes(b"\x01" + noise(3072, seed=9).tobytes())
        return tmp_path

    return cifar_folder


@pytest.mark.parametrize("settings", [{}, {"size": 16}, {"crop": "random", "size": [16, 12]}])
def test_the_share_kept_out_and_the_part_trained_on_make_up_the_whole(settings):
    part, config = opened("smileys", num_images=60, holdout=0.1, **settings)
    whole, _ = opened("smileys", num_images=60, **settings)
    pictures = held_out(part, config)
    assert len(pictures) == 6
    shown = center_crop(part.pictures, config.size)
    assert contents([*shown, *pictures]) == contents(center_crop(whole.pictures, config.size))


def test_they_are_shown_at_the_size_of_the_run():
    part, config = opened("smileys", num_images=20, crop="random", size=(16, 24), channels=1)
    pictures = held_out(part, config, limit=3)
    assert pictures.shape == (3, 16, 24, 1)
    test, _ = opened("smileys", split="test", crop="random", size=(16, 24), channels=1)
    assert set(contents(pictures)) < set(contents(center_crop(test.pictures, (16, 24))))


def test_smileys_have_faces_that_no_run_is_trained_on():
    pack, config = opened("smileys", num_images=300, size=8)
    pictures = held_out(pack, config)
    assert pictures.shape == (10_000, 8, 8, 3)
    assert not set(contents(pictures)) & set(contents(pack.pictures))


@pytest.mark.parametrize("num_images", [None, 9])
def test_idx_files_have_a_split_for_it(idx_folder, noise, num_images):
    test = noise(6, 8, 8, seed=1)
    root = idx_folder(noise(12, 8, 8), test)
    pack, config = opened(root, size=8, num_images=num_images)
    assert contents(held_out(pack, config)) == contents(test)


def test_pictures_that_are_also_trained_on_are_left_out(idx_folder, noise):
    train = noise(12, 8, 8)
    test = np.concatenate([train[:4], noise(6, 8, 8, seed=1)])
    pack, config = opened(idx_folder(train, test), size=8)
    assert contents(held_out(pack, config)) == contents(test[4:])


def test_nothing_is_left_where_all_are_trained_on(idx_folder, noise):
    pack, config = opened(idx_folder(noise(12, 8, 8), noise(12, 8, 8)), size=8)
    assert held_out(pack, config) is None


def test_cifar_has_a_split_for_it(cifar_folder, noise):
    pack, config = opened(cifar_folder(test=True))
    (picture,) = held_out(pack, config)
    np.testing.assert_array_equal(picture, noise(3072, seed=9).reshape(3, 32, 32).transpose(1, 2, 0))


def test_where_there_is_no_other_split_there_are_none(write_folder, cifar_folder, idx_folder, noise):
    for source, settings in (
        (write_folder({f"{i}.png": noise(8, 8, 3, seed=i) for i in range(4)}), {}),
        (cifar_folder(test=False), {}),
        (idx_folder(noise(12, 8, 8), None) / "train-images-idx3-ubyte.gz", {}),
        ("smileys", {"split": "test", "num_images": 20}),
        ("smileys", {"split": "all", "num_images": 20}),
    ):
        pack, config = opened(source, size=8, **settings)
        assert held_out(pack, config) is None, source


def test_a_folder_of_idx_files_may_have_none_for_it(idx_folder, noise):
    pack, config = opened(idx_folder(noise(12, 8, 8), None), size=8)
    assert held_out(pack, config) is None


def test_a_folder_holds_out_its_own(write_folder, noise):
    root = write_folder({f"{i}.png": noise(8, 8, 3, seed=i) for i in range(40)})
    pack, config = opened(root, size=8, holdout=0.25)
    pictures = held_out(pack, config)
    assert (len(pack), len(pictures)) == (30, 10)
    assert not set(contents(pictures)) & set(contents(pack.pictures))


def test_a_limit_takes_a_fixed_choice():
    pack, config = opened("smileys", num_images=20, size=8)
    every, some = held_out(pack, config), held_out(pack, config, limit=100)
    np.testing.assert_array_equal(some, held_out(pack, config, limit=100))
    assert len(set(contents(some))) == 100
    assert set(contents(some)) < set(contents(every))
    assert np.abs(some.mean(axis=0) - every.mean(axis=0)).mean() < 10  # from all over


def test_a_damaged_test_split_is_an_error_and_not_none(idx_folder, noise):
    root = idx_folder(noise(12, 8, 8), noise(12, 8, 8, seed=1))
    pack, config = opened(root, size=8)
    path = root / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="damaged"):
        held_out(pack, config)
