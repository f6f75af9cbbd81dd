"""Pack a source into one array of uint8 pictures, once, and find it again.

The cache folder is GANLET_CACHE, or what the system has for such things, and holds

- `packs/FINGERPRINT.npy`: pictures (N, H, W, C), sorted by the BLAKE2b digests of their bytes (equal ones by label,
  then as the source has them). Equal sets of pictures share one file, whatever they are called and wherever they are;
- `keys/KEY.json`: which pack a source gave with certain settings, with its labels, names and summary. The key covers
  the state of the source on disk, so a source that has not changed is never decoded again.

Both are built in a folder of their own and moved into place when complete, so several processes may pack at once.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from PIL import __version__ as pillow_version

from ganlet.config.data import DataConfig
from ganlet.data.decode import strict_pillow
from ganlet.data.fit import packed_size
from ganlet.data.ingest import Fitted, Progress, Stock, check_broken, choose_channels, digest_of, ingest
from ganlet.data.spec import Pack, Source, shown
from ganlet.errors import DataError, EnvironmentProblem, ResourceProblem

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

logger = logging.getLogger(__name__)

PACK_VERSION = 1
CACHE_VARIABLE = "GANLET_CACHE"
BUILD_PREFIX = ".building-"
DEAD_AFTER_SECONDS = 24 * 3600
GATHER_BYTES = 2**24
DISK_FULL = {errno.ENOSPC, errno.EDQUOT}

# What a pack does not depend on: how it is shown, and how many pictures are enough.
NOT_IN_KEY = {"source", "flip", "allow_few"}


def cache_folder() -> Path:
    """Where packs are kept."""
    return Path(os.environ.get(CACHE_VARIABLE) or platformdirs.user_cache_dir("ganlet"))


def open_or_build(source: Source, config: DataConfig, progress: Progress | None = None) -> Pack:
    """The pack of a source: from the cache, else built, which needs twice its size on disk for a while.

    Raises DataError for broken or too few pictures, ResourceProblem when the disk is full and EnvironmentProblem when
    the cache folder cannot be written.
    """
    cache = cache_folder()
    key_path = cache / "keys" / f"{_key(source, config)}.json"
    pack = _opened(cache, key_path)
    if pack is None:
        with _one_builder(cache, key_path):
            # Whoever had to wait finds what the first one has built.
            pack = _opened(cache, key_path)
            if pack is None:
                _build(source, config, cache, key_path, progress)
                pack = _opened(cache, key_path)
        assert pack is not None, key_path
    pack.summary["source"] = config.source
    return pack


def fingerprint_of(pictures: np.ndarray) -> str:
    """The fingerprint of pictures (N, H, W, C) in any order, from their content: to verify a pack."""
    return _fingerprint(sorted(digest_of(picture) for picture in pictures), pictures.shape[1:])


def _fingerprint(digests: Sequence[bytes], shape: tuple[int, ...]) -> str:
    """Of sorted digests and the shape (H, W, C) of a picture."""
    head = f"ganlet pack {PACK_VERSION} {len(digests)} {shape}"
    return hashlib.blake2b(head.encode() + b"".join(digests), digest_size=32).hexdigest()


def _key(source: Source, config: DataConfig) -> str:
    settings = config.model_dump(mode="json", exclude=NOT_IN_KEY)
    text = json.dumps([PACK_VERSION, pillow_version, source.kind, source.identity, settings], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _opened(cache: Path, key_path: Path) -> Pack | None:
    """The pack that a key points to, or None when either is missing or damaged."""
    try:
        entry = json.loads(key_path.read_text(encoding="utf-8"))
        pictures = _mapped(_pack_path(cache, entry["fingerprint"]), entry["shape"])
        if fingerprint_of(pictures) != entry["fingerprint"]:
            logger.warning("The pack %s is damaged, so it is built anew.", entry["fingerprint"])
            _pack_path(cache, entry["fingerprint"]).unlink()
            return None
        return Pack(
            pictures=pictures,
            labels=None if entry["labels"] is None else np.array(entry["labels"], np.int64),
            label_names=tuple(entry["label_names"]),
            names=None if entry["names"] is None else tuple(entry["names"]),
            fingerprint=entry["fingerprint"],
            summary=entry["summary"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _mapped(path: Path, shape: list[int]) -> np.memmap:
    """The pictures of a pack as a read-only map. Raises OSError or ValueError when it is damaged."""
    pictures = np.lib.format.open_memmap(path, mode="r")
    whole = path.stat().st_size == pictures.offset + pictures.nbytes
    if list(pictures.shape) != shape or pictures.dtype != np.uint8 or not whole:
        raise ValueError(f"{path} is damaged")
    return pictures


def _pack_path(cache: Path, fingerprint: str) -> Path:
    return cache / "packs" / f"{fingerprint}.npy"


@contextmanager
def _one_builder(cache: Path, key_path: Path) -> Iterator[None]:
    """Let one process build a pack while others that want the same one wait. Windows lets them all build."""
    if fcntl is None:
        yield
        return
    with _cache_problems(cache, 0):
        (cache / "locks").mkdir(parents=True, exist_ok=True)
        file = open(cache / "locks" / key_path.stem, "w")  # noqa: SIM115
    with file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(source: Source, config: DataConfig, cache: Path, key_path: Path, progress: Progress | None) -> None:
    """Pack a source and move the result into the cache."""
    with strict_pillow():
        channels = choose_channels(source, config)
    shape = (*packed_size(config.size, config.crop), channels)
    needed = 2 * source.count * int(np.prod(shape))
    with _cache_problems(cache, needed):
        _sweep(cache)
        for folder in (cache / "packs", key_path.parent):
            folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(cache).free < needed:
            raise OSError(errno.ENOSPC, "too little space is free")
        with tempfile.TemporaryDirectory(prefix=BUILD_PREFIX, dir=cache, ignore_cleanup_errors=True) as building:
            entry = _write_pack(source, config, shape, Path(building), progress)
            target = _pack_path(cache, entry["fingerprint"])
            if not _is_whole(target, entry["shape"]):
                os.replace(Path(building, "pictures.npy"), target)
            with open(Path(building, "key.json"), "w", encoding="utf-8") as file:
                json.dump(entry, file)
                _flush(file)
            os.replace(Path(building, "key.json"), key_path)


def _write_pack(
    source: Source, config: DataConfig, shape: tuple[int, int, int], building: Path, progress: Progress | None
) -> dict[str, Any]:
    """Write the pictures of a source, sorted, to `building/pictures.npy`; returns what the key says about them."""
    stock = Stock()
    digests: list[bytes] = []
    labels: list[int | None] = []
    names: list[str] = []
    with strict_pillow(), open(building / "unsorted", "wb") as unsorted:
        for fitted in ingest(source, config, shape[2], stock, progress):
            _append(fitted, unsorted, digests, labels, names)
    where = shown(config.source)
    check_broken(stock, source, config, where)
    count = _wanted(len(digests), config, where)
    order = sorted(range(len(digests)), key=lambda i: (digests[i], labels[i] or 0))[:count]
    _gather(building / "unsorted", order, len(digests), shape, building / "pictures.npy")

    digests = [digests[i] for i in order]
    labels_in_order = [labels[i] for i in order]
    label_names = source.label_names or ()
    class_counts = Counter(labels_in_order)
    summary = {
        "source": config.source,
        "kind": source.kind,
        "count": count,
        "num_found": source.count,
        "size": list(config.size),
        "packed_size": list(shape[:2]),
        "channels": shape[2],
        "num_duplicates": count - len(set(digests)),
        "classes": {shown(name): class_counts[number] for number, name in enumerate(label_names)},
        "ignored": {shown(suffix) or "no suffix": number for suffix, number in sorted(source.ignored.items())},
        **stock.summary(),
    }
    return {
        "fingerprint": _fingerprint(digests, shape),
        "shape": [count, *shape],
        "labels": labels_in_order if source.label_names else None,
        "label_names": list(label_names),
        "names": [names[i] for i in order] if any(names) else None,
        "summary": summary,
    }


def _append(
    fitted: list[Fitted], unsorted: Any, digests: list[bytes], labels: list[int | None], names: list[str]
) -> None:
    for one in fitted:
        unsorted.write(one.pixels.data)
        digests.append(one.digest)
        labels.append(one.picture.label)
        names.append(one.picture.name)


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


def _gather(unsorted: Path, order: list[int], total: int, shape: tuple[int, ...], target: Path) -> None:
    """Copy pictures in a new order, in chunks. Written, not mapped: a full disk is then an error, not a crash."""
    pictures = np.memmap(unsorted, np.uint8, mode="r", shape=(total, *shape))
    step = max(1, GATHER_BYTES // int(np.prod(shape)))
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(order), *shape)}
    with open(target, "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(order), step):
            file.write(pictures[order[start : start + step]].data)
        _flush(file)


def _flush(file: Any) -> None:
    """Have it on the disk, so that after a power cut a name never stands for a file without content."""
    file.flush()
    os.fsync(file.fileno())


def _is_whole(path: Path, shape: list[int]) -> bool:
    try:
        _mapped(path, shape)
    except (OSError, ValueError):
        return False
    return True


def _sweep(cache: Path) -> None:
    """Remove what builds have left behind that died more than a day ago."""
    for folder in cache.glob(f"{BUILD_PREFIX}*"):
        with suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > DEAD_AFTER_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _cache_problems(cache: Path, needed: int) -> Iterator[None]:
    """Turn what the system says about the cache folder into errors for users."""
    hint = f"set {CACHE_VARIABLE} to a folder on a disk with more room"
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise ResourceProblem(
                "The disk is full.", where=shown(cache), got=error.strerror, expected=f"{needed} bytes free", hint=hint
            ) from error
        raise EnvironmentProblem(
            "The cache folder cannot be used.",
            where=shown(cache),
            got=error.strerror,
            hint=f"set {CACHE_VARIABLE} to a folder that can be written",
        ) from error
