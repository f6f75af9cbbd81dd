import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlet.data.pack import fingerprint_of
from ganlet.data.split import held_out_indices
from ganlet.errors import DataError


def shades(count):
    return {f"{shade % 2}/{shade}.png": np.full((8, 8, 1), shade, np.uint8) for shade in range(count)}


@given(count=st.integers(2, 500), share=st.floats(1e-9, 0.5))
def test_about_the_share_is_held_out_and_never_all(count, share):
    indices = held_out_indices(count, share)
    assert indices.dtype == np.int64
    assert (np.diff(indices) > 0).all()
    assert 0 <= indices[0] <= indices[-1] < count
    assert 1 <= len(indices) < count
    assert len(indices) == 1 or abs(len(indices) - share * count) <= 0.5


def test_which_are_held_out_is_fixed_and_spread_over_all():
    indices = held_out_indices(10_000, 0.1)
    np.testing.assert_array_equal(indices, held_out_indices(10_000, 0.1))
    assert set(held_out_indices(10_000, 0.05)) < set(indices)
    counts, _ = np.histogram(indices, bins=10, range=(0, 10_000))
    assert counts.min() > 60  # binomial: 100 +- 4.2 standard deviations


def test_one_picture_cannot_be_shared_out(write_folder, open_pack):
    root = write_folder({"a.png": np.zeros((8, 8, 1), np.uint8), "b.png": np.zeros((8, 8, 1), np.uint8)})
    with pytest.raises(DataError, match="too few pictures to keep some out") as caught:
        open_pack(root, holdout=0.5)
    assert caught.value.hint == "--set data.holdout=0"


def test_the_part_is_the_rest_of_the_pack_with_labels_and_names(write_folder, open_pack):
    root = write_folder(shades(20))
    whole, part = open_pack(root), open_pack(root, holdout=0.2)
    kept = np.setdiff1d(np.arange(20), held_out_indices(20, 0.2))
    np.testing.assert_array_equal(part.pictures, whole.pictures[kept])
    np.testing.assert_array_equal(part.labels, whole.labels[kept])
    assert part.names == tuple(whole.names[index] for index in kept)
    assert part.label_names == whole.label_names
    assert part.fingerprint == fingerprint_of(part.pictures) != whole.fingerprint
    assert (part.summary["count"], part.summary["num_held_out"]) == (16, 4)
    assert part.summary["classes"] == {name: (part.labels == i).sum() for i, name in enumerate(part.label_names)}
    with pytest.raises(ValueError, match="read-only"):
        part.pictures[0] = 0


def test_the_part_keeps_its_attributes(open_pack):
    settings = {"num_images": 40, "labels": "attributes"}
    whole, part = open_pack("smileys", **settings), open_pack("smileys", **settings, holdout=0.2)
    kept = np.setdiff1d(np.arange(40), held_out_indices(40, 0.2))
    np.testing.assert_array_equal(part.attributes, whole.attributes[kept])
    assert part.attribute_names == whole.attribute_names


def test_nothing_is_held_out_unless_asked_for(write_folder, open_pack):
    pack = open_pack(write_folder(shades(5)), holdout=0.0)
    assert len(pack) == 5
    assert "num_held_out" not in pack.summary


def test_another_share_needs_no_decoding(write_folder, open_pack, no_decoding):
    root = write_folder(shades(20))
    open_pack(root)
    no_decoding()
    assert len(open_pack(root, holdout=0.5)) == 10


def test_copies_of_what_is_held_out_are_held_out_too(write_folder, open_pack):
    files = shades(20) | {f"copy/{name}": picture for name, picture in shades(20).items()}
    root = write_folder(files)
    whole, part = open_pack(root), open_pack(root, holdout=0.25)
    left, all_of_it = ([picture[0, 0, 0] for picture in pack.pictures] for pack in (part, whole))
    assert {all_of_it.count(shade) for shade in left} == {left.count(shade) for shade in left} == {2}
    assert (part.summary["count"], part.summary["num_duplicates"], part.summary["num_held_out"]) == (30, 15, 10)


def test_a_damaged_part_is_written_anew(write_folder, open_pack, cache):
    root = write_folder(shades(20))
    part = open_pack(root, holdout=0.5)
    path = cache / "packs" / f"{part.fingerprint}.npy"
    sound = path.read_bytes()
    for damaged in (sound[:-1] + b"x", sound[:-1]):
        path.write_bytes(damaged)
        assert fingerprint_of(open_pack(root, holdout=0.5).pictures) == part.fingerprint
        assert path.read_bytes() == sound
