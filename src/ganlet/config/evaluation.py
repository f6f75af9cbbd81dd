"""Settings of how a run is looked at while it trains: samples, the measured distance, the doctor."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganlet.settings import Images, Settings


class EvaluateConfig(Settings):
    """What is looked at and measured during training."""

    num_samples: int = Field(default=64, ge=1, le=1024, description="pictures in a sample grid")
    weights: Literal["ema", "raw"] = Field(default="ema", description="averaged weights, or those of the moment")
    metric: Literal["kd", "fd", "none"] = Field(
        default="kd", description="distance measured during training: kernel (KID's), Frechet (FID's), or none"
    )
    extractor: str = Field(
        default="ganlet", min_length=1, description="features that distances are measured in; see `ganlet list metrics`"
    )
    num_fakes: int = Field(default=2_048, ge=256, le=10**6, description="generated pictures for each measurement")
    every: Images | None = Field(default=None, description="images between measurements; default: as checkpoints")
    budget: float = Field(
        default=0.05, gt=0, le=1, description="share of the time that measuring may take; beyond it, turns are skipped"
    )
    keep_best: bool = Field(
        default=True, description="generator.safetensors ends as the best one where the last is worse beyond the noise"
    )
    patience: Images | None = Field(
        default=None, description="stop when for so many images nothing better was measured; default: never"
    )


class HealthConfig(Settings):
    """The run doctor: how often it looks, and what it does about a sick run."""

    every: Images | None = Field(
        default=None, description="images between looks, 0: never; default: 4,000, or a 200th of a long run"
    )
    num_pictures: int = Field(
        default=128, ge=32, le=4_096, description="real and generated pictures that are compared at each look"
    )
    action: Literal["warn", "stop", "rollback"] = Field(
        default="warn", description="on a serious verdict: say so, stop the run, or go back to the best checkpoint"
    )
    max_rollbacks: int = Field(default=3, ge=1, le=100, description="then the run stops")
    rate_factor: float = Field(
        default=0.5, gt=0, le=1, description="what each rollback multiplies both learning rates by"
    )
