"""From the text of `data.source` to a pack.

A kind of source is one file with a `SourceKind`, and a line in `SOURCES` at the end of this one.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from ganlet.data import archive, folder, hub_pictures, idx_cifar, memory, ring, smiley_source, stacked, torchvision_sets
from ganlet.data.formats import CONTAINERS, stand_in, suffix_of
from ganlet.data.ingest import Progress
from ganlet.data.pack import open_or_build
from ganlet.data.settings import DataConfig
from ganlet.data.spec import Pack, Source, SourceKind, path_of
from ganlet.data.split import training_part
from ganlet.errors import DataError, nearest
from ganlet.paths import printable

PATTERN = re.compile(r"[*?\[]")  # of names, which a shell fills in
START_BYTES = 512


def open_source(config: DataConfig, progress: Progress | None = None) -> Pack:
    """Find the source, pack it unless the cache has it, and open the pack of the pictures that training may show.

    What `data.holdout` keeps out of training is not in it; see `holdout.held_out`. `progress` is called with the number
    of pictures done and their total. Raises DataError for a source that is missing, broken or too small,
    ResourceProblem and EnvironmentProblem for the cache folder.
    """
    source = find_source(config)
    try:
        pack = open_or_build(source, config, progress)
    finally:
        source.close()
    return training_part(pack, config.holdout) if config.holdout else pack


def absolute_source(source: str) -> str:
    """A source that means the same from every working folder: paths become absolute."""
    try:
        kind = _kind(source)
    except OSError:  # a path, of which nobody can tell what is there
        kind = None
    return str(path_of(source).absolute()) if kind is None else kind.absolute(source)


def require_batch(pack: Pack, batch_size: int, allow_few: bool) -> None:
    """Raise DataError when there are fewer pictures than one batch has, unless that is wanted."""
    if len(pack) < batch_size and not allow_few:
        raise DataError(
            "There are fewer pictures than one batch has.",
            where=printable(pack.summary["source"]),
            got=len(pack),
            expected=f"at least train.batch_size = {batch_size}",
            hint="choose a smaller train.batch_size, or show pictures more than once a batch with data.allow_few=true",
        )


def find_source(config: DataConfig) -> Source:
    """What `data.source` stands for: decided by the name, then by what is on disk there."""
    try:
        kind = _kind(config.source)
        if kind is not None:
            return kind.open(config)
    except PermissionError as error:
        where = printable(_path(config.source))
        raise DataError("The source cannot be read.", where=where, got=error.strerror) from error
    except FileNotFoundError:
        pass
    raise _missing(config.source)


def _kind(source: str) -> SourceKind | None:
    return next((kind for kind in SOURCES.values() if kind.matches(source)), None)


def _path(source: str) -> Path:
    return path_of(source.removeprefix(stacked.STACKED))


def _instead(path: Path) -> str:
    advice = CONTAINERS.get(suffix_of(path.name), "")
    if advice == "unpack them":
        return "unpack it and give the folder"
    return advice.replace("their", "its") or "give the folder that holds the pictures"


def _missing(source: str) -> DataError:
    """An error that names the source meant, if a name like it is there."""
    prefix, path = stacked.STACKED if source.startswith(stacked.STACKED) else "", _path(source)
    expected = "a folder, a zip or tar archive or an idx file"
    if path.is_file():
        return _no_known_file(path, expected)
    if os.path.lexists(path):
        what = "a pipe, a socket or a device" if path.exists() else "a link that leads nowhere"
        return DataError(f"The source is {what}.", where=printable(path), expected=expected)
    return DataError(
        "There is no such source of pictures.",
        where=printable(path),
        expected=f"smileys, ring, stacked:FOLDER, torchvision:NAME, hf:OWNER/NAME, {expected}",
        hint=_near(source.removeprefix(prefix), path, prefix) or "ganlet list datasets",
    )


def _no_known_file(path: Path, expected: str) -> DataError:
    with open(path, "rb") as file:
        known = stand_in(file.read(START_BYTES))
    what, hint = known or ("a file of no known kind", _instead(path))
    return DataError(f"The source is {what}.", where=printable(path), expected=expected, hint=hint)


def _near(text: str, path: Path, prefix: str) -> str | None:
    """What was meant by a text that names nothing: one without what a shell would have taken away, a folder of which
    files are named by a pattern, or a name that is much like it."""
    plain = os.path.expandvars(text.strip().strip("'\"").strip())
    for meant in (plain, plain.replace("\\ ", " "), plain.replace("\\", "/")):
        if meant not in ("", text):
            with suppress(RuntimeError):  # a home of nobody
                if os.path.lexists(path_of(meant)):
                    return f"did you mean {prefix}{printable(meant)}?"
    if PATTERN.search(plain):
        folder = Path(plain)
        while PATTERN.search(str(folder)):
            folder = folder.parent
        return f"give the folder: {prefix}{printable(folder)}" if path_of(str(folder)).is_dir() else None
    siblings: dict[str, Path] = {}
    with suppress(OSError):  # where nobody may look around
        siblings = {sibling.name: sibling for sibling in path.parent.iterdir()}
    named = [] if prefix else [name for name, kind in SOURCES.items() if kind.matches(name)]
    near = nearest(path.name, [*siblings, *named])
    return f"did you mean {prefix}{printable(siblings.get(near, near))}?" if near else None


# In the order in which they are asked whether a source is theirs.
SOURCES: dict[str, SourceKind] = {
    "smileys": smiley_source.KIND,
    "ring": ring.KIND,
    "memory": memory.KIND,
    "stacked": stacked.KIND,
    "torchvision": torchvision_sets.KIND,
    "hub": hub_pictures.KIND,
    "cifar10": idx_cifar.CIFAR,
    "idx": idx_cifar.IDX,
    "tar": archive.TAR,  # before zip: a tar archive whose last member is a zip archive ends as one
    "zip": archive.ZIP,
    "folder": folder.KIND,
}
