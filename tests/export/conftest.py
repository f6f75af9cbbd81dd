"""A run so small that it is trained in a fraction of a second."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import ganlet
from ganlet.workflows import training
from ganlet.workflows.run import Run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_config: Callable) -> Run:
    """A run of the tiny config with labels and a checkpoint; only to be looked at."""
    changes = {"data.labels": "attributes", "data.size": "16x8"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "redraw", lambda *_: None)
        return ganlet.train(tiny_config(changes), tmp_path_factory.mktemp("runs") / "some", device="cpu")


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing a report takes longer than all of these runs together."""
    monkeypatch.setattr(training, "redraw", lambda *_: None)
