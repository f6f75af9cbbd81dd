import builtins
import pickle
import shutil
import sys
import types

import numpy as np
import pytest
from test_data_idx_cifar import idx_labels, idx_pictures

from ganlet.config import portable
from ganlet.data.cache_contents import contents
from ganlet.data.dataset import open_images
from ganlet.data.idx_cifar import CIFAR_LABELS
from ganlet.data.settings import DataConfig
from ganlet.data.source import absolute_source, find_source
from ganlet.data.torchvision_layouts import EMNIST_CLASSES
from ganlet.data.torchvision_sets import SETS
from ganlet.errors import DataError, EnvironmentProblem
from ganlet.runs.folder import RunFolder
from ganlet.runs.places import places_of, without_places
from ganlet.workflows.configuring import make_config


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def taken(root, name, **settings):
    """Pictures (N, H, W, C) and names of labels of a set."""
    source = find_source(DataConfig(source=f"torchvision:{name}:{root}", **settings))
    assert source.kind == "torchvision"
    pictures = list(source.pictures())
    assert len(pictures) == source.count
    labels = [None if one.label is None else source.label_names[one.label] for one in pictures]
    if callable(pictures[0].content):
        return [one.name for one in pictures], labels
    return np.stack([one.content for one in pictures]), labels


def write_idx(folder, part, pictures, labels, prefix=""):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{prefix}{part}-images-idx3-ubyte").write_bytes(idx_pictures(pictures))
    (folder / f"{prefix}{part}-labels-idx1-ubyte").write_bytes(idx_labels(labels))


@pytest.fixture
def cifar(root, noise, tmp_path):
    """CIFAR-10 as torchvision lays it out, two pictures a file, and the binary files of the same."""
    folder, binary = root / "cifar-10-batches-py", tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    binary.mkdir()
    for number, name in enumerate([*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]):
        data, labels = noise(2, 3072, seed=number), [number, 9 - number]
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": labels}, 2))
        records = b"".join(bytes([label]) + row.tobytes() for label, row in zip(labels, data, strict=True))
        (binary / f"{name}.bin").write_bytes(records)
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CIFAR_LABELS)}, 2))
    return binary


@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_cifar_10_gives_the_very_pack_of_its_binary_files(cifar, root, open_pack, split):
    ours, theirs = (open_pack(source, split=split) for source in (f"torchvision:CIFAR10:{root}", cifar))
    assert len(ours) == {"train": 10, "test": 2, "all": 12}[split]
    assert ours.fingerprint == theirs.fingerprint
    np.testing.assert_array_equal(ours.pictures, theirs.pictures)
    np.testing.assert_array_equal(ours.labels, theirs.labels)
    assert ours.label_names == theirs.label_names
    assert ours.summary["has_test"]


def test_the_folder_of_the_set_itself_may_be_given(cifar, root, open_pack):
    folder = root / "cifar-10-batches-py"
    assert len(open_pack(f"torchvision:cifar10:{folder}")) == 10


def test_labels_of_cifar_beyond_its_names_are_refused(cifar, root, open_pack):
    path = root / "cifar-10-batches-py" / "test_batch"
    path.write_bytes(pickle.dumps({"data": np.zeros((1, 3072), np.uint8), "labels": [10]}, 2))
    with pytest.raises(DataError, match="labels of a file of CIFAR are wrong"):
        open_pack(f"torchvision:CIFAR10:{root}", split="test")


def test_cifar_100_has_its_fine_labels(root, noise):
    folder = root / "cifar-100-python"
    folder.mkdir()
    for name, count in (("train", 3), ("test", 1)):
        content = {"data": noise(count, 3072), "fine_labels": [2, 0, 1][:count], "coarse_labels": [0] * count}
        (folder / name).write_bytes(pickle.dumps(content, 2))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": ["a", "b", "c"], "coarse_label_names": ["d"]}, 2))
    pictures, labels = taken(root, "CIFAR100")
    np.testing.assert_array_equal(pictures, noise(3, 3072).reshape(3, 3, 32, 32).transpose(0, 2, 3, 1))
    assert labels == ["c", "a", "b"]


@pytest.mark.parametrize(("name", "third"), [("MNIST", "2"), ("FashionMNIST", "Pullover"), ("KMNIST", "su")])
def test_sets_of_mnists_kind(root, noise, name, third):
    write_idx(root / name / "raw", "train", noise(2, 28, 28), [2, 0])
    write_idx(root / name / "raw", "t10k", noise(1, 28, 28, seed=1), [2])
    pictures, labels = taken(root, name)
    np.testing.assert_array_equal(pictures[..., 0], noise(2, 28, 28))
    assert labels[0] == third
    assert taken(root, name, split="test")[1] == [third]


def test_letters_stand_upright_with_their_names(root, noise):
    folder = root / "EMNIST" / "raw"
    write_idx(folder, "train", noise(2, 28, 28), [1, 26], "emnist-letters-")
    write_idx(folder, "test", noise(1, 28, 28, seed=1), [3], "emnist-letters-")
    pictures, labels = taken(root, "EMNIST/letters")
    np.testing.assert_array_equal(pictures[..., 0], noise(2, 28, 28).transpose(0, 2, 1))
    assert labels == ["a", "z"]
    assert taken(root, "EMNIST/letters", split="test")[1] == ["c"]
    with pytest.raises(DataError, match="no such part") as caught:
        taken(root, "EMNIST")
    assert "torchvision:EMNIST/letters" in caught.value.expected
    assert [len(names) for names in EMNIST_CLASSES.values()] == [62, 47, 47, 27, 10, 10]


def test_stl_10_is_turned_and_its_labels_count_from_one(root, noise):
    folder = root / "stl10_binary"
    folder.mkdir()
    upright = {part: noise(2, 96, 96, 3, seed=seed) for seed, part in enumerate(("train", "test", "unlabeled"))}
    for part, pictures in upright.items():
        (folder / f"{part}_X.bin").write_bytes(pictures.transpose(0, 3, 2, 1).tobytes())
    for part in ("train", "test"):
        (folder / f"{part}_y.bin").write_bytes(bytes([1, 10]))
    pictures, labels = taken(root, "STL10", split="all")
    np.testing.assert_array_equal(pictures, np.concatenate([upright["train"], upright["test"]]))
    assert labels == ["airplane", "truck"] * 2
    pictures, labels = taken(root, "STL10/train+unlabeled")
    np.testing.assert_array_equal(pictures, np.concatenate([upright["train"], upright["unlabeled"]]))
    assert labels == [None] * 4
    with pytest.raises(DataError, match="for training"):
        taken(root, "STL10/unlabeled", split="test")
    (folder / "train_y.bin").write_bytes(bytes([0, 1]))
    with pytest.raises(DataError, match="damaged"):
        taken(root, "STL10")


def test_svhn_takes_ten_for_zero(root, noise):
    scipy_io = pytest.importorskip("scipy.io")
    pixels = {part: noise(32, 32, 3, 3, seed=seed) for seed, part in enumerate(("train", "extra"))}
    for part, content in pixels.items():
        numbers = np.array([[10], [1], [9]], np.uint8)
        scipy_io.savemat(root / f"{part}_32x32.mat", {"X": content, "y": numbers}, do_compression=True)
    pictures, labels = taken(root, "SVHN/train+extra")
    expected = np.concatenate([content.transpose(3, 0, 1, 2) for content in pixels.values()])
    np.testing.assert_array_equal(pictures, expected)
    assert labels == ["0", "1", "9"] * 2
    for content in (b"no matlab", (root / "extra_32x32.mat").read_bytes()[:300]):
        (root / "train_32x32.mat").write_bytes(content)
        with pytest.raises(DataError, match="A file of SVHN is damaged"):
            taken(root, "SVHN")
    scipy_io.savemat(root / "train_32x32.mat", {"X": pixels["train"][:31], "y": numbers})
    with pytest.raises(DataError, match="A file of SVHN is damaged"):
        taken(root, "SVHN")


@pytest.mark.parametrize("sizes", [{"X": 40_000, "y": 40_000}, {"X": 3, "y": 20_000_000}])
def test_a_file_of_svhn_that_says_to_hold_far_more_than_it_is_is_not_read(root, monkeypatch, sizes):
    scipy_io = pytest.importorskip("scipy.io")
    content = {"X": np.zeros((32, 32, 3, sizes["X"]), np.uint8), "y": np.ones((sizes["y"], 1), np.uint8)}
    if sizes["X"] == 3:
        content["y"] = content["y"].astype(np.float64)
    scipy_io.savemat(root / "train_32x32.mat", content, do_compression=True)
    monkeypatch.setattr(scipy_io, "loadmat", lambda *_, **__: pytest.fail("memory was taken"))
    with pytest.raises(DataError, match="that say to hold"):
        taken(root, "SVHN")


def test_labels_of_svhn_that_hold_anything_are_not_read(root, monkeypatch):
    scipy_io = pytest.importorskip("scipy.io")
    content = {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": np.array([[np.zeros(1000), "a"]], object)}
    scipy_io.savemat(root / "train_32x32.mat", content, do_compression=True)
    monkeypatch.setattr(scipy_io, "loadmat", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(DataError, match="y of type cell"):
        taken(root, "SVHN")


def test_svhn_without_scipy_is_told(root, monkeypatch):
    (root / "train_32x32.mat").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(EnvironmentProblem, match="need SciPy") as caught:
        taken(root, "SVHN")
    assert caught.value.hint == "pip install scipy"


@pytest.fixture
def celeba(root, encode, noise):
    folder = root / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    for number in range(1, 5):
        picture = noise(12, 10, 3, seed=number)
        (folder / "img_align_celeba" / f"{number:06}.jpg").write_bytes(encode(picture, "JPEG"))
    rows = "\n".join(f"{number:06}.jpg {1 if number % 2 else -1} -1" for number in range(1, 5))
    (folder / "list_attr_celeba.txt").write_text(f"4\nSmiling Bald\n{rows}\n")
    parts = enumerate((0, 0, 1, 2), start=1)
    (folder / "list_eval_partition.txt").write_text("".join(f"{number:06}.jpg {part}\n" for number, part in parts))
    return folder


def test_celeba_has_its_parts_and_attributes(celeba, root, open_pack):
    names = {split: sorted(open_pack(f"torchvision:CelebA:{root}", split=split).names) for split in ("train", "test")}
    assert names == {
        "train": ["img_align_celeba/000001.jpg", "img_align_celeba/000002.jpg"],
        "test": ["img_align_celeba/000003.jpg", "img_align_celeba/000004.jpg"],
    }
    assert len(open_pack(f"torchvision:CelebA:{root}", split="all")) == 4
    pack = open_pack(f"torchvision:CelebA:{root}", labels="attributes")
    assert pack.attribute_names == ("Smiling", "Bald")
    found = dict(zip(pack.names, pack.attributes.tolist(), strict=True))
    assert found == {"img_align_celeba/000001.jpg": [1, 0], "img_align_celeba/000002.jpg": [0, 0]}


def test_an_image_folder_is_the_folder(root, write_folder, noise, open_pack):
    folder = write_folder({"cat/1.png": noise(8, 8, 3), "dog/2.png": noise(8, 8, 3, seed=1)})
    named, plain = open_pack(f"torchvision:ImageFolder:{folder}"), open_pack(folder)
    assert (named.fingerprint, named.label_names) == (plain.fingerprint, ("cat", "dog"))
    with pytest.raises(DataError, match="not there"):
        open_pack(f"torchvision:ImageFolder:{root / 'nowhere'}")


def test_lsun_is_refused_with_a_way_out(root, open_pack):
    with pytest.raises(DataError, match="LMDB") as caught:
        open_pack(f"torchvision:LSUN:{root}")
    assert "export" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [("CIFAR", "did you mean torchvision:CIFAR10"), ("Flowers102", "for other sets: give their folder")],
)
def test_sets_that_are_not_known_are_told(name, hint, open_pack):
    with pytest.raises(DataError, match="no such set of torchvision") as caught:
        open_pack(f"torchvision:{name}")
    assert hint in caught.value.hint
    assert "FashionMNIST" in caught.value.expected


CALLS = {name: known for name, known in SETS.items() if name not in ("ImageFolder", "LSUN")}


@pytest.fixture
def torchvision(monkeypatch):
    """A torchvision that writes down what it is asked to download, and calls `lay_out`, if there is one."""
    asked, module = [], types.ModuleType("torchvision")
    module.lay_out = lambda name, root: None
    module.datasets = types.ModuleType("torchvision.datasets")

    def kind(name):
        def dataset(root, **arguments):
            asked.append((name, root, arguments))
            module.lay_out(name, root)

        return dataset

    for name in SETS:
        setattr(module.datasets, name, kind(name))
    monkeypatch.setitem(sys.modules, "torchvision", module)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module.datasets)
    module.asked = asked
    return module


@pytest.mark.parametrize("name", CALLS)
def test_what_is_not_there_is_downloaded_by_torchvision_once(name, root, torchvision):
    part = SETS[name].parts[0]
    with pytest.raises(EnvironmentProblem, match="still not there"):
        taken(root, f"{name}/{part}" if part else name)
    (asked,) = torchvision.asked
    expected = {"EMNIST": {"split": part}, "SVHN": {"split": "train"}}.get(name, {})
    assert asked == (name, str(root), {"download": True, **expected})


def test_what_was_downloaded_is_read(root, torchvision, noise):
    torchvision.lay_out = lambda name, folder: write_idx(root / "MNIST" / "raw", "train", noise(2, 28, 28), [1, 2])
    assert taken(root, "MNIST")[1] == ["1", "2"]
    assert taken(root, "MNIST")[1] == ["1", "2"]
    assert len(torchvision.asked) == 1


def test_a_download_that_fails_is_told_with_the_way_out(root, torchvision):
    def fails(name, folder):
        raise OSError("<urlopen error [Errno -2] Name or service not known>\nmore")

    torchvision.lay_out = fails
    with pytest.raises(EnvironmentProblem, match="could not download") as caught:
        taken(root, "CIFAR10")
    assert "Name or service" in caught.value.got
    assert "cifar-10-python.tar.gz, then: ganlet train torchvision:CIFAR10:FOLDER" in caught.value.hint


@pytest.mark.parametrize("error", [RuntimeError("operator torchvision::nms does not exist"), ImportError("no such")])
def test_a_torchvision_that_is_broken_or_missing_is_told(root, error, monkeypatch):
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.delitem(sys.modules, "torchvision.datasets", raising=False)
    importing = builtins.__import__

    def broken(name, *arguments, **named):
        if name.startswith("torchvision"):
            raise error
        return importing(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(
        EnvironmentProblem, match="not installed" if isinstance(error, ImportError) else "not work"
    ) as caught:
        taken(root, "CIFAR10")
    assert caught.value.exit_code == 3
    assert caught.value.got == str(error)
    assert caught.value.where == str(root / "cifar-10-batches-py" / "data_batch_1")
    assert "torchvision:CIFAR10:FOLDER" in caught.value.hint


def test_by_default_sets_lie_in_the_folder_data(cifar, root, open_pack, monkeypatch):
    monkeypatch.chdir(root.parent)
    assert len(open_pack("torchvision:CIFAR10")) == 10
    assert absolute_source("torchvision:CIFAR10") == f"torchvision:CIFAR10:{root}"
    assert absolute_source("torchvision:EMNIST/letters:x") == f"torchvision:EMNIST/letters:{root.parent / 'x'}"


def test_what_is_passed_on_names_the_set_and_no_place():
    for source in ("torchvision:CIFAR10:/home/somebody/data", "torchvision:CIFAR10"):
        assert portable(make_config(None, source)).data.source == "torchvision:CIFAR10"
    assert portable(make_config(None, "hf:owner/name@main")).data.source == "hf:owner/name@main"


def test_the_cache_knows_when_the_folder_of_a_set_is_gone(cifar, root):
    open_images(f"torchvision:CIFAR10:{root}", 32, split="test")
    (kept,) = [one for one in contents() if one.sources == [f"torchvision:CIFAR10:{root}"]]
    assert not kept.gone
    shutil.rmtree(root)
    assert kept.gone


def test_what_is_handed_on_of_a_run_does_not_tell_where_the_set_was(tmp_path):
    source = "torchvision:CIFAR10:/home/jane/data"
    (tmp_path / "config.yaml").write_text(f"data: {{source: '{source}'}}\n")
    (tmp_path / "environment.json").write_text("{}")
    places = places_of(RunFolder(tmp_path))
    assert without_places({"source": source}, places) == {"source": "torchvision:CIFAR10:data"}
    assert without_places(f"read {source}/x", places) == "read torchvision:CIFAR10:x"
