from __future__ import annotations

import os
import pwd
import unicodedata
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ganlet import paths
from ganlet.errors import ConfigError, EnvironmentProblem, GanletError

NFC, NFD = "caf\u00e9", "cafe\u0301"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(home))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a", "a"),
        ("a/", "a"),
        ("./a//b", "a/b"),
        ("~", "{home}"),
        ("~/a b", "{home}/a b"),
        ("it's $HOME *", "it's $HOME *"),
        ("a~", "a~"),
        ("a/~", "a/~"),
        ("./~old/x", "{here}/~old/x"),  # a home to whoever reads ~old/x next
    ],
)
def test_a_path_is_read_as_a_shell_would(here, text, meant):
    meant = Path(meant.format(home=here / "home", here=here))
    assert paths.given(text) == meant
    if not text.startswith("./~"):  # which pathlib has made a ~ of
        assert paths.given(PurePosixPath(text)) == meant


def test_another_users_home_is_theirs_and_nobodys_is_an_error(here):
    user = pwd.getpwuid(os.getuid())
    assert paths.given(f"~{user.pw_name}/x") == Path(user.pw_dir, "x")
    with pytest.raises(ConfigError, match="no user is called nosuchuser") as caught:
        paths.given("~nosuchuser/x", "--out")
    assert (caught.value.where, caught.value.exit_code) == ("--out", 2)
    (here / "~nosuchuser").mkdir()
    assert paths.given("~nosuchuser/x") == here / "~nosuchuser" / "x"


def test_a_user_without_a_home_is_told(monkeypatch):
    def nobody(number):
        raise KeyError(number)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(ConfigError, match="the system knows none for you"):
        paths.given("~/x")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "got: +nothing"),
        ("a\0b", r"a\\x00b"),
        (3, r"expected: text or a pathlib\.Path"),
        (None, "text or"),
        (["a"], "text or"),
        ("n" * 300, "too long"),
        ("d/" * 4000, "too long"),
        ("loop/x", "round in a circle"),
        ("file/x/y", "a folder is meant here, and this is a file(?s:.)*got: +file\n"),
        (f"{os.devnull}/x", "a folder is meant here"),
    ],
)
def test_what_is_no_path_is_an_error_in_its_words(here, path, words):
    (here / "loop").symlink_to("loop")
    (here / "file").touch()
    with pytest.raises(ConfigError, match=f"(?i){words}") as caught:
        paths.given(path)
    assert len(caught.value.message) < 400


def test_what_may_not_be_looked_at_is_told(monkeypatch):
    def refuse(self, **_):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(EnvironmentProblem, match="Permission denied"):
        paths.given("a")


@pytest.mark.parametrize(("there", "asked"), [(NFC, NFD), (NFD, NFC)])
def test_a_name_is_the_same_in_each_unicode_form(here, there, asked):
    assert there != asked
    (here / there / "x").mkdir(parents=True)
    assert paths.given(f"{asked}/x") == Path(there, "x")
    assert paths.given(f"{asked}/new") == Path(there, "new")
    assert paths.given(f"{asked}/{asked}") == Path(there, asked)  # which is not there in any form
    (here / asked).mkdir()
    assert paths.given(f"{asked}/x") == Path(there if (here / asked).samefile(there) else asked, "x")


PNG = (".png",)


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "b.c.Png", "~/a.png"])
def test_a_file_to_write_has_its_suffix_in_any_case(name):
    assert paths.file_to_write(name, "--plot", PNG, "A plot") == paths.given(name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.jpg", "A plot is written as PNG"),
        ("a", "A plot is written as PNG"),
        ("no/such/a.png", "no such folder(?s:.)*mkdir -p no/such"),
        ("it's/a.png", """mkdir -p 'it'"'"'s'"""),
        ("folder.png", "this is a folder"),
        ("file/a.png", "this is a file"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_before_anything_is_done(here, name, words):
    (here / "folder.png").mkdir()
    (here / "file").touch()
    with pytest.raises(ConfigError, match=words) as caught:
        paths.file_to_write(name, "--plot", PNG, "A plot")
    assert caught.value.where == "--plot"


NAMES = st.sampled_from(
    ["~", "~root", "~x", ".", "..", "", " ", "a", "é", NFD, "\n", "\udcff", "\0", "'", "n" * 256, "A.PNG"]
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(NAMES, st.text(max_size=8)), max_size=6).map("/".join))
@example("~\0")
@example("//~x")
def test_any_text_is_a_path_or_one_error(text):
    try:
        meant = paths.given(text)
    except GanletError:
        return
    assert isinstance(meant, Path)
    assert not str(meant).startswith("~")
    assert paths.given(meant) == meant  # so it does not matter how many readers there are


def test_what_is_readable_has_no_control_characters():
    assert paths.printable(Path("a\nb\x1b[0m\udcff")) == r"a\nb\x1b[0m\udcff"
    assert paths.printable(b"\xff/a") == r"\udcff/a"
    assert unicodedata.is_normalized("NFC", paths.same_form(NFD))
