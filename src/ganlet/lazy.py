"""torch, imported when it is first used: files that hold settings beside their code are read before it is needed.

Importing torch takes longer than a person waits for the news of a typo. `torch` and `functional` here are the modules
themselves to everybody who reads them, and to the type checker.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch.nn import functional
else:

    class _Lazy(ModuleType):
        def __getattr__(self, name: str) -> Any:
            found = getattr(importlib.import_module(self.__name__), name)
            setattr(self, name, found)  # asked for once only
            return found

    torch = _Lazy("torch")
    functional = _Lazy("torch.nn.functional")

__all__ = ["functional", "torch"]
