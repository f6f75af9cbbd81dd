import io
import os
import stat
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganlet.data.decode import BrokenPicture
from ganlet.data.folder import labels_from_paths, open_folder, open_zip
from ganlet.data.spec import printable
from ganlet.errors import DataError

MAX_BYTES = 2**20
PIXEL = np.zeros((1, 1, 3), np.uint8)


def listed(source):
    return [picture.name for picture in source.pictures()]


def labelled(source):
    names = source.label_names
    return {picture.name: None if picture.label is None else names[picture.label] for picture in source.pictures()}


def test_pictures_are_sorted_by_the_bytes_of_their_paths(write_folder):
    root = write_folder(dict.fromkeys(["b.png", "a/z.png", "B.png", "a.png", "é.png", "a-b.png"], PIXEL))
    assert listed(open_folder(root, MAX_BYTES)) == ["B.png", "a-b.png", "a.png", "a/z.png", "b.png", "é.png"]


def test_a_file_gives_its_bytes(write_folder, encode):
    (picture,) = open_folder(write_folder({"one.png": PIXEL}), MAX_BYTES).pictures()
    assert picture.content() == encode(PIXEL)


def test_files_that_are_no_pictures_are_counted(write_folder):
    others = {"README.txt": b"hello", "notes.TXT": b"", "LICENSE": b"free", "sheet.tif": b"II*\0"}
    source = open_folder(write_folder({"a.png": PIXEL, **others}), MAX_BYTES)
    assert listed(source) == ["a.png"]
    assert source.ignored == {".txt": 2, "": 1, ".tif": 1}


def test_content_counts_where_the_suffix_says_nothing(write_folder, encode):
    source = open_folder(write_folder({"photo": encode(PIXEL, "JPEG"), "scan.dat": encode(PIXEL, "BMP")}), MAX_BYTES)
    assert listed(source) == ["photo", "scan.dat"]


def test_hidden_files_and_folders_are_not_looked_at(write_folder):
    source = open_folder(write_folder(dict.fromkeys(["a.png", ".b.png", ".git/c.png"], PIXEL)), MAX_BYTES)
    assert listed(source) == ["a.png"]
    assert not source.ignored


def test_a_folder_without_pictures_says_what_is_there(write_folder):
    root = write_folder({"a.txt": b"", "b.txt": b"", "c.csv": b"", "d": b""})
    with pytest.raises(DataError, match="no pictures") as caught:
        open_folder(root, MAX_BYTES)
    assert caught.value.got == "4 other files (2 .txt, 1 .csv, 1 without suffix)"


def test_an_empty_folder(write_folder):
    with pytest.raises(DataError, match="no files"):
        open_folder(write_folder({"empty/.keep": b""}), MAX_BYTES)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a.png", "b.png"], None),
        (["cats/1.png", "dogs/2.png", "cats/3.png"], ["cats", "dogs", "cats"]),
        (["cats/1.png", "2.png"], None),
        (["pets/cats/1.png", "pets/dogs/2.png"], ["cats", "dogs"]),
        (["pets/1.png", "pets/2.png"], None),
        (["pets/1.png", "pets/dogs/2.png"], None),
        (["cats/young/1.png", "cats/old/2.png", "dogs/3.png"], ["cats", "cats", "dogs"]),
        (["cat/1.png", "cats/2.png"], ["cat", "cats"]),
    ],
)
def test_labels_are_the_folders_below_the_one_all_share(paths, expected):
    labels, names = labels_from_paths(paths)
    assert (None if names is None else [names[label] for label in labels]) == expected
    if names is None:
        assert labels == [None] * len(paths)


def test_label_names_are_sorted_by_their_bytes():
    assert labels_from_paths(["b/1", "a/1", "B/1", "é/1", "10/1", "9/1"])[1] == ("10", "9", "B", "a", "b", "é")


class TestLinks:
    def test_to_a_file_inside_is_followed(self, write_folder):
        root = write_folder({"a.png": PIXEL})
        (root / "b.png").symlink_to("a.png")
        assert listed(open_folder(root, MAX_BYTES)) == ["a.png", "b.png"]

    def test_to_a_file_outside_is_not(self, write_folder):
        outside = write_folder({"secret.png": PIXEL}, root="pictures-of-others")
        root = write_folder({"a.png": PIXEL})
        (root / "b.png").symlink_to(outside / "secret.png")
        (root / "c.png").symlink_to("../pictures-of-others/secret.png")
        assert listed(open_folder(root, MAX_BYTES)) == ["a.png"]

    def test_to_a_folder_is_not(self, write_folder):
        root = write_folder({"sub/a.png": PIXEL})
        (root / "loop").symlink_to(".")
        (root / "sub" / "up").symlink_to("..")
        (root / "again").symlink_to("sub")
        assert listed(open_folder(root, MAX_BYTES)) == ["sub/a.png"]

    def test_to_itself_or_to_nothing_is_not(self, write_folder):
        root = write_folder({"a.png": PIXEL})
        (root / "self.png").symlink_to("self.png")
        (root / "gone.png").symlink_to("nowhere.png")
        assert listed(open_folder(root, MAX_BYTES)) == ["a.png"]

    def test_the_folder_itself_may_be_one(self, write_folder, tmp_path):
        write_folder({"a.png": PIXEL})
        (tmp_path / "link").symlink_to("pictures")
        assert listed(open_folder(tmp_path / "link", MAX_BYTES)) == ["a.png"]


def test_pipes_and_sockets_are_not_opened(write_folder):
    root = write_folder({"a.png": PIXEL})
    os.mkfifo(root / "pipe.png")
    os.mkfifo(root / "pipe")
    assert listed(open_folder(root, MAX_BYTES)) == ["a.png"]


def test_a_pipe_that_takes_the_place_of_a_file_is_broken(write_folder):
    root = write_folder({"a.png": PIXEL})
    (picture,) = open_folder(root, MAX_BYTES).pictures()
    (root / "a.png").unlink()
    os.mkfifo(root / "a.png")
    with pytest.raises(BrokenPicture, match="not a regular file"):
        picture.content()


def test_a_file_that_has_gone_is_broken(write_folder):
    root = write_folder({"a.png": PIXEL})
    (picture,) = open_folder(root, MAX_BYTES).pictures()
    (root / "a.png").unlink()
    with pytest.raises(BrokenPicture, match="No such file"):
        picture.content()


def test_a_file_that_is_too_large_is_not_read(write_folder):
    (picture,) = open_folder(write_folder({"a.png": bytes(1001)}), max_bytes=1000).pictures()
    with pytest.raises(BrokenPicture, match=r"1001 bytes, more than data\.max_bytes = 1000"):
        picture.content()


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "new\nline.png", "tab\t.png", "\u202egnp.exe.png", "e\u0301.png"])
def test_odd_names_are_read(write_folder, name):
    assert listed(open_folder(write_folder({name: PIXEL}), MAX_BYTES)) == [name]


def test_names_that_are_no_unicode_are_read(write_folder, encode):
    root = write_folder({"a.png": PIXEL})
    with open(os.fsencode(root) + b"/\xff\xfe.png", "wb") as file:
        file.write(encode(PIXEL))
    pictures = list(open_folder(root, MAX_BYTES).pictures())
    assert printable(pictures[-1].name) == r"\udcff\udcfe.png"
    assert pictures[-1].content() == encode(PIXEL)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("plain é 猫.png", "plain é 猫.png"), ("a\nb\x1b[31m", r"a\nb\x1b[31m"), ("\u202eabc\u2066", r"\u202eabc\u2066")],
)
def test_names_are_shown_without_characters_that_deceive(name, expected):
    assert printable(name) == expected


@given(st.text())
def test_a_shown_name_can_always_be_printed(name):
    assert printable(name).isprintable()
    printable(name).encode("utf-8")


@pytest.fixture
def write_zip(tmp_path, encode):
    """Write members (name or ZipInfo -> content) into a zip archive."""

    def write_zip(members, compression=zipfile.ZIP_DEFLATED):
        path = tmp_path / "pictures.zip"
        with zipfile.ZipFile(path, "w", compression) as archive:
            for name, content in members:
                archive.writestr(name, content if isinstance(content, bytes) else encode(content))
        return path

    return write_zip


@pytest.fixture
def zip_source(write_zip):
    """Open an archive with these members, and close it in the end."""
    opened = []

    def zip_source(members, max_bytes=MAX_BYTES):
        opened.append(open_zip(write_zip(members), max_bytes))
        return opened[-1]

    yield zip_source
    for source in opened:
        source.close()


def test_a_zip_is_read_as_the_folder_would_be(zip_source, encode):
    names = ["pets/dogs/b.png", "pets/cats/a.png", "__MACOSX/pets/cats/._a.png", "pets/.DS_Store", "pets/about.txt"]
    source = zip_source([("pets/", b""), *((name, PIXEL if name.endswith(".png") else b"x") for name in names)])
    assert labelled(source) == {"pets/cats/a.png": "cats", "pets/dogs/b.png": "dogs"}
    assert source.ignored == {".txt": 1}
    assert [picture.content() for picture in source.pictures()] == [encode(PIXEL)] * 2


def test_in_a_zip_too_content_counts_where_the_suffix_says_nothing(zip_source):
    assert listed(zip_source([("photo", PIXEL), ("text", b"x")])) == ["photo"]


def as_link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def with_stored_name(name):
    info = zipfile.ZipInfo("placeholder")
    info.filename = name  # past the tidying that ZipInfo does
    return info


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("../evil.png", "plain relative paths"),
        ("a/../../evil.png", "plain relative paths"),
        ("/etc/evil.png", "plain relative paths"),
        ("C:/evil.png", "plain relative paths"),
        (with_stored_name("a\\..\\evil.png"), "plain relative paths"),
        (with_stored_name("a.png\0.txt"), "plain relative paths"),
        (as_link("link.png"), "files and folders only"),
    ],
)
def test_an_archive_with_a_wicked_member_is_refused_as_a_whole(zip_source, member, reason):
    with pytest.raises(DataError, match="zip archive is refused") as caught:
        zip_source([("good.png", PIXEL), (member, b"/etc/passwd")])
    assert caught.value.expected == reason


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a.png", "a.png"), ("a.png", "./a.png"), ("x/a.png", "x//a.png")])
def test_an_archive_with_two_members_of_one_name_is_refused(zip_source, names):
    with pytest.raises(DataError, match="each name once"):
        zip_source([(name, PIXEL) for name in names])


def test_an_archive_with_a_member_that_is_too_large_is_refused(zip_source):
    with pytest.raises(DataError, match=r"at most data\.max_bytes = 1000"):
        zip_source([("a.png", os.urandom(1001))], max_bytes=1000)


def test_a_bomb_is_refused(write_zip):
    path = write_zip([("a.png", bytes(1000))], zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\1\2")
    data[directory + 24 : directory + 28] = struct.pack("<I", 1000 * 3000)  # the size it claims to unpack to
    path.write_bytes(data)
    with pytest.raises(DataError, match="no bombs"):
        open_zip(path, 2**30)


@pytest.mark.parametrize(("limit", "reason"), [("MAX_MEMBERS", "2 members"), ("MAX_ARCHIVE_BYTES", "when unpacked")])
def test_an_archive_with_too_much_in_it_is_refused(zip_source, monkeypatch, limit, reason):
    monkeypatch.setattr(f"ganlet.data.folder.{limit}", 1)
    with pytest.raises(DataError, match=reason):
        zip_source([("a.png", PIXEL), ("b.png", PIXEL)])


def test_a_zip_without_pictures_says_what_is_there(zip_source):
    with pytest.raises(DataError, match=r"1 other files \(1 \.txt\)"):
        zip_source([("a.txt", b"x")])


def test_a_damaged_archive(tmp_path, write_zip):
    path = write_zip([("a.png", PIXEL)])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="cannot be opened"):
        open_zip(path, MAX_BYTES)


def test_a_damaged_member_is_broken(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("a.png", b"0123456789")
    path = tmp_path / "a.zip"
    path.write_bytes(buffer.getvalue().replace(b"0123456789", b"0123456780"))
    source = open_zip(path, MAX_BYTES)
    (picture,) = source.pictures()
    with pytest.raises(BrokenPicture, match="cannot be read from the archive: Bad CRC-32"):
        picture.content()
    source.close()
