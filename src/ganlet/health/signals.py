"""What the run doctor measures when it looks: plain numbers, each a pure function of pictures, features or networks.

Ratios compare generated pictures with as many real ones, so that they mean the same on every source: 1 is as real.
Nothing here changes the networks, and nothing draws random numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from ganlet.networks import Discriminator, Generator

Signals = dict[str, float]

COARSE_SIDE = 8  # pictures are brought to this size where only their rough look counts
DUPLICATE = 0.5  # nearer than this share of the real pictures' usual distance to their nearest: the same picture
NEIGHBOURS = 5  # k of coverage (Naeem et al. 2020)
DARKEST, BRIGHTEST = -0.98, 0.98  # beyond these, tanh is saturated


@dataclass(frozen=True)
class Specimen:
    """What is looked at at one moment: images (N, C, H, W) in [-1, 1].

    `train` and `held_out` are real, seen and never seen in training; `raw` is drawn by the generator of the moment as
    it is trained, `shown` by the one that samples are drawn with.
    """

    train: torch.Tensor
    raw: torch.Tensor
    shown: torch.Tensor
    held_out: torch.Tensor | None = None


def judgement(discriminator: Discriminator, specimen: Specimen) -> Signals:
    """How the discriminator tells real pictures from generated ones, and known real ones from unknown.

    `separation` is the chance that it finds a real picture more real than a generated one (the area under its ROC
    curve): 0.5 means that it cannot tell, 1 that it is never fooled. It means the same for every loss, as a probability
    does not. `recognition` is the same for training pictures against held-out ones: above 0.5 it knows them by heart.
    """
    with torch.no_grad(), batch_statistics(discriminator):
        train, fake = discriminator(specimen.train).float(), discriminator(specimen.raw).float()
        held_out = None if specimen.held_out is None else discriminator(specimen.held_out).float()
    signals = {
        "real_logit": float(train.mean()),
        "fake_logit": float(fake.mean()),
        "real_accuracy": float((train > 0).float().mean()),
        "fake_accuracy": float((fake < 0).float().mean()),
        "separation": separation(train, fake),
    }
    if held_out is not None:
        signals |= {"held_out_logit": float(held_out.mean()), "recognition": separation(train, held_out)}
    return signals


def separation(higher: torch.Tensor, lower: torch.Tensor) -> float:
    """Share of pairs of (N,) and (M,) in which the first is greater; ties count half (Mann & Whitney 1947)."""
    difference = higher[:, None] - lower[None, :]
    return float((difference > 0).float().mean() + 0.5 * (difference == 0).float().mean())


def appearance(real: torch.Tensor, fake: torch.Tensor) -> Signals:
    """What generated images (N, C, H, W) look like beside real ones, before anybody knows what they show.

    `colour_shift`: distance of the mean colours, in standard deviations of the real pixels, worst channel.
    `contrast`: standard deviation of the pixels, as a ratio. `saturation`: share of values at the ends of tanh, above
    that of real pictures. `pixel_shift`: largest distance between the mean pictures at any place, in [0, 1].
    `detail` and `checkerboard`: see `spectrum`, as ratios.
    """
    deviation = real.std().clamp_min(1e-6)
    shift = (fake.mean((0, 2, 3)) - real.mean((0, 2, 3))).abs().max() / deviation
    (fake_detail, fake_board), (real_detail, real_board) = spectrum(fake), spectrum(real)
    signals = torch.stack(
        (
            shift,
            fake.std() / deviation,
            saturated(fake) - saturated(real),
            (fake.mean(0) - real.mean(0)).abs().max() / 2,
            fake_detail / real_detail,
            fake_board / real_board,
        )
    )
    names = ("colour_shift", "contrast", "saturation", "pixel_shift", "detail", "checkerboard")
    return dict(zip(names, signals.tolist(), strict=True)) | {"rough_diversity": rough_diversity(real, fake)}


def rough_diversity(real: torch.Tensor, fake: torch.Tensor) -> float:
    """Mean distance between pairs of generated images (N, C, H, W) at 8 x 8, as a ratio to that of real ones."""
    return float(pair_distance(coarse(fake)) / pair_distance(coarse(real)).clamp_min(1e-6))


def movement(before: torch.Tensor, now: torch.Tensor, real: torch.Tensor) -> float:
    """How far images (N, C, H, W) of the same latents have moved at 8 x 8, as a ratio to that between real pairs.

    0: the generator has not changed; 1: it draws something else altogether.
    """
    moved = (coarse(now) - coarse(before)).norm(dim=1).mean()
    return float(moved / pair_distance(coarse(real)).clamp_min(1e-6))


def spectrum(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Detail and checkerboard of images (N, C, H, W), from the mean power spectrum of their brightness.

    Detail is the share of the power above half of the highest frequency. Checkerboard is the power of patterns that
    repeat every 2 pixels along an axis, relative to the power of those that nearly do (0.7 to 0.9 of that frequency):
    upsampling layers leave such patterns, pictures have none (Odena et al. 2016).
    """
    brightness = images.mean(1)
    power = torch.fft.rfft2(brightness - brightness.mean((1, 2), keepdim=True)).abs().square().mean(0)
    height, width = brightness.shape[1:]
    rows = torch.fft.fftfreq(height, device=images.device).abs()[:, None] * 2  # 1 is the highest frequency
    columns = torch.fft.rfftfreq(width, device=images.device)[None, :] * 2
    reach = torch.maximum(rows, columns)
    tiny = power.sum() * 1e-9 + 1e-12
    board, near = reach > 0.97, (reach > 0.7) & (reach < 0.9)
    detail = (power[reach > 0.5].sum() + tiny) / (power.sum() + tiny)
    return detail, (power[board].mean() + tiny) / (power[near].mean() + tiny)


def variety(real: torch.Tensor, fake: torch.Tensor) -> Signals:
    """How varied generated pictures are, from features (N, F) of as many real and generated ones.

    `diversity`: mean distance between pairs, as a ratio to real ones. `duplicates`: share of generated pictures that
    have another one within half of the usual distance of a real picture to its nearest. `coverage`: share of real
    pictures that have a generated one nearer than their fifth neighbour (Naeem et al. 2020, equation 6); other real
    pictures would cover about 0.97. `distance`: energy distance between the two sets (Szekely & Rizzo 2013), as a share
    of the real pictures' mean distance: 0 for the same distribution; noisy, but good for a trend.
    """
    real_distances, fake_distances, across = torch.cdist(real, real), torch.cdist(fake, fake), torch.cdist(real, fake)
    real_spread, fake_spread = pair_distance(real).clamp_min(1e-6), pair_distance(fake)
    usual = _nearest_other(real_distances).median()
    # Sorted, because kthvalue is refused on a GPU where `train.deterministic` is set.
    radius = real_distances.sort(dim=1).values[:, min(NEIGHBOURS, len(real) - 1)]
    signals = torch.stack(
        (
            fake_spread / real_spread,
            (_nearest_other(fake_distances) < DUPLICATE * usual).float().mean(),
            (across.min(1).values <= radius).float().mean(),
            (2 * across.mean() - fake_spread - real_spread) / real_spread,
        )
    )
    return dict(zip(("diversity", "duplicates", "coverage", "distance"), signals.tolist(), strict=True))


def copying(fake: torch.Tensor, train: torch.Tensor) -> Signals:
    """Whether generated pictures are copies, from features (N, F) of them and (M, F) of training pictures.

    `copies`: share of generated pictures nearer to a training picture than 95 % of the training pictures are to
    another one. Training pictures of a rich source that is only sampled lie far apart, so this understates.
    """
    among = _nearest_other(torch.cdist(train, train))
    limit = among.sort().values[max(1, len(among) // 20) - 1]
    nearest = torch.cdist(fake, train).min(1).values
    return {"copies": float((nearest < limit).float().mean()), "nearness": float(nearest.median() / among.median())}


def weights(network: nn.Module, name: str) -> Signals:
    """Norm of all weights, and how many numbers are not finite."""
    parameters = [parameter.detach().float() for parameter in network.parameters()]
    norm = torch.stack([parameter.square().sum() for parameter in parameters]).sum().sqrt()
    broken = torch.stack([(~parameter.isfinite()).sum() for parameter in parameters]).sum()
    return {f"{name}_weight_norm": float(norm), f"{name}_not_finite": float(broken)}


@contextmanager
def counting_dead_units(network: nn.Module) -> Iterator[list[torch.Tensor]]:
    """While open, notes for every rectifier which of its channels are negative at every place of every picture."""
    dead: list[torch.Tensor] = []

    def note(_: nn.Module, inputs: tuple[torch.Tensor], __: torch.Tensor) -> None:
        maps = inputs[0].detach().flatten(2) if inputs[0].ndim > 2 else inputs[0].detach()[:, :, None]
        dead.append(maps.amax((0, 2)) <= 0)

    rectifiers = (m for m in network.modules() if isinstance(m, nn.ReLU | nn.LeakyReLU))
    hooks = [module.register_forward_hook(note) for module in rectifiers]
    try:
        yield dead
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """While open, the network judges a batch as it does in training, but leaves no trace in its buffers."""
    modes = [(module, module.training) for module in network.modules()]
    norms = [(m, m.running_mean, m.running_var) for m in network.modules() if isinstance(m, _BatchNorm)]
    network.eval()
    # Without running statistics a norm uses those of the batch, in evaluation mode too. In training mode one that is
    # shared by several processes would wait for the others, which do not look.
    for norm, _, _ in norms:
        norm.running_mean = norm.running_var = None
    try:
        yield
    finally:
        for norm, mean, variance in norms:
            norm.running_mean, norm.running_var = mean, variance
        for module, mode in modes:
            module.training = mode


def as_trained(generator: Generator, latents: torch.Tensor) -> torch.Tensor:
    """Images (N, C, H, W) as the discriminator gets them in training: with the statistics of the batch."""
    with torch.no_grad(), batch_statistics(generator):
        return generator(latents).float()


def as_shown(generator: Generator, latents: torch.Tensor) -> tuple[torch.Tensor, Signals]:
    """Images (N, C, H, W) as samples are drawn, and the share of the generator's units that are dead."""
    was_training = generator.training
    generator.eval()
    try:
        with torch.no_grad(), counting_dead_units(generator) as dead:
            images = generator(latents).float()
    finally:
        generator.train(was_training)
    return images, {"dead_units": float(torch.cat(dead).float().mean()) if dead else 0.0}


def coarse(images: torch.Tensor) -> torch.Tensor:
    """Images (N, C, H, W) -> (N, C * 64): their rough look."""
    return functional.adaptive_avg_pool2d(images, COARSE_SIDE).flatten(1)


def pair_distance(vectors: torch.Tensor) -> torch.Tensor:
    """Mean distance between all pairs of different vectors (N, F)."""
    count = len(vectors)
    return torch.cdist(vectors, vectors).sum() / (count * (count - 1))


def saturated(images: torch.Tensor) -> torch.Tensor:
    """Share of values at either end of tanh."""
    return ((images < DARKEST) | (images > BRIGHTEST)).float().mean()


def _nearest_other(distances: torch.Tensor) -> torch.Tensor:
    """Distance of each to its nearest other, from distances (N, N)."""
    others = distances + torch.diag(torch.full((len(distances),), torch.inf, device=distances.device))
    return others.min(1).values
