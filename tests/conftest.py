"""What all tests share: one thread, a cache of their own, and a config that trains in a fraction of a second."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fake_hub import Hub, running_hub
from ganlet.config import RunConfig
from ganlet.workflows.configuring import make_config

# Set before anything imports torch, and for child processes too: tests run beside each other.
os.environ["OMP_NUM_THREADS"] = "1"

# Benchmarks are programs and no package; some tests run parts of them.
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

# Tests that need processes fork them from one that has imported everything: that takes milliseconds, not seconds.
if "forkserver" in multiprocessing.get_all_start_methods():
    multiprocessing.get_context("forkserver").set_forkserver_preload(
        ["pytest", "ganlet.cli", "ganlet.workflows.training", "torch.distributed.tensor", "torch.utils.tensorboard"]
    )

TINY = {
    "data": {"size": 16, "num_images": 40},
    "generator": {"width": 4, "latent_size": 4, "ema": {"half_life": 64}},
    "discriminator": {"width": 4},
    "train": {
        "total_images": 160,
        "batch_size": 16,
        "log_every": 32,
        "sample_every": 64,
        "checkpoint_every": 64,
        "tensorboard": False,
    },
    "evaluate": {"num_samples": 4, "metric": "none"},
    "health": {"every": 0},
}


# Tests of several processes are the longest: begun last, one of them would be waited for while a core is idle.
LONGEST_FIRST = ("test_workflows_signals", "test_workflows_ranks", "test_workflows_distributed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONGEST_FIRST)


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache folder that lasts for the session, so that no test touches the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANLET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_config() -> Callable[..., RunConfig]:
    """A config of ten small iterations, with changes by dotted path."""

    def tiny_config(changes: dict[str, object] | None = None) -> RunConfig:
        return make_config(overrides=TINY | (changes or {}))

    return tiny_config


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub on loopback that huggingface_hub asks instead of the real one, with an empty cache and no token."""
    constants = pytest.importorskip("huggingface_hub.constants")
    home = tmp_path_factory.mktemp("hf")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    with running_hub() as hub:
        changes = {
            "ENDPOINT": hub.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": hub.address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HOME": str(home),
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_TOKEN_PATH": str(home / "token"),
            "AGENT_HARNESSES_PATH": str(home / "harnesses"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_DISABLE_PROGRESS_BARS": True,
            "HF_HUB_OFFLINE": False,
        }
        for name, value in changes.items():
            monkeypatch.setattr(constants, name, value)
        yield hub
