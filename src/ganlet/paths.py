"""The paths that people give: one way to read them, whether they come from a command, a setting or a program.

`given` reads a path, and `file_to_write` also sees that a file can be written there. They raise `ConfigError` with
what is wrong about the path in its own words, long before anything is opened.
"""

from __future__ import annotations

import errno
import os
import shlex
import tempfile
import unicodedata
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from ganlet.errors import ConfigError, EnvironmentProblem

LONG_SUFFIX = 6  # from here on a suffix is a word
TRIAL = ".ganlet-"
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}  # the last of a limit on the size of one file (ulimit -f)
HUB, TORCHVISION = "hf:", "torchvision:"  # how names begin that are no paths
# What the system says about a path that can never be right, whatever is on the disk.
IMPOSSIBLE = {
    errno.ENAMETOOLONG: "A name in this path is too long.",
    errno.ELOOP: "The links in this path lead round in a circle.",
}


def given(path: str | os.PathLike[str], where: str | None = None) -> Path:
    """The path that a person means: `~` is their home, and names may be spelled in another Unicode form.

    `where` says what it was given as, such as "--out". Raises `ConfigError` where it is no path, names a home of
    nobody, or leads through a file; `EnvironmentProblem` where it may not be looked at, or its disk does not answer.
    """
    meant = _spelled(path, where)
    try:
        meant.stat()
    except FileNotFoundError:
        return _in_other_form(meant)
    except NotADirectoryError:
        file = next(parent for parent in meant.parents if os.path.exists(parent))  # or a device
        raise ConfigError(
            "A folder is meant here, and this is a file.", where=where, got=printable(file), hint="choose another path"
        ) from None
    except OSError as error:
        if error.errno in IMPOSSIBLE:
            raise ConfigError(IMPOSSIBLE[error.errno], where=where, got=shortened(printable(meant))) from None
        raise EnvironmentProblem(
            "This place cannot be looked at.", where=printable(meant), got=error.strerror, hint="choose another path"
        ) from error
    except ValueError as error:  # such as a character that no name on this system can have
        raise ConfigError("This is no path.", where=where, got=shortened(repr(path)), expected=error) from None
    return meant


def as_text(path: str | os.PathLike[str], where: str | None = None) -> str:
    """A path as the text that a setting holds. Raises `ConfigError` where it is no path."""
    try:
        return os.fsdecode(os.fspath(path))
    except TypeError:
        expected = "text or a pathlib.Path"
        raise ConfigError("This is no path.", where=where, got=shortened(repr(path)), expected=expected) from None


def file_to_write(path: str | os.PathLike[str], where: str, suffixes: Sequence[str], what: str) -> Path:
    """The file of one of these suffixes (in any case) that is to be written; `what` names its kind in words.

    Raises `ConfigError` for another suffix, for a folder, and where its folder is missing.
    """
    meant = given(path, where)
    if meant.suffix.lower() not in suffixes:
        named = [f"FILE{suffix}" for suffix in suffixes if suffix]
        kind = named[0].removeprefix("FILE.")
        raise ConfigError(f"{what} is written as {kind.upper() if len(kind) < LONG_SUFFIX else kind}.", where=where,
                          got=printable(path), expected=" or ".join(named))  # fmt: skip
    if os.path.isdir(meant):
        raise ConfigError("A file is meant here, and this is a folder.", where=where, got=printable(meant))
    require_folder(meant.parent, where)
    return meant


def require_folder(folder: Path, where: str) -> None:
    """Raise `ConfigError` where there is no such folder."""
    if not os.path.isdir(folder):
        hint = f"mkdir -p {shlex.quote(str(folder))}"
        raise ConfigError("There is no such folder.", where=where, got=printable(folder), hint=hint)


def require_makeable(folder: Path) -> None:
    """Raise `OSError` where there is no folder at this path that can be looked into, and none can be made."""
    try:
        os.listdir(folder)
    except FileNotFoundError:
        above = next(parent for parent in folder.absolute().parents if os.path.lexists(parent))
        with tempfile.TemporaryDirectory(prefix=TRIAL, dir=above):  # that it may be written to does not say that it can
            pass


def require_text(path: str | os.PathLike[str], where: str) -> None:
    """Raise `ConfigError` for a path with bytes that are no text, which a config and a log cannot hold."""
    try:
        as_text(path).encode()
    except UnicodeEncodeError:
        raise ConfigError(
            "The name of this place holds bytes that are no text, so it cannot be written down.",
            where=where,
            got=printable(path),
            hint="rename it, or make a link to it: ln -s PLACE NAME",
        ) from None


def printable(path: object) -> str:
    """A path or another name from outside as it may be printed: what is no character to be seen is escaped."""
    return repr(os.fsdecode(path) if isinstance(path, bytes | os.PathLike) else str(path))[1:-1]


def same_form(name: str) -> str:
    """A name in the one form that its spellings share: an é is a character of its own, or an e and an accent."""
    return unicodedata.normalize("NFC", name)


def finder(known: Collection[str]) -> Callable[[str], str | None]:
    """A function that gives a name as it is spelled among the known ones, if it is there in any Unicode form."""
    forms: dict[str, str] = {}
    for name in known:
        forms.setdefault(same_form(name), name)
    exact = set(known)
    return lambda name: name if name in exact else forms.get(same_form(name))


def _spelled(path: str | os.PathLike[str], where: str | None) -> Path:
    """The path with its home, of which nothing on the disk is asked but for names that begin with `~`."""
    text = as_text(path, where)
    if not text or "\0" in text:
        got = "nothing" if not text else shortened(printable(text))
        raise ConfigError("This is no path.", where=where, got=got, expected="the name of a file or folder")
    meant = Path(text)
    first = meant.parts[0] if meant.parts else ""
    if not first.startswith("~"):
        return meant
    if not text.startswith("~"):  # ./~name, which whoever reads it next would take for a home
        return meant.absolute()
    try:
        return meant.expanduser()
    except RuntimeError:
        pass
    if os.path.lexists(first):  # its name merely begins so
        return meant.absolute()
    whose = f"no user is called {printable(first[1:])}" if first != "~" else "the system knows none for you"
    raise ConfigError(
        "There is no such home folder.",
        where=where,
        got=f"{printable(text)}: {whose}",
        hint=f"for a folder of that name: {shlex.quote(str(meant.absolute()))}" if first != "~" else None,
    )


def _in_other_form(meant: Path) -> Path:
    """The path with each name as it is on the disk, where the same name is there in another Unicode form."""
    if str(meant).isascii():
        return meant
    found = Path(meant.anchor)
    for part in meant.parts[1 if meant.anchor else 0 :]:
        there = found / part
        if not part.isascii() and not os.path.lexists(there):
            try:
                alike = [name for name in os.listdir(found) if same_form(name) == same_form(part)]
            except OSError:
                alike = []
            there = found / sorted(alike)[0] if alike else there
        found = there
    return found


def shortened(text: str) -> str:
    """A text of any length as it fits into a message."""
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text):,} characters)"
