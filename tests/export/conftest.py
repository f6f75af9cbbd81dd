"""Small runs to be handed on, trained once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

import ganlet
from ganlet.workflows import evaluating, training
from ganlet.workflows.run import Run


class Rare(nn.Module):
    """A generator with an operator that the page's own runtime does not know."""

    latents = ganlet.nn.Latents(8)

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 64), nn.GELU(), nn.Linear(64, 3 * 16 * 16))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layers(latents)).view(-1, 3, 16, 16)


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing a report takes longer than all of these runs together."""
    monkeypatch.setattr(training, "redraw", lambda *_: None)
    monkeypatch.setattr(evaluating, "redraw", lambda *_, **__: None)


def trained(folder, config, **own) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "redraw", lambda *_: None)
        return ganlet.train(config, folder, device="cpu", **own)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_config: Callable) -> Run:
    """A run of the tiny config with labels and a checkpoint; only to be looked at."""
    changes = {"data.labels": "attributes", "data.size": "16x8"}
    return trained(tmp_path_factory.mktemp("runs") / "some", tiny_config(changes))


@pytest.fixture(scope="session")
def plain_run(tmp_path_factory: pytest.TempPathFactory, tiny_config: Callable) -> Run:
    """A run of the tiny config, without labels; only to be looked at."""
    return trained(tmp_path_factory.mktemp("exported") / "plain", tiny_config())


@pytest.fixture(scope="session")
def rare(tmp_path_factory: pytest.TempPathFactory, tiny_config: Callable) -> Run:
    """A run of `Rare`; only to be looked at."""
    return trained(tmp_path_factory.mktemp("rare") / "some", tiny_config(), generator=Rare())
