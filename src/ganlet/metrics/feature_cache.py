"""Tensors that are computed once and kept in the cache folder: read back only when they are whole and of the same.

`FOLDER/KEY.safetensors` holds the tensors and `KEY.json` beside it what they are of, some facts, and the
SHA-256 of all that.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from typing import Any

import numpy as np
import safetensors.numpy

from ganlet.data.cache import building_folder, cache_folder, cache_problems, flush
from ganlet.errors import EnvironmentProblem, ResourceProblem

log = logging.getLogger(__name__)

Tensors = dict[str, np.ndarray]
Facts = dict[str, Any]  # plain JSON data


def key_name(key: Facts) -> str:
    """What an entry is called that is of `key`."""
    return hashlib.blake2b(json.dumps(key, sort_keys=True).encode(), digest_size=16).hexdigest()


def read_kept(folder: str, key: Facts) -> tuple[Tensors, Facts] | None:
    """The tensors of `key` and the facts kept with them; None when they are missing, damaged, or of anything else."""
    path = cache_folder() / folder / f"{key_name(key)}.safetensors"
    try:
        entry = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        data = path.read_bytes()
        if entry["key"] != key or entry["sha256"] != _digest(data, key, entry["facts"]):
            log.warning("%s in the cache is damaged, so it is computed anew.", path.name)
            return None
        return safetensors.numpy.load(data), entry["facts"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(folder: str, key: Facts, tensors: Tensors, facts: Facts) -> None:
    """Move tensors into the cache, and then what tells that they are whole.

    What is computed is not lost where the cache cannot be written: it is only not kept.
    """
    data = safetensors.numpy.save(tensors)
    entry = {"key": key, "facts": facts, "sha256": _digest(data, key, facts)}
    cache = cache_folder()
    path = cache / folder / f"{key_name(key)}.safetensors"
    try:
        with cache_problems(cache, len(data)):
            path.parent.mkdir(parents=True, exist_ok=True)
            with building_folder(cache) as building:
                for target, content in ((path, data), (path.with_suffix(".json"), json.dumps(entry).encode())):
                    with open(building / target.name, "wb") as file:
                        file.write(content)
                        flush(file)
                    os.replace(building / target.name, target)
    except (ResourceProblem, EnvironmentProblem) as problem:
        log.warning("What was computed is not kept, so it will be computed again. %s", problem)


def _digest(data: bytes, key: Facts, facts: Facts) -> str:
    return hashlib.sha256(data + json.dumps([key, facts], sort_keys=True).encode()).hexdigest()
