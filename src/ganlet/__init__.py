"""ganlet: small image GANs that train in minutes, explain themselves, and ship.

The public surface. Names are imported on first use, so that `import ganlet` does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ganlet import data, errors, games, losses, metrics, nn, penalties
    from ganlet.config import RunConfig
    from ganlet.engine.average import EMA
    from ganlet.engine.loop import Event, Stop
    from ganlet.errors import GanletError
    from ganlet.objective.augment import augmented as augment
    from ganlet.workflows.comparing import compare
    from ganlet.workflows.configuring import make_config
    from ganlet.workflows.diagnosing import diagnose
    from ganlet.workflows.evaluating import evaluate
    from ganlet.workflows.generators import load
    from ganlet.workflows.run import Run, open_run
    from ganlet.workflows.sampling import sample
    from ganlet.workflows.training import resume, train

_MODULES = ("data", "errors", "games", "losses", "metrics", "nn", "penalties")
_HOMES = {
    "EMA": ("ganlet.engine.average", "EMA"),
    "Event": ("ganlet.engine.loop", "Event"),
    "GanletError": ("ganlet.errors", "GanletError"),
    "Run": ("ganlet.workflows.run", "Run"),
    "RunConfig": ("ganlet.config", "RunConfig"),
    "Stop": ("ganlet.engine.loop", "Stop"),
    "augment": ("ganlet.objective.augment", "augmented"),
    "compare": ("ganlet.workflows.comparing", "compare"),
    "diagnose": ("ganlet.workflows.diagnosing", "diagnose"),
    "evaluate": ("ganlet.workflows.evaluating", "evaluate"),
    "load": ("ganlet.workflows.generators", "load"),
    "make_config": ("ganlet.workflows.configuring", "make_config"),
    "open_run": ("ganlet.workflows.run", "open_run"),
    "resume": ("ganlet.workflows.training", "resume"),
    "sample": ("ganlet.workflows.sampling", "sample"),
    "train": ("ganlet.workflows.training", "train"),
}

__all__ = [
    "EMA",
    "Event",
    "GanletError",
    "Run",
    "RunConfig",
    "Stop",
    "augment",
    "compare",
    "data",
    "diagnose",
    "errors",
    "evaluate",
    "games",
    "load",
    "losses",
    "make_config",
    "metrics",
    "nn",
    "open_run",
    "penalties",
    "resume",
    "sample",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        home, inside = _HOMES[name]
        return getattr(importlib.import_module(home), inside)
    if name in _MODULES:
        return importlib.import_module(f"ganlet.{name}")
    raise AttributeError(f"module 'ganlet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
