"""A generator whose latents, mapped to styles, modulate all convolutions (Karras et al. 2019, 2020).

In short: latents -> mapping -> one style for each resolution -> scales of the channels that each convolution reads. A
picture is the sum of what every resolution adds to it. There is no normalisation of activations: dividing by the
expected size of a convolution's results (demodulation) takes its place.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from ganlet.networks.blocks import channel_counts, upsample
from ganlet.networks.conditioning import LabelledLatents
from ganlet.networks.interfaces import Generator
from ganlet.networks.latents import Latents
from ganlet.networks.settings import StyleGeneratorConfig, checked_by, resolutions
from ganlet.randomness import LatentKind
from ganlet.settings import as_size

LEAK = 0.2
GAIN = math.sqrt(2.0)  # LeakyReLU halves the mean square, nearly
MAPPING_RATE = 0.1
MEAN_MOMENTUM = 0.005
NOISE_UNIT = 1 / 4096


class MappingLayer(nn.Module):
    """A linear layer with LeakyReLU 0.2 that learns `MAPPING_RATE` times as fast as others.

    It draws its own weights under every scheme: of those of normal(0, 0.02), a few layers in a row would shrink all
    latents to nothing, and no normalisation follows that could bring them back. Weights are kept divided by the rate
    and multiplied in use, so an optimiser's steps of fixed length move them by a smaller share (Karras et al. 2018,
    section 4.1; 2019, appendix C).
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(after, before))
        self.bias = nn.Parameter(torch.zeros(after))
        self.draw_weights()

    def draw_weights(self, random: torch.Generator | None = None) -> None:
        nn.init.kaiming_normal_(self.weight, a=LEAK, nonlinearity="leaky_relu", generator=random)
        with torch.no_grad():
            self.weight.div_(MAPPING_RATE)
        nn.init.zeros_(self.bias)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        mapped = functional.linear(vectors, self.weight * MAPPING_RATE, self.bias * MAPPING_RATE)
        return functional.leaky_relu(mapped, LEAK)


class Mapping(nn.Module):
    """Latents (..., latent_size) and labels -> styles (..., latent_size)."""

    def __init__(self, latent_size: int, num_labels: int, layers: int) -> None:
        super().__init__()
        self.labelled = LabelledLatents(latent_size, num_labels)
        sizes = [self.labelled.size, *([latent_size] * layers)]
        self.layers = nn.Sequential(*(MappingLayer(*pair) for pair in pairwise(sizes)))

    def forward(self, latents: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        # Of length sqrt(latent_size) whatever they were drawn from: only the direction tells pictures apart.
        latents = latents * (latents.square().mean(dim=-1, keepdim=True) + 1e-8).rsqrt()
        return self.layers(self.labelled(latents, labels))


class StyleAffine(nn.Module):
    """Styles (N, style_size) -> a scale (N, channels) for each channel, around 1.

    It draws its own weights under every scheme, so that styles show from the start: scales are 1 plus numbers of about
    the size of the style's.
    """

    def __init__(self, style_size: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, style_size))
        self.bias = nn.Parameter(torch.ones(channels))
        self.draw_weights()

    def draw_weights(self, random: torch.Generator | None = None) -> None:
        nn.init.normal_(self.weight, 0.0, self.weight.shape[1] ** -0.5, generator=random)
        nn.init.ones_(self.bias)

    def forward(self, styles: torch.Tensor) -> torch.Tensor:
        return functional.linear(styles, self.weight, self.bias)


class ModulatedConvolution(nn.Module):
    """A convolution whose weight is scaled for each image by its style (Karras et al. 2020, section 2.2).

    Scaling the weight w of each input channel i by s_i is scaling what it reads; dividing each output channel by
    sqrt(sum of (s_i w_i)^2) is scaling what it says. So one convolution serves the whole batch. Scales are computed in
    float32 also under autocast, where their squares and sums would lose too much.
    """

    def __init__(self, before: int, after: int, kernel: int, style_size: int, *, demodulate: bool = True) -> None:
        super().__init__()
        self.demodulate = demodulate
        self.scales = StyleAffine(style_size, before)
        self.convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)

    def forward(self, maps: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        weight = self.convolution.weight  # read once: spectral normalisation computes it at every reading
        with torch.autocast(styles.device.type, enabled=False):
            scales = self.scales(styles)
            power = functional.linear(scales.square(), weight.square().sum(dim=(2, 3)))  # (N, after)
        maps = functional.conv2d(_scaled(maps, scales), weight, padding=self.convolution.padding)
        return _scaled(maps, (power + 1e-8).rsqrt() * GAIN) if self.demodulate else maps


class NoiseInput(nn.Module):
    """Adds noise of learned strength, 0 at the start, to maps (N, C, *size): details that are left to chance.

    New noise for each image in training mode; in evaluation mode always the same, drawn from `seed`, so that a picture
    depends on nothing but its latents.
    """

    fixed: torch.Tensor

    def __init__(self, size: tuple[int, int], seed: int) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(()))
        noise = torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(seed))
        # Whole numbers, so that averaging over time or over processes, which is for what is learned, leaves them alone.
        self.register_buffer("fixed", (noise / NOISE_UNIT).round().to(torch.int16), persistent=False)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        if self.training:
            shape = (len(maps), 1, *maps.shape[2:])
            noise = torch.randn(shape, dtype=maps.dtype, device=maps.device)
        else:
            noise = self.fixed.to(maps.dtype) * NOISE_UNIT
        return maps + self.strength * noise


class StyleLayer(nn.Module):
    """Modulated 3x3 convolution, noise, bias, LeakyReLU 0.2."""

    def __init__(self, before: int, after: int, style_size: int, noise: nn.Module) -> None:
        super().__init__()
        self.convolution = ModulatedConvolution(before, after, 3, style_size)
        self.noise = noise
        self.bias = nn.Parameter(torch.zeros(after, 1, 1))

    def forward(self, maps: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        maps = self.noise(self.convolution(maps, styles))
        return functional.leaky_relu(maps + self.bias.to(maps.dtype), LEAK)


class StyleBlock(nn.Module):
    """The layers of one resolution, and what it adds to the picture."""

    def __init__(self, layers: list[StyleLayer], size: tuple[int, int], to_image: ModulatedConvolution) -> None:
        super().__init__()
        self.size = size
        self.layers = nn.ModuleList(layers)
        self.to_image = to_image

    def forward(self, maps: torch.Tensor, styles: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        maps = upsample(maps, self.size)
        for layer in self.layers:
            maps = layer(maps, styles)
        return maps, self.to_image(maps, styles)


class LearnedConstant(nn.Module):
    """The coarsest map that all pictures start from, (1, channels, height, width)."""

    def __init__(self, channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.empty(1, channels, *size))
        self.draw_weights()

    def draw_weights(self, random: torch.Generator | None = None) -> None:
        nn.init.normal_(self.maps, generator=random)

    def forward(self, num: int) -> torch.Tensor:
        return self.maps.expand(num, -1, -1, -1)


@checked_by(StyleGeneratorConfig)
class StyleGenerator(Generator):
    """Latents -> styles -> a constant map, changed and doubled in resolution by modulated convolutions -> tanh.

    Latents (N, num_levels, latent_size), one for each resolution, coarsest first, mix styles.

    Args:
        size: height and width of the images, each at least 8.
        channels: 1, 3 or 4.
        num_labels: 0 without labels.
        condition: only "concat": labels are mapped with the latents.
        width: channels at full resolution; twice as many at each coarser one.
        max_multiplier: channels are never more than width times this.
        mapping_layers: layers that make a style of the latents.
        noise: whether noise is added to every map.
        style_mixing: share of training pictures made of two latents.
    """

    has_styles = True
    mean_style: torch.Tensor

    def __init__(
        self,
        *,
        size: int | tuple[int, int],
        channels: int = 3,
        latent_size: int = 100,
        latents: LatentKind = "normal",
        num_labels: int = 0,
        condition: str = "concat",
        width: int = 64,
        max_multiplier: int = 8,
        mapping_layers: int = 4,
        noise: bool = True,
        style_mixing: float = 0.0,
    ) -> None:
        super().__init__()
        size = as_size(size)
        assert condition == "concat"
        sizes = list(reversed(resolutions(size)))
        counts = list(reversed(channel_counts(len(sizes), width, max_multiplier)))
        self.latents = Latents(latent_size, latents, levels=len(sizes), mixing=style_mixing)
        self.mapping = Mapping(latent_size, num_labels, mapping_layers)
        self.constant = LearnedConstant(counts[0], sizes[0])
        self.blocks = nn.ModuleList()
        for level, (map_size, after) in enumerate(zip(sizes, counts, strict=True)):
            befores = [after] if level == 0 else [counts[level - 1], after]
            layers = []
            for number, before in enumerate(befores):
                added = NoiseInput(map_size, seed=2 * level + number) if noise else nn.Identity()
                layers.append(StyleLayer(before, after, latent_size, added))
            to_image = ModulatedConvolution(after, channels, 1, latent_size, demodulate=False)
            self.blocks.append(StyleBlock(layers, map_size, to_image))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))
        # What truncation draws styles towards: the mean over latents, and over labels, as training has met them.
        self.register_buffer("mean_style", torch.zeros(latent_size))

    def forward(
        self, latents: torch.Tensor, labels: torch.Tensor | None = None, truncation: float = 1.0
    ) -> torch.Tensor:
        """Images; with a truncation below 1 more typical and less varied (Karras et al. 2019, appendix B)."""
        styles = self.map(latents, labels)
        if self.training:
            with torch.no_grad():
                self.mean_style.lerp_(styles.flatten(0, -2).mean(dim=0), MEAN_MOMENTUM)
        if truncation != 1.0:
            styles = self.mean_style + truncation * (styles - self.mean_style)
        return self.synthesize(styles)

    def map(self, latents: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        """Latents (N, latent_size) or (N, num_levels, latent_size) -> styles of the same shape, in float32."""
        with torch.autocast(latents.device.type, enabled=False):  # too coarse in bf16
            return self.mapping(latents, labels)

    def synthesize(self, styles: torch.Tensor) -> torch.Tensor:
        """Styles (N, latent_size), or (N, num_levels, latent_size) for one each level, coarsest first -> images."""
        if styles.dim() == 2:
            styles = styles.unsqueeze(1).expand(-1, self.num_levels, -1)
        maps = self.constant(styles.shape[0])
        images: torch.Tensor | None = None
        for block, style in zip(self.blocks, styles.unbind(dim=1), strict=True):
            maps, added = block(maps, style)
            images = added if images is None else upsample(images, added.shape[2:]) + added
        assert images is not None
        # Their mean, so that tanh is not saturated from the start where initial weights are not small.
        return torch.tanh(images / self.num_levels + self.bias)


def _scaled(maps: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Maps (N, C, H, W) times scales (N, C), in the precision of the maps."""
    return maps * scales.to(maps.dtype)[:, :, None, None]
