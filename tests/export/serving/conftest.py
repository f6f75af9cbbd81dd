"""Tiny runs that are served: one that reads its latent as a whole, one with classes, styles and a direction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import ganlet
from ganlet.export.serving.app import make_app
from ganlet.export.serving.guard import Access
from ganlet.export.serving.limits import Limits
from ganlet.export.serving.meters import Meters
from ganlet.export.serving.models import Model, open_models
from ganlet.workflows import training
from ganlet.workflows.lab.lab import Lab


@pytest.fixture(scope="session")
def served_runs(tmp_path_factory: pytest.TempPathFactory, tiny_config: Callable) -> dict[str, Path]:
    """Runs by name; only to be looked at."""
    folder = tmp_path_factory.mktemp("served")
    kinds = {
        "plain": {},
        "styled": {"generator.kind": "style", "data.labels": "classes", "generator.initial": "kaiming"},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "redraw", lambda *_: None)
        patch.setattr(Lab, "features", lambda lab, images: images.flatten(1))
        patch.setattr("ganlet.workflows.lab.directions.NUM_MEASURED", 20)
        for name, changes in kinds.items():
            ganlet.train(tiny_config(changes | {"train.total_images": 32}), folder / name, device="cpu")
        lab = Lab.open(folder / "styled", device="cpu")
        lab.__dict__["judge"] = None
        lab.find_directions(["factorisation"])
    return {name: folder / name for name in kinds}


@pytest.fixture(scope="session")
def models(served_runs: Mapping[str, Path]) -> dict[str, Model]:
    """The models of the runs, opened once."""
    return open_models(list(served_runs.values()), Limits(), Meters(), "cpu")


@pytest.fixture(scope="session")
def behind(models: Mapping[str, Model]) -> Callable[..., TestClient]:
    """A client on this machine of an app of its own, that is told of server errors as it would be."""

    def behind(
        access: Access | None = None, limits: Limits | None = None, meters: Meters | None = None, **settings: Any
    ) -> TestClient:
        limits, meters = limits or Limits(), meters or Meters()
        own = {name: model.again(limits, meters) for name, model in models.items()}
        app = make_app(own, limits, access=access, meters=meters, **settings)
        return TestClient(app, base_url="http://localhost", raise_server_exceptions=False)

    return behind


@pytest.fixture(scope="session")
def client(behind: Callable[..., TestClient]) -> Iterator[TestClient]:
    with behind() as client:
        yield client
