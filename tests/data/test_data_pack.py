import errno
import itertools
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from collections import namedtuple
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlet.data.cache import cache_folder
from ganlet.data.pack import fingerprint_of
from ganlet.errors import ConfigError, DataError, EnvironmentProblem, ResourceProblem


@pytest.fixture
def pictures(noise):
    """Ten different grey pictures by file name, in two sub-folders."""
    return {f"{'ab'[i % 2]}/{i}.png": noise(10, 8, 1, seed=i) for i in range(10)}


def files_of(cache):
    """All files in a cache but the empty ones that are locked while a pack is built."""
    names = (path.relative_to(cache).as_posix() for path in cache.rglob("*") if path.is_file())
    return sorted(name for name in names if not name.startswith("locks/"))


def leftovers(cache):
    return [path for path in cache.iterdir() if path.name not in ("keys", "locks", "packs")]


def test_pictures_are_in_the_order_of_their_digests_with_their_labels_and_names(write_folder, open_pack, pictures):
    pack = open_pack(write_folder(pictures), size=(10, 8))
    assert sorted(pack.names) == sorted(pictures)
    for picture, label, name in zip(pack.pictures, pack.labels, pack.names, strict=True):
        np.testing.assert_array_equal(picture, pictures[name])
        assert pack.label_names[label] == name[0]
    assert pack.labels.dtype == np.int64
    assert list(pack.names) != sorted(pictures)  # with ten pictures, by chance: 1 in 3.6 million


def test_a_pack_cannot_be_written_to(write_folder, open_pack, pictures):
    pack = open_pack(write_folder(pictures))
    assert isinstance(pack.pictures, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        pack.pictures[0] = 0


def test_an_unchanged_source_is_not_decoded_again(write_folder, open_pack, pictures, no_decoding):
    root = write_folder(pictures)
    first = open_pack(root)
    no_decoding()
    second = open_pack(root, flip=True, allow_few=True)
    np.testing.assert_array_equal(first.pictures, second.pictures)
    assert (first.fingerprint, first.names, first.label_names) == (second.fingerprint, second.names, second.label_names)
    assert first.summary == second.summary
    np.testing.assert_array_equal(first.labels, second.labels)


@pytest.mark.parametrize(
    "settings",
    [{"size": 16}, {"channels": 3}, {"crop": "pad"}, {"num_images": 5}, {"crop": "random"}],
)
def test_other_settings_are_another_pack(write_folder, open_pack, pictures, settings):
    root = write_folder(pictures)
    assert open_pack(root).fingerprint != open_pack(root, **settings).fingerprint


def test_labels_are_chosen_without_decoding_again(write_folder, open_pack, pictures, no_decoding):
    root = write_folder(pictures)
    first = open_pack(root)
    no_decoding()
    second = open_pack(root, labels="classes", label_names=("b", "a"), balance=True)
    assert first.fingerprint == second.fingerprint
    np.testing.assert_array_equal(first.labels, second.labels)


def test_a_key_from_before_there_were_attributes_is_still_good(write_folder, open_pack, pictures, cache, no_decoding):
    root = write_folder(pictures)
    open_pack(root)
    (path,) = (cache / "keys").iterdir()
    entry = json.loads(path.read_text())
    del entry["attributes"], entry["attribute_names"]
    path.write_text(json.dumps(entry))
    no_decoding()
    pack = open_pack(root)
    assert (pack.attributes, pack.attribute_names) == (None, ())


@pytest.mark.parametrize("bits", ["", "00", "0g" * 10, 7, "00" * 11])
def test_a_key_with_damaged_attributes_is_built_again(write_folder, open_pack, pictures, cache, bits):
    table = "file,hat\n" + "".join(f"{name},{i % 2}\n" for i, name in enumerate(pictures))
    root = write_folder({**pictures, "attributes.csv": table.encode()})
    before = open_pack(root, labels="attributes")
    (path,) = (cache / "keys").iterdir()
    entry = json.loads(path.read_text())
    assert len(entry["attributes"]) == 20
    path.write_text(json.dumps({**entry, "attributes": bits}))
    np.testing.assert_array_equal(open_pack(root, labels="attributes").attributes, before.attributes)


def test_a_changed_file_of_the_same_size_and_time_changes_the_fingerprint(write_folder, open_pack, pictures, raw_png):
    def grey(value):
        return raw_png(8, 10, 8, 0, [[value] * 8] * 10)

    root = write_folder({**pictures, "a/0.png": grey(7)})
    before = os.stat(root / "a/0.png")
    first = open_pack(root)
    write_folder({"a/0.png": grey(8)})
    os.utime(root / "a/0.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(root / "a/0.png").st_size == before.st_size
    second = open_pack(root)
    assert first.fingerprint != second.fingerprint
    assert first.pictures.shape == second.pictures.shape


def test_a_file_that_comes_or_goes_changes_the_fingerprint(write_folder, open_pack, pictures, noise):
    root = write_folder(pictures)
    fingerprints = {open_pack(root).fingerprint}
    write_folder({"a/more.png": noise(10, 8, 1, seed=99)})
    fingerprints.add(open_pack(root).fingerprint)
    (root / "a/0.png").unlink()
    fingerprints.add(open_pack(root).fingerprint)
    assert len(fingerprints) == 3


def test_a_file_that_is_no_picture_changes_nothing(write_folder, open_pack, pictures, no_decoding):
    root = write_folder(pictures)
    open_pack(root)
    no_decoding()
    assert len(open_pack(write_folder({"README.txt": b"new"}))) == 10


def test_names_folders_and_order_do_not_matter(write_folder, open_pack, pictures, cache):
    first = open_pack(write_folder(pictures))
    renamed = {f"{99 - i}.png": picture for i, picture in enumerate(pictures.values())}
    second = open_pack(write_folder(renamed, root="renamed"))
    assert first.fingerprint == second.fingerprint
    np.testing.assert_array_equal(first.pictures, second.pictures)
    assert second.labels is None
    assert len(list((cache / "packs").iterdir())) == 1


@pytest.mark.parametrize("size", [(28, 28), (32, 32), (20, 24)])
@pytest.mark.parametrize("channels", ["auto", 3, 4])
@pytest.mark.parametrize("crop", ["center", "pad"])
def test_idx_files_and_png_files_and_a_zip_give_the_same_pack(
    tmp_path, write_folder, open_pack, noise, size, channels, crop
):
    drawn, labels = noise(12, 28, 28), [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8]
    folder = write_folder({f"{label}/{i}.png": drawn[i, ..., None] for i, label in enumerate(labels)})
    shutil.make_archive(str(tmp_path / "packed"), "zip", folder)
    idx = tmp_path / "train-images-idx3-ubyte"
    idx.write_bytes(struct.pack(">4I", 0x803, 12, 28, 28) + drawn.tobytes())
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, 12) + bytes(labels))
    packs = [
        open_pack(source, size=size, channels=channels, crop=crop) for source in (idx, folder, tmp_path / "packed.zip")
    ]
    assert len({pack.fingerprint for pack in packs}) == 1
    for pack in packs[1:]:
        np.testing.assert_array_equal(pack.pictures, packs[0].pictures)
        np.testing.assert_array_equal(pack.labels, packs[0].labels)
        assert pack.label_names == packs[0].label_names == tuple("12345689")
    assert packs[0].names is None
    assert packs[1].names == packs[2].names


def test_labels_are_not_in_the_fingerprint_but_in_the_pack(write_folder, open_pack, pictures):
    swapped = {("b" if name[0] == "a" else "a") + name[1:]: picture for name, picture in pictures.items()}
    first, second = open_pack(write_folder(pictures)), open_pack(write_folder(swapped, root="swapped"))
    assert first.fingerprint == second.fingerprint
    np.testing.assert_array_equal(first.labels, 1 - second.labels)


def test_equal_pictures_are_ordered_by_label_and_then_name(write_folder, open_pack, noise):
    same = noise(8, 8, 1)
    root = write_folder(dict.fromkeys(["a-b/1.png", "a/2.png", "a/1.png", "a-b/0.png"], same))
    pack = open_pack(root, size=8)
    assert pack.names == ("a/1.png", "a/2.png", "a-b/0.png", "a-b/1.png")  # as paths, a-b/ is before a/
    assert pack.summary["num_duplicates"] == 3


def test_num_images_takes_the_first_ones(write_folder, open_pack, pictures):
    root = write_folder(pictures)
    whole, part = open_pack(root), open_pack(root, num_images=4)
    np.testing.assert_array_equal(part.pictures, whole.pictures[:4])
    np.testing.assert_array_equal(part.labels, whole.labels[:4])
    assert part.names == whole.names[:4]
    assert sum(part.summary["classes"].values()) == part.summary["count"] == 4


@given(st.lists(st.integers(0, 255), min_size=1, max_size=6), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_fingerprint_is_of_the_content_in_any_order(shades, random):
    pictures = np.array(shades, np.uint8).reshape(-1, 1, 1, 1).repeat(4, axis=1)
    shuffled = pictures[random.sample(range(len(shades)), len(shades))]
    assert fingerprint_of(shuffled) == fingerprint_of(pictures)
    assert fingerprint_of(pictures.reshape(-1, 2, 2, 1)) != fingerprint_of(pictures)
    assert fingerprint_of(np.concatenate([pictures, pictures[:1]])) != fingerprint_of(pictures)
    assert fingerprint_of(pictures ^ np.uint8(1)) != fingerprint_of(pictures) or sorted(shades) == sorted(
        shade ^ 1 for shade in shades
    )


def test_a_pack_can_be_verified(write_folder, open_pack, pictures):
    pack = open_pack(write_folder(pictures))
    assert fingerprint_of(pack.pictures) == pack.fingerprint


def test_threads_and_chunks_do_not_matter(write_folder, open_pack, pictures, monkeypatch):
    root = write_folder(pictures)
    packs = []
    for cpus, chunk in ((1, 512), (5, 3), (3, 4)):
        monkeypatch.setattr("os.cpu_count", lambda cpus=cpus: cpus)
        monkeypatch.setattr("ganlet.data.ingest.CHUNK_PICTURES", chunk)
        monkeypatch.setattr("ganlet.data.pack.GATHER_BYTES", chunk * 1000)
        monkeypatch.setenv("GANLET_CACHE", str(root.parent / f"cache-{cpus}"))
        packs.append(open_pack(root))
    for pack in packs[1:]:
        np.testing.assert_array_equal(pack.pictures, packs[0].pictures)
        assert pack.names == packs[0].names


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(path):
    path.write_bytes(path.read_bytes() + b"x")


def overwrite(path):
    path.write_bytes(b"rubbish")


def of_another_shape(path):
    with open(path, "wb") as file:
        np.save(file, np.zeros((2, 2, 2, 1), np.uint8))


def of_another_type(path):
    with open(path, "r+b") as file:
        start = file.read(128)
        file.seek(0)
        file.write(start.replace(b"|u1", b"|i1"))


def pickled(path):
    with open(path, "wb") as file:
        np.save(file, np.array([{}], object), allow_pickle=True)


def flip_a_bit_at_the_end(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


DAMAGES = [cut_short, lengthen, overwrite, of_another_shape, of_another_type, pickled, os.unlink]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("which", ["packs", "keys"])
def test_a_damaged_pack_is_built_again(write_folder, open_pack, pictures, cache, damage, which):
    root = write_folder(pictures)
    pictures = np.array(open_pack(root).pictures)
    before = {name: (cache / name).read_bytes() for name in files_of(cache)}
    (path,) = (cache / which).iterdir()
    damage(path)
    np.testing.assert_array_equal(open_pack(root).pictures, pictures)
    assert {name: (cache / name).read_bytes() for name in files_of(cache)} == before


@pytest.mark.parametrize("entry", [[], {}, {"fingerprint": 3}, None])
def test_a_key_that_says_nothing_is_built_again(write_folder, open_pack, pictures, cache, entry):
    root = write_folder(pictures)
    open_pack(root)
    (path,) = (cache / "keys").iterdir()
    path.write_text(json.dumps(entry))
    assert len(open_pack(root)) == 10


def test_a_pack_that_is_there_already_is_used(write_folder, open_pack, pictures, cache):
    open_pack(write_folder(pictures))
    (path,) = (cache / "packs").iterdir()
    before = path.stat()
    open_pack(write_folder(pictures, root="copy"))
    assert path.stat().st_ino == before.st_ino


def test_one_build_within_another(write_folder, pictures, cache, monkeypatch):
    """Two processes at once, in the order that a race could take where there are no locks."""
    from ganlet.data.settings import DataConfig
    from ganlet.data.source import open_source

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    config = DataConfig(source=str(write_folder(pictures)))
    inner = []
    outer = open_source(config, progress=lambda done, total: inner.append(open_source(config)))
    assert inner[0].fingerprint == outer.fingerprint
    np.testing.assert_array_equal(inner[0].pictures, outer.pictures)
    assert len(files_of(cache)) == 2
    assert not leftovers(cache)


def test_a_flipped_bit_in_the_pictures_is_seen_and_told(write_folder, open_pack, pictures, cache, caplog):
    root = write_folder(pictures)
    before = np.array(open_pack(root).pictures)
    (path,) = (cache / "packs").iterdir()
    flip_a_bit_at_the_end(path)
    np.testing.assert_array_equal(open_pack(root).pictures, before)
    assert "is damaged, so it is built anew" in caplog.text
    caplog.clear()
    open_pack(root)
    assert not caplog.text


def test_who_waits_for_a_build_does_not_build_again(write_folder, pictures, cache, monkeypatch):
    from ganlet.data import pack
    from ganlet.data.settings import DataConfig
    from ganlet.data.source import open_source

    config = DataConfig(source=str(write_folder(pictures)))
    build_lock, build = pack.build_lock, pack._build
    built = []

    @contextmanager
    def meanwhile_another_builds(cache, key_path):
        with monkeypatch.context() as other:
            other.setattr(pack, "build_lock", build_lock)
            other.setattr(pack, "_build", build)
            open_source(config)
        yield

    monkeypatch.setattr(pack, "build_lock", meanwhile_another_builds)
    monkeypatch.setattr(pack, "_build", lambda *arguments: built.append(arguments))
    assert len(open_source(config)) == len(pictures)
    assert built == []


def test_two_processes_at_once(write_folder, pictures, cache):
    script = (
        "import sys; from ganlet.data.settings import DataConfig; from ganlet.data.source import open_source;"
        "sys.stdin.readline(); print(open_source(DataConfig(source=sys.argv[1])).fingerprint)"
    )
    command = [sys.executable, "-W", "error", "-c", script, str(write_folder(pictures))]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert outputs[0] == outputs[1]
    assert outputs[0].strip() == next((cache / "packs").iterdir()).stem
    assert len(files_of(cache)) == 2
    assert not leftovers(cache)


def test_what_dead_builds_left_is_removed_after_a_day(write_folder, open_pack, pictures, cache):
    old, young = cache / ".building-old", cache / ".building-young"
    for folder in (old, young):
        folder.mkdir()
        (folder / "unsorted").write_bytes(b"x")
    os.utime(old, (time.time() - 25 * 3600,) * 2)
    os.utime(young, (time.time() - 23 * 3600,) * 2)
    open_pack(write_folder(pictures))
    assert leftovers(cache) == [young]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_a_build_that_is_stopped_leaves_nothing(write_folder, pictures, cache, stop):
    from ganlet.data.settings import DataConfig
    from ganlet.data.source import open_source

    def progress(done, total):
        raise stop

    with pytest.raises(stop):
        open_source(DataConfig(source=str(write_folder(pictures))), progress)
    assert not leftovers(cache)
    assert not files_of(cache)


Usage = namedtuple("Usage", "total used free")


def test_too_little_room_is_told_before_anything_is_decoded(write_folder, open_pack, pictures, cache, monkeypatch):
    root = write_folder(pictures)
    needed = 2 * 10 * 32 * 32
    monkeypatch.setattr("ganlet.data.pack._write_pack", lambda *_: pytest.fail("began all the same"))
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**9, 10**9, needed - 1))
    with pytest.raises(ResourceProblem, match="disk is full") as caught:
        open_pack(root)
    assert caught.value.expected == f"{needed} bytes free"
    assert caught.value.where == str(cache)
    assert "GANLET_CACHE" in caught.value.hint


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_leaves_nothing(write_folder, open_pack, pictures, cache, monkeypatch, code):
    def full(handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ResourceProblem, match=f"{2 * 10 * 32 * 32} bytes free"):
        open_pack(write_folder(pictures))
    assert not leftovers(cache)
    assert not files_of(cache)


def test_a_cache_folder_that_is_none(write_folder, open_pack, pictures, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("GANLET_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ConfigError, match="A folder is meant here, and this is a file") as caught:
        open_pack(write_folder(pictures))
    assert caught.value.where == "GANLET_CACHE"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_folder_that_cannot_be_written(write_folder, open_pack, pictures, cache):
    cache.chmod(0o500)
    with pytest.raises(EnvironmentProblem, match="Permission denied"):
        open_pack(write_folder(pictures))


def test_the_cache_folder_of_the_system(monkeypatch):
    monkeypatch.delenv("GANLET_CACHE")
    assert cache_folder().name == "ganlet"


BROKEN = {f"broken-{i:02}.png": b"no picture" for i in range(12)}


def test_broken_files_stop_and_are_listed(write_folder, open_pack, pictures, cache, caplog):
    caplog.set_level("INFO", "ganlet.data")
    with pytest.raises(DataError, match="12 of 22 pictures cannot be used") as caught:
        open_pack(write_folder(pictures | BROKEN))
    listed = caught.value.got.splitlines()
    assert len(listed) == 11
    assert listed[0] == "broken-00.png: not a PNG, JPEG, WebP, BMP, GIF, TIFF, AVIF, JPEG 2000, PNM or TGA picture"
    assert listed[-1].strip() == "and 2 more"
    assert "data.skip_bad=true" in caught.value.hint
    assert len(caplog.records) == 12
    assert not files_of(cache)


def test_names_of_broken_files_are_escaped(write_folder, open_pack, pictures):
    with pytest.raises(DataError, match="cannot be used") as caught:
        open_pack(write_folder(pictures | {"\u202e\x1b[31m.png": b"x"}))
    assert caught.value.got.startswith(r"\u202e\x1b[31m.png: not a")


def test_few_broken_files_may_be_skipped(write_folder, open_pack, pictures):
    pack = open_pack(write_folder(pictures | {"broken.png": b""}), skip_bad=True, skip_bad_limit=0.1)
    assert sorted(pack.names) == sorted(pictures)
    assert pack.summary["skipped"] == [{"name": "broken.png", "reason": "empty file"}]
    assert (pack.summary["count"], pack.summary["num_found"]) == (10, 11)


def test_many_broken_files_may_not_be_skipped(write_folder, open_pack, pictures):
    root = write_folder(pictures | {"broken.png": b""})
    with pytest.raises(DataError, match=r"1 of 11 pictures \(9\.1%\) cannot be used") as caught:
        open_pack(root, skip_bad=True, skip_bad_limit=0.09)
    assert caught.value.got == "broken.png: empty file"
    assert caught.value.expected == "at most data.skip_bad_limit = 9.0% (0 to 1)"


@pytest.mark.parametrize(("count", "settings"), [(1, {}), (3, {"num_images": 1}), (3, {"num_images": 4})])
def test_too_few_pictures(write_folder, open_pack, pictures, count, settings):
    with pytest.raises(DataError, match="pictures") as caught:
        open_pack(write_folder(dict(itertools.islice(pictures.items(), count))), **settings)
    expected = {(1, None): (1, "at least 2"), (3, 1): (1, "at least 2"), (3, 4): (3, 4)}
    assert (caught.value.got, caught.value.expected) == expected[count, settings.get("num_images")]


def test_one_picture_is_allowed_on_request(write_folder, open_pack, pictures):
    assert len(open_pack(write_folder({"a.png": pictures["a/0.png"]}), allow_few=True)) == 1


def test_none_is_never_allowed(write_folder, open_pack):
    with pytest.raises(DataError, match="too few pictures"):
        open_pack(write_folder({"a.png": b""}), allow_few=True, skip_bad=True, skip_bad_limit=1)


def test_the_summary_is_json_and_tells_what_was_there(write_folder, open_pack, noise, encode):
    root = write_folder(
        {
            "cats/a.png": noise(8, 8, 3),
            "cats/b.gif": encode(noise(40, 50, 3), "GIF"),
            "dogs/c.png": np.zeros((64, 32, 4), np.uint8),
            "dogs/d.png": np.full((64, 32, 4), 255, np.uint8),
            "notes.txt": b"",
        }
    )
    summary = open_pack(root, size=(32, 40)).summary
    assert json.loads(json.dumps(summary)) == summary
    assert summary == {
        "source": str(root),
        "has_test": False,
        "kind": "folder",
        "count": 4,
        "num_found": 4,
        "size": [32, 40],
        "packed_size": [32, 40],
        "channels": 3,
        "num_duplicates": 1,  # both are white on white
        "classes": {"cats": 2, "dogs": 2},
        "ignored": {".txt": 1},
        "left_out": {"other": {"count": 1, "first": ["notes.txt"]}},
        "tables": ["notes.txt"],
        "notes": ["not read: 1 .txt"],
        "modes": {"RGBA": 2, "RGB": 1, "P": 1},
        "num_animated": 0,
        "num_transparent": 1,
        "num_enlarged": 3,
        "num_sizes": 3,
        "smallest_sides": [8, 8],
        "largest_sides": [64, 50],
        "skipped": [],
    }
