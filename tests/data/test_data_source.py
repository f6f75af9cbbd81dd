import gzip
import hashlib
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganlet.data import smileys
from ganlet.data.memory import as_source, hold
from ganlet.data.settings import DataConfig
from ganlet.data.source import SOURCES, absolute_source, find_source, require_batch
from ganlet.data.spec import Source, SourceKind, SourcePicture
from ganlet.errors import DataError


def grey(shade=0):
    return np.full((8, 8, 1), shade, np.uint8)


def colour(shade=0):
    return np.full((8, 8, 3), shade, np.uint8)


def rgba(alpha, shade=0):
    return np.full((8, 8, 4), (shade, shade, shade, alpha), np.uint8)


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        ([grey(), grey(1)], 1),
        ([grey(), np.zeros((8, 8), np.uint16)], 1),
        ([grey(), grey(1), colour()], 3),
        ([rgba(255), rgba(255, 1)], 3),
        ([rgba(0), colour()], 3),
        ([rgba(0), rgba(254), colour()], 4),
        ([grey(), grey(1), Image.new("LA", (8, 8), (3, 9))], 1),
        ([Image.new("LA", (8, 8), (3, 9)), rgba(9)], 4),
    ],
)
def test_auto_channels(pictures, expected, write_folder, open_pack):
    pack = open_pack(write_folder({f"{i}.png": picture for i, picture in enumerate(pictures)}), size=8)
    assert pack.pictures.shape[3] == pack.summary["channels"] == expected


def test_broken_files_do_not_vote_on_channels(write_folder, open_pack):
    root = write_folder({"a.png": grey(), "b.png": grey(1), "c.png": b"", "d.png": b"text"})
    assert open_pack(root, skip_bad=True, skip_bad_limit=1).pictures.shape[3] == 1


def test_alpha_is_composited_on_the_background(write_folder, open_pack):
    root = write_folder({"a.png": rgba(51, shade=255), "b.png": colour(7)})
    pack = open_pack(root, size=8, background="#0a80ff")
    shown = {name: picture[0, 0].tolist() for name, picture in zip(pack.names, pack.pictures, strict=True)}
    assert shown == {"a.png": [59, 153, 255], "b.png": [7, 7, 7]}  # 255 * 0.2 + 10 * 0.8, 255 * 0.2 + 128 * 0.8


def test_random_cuts_are_packed_larger(write_folder, open_pack):
    pack = open_pack(write_folder({"a.png": grey(), "b.png": grey(1)}), size=(16, 24), crop="random")
    assert pack.pictures.shape == (2, 18, 27, 1)
    assert (pack.summary["size"], pack.summary["packed_size"]) == ([16, 24], [18, 27])


@pytest.mark.parametrize(
    ("settings", "size", "channels"), [({}, (32, 32), 3), ({"size": 16, "channels": 1}, (16, 16), 1)]
)
def test_smileys(open_pack, settings, size, channels):
    pack = open_pack("smileys", num_images=300, **settings)
    drawn, labels = smileys.draw_indices(0, np.arange(300), size, channels)
    assert pack.pictures.shape == drawn.shape
    expected = sorted((picture.tobytes(), label) for picture, label in zip(drawn, labels, strict=True))
    assert (
        sorted((picture.tobytes(), label) for picture, label in zip(pack.pictures, pack.labels, strict=True))
        == expected
    )
    assert pack.label_names == smileys.LABEL_NAMES
    assert pack.names is None
    assert pack.name(7) == "7"


def test_smileys_with_random_cuts_are_drawn_larger(open_pack):
    pack = open_pack("smileys", num_images=4, size=16, crop="random")
    drawn, _ = smileys.draw_indices(0, np.arange(4), (18, 18), 3)
    assert sorted(picture.tobytes() for picture in pack.pictures) == sorted(picture.tobytes() for picture in drawn)


def test_test_faces_are_the_same_whatever_is_trained_on_and_none_of_them_is(open_pack):
    few, many = (open_pack("smileys", num_images=count) for count in (40, 300))
    test = open_pack("smileys", split="test")
    whole = open_pack("smileys", split="all", num_images=None)
    fewer = {picture.tobytes() for picture in open_pack("smileys", split="test", num_images=50).pictures}
    trained_on, tested_on = ({picture.tobytes() for picture in pack.pictures} for pack in (many, test))
    assert (len(few), len(test), len(whole)) == (40, 10_000, 30_000)
    assert len(fewer) == 50
    assert fewer < tested_on
    assert not trained_on & tested_on
    assert trained_on | tested_on < {picture.tobytes() for picture in whole.pictures}


def test_what_identifies_the_faces_trained_on_is_as_it_was():
    sample, _ = smileys.draw_indices(0, np.arange(256), (32, 32), 3)
    digest = hashlib.blake2b(sample.tobytes(), digest_size=16).hexdigest()
    assert find_source(DataConfig()).identity == f"{digest} 20000"
    assert find_source(DataConfig(num_images=7)).identity == f"{digest} 7"
    assert find_source(DataConfig(num_images=7, split="test")).identity != f"{digest} 7"


def test_other_drawings_are_another_pack(open_pack, monkeypatch):
    first = open_pack("smileys", num_images=4)
    draw = smileys.draw_indices

    def darker(*arguments):
        pictures, labels = draw(*arguments)
        return pictures // 2, labels

    monkeypatch.setattr(smileys, "draw_indices", darker)
    assert open_pack("smileys", num_images=4).fingerprint != first.fingerprint


ON_DISK = [kind for kind in SOURCES if kind != "hub"]  # test_data_hub_pictures asks a hub the same


@pytest.fixture
def every_source(tmp_path, write_folder, noise):
    """A small source of each kind: its `data.source`."""
    folder = write_folder({"a.png": grey(), "b.png": grey(1)})
    idx = tmp_path / "idx"
    idx.mkdir()
    drawn = noise(4, 28, 28)
    (idx / "train-images-idx3-ubyte.gz").write_bytes(
        gzip.compress(struct.pack(">4I", 0x803, *drawn.shape) + drawn.tobytes())
    )
    cifar = tmp_path / "cifar" / "cifar-10-batches-bin"
    cifar.mkdir(parents=True)
    for number in range(1, 6):
        (cifar / f"data_batch_{number}.bin").write_bytes(bytes([number]) + noise(3072, seed=number).tobytes())
    return {
        "smileys": "smileys",
        "ring": "ring",
        "memory": hold(noise(4, 8, 8, 3)),
        "stacked": f"stacked:{idx}",
        "folder": folder,
        "zip": shutil.make_archive(str(tmp_path / "archive"), "zip", folder),
        "tar": shutil.make_archive(str(tmp_path / "archive"), "gztar", folder),
        "idx": idx,
        "cifar10": cifar.parent,
        "torchvision": f"torchvision:ImageFolder:{folder}",
    }


@pytest.mark.parametrize("kind", ON_DISK)
def test_every_kind_of_source_is_opened_and_cached(kind, every_source, open_pack, monkeypatch):
    calls = []
    pack = open_pack(every_source[kind], num_images=2)
    again = open_pack(every_source[kind], num_images=2)
    monkeypatch.setattr("ganlet.data.pack._build", lambda *arguments: calls.append(arguments))
    assert pack.summary["kind"] == again.summary["kind"] == kind
    assert len(open_pack(every_source[kind], num_images=2)) == 2
    assert not calls


@pytest.mark.parametrize("kind", ON_DISK)
def test_every_kind_knows_its_own_and_nobody_takes_it_before(kind, every_source):
    source = str(every_source[kind])
    assert SOURCES[kind].matches(source)
    assert next(name for name, other in SOURCES.items() if other.matches(source)) == kind
    assert find_source(DataConfig(source=source)).kind == kind


@pytest.mark.parametrize("kind", SOURCES)
def test_no_kind_takes_what_is_not_there(kind, tmp_path):
    for source in ("smilies", str(tmp_path / "nowhere"), "stackd:mnist", "", "\0"):
        assert not SOURCES[kind].matches(source) or (kind, source) == ("folder", "")  # the current folder


@pytest.mark.parametrize("kind", ON_DISK)
def test_every_kind_means_the_same_from_every_folder_once_it_is_absolute(kind, every_source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = str(every_source[kind]).replace(f"{tmp_path}/", "")
    absolute = absolute_source(source)
    identity = find_source(DataConfig(source=source)).identity
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert find_source(DataConfig(source=absolute)).identity == identity
    assert absolute_source(absolute) == absolute


def test_only_some_have_pictures_for_test(every_source):
    assert {kind for kind, source in every_source.items() if find_source(DataConfig(source=str(source))).has_test} == {
        "smileys"
    }
    (every_source["idx"] / "t10k-images-idx3-ubyte").touch()
    (every_source["cifar10"] / "cifar-10-batches-bin" / "test_batch.bin").touch()
    assert {kind for kind, source in every_source.items() if find_source(DataConfig(source=str(source))).has_test} == {
        "smileys",
        "stacked",
        "idx",
        "cifar10",
    }


def test_a_kind_of_source_of_ones_own(open_pack, monkeypatch):
    def pictures():
        return iter([SourcePicture(grey(shade), label=shade % 2) for shade in range(4)])

    mine = SourceKind(
        "shades of grey",
        matches=lambda text: text == "shades",
        open=lambda config: Source("shades", "1", 4, pictures, ("even", "odd"), channels=1),
        absolute=lambda text: text,
    )
    with pytest.raises(DataError, match="no such source"):
        open_pack("shades")
    monkeypatch.setitem(SOURCES, "shades", mine)
    pack = open_pack("shades", size=8)
    assert (pack.summary["kind"], len(pack), pack.label_names) == ("shades", 4, ("even", "odd"))
    assert absolute_source("shades") == "shades"
    with pytest.raises(DataError, match="no such source") as caught:
        open_pack("shade")
    assert caught.value.hint == "did you mean shades?"


def test_a_file_of_idx_pictures_may_be_named(every_source, open_pack):
    assert open_pack(every_source["idx"] / "train-images-idx3-ubyte.gz").summary["kind"] == "idx"


def test_a_changed_archive_is_packed_anew(every_source, open_pack, write_folder):
    before = open_pack(every_source["zip"])
    write_folder({"c.png": grey(9)})
    shutil.make_archive(every_source["zip"].removesuffix(".zip"), "zip", every_source["folder"])
    assert len(open_pack(every_source["zip"])) == len(before) + 1


def test_progress_counts_up_to_the_total(write_folder):
    from ganlet.data.source import open_source

    calls = []
    config = DataConfig(source=str(write_folder({f"{i}.png": grey(i) for i in range(7)})))
    open_source(config, lambda done, total: calls.append((done, total)))
    assert calls[-1] == (7, 7)
    open_source(config, lambda done, total: pytest.fail("packed again"))


def test_a_source_is_the_same_by_another_path_and_the_summary_names_it_as_given(
    write_folder, open_pack, monkeypatch, no_decoding
):
    root = write_folder({"a.png": grey(), "b.png": grey(1)})
    open_pack(root)
    monkeypatch.chdir(root.parent)
    no_decoding()
    assert open_pack("pictures").summary["source"] == "pictures"


def test_a_path_may_start_at_home(write_folder, open_pack, monkeypatch):
    root = write_folder({"a.png": grey(), "b.png": grey(1)})
    monkeypatch.setenv("HOME", str(root.parent))
    assert len(open_pack("~/pictures")) == 2


def test_a_folder_that_is_called_smileys_needs_a_path(write_folder, monkeypatch):
    root = write_folder({"a.png": grey(), "b.png": grey(1)}, root="smileys")
    monkeypatch.chdir(root.parent)
    assert find_source(DataConfig(source="./smileys")).kind == "folder"
    assert find_source(DataConfig(source="smileys")).kind == "smileys"


@pytest.mark.parametrize("source", ["smileys", "ring"])
def test_a_named_source_means_the_same_everywhere(source):
    assert absolute_source(source) == source


def test_paths_become_absolute_also_those_of_digits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert absolute_source("pictures") == f"{tmp_path}/pictures"
    assert absolute_source("stacked:mnist") == f"stacked:{tmp_path}/mnist"
    assert absolute_source("stacked:~/mnist") == f"stacked:{tmp_path}/home/mnist"
    assert absolute_source(f"stacked:{tmp_path}/mnist") == f"stacked:{tmp_path}/mnist"


def test_a_path_that_no_system_takes_becomes_absolute_all_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_source("x" * 300) == f"{tmp_path}/{'x' * 300}"


@pytest.mark.parametrize("prefix", ["", "stacked:"])
def test_a_source_that_may_not_be_read_is_named(prefix, tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    for kind in ("cifar10", "stacked"):
        replaced = SourceKind("", matches=SOURCES[kind].matches, open=refuse)
        monkeypatch.setitem(SOURCES, kind, replaced)
    monkeypatch.setattr("ganlet.data.idx_cifar.find_cifar", lambda folder: folder)
    with pytest.raises(DataError, match="cannot be read") as caught:
        find_source(DataConfig(source=f"{prefix}{tmp_path}"))
    assert (caught.value.where, caught.value.got) == (str(tmp_path), "Permission denied")


def test_digits_that_are_not_there(tmp_path):
    (tmp_path / "mnist").mkdir()
    with pytest.raises(DataError, match="no such source") as caught:
        find_source(DataConfig(source=f"stacked:{tmp_path}/mnits"))
    assert caught.value.hint == f"did you mean stacked:{tmp_path}/mnist?"
    with pytest.raises(DataError, match="no such source") as caught:
        find_source(DataConfig(source=f"stacked:{tmp_path}/ring"))
    assert caught.value.hint == "ganlet list datasets"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("smilies", "did you mean smileys?"),
        ("rinq", "did you mean ring?"),
        ("celebs", "ganlet list datasets"),
        ("{root}/picture", "did you mean {root}/pictures?"),
        ("{root}/nowhere/at/all", "ganlet list datasets"),
    ],
)
def test_a_source_that_is_not_there(write_folder, monkeypatch, name, hint):
    root = write_folder({"a.png": grey()}).parent
    (root / "elsewhere").mkdir()
    monkeypatch.chdir(root / "elsewhere")
    with pytest.raises(DataError, match="no such source") as caught:
        find_source(DataConfig(source=name.format(root=root)))
    assert caught.value.where == name.format(root=root)
    assert caught.value.hint == hint.format(root=root)


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        (" pictures", "did you mean pictures?"),
        ("'pictures' ", "did you mean pictures?"),
        ("$ROOT/pictures", "did you mean {root}/pictures?"),
        ("my\\ pictures", "did you mean my pictures?"),
        (".\\my pictures\\1.zip", "did you mean ./my pictures/1.zip?"),
        ("pictures/*.png", "give the folder: pictures"),
        ("'~nosuchuser/x'", "ganlet list datasets"),
    ],
)
def test_a_source_as_it_was_typed_without_a_shell(write_folder, monkeypatch, typed, hint):
    root = write_folder({"a.png": grey()}).parent
    (root / "my pictures").mkdir()
    (root / "my pictures" / "1.zip").touch()
    monkeypatch.chdir(root)
    monkeypatch.setenv("ROOT", str(root))
    with pytest.raises(DataError, match="no such source") as caught:
        find_source(DataConfig(source=typed))
    assert caught.value.hint == hint.format(root=root)


def test_an_address_of_a_file_is_its_path_and_others_are_to_be_downloaded(write_folder):
    root = write_folder({"a.png": grey()}, "my pictures")
    assert as_source(f"{root.as_uri()}") == as_source(f"file://localhost{root}") == str(root)
    assert as_source(f"stacked:file://{root}") == f"stacked:{root}"
    for address in ("https://example.org/" + "x" * 300, "s3://bucket/pictures"):
        with pytest.raises(DataError, match="address") as caught:
            as_source(address)
        assert caught.value.hint.startswith("download it first")


def test_what_is_there_and_no_source_is_not_asked_for_again(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    for path, what in (("/dev/null", "a pipe, a socket or a device"), (tmp_path / "link", "a link that leads nowhere")):
        with pytest.raises(DataError, match=f"The source is {what}") as caught:
            find_source(DataConfig(source=str(path)))
        assert caught.value.hint is None


def test_a_source_that_is_not_there_where_nobody_may_look_around(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match="no such source"):
        find_source(DataConfig(source=str(tmp_path / "nowhere")))


def test_a_file_of_no_known_kind(write_folder):
    root = write_folder({"a.png": grey()})
    with pytest.raises(DataError, match="no known kind"):
        find_source(DataConfig(source=str(root / "a.png")))


def test_a_name_with_a_newline_is_shown_escaped():
    with pytest.raises(DataError, match=r"no\\nwhere"):
        find_source(DataConfig(source="no\nwhere"))


def test_a_batch_needs_its_pictures(write_folder, open_pack):
    pack = open_pack(write_folder({f"{i}.png": grey(i) for i in range(5)}))
    require_batch(pack, 5, allow_few=False)
    require_batch(pack, 6, allow_few=True)
    with pytest.raises(DataError, match="fewer pictures than one batch") as caught:
        require_batch(pack, 6, allow_few=False)
    assert (caught.value.got, caught.value.expected) == (5, "at least train.batch_size = 6")


def test_sources_are_found_without_torch():
    script = "import sys, ganlet.data.source; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
