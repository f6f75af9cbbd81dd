"""Runs for elsewhere: files that draw without ganlet, and that say how they were made, never where.

Names are imported on first use: what reads a command line must not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganlet.export.hub import push

_HOMES = {"push": "ganlet.export.hub"}

__all__ = ["push"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ganlet.export' has no attribute {name!r}")
