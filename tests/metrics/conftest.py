from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
import torch


@pytest.fixture
def features() -> Callable[..., np.ndarray]:
    """Features (N, F) with correlated columns around `centre`, the same in every test."""

    def features(count: int, width: int = 8, centre: float = 0.0, seed: int = 0) -> np.ndarray:
        random = np.random.default_rng([seed, count, width])
        return centre + random.normal(size=(count, width)) @ random.normal(size=(width, width))

    return features


@pytest.fixture(scope="session")
def torch_fidelity() -> ModuleType:
    """The reference implementation with its metrics; what needs it is skipped where it is not installed."""
    for package in ("torch_fidelity", "torchvision"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    try:
        importlib.import_module("torchvision")
    except RuntimeError:
        # "operator torchvision::nms does not exist": the package index has torchvision for CUDA only. Beside a torch
        # for the CPU its operators do not load, and the import fails for the lack of two that nothing here calls.
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float threshold) -> Tensor")
    return importlib.import_module("torch_fidelity")
