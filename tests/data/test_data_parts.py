import itertools
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import MAX_BYTES, PIXEL, labelled

from ganlet.data.archive import open_zip
from ganlet.data.folder import open_folder
from ganlet.data.holdout import held_out
from ganlet.data.layout import Wanted
from ganlet.data.parts import find_parts, part_of
from ganlet.data.settings import DataConfig
from ganlet.data.source import open_source
from ganlet.errors import DataError


@pytest.mark.parametrize(
    ("folder", "part"),
    [
        *((name, "train") for name in ("train", "Training", "training_set", "train2017", "train-images", "TRAIN")),
        *((name, "test") for name in ("val", "valid", "validation", "test", "Testing", "test_set", "val2017", "dev")),
        *((name, None) for name in ("cat", "trainer", "tests", "train_station", "set", "images", "2017", "")),
    ],
)
def test_parts_by_name(folder, part):
    assert part_of(folder) == part


@pytest.mark.parametrize(
    ("train", "tests"), [("train", ("valid", "test")), ("Training", ("validation",)), ("training_set", ("test_set",))]
)
@pytest.mark.parametrize("classes", [("cat", "dog"), ()])
def test_parts_with_the_same_inside_are_splits(write_folder, train, tests, classes):
    inside = [f"{name}/1.png" for name in classes] or ["1.png", "2.png"]
    files = [f"set/{part}/{name}" for part in (train, *tests) for name in inside]
    root = write_folder(dict.fromkeys(files, PIXEL))
    for split, parts in {"train": (train,), "test": tests, "all": (train, *tests)}.items():
        source = open_folder(root, MAX_BYTES, Wanted(split))
        assert labelled(source) == {
            f"set/{part}/{name}": name.split("/")[0] if classes else None for part in parts for name in inside
        }
        others = set(files) - labelled(source).keys()
        assert {one.name for one in source.left_out if one.why == "part"} == others
        assert source.has_test


def test_a_part_for_testing_must_be_there(write_folder):
    for number, files in enumerate((["1.png", "2.png"], ["cat/1.png", "dog/1.png"])):
        root = write_folder(dict.fromkeys(files, PIXEL), f"plain{number}")
        with pytest.raises(DataError, match="no part for testing"):
            open_folder(root, MAX_BYTES, Wanted("test"))
        assert len(labelled(open_folder(root, MAX_BYTES, Wanted("all")))) == 2
        assert len(labelled(open_folder(write_folder({f"test/{name}": PIXEL for name in files}, f"part{number}"),
                                        MAX_BYTES, Wanted("test")))) == 2  # fmt: skip
        assert len(labelled(open_folder(root.rename(root.with_name("val")), MAX_BYTES, Wanted("test")))) == 2
        shutil.rmtree(root.with_name("val"))


def test_classes_with_parts_in_each_of_them(write_folder):
    files = [f"{animal}/{part}/1.png" for animal in ("cat", "dog") for part in ("train", "test")]
    source = open_folder(write_folder(dict.fromkeys(files, PIXEL)), MAX_BYTES)
    assert labelled(source) == {"cat/train/1.png": "cat", "dog/train/1.png": "dog"}


def test_what_is_held_out_may_lack_a_class(write_folder):
    files = ["train/cat/1.png", "train/dog/1.png", "train/hen/1.png", "val/cat/1.png"]
    root = write_folder(dict.fromkeys(files, PIXEL))
    assert open_folder(root, MAX_BYTES).label_names == ("cat", "dog", "hen")
    assert labelled(open_folder(root, MAX_BYTES, Wanted("test"))) == {"val/cat/1.png": "cat"}


@pytest.mark.parametrize(
    ("files", "got", "meant"),
    [
        (["train/cat/1", "test/1"], "test/ (pictures), train/ (cat)", "train"),
        (["train/cat/1", "test/dog/1"], "test/ (dog), train/ (cat)", "train"),
        (["train/1", "test/1", "1"], "pictures beside them, test/ (pictures), train/ (pictures)", "train"),
        (["train/1", "test/1", "extra/1"], "extra/ (pictures), test/ (pictures), train/ (pictures)", "train"),
        (["x/val/a/1", "x/Train/b/1"], "Train/ (b), val/ (a)", "x/Train"),
        (["trainA/1", "trainB/1", "testA/1"], "testA/ (pictures), trainA/ (pictures), trainB/ (pictures)", "testA"),
    ],
)
def test_what_only_looks_like_parts_is_refused(write_folder, files, got, meant):
    root = write_folder({f"{name}.png": PIXEL for name in files})
    with pytest.raises(DataError, match="called like parts") as caught:
        open_folder(root, MAX_BYTES)
    assert caught.value.got == got
    assert caught.value.hint == f"give the part to train on: {root / meant}"
    assert open_folder(root / meant, MAX_BYTES).count == 1


@pytest.mark.parametrize(
    "files", [["train/1", "car/1"], ["val/1", "test/1"], ["train/1"], ["train/cat/1", "train/dog/1"]]
)
def test_what_only_happens_to_be_called_so_are_classes(files):
    assert find_parts(Path("here"), [f"{name}.png" for name in files]) is None


names = st.lists(st.sampled_from(["train", "test", "val", "cat", "dog", "a"]), min_size=0, max_size=3)


@given(st.lists(names, min_size=1, max_size=8))
def test_no_picture_is_in_two_parts_and_none_in_no_part(folders):
    paths = ["/".join([*folder, f"{number}.png"]) for number, folder in enumerate(folders)]
    try:
        parts = find_parts(Path("here"), paths)
    except DataError:
        return
    if parts is not None:
        for path, without in zip(paths, parts.without(paths), strict=True):
            assert parts.is_meant(path, "train") != parts.is_meant(path, "test")
            assert parts.is_meant(path, "all")
            assert len(without.split("/")) == len(path.split("/")) - 1
        assert any(parts.is_meant(path, "train") for path in paths)


def test_what_is_held_out_is_in_the_other_parts(write_folder, noise, tmp_path):
    seeds = itertools.count()
    files = {
        f"set/{part}/{name}/{i}.png": noise(8, 8, 3, seed=next(seeds))
        for part in ("train", "valid", "test")
        for name in ("cat", "dog")
        for i in range(3)
    }
    root = write_folder(files)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name in files:
            archive.write(root / name, name)
    for source in (root, tmp_path / "set.zip"):
        config = DataConfig(source=str(source), size=8)
        pack = open_source(config)
        unseen = held_out(pack, config)
        assert (len(pack), pack.label_names) == (6, ("cat", "dog"))
        assert len(unseen) == 12
        assert pack.summary["notes"] == ["not read: 12 pictures of other parts (data.split): test, valid"]
        assert not {picture.tobytes() for picture in unseen} & {picture.tobytes() for picture in pack.pictures}


class TestDatasetJson:
    NAMES = ("00000/img0.png", "00000/img1.png", "00001/img2.png")

    def opened(self, write_folder, content, classes=False, place="dataset.json", zipped=False):
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        root = write_folder({**dict.fromkeys(self.NAMES, PIXEL), place: text})
        if not zipped:
            return open_folder(root, MAX_BYTES, Wanted(classes=classes))
        with zipfile.ZipFile(root.parent / "set.zip", "w") as archive:
            for name in (*self.NAMES, place):
                archive.write(root / name, name)
        return open_zip(root.parent / "set.zip", MAX_BYTES, Wanted(classes=classes))

    @pytest.mark.parametrize("zipped", [False, True])
    @pytest.mark.parametrize(
        ("labels", "expected"),
        [
            ([10, 9, 10], ["10", "9", "10"]),
            ([1.0, 0.0, 1.0], ["1", "0", "1"]),
            (["dog", "cat", "dog"], ["dog", "cat", "dog"]),
            ([[0, 1], [1, 0], [0.0, 1.0]], ["1", "0", "1"]),
            ([1, "one", 1], ["1", "one", "1"]),
        ],
    )
    def test_labels_are_read(self, write_folder, zipped, labels, expected):
        pairs = [list(pair) for pair in zip(self.NAMES, labels, strict=True)]
        source = self.opened(write_folder, {"labels": pairs}, zipped=zipped)
        assert labelled(source) == dict(zip(self.NAMES, expected, strict=True))
        assert source.label_names == tuple(sorted(set(expected), key=lambda name: (len(name), name)))
        assert source.left_out == ()
        assert source.used == ("dataset.json",)
        source.close()

    def test_labels_of_more_pictures_and_with_backslashes(self, write_folder):
        pairs = [[name.replace("/", "\\"), 3] for name in self.NAMES] + [["else.png", 4]]
        assert self.opened(write_folder, {"labels": pairs}).label_names == ("3",)

    def test_a_name_is_the_same_in_each_unicode_form(self, write_folder):
        table = json.dumps({"labels": [["caf\u00e9.png", 1], ["b.png", 0]]}).encode()
        root = write_folder({"cafe\u0301.png": PIXEL, "b.png": PIXEL, "dataset.json": table})
        assert labelled(open_folder(root, MAX_BYTES)) == {"b.png": "0", "cafe\u0301.png": "1"}

    def test_without_labels_the_folders_are_storage(self, write_folder):
        assert self.opened(write_folder, {"labels": None}).label_names is None

    @pytest.mark.parametrize("content", [b"no json", b"[]", {"images": []}, {"labels": {"a": 1}}, b"[" * 100_000])
    def test_a_file_of_another_kind_is_left_alone(self, write_folder, content):
        source = self.opened(write_folder, content, classes=True)
        assert source.label_names == ("00000", "00001")
        assert {one.name: one.why for one in source.left_out} == {"dataset.json": "other"}

    def test_one_that_lies_elsewhere_is_left_alone(self, write_folder):
        pairs = [[name, 1] for name in self.NAMES]
        source = self.opened(write_folder, {"labels": pairs}, place="00000/dataset.json")
        assert source.label_names == ("00000", "00001")

    @pytest.mark.parametrize(
        ("pairs", "got"),
        [
            ([["00000/img0.png", 1]], "no label for 2 of 3 pictures: 00000/img1.png, 00001/img2.png"),
            ([["00000/img0.png", None]], "00000/img0.png: None"),
            ([["00000/img0.png", [1, 1]]], "00000/img0.png: [1, 1]"),
            ([["00000/img0.png", 1], ["00000/img0.png", 2]], "00000/img0.png with several labels"),
            ([[3, 1]], "3: 1"),
        ],
    )
    def test_wrong_labels_are_told_where_they_are_asked_for(self, write_folder, pairs, got):
        with pytest.raises(DataError, match=r"dataset\.json cannot be used") as caught:
            self.opened(write_folder, {"labels": pairs}, classes=True)
        assert caught.value.got == got
        assert self.opened(write_folder, {"labels": pairs}).label_names is None

    def test_other_labels_are_another_pack(self, write_folder, open_pack, noise):
        root = write_folder({name: noise(8, 8, 3, seed=i) for i, name in enumerate(self.NAMES)})
        path = root / "dataset.json"
        path.write_text(json.dumps({"labels": [[name, i % 2] for i, name in enumerate(self.NAMES)]}))
        before = open_pack(root)
        path.write_text(json.dumps({"labels": [[name, 1 - i % 2] for i, name in enumerate(self.NAMES)]}))
        after = open_pack(root)
        assert before.fingerprint == after.fingerprint
        assert (before.labels + after.labels).tolist() == [1, 1, 1]
