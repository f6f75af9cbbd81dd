"""Settings of the two networks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ganlet.config.base import Settings
from ganlet.config.optimizers import EmaConfig, OptimizerConfig

Norm = Literal["none", "batch", "instance", "group", "layer", "pixel"]
Latents = Literal["normal", "uniform", "sphere"]
Initial = Literal["normal", "xavier", "kaiming", "orthogonal"]
Upsample = Literal["transposed", "nearest", "pixel_shuffle"]
BatchStatistics = Literal["none", "stddev", "discrimination"]

Dropout = Annotated[float, Field(ge=0, lt=1, description="share of feature maps dropped after each block")]
Layers = Annotated[int, Field(ge=1, le=8, description="convolutions at each resolution")]
Multiplier = Annotated[int, Field(ge=1, le=64, description="channels are never more than width times this")]
Width = Annotated[
    int, Field(ge=1, le=1024, description="channels of the finest maps; twice as many at each coarser one")
]
Attention = Annotated[
    int | None, Field(ge=4, le=1024, description="shorter side of the maps that get self-attention (Zhang et al. 2019)")
]


class NetworkSettings(Settings):
    """What every network has."""

    initial: Initial = Field(default="normal", description="distribution of the initial weights")
    spectral: bool = Field(default=False, description="spectral normalisation of every weight (Miyato et al. 2018)")
    freeze: tuple[str, ...] = Field(
        default=(), description="layers whose weights never change, by the start of their names (FreezeD)"
    )
    optimizer: OptimizerConfig = OptimizerConfig()


class GeneratorSettings(NetworkSettings):
    """What every generator has."""

    latent_size: int = Field(default=100, ge=1, le=2048, description="numbers drawn for a picture")
    latents: Latents = Field(
        default="normal", description="their distribution; uniform: between -1 and 1; sphere: of length sqrt(size)"
    )
    condition: Literal["concat", "norm"] = Field(
        default="concat",
        description="how labels enter: embedded beside the latents, or as scale and shift of every normalisation",
    )
    ema: EmaConfig = EmaConfig()


class DiscriminatorSettings(NetworkSettings):
    """What every discriminator has."""

    condition: Literal["concat", "projection", "classifier"] = Field(
        default="projection",
        description="how labels enter: as one more channel, by projection, or guessed by an auxiliary classifier",
    )
    batch_statistics: BatchStatistics = Field(
        default="none", description="what it sees of the other pictures of a batch, against mode collapse"
    )


class MlpGeneratorConfig(GeneratorSettings):
    """Fully connected (Goodfellow et al. 2014): the baseline."""

    kind: Literal["mlp"] = "mlp"
    width: int = Field(
        default=256, ge=1, le=8192, description="units of the first hidden layer; each next has twice as many"
    )
    layers: int = Field(default=3, ge=1, le=8, description="hidden layers")
    norm: Literal["none", "batch"] = "none"
    dropout: float = Field(default=0.0, ge=0, lt=1)


class MlpDiscriminatorConfig(DiscriminatorSettings):
    """Fully connected (Goodfellow et al. 2014): the baseline."""

    kind: Literal["mlp"] = "mlp"
    width: int = Field(
        256, ge=1, le=8192, description="units of the last hidden layer; each one before has twice as many"
    )
    layers: int = Field(default=3, ge=1, le=8, description="hidden layers")
    dropout: float = Field(default=0.0, ge=0, lt=1)


class DcganGeneratorConfig(GeneratorSettings):
    """Convolutional (Radford et al. 2015), for any resolution and shape."""

    kind: Literal["dcgan"] = "dcgan"
    width: Width = 64
    max_multiplier: Multiplier = 8
    layers: Layers = 1
    upsample: Upsample = Field(
        default="transposed", description="4x4 transposed convolution, nearest + 3x3, or 3x3 + pixel shuffle"
    )
    norm: Norm = "batch"
    dropout: Dropout = 0.0
    skip_latent: bool = Field(
        default=False, description="split the latents: a part for each resolution, so that they can be mixed"
    )


class DcganDiscriminatorConfig(DiscriminatorSettings):
    """Convolutional (Radford et al. 2015), for any resolution and shape."""

    kind: Literal["dcgan"] = "dcgan"
    width: Width = 64
    max_multiplier: Multiplier = 8
    layers: Layers = 1
    norm: Norm = "batch"
    dropout: Dropout = 0.0
    head: Literal["convolution", "linear"] = Field(
        default="convolution", description="the last layer: as large as the map and without bias, or linear with one"
    )


class ResnetGeneratorConfig(GeneratorSettings):
    """Residual (Miyato et al. 2018), optionally with self-attention."""

    kind: Literal["resnet"] = "resnet"
    width: Width = 64
    max_multiplier: Multiplier = 4
    norm: Norm = "batch"
    attention: Attention = None
    skip_latent: bool = Field(
        default=False, description="split the latents: a part for each resolution, so that they can be mixed"
    )


class ResnetDiscriminatorConfig(DiscriminatorSettings):
    """Residual (Miyato et al. 2018), optionally with self-attention."""

    kind: Literal["resnet"] = "resnet"
    width: Width = 64
    max_multiplier: Multiplier = 4
    norm: Norm = "none"
    attention: Attention = None


class StyleGeneratorConfig(GeneratorSettings):
    """Mapped latents modulate the convolutions of every resolution (Karras et al. 2019, 2020)."""

    kind: Literal["style"] = "style"
    width: Width = 64
    max_multiplier: Multiplier = 8
    mapping_layers: int = Field(default=4, ge=1, le=16, description="layers that make a style of the latents")
    noise: bool = Field(default=True, description="noise of learned strength on every map, for what is left to chance")
    style_mixing: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of training pictures made of two latents, changed at some resolution",
    )


Generator = Annotated[
    MlpGeneratorConfig | DcganGeneratorConfig | ResnetGeneratorConfig | StyleGeneratorConfig,
    Field(discriminator="kind"),
]
Discriminator = Annotated[
    MlpDiscriminatorConfig | DcganDiscriminatorConfig | ResnetDiscriminatorConfig, Field(discriminator="kind")
]
