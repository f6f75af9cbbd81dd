"""Disks that are full or read-only, for real where this machine allows it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ganlet.runs.folder import RunFolder
from ganlet.runs.report import write_report


def _mount(*arguments: str) -> None:
    if shutil.which("mount") is None or subprocess.run(["mount", *arguments], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own with room for 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    _mount("-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk))
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def make_read_only(small_disk: Path) -> Callable[[], None]:
    """Call it to make `small_disk` read-only, for root too, which permission bits do not stop."""
    return lambda: _mount("-o", "remount,ro", str(small_disk))


@pytest.fixture
def file_size_limit() -> Callable[[int], contextmanager]:
    """A context manager in which no file can grow beyond some bytes: a shortage that needs no special rights."""
    resource = pytest.importorskip("resource")

    @contextmanager
    def limited(num_bytes: int) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@pytest.fixture
def section_of() -> Callable[..., str]:
    """What a run's report has under a heading, as HTML; nothing where it has no such section."""

    def section_of(folder: RunFolder, heading: str, **facts: Any) -> str:
        page = write_report(folder, facts=facts).read_text("utf-8")
        found = re.search(f"<h2>{heading}</h2>(.*?)</section>", page, re.DOTALL)
        return found.group(1) if found else ""

    return section_of
