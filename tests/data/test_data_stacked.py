import struct
from pathlib import Path

import numpy as np
import pytest

from ganlet.data import stacked
from ganlet.data.holdout import held_out
from ganlet.data.settings import DataConfig
from ganlet.data.source import find_source, open_source
from ganlet.errors import DataError

MNIST = Path(__file__).parents[2].parent / "shared/data/mnist"


def write_idx(folder, pictures, labels=None, part="train"):
    folder.mkdir(exist_ok=True)
    shape = struct.pack(">4I", 0x803, *pictures.shape)
    (folder / f"{part}-images-idx3-ubyte").write_bytes(shape + pictures.tobytes())
    if labels is not None:
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, len(labels)) + bytes(labels))
    return folder


@pytest.fixture
def digits(tmp_path):
    """Forty digits of 9 x 8, whose value in every pixel tells which one it is; classes 3, 5 and 8."""
    pictures = np.arange(40, dtype=np.uint8).repeat(72).reshape(40, 9, 8)
    return write_idx(tmp_path / "digits", pictures, [(3, 5, 8)[i % 3] for i in range(40)])


def opened(source, **settings):
    return find_source(DataConfig(source=f"stacked:{source}", **settings))


def taken(source):
    pictures = list(source.pictures())
    assert len(pictures) == source.count
    return np.stack([picture.content for picture in pictures]), [picture.label for picture in pictures]


def test_a_stack_has_a_digit_in_each_channel_and_their_names(digits):
    source = opened(digits)
    pictures, labels = taken(source)
    assert (pictures.shape, pictures.dtype) == ((40, 9, 8, 3), np.uint8)
    assert (pictures == pictures[:, :1, :1]).all()
    chosen = pictures[:, 0, 0]
    expected = ["".join("358"[digit % 3] for digit in stack) for stack in chosen.tolist()]
    assert [source.label_names[label] for label in labels] == expected
    assert len(source.label_names) == 27
    assert source.label_names[:4] == ("333", "335", "338", "353")
    assert (source.kind, source.channels) == ("stacked", 3)


def test_all_digits_are_stacked_equally_often(digits):
    pictures, labels = taken(opened(digits, num_images=20_000))
    for channel in range(3):
        counts = np.bincount(pictures[:, 0, 0, channel], minlength=40)
        np.testing.assert_allclose(counts, 500, atol=5 * np.sqrt(500))
    assert len(np.unique(pictures[:, 0, 0], axis=0)) > 15_000  # of 64,000: channels are independent
    assert set(labels) == set(range(27))


def test_the_first_stacks_are_the_same_however_many_there_are(digits):
    many, labels = taken(opened(digits, num_images=5_000))
    few, of_few = taken(opened(digits, num_images=4_097))
    np.testing.assert_array_equal(few, many[:4_097])
    assert of_few == labels[:4_097]


def test_one_file_may_be_named(digits):
    whole, _ = taken(opened(digits))
    of_file, _ = taken(opened(digits / "train-images-idx3-ubyte"))
    np.testing.assert_array_equal(of_file, whole)


def test_digits_without_labels_make_stacks_without_labels(tmp_path, noise):
    source = opened(write_idx(tmp_path / "digits", noise(5, 8, 8)))
    assert source.label_names is None
    assert taken(source)[1] == [None] * 5


def test_the_pack_is_cached_and_changes_with_the_digits(digits, open_pack, noise):
    pack = open_pack(f"stacked:{digits}", num_images=60, size=(9, 8))
    assert pack.pictures.shape == (60, 9, 8, 3)
    assert open_pack(f"stacked:{digits}", num_images=60, size=(9, 8)).fingerprint == pack.fingerprint
    write_idx(digits, noise(40, 9, 8))
    assert open_pack(f"stacked:{digits}", num_images=60, size=(9, 8)).fingerprint != pack.fingerprint


def test_digits_for_test_make_stacks_for_test(digits, noise):
    write_idx(digits, noise(12, 9, 8), part="t10k")
    config = DataConfig(source=f"stacked:{digits}", num_images=50, size=(9, 8))
    unseen = held_out(open_source(config), config)
    assert len(unseen) == 12
    values = {picture[:, :, channel].tobytes() for picture in unseen for channel in range(3)}
    assert values <= {digit.tobytes() for digit in noise(12, 9, 8)}


@pytest.mark.parametrize("channels", [1, 4])
def test_other_channels_are_refused(digits, channels):
    with pytest.raises(DataError, match="red, green and blue") as caught:
        opened(digits, channels=channels)
    assert (caught.value.got, caught.value.expected) == (channels, "3 or auto")
    assert opened(digits, channels=3).count == 40


def test_other_files_are_refused(write_folder, noise):
    root = write_folder({"a.png": noise(8, 8, 3)})
    for path in (root, root / "a.png"):
        with pytest.raises(DataError, match="Only MNIST-style idx files can be stacked"):
            opened(path)


def test_digits_of_several_sizes_are_refused(tmp_path, noise):
    write_idx(tmp_path / "digits", noise(4, 8, 8))
    source = opened(write_idx(tmp_path / "digits", noise(4, 9, 8), part="t10k"), split="all")
    with pytest.raises(DataError, match="cannot be stacked") as caught:
        taken(source)
    assert caught.value.got == "8 pictures of 9 x 8 and other sizes"


def test_too_many_digits_are_refused(digits, monkeypatch):
    monkeypatch.setattr(stacked, "MAX_BYTES", 40 * 9 * 8 - 1)
    with pytest.raises(DataError, match="cannot be stacked"):
        taken(opened(digits))
    monkeypatch.setattr(stacked, "MAX_BYTES", 40 * 9 * 8)
    assert len(taken(opened(digits))[0]) == 40


@pytest.mark.parametrize("names", [tuple("0123456789"), ("7",), ("1", "10", "47")])
def test_names_of_digits_are_found_in_those_of_stacks(names):
    of_stacks = stacked.stacked_names(names)
    assert len(set(of_stacks)) == len(of_stacks) == len(names) ** 3
    assert stacked.digit_names(of_stacks) == names


@pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST")
def test_mnist_has_a_thousand_modes():
    source = opened(MNIST, num_images=3_000)
    pictures, labels = taken(source)
    assert source.label_names == tuple(f"{number:03}" for number in range(1_000))
    assert pictures.shape == (3_000, 28, 28, 3)
    assert len(set(labels)) > 900  # of 1,000 modes 950 are expected
