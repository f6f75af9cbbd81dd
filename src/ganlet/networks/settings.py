"""Settings of the networks: what a constructor takes, and how the network starts and is trained.

A new network is a module in a file of its own, and here its settings and a line in `GENERATORS` or `DISCRIMINATORS`.
They stand apart because a class of torch needs torch when it is defined, and settings are read before that: a mistyped
one is refused in a fraction of the time that importing torch takes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Field, ValidationError

from ganlet.errors import ConfigError
from ganlet.networks.optimizers import EmaConfig, OptimizerConfig
from ganlet.randomness import LatentKind
from ganlet.settings import OneOf, Settings, as_size

if TYPE_CHECKING:
    from torch import nn

    from ganlet.config import RunConfig

SMALLEST_SIDE = 4  # of maps
SMALLEST_IMAGE = 8
Built = TypeVar("Built")

Norm = Literal["none", "batch", "instance", "group", "layer", "pixel"]
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


def resolutions(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Sizes from the full one down to the coarsest map: halved, rounding up, while the shorter side stays at least 4.

    64 x 64 gives 64, 32, 16, 8, 4; 28 x 28 gives 28, 14, 7; 48 x 30 gives 48 x 30, 24 x 15, 12 x 8, 6 x 4.
    """
    sizes = [size]
    while min(sizes[-1]) // 2 >= SMALLEST_SIDE:
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes


def checked_by(settings: type[NetworkSettings]) -> Callable[[type[Built]], type[Built]]:
    """A decorator of networks: their constructors refuse, by `ConfigError`, what these settings refuse."""

    def decorate(network: type[Built]) -> type[Built]:
        construct = network.__init__
        signature = inspect.signature(construct)

        @functools.wraps(construct)
        def checked(self: Built, *positional: Any, **named: Any) -> None:
            given = signature.bind(self, *positional, **named).arguments
            try:
                settings.model_validate({name: value for name, value in given.items() if name in settings.model_fields})
            except ValidationError as error:
                wrong = [f"{problem['loc'][0]}={problem['input']!r}: {problem['msg']}" for problem in error.errors()]
                raise ConfigError(f"{network.__name__} cannot be built.", got="; ".join(wrong)) from None
            if min(as_size(given["size"])) < SMALLEST_IMAGE:
                got, expected = f"size={given['size']}", f"sides of at least {SMALLEST_IMAGE}"
                raise ConfigError(f"{network.__name__} cannot be built.", got=got, expected=expected)
            construct(self, *positional, **named)

        network.__init__ = checked
        return network

    return decorate


class NetworkSettings(Settings):
    """What every network has. `grows` says that it can be trained at rising resolutions."""

    kind: str
    grows: ClassVar[bool] = False

    initial: Initial = Field(default="normal", description="distribution of the initial weights")
    spectral: bool = Field(default=False, description="spectral normalisation of every weight (Miyato et al. 2018)")
    freeze: tuple[str, ...] = Field(
        default=(), description="layers whose weights never change, by the start of their names (FreezeD)"
    )
    optimizer: OptimizerConfig = OptimizerConfig()

    def module(self) -> Callable[..., nn.Module]:
        """The class of the network, or a function that makes one of the same arguments."""
        raise NotImplementedError

    def arguments(self) -> dict[str, Any]:
        """The settings that the class takes: all but those that say how it starts and how it is trained."""
        return self.model_dump(exclude={"kind", "ema", *NetworkSettings.model_fields})

    def problems(self, side: str, config: RunConfig) -> Iterator[str]:
        """A line for everything in a config that is impossible with this network, which is its `side`."""
        attention = getattr(self, "attention", None)
        sides = [min(size) for size in resolutions(config.data.size)][1:]
        if attention is not None and attention not in sides:
            yield (
                f"{side}.attention: {attention} is no side of its maps for pictures of {config.data.size}, "
                f"which are {', '.join(map(str, sides))}"
            )


class GeneratorSettings(NetworkSettings):
    """What every generator has."""

    latent_size: int = Field(default=100, ge=1, le=2048, description="numbers drawn for a picture")
    latents: LatentKind = Field(
        default="normal", description="their distribution; uniform: between -1 and 1; sphere: of length sqrt(size)"
    )
    condition: Literal["concat", "norm"] = Field(
        default="concat",
        description="how labels enter: embedded beside the latents, or as scale and shift of every normalisation",
    )
    ema: EmaConfig = EmaConfig()

    def problems(self, side: str, config: RunConfig) -> Iterator[str]:
        yield from super().problems(side, config)
        levels = len(resolutions(config.data.size))
        if getattr(self, "skip_latent", False) and self.latent_size < levels:
            yield (
                f"generator.skip_latent: needs latents for each of {levels} resolutions, "
                f"and generator.latent_size is {self.latent_size}"
            )


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

    kind: str = "mlp"
    width: int = Field(
        default=256, ge=1, le=8192, description="units of the first hidden layer; each next has twice as many"
    )
    layers: int = Field(default=3, ge=1, le=8, description="hidden layers")
    norm: Literal["none", "batch"] = "none"
    dropout: float = Field(default=0.0, ge=0, lt=1)

    def module(self) -> Callable[..., nn.Module]:
        from ganlet.networks.mlp import MlpGenerator

        return MlpGenerator


class MlpDiscriminatorConfig(DiscriminatorSettings):
    """Fully connected (Goodfellow et al. 2014): the baseline."""

    kind: str = "mlp"
    width: int = Field(
        256, ge=1, le=8192, description="units of the last hidden layer; each one before has twice as many"
    )
    layers: int = Field(default=3, ge=1, le=8, description="hidden layers")
    dropout: float = Field(default=0.0, ge=0, lt=1)

    def module(self) -> Callable[..., nn.Module]:
        from ganlet.networks.mlp import MlpDiscriminator

        return MlpDiscriminator


class DcganGeneratorConfig(GeneratorSettings):
    """Convolutional (Radford et al. 2015), for any resolution and shape."""

    kind: str = "dcgan"
    grows: ClassVar[bool] = True
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

    def module(self) -> Callable[..., nn.Module]:
        from ganlet.networks.dcgan import DcganGenerator

        return DcganGenerator


class DcganDiscriminatorConfig(DiscriminatorSettings):
    """Convolutional (Radford et al. 2015), for any resolution and shape."""

    kind: str = "dcgan"
    grows: ClassVar[bool] = True
    width: Width = 64
    max_multiplier: Multiplier = 8
    layers: Layers = 1
    norm: Norm = "batch"
    dropout: Dropout = 0.0
    head: Literal["convolution", "linear"] = Field(
        default="convolution", description="the last layer: as large as the map and without bias, or linear with one"
    )

    def module(self) -> Callable[..., nn.Module]:
        from ganlet.networks.dcgan import DcganDiscriminator

        return DcganDiscriminator


class ResnetGeneratorConfig(GeneratorSettings):
    """Residual (Miyato et al. 2018), optionally with self-attention."""

    kind: str = "resnet"
    grows: ClassVar[bool] = True
    width: Width = 64
    max_multiplier: Multiplier = 4
    norm: Norm = "batch"
    attention: Attention = None
    skip_latent: bool = Field(
        default=False, description="split the latents: a part for each resolution, so that they can be mixed"
    )

    def module(self) -> Callable[..., nn.Module]:
        from ganlet.networks.resnet import ResnetGenerator

        return ResnetGenerator


class ResnetDiscriminatorConfig(DiscriminatorSettings):
    """Residual (Miyato et al. 2018), optionally with self-attention."""

    kind: str = "resnet"
    grows: ClassVar[bool] = True
    width: Width = 64
    max_multiplier: Multiplier = 4
    norm: Norm = "none"
    attention: Attention = None

    def module(self) -> Callable[..., nn.Module]:
        from ganlet.networks.resnet import ResnetDiscriminator

        return ResnetDiscriminator


class StyleGeneratorConfig(GeneratorSettings):
    """Mapped latents modulate the convolutions of every resolution (Karras et al. 2019, 2020)."""

    kind: str = "style"
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

    def module(self) -> Callable[..., nn.Module]:
        from ganlet.networks.style import StyleGenerator

        return StyleGenerator

    def problems(self, side: str, config: RunConfig) -> Iterator[str]:
        yield from super().problems(side, config)
        if self.condition == "norm" and config.data.labels != "none":
            yield (
                "generator.condition: norm has nothing to act on, for a style generator has no normalisation; "
                "its labels enter with the latents: concat"
            )


GENERATORS: dict[str, type[GeneratorSettings]] = {
    "mlp": MlpGeneratorConfig,
    "dcgan": DcganGeneratorConfig,
    "resnet": ResnetGeneratorConfig,
    "style": StyleGeneratorConfig,
}
DISCRIMINATORS: dict[str, type[DiscriminatorSettings]] = {
    "mlp": MlpDiscriminatorConfig,
    "dcgan": DcganDiscriminatorConfig,
    "resnet": ResnetDiscriminatorConfig,
}
AnyGenerator = Annotated[GeneratorSettings, OneOf(GENERATORS)]
AnyDiscriminator = Annotated[DiscriminatorSettings, OneOf(DISCRIMINATORS)]
