"""CIFAR-10 through `torchvision:` gives the very same pack as its binary files.

    python benchmarks/torchvision_cifar.py FOLDER_WITH_cifar-10-batches-bin

The pickles are made of the binary files here, as torchvision lays them out: data, labels and names of the files are
those of the official ones.
"""

from __future__ import annotations

import pickle
import sys
import tempfile
from pathlib import Path

import numpy as np

from ganlet.data.idx_cifar import CIFAR_FOLDER, CIFAR_LABELS, CIFAR_PARTS, CIFAR_RECORD
from ganlet.data.settings import DataConfig
from ganlet.data.source import open_source


def lay_out(binary: Path, root: Path) -> None:
    """Write the pickles of CIFAR-10 below `root`, of the binary files."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    for name in (name for part in CIFAR_PARTS.values() for name in part):
        records = np.fromfile(binary / name, np.uint8).reshape(-1, CIFAR_RECORD)
        content = {"batch_label": name, "labels": records[:, 0].tolist(), "data": records[:, 1:].copy()}
        (folder / name.removesuffix(".bin")).write_bytes(pickle.dumps(content, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CIFAR_LABELS)}, protocol=2))


def main() -> None:
    given = Path(sys.argv[1])
    binary = given / CIFAR_FOLDER if (given / CIFAR_FOLDER).is_dir() else given
    with tempfile.TemporaryDirectory() as folder:
        lay_out(binary, Path(folder))
        for split in ("train", "test", "all"):
            sources = (str(binary), f"torchvision:CIFAR10:{folder}")
            one, other = (open_source(DataConfig(source=source, split=split)) for source in sources)
            equal = {
                "fingerprints": one.fingerprint == other.fingerprint,
                "pictures": np.array_equal(one.pictures, other.pictures),
                "labels": np.array_equal(one.labels, other.labels),
                "names of labels": one.label_names == other.label_names,
            }
            words = ", ".join(f"{what} {'equal' if same else 'DIFFERENT'}" for what, same in equal.items())
            print(f"{split}: {len(other):,} pictures, {one.fingerprint[:12]}: {words}")
            if not all(equal.values()):
                sys.exit(1)


if __name__ == "__main__":
    main()
