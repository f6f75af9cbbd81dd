import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import MAX_BYTES, PIXEL, labelled, left_out, listed

from ganlet.data.decode import BrokenPicture
from ganlet.data.folder import DiskFolder, open_folder
from ganlet.data.layout import labels_from_paths
from ganlet.errors import DataError
from ganlet.paths import printable


def test_pictures_are_sorted_by_the_bytes_of_their_paths(write_folder):
    root = write_folder(dict.fromkeys(["b.png", "a/z.png", "B.png", "a.png", "é.png", "a-b.png"], PIXEL))
    assert listed(open_folder(root, MAX_BYTES)) == ["B.png", "a-b.png", "a.png", "a/z.png", "b.png", "é.png"]


def test_a_file_gives_its_bytes(write_folder, encode):
    (picture,) = open_folder(write_folder({"one.png": PIXEL}), MAX_BYTES).pictures()
    assert picture.content() == encode(PIXEL)


def test_files_that_are_no_pictures_are_counted(write_folder):
    others = {"README.txt": b"hello", "notes.TXT": b"", "LICENSE": b"free", "sheet.heic": b"II*\0"}
    source = open_folder(write_folder({"a.png": PIXEL, **others}), MAX_BYTES)
    assert listed(source) == ["a.png"]
    assert source.ignored == {".txt": 2, "": 1, ".heic": 1}


def test_content_counts_where_the_suffix_says_nothing(write_folder, encode):
    source = open_folder(write_folder({"photo": encode(PIXEL, "JPEG"), "scan.dat": encode(PIXEL, "BMP")}), MAX_BYTES)
    assert listed(source) == ["photo", "scan.dat"]


def test_hidden_files_and_folders_are_not_looked_at(write_folder):
    source = open_folder(write_folder(dict.fromkeys(["a.png", ".b.png", ".git/c.png"], PIXEL)), MAX_BYTES)
    assert listed(source) == ["a.png"]
    assert not source.ignored
    assert left_out(source) == {".b.png": "hidden", ".git": "hidden"}


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

    def test_to_a_file_outside_is_followed_and_named(self, write_folder):
        outside = write_folder({"a.png": PIXEL}, root="pictures-of-others")
        root = write_folder({"a.png": PIXEL})
        (root / "b.png").symlink_to(outside / "a.png")
        (root / "c.png").symlink_to("../pictures-of-others/a.png")
        source = open_folder(root, MAX_BYTES)
        assert listed(source) == ["a.png", "b.png", "c.png"]
        assert source.notes == ("followed: 2 links out of the source: b.png, c.png",)
        assert source.left_out == ()

    def test_to_a_folder_outside_is_followed_and_has_its_name(self, write_folder):
        store = write_folder({"cat/1.png": PIXEL, "cat/deep/2.png": PIXEL, "dog/1.png": PIXEL}, root="store")
        root = write_folder({"dog/1.png": PIXEL})
        (root / "cat").symlink_to(store / "cat")
        source = open_folder(root, MAX_BYTES)
        assert labelled(source) == {"cat/1.png": "cat", "cat/deep/2.png": "cat", "dog/1.png": "dog"}
        assert source.notes == ("followed: 1 link out of the source: cat",)

    def test_each_real_folder_is_read_once(self, write_folder):
        store = write_folder({"1.png": PIXEL}, root="store")
        root = write_folder({"sub/a.png": PIXEL})
        for name, target in {"again": "sub", "loop": ".", "sub/up": "..", "one": store, "two": store}.items():
            (root / name).symlink_to(target)
        source = open_folder(root, MAX_BYTES)
        assert listed(source) == ["one/1.png", "sub/a.png"]
        assert left_out(source) == dict.fromkeys(["again", "loop", "sub/up", "two"], "linked twice")

    def test_to_a_folder_around_the_source_is_not_followed(self, write_folder, tmp_path):
        root = write_folder({"a.png": PIXEL})
        write_folder({"secret.png": PIXEL}, root="beside")
        (root / "parent").symlink_to("..")
        (root / "everything").symlink_to("/")
        source = open_folder(root, MAX_BYTES)
        assert listed(source) == ["a.png"]
        assert left_out(source) == {"parent": "around", "everything": "around"}

    def test_to_itself_or_to_nothing_is_named(self, write_folder):
        root = write_folder({"a.png": PIXEL})
        (root / "self.png").symlink_to("self.png")
        (root / "gone.png").symlink_to("nowhere.png")
        os.mkfifo(root.parent / "pipe")
        (root / "pipe").symlink_to(root.parent / "pipe")
        source = open_folder(root, MAX_BYTES)
        assert listed(source) == ["a.png"]
        assert left_out(source) == {"self.png": "dead link", "gone.png": "dead link", "pipe": "special"}

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


@pytest.mark.parametrize(
    "name",
    [
        *("Thumbs.db", "thumbs.db", "desktop.ini", "ehthumbs.db", "Icon\r", "Picasa.ini", "~$sheet.png", "autorun.inf"),
        *("__MACOSX/a.png", "@eaDir/a.png", "#recycle/a.png", "$RECYCLE.BIN/a.png", "lost+found/x/a.png"),
        *("System Volume Information/a.png", "__pycache__/a.png", "@Recycle/a.png", "#snapshot/a.png"),
    ],
)
def test_what_systems_and_programs_leave_is_not_looked_into(write_folder, name):
    source = open_folder(write_folder({"sub/a.png": PIXEL, f"sub/{name}": PIXEL}), MAX_BYTES)
    assert listed(source) == ["sub/a.png"]
    assert left_out(source) == {f"sub/{name.split('/')[0]}": "system"}


def test_what_only_looks_like_that_is_read(write_folder):
    names = ["MACOSX/a.png", "eaDir/a.png", "lost/a.png", "my Thumbs.db.png", "runs/a.png", "samples/a.png"]
    assert listed(open_folder(write_folder(dict.fromkeys(names, PIXEL)), MAX_BYTES)) == sorted(names)


def test_a_file_that_goes_while_the_folder_is_listed_is_not_there(write_folder, monkeypatch):
    root = write_folder(dict.fromkeys(["a.png", "b.png"], PIXEL))
    child = DiskFolder._child

    def gone(self, entry):
        if entry.name == "b.png":
            raise FileNotFoundError(2, "No such file or directory")
        return child(self, entry)

    monkeypatch.setattr(DiskFolder, "_child", gone)
    assert listed(open_folder(root, MAX_BYTES)) == ["a.png"]
