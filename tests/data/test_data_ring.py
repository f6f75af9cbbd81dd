import numpy as np
import pytest

from ganlet.data import ring
from ganlet.data.holdout import held_out
from ganlet.data.settings import DataConfig
from ganlet.data.source import find_source


def all_points(split, count):
    drawn, components = zip(*ring.points(split, count), strict=True)
    return np.concatenate(drawn), np.concatenate(components)


@pytest.mark.parametrize("size", [(8, 8), (9, 13), (32, 32)])
def test_points_are_read_back_from_their_pictures(size):
    points, _ = all_points("train", 500)
    pictures = ring.draw(points, size)
    assert (pictures.shape, pictures.dtype) == ((500, *size, 1), np.uint8)
    assert np.abs(ring.points_of(pictures) - points).max() <= 0.5 / 127.5 + 1e-12


def test_halves_are_the_coordinates():
    (picture,) = ring.draw(np.array([[-1.0, 1.0]]), (8, 9))
    np.testing.assert_array_equal(picture[..., 0], [[0] * 4 + [255] * 5] * 8)
    outside = ring.draw(np.array([[-7.0, 7.0]]), (8, 9))
    np.testing.assert_array_equal(outside[0], picture)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_points_are_read_in_any_number_of_channels(channels, open_pack):
    pack = open_pack("ring", num_images=300, channels=channels)
    nearest = np.linalg.norm(ring.points_of(pack.pictures)[:, None] - ring.CENTRES, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(nearest, pack.labels)


def test_points_lie_around_their_centres():
    points, components = all_points("train", 40_000)
    offsets = points - ring.CENTRES[components]
    np.testing.assert_allclose(offsets.mean(axis=0), 0, atol=5 * 0.05 / 200)
    np.testing.assert_allclose(offsets.std(axis=0), 0.05, rtol=5 / np.sqrt(2 * 40_000))
    np.testing.assert_allclose(np.bincount(components), 5_000, atol=5 * np.sqrt(5_000))
    np.testing.assert_allclose(np.linalg.norm(ring.CENTRES, axis=1), 0.7)
    np.testing.assert_allclose(ring.CENTRES[ring.NAMES.index("north")], [0, 0.7], atol=1e-12)


def test_rounding_to_grey_levels_hardly_widens_the_gaussians():
    points, components = all_points("train", 40_000)
    read = ring.points_of(ring.draw(points, (8, 8))) - ring.CENTRES[components]
    assert (read.std(axis=0) / (points - ring.CENTRES[components]).std(axis=0)).max() < 1.003


def test_the_first_points_are_the_same_however_many_are_drawn():
    many, components = all_points("train", 9_000)
    for count in (1, 4_096, 5_000):
        few, of_few = all_points("train", count)
        np.testing.assert_array_equal(few, many[:count])
        np.testing.assert_array_equal(of_few, components[:count])


def test_splits_have_other_points():
    assert not np.isin(all_points("train", 5_000)[0], all_points("test", 5_000)[0]).any()
    counts = {split: find_source(DataConfig(source="ring", split=split)).count for split in ("train", "test", "all")}
    assert counts == {"train": 50_000, "test": 10_000, "all": 60_000}
    some = [find_source(DataConfig(source="ring", split=split, num_images=70)) for split in ("train", "test", "all")]
    assert [source.count for source in some] == [70, 70, 10_070]
    assert len({source.identity for source in some}) == 3


def test_the_pack_has_the_points_and_their_names(open_pack):
    pack = open_pack("ring", num_images=200, size=(16, 12))
    points, components = all_points("train", 200)
    drawn = ring.draw(points, (16, 12))
    expected = sorted((picture.tobytes(), label) for picture, label in zip(drawn, components, strict=True))
    found = sorted((picture.tobytes(), label) for picture, label in zip(pack.pictures, pack.labels, strict=True))
    assert found == expected
    assert pack.label_names == ring.NAMES
    assert pack.summary["channels"] == 1


def test_points_for_test_are_not_held_out_ones(open_pack):
    config = DataConfig(source="ring", num_images=2_000)
    assert held_out(open_pack("ring", num_images=2_000), config) is None
    assert len(
        held_out(
            open_pack("ring", num_images=2_000, holdout=0.1), DataConfig(source="ring", num_images=2_000, holdout=0.1)
        )
    )
