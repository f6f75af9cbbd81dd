"""What a run was made with, and which differences break the promise of exact resume."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganlet.runs.plain_json import read_json

PACKAGES = ("ganlet", "numpy", "pillow", "safetensors")

# Exact resume is promised for the same build on the same device model with the same number of processes. The number of
# CPU threads counts too, because it decides in which order sums are taken.
DECISIVE = (
    "ganlet",
    "commit",
    "torch",
    "numpy",
    "machine",
    "device",
    "device_name",
    "cuda",
    "cudnn",
    "world_size",
    "threads",
)


# What environment.json has under these names, where it has them; one of others may have anything.
KINDS = {"run_id": str, "data": dict, "sessions": list, "given": dict, "labels": list, "weight_norms": dict}


def parse_environment(data: bytes) -> dict[str, Any]:
    """What environment.json says. Raises `ValueError` where it is damaged."""
    tree = read_json(data)
    if not isinstance(tree, dict):
        raise ValueError("it holds no keys and values")
    for key, kind in KINDS.items():
        if not isinstance(tree.get(key), kind | None):
            raise ValueError(f"{key} is of type {type(tree[key]).__name__}")
    if not all(isinstance(session, dict) for session in tree.get("sessions") or []):
        raise ValueError("a session holds no keys and values")
    return tree


def describe_environment(device: str, world_size: int = 1) -> dict[str, Any]:
    """Versions, machine and device as plain data for environment.json; `device` is one of torch's, such as "cuda:0"."""
    import torch

    kind = torch.device(device).type
    on_cuda = kind == "cuda"
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "commit": _commit(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpu_model": _cpu_model(),
        "cpu_cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": kind,
        "device_name": torch.cuda.get_device_name(device) if on_cuda else _cpu_model(),
        "cuda": torch.version.cuda if on_cuda else None,
        "cudnn": torch.backends.cudnn.version() if on_cuda else None,
        "world_size": world_size,
    }


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The keys in which two environments differ so that a resume is not exact; empty when it can be."""
    off_cpu = before.get("device") == now.get("device") != "cpu"
    return [key for key in DECISIVE if before.get(key) != now.get(key) and not (key == "threads" and off_cpu)]


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _commit() -> str | None:
    """The commit of the checkout that ganlet runs from; None when it was installed as a package."""
    root = Path(__file__).parents[3]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
