"""Sets by the names that torchvision has for them, read from a folder that torchvision laid out.

Nothing here needs torchvision but downloading. A set is a line in `SETS` at the end: where its files lie, how they are
opened, and where they come from.
"""

from __future__ import annotations

import dataclasses
import itertools
import string
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ganlet.data.binary_sets import open_cifar_pickles, open_stl10, open_svhn
from ganlet.data.folder import open_folder
from ganlet.data.idx_cifar import has_idx, open_idx
from ganlet.data.layout import Wanted
from ganlet.data.settings import DataConfig
from ganlet.data.spec import LeftOut, Source, SourceKind, SourcePicture, path_of
from ganlet.errors import DataError, EnvironmentProblem, nearest
from ganlet.paths import TORCHVISION, printable, shortened

KIND_NAME = "torchvision"
ROOT = "data"  # where torchvision's own examples put their sets
DIGITS, LETTERS = string.digits, string.ascii_letters
MERGED = "cijklmopsuvwxyz"  # small letters that EMNIST takes for large ones


class Address(NamedTuple):
    """What a source names: torchvision:NAME[/PART][:FOLDER]."""

    name: str
    part: str
    root: str

    @classmethod
    def of(cls, source: str) -> Address:
        """The address, with torchvision's own name of the set. Raises DataError for a set or part that is not known."""
        named, _, root = source.removeprefix(TORCHVISION).partition(":")
        name, _, part = named.partition("/")
        known = {one.lower(): one for one in SETS}
        if name.lower() not in known:
            close = nearest(name.lower(), known)
            hint = f"did you mean {TORCHVISION}{known[close]}?" if close else "for other sets: give their folder"
            expected = ", ".join(SETS)
            raise DataError("ganlet reads no such set of torchvision.", where=printable(source), expected=expected,
                            hint=hint)  # fmt: skip
        name = known[name.lower()]
        parts = SETS[name].parts
        if part not in parts:
            shown = f"{TORCHVISION}{name}"
            expected = " or ".join(f"{shown}/{one}" if one else shown for one in parts)
            raise DataError("The set has no such part.", where=printable(source), expected=expected)
        return cls(name, part, root or ROOT)

    def __str__(self) -> str:
        return f"{TORCHVISION}{self.name}{f'/{self.part}' if self.part else ''}:{self.root}"


class NotThere(Exception):
    """A file or folder of a set that is not where torchvision puts it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path


@dataclass(frozen=True)
class TorchvisionSet:
    """A set: `open(root, part, config)` raises `NotThere`; `calls(part, config)` are the arguments that torchvision's
    class of the name downloads it with, none where it cannot; `address` is where a person does."""

    open: Callable[[Path, str, DataConfig], Source]
    address: str = ""
    calls: Callable[[str, DataConfig], Sequence[Mapping[str, Any]]] = lambda part, config: [{}]
    parts: tuple[str, ...] = ("",)


def open_torchvision(config: DataConfig) -> Source:
    """The pictures of a set, downloaded by torchvision where they are not there.

    Raises DataError for an unknown set or damaged files, EnvironmentProblem where they are not there and cannot be
    downloaded.
    """
    address = Address.of(config.source)
    try:
        return _opened(address, config)
    except NotThere as missing:
        download(address, config, missing.path)
    try:
        return _opened(address, config)
    except NotThere as missing:
        raise EnvironmentProblem(
            "torchvision has downloaded the set, and it is still not there.", where=printable(missing.path)
        ) from None


def _opened(address: Address, config: DataConfig) -> Source:
    source = SETS[address.name].open(path_of(address.root), address.part, config)
    identity = f"{address.name}/{address.part} {source.kind} {source.identity}"
    return dataclasses.replace(source, kind=KIND_NAME, identity=identity)


def download(address: Address, config: DataConfig, missing: Path) -> None:
    """Have torchvision download a set. Raises EnvironmentProblem with the way out where it cannot."""
    known = SETS[address.name]
    here = f"ganlet train {TORCHVISION}{address.name}{f'/{address.part}' if address.part else ''}:FOLDER"
    away = f"get it yourself: {known.address}" if known.address else "lay it out as torchvision does"
    by_hand = f"{away}, then: {here}"
    where, expected = printable(missing), f"{address.name} as torchvision lays it out in {printable(address.root)}"
    calls = known.calls(address.part, config)
    if not calls:
        raise DataError("This set is not there.", where=where, expected=expected, hint=by_hand)
    try:
        import torchvision.datasets  # pyright: ignore[reportMissingImports]

        dataset = getattr(torchvision.datasets, address.name)
    except ImportError as error:
        raise EnvironmentProblem(
            "This set is not there, and torchvision, which would download it, is not installed.",
            where=where,
            got=_first_line(error),
            expected=expected,
            hint=f"pip install 'ganlet[torchvision]', or {by_hand}",
        ) from error
    except Exception as error:  # such as a torchvision of another torch
        raise EnvironmentProblem(
            "This set is not there, and the torchvision that is installed here does not work.",
            where=where,
            got=_first_line(error),
            expected=f"a torchvision that was built for this torch, or {expected}",
            hint=by_hand,
        ) from error
    try:
        for arguments in calls:
            dataset(address.root, download=True, **arguments)
    except Exception as error:  # no network, no room, another checksum, gdown that is missing
        raise EnvironmentProblem(
            "torchvision could not download this set.",
            where=where,
            got=_first_line(error),
            expected=expected,
            hint=by_hand,
        ) from error


def _first_line(error: Exception) -> str:
    return shortened(printable((str(error).strip() or type(error).__name__).splitlines()[0]))


def _splits(config: DataConfig) -> tuple[str, ...]:
    return ("train", "test") if config.split == "all" else (config.split,)


def _require(*paths: Path) -> None:
    for path in paths:
        if not path.is_file():
            raise NotThere(path)


def _below(root: Path, folder: str, name: str) -> Path:
    """The folder of a set in a root, or the root itself where that is what was given."""
    return root if (root / name).exists() and not (root / folder).exists() else root / folder


def _idx(root: Path, part: str, config: DataConfig, name: str, classes: Sequence[str] = ()) -> Source:
    """A set of MNIST's kind, in NAME/raw, with the names of its classes by their numbers."""
    folder = root / name / "raw"
    if not folder.is_dir() or not has_idx(folder):
        raise NotThere(folder)
    return _named(open_idx(folder, config.split, config.max_pixels), classes)


def _emnist(root: Path, part: str, config: DataConfig) -> Source:
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


def _cifar(root: Path, part: str, config: DataConfig, kind: str) -> Source:
    layout = CIFAR_LAYOUTS[kind]
    folder = _below(root, layout.folder, layout.meta)
    names = [name for split in _splits(config) for name in (layout.train if split == "train" else layout.test)]
    _require(*(folder / name for name in [*names, layout.meta]))
    source = open_cifar_pickles(kind, folder, names, layout.meta, layout.labels, layout.names)
    return dataclasses.replace(source, has_test=all((folder / name).is_file() for name in layout.test))


def _stl10(root: Path, part: str, config: DataConfig) -> Source:
    folder = _below(root, "stl10_binary", "train_X.bin")
    if part and config.split != "train":
        raise DataError("The unlabelled pictures of STL-10 are for training.", where="data.split", got=config.split)
    parts = {"": _splits(config), "unlabeled": ("unlabeled",), "train+unlabeled": ("train", "unlabeled")}[part]
    _require(*(folder / f"{one}_{end}.bin" for one in parts for end in ("X", "y") if (one, end) != ("unlabeled", "y")))
    return dataclasses.replace(open_stl10(folder, parts), has_test=(folder / "test_X.bin").is_file())


def _svhn_parts(part: str, config: DataConfig) -> tuple[str, ...]:
    return {"": _splits(config), "extra": ("extra",), "train+extra": ("train", "extra")}[part]


def _svhn(root: Path, part: str, config: DataConfig) -> Source:
    if part and config.split != "train":
        raise DataError("The extra pictures of SVHN are for training.", where="data.split", got=config.split)
    paths = [root / f"{one}_32x32.mat" for one in _svhn_parts(part, config)]
    _require(*paths)
    return dataclasses.replace(open_svhn(paths), has_test=(root / "test_32x32.mat").is_file())


def _celeba(root: Path, part: str, config: DataConfig) -> Source:
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


def _image_folder(root: Path, part: str, config: DataConfig) -> Source:
    if not root.is_dir():
        raise NotThere(root)
    return open_folder(root, config.max_bytes, Wanted.by(config))


def _lsun(root: Path, part: str, config: DataConfig) -> Source:
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
CIFAR_SITE = "https://www.cs.toronto.edu/~kriz"
SETS: dict[str, TorchvisionSet] = {
    "MNIST": TorchvisionSet(partial(_idx, name="MNIST"), "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    "FashionMNIST": TorchvisionSet(
        partial(_idx, name="FashionMNIST", classes=FASHION), "https://github.com/zalandoresearch/fashion-mnist"
    ),
    "KMNIST": TorchvisionSet(
        partial(_idx, name="KMNIST", classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")),
        "https://github.com/rois-codh/kmnist",
    ),
    "EMNIST": TorchvisionSet(
        _emnist,
        "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
        lambda part, config: [{"split": part}],
        parts=tuple(EMNIST_CLASSES),
    ),
    "CIFAR10": TorchvisionSet(partial(_cifar, kind="cifar10"), f"{CIFAR_SITE}/cifar-10-python.tar.gz"),
    "CIFAR100": TorchvisionSet(partial(_cifar, kind="cifar100"), f"{CIFAR_SITE}/cifar-100-python.tar.gz"),
    "SVHN": TorchvisionSet(
        _svhn,
        "http://ufldl.stanford.edu/housenumbers/",
        lambda part, config: [{"split": one} for one in _svhn_parts(part, config)],
        parts=("", "extra", "train+extra"),
    ),
    "STL10": TorchvisionSet(
        _stl10, "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz", parts=("", "unlabeled", "train+unlabeled")
    ),
    "CelebA": TorchvisionSet(_celeba, "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"),
    "ImageFolder": TorchvisionSet(_image_folder, calls=lambda part, config: []),
    "LSUN": TorchvisionSet(_lsun),
}


def _absolute(source: str) -> str:
    address = Address.of(source)
    return str(address._replace(root=str(path_of(address.root).absolute())))


KIND = SourceKind(
    f"torchvision:NAME[:FOLDER], a set as torchvision lays it out ({', '.join(SETS)}); FOLDER: ./{ROOT}",
    matches=lambda text: text.startswith(TORCHVISION),
    open=open_torchvision,
    absolute=_absolute,
)
