"""The whole config of a run: plain data, no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ganlet.config.evaluation import EvaluateConfig, HealthConfig
from ganlet.data.settings import DataConfig, Source
from ganlet.networks.settings import AnyDiscriminator, AnyGenerator, DcganDiscriminatorConfig, DcganGeneratorConfig
from ganlet.objective.settings import ObjectiveConfig
from ganlet.settings import Images, Settings

SCHEMA_VERSION = 1


class GrowingConfig(Settings):
    """Progressive growing (Karras et al. 2018): coarse pictures first, then each finer resolution is faded in."""

    every: Images = Field(default=0, description="images at each resolution before the next; 0: full from the start")
    fade: Images | None = Field(default=None, description="images a fade-in takes; default: as long as `every`")
    start: int = Field(default=8, ge=8, le=1024, description="shorter side of the first resolution")


class TrainConfig(Settings):
    """How long, how fast, and how often to look. Every interval is in images."""

    total_images: Images = Field(default=200_000, description="real images shown to the discriminator in the whole run")
    batch_size: int = Field(default=64, ge=2, le=65_536, description="pictures a step, over all ranks together")
    n_critic: int = Field(default=1, ge=1, le=100, description="discriminator steps an iteration")
    n_generator: int = Field(default=1, ge=1, le=100, description="generator steps an iteration")
    accumulate: int = Field(
        default=1, ge=1, le=1024, description="parts that a batch is worked through in, to save memory"
    )
    growing: GrowingConfig = GrowingConfig()
    init_from: Source | None = Field(default=None, description="run whose weights are taken over where they fit")
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="bf16: mixed, with logits and penalties in float32"
    )
    log_every: Images = Field(default=2_000, description="images between rows of metrics.jsonl")
    sample_every: Images = Field(default=10_000, description="images between sample grids")
    checkpoint_every: Images = Field(default=20_000, description="images between checkpoints")
    keep_checkpoints: int = Field(default=3, ge=2, le=1000, description="newest checkpoints to keep")
    tensorboard: bool = True
    deterministic: bool = Field(
        default=True, description="on a GPU: only reproducible kernels, which exact resume needs"
    )
    cuda_graph: bool = Field(default=False, description="on a GPU: replay each iteration as one captured graph")
    sync_batch_norm: bool = Field(default=False, description="several GPUs: batch statistics over all ranks")


class RunConfig(Settings):
    """Everything that determines a run, apart from the machine."""

    schema_version: int = Field(default=SCHEMA_VERSION, ge=1, le=SCHEMA_VERSION)
    preset: str | None = Field(default=None, description="the preset this config was made from; for the record only")
    seed: int = Field(default=0, ge=0, lt=2**32)
    data: DataConfig = DataConfig()
    generator: AnyGenerator = DcganGeneratorConfig()
    discriminator: AnyDiscriminator = DcganDiscriminatorConfig()
    objective: ObjectiveConfig = ObjectiveConfig()
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    health: HealthConfig = HealthConfig()
