"""From the text of `data.source` to a pack."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ganlet.config.data import DataConfig
from ganlet.data.fit import packed_size
from ganlet.data.folder import open_folder, open_zip
from ganlet.data.ingest import Progress
from ganlet.data.known import find_cifar, has_idx, has_test_files, is_idx, open_cifar, open_idx
from ganlet.data.pack import open_or_build
from ganlet.data.part import training_part
from ganlet.data.ring import open_ring
from ganlet.data.spec import Pack, Source, SourcePicture, shown
from ganlet.data.stacked import open_stacked
from ganlet.errors import DataError, nearest

NAMED = ("smileys", "ring")  # sources that are no paths
STACKED = "stacked:"  # and the path of the digits
SMILEYS_SEED = 0
SMILEYS_CHANNELS = 3
SMILEYS_TEST_START, SMILEYS_TEST_COUNT = 10**9, 10_000
DRAWN_AT_ONCE = 256
START_BYTES = 4


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


def has_test_split(config: DataConfig) -> bool:
    """Whether the source has pictures for `data.split` test besides those for train."""
    if config.source == "smileys":
        return True
    if config.source == "ring":
        return False  # of so few levels of grey that next to every point for test is a picture trained on, too
    path = Path(config.source.removeprefix(STACKED)).expanduser()
    return path.is_dir() and has_test_files(path)


def absolute_source(source: str) -> str:
    """A source that means the same from every working folder: paths become absolute."""
    if source in NAMED:
        return source
    kind = STACKED if source.startswith(STACKED) else ""
    return kind + str(Path(source.removeprefix(kind)).expanduser().absolute())


def require_batch(pack: Pack, batch_size: int, allow_few: bool) -> None:
    """Raise DataError when there are fewer pictures than one batch has, unless that is wanted."""
    if len(pack) < batch_size and not allow_few:
        raise DataError(
            "There are fewer pictures than one batch has.",
            where=shown(pack.summary["source"]),
            got=len(pack),
            expected=f"at least train.batch_size = {batch_size}",
            hint="choose a smaller train.batch_size, or show pictures more than once a batch with data.allow_few=true",
        )


def find_source(config: DataConfig) -> Source:
    """What `data.source` stands for: decided by the name, then by what is on disk there."""
    if config.source == "smileys":
        return _smileys(config)
    if config.source == "ring":
        return open_ring(config)
    stacked = config.source.startswith(STACKED)
    path = Path(config.source.removeprefix(STACKED) if stacked else config.source).expanduser()
    try:
        if stacked and path.exists():
            return open_stacked(path, config)
        if path.is_dir():
            return _folder_source(path, config)
        if path.is_file():
            return _file_source(path, config)
    except PermissionError as error:
        raise DataError("The source cannot be read.", where=shown(path), got=error.strerror) from error
    raise _missing(path, STACKED if stacked else "")


def _folder_source(path: Path, config: DataConfig) -> Source:
    if cifar := find_cifar(path):
        return open_cifar(cifar, config.split)
    if has_idx(path):
        return open_idx(path, config.split, config.max_pixels)
    return open_folder(path, config.max_bytes, config.labels == "attributes")


def _file_source(path: Path, config: DataConfig) -> Source:
    with open(path, "rb") as file:
        start = file.read(START_BYTES)
    if is_idx(start):
        return open_idx(path, config.split, config.max_pixels)
    if zipfile.is_zipfile(path):
        return open_zip(path, config.max_bytes, config.labels == "attributes")
    raise DataError(
        "The source is a file of no known kind.",
        where=shown(path),
        expected="a folder, a zip archive or an idx file",
        hint="give the folder that holds the pictures",
    )


def _missing(path: Path, kind: str) -> DataError:
    """An error that names the source meant, if a name like it is there; `kind` stands before its path."""
    siblings = {}
    if path.parent.is_dir():
        siblings = {sibling.name: sibling for sibling in path.parent.iterdir()}
    near = nearest(path.name, siblings if kind else [*siblings, *NAMED])
    return DataError(
        "There is no such source of pictures.",
        where=shown(path),
        expected="smileys, ring, stacked:FOLDER, a folder, a zip archive or an idx file",
        hint=f"did you mean {kind}{shown(siblings.get(near, near))}?" if near else "ganlet list datasets",
    )


def _smileys(config: DataConfig) -> Source:
    """Faces drawn at the size they are packed at. What identifies them is the drawing itself: a few of them, small."""
    from ganlet.data import smileys

    channels = SMILEYS_CHANNELS if config.channels == "auto" else config.channels
    parts = _smileys_parts(config)
    names = smileys.ATTRIBUTE_NAMES if config.labels == "attributes" else ()
    if channels == 4:  # no background, so no picture tells which it would be
        names = tuple(name for name in names if not name.startswith("background"))
    columns = [smileys.ATTRIBUTE_NAMES.index(name) for name in names]
    sample, _ = smileys.draw_indices(SMILEYS_SEED, np.arange(DRAWN_AT_ONCE), (32, 32), SMILEYS_CHANNELS)

    def pictures() -> Iterator[SourcePicture]:
        size = packed_size(config.size, config.crop)
        for part in parts:
            for start in range(part.start, part.stop, DRAWN_AT_ONCE):
                indices = np.arange(start, min(start + DRAWN_AT_ONCE, part.stop))
                drawn, labels = smileys.draw_indices(SMILEYS_SEED, indices, size, channels)
                rows = smileys.attribute_vectors(labels)[:, columns]
                for pixels, label, row in zip(drawn, labels.tolist(), rows, strict=True):
                    yield SourcePicture(pixels, label=label, attributes=row.tobytes() if names else None)

    count = sum(map(len, parts))
    identity = f"{hashlib.blake2b(sample.tobytes(), digest_size=16).hexdigest()} {count}"
    if config.split != "train":
        identity += f" {config.split}"
    if names:
        identity += " attributes"
    return Source("smileys", identity, count, pictures, smileys.LABEL_NAMES, channels, attribute_names=names or None)


def _smileys_parts(config: DataConfig) -> list[range]:
    """The faces of a split. Those for test begin where no number of training faces reaches: they stay the same ones."""
    from ganlet.data.smileys import DEFAULT_COUNT

    train = range(config.num_images or DEFAULT_COUNT)
    wanted = config.num_images if config.split == "test" else None
    test = range(SMILEYS_TEST_START, SMILEYS_TEST_START + (wanted or SMILEYS_TEST_COUNT))
    return {"train": [train], "test": [test], "all": [train, test]}[config.split]


SOURCES: dict[str, str] = {
    "smileys": "faces drawn by code, at any size: the default, nothing to download",
    "ring": "points on a ring of 8 Gaussians as pictures of two greys, to see which modes a generator drops",
    "stacked": "stacked:PATH, three random digits of idx files such as MNIST's, as red, green and blue: 1,000 modes",
    "folder": "a folder of PNG, JPEG, WEBP, BMP and GIF files; sub-folders are labels",
    "zip": "a zip archive of such files, read in place",
    "idx": "MNIST-style idx files, plain or gzip-compressed: a folder of them or one file",
    "cifar10": "a folder with the binary files of CIFAR-10",
}
