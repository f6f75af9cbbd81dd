"""A run as a library user holds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganlet.config import RunConfig, read_yaml, validate
from ganlet.runs.folder import RunFolder
from ganlet.runs.history import read_history

if TYPE_CHECKING:
    from ganlet.health.findings import Diagnosis
    from ganlet.workflows.evaluating import Evaluation


class Run:
    """One run folder: its config, its history, and new pictures from its generator."""

    def __init__(self, path: str | Path) -> None:
        self.folder = RunFolder.open(Path(path))

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path

    @property
    def config(self) -> RunConfig:
        """The resolved config."""
        return validate(read_yaml(self.folder.config_path))

    @property
    def history(self) -> list[dict[str, Any]]:
        """The log rows, each with `images_seen`; events such as a resume are left out."""
        return [row for row in read_history(self.folder.metrics_path) if "event" not in row]

    def diagnose(self) -> Diagnosis:
        """What is wrong with it, since when, and what to try first; for a run still in training: so far."""
        from ganlet.workflows.diagnosing import diagnose

        return diagnose(self.path)

    def evaluate(self, num: int = 10_000, **settings: Any) -> Evaluation:
        """How good its generator is, by `num` pictures; `settings` are those of `ganlet.evaluate`."""
        from ganlet.workflows.evaluating import evaluate

        return evaluate(self.path, num, **settings)

    def sample(self, num: int = 16, *, seed: int = 0, **settings: Any) -> np.ndarray:
        """`num` new pictures: uint8 (num, H, W, C); `settings` are those of `ganlet.sample`."""
        from ganlet.workflows.sampling import sample

        return sample(self.path, num, seed=seed, **settings)


def open_run(path: str | Path) -> Run:
    """The run in a folder. Raises `RunError` when there is none."""
    return Run(path)
