"""ONNX Runtime Web, as its makers publish it: fetched once, checked, and made ready to be carried by a page.

It is for generators with operators that the page's own runtime does not know.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import tarfile
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from ganlet.data.cache import cache_folder, cache_problems
from ganlet.data.cache_contents import DOWNLOADS
from ganlet.errors import ConfigError, EnvironmentProblem
from ganlet.paths import given, printable
from ganlet.runs.files import write_atomic
from ganlet.workflows.reporting import Reporter, Silent

VERSION = "1.30.0"
PACKAGE_FILE = f"onnxruntime-web-{VERSION}.tgz"
REGISTRY_VARIABLE = "NPM_CONFIG_REGISTRY"  # of npm
REGISTRY = "https://registry.npmjs.org"
# The package's "integrity", as the registry tells it.
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
MODULE, WASM = "package/dist/ort.wasm.bundle.min.mjs", "package/dist/ort-wasm-simd-threaded.wasm"
EXPORTS = re.compile(r"export\s*\{([^{}]*)\};?\s*$")
WANTED = ("InferenceSession", "Tensor", "env")
SECONDS = 60
LARGEST = 200 * 2**20


@dataclass(frozen=True, eq=False)
class OrtFiles:
    """What a page needs of it: a module that, once run, is `globalThis.ort` and says so; and its WebAssembly."""

    module: bytes
    wasm: bytes


def ort_files(package: Path | None = None, reporter: Reporter | None = None) -> OrtFiles:
    """ONNX Runtime Web out of a package file, or out of the one that is fetched once and kept in the cache.

    Raises `ConfigError` for a file that is no such package, `EnvironmentProblem` where it cannot be fetched.
    """
    if package is not None:
        return _unpacked(_read(given(package, "--runtime")), "--runtime", printable(package))
    kept = cache_folder() / DOWNLOADS / PACKAGE_FILE
    if kept.is_file():
        data = kept.read_bytes()
        if _is_published(data):
            with suppress(OSError):
                os.utime(kept)
            return _unpacked(data, None, printable(kept))
    data = _fetched(reporter or Silent())
    with cache_problems(kept.parent, len(data)):
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(kept, data)
    return _unpacked(data, None, printable(kept))


def address() -> str:
    """Where the package is published."""
    registry = (os.environ.get(REGISTRY_VARIABLE) or REGISTRY).rstrip("/")
    return f"{registry}/onnxruntime-web/-/{PACKAGE_FILE}"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        hint = f"npm pack onnxruntime-web@{VERSION}"
        raise ConfigError(
            "This file cannot be read.", where="--runtime", got=f"{printable(path)}: {error.strerror}", hint=hint
        ) from error


def _fetched(reporter: Reporter) -> bytes:
    reporter.say(f"Fetching ONNX Runtime Web {VERSION} (33 MB, once) from {address()}")
    hint = f"where there is a network: npm pack onnxruntime-web@{VERSION}; then here: --runtime {PACKAGE_FILE}"
    try:
        with urlopen(address(), timeout=SECONDS) as answer:
            data = answer.read(LARGEST)
    except (OSError, HTTPException, ValueError) as error:
        raise EnvironmentProblem(
            "ONNX Runtime Web cannot be fetched.", where=address(), got=printable(error), hint=hint
        ) from error
    if not _is_published(data):
        raise EnvironmentProblem(
            "What was fetched is not the package that was published.",
            where=address(),
            got=f"{len(data):,} bytes of another hash",
            hint=hint,
        )
    return data


def _is_published(data: bytes) -> bool:
    return base64.b64encode(hashlib.sha512(data).digest()).decode() == SHA512


def _unpacked(data: bytes, where: str | None, named: str) -> OrtFiles:
    """The two files of the package, of any version that has them."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as package:
            module, wasm = (_member(package, name) for name in (MODULE, WASM))
        return OrtFiles(_as_global(module.decode()).encode(), wasm)
    except (tarfile.TarError, EOFError, OSError, KeyError, ValueError) as error:
        raise ConfigError(
            "This is no package of ONNX Runtime Web that a page can carry.",
            where=where,
            got=f"{named}: {printable(error)}",
            expected=f"{PACKAGE_FILE}, of npm pack onnxruntime-web@{VERSION}",
        ) from error


def _member(package: tarfile.TarFile, name: str) -> bytes:
    info = package.getmember(name)
    file = package.extractfile(info)
    if file is None or info.size > LARGEST:
        raise ValueError(f"{name} is no file")
    return file.read()


def _as_global(module: str) -> str:
    """The module with its exports as `globalThis.ort`, for a page can import nothing; then it tells of the event "ort".

    What it exports under which name changes with each release, since it is minified.
    """
    module = re.sub(r"^//# sourceMappingURL=.*$", "", module, flags=re.MULTILINE).rstrip()
    found = EXPORTS.search(module)
    pairs = [part.strip().split(" as ") for part in found[1].split(",")] if found else []
    names = {pair[-1].strip(): pair[0].strip() for pair in pairs}
    if found is None or not set(WANTED) <= set(names):
        raise ValueError(f"{MODULE} does not export {', '.join(WANTED)}")
    told = ",".join(f"{name}:{names[name]}" for name in WANTED)
    return f'{module[: found.start()]}globalThis.ort={{{told}}};dispatchEvent(new Event("ort"));'
