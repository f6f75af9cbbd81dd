"""Names that are taken: what is exported takes the place of what was exported before, and of nothing else."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ganlet.errors import ConfigError
from ganlet.paths import printable
from ganlet.runs.files import os_errors_explained


def require_replaceable(target: Path, mark: bytes) -> None:
    """Raise `ConfigError` where there is a file of this name without the mark that all have that ganlet writes.

    What `os_errors_explained` raises where nothing can be written, before anything was done for it.
    """
    with os_errors_explained(target), tempfile.TemporaryFile(dir=target.parent):
        pass
    if target.is_file() and mark not in target.read_bytes():
        raise taken(target)


def taken(target: Path) -> ConfigError:
    """What is said of a file that is not ours."""
    return ConfigError(
        "There is another file of this name, which ganlet did not write.",
        where="--out",
        got=printable(target),
        hint="choose another name with --out, or move it away",
    )
