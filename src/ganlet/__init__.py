"""ganlet: small image GANs that train in minutes, explain themselves, and ship.

The public surface. Names are imported on first use, so that `import ganlet` does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ganlet.config import RunConfig
    from ganlet.workflows.comparing import compare
    from ganlet.workflows.configuring import make_config
    from ganlet.workflows.diagnosing import diagnose
    from ganlet.workflows.evaluating import evaluate
    from ganlet.workflows.run import Run, open_run
    from ganlet.workflows.sampling import sample
    from ganlet.workflows.training import resume, train

_HOMES = {
    "RunConfig": "ganlet.config",
    "compare": "ganlet.workflows.comparing",
    "make_config": "ganlet.workflows.configuring",
    "diagnose": "ganlet.workflows.diagnosing",
    "evaluate": "ganlet.workflows.evaluating",
    "Run": "ganlet.workflows.run",
    "open_run": "ganlet.workflows.run",
    "sample": "ganlet.workflows.sampling",
    "resume": "ganlet.workflows.training",
    "train": "ganlet.workflows.training",
}

__all__ = [
    "Run",
    "RunConfig",
    "compare",
    "diagnose",
    "evaluate",
    "make_config",
    "open_run",
    "resume",
    "sample",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'ganlet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
