"""One process's work on a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ganlet.config import RunConfig
from ganlet.data.spec import Pack
from ganlet.engine.distributed import Ranks
from ganlet.engine.hooks import Hook
from ganlet.runs.folder import RunFolder
from ganlet.workflows.reporting import Reporter


@dataclass(frozen=True)
class Session:
    """One process's work on a run: everything that is fixed before the first iteration."""

    config: RunConfig  # resolved
    folder: RunFolder
    pack: Pack
    device: torch.device
    ranks: Ranks
    reporter: Reporter
    hooks: Sequence[Hook]
