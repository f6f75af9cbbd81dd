"""Pack a source into one array of uint8 pictures, once, and find it again.

The cache folder (`data/cache.py`) holds

- `packs/FINGERPRINT.npy`: pictures (N, H, W, C), sorted by the BLAKE2b digests of their bytes (equal ones by label and
  attributes, then as the source has them). Equal sets of pictures share one file, whatever they are called and
  wherever they are;
- `keys/KEY.json`: which pack a source gave with certain settings, with its labels, attributes, names and summary. The
  key covers the state of the source on disk, so a source that has not changed is never decoded again.

Both are built in a folder of their own and moved into place when complete, so several processes may pack at once.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import __version__ as pillow_version

from ganlet.data.cache import build_lock, building_folder, cache_folder, cache_problems, flush
from ganlet.data.decode import strict_pillow
from ganlet.data.ingest import Progress, Stock, check_broken, choose_channels, digest_of, ingest
from ganlet.data.leftovers import check_left_out, left_out_line
from ganlet.data.resize import packed_size
from ganlet.data.settings import DataConfig
from ganlet.data.spec import Pack, Source
from ganlet.errors import DataError
from ganlet.paths import printable

logger = logging.getLogger(__name__)

PACK_VERSION = 1
KEY_VERSION = 2  # another one has every source looked at again, while packs stay what they are
GATHER_BYTES = 2**24
LISTED = 5

# What a pack does not depend on: its licence, how it is shown, how much of it, with which labels, and how many pictures
# are enough. Attributes are read only on request, and then the source has another identity.
NOT_IN_KEY = {"source", "licence", "flip", "allow_few", "holdout", "labels", "label_names", "balance"}


def open_or_build(source: Source, config: DataConfig, progress: Progress | None = None) -> Pack:
    """The pack of a source: from the cache, else built, which needs twice its size on disk for a while.

    Raises DataError for broken or too few pictures, ResourceProblem when the disk is full and EnvironmentProblem when
    the cache folder cannot be written.
    """
    check_left_out(source, config, printable(config.source))
    cache = cache_folder()
    key_path = cache / "keys" / f"{_key(source, config)}.json"
    pack = _opened(cache, key_path)
    if pack is None:
        with build_lock(cache, key_path.stem):
            # Whoever had to wait finds what the first one has built.
            pack = _opened(cache, key_path)
            if pack is None:
                _build(source, config, cache, key_path, progress)
                pack = _opened(cache, key_path)
        assert pack is not None, key_path
    pack.summary.update(_as_it_is_now(source, config))
    pack.summary["notes"] = [*_told(source), *pack.summary["notes"]]
    return pack


def _as_it_is_now(source: Source, config: DataConfig) -> dict[str, Any]:
    """What may have changed about a source while its pictures are the same."""
    reasons: dict[str, list[str]] = {}
    for one in source.left_out:
        reasons.setdefault(one.why, []).append(printable(one.name))
    return {
        "source": config.source,
        "has_test": source.has_test,
        "ignored": {printable(suffix) or "no suffix": number for suffix, number in sorted(source.ignored.items())},
        "left_out": {why: {"count": len(names), "first": names[:LISTED]} for why, names in reasons.items()},
        "tables": [printable(name) for name in source.tables],
    }


def _told(source: Source) -> list[str]:
    line = left_out_line(source.left_out)
    return [*([line] if line else []), *source.notes]


def fingerprint_of(pictures: np.ndarray) -> str:
    """The fingerprint of pictures (N, H, W, C) in any order, from their content: to verify a pack."""
    return fingerprint_from(sorted(digest_of(picture) for picture in pictures), pictures.shape[1:])


def fingerprint_from(digests: Sequence[bytes], shape: tuple[int, ...]) -> str:
    """The fingerprint, from sorted digests and the shape (H, W, C) of a picture."""
    head = f"ganlet pack {PACK_VERSION} {len(digests)} {shape}"
    return hashlib.blake2b(head.encode() + b"".join(digests), digest_size=32).hexdigest()


def _key(source: Source, config: DataConfig) -> str:
    settings = config.model_dump(mode="json", exclude=NOT_IN_KEY)
    text = json.dumps(
        [PACK_VERSION, KEY_VERSION, pillow_version, source.kind, source.identity, settings], sort_keys=True
    )
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _opened(cache: Path, key_path: Path) -> Pack | None:
    """The pack that a key points to, or None when either is missing or damaged."""
    try:
        entry = json.loads(key_path.read_text(encoding="utf-8"))
        pictures = mapped(pack_path(cache, entry["fingerprint"]), entry["shape"])
        if fingerprint_of(pictures) != entry["fingerprint"]:
            logger.warning("The pack %s is damaged, so it is built anew.", entry["fingerprint"])
            pack_path(cache, entry["fingerprint"]).unlink()
            return None
        return Pack(
            pictures=pictures,
            labels=None if entry["labels"] is None else np.array(entry["labels"], np.int64),
            label_names=tuple(entry["label_names"]),
            names=None if entry["names"] is None else tuple(entry["names"]),
            fingerprint=entry["fingerprint"],
            summary=entry["summary"],
            attributes=_unpacked(entry.get("attributes"), len(pictures), entry.get("attribute_names", [])),
            attribute_names=tuple(entry.get("attribute_names", [])),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _packed(attributes: list[bytes]) -> str:
    """Attributes as a key has them: a row of bits for each picture, in hexadecimal digits."""
    rows = np.frombuffer(b"".join(attributes), np.uint8).reshape(len(attributes), -1)
    return np.packbits(rows, axis=1).tobytes().hex()


def _unpacked(bits: str | None, count: int, names: Sequence[str]) -> np.ndarray | None:
    """Attributes uint8 (N, A) from what `_packed` made of them. Raises ValueError for too few or too many."""
    if bits is None:
        return None
    rows = np.frombuffer(bytes.fromhex(bits), np.uint8).reshape(count, -(-len(names) // 8))
    return np.unpackbits(rows, axis=1, count=len(names))


def mapped(path: Path, shape: Sequence[int]) -> np.memmap:
    """The pictures of a pack as a read-only map. Raises OSError or ValueError when it is damaged."""
    pictures = np.lib.format.open_memmap(path, mode="r")
    whole = path.stat().st_size == pictures.offset + pictures.nbytes
    if list(pictures.shape) != list(shape) or pictures.dtype != np.uint8 or not whole:
        raise ValueError(f"{path} is damaged")
    return pictures


def pack_path(cache: Path, fingerprint: str) -> Path:
    return cache / "packs" / f"{fingerprint}.npy"


def _build(source: Source, config: DataConfig, cache: Path, key_path: Path, progress: Progress | None) -> None:
    """Pack a source and move the result into the cache."""
    with strict_pillow(config.max_pixels):
        channels = choose_channels(source, config)
    shape = (*packed_size(config.size, config.crop), channels)
    needed = 2 * source.count * int(np.prod(shape))
    with cache_problems(cache, needed):
        for folder in (cache / "packs", key_path.parent):
            folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(cache).free < needed:
            raise OSError(errno.ENOSPC, "too little space is free")
        with building_folder(cache) as building:
            entry = _write_pack(source, config, shape, building, progress)
            target = pack_path(cache, entry["fingerprint"])
            if not _is_whole(target, entry["shape"]):
                os.replace(building / "pictures.npy", target)
            with open(building / "key.json", "w", encoding="utf-8") as file:
                json.dump(entry, file)
                flush(file)
            os.replace(building / "key.json", key_path)


def _write_pack(
    source: Source, config: DataConfig, shape: tuple[int, int, int], building: Path, progress: Progress | None
) -> dict[str, Any]:
    """Write the pictures of a source, sorted, to `building/pictures.npy`; returns what the key says about them."""
    stock = Stock()
    rows: list[_Row] = []
    with strict_pillow(config.max_pixels), open(building / "unsorted", "wb") as unsorted:
        for fitted in ingest(source, config, shape[2], stock, progress):
            for one in fitted:
                unsorted.write(one.pixels.data)
                rows.append(_Row(one.digest, one.picture.label, one.picture.attributes, one.picture.name))
    where = printable(config.source)
    check_broken(stock, source, config, where)
    count = _wanted(len(rows), config, where)
    order = sorted(range(len(rows)), key=lambda i: (rows[i].digest, rows[i].label or 0, rows[i].attributes or b""))
    order = order[:count]
    unsorted_pictures = np.memmap(building / "unsorted", np.uint8, mode="r", shape=(len(rows), *shape))
    gather(unsorted_pictures, order, building / "pictures.npy")

    return _entry(source, config, shape, [rows[i] for i in order], stock)


class _Row(NamedTuple):
    """What is kept of a picture beside its pixels."""

    digest: bytes
    label: int | None
    attributes: bytes | None
    name: str


def _entry(
    source: Source, config: DataConfig, shape: tuple[int, int, int], rows: list[_Row], stock: Stock
) -> dict[str, Any]:
    """What the key says about pictures in the order of the pack."""
    digests = [row.digest for row in rows]
    label_names, attribute_names = source.label_names or (), source.attribute_names or ()
    class_counts = Counter(row.label for row in rows)
    summary = {
        "source": config.source,
        "kind": source.kind,
        "count": len(rows),
        "num_found": source.count,
        "size": list(config.size),
        "packed_size": list(shape[:2]),
        "channels": shape[2],
        "num_duplicates": len(rows) - len(set(digests)),
        "classes": {printable(name): class_counts[number] for number, name in enumerate(label_names)},
        "notes": stock.notes(config),
        **stock.summary(),
    }
    return {
        "fingerprint": fingerprint_from(digests, shape),
        "shape": [len(rows), *shape],
        "labels": [row.label for row in rows] if source.label_names else None,
        "label_names": list(label_names),
        "attributes": _packed([row.attributes or b"" for row in rows]) if source.attribute_names else None,
        "attribute_names": list(attribute_names),
        "names": [row.name for row in rows] if any(row.name for row in rows) else None,
        "summary": summary,
    }


def _wanted(count: int, config: DataConfig, where: str) -> int:
    """How many pictures to pack out of `count` good ones."""
    wanted = config.num_images or count
    if count < wanted:
        raise DataError("There are fewer pictures than data.num_images.", where=where, got=count, expected=wanted)
    minimum = 1 if config.allow_few else 2
    if wanted < minimum:
        raise DataError(
            "There are too few pictures.",
            where=where,
            got=wanted,
            expected=f"at least {minimum}",
            hint="allow a single picture with --set data.allow_few=true" if wanted else None,
        )
    return wanted


def gather(pictures: np.ndarray, order: Sequence[int], target: Path) -> None:
    """Copy pictures in an order, in chunks. Written, not mapped: a full disk is then an error, not a crash."""
    shape = pictures.shape[1:]
    step = max(1, GATHER_BYTES // int(np.prod(shape)))
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(order), *shape)}
    with open(target, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(order), step):
            file.write(pictures[order[start : start + step]].data)
        flush(file)


def _is_whole(path: Path, shape: list[int]) -> bool:
    try:
        mapped(path, shape)
    except (OSError, ValueError):
        return False
    return True
