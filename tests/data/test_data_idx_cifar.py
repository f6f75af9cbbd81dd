import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from ganlet.data.idx_cifar import CIFAR_LABELS, find_cifar, has_idx, open_cifar, open_idx
from ganlet.errors import DataError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
MAX_PIXELS = 10**6


def idx_pictures(pictures):
    return struct.pack(">4I", 0x803, *pictures.shape) + pictures.tobytes()


def idx_labels(labels):
    return struct.pack(">2I", 0x801, len(labels)) + bytes(labels)


def taken(source):
    """Pictures (N, H, W, C) and labels of a source."""
    pictures = list(source.pictures())
    assert len(pictures) == source.count
    return np.stack([picture.content for picture in pictures]), [picture.label for picture in pictures]


@pytest.fixture
def write_idx(tmp_path, noise):
    """A folder with the idx files of both splits: 5 and 3 pictures of 4 x 6."""

    def write_idx(compress=False, replaced=None):
        files = {
            "train-images-idx3-ubyte": idx_pictures(noise(5, 4, 6)),
            "train-labels-idx1-ubyte": idx_labels([3, 1, 1, 7, 3]),
            "t10k-images-idx3-ubyte": idx_pictures(noise(3, 4, 6, seed=1)),
            "t10k-labels-idx1-ubyte": idx_labels([7, 7, 1]),
            **(replaced or {}),
        }
        for name, data in files.items():
            if data is not None:
                path = tmp_path / (name + ".gz" if compress else name)
                path.write_bytes(gzip.compress(data) if compress else data)
        return tmp_path

    return write_idx


@pytest.mark.parametrize("compress", [False, True])
def test_a_split_is_taken_with_its_labels(write_idx, compress, noise):
    folder = write_idx(compress)
    assert has_idx(folder)
    source = open_idx(folder, "train", MAX_PIXELS)
    pictures, labels = taken(source)
    np.testing.assert_array_equal(pictures, noise(5, 4, 6)[..., None])
    assert [source.label_names[label] for label in labels] == ["3", "1", "1", "7", "3"]
    assert source.label_names == ("1", "3", "7")


def test_all_is_train_and_then_test(write_idx, noise):
    source = open_idx(write_idx(), "all", MAX_PIXELS)
    pictures, labels = taken(source)
    np.testing.assert_array_equal(pictures[..., 0], np.concatenate([noise(5, 4, 6), noise(3, 4, 6, seed=1)]))
    assert [source.label_names[label] for label in labels] == ["3", "1", "1", "7", "3", "7", "7", "1"]


def test_pictures_are_read_in_pieces(write_idx, monkeypatch, noise):
    monkeypatch.setattr("ganlet.data.idx_cifar.READ_BYTES", 2 * 4 * 6)
    np.testing.assert_array_equal(taken(open_idx(write_idx(), "train", MAX_PIXELS))[0][..., 0], noise(5, 4, 6))


def test_one_file_may_be_named(write_idx):
    source = open_idx(write_idx(compress=True) / "t10k-images-idx3-ubyte.gz", "train", MAX_PIXELS)
    assert source.count == 3
    assert source.label_names == ("1", "7")


def test_a_plain_copy_is_preferred_to_a_compressed_one(write_idx):
    write_idx(compress=True, replaced={"train-images-idx3-ubyte": b"damaged"})
    assert open_idx(write_idx(), "train", MAX_PIXELS).count == 5


def test_without_labels(write_idx):
    source = open_idx(write_idx(replaced={"train-labels-idx1-ubyte": None}), "train", MAX_PIXELS)
    assert source.label_names is None
    assert taken(source)[1] == [None] * 5


def test_labels_must_be_there_for_all_or_count_for_none(write_idx):
    source = open_idx(write_idx(replaced={"t10k-labels-idx1-ubyte": None}), "all", MAX_PIXELS)
    assert source.label_names is None
    assert taken(source)[1] == [None] * 8


def test_a_split_that_is_not_there(write_idx):
    folder = write_idx(replaced={"t10k-images-idx3-ubyte": None})
    with pytest.raises(DataError, match=r"0 idx files of pictures for data\.split test"):
        open_idx(folder, "test", MAX_PIXELS)


def test_more_than_one_set_in_a_folder(write_idx, noise):
    folder = write_idx(replaced={"emnist-train-images-idx3-ubyte": idx_pictures(noise(5, 4, 6))})
    with pytest.raises(DataError, match="give the path of the file itself") as caught:
        open_idx(folder, "train", MAX_PIXELS)
    assert caught.value.got == "emnist-train-images-idx3-ubyte, train-images-idx3-ubyte"


WHOLE = idx_pictures(np.zeros((5, 4, 6), np.uint8))
DAMAGED = {
    "empty": ("train-images-idx3-ubyte", b"", "ends too early"),
    "half a header": ("train-images-idx3-ubyte", WHOLE[:9], "ends too early"),
    "wrong magic": ("train-images-idx3-ubyte", b"\0\0\x08\x01" + WHOLE[4:], "0x00000801"),
    "no pixels": ("train-images-idx3-ubyte", struct.pack(">4I", 0x803, 5, 0, 6), "0 x 6 pixels"),
    "huge pictures": ("train-images-idx3-ubyte", struct.pack(">4I", 0x803, 1, 2**16, 2**16), "max_pixels"),
    "huge count": ("train-images-idx3-ubyte", struct.pack(">4I", 0x803, 2**32 - 1, 1, 1), "at most 100000000"),
    "false count": ("train-images-idx3-ubyte", struct.pack(">4I", 0x803, 10**8, 4, 6), "as its header says"),
    "truncated": ("train-images-idx3-ubyte", WHOLE[:-30], ""),
    "too long": ("train-images-idx3-ubyte", WHOLE + b"x", "more bytes than its header says"),
    "too few labels": ("train-labels-idx1-ubyte", idx_labels([1] * 4), "4 labels"),
    "truncated labels": ("train-labels-idx1-ubyte", idx_labels([1] * 5)[:-1], "ends too early"),
    "labels too long": ("train-labels-idx1-ubyte", idx_labels([1] * 5) + b"x", "more bytes than"),
    "pictures for labels": ("train-labels-idx1-ubyte", WHOLE, "0x00000803"),
}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_idx_file_is_named(write_idx, case, compress):
    name, data, reason = DAMAGED[case]
    folder = write_idx(compress, {name: data})
    with pytest.raises(DataError, match="An idx file is damaged") as caught:
        taken(open_idx(folder, "train", MAX_PIXELS))
    assert reason in caught.value.message
    assert Path(caught.value.where).name == name + ".gz" * compress


@pytest.mark.parametrize("cut", [1, 4, 20])
def test_a_truncated_gzip_file(write_idx, cut):
    folder = write_idx(compress=True)
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DataError, match="An idx file is damaged"):
        taken(open_idx(folder, "train", MAX_PIXELS))


def test_a_gzip_file_with_a_wrong_checksum(write_idx):
    folder = write_idx(compress=True)
    path = folder / "train-images-idx3-ubyte.gz"
    data = bytearray(path.read_bytes())
    data[-8] ^= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="CRC check failed"):
        taken(open_idx(folder, "train", MAX_PIXELS))


@pytest.fixture
def write_cifar(tmp_path, noise):
    """A folder with small CIFAR-10 files: 2 pictures in each of 5 batches, and 3 to test."""

    def write_cifar(inside="cifar-10-batches-bin"):
        folder = tmp_path / inside
        folder.mkdir(exist_ok=True)
        for number in range(1, 7):
            count = 2 if number < 6 else 3
            records = noise(count, 3073, seed=number)
            records[:, 0] = [number, 9, 0][:count]
            name = f"data_batch_{number}.bin" if number < 6 else "test_batch.bin"
            (folder / name).write_bytes(records.tobytes())
        return folder

    return write_cifar


def test_cifar_is_found_in_its_folder_and_in_the_one_above(write_cifar, tmp_path):
    folder = write_cifar()
    assert find_cifar(folder) == find_cifar(tmp_path) == folder
    assert find_cifar(tmp_path.parent) is None


@pytest.mark.parametrize(("split", "labels"), [("train", [1, 9, 2, 9, 3, 9, 4, 9, 5, 9]), ("test", [6, 9, 0])])
def test_a_split_of_cifar(write_cifar, split, labels, noise):
    source = open_cifar(write_cifar(), split)
    pictures, found = taken(source)
    assert found == labels
    assert source.label_names == CIFAR_LABELS
    first = noise(len(labels) if split == "test" else 2, 3073, seed=6 if split == "test" else 1)[0, 1:]
    assert pictures.shape == (len(labels), 32, 32, 3)
    np.testing.assert_array_equal(pictures[0], np.stack(np.split(first, 3), axis=1).reshape(32, 32, 3))


def test_all_of_cifar(write_cifar):
    assert taken(open_cifar(write_cifar(), "all"))[1] == [1, 9, 2, 9, 3, 9, 4, 9, 5, 9, 6, 9, 0]


def test_label_names_of_cifar_are_read(write_cifar):
    folder = write_cifar()
    (folder / "batches.meta.txt").write_text("a b c d e f g h i j\n\n".replace(" ", "\n"))
    assert open_cifar(folder, "test").label_names == tuple("abcdefghij")
    (folder / "batches.meta.txt").write_text("a b c d e f g h i a\n\n".replace(" ", "\n"))
    assert open_cifar(folder, "test").label_names == CIFAR_LABELS


@pytest.mark.parametrize("data", [b"", bytes(3072), bytes(3074), None])
def test_a_cifar_file_that_is_damaged_or_missing_is_named(write_cifar, data):
    path = write_cifar() / "data_batch_3.bin"
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(DataError, match=r"CIFAR-10 is (damaged|missing)") as caught:
        open_cifar(path.parent, "train")
    assert caught.value.where == str(path)


def test_a_wrong_label_of_cifar(write_cifar):
    path = write_cifar() / "test_batch.bin"
    path.write_bytes(bytes(3073) + b"\x0a" + bytes(3072))
    with pytest.raises(DataError, match="label of CIFAR-10 is wrong"):
        open_cifar(path.parent, "test")


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real data is not here")
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_test_sets(name):
    source = open_idx(SHARED / name, "test", MAX_PIXELS)
    pictures, labels = taken(source)
    assert pictures.shape == (10_000, 28, 28, 1)
    assert source.label_names == tuple("0123456789")
    assert np.bincount(labels).min() > 800


def test_what_lies_beside_idx_files_is_named(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    pictures = struct.pack(">4I", 0x803, 2, 8, 8) + bytes(128)
    for name in ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte.gz"):
        (folder / name).write_bytes(pictures)
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 2) + bytes(2))
    (folder / "preview").mkdir()
    (folder / "preview" / "1.png").write_bytes(b"")
    (folder / "old").mkdir()
    (folder / "old" / "train-images-idx3-ubyte").write_bytes(pictures)
    (folder / "README.md").touch()
    (folder / "photo.heic").touch()
    source = open_idx(folder, "train", 10**6)
    assert {one.name: one.why for one in source.left_out} == {
        "preview/1.png": "beside",
        "old/train-images-idx3-ubyte": "other",
        "README.md": "other",
        "photo.heic": "format",
    }


def test_what_lies_beside_the_folder_of_cifar_is_named(write_cifar, tmp_path):
    write_cifar()
    (tmp_path / "mine.png").touch()
    source = open_cifar(tmp_path, "train")
    assert {one.name: one.why for one in source.left_out} == {"mine.png": "beside"}
