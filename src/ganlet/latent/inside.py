"""What the layers of a trained network answer with, unit by unit, and what it does without some of them.

A unit is a channel of a layer that makes maps, or one number of a layer that makes vectors. A generator is looked at
while it draws points, a discriminator while it judges images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TypeGuard

import numpy as np
import torch
from torch import nn

from ganlet.errors import ConfigError, nearest
from ganlet.games.drawn import BATCH
from ganlet.latent.space import Points, Space

DUPLICATE = 0.99  # correlation from which on two units say the same
STILL = 1e-6  # of a layer's largest answer: what varies less is constant
MOST_ANSWERS = 2**24  # numbers that are kept of a layer to find duplicates: 64 MB
BLOCK = 512  # units that are compared with all others at once

Run = Callable[[Points], torch.Tensor]


@dataclass(frozen=True)
class Layer:
    """A layer that can be looked at.

    Attributes:
        name: the module's, as in `named_modules`.
        kind: the class of the module.
        shape: (units, height, width) of what it makes of one picture, or (units,) for a layer without maps.
        same_as: the enclosing layer whose last part this is, so that both answer the same; None for others.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    same_as: str | None = None

    @property
    def num_units(self) -> int:
        return self.shape[0]

    @property
    def has_maps(self) -> bool:
        return len(self.shape) == 3

    def unit(self, number: int, option: str = "--unit") -> int:
        """The number of a unit. Raises `ConfigError` where there is none."""
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < self.num_units:
            raise ConfigError(
                f"The layer {self.name} has no such unit.",
                where=option,
                got=number,
                expected=f"a whole number from 0 to {self.num_units - 1}",
            )
        return number


@dataclass(frozen=True, eq=False)
class Answers:
    """What the units of a layer answered to pictures.

    Attributes:
        peaks: float32 (N, units), the highest place of each unit's map in each picture.
        active: float32 (units,), the share of all places, in all pictures, where a unit is above 0.
        constant: bool (units,), the units that are everywhere the same.
        dead: bool (units,), those, and the units that are nowhere above 0. It means something behind an activation.
        same_as: int64 (units,), the first unit that correlates above `DUPLICATE` with this one; itself where none does.
    """

    peaks: torch.Tensor
    active: torch.Tensor
    constant: torch.Tensor
    dead: torch.Tensor
    same_as: torch.Tensor

    def strongest(self, num: int) -> torch.Tensor:
        """The pictures that each unit answers to most: indices int64 (units, num), the strongest first."""
        return self.peaks.T.argsort(dim=1, descending=True, stable=True)[:, :num]

    def selectivity(self, num: int) -> torch.Tensor:
        """How far above its mean a unit answers to its `num` strongest pictures, in standard deviations: (units,).

        0 for constant units. A unit that answers to all alike has little, one that waits for something rare has much.
        """
        highest = self.peaks.sort(dim=0, descending=True).values[:num].mean(dim=0)
        deviation = self.peaks.std(dim=0, correction=0)
        return ((highest - self.peaks.mean(dim=0)) / deviation.clamp_min(1e-12)).masked_fill(self.constant, 0.0)

    @property
    def duplicates(self) -> torch.Tensor:
        """bool (units,): those that repeat an earlier unit."""
        return self.same_as != torch.arange(len(self.same_as))


class Inside:
    """A network in evaluation mode, opened.

    Args:
        network: the module that is looked into.
        run: what it makes of inputs. They are `Points`: of a discriminator's, the values are images (N, C, H, W).
        example: one input or more, of which the first shows which layers there are.
    """

    def __init__(self, network: nn.Module, run: Run, example: Points) -> None:
        self.network = network
        self.run = run
        # Two, for of one picture alone a first side of 1 would mean nothing.
        self.example = example[:1].repeated(2).to(next(network.parameters()).device)

    @classmethod
    def of_generator(cls, space: Space, example: Points) -> Inside:
        """A generator. Of one with styles, what maps latents to styles lies before its points, and is not seen."""
        return cls(space.generator, space.images, example)

    @classmethod
    def of_discriminator(cls, discriminator: nn.Module, example: Points) -> Inside:
        """A discriminator: images (N, C, H, W) as the values of points, with their labels where it asks for any."""

        def judge(inputs: Points) -> torch.Tensor:
            device = next(discriminator.parameters()).device
            given = (inputs.values,) if inputs.labels is None else (inputs.values, inputs.labels)
            return discriminator(*(tensor.to(device) for tensor in given))

        return cls(discriminator, judge, example)

    @cached_property
    def layers(self) -> dict[str, Layer]:
        """Every layer that makes a vector or maps of a picture, by name, in the order in which they are run.

        Where a block's last layer makes what the block makes, the block stands for it, and the layer has `same_as`.
        """
        made: dict[str, torch.Tensor] = {}  # kept until the end, so that no two have the same place in memory by chance
        names = {module: name for name, module in self.network.named_modules() if name}

        def note(module: nn.Module, _: object, output: object) -> None:
            if _is_answer(output, len(self.example)) and _place(output) != _place(self.example.values):
                made[names[module]] = output

        with _hooked(names, note), torch.no_grad():
            self.run(self.example)
        first: dict[tuple, str] = {}
        for name in sorted(made, key=lambda name: (name.count("."), name)):
            first.setdefault(_place(made[name]), name)
        layers = {}
        modules = {name: module for module, name in names.items()}
        for name, output in made.items():
            stands_for = first[_place(output)]
            same_as = None if stands_for == name else stands_for
            layers[name] = Layer(name, type(modules[name]).__name__, tuple(output.shape[1:]), same_as)
        return layers

    def layer(self, name: str, option: str = "--layer") -> Layer:
        """The layer of that name. Raises `ConfigError` that names the nearest one, and all."""
        if name in self.layers:
            return self.layers[name]
        close = nearest(name, self.layers)
        raise ConfigError(
            f"There is no layer {name!r} that could be looked at.",
            where=option,
            expected=", ".join(layer.name for layer in self.layers.values() if layer.same_as is None),
            hint=f"{option} {close}" if close else None,
        )

    def activations(self, inputs: Points, layer: str) -> torch.Tensor:
        """What a layer answers to each input: float32 (N, units, h, w) on the CPU, or (N, units) without maps."""
        return torch.cat(list(self._batches(inputs, layer)))

    def answers(self, inputs: Points, layer: str) -> Answers:
        """What the units of a layer answer to many inputs, in little memory."""
        shape = self.layer(layer).shape
        places = int(np.prod(shape[1:]))
        # All places of all pictures, or as few of each as memory allows, evenly spread.
        stride = -(-len(inputs) * shape[0] * places // MOST_ANSWERS)
        peaks, kept, active = [], [], torch.zeros(shape[0], dtype=torch.float64)
        lowest, highest = torch.full((shape[0],), torch.inf), torch.full((shape[0],), -torch.inf)
        for part in self._batches(inputs, layer):
            flat = part.flatten(2) if part.dim() == 4 else part.unsqueeze(2)  # (n, units, places)
            peaks.append(flat.amax(dim=2))
            active += (flat > 0).sum(dim=(0, 2))
            lowest = torch.minimum(lowest, flat.amin(dim=(0, 2)))
            highest = torch.maximum(highest, flat.amax(dim=(0, 2)))
            kept.append(flat.transpose(0, 1).flatten(1)[:, ::stride])
        largest = torch.maximum(lowest.abs(), highest.abs()).max()
        constant = highest - lowest <= STILL * largest
        share = (active / (len(inputs) * places)).float()
        alike = _first_alike(torch.cat(kept, dim=1), constant)
        return Answers(torch.cat(peaks), share, constant, constant | (highest <= 0), alike)

    @contextmanager
    def silenced(self, units: Mapping[str, Iterable[int]]) -> Iterator[None]:
        """While open, these units of these layers answer 0 at every place, whatever is shown (Bau et al. 2019).

        Choose layers behind an activation: in front of one, 0 is an answer like others.
        """
        silent = {}
        for name, numbers in units.items():
            layer = self.layer(name)
            silent[self.network.get_submodule(name)] = [layer.unit(number, "--silence") for number in numbers]

        def silence(module: nn.Module, _: object, output: torch.Tensor) -> torch.Tensor:
            output = output.clone()
            output[:, silent[module]] = 0.0
            return output

        with _hooked(silent, silence):
            yield

    @torch.no_grad()
    def outputs(self, inputs: Points) -> torch.Tensor:
        """What the network makes of inputs, on the CPU: images (N, C, H, W) or logits (N, ...)."""
        return torch.cat([self.run(inputs[start : start + BATCH]).cpu() for start in range(0, len(inputs), BATCH)])

    def _batches(self, inputs: Points, layer: str) -> Iterator[torch.Tensor]:
        module = self.network.get_submodule(self.layer(layer).name)
        heard: list[torch.Tensor] = []

        def hear(_: nn.Module, __: object, output: torch.Tensor) -> None:
            # A copy: the next layer may work in place. Of a layer that is run again, the last answer counts.
            heard[:] = [output.detach().float().cpu().clone()]

        for start in range(0, len(inputs), BATCH):
            with _hooked([module], hear), torch.no_grad():
                self.run(inputs[start : start + BATCH])
            yield heard.pop()


def _is_answer(output: object, num: int) -> TypeGuard[torch.Tensor]:
    return (
        isinstance(output, torch.Tensor)
        and output.dim() in (2, 4)
        and len(output) == num
        and output.is_floating_point()
        and output.numel() > 0
    )


def _place(output: torch.Tensor) -> tuple:
    """Where in memory a tensor is, and how it is read: equal for one that is handed on as it is."""
    return output.data_ptr(), tuple(output.shape), output.stride()


@contextmanager
def _hooked(modules: Iterable[nn.Module], hook: Callable[..., torch.Tensor | None]) -> Iterator[None]:
    handles = [module.register_forward_hook(hook) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _first_alike(answers: torch.Tensor, constant: torch.Tensor) -> torch.Tensor:
    """For each unit the first that correlates with it, of answers (units, observations); constant ones with none."""
    centred = answers - answers.mean(dim=1, keepdim=True)
    unit = centred / centred.norm(dim=1, keepdim=True).clamp_min(1e-12)
    unit[constant] = 0.0
    first = torch.arange(len(answers))
    for rows in first.clone().split(BLOCK):
        alike = unit[rows] @ unit.T > DUPLICATE
        alike[torch.arange(len(rows)), rows] = True
        first[rows] = alike.to(torch.uint8).argmax(dim=1)
    return first
