import io
import os
import stat
import struct
import zipfile

import pytest
from reading import MAX_BYTES, PIXEL, labelled, left_out, listed

from ganlet.data.archive import open_zip
from ganlet.data.decode import BrokenPicture
from ganlet.data.settings import DataConfig
from ganlet.data.source import find_source
from ganlet.errors import DataError


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
    assert left_out(source) == {"__MACOSX": "system", "pets/.DS_Store": "hidden", "pets/about.txt": "other"}
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


@pytest.mark.parametrize(
    ("limit", "reason"), [("MAX_MEMBERS", "2 members"), ("MAX_ARCHIVE_BYTES", "bytes of pictures")]
)
def test_an_archive_with_too_much_in_it_is_refused(zip_source, monkeypatch, limit, reason):
    monkeypatch.setattr(f"ganlet.data.archive.{limit}", 1)
    with pytest.raises(DataError, match=reason):
        zip_source([("a.png", PIXEL), ("b.png", PIXEL)])


def test_a_zip_without_pictures_says_what_is_there(zip_source):
    with pytest.raises(DataError, match=r"1 other files \(1 \.txt\)"):
        zip_source([("a.txt", b"x")])


def test_a_damaged_archive(tmp_path, write_zip):
    path = write_zip([("a.png", PIXEL)])
    path.write_bytes(path.read_bytes()[:-30])
    for half in (path.read_bytes(), path.read_bytes()[:40]):
        path.write_bytes(half)
        with pytest.raises(DataError, match="damaged") as caught:
            find_source(DataConfig(source=str(path)))
        assert "cut off" in caught.value.got
        assert caught.value.hint.startswith("copy it again")


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
