"""How much arithmetic the settings of docs/guide cost: multiplications and additions of an iteration, and parameters.

Counted by torch's formulas (torch.utils.flop_counter) in convolutions and matrix products, forwards and backwards, over
as many iterations as the longest interval of a lazy penalty; for each picture that the discriminator is shown, and as a
share of the preset's. No times: those depend on the machine. Elementwise work, such as normalisation, is not counted.

    python benchmarks/iteration_cost.py [--preset quick] [--set KEY=VALUE ...]
"""

from __future__ import annotations

import argparse

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ganlet.config import RunConfig, parse_override
from ganlet.config.tree import Tree, merge
from ganlet.engine.inputs import InputMaker
from ganlet.engine.state import build_state
from ganlet.engine.step import iterate
from ganlet.networks.zoo import parameter_count
from ganlet.workflows.configuring import make_config

CRITIC = "objective.loss.kind=wasserstein"
NARROW = "generator.width=32", "discriminator.width=32"
RESNET = "generator.kind=resnet", "discriminator.kind=resnet", *NARROW
GRADIENT_PENALTY = "objective.penalties=[{kind: gradient_penalty}]"
SETTINGS: tuple[tuple[str, ...], ...] = (
    (),
    ("generator.width=64", "discriminator.width=64"),
    ("generator.upsample=transposed",),
    ("generator.upsample=pixel_shuffle",),
    ("generator.layers=2", "discriminator.layers=2"),
    ("generator.skip_latent=true",),
    RESNET,
    (*RESNET, "generator.attention=16", "discriminator.attention=16"),
    ("generator.kind=style", *NARROW),
    ("generator.kind=mlp", "discriminator.kind=mlp"),
    ("discriminator.spectral=true",),
    ("discriminator.batch_statistics=stddev",),
    ("discriminator.batch_statistics=discrimination",),
    ("objective.penalties=[]",),
    ("objective.penalties=[{kind: r1}]",),
    ("objective.penalties=[{kind: r1}, {kind: r2}]",),
    (CRITIC, GRADIENT_PENALTY, "discriminator.norm=layer"),
    (CRITIC, GRADIENT_PENALTY, "discriminator.norm=layer", "train.n_critic=5"),
    ("objective.penalties=[{kind: dragan}]",),
    ("objective.penalties=[{kind: consistency}]",),
    ("objective.penalties=[{kind: lecam}]",),
    ("objective.loss.kind=relativistic",),
    ("objective.augment.policies=[color, translation, cutout]",),
    ("objective.passes=[{}, {noise: 0.1}, {label_smoothing: 0.1}]",),
    ("train.n_generator=2",),
    ("train.accumulate=2",),
)


class Counter(TorchDispatchMode):
    """Counts operations. (torch's own FlopCounterMode cannot follow the gradient with respect to images.)"""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func._overloadpacket in flop_registry:
            self.total += flop_registry[func._overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out


class Pictures:
    """Black pictures: arithmetic does not depend on what they show."""

    def __init__(self, config: RunConfig) -> None:
        assert config.data.channels != "auto"
        self.shape = (*config.data.size, config.data.channels)

    def images(self, position: int, count: int, rank: int = 0, world: int = 1) -> torch.Tensor:
        return torch.zeros((count, *self.shape), dtype=torch.uint8)

    def labels(self, position: int, count: int, rank: int = 0, world: int = 1) -> None:
        return None


def cost(config: RunConfig) -> tuple[float, int, int]:
    """Operations for each picture that is shown; parameters of the generator and of the discriminator."""
    state = build_state(config)
    maker = InputMaker(state, {"real": Pictures(config)})  # type: ignore[dict-item]
    num_iterations = max([1, *(penalty.every for penalty in config.objective.penalties)])
    shown = num_iterations * state.game.num_images
    with Counter() as counter:
        for images_seen in range(0, shown, state.game.num_images):
            iterate(state, maker.at(images_seen))
    of_generator, of_discriminator = (parameter_count(state.networks[name]) for name in ("generator", "discriminator"))
    return counter.total / shown, of_generator, of_discriminator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    wishes = parser.parse_args()
    rows = SETTINGS if not wishes.settings else ((), tuple(wishes.settings))
    first = None
    for settings in rows:
        overrides: Tree = {}
        for text in ("data.channels=3", *settings):
            overrides = merge(overrides, parse_override(text), None)
        operations, of_generator, of_discriminator = cost(make_config(wishes.preset, overrides=overrides))
        first = first or operations
        numbers = f"{operations / first:5.2f}  {operations / 1e6:7.0f} M  {of_generator:>10,} {of_discriminator:>10,}"
        print(numbers, " ".join(settings) or wishes.preset, sep="  ")


if __name__ == "__main__":
    main()
