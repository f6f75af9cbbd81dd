"""Runs for elsewhere: files that draw without ganlet, and that say how they were made, never where.

Names are imported on first use: what reads a command line must not wait for torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ganlet.export.card import to_card
    from ganlet.export.hub import push
    from ganlet.export.onnx_file import to_onnx
    from ganlet.export.web.page import to_web
    from ganlet.export.weights_file import to_safetensors

_HOMES = {
    "push": "ganlet.export.hub",
    "to_card": "ganlet.export.card",
    "to_onnx": "ganlet.export.onnx_file",
    "to_safetensors": "ganlet.export.weights_file",
    "to_web": "ganlet.export.web.page",
}

__all__ = ["push", "to_card", "to_onnx", "to_safetensors", "to_web"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ganlet.export' has no attribute {name!r}")
