"""The layouts of torchvision's sets: where the files of each lie below torchvision's root, and how they are opened.

All of them raise `NotThere` where a file is missing.
"""

from __future__ import annotations

import dataclasses
import itertools
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ganlet.data.binary_sets import open_cifar_pickles, open_stl10, open_svhn
from ganlet.data.folder import open_folder
from ganlet.data.idx_cifar import has_idx, open_idx
from ganlet.data.layout import Wanted
from ganlet.data.settings import DataConfig
from ganlet.data.spec import LeftOut, Source, SourcePicture
from ganlet.errors import DataError
from ganlet.paths import printable

DIGITS, LETTERS = string.digits, string.ascii_letters
MERGED = "cijklmopsuvwxyz"  # small letters that EMNIST takes for large ones


class NotThere(Exception):
    """A file or folder of a set that is not where torchvision puts it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path


def _splits(config: DataConfig) -> tuple[str, ...]:
    return ("train", "test") if config.split == "all" else (config.split,)


def _require(*paths: Path) -> None:
    for path in paths:
        if not path.is_file():
            raise NotThere(path)


def _below(root: Path, folder: str, name: str) -> Path:
    """The folder of a set in a root, or the root itself where that is what was given."""
    return root if (root / name).exists() and not (root / folder).exists() else root / folder


def open_mnist(root: Path, part: str, config: DataConfig, name: str, classes: Sequence[str] = ()) -> Source:
    """A set of MNIST's kind, in NAME/raw, with the names of its classes by their numbers."""
    folder = root / name / "raw"
    if not folder.is_dir() or not has_idx(folder):
        raise NotThere(folder)
    return _named(open_idx(folder, config.split, config.max_pixels), classes)


def open_emnist(root: Path, part: str, config: DataConfig) -> Source:
    """EMNIST (Cohen et al. 2017), whose files have rows for columns; upright here."""
    folder, opened = root / "EMNIST" / "raw", []
    for split in _splits(config):
        plain = folder / f"emnist-{part}-{split}-images-idx3-ubyte"
        path = next((one for one in (plain, plain.with_name(plain.name + ".gz")) if one.is_file()), None)
        if path is None:
            raise NotThere(plain)
        opened.append(_named(open_idx(path, split, config.max_pixels), EMNIST_CLASSES[part]))

    def pictures() -> Iterator[SourcePicture]:
        for picture in itertools.chain.from_iterable(source.pictures() for source in opened):
            yield dataclasses.replace(picture, content=picture.content.transpose(1, 0, 2))  # type: ignore[union-attr]

    if len({source.label_names for source in opened}) > 1:
        raise DataError("Training and test pictures of EMNIST have other classes.", where=printable(folder))
    identity = " | ".join(["upright", *(source.identity for source in opened)])
    count = sum(source.count for source in opened)
    has_test = any(folder.glob(f"emnist-{part}-test-images-idx3-ubyte*"))
    return dataclasses.replace(opened[0], identity=identity, count=count, pictures=pictures, has_test=has_test)


def _named(source: Source, classes: Sequence[str]) -> Source:
    """The source with names for labels that are numbers."""
    if not classes or source.label_names is None or max(map(int, source.label_names)) >= len(classes):
        return source
    names = tuple(classes[int(number)] for number in source.label_names)
    return dataclasses.replace(source, label_names=names, identity=f"{source.identity} | {names}")


def open_cifar(root: Path, part: str, config: DataConfig, kind: str) -> Source:
    layout = CIFAR_LAYOUTS[kind]
    folder = _below(root, layout.folder, layout.meta)
    names = [name for split in _splits(config) for name in (layout.train if split == "train" else layout.test)]
    _require(*(folder / name for name in [*names, layout.meta]))
    source = open_cifar_pickles(kind, folder, names, layout.meta, layout.labels, layout.names)
    return dataclasses.replace(source, has_test=all((folder / name).is_file() for name in layout.test))


def open_stl10_part(root: Path, part: str, config: DataConfig) -> Source:
    folder = _below(root, "stl10_binary", "train_X.bin")
    if part and config.split != "train":
        raise DataError("The unlabelled pictures of STL-10 are for training.", where="data.split", got=config.split)
    parts = {"": _splits(config), "unlabeled": ("unlabeled",), "train+unlabeled": ("train", "unlabeled")}[part]
    _require(*(folder / f"{one}_{end}.bin" for one in parts for end in ("X", "y") if (one, end) != ("unlabeled", "y")))
    return dataclasses.replace(open_stl10(folder, parts), has_test=(folder / "test_X.bin").is_file())


def svhn_parts(part: str, config: DataConfig) -> tuple[str, ...]:
    return {"": _splits(config), "extra": ("extra",), "train+extra": ("train", "extra")}[part]


def open_svhn_part(root: Path, part: str, config: DataConfig) -> Source:
    if part and config.split != "train":
        raise DataError("The extra pictures of SVHN are for training.", where="data.split", got=config.split)
    paths = [root / f"{one}_32x32.mat" for one in svhn_parts(part, config)]
    _require(*paths)
    return dataclasses.replace(open_svhn(paths), has_test=(root / "test_32x32.mat").is_file())


def open_celeba(root: Path, part: str, config: DataConfig) -> Source:
    """CelebA (Liu et al. 2015) in its official parts; those for validation and for testing are both for testing."""
    folder = _below(root, "celeba", "img_align_celeba")
    if not (folder / "img_align_celeba").is_dir():
        raise NotThere(folder / "img_align_celeba")
    source = open_folder(folder, config.max_bytes, dataclasses.replace(Wanted.by(config), split="all"))
    if config.split == "all":
        return source
    listed = folder / "list_eval_partition.txt"
    _require(listed)
    wanted = {"train": ("0",), "test": ("1", "2")}[config.split]
    lines = (line.split() for line in listed.read_text("utf-8", errors="replace").splitlines())
    meant = {words[0] for words in lines if len(words) == 2 and words[1] in wanted}
    names = [picture.name for picture in source.pictures()]
    kept = [name for name in names if name.rpartition("/")[2] in meant]
    if not kept:
        raise DataError("No picture belongs to this part of CelebA.", where=printable(listed), got=config.split)
    others = [LeftOut(name, "part") for name in names if name.rpartition("/")[2] not in meant]

    def pictures() -> Iterator[SourcePicture]:
        return (picture for picture in source.pictures() if picture.name.rpartition("/")[2] in meant)

    left_out = [one for one in source.left_out if one.name != listed.name]
    identity = f"{source.identity} {config.split} {listed.stat().st_mtime_ns} {listed.stat().st_size}"
    return dataclasses.replace(source, identity=identity, count=len(kept), pictures=pictures, has_test=True,
                               left_out=(*left_out, *others))  # fmt: skip


def open_image_folder(root: Path, part: str, config: DataConfig) -> Source:
    if not root.is_dir():
        raise NotThere(root)
    return open_folder(root, config.max_bytes, Wanted.by(config))


def open_lsun(root: Path, part: str, config: DataConfig) -> Source:
    raise DataError(
        "LSUN is kept in databases of LMDB, which ganlet does not read.",
        where=printable(config.source),
        expected="its pictures as files",
        hint="export them with data.py of github.com/fyu/lsun: python data.py export LMDB --out_dir FOLDER",
    )


class CifarLayout(NamedTuple):
    """Where a CIFAR lies, and under which keys its labels do."""

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    meta: str
    labels: str
    names: str


CIFAR_LAYOUTS = {
    "cifar10": CifarLayout("cifar-10-batches-py", tuple(f"data_batch_{number}" for number in range(1, 6)),
                           ("test_batch",), "batches.meta", "labels", "label_names"),
    "cifar100": CifarLayout("cifar-100-python", ("train",), ("test",), "meta", "fine_labels", "fine_label_names"),
}  # fmt: skip
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
EMNIST_CLASSES: dict[str, Sequence[str]] = {
    "byclass": DIGITS + LETTERS[26:] + LETTERS[:26],
    "bymerge": DIGITS + LETTERS[26:] + "".join(one for one in LETTERS[:26] if one not in MERGED),
    "balanced": DIGITS + LETTERS[26:] + "".join(one for one in LETTERS[:26] if one not in MERGED),
    "letters": ["none", *LETTERS[:26]],
    "digits": DIGITS,
    "mnist": DIGITS,
}
