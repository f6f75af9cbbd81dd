"""Histories of runs that never were: each signal is a number, or a function of images seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ganlet.config import RunConfig
from ganlet.health.history import RunInfo
from ganlet.workflows.configuring import make_config

TOTAL, EVERY_LOOK, EVERY_ROW = 90_000, 4_000, 1_000

# What a healthy run of the preset `quick` shows, its doctor's looks and its log.
HEALTHY_LOOK: dict[str, Any] = {
    "separation": lambda n: 0.97 + 0.03 * (n // EVERY_LOOK % 2),
    "recognition": lambda n: 0.5 + 0.02 * (n // EVERY_LOOK % 2),
    "colour_shift": 0.04,
    "contrast": 1.01,
    "saturation": -0.04,
    "pixel_shift": 0.1,
    "checkerboard": 0.3,
    "rough_diversity": lambda n: min(1.0, 0.6 + n / 25_000),
    "raw_rough_diversity": 1.0,
    "movement": 0.45,
    "diversity": lambda n: min(0.9, 0.4 + n / 100_000),
    "duplicates": 0.01,
    "coverage": lambda n: min(0.8, n / 100_000),
    "distance": lambda n: 1_000 / (n + 500) + 0.1,
    "copies": 0.05,
    "dead_units": 0.0,
    "generator_weight_norm": lambda n: 18 + n / 4_000,
    "discriminator_weight_norm": 17.0,
    "generator_not_finite": 0.0,
    "discriminator_not_finite": 0.0,
}
HEALTHY_ROW: dict[str, Any] = {
    "discriminator_loss": lambda n: 0.3 + 0.3 * (n % 7_000 == 0),
    "generator_loss": lambda n: 2.5 - 0.2 * (n % 7_000 == 0),
    "real_logit": lambda n: 2.0 - 0.4 * (n % 7_000 == 0),
    "fake_logit": lambda n: -2.1 + 0.4 * (n % 7_000 == 0),
    "generator_gradient_norm": lambda n: 15 + n // EVERY_ROW % 3,
    "discriminator_gradient_norm": 7.0,
    "generator_rate": 1.6e-3,
    "discriminator_rate": 8e-4,
}

Rows = list[dict[str, Any]]


def value_at(value: Any, images: int) -> Any:
    return value(images) if callable(value) else value


@pytest.fixture(scope="session")
def info() -> Callable[..., RunInfo]:
    """What is known of a run of `quick`, with settings changed by dotted path."""

    def info(changes: dict[str, object] | None = None, num_pictures: int = 50_000) -> RunInfo:
        return RunInfo(config_of("quick", changes), num_pictures)

    return info


def config_of(preset: str, changes: dict[str, object] | None = None) -> RunConfig:
    from ganlet.config import resolve

    written = make_config(preset, overrides=changes or {})
    names = ("bag", "boot", "coat") if written.data.labels != "none" else None
    return resolve(written, num_pictures=50_000, channels=3, label_names=names)


@pytest.fixture(scope="session")
def history() -> Callable[..., Rows]:
    """Rows of a run that is healthy but for `look` and `row`, signals that replace those of a healthy one from `onset`.

    None as a signal leaves it out from the start.
    """

    def history(
        look: dict[str, Any] | None = None,
        row: dict[str, Any] | None = None,
        onset: int = 0,
        until: int = TOTAL,
        looks: bool = True,
    ) -> Rows:
        rows: Rows = []
        for images in range(EVERY_ROW, until + 1, EVERY_ROW):
            rows.append({"images_seen": images, **signals(HEALTHY_ROW, row or {}, images, onset)})
            if looks and images % EVERY_LOOK == 0:
                seen = signals(HEALTHY_LOOK, look or {}, images, onset)
                rows.append({"event": "health", "images_seen": images, **seen})
        return rows

    return history


def signals(healthy: dict[str, Any], sick: dict[str, Any], images: int, onset: int) -> dict[str, Any]:
    now = {**healthy, **sick} if images >= onset else healthy
    missing = {name for name, value in sick.items() if value is None}
    return {name: value_at(value, images) for name, value in now.items() if name not in missing}
