"""Small runs to be handed on, trained once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import ganlet
from ganlet.workflows import evaluating, training
from ganlet.workflows.run import Run


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing a report takes longer than all of these runs together."""
    monkeypatch.setattr(evaluating, "redraw", lambda *_, **__: None)


@pytest.fixture(scope="session")
def plain_run(tmp_path_factory: pytest.TempPathFactory, tiny_config: Callable) -> Run:
    """A run of the tiny config, without labels; only to be looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "redraw", lambda *_: None)
        return ganlet.train(tiny_config(), tmp_path_factory.mktemp("exported") / "plain", device="cpu")
