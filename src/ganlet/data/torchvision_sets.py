"""Sets by the names that torchvision has for them, read from a folder that torchvision laid out.

Nothing here needs torchvision but downloading. A set is a line in `SETS` at the end: where its files lie, how they are
opened, and where they come from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ganlet.data.settings import DataConfig
from ganlet.data.spec import Source, SourceKind, path_of
from ganlet.data.torchvision_layouts import (
    EMNIST_CLASSES,
    FASHION,
    NotThere,
    open_celeba,
    open_cifar,
    open_emnist,
    open_image_folder,
    open_lsun,
    open_mnist,
    open_stl10_part,
    open_svhn_part,
    svhn_parts,
)
from ganlet.errors import DataError, EnvironmentProblem, nearest
from ganlet.paths import TORCHVISION, printable, shortened

KIND_NAME = "torchvision"
ROOT = "data"  # where torchvision's own examples put their sets


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


CIFAR_SITE = "https://www.cs.toronto.edu/~kriz"
SETS: dict[str, TorchvisionSet] = {
    "MNIST": TorchvisionSet(partial(open_mnist, name="MNIST"), "https://ossci-datasets.s3.amazonaws.com/mnist/"),
    "FashionMNIST": TorchvisionSet(
        partial(open_mnist, name="FashionMNIST", classes=FASHION), "https://github.com/zalandoresearch/fashion-mnist"
    ),
    "KMNIST": TorchvisionSet(
        partial(open_mnist, name="KMNIST", classes=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")),
        "https://github.com/rois-codh/kmnist",
    ),
    "EMNIST": TorchvisionSet(
        open_emnist,
        "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
        lambda part, config: [{"split": part}],
        parts=tuple(EMNIST_CLASSES),
    ),
    "CIFAR10": TorchvisionSet(partial(open_cifar, kind="cifar10"), f"{CIFAR_SITE}/cifar-10-python.tar.gz"),
    "CIFAR100": TorchvisionSet(partial(open_cifar, kind="cifar100"), f"{CIFAR_SITE}/cifar-100-python.tar.gz"),
    "SVHN": TorchvisionSet(
        open_svhn_part,
        "http://ufldl.stanford.edu/housenumbers/",
        lambda part, config: [{"split": one} for one in svhn_parts(part, config)],
        parts=("", "extra", "train+extra"),
    ),
    "STL10": TorchvisionSet(
        open_stl10_part,
        "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
        parts=("", "unlabeled", "train+unlabeled"),
    ),
    "CelebA": TorchvisionSet(open_celeba, "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"),
    "ImageFolder": TorchvisionSet(open_image_folder, calls=lambda part, config: []),
    "LSUN": TorchvisionSet(open_lsun),
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
