"""Zip and tar archives in every compression are read as the folder would be, and wicked or damaged ones are refused."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import random
import tarfile
import tempfile
import zipfile
from pathlib import Path

import layouts
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganlet.data.archive import open_tar, open_zip
from ganlet.data.folder import open_folder
from ganlet.data.settings import DataConfig
from ganlet.data.source import find_source
from ganlet.errors import DataError

MAX_BYTES = 2**20
QUICK = settings(deadline=None, max_examples=10, suppress_health_check=list(HealthCheck))
LONG = settings(QUICK, max_examples=100)
PACKINGS = {"plain": bytes, "gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
TAR_FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
GOOD = layouts.PICTURES["PNG"]
containers = st.tuples(
    st.sampled_from(["zip", *PACKINGS]), st.sampled_from(["", "./", "back\\slash"]), st.booleans(), st.integers(0, 99)
)


def files_of(layout):
    """Every file below a folder, by its name there."""
    found = {}
    for folder, _, files in os.walk(layout.root):
        for name in files:
            path = Path(folder, name)
            found[os.path.relpath(path, layout.root)] = path.read_bytes()
    return found


def write_zip(path, files, style, with_folders, seed):
    with zipfile.ZipFile(path, "w") as archive:
        for folder in folders_of(files) if with_folders else []:
            archive.writestr(f"{folder}/", b"")
        for name, content in files.items():
            info = zipfile.ZipInfo("x")
            info.compress_type = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)[seed % 3]
            info.filename = name.replace("/", "\\") if style == "back\\slash" else f"{style}{name}"
            info.create_system = 0 if style == "back\\slash" else 3
            archive.writestr(info, content)


def write_tar(path, files, style, with_folders, seed, packing):
    short = all(len(os.fsencode(name)) < 98 for name in [*files, *folders_of(files)])
    kind = list(TAR_FORMATS.values())[seed % 3] if short else TAR_FORMATS["gnu"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind, errors="surrogateescape") as archive:
        for folder in folders_of(files) if with_folders else []:
            info = tarfile.TarInfo(folder)
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}" if style == "./" else name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    path.write_bytes(PACKINGS[packing](buffer.getvalue()))


def folders_of(files):
    return sorted({str(above) for name in files for above in Path(name).parents} - {"."})


def told(source):
    return {picture.name: picture.content() for picture in source.pictures()}


def check(items, container):
    kind, style, with_folders, seed = container
    with tempfile.TemporaryDirectory() as folder:
        layout = layouts.write(Path(folder).resolve() / "source", Path(folder).resolve() / "outside", items)
        files = list(files_of(layout).items())
        random.Random(seed).shuffle(files)
        path = Path(folder) / "archive"  # told by its content
        if kind == "zip":
            write_zip(path, dict(files), style, with_folders, seed)
        else:
            write_tar(path, dict(files), style, with_folders, seed, kind)
        config = DataConfig(source=str(path), max_bytes=MAX_BYTES)
        if not layout.read:
            with pytest.raises(DataError, match="no pictures"):
                find_source(config)
            return
        expected, source = open_folder(layout.root, MAX_BYTES), find_source(config)
        assert source.kind == ("zip" if kind == "zip" else "tar")
        assert told(source) == told(expected)
        assert [picture.name for picture in source.pictures()] == layout.read
        # An archive may have no entries for folders.
        nothing_in = {"no pictures"}
        assert {o.name: o.why for o in source.left_out if o.why not in nothing_in} == {
            o.name: o.why for o in expected.left_out if o.why not in nothing_in
        }
        assert source.label_names == expected.label_names
        assert [p.label for p in source.pictures()] == [p.label for p in expected.pictures()]
        source.close()


@given(layouts.plain_layouts, containers)
@QUICK
def test_an_archive_is_read_as_the_folder_would_be(items, container):
    check(items, container)


@pytest.mark.slow
@given(layouts.plain_layouts, containers)
@LONG
def test_many_archives_are_read_as_the_folder_would_be(items, container):
    check(items, container)


def member(name, content=GOOD, kind=tarfile.REGTYPE, link="", size=None):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(content) if size is None else size
    return info, content


def tar_of(members, kind=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture
def opened(tmp_path):
    """Open bytes as a tar archive, and close it in the end."""
    sources = []

    def opened(data, max_bytes=MAX_BYTES):
        (tmp_path / "set.tar").write_bytes(data)
        sources.append(open_tar(tmp_path / "set.tar", max_bytes))
        return sources[-1]

    yield opened
    for source in sources:
        source.close()


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(
    ("wicked", "got", "expected"),
    [
        (member("../evil.png"), "a member named ../evil.png", "plain relative paths"),
        (member("a/../../evil.png"), "a member named a/../../evil.png", "plain relative paths"),
        (member("/etc/evil.png"), "a member named /etc/evil.png", "plain relative paths"),
        (member("C:\\evil.png"), "a member named C:\\\\evil.png", "plain relative paths"),
        (member("a\\..\\..\\evil.png"), r"a member named a\\..\\..\\evil.png", "plain relative paths"),
        (member("l.png", b"", tarfile.SYMTYPE, "/etc/passwd"), "l.png, which is a link", "files and folders only"),
        (member("h.png", b"", tarfile.LNKTYPE, "good.png"), "h.png, which is a link", "files and folders only"),
        (member("d.png", b"", tarfile.CHRTYPE), "d.png, which is a device", "files and folders only"),
        (member("p.png", b"", tarfile.FIFOTYPE), "p.png, which is a pipe", "files and folders only"),
        (member("good.png"), "two members named good.png", "each name once"),
        (member("./good.png"), "two members named good.png", "each name once"),
        (member("good.png/more.png"), "two members named good.png/more.png", "each name once"),
        (
            member("big.png", os.urandom(MAX_BYTES + 1)),
            "big.png of 1048577 bytes",
            "at most data.max_bytes = 1048576 (up to 1099511627776)",
        ),
    ],
)
def test_a_tar_with_a_wicked_member_is_refused_as_a_whole(opened, packing, wicked, got, expected):
    with pytest.raises(DataError, match="tar archive is refused") as caught:
        opened(PACKINGS[packing](tar_of([member("good.png"), wicked])))
    assert (caught.value.got, caught.value.expected) == (got, expected)


@pytest.mark.parametrize("packing", ["bz2", "xz"])  # gzip cannot do as much
def test_a_bomb_is_refused_before_it_is_unpacked(opened, packing):
    bomb = tar_of([member("good.png"), member("notes.txt", bytes(30 * 2**20))])
    with pytest.raises(DataError, match="tar archive is refused") as caught:
        opened(PACKINGS[packing](bomb), max_bytes=2**10)
    assert caught.value.expected == "no bombs"


def test_what_unpacks_to_a_little_is_no_bomb(opened):
    data = tar_of([member("good.png"), member("notes.txt", bytes(2**19))])
    assert told(opened(lzma.compress(data))) == {"good.png": GOOD}


@pytest.mark.parametrize("packing", PACKINGS)
def test_too_many_members_are_refused(opened, packing, monkeypatch):
    monkeypatch.setattr("ganlet.data.archive.MAX_MEMBERS", 2)
    two = [member("1.png"), member("2.txt", b"x")]
    assert told(opened(PACKINGS[packing](tar_of(two)))) == {"1.png": GOOD}
    with pytest.raises(DataError, match="3 members"):
        opened(PACKINGS[packing](tar_of([*two, member("3.txt", b"x")])))


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_tar_that_is_cut_off_is_damaged_wherever_it_is_cut(opened, packing):
    members = [member(f"{i}.png", os.urandom(700)) for i in range(4)]
    whole = PACKINGS[packing](tar_of(members))
    end = 4 * 1_536 if packing == "plain" else len(whole) - 1  # then there are zeros
    for cut in [*range(600, end, 97), end]:
        with pytest.raises(DataError, match=r"damaged|no known kind"):
            opened(whole[:cut])


def test_names_cannot_make_folders_without_end(opened, monkeypatch):
    deep = "/".join(["d"] * 400)
    assert list(told(opened(tar_of([member(f"{deep}/1.png")])))) == [f"{deep}/1.png"]
    with pytest.raises(DataError, match="refused") as caught:
        opened(tar_of([member("/".join(["d"] * 3_000))]))
    assert (caught.value.got, caught.value.expected) == ("a name of 5999 characters", "at most 1024")
    monkeypatch.setattr("ganlet.data.archive.MAX_FOLDERS", 600)
    with pytest.raises(DataError, match="refused") as caught:
        opened(tar_of([member(f"{deep}/1.png"), member(f"x/{deep}/1.png")]))
    assert (caught.value.got, caught.value.expected) == ("801 folders", "at most 600")


def test_a_damaged_header_in_the_middle_is_no_end(opened):
    data = bytearray(tar_of([member("1.png"), member("2.png"), member("3.png")]))
    data[data.index(b"2.png")] ^= 1
    with pytest.raises(DataError, match="damaged") as caught:
        opened(bytes(data))
    assert caught.value.got == "bad checksum at byte 1024"


def test_every_archive_is_read_where_several_are_one_file(opened):
    data = tar_of([member("1.png")]) + tar_of([member("2.png")])
    assert told(opened(data)) == {"1.png": GOOD, "2.png": GOOD}
    with pytest.raises(DataError, match="damaged"):
        opened(data + os.urandom(512))


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_size_below_zero_is_damage(opened, kind):
    data = bytearray(tar_of([member("x", kind=kind), member("1.png")], tarfile.GNU_FORMAT))
    data[124:136] = tarfile.itn(-5, 12, tarfile.GNU_FORMAT)
    data[148:156] = b"%06o\0 " % tarfile.calc_chksums(data[:512])[0]
    with pytest.raises(DataError, match="damaged") as caught:
        opened(bytes(data))
    assert caught.value.got == "a member of -5 bytes at byte 0"


@pytest.mark.parametrize(
    ("facts", "got"),
    [
        (b"9" * 5_000 + b" path=x\n", "facts about a member that cannot be read"),
        (b"5010 size=" + b"9" * 4_999 + b"\n", "a size that is no number at byte 5632"),
    ],
)
def test_a_number_of_any_length_is_damage(opened, facts, got):
    with pytest.raises(DataError, match="damaged") as caught:
        opened(tar_of([member("x", facts, tarfile.XHDTYPE), member("1.png")], tarfile.USTAR_FORMAT))
    assert caught.value.got == got


def test_facts_of_any_size_are_not_read(opened):
    info, content = member("x", bytes(2**21), tarfile.XHDTYPE)
    with pytest.raises(DataError, match="damaged") as caught:
        opened(tar_of([(info, content)], tarfile.USTAR_FORMAT))
    assert caught.value.got == "2097152 bytes of facts about one member"


@pytest.mark.parametrize("kind", TAR_FORMATS)
def test_long_and_foreign_names_are_read(opened, kind):
    name = "d" * 90 + "/" + "café" * 15 + ".png"
    (found,) = told(opened(tar_of([member(name)], TAR_FORMATS[kind])))
    assert found == name


def test_facts_about_all_members_do_not_matter(opened):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", pax_headers={"comment": "as git archive writes it"}) as archive:
        info, content = member("1.png")
        archive.addfile(info, io.BytesIO(content))
    assert told(opened(buffer.getvalue())) == {"1.png": GOOD}


def test_members_are_read_from_several_threads_and_out_of_order(opened):
    from concurrent.futures import ThreadPoolExecutor

    contents = {f"{i:03}.png": os.urandom(3_000) for i in range(60)}
    source = opened(gzip.compress(tar_of([member(name, content) for name, content in contents.items()])))
    pictures = list(source.pictures())[::-1]
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda picture: picture.content(), pictures))
    assert dict(zip((picture.name for picture in pictures), read, strict=True)) == contents


def test_nothing_of_an_unpacked_archive_stays_in_the_cache(opened, cache):
    source = opened(gzip.compress(tar_of([member("1.png")])))
    assert told(source) == {"1.png": GOOD}
    source.close()
    assert list(cache.iterdir()) == []


class TestContent:
    def test_a_gzip_file_is_what_is_in_it(self, tmp_path):
        idx = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 8]) + bytes(128)
        for name, content, kind in (("a", idx, "idx"), ("b", tar_of([member("1.png")]), "tar")):
            path = tmp_path / name
            path.write_bytes(gzip.compress(content, mtime=0))
            with_name = find_source(DataConfig(source=str(path)))
            assert with_name.kind == kind
            with_name.close()

    @pytest.mark.parametrize(
        ("name", "content", "hint"),
        [
            ("x.gz", gzip.compress(b"text", mtime=0), "unpack it and give the folder"),
            ("x.7z", b"7z\xbc\xaf\x27\x1c" + bytes(50), "unpack it and give the folder"),
            ("x.npy", b"\x93NUMPY" + bytes(50), "arrays go to open_images in Python"),
            ("x.mp4", bytes(600), "save its frames"),
            ("x.png", GOOD, "give the folder that holds the pictures"),
        ],
    )
    def test_what_is_no_container_says_what_to_do(self, tmp_path, name, content, hint):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="no known kind") as caught:
            find_source(DataConfig(source=str(tmp_path / name)))
        assert caught.value.hint == hint

    @pytest.mark.parametrize(
        ("content", "what", "hint"),
        [
            (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer", "git lfs pull"),
            (b"\n<!DOCTYPE html><html>Sign in</html>", "a web page", "download it again"),
        ],
    )
    def test_what_is_there_in_place_of_an_archive_is_told(self, tmp_path, content, what, hint):
        (tmp_path / "x.zip").write_bytes(content)
        with pytest.raises(DataError, match=f"The source is {what}") as caught:
            find_source(DataConfig(source=str(tmp_path / "x.zip")))
        assert hint in caught.value.hint

    def test_a_tar_that_ends_with_a_zip_is_a_tar(self, tmp_path):
        with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
            archive.writestr("other.png", GOOD)
        more = (tmp_path / "more.zip").read_bytes()
        (tmp_path / "set").write_bytes(tar_of([member("1.png"), member("more.zip", more)]))
        source = find_source(DataConfig(source=str(tmp_path / "set")))
        assert (source.kind, told(source)) == ("tar", {"1.png": GOOD})
        source.close()

    def test_a_run_that_was_packed_is_no_source(self, tmp_path):
        run = [member("config.yaml", b""), member("environment.json", b"{}"), member("samples/1.png")]
        (tmp_path / "run.tar").write_bytes(tar_of(run))
        with pytest.raises(DataError, match="folder of a run"):
            find_source(DataConfig(source=str(tmp_path / "run.tar")))

    def test_a_folder_that_is_called_like_an_idx_file_is_none(self, tmp_path):
        (tmp_path / "set" / "train-images-idx3-ubyte").mkdir(parents=True)
        (tmp_path / "set" / "1.png").write_bytes(GOOD)
        assert find_source(DataConfig(source=str(tmp_path / "set"))).kind == "folder"

    @pytest.mark.parametrize("copies", [False, True])
    def test_an_idx_file_may_lie_in_a_folder_of_its_name_and_a_copy_beside_it(self, tmp_path, copies):
        pictures = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 8, 0, 0, 0, 8]) + bytes(128)
        labels = bytes([0, 0, 8, 1, 0, 0, 0, 2, 4, 7])
        for name, content in (("train-images-idx3-ubyte", pictures), ("train-labels-idx1-ubyte", labels)):
            folder = tmp_path / "set" / name
            folder.mkdir(parents=True)
            (folder / name).write_bytes(content)
            if copies:
                (tmp_path / "set" / name.replace("-idx", ".idx")).write_bytes(content)
        source = find_source(DataConfig(source=str(tmp_path / "set")))
        assert (source.kind, source.count, source.label_names) == ("idx", 2, ("4", "7"))


class TestZip:
    def zipped(self, tmp_path, members, max_bytes=MAX_BYTES):
        path = tmp_path / "set.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members:
                archive.writestr(name, content)
        return open_zip(path, max_bytes)

    def test_limits_hold_for_pictures_alone(self, tmp_path):
        bystanders = [
            ("features.npy", os.urandom(MAX_BYTES + 1)),
            ("zeros.bin", bytes(2**23)),
            (".git/x.png", bytes(2**23)),
        ]
        source = self.zipped(tmp_path, [("1.png", GOOD), *bystanders])
        assert told(source) == {"1.png": GOOD}
        assert source.ignored == {".npy": 1, ".bin": 1}
        source.close()

    def test_names_in_utf_8_that_do_not_say_so(self, tmp_path):
        names = ["caf\u00e9/1.png", "na\u00efve/2.png", "\u732b/3.png"]
        self.zipped(tmp_path, [(name, GOOD) for name in names]).close()
        path = tmp_path / "set.zip"
        data = bytearray(path.read_bytes())
        for magic, flags in ((b"PK\1\2", 9), (b"PK\3\4", 7)):
            place = data.find(magic)
            while place >= 0:
                data[place + flags] &= ~8 & 0xFF  # no word of UTF-8
                place = data.find(magic, place + 1)
        path.write_bytes(data)
        with zipfile.ZipFile(path) as archive:
            assert "caf\u00e9/1.png" not in archive.namelist()
        source = open_zip(path, MAX_BYTES)
        assert list(told(source)) == names
        assert source.label_names == ("caf\u00e9", "na\u00efve", "\u732b")
        source.close()

    def test_a_backslash_in_a_name_with_folders_stays(self, tmp_path):
        source = self.zipped(tmp_path, [("a/b\\c.png", GOOD), ("x\\y.png", GOOD)])
        assert list(told(source)) == ["a/b\\c.png", "x/y.png"]
        source.close()
