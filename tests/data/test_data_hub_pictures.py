import io
import sys

import numpy as np
import pytest
from PIL import Image

from ganlet.data.settings import DataConfig
from ganlet.data.source import SOURCES, absolute_source, find_source
from ganlet.errors import DataError, EnvironmentProblem

datasets = pytest.importorskip("datasets")
pyarrow = pytest.importorskip("pyarrow.parquet") and sys.modules["pyarrow"]


@pytest.fixture
def hub(hub, monkeypatch, tmp_path):
    """The hub on loopback, for the library datasets too."""
    changes = {
        "HF_ENDPOINT": hub.address,
        "HUB_DATASETS_URL": hub.address + "/datasets/{repo_id}/resolve/{revision}/{path}",
        "HF_DATASETS_CACHE": tmp_path / "datasets",
        "DOWNLOADED_DATASETS_PATH": tmp_path / "datasets" / "downloads",
        "EXTRACTED_DATASETS_PATH": tmp_path / "datasets" / "downloads" / "extracted",
        "HF_UPDATE_DOWNLOAD_COUNTS": False,
        "HF_HUB_OFFLINE": False,
    }
    for name, value in changes.items():
        monkeypatch.setattr(datasets.config, name, value)
    datasets.disable_progress_bars()
    yield hub
    datasets.enable_progress_bars()


KINDS = {
    "image": datasets.Image(),
    "img": datasets.Image(),
    "label": datasets.ClassLabel(names=["cat", "dog", "fox"]),
    "animal": datasets.ClassLabel(names=["cat", "dog", "fox"]),
    "hat": datasets.Value("bool"),
    "glasses": datasets.Value("bool"),
    "category": datasets.Value("string"),
    "cls": datasets.Value("int64"),
    "text": datasets.Value("string"),
}


def parquet(**columns):
    """The bytes of a parquet file with these columns, with the kinds of KINDS."""
    images = {name: some for name, some in columns.items() if name in ("image", "img")}
    columns |= {
        name: [{"bytes": one, "path": None} if not isinstance(one, dict) else one for one in some]
        for name, some in images.items()
    }
    features = datasets.Features({name: KINDS[name] for name in columns})
    table = datasets.Dataset.from_dict(columns, features=features)
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(table.data.table, buffer)  # as it stands: datasets' own way reads what paths lead to
    return buffer.getvalue()


@pytest.fixture
def pngs(noise):
    """Bytes of some pictures 8 x 8."""

    def pngs(count, seed=0):
        files = []
        for pixels in noise(count, 8, 8, 3, seed=seed):
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            files.append(buffer.getvalue())
        return files

    return pngs


@pytest.fixture
def pets(hub, pngs):
    """A set of four pictures for training and two for testing, with labels and attributes."""
    train = parquet(image=pngs(4), label=[2, 0, 0, 1], hat=[True, False, False, True])
    test = parquet(image=pngs(2, seed=1), label=[1, 0], hat=[True, False])
    return hub.put(
        "somebody/pets",
        {"data/train-00000-of-00001.parquet": train, "data/test-00000-of-00001.parquet": test},
        "dataset",
    )


def shown(pack):
    """The pictures by name."""
    return dict(zip(pack.names, pack.pictures, strict=True))


def test_the_pack_is_that_of_the_same_pictures_in_a_folder(pets, pngs, open_pack, write_folder):
    names = ["fox/1.png", "cat/2.png", "cat/3.png", "dog/4.png"]
    plain = open_pack(write_folder(dict(zip(names, pngs(4), strict=True))), size=8)
    pack = open_pack("hf:somebody/pets", size=8)
    assert pack.fingerprint == plain.fingerprint
    assert pack.summary["kind"] == "hub"
    assert pack.label_names == ("cat", "dog", "fox")
    assert pack.labels.tolist() == plain.labels.tolist()
    assert sorted(pack.names) == ["train/0", "train/1", "train/2", "train/3"]
    assert pack.summary["has_test"]
    assert pack.summary["notes"][0].endswith("split train; not read: test")
    assert pets.sha(1)[:12] in pack.summary["notes"][0]


def test_a_split_is_chosen(pets, pngs, open_pack):
    test = open_pack("hf:somebody/pets", size=8, split="test")
    assert sorted(test.names) == ["test/0", "test/1"]
    assert len(open_pack("hf:somebody/pets", size=8, split="all")) == 6


def test_columns_of_yes_and_no_are_attributes(pets, open_pack):
    pack = open_pack("hf:somebody/pets", size=8, labels="attributes")
    assert pack.attribute_names == ("hat",)
    rows = dict(zip(pack.names, pack.attributes[:, 0].tolist(), strict=True))
    assert rows == {"train/0": 1, "train/1": 0, "train/2": 0, "train/3": 1}


def test_an_unchanged_set_is_neither_fetched_nor_decoded_again(pets, hub, open_pack, no_decoding):
    open_pack("hf:somebody/pets", size=8)
    hub.requests.clear()
    no_decoding()
    open_pack("hf:somebody/pets", size=8)
    assert not hub.fetched


def test_another_commit_is_read_anew_and_an_old_one_stays(pets, hub, pngs, open_pack):
    before = open_pack("hf:somebody/pets", size=8)
    other = parquet(image=pngs(3, seed=5), label=[0, 1, 2], hat=[True, True, False])
    hub.put("somebody/pets", {"data/train-00000-of-00001.parquet": other}, "dataset")
    assert len(open_pack("hf:somebody/pets", size=8)) == 3
    for revision in ("v1", pets.sha(1)):
        assert open_pack(f"hf:somebody/pets@{revision}", size=8).fingerprint == before.fingerprint


def test_pictures_in_folders_have_their_labels(hub, pngs, open_pack):
    files = {f"train/{name}/{number}.png": png for name in "ab" for number, png in enumerate(pngs(2, seed=ord(name)))}
    hub.put("somebody/folders", files, "dataset")
    pack = open_pack("hf:somebody/folders", size=8)
    assert (len(pack), pack.label_names) == (4, ("a", "b"))


def test_a_subset_is_to_be_chosen_where_there_are_several(hub, pngs, open_pack):
    config = (
        "---\nconfigs:\n- config_name: one\n  data_files: a.parquet\n- config_name: two\n  data_files: b.parquet\n---\n"
    )
    files = {"README.md": config.encode(), "a.parquet": parquet(image=pngs(2)), "b.parquet": parquet(image=pngs(3))}
    hub.put("somebody/several", files, "dataset")
    for name in ("hf:somebody/several", "hf:somebody/several/three"):
        with pytest.raises(DataError, match=r"one is to be chosen|No such subset") as caught:
            open_pack(name)
        assert caught.value.expected == "hf:somebody/several/one, hf:somebody/several/two"
    assert len(open_pack("hf:somebody/several/two", size=8)) == 3


LABELS = {
    "numbers": ({"cls": [7, 3, 7]}, ("3", "7"), [1, 0, 1]),
    "words": ({"category": ["fox", "ant", "fox"]}, ("ant", "fox"), [1, 0, 1]),
    "names of another column": ({"animal": [2, 0, 1]}, ("cat", "dog", "fox"), [2, 0, 1]),
    "the likelier of two": ({"animal": [0, 0, 0], "label": [2, 0, 1]}, ("cat", "dog", "fox"), [2, 0, 1]),
    "some unknown": ({"label": [2, -1, 1]}, None, [None] * 3),
    "text, which is none": ({"text": ["a", "b", "c"]}, None, [None] * 3),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_are_where_people_have_them(hub, pngs, kind):
    columns, names, numbers = LABELS[kind]
    hub.put("somebody/labels", {"train.parquet": parquet(image=pngs(3), **columns)}, "dataset")
    source = find_source(DataConfig(source="hf:somebody/labels"))
    assert source.label_names == names
    assert [picture.label for picture in source.pictures()] == numbers


def test_of_several_columns_of_pictures_one_is_read_and_the_others_are_named(hub, pngs):
    hub.put("somebody/pairs", {"train.parquet": parquet(img=pngs(2), image=pngs(2, seed=1))}, "dataset")
    source = find_source(DataConfig(source="hf:somebody/pairs"))
    assert [picture.content() for picture in source.pictures()] == pngs(2, seed=1)
    assert "not read: columns img" in source.notes


def test_rows_cannot_point_to_other_files_of_this_machine(hub, pngs, tmp_path, open_pack):
    secret = tmp_path / "secret.png"
    secret.write_bytes(pngs(1)[0])
    rows = [{"bytes": None, "path": str(secret)}, {"bytes": None, "path": "../../secret.png"}]
    content = parquet(image=[*pngs(2), *rows, {"bytes": b"no picture", "path": None}])
    hub.put("somebody/evil", {"train.parquet": content}, "dataset")
    with pytest.raises(DataError, match="3 of 5 pictures cannot be used") as caught:
        open_pack("hf:somebody/evil", size=8)
    assert caught.value.got.count("not fetched from the hub") == 2


def test_large_pictures_are_refused(pets, open_pack):
    with pytest.raises(DataError, match=r"4 of 4 pictures cannot be used"):
        open_pack("hf:somebody/pets", size=8, max_bytes=10)


REFUSED = {
    "nothing": (None, {}, DataError, "no such set of pictures, or does not show it to you"),
    "gated": ({"gated": True}, {}, EnvironmentProblem, "those only who ask for it"),
    "private": ({"private": True}, {}, DataError, "does not show it"),
    "text": ({}, {"a.txt": b"hello"}, DataError, "no column of pictures"),
    "junk": ({}, {"a.parquet": b"hello"}, DataError, "cannot be read"),
    "pickles": ({}, {"train.pkl": b"\x80\x04."}, DataError, "cannot be read"),
    "script": ({}, {"script.py": b"raise SystemExit"}, DataError, "cannot be read"),
    "empty": ({}, {}, DataError, "cannot be read"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_set_of_pictures_is_told(hub, open_pack, kind):
    properties, files, error, words = REFUSED[kind]
    if properties is not None:
        hub.put(f"somebody/{kind}", files, "dataset", **properties)
    with pytest.raises(error, match=words) as caught:
        open_pack(f"hf:somebody/{kind}")
    assert caught.value.where == f"hf:somebody/{kind}"
    assert "\n" not in str(caught.value.got)


def test_a_split_that_is_not_there_is_told(hub, pngs, open_pack):
    hub.put("somebody/one", {"train.parquet": parquet(image=pngs(2))}, "dataset")
    with pytest.raises(DataError, match=r"no split for data\.split test") as caught:
        open_pack("hf:somebody/one", split="test")
    assert caught.value.got == "train"


def test_without_a_network_what_was_fetched_before_serves(pets, hub, open_pack, monkeypatch):
    hub.failing = lambda method, path: 503
    with pytest.raises(EnvironmentProblem, match="nothing was fetched from there before"):
        open_pack("hf:somebody/pets", size=8)
    hub.failing = lambda method, path: None
    pack = open_pack("hf:somebody/pets", size=8)
    hub.failing = lambda method, path: 503
    again = open_pack("hf:somebody/pets", size=8)
    assert again.fingerprint == pack.fingerprint
    assert "fetched before" in again.summary["notes"][1]
    hub.requests.clear()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert open_pack("hf:somebody/pets", size=8).fingerprint == pack.fingerprint
    assert open_pack(f"hf:somebody/pets@{pets.sha(1)}", size=8).fingerprint == pack.fingerprint
    with pytest.raises(EnvironmentProblem, match="another revision"):
        open_pack("hf:somebody/pets@v0", size=8)
    assert not hub.requests


def test_without_the_library_the_extra_is_named(hub, open_pack, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(EnvironmentProblem, match="library datasets") as caught:
        open_pack("hf:somebody/pets")
    assert (caught.value.exit_code, caught.value.hint) == (3, "pip install 'ganlet[datasets]'")


def test_a_folder_of_that_name_is_not_taken_for_the_set(pets, pngs, open_pack, tmp_path, monkeypatch):
    (tmp_path / "somebody" / "pets").mkdir(parents=True)
    (tmp_path / "somebody" / "pets" / "train.parquet").write_bytes(parquet(image=pngs(3, seed=9)))
    monkeypatch.chdir(tmp_path)
    assert len(open_pack("hf:somebody/pets", size=8)) == 4


def test_the_name_means_the_same_everywhere(pets):
    assert next(kind for kind, known in SOURCES.items() if known.matches("hf:somebody/pets")) == "hub"
    assert absolute_source("hf:somebody/pets@main") == "hf:somebody/pets@main"
    identities = {find_source(DataConfig(source=f"hf:somebody/pets{end}")).identity for end in ("", "@main", "@v1")}
    assert len(identities) == 1


def test_pixels_come_as_they_are(pets, noise, open_pack):
    found = shown(open_pack("hf:somebody/pets", size=8))
    np.testing.assert_array_equal(np.stack([found[f"train/{number}"] for number in range(4)]), noise(4, 8, 8, 3))
