"""What is in the cache: which pictures, of which sources, when they were last used; and making room in it.

All that is kept of one set of pictures goes together: the pack, the keys that lead to it, and what was computed from
it. A process that uses a pack holds a lock on its file, so that nobody removes it; what was removed is built anew when
it is wanted again. Beside them are runs that were opened from their zip files, each a folder, and files that were
fetched.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from ganlet.data.cache import NO_LOCKS, building_folder, cache_folder, cache_problems
from ganlet.data.pack import pack_path
from ganlet.data.stacked import STACKED
from ganlet.errors import ConfigError
from ganlet.paths import TORCHVISION, require_makeable

try:
    import fcntl
except ImportError:  # Windows, which lets nobody remove a file that is mapped
    fcntl = None

LIMIT_VARIABLE = "GANLET_CACHE_LIMIT"
SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?\s*$", re.IGNORECASE)
FACTORS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
COMPUTED = ("references", "classifiers")  # folders with what was computed from packs
RUNS = "runs"  # the folder with runs from zip files, by the hash of the file; a note of the same name beside each
DOWNLOADS = "downloads"  # the folder with what was fetched
SOURCES = "sources"  # the folder with the sources of each pack
_IN_USE: dict[Path, int] = {}


@dataclass
class Kept:
    """All that the cache has of one set of pictures; `last_used` is in seconds since 1970.

    Or of a run from a zip file, whose `folder` is then what is kept, and `fingerprint` the hash of the file; or a file
    that was fetched, whose name is then `fingerprint`.
    """

    fingerprint: str
    sources: list[str] = field(default_factory=list)  # absolute where they are paths
    files: list[Path] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)  # the locks under which it is built
    size: int = 0
    last_used: float = 0.0
    folder: Path | None = None
    kind: Literal["pictures", "run", "download"] = "pictures"

    @property
    def gone(self) -> bool:
        """Whether none of its sources is there any more; False where that cannot be told."""
        paths = [Path(_place(source)) for source in self.sources]
        return bool(paths) and not any(not path.is_absolute() or os.path.lexists(path) for path in paths)

    def add(self, path: Path) -> None:
        with suppress(OSError):
            state = path.stat()
            self.files.append(path)
            self.size += state.st_size
            self.last_used = max(self.last_used, state.st_mtime)


def note_use(fingerprint: str, source: str) -> None:
    """Note that this process uses a pack until it ends, and of which source it is (absolute where it is a path)."""
    cache = cache_folder()
    path = pack_path(cache, fingerprint)
    with suppress(OSError):  # a cache that is only read serves too
        _hold(path)
        os.utime(path)
        note = cache / SOURCES / f"{fingerprint}.json"
        known = _sources(note)
        if source not in known:
            note.parent.mkdir(exist_ok=True)
            temporary = note.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps([*known, source]), encoding="utf-8")
            os.replace(temporary, note)


def note_run(home: Path, source: str) -> None:
    """Note that this process uses a run from a zip file until it ends, and where that file is (absolute)."""
    with suppress(OSError):
        _hold(home)
        note = home.with_suffix(".json")
        known = [other for other in _sources(note) if other != source]
        temporary = note.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps([*known, source]), encoding="utf-8")
        os.replace(temporary, note)


def lock_of_run(digest: str) -> str:
    """What the lock is called under which a run from a zip file is opened, and removed."""
    return f"run-{digest}"


def source_of_run(run: Path) -> Path | None:
    """The zip file that a run in the cache was opened from last; None for a run anywhere else."""
    if run.parent.parent != cache_folder() / RUNS:
        return None
    known = _sources(run.parent.with_suffix(".json"))
    return Path(known[-1]) if known else run


def contents() -> list[Kept]:
    """What is in the cache, by set of pictures or run, the last used first. Raises what `cache_problems` does."""
    cache, found = cache_folder(), dict[str, Kept]()
    with cache_problems(cache, 0):
        require_makeable(cache)

    def of(fingerprint: str) -> Kept:
        return found.setdefault(fingerprint, Kept(fingerprint))

    for path in cache.glob("packs/*.npy"):
        of(path.stem).add(path)
    for path in cache.glob("keys/*.json"):
        entry = _read(path)
        if isinstance(entry, dict) and "fingerprint" in entry:
            kept = of(str(entry["fingerprint"]))
            kept.add(path)
            kept.keys.append(path.stem)
            kept.sources.append(str((entry.get("summary") or {}).get("source")))
    for folder in COMPUTED:
        for path in cache.glob(f"{folder}/*.json"):
            entry = _read(path)
            key = entry.get("key") if isinstance(entry, dict) else None
            if isinstance(key, dict) and "data_fingerprint" in key:
                of(str(key["data_fingerprint"])).add(path)
                of(str(key["data_fingerprint"])).add(path.with_suffix(".safetensors"))
    for fingerprint, kept in found.items():
        note = cache / SOURCES / f"{fingerprint}.json"
        if known := _sources(note):  # better than what keys have, which may be relative to any folder
            kept.sources = known
            kept.add(note)
        kept.sources = list(dict.fromkeys(map(_plain, kept.sources)))
    for note in cache.glob(f"{RUNS}/*.json"):
        run = Kept(note.stem, _sources(note), keys=[lock_of_run(note.stem)], folder=note.with_suffix(""), kind="run")
        for path in [note, *sorted(note.with_suffix("").rglob("*"))]:
            if path.is_file():
                run.add(path)
        found[note.stem] = run
    for path in cache.glob(f"{DOWNLOADS}/*"):
        found[path.name] = Kept(path.name, [path.name], kind="download")
        found[path.name].add(path)
    return sorted(found.values(), key=lambda kept: kept.last_used, reverse=True)


def remove(kept: Iterable[Kept]) -> tuple[list[Kept], list[Kept]]:
    """Remove these from the cache but for those in use; returns what was removed, and what is in use."""
    removed, used = [], []
    for one in kept:
        with _alone(one) as alone:
            if alone:
                if one.folder is not None:
                    _remove_whole(one.folder)
                for path in sorted(one.files, key=lambda path: path.suffix == ".npy"):  # first what leads there
                    path.unlink(missing_ok=True)
            (removed if alone else used).append(one)
    return removed, used


def _remove_whole(folder: Path) -> None:
    """Take a folder away in one move, so that no part of it is left in its place; what a kill leaves is swept later."""
    with suppress(FileNotFoundError), building_folder(cache_folder()) as away:
        os.rename(folder, away / folder.name)


def keep_within_limit() -> list[Kept]:
    """Remove what was used least recently until the cache is within its limit; returns what was removed."""
    limit = cache_limit()
    if limit is None or _packed_bytes() <= limit:
        return []
    found, removed = contents(), list[Kept]()
    total = sum(kept.size for kept in found)
    for kept in reversed(found):
        if total <= limit:
            break
        gone, _ = remove([kept])
        removed += gone
        total -= sum(one.size for one in gone)
    return removed


def cache_limit() -> int | None:
    """The most bytes that the cache may hold; None where nothing is said. Raises `ConfigError` for what is no size."""
    text = os.environ.get(LIMIT_VARIABLE, "").strip()
    if not text:
        return None
    match = SIZE.match(text)
    if match is None:
        raise ConfigError("This is no size.", where=LIMIT_VARIABLE, got=text[:60], expected="such as 500 MB or 20 GB")
    return int(float(match[1]) * FACTORS[match[2].lower()])


def _packed_bytes() -> int:
    """The size of all packs and runs, most of the cache: it is asked after every use, and keys are slow to read."""
    total = 0
    for pattern in ("packs/*.npy", f"{RUNS}/*/*/**/*"):
        for path in cache_folder().glob(pattern):
            with suppress(OSError):
                total += path.stat().st_size
    return total


def _hold(path: Path) -> None:
    """Hold a lock on a pack's file or a run's folder until this process ends, but once only. Raises OSError."""
    if fcntl is None:
        return
    held = _IN_USE.get(path)
    if held is not None and os.path.samestat(os.fstat(held), path.stat()):
        return
    _IN_USE[path] = descriptor = os.open(path, os.O_RDONLY)
    if held is not None:  # of a file that has been removed and built anew
        os.close(held)
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)


@contextmanager
def _alone(kept: Kept) -> Iterator[bool]:
    """Whether nobody uses or builds this, which nobody begins to do within the context."""
    cache = cache_folder()
    with ExitStack() as stack:
        try:
            for key in kept.keys:
                lock = FileLock(cache / "locks" / key, fallback_to_soft=False)
                lock.acquire(blocking=False)
                stack.callback(lock.release)
        except Timeout:
            yield False
            return
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield _lock_pack(kept.folder or pack_path(cache, kept.fingerprint), stack)


def _lock_pack(path: Path, stack: ExitStack) -> bool:
    if fcntl is None:
        return True
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return True
    stack.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # somebody uses it, or it cannot be told
        return False
    return True


def _place(source: str) -> str:
    """The path in a source, which is absolute where it has one; a source without a path is itself."""
    if source.startswith(TORCHVISION):
        return source.removeprefix(TORCHVISION).partition(":")[2] or source
    return source.removeprefix(STACKED)


def _plain(source: str) -> str:
    """A source without the detours in its path, of which another one may have none: `a/../b` is `b`, unless `a` is a
    link to elsewhere."""
    prefix = STACKED if source.startswith(STACKED) else ""
    path = source.removeprefix(prefix)
    plain = os.path.normpath(path)
    if plain == path or not os.path.isabs(path) or os.path.realpath(plain) != os.path.realpath(path):
        return source
    return prefix + plain


def _sources(note: Path) -> list[str]:
    known = _read(note)
    return [str(source) for source in known] if isinstance(known, list) else []


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def age_in_days(kept: Kept) -> float:
    """How long ago something was last used."""
    return (time.time() - kept.last_used) / 86_400
