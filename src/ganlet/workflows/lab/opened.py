"""The two networks of a run, opened, with pictures to show them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import nn

from ganlet.data.labels import label_vectors
from ganlet.errors import ConfigError, DataError, RunError, nearest
from ganlet.images import opaque, to_network
from ganlet.latent.inside import Answers, Inside, Layer
from ganlet.latent.space import Points, joined
from ganlet.randomness import numpy_generator
from ganlet.runs import checkpoint
from ganlet.workflows.generators import game_of, open_networks
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.records import read_environment

NETWORKS = ("generator", "discriminator")
BEFORE_ACTIVATION = ("BatchNorm1d", "BatchNorm2d", "ConditionalNorm", "Upsample", "Linear", "Conv2d")
FEWEST_UNITS = 5  # of a layer that is more than a picture


@dataclass(frozen=True, eq=False)
class Opened:
    """A network with what it is shown.

    Attributes:
        name: generator or discriminator.
        inside: the network.
        inputs: points, or images as points.
        pictures: the same as pictures uint8 (N, H, W, C).
        addresses: of each picture, by which people find it again.
    """

    name: str
    inside: Inside
    inputs: Points
    pictures: np.ndarray
    addresses: list[str]

    @property
    def shown(self) -> np.ndarray:
        """The pictures in three colours, (N, H, W, 3)."""
        return np.stack([opaque(picture) for picture in self.pictures])

    @property
    def shown_what(self) -> str:
        """What the pictures are, in words."""
        return f"{len(self.pictures)} {'generated' if '#' in self.addresses[0] else 'training'} pictures"

    @property
    def layers(self) -> list[Layer]:
        """The layers, each once."""
        return [layer for layer in self.inside.layers.values() if layer.same_as is None]

    @property
    def main_layers(self) -> list[Layer]:
        """Of each resolution the last layer behind an activation; of networks without maps all such layers."""
        worthy = [layer for layer in self.layers if layer.num_units >= FEWEST_UNITS]
        behind = [layer for layer in worthy if layer.kind not in BEFORE_ACTIVATION] or worthy
        if not any(layer.has_maps for layer in behind):
            return behind
        return list({layer.shape[1:]: layer for layer in behind if layer.has_maps}.values())


def opened_generator(lab: Lab, num: int, seed: int) -> Opened:
    """The generator, and the first pictures of a seed."""
    points = lab.sample(num, seed)
    addresses = [f"{seed}#{number}" for number in range(num)]
    inside = Inside.of_generator(lab.space, points)
    return Opened("generator", inside, points, lab.space.pictures(points), addresses)


def opened_discriminator(lab: Lab, num: int, seed: int) -> Opened:
    """The discriminator, and random training pictures; where these are gone, pictures of the generator.

    Raises `RunError` where only a generator is there, `ConfigError` where the run's game judges nothing.
    """
    network = discriminator(lab)
    try:
        inputs, pictures, addresses = training_inputs(lab, num, seed)
    except DataError as error:
        lab.reporter.say(f"{error.what} The discriminator is shown generated pictures instead.")
        inputs, pictures = generated_inputs(lab, num, seed)
        addresses = [f"{seed}#{number}" for number in range(num)]
    return Opened("discriminator", Inside.of_discriminator(network, inputs), inputs, pictures, addresses)


def opened_network(lab: Lab, network: str, num: int, seed: int) -> Opened:
    """Either of the networks by name. Raises `ConfigError` for another name, and as `opened_discriminator` does."""
    if network not in NETWORKS:
        close = nearest(network, NETWORKS)
        hint = f"--network {close}" if close else None
        raise ConfigError(
            "There is no such network.", where="--network", got=network, expected=" or ".join(NETWORKS), hint=hint
        )
    return opened_generator(lab, num, seed) if network == "generator" else opened_discriminator(lab, num, seed)


def discriminator(lab: Lab) -> nn.Module:
    """The network that judges, of the moment that the generator is of, else of the latest checkpoint."""
    if lab.folder is None:
        raise RunError(
            "There is no discriminator in the file of a generator.",
            where="--network discriminator",
            expected="the folder of a run, whose checkpoints have both networks",
            hint="--network generator, or give the folder: ganlet explore RUN inside --network discriminator",
        )
    game = game_of(lab.trained.config, read_environment(lab.folder), lab.folder.path, lab.game)
    if game.judges is None:
        raise ConfigError(
            "The game of this run has no network that judges pictures.",
            where="--network discriminator",
            hint="--network generator",
        )
    moments = checkpoint.moments(lab.folder.checkpoints_path)
    which = lab.trained.images_seen if lab.trained.images_seen in moments else "latest"
    return open_networks(lab.folder, which, lab.space.device, game=lab.game)[game.judges]


def training_inputs(lab: Lab, num: int, seed: int) -> tuple[Points, np.ndarray, list[str]]:
    """Random training pictures as images, as pictures, and which they are. Raises `DataError` where they are gone."""
    pictures = lab.training_pictures
    chosen = np.sort(numpy_generator(seed, "looked into").permutation(len(pictures))[:num])
    labels = None
    if lab.num_labels:
        vectors = label_vectors(lab.pack, lab.trained.config.data)
        assert vectors is not None
        labels = torch.from_numpy(vectors[chosen])
    shown = pictures[chosen]
    return Points(to_network(torch.from_numpy(shown)), labels), shown, [f"training {number}" for number in chosen]


def generated_inputs(lab: Lab, num: int, seed: int) -> tuple[Points, np.ndarray]:
    """Generated pictures as images, and as pictures."""
    points = lab.sample(num, seed)
    pictures = lab.space.pictures(points)
    return Points(to_network(torch.from_numpy(pictures)), points.labels), pictures


def looked_at(lab: Lab, num: int, seed: int) -> tuple[Points, np.ndarray, list[str]]:
    """As many generated pictures and training pictures, to show a discriminator; the former alone where those are gone.

    The words say which a picture is.
    """
    inputs, pictures = generated_inputs(lab, num, seed)
    words = ["generated"] * num
    try:
        others, real, _ = training_inputs(lab, num, seed)
    except DataError:
        return inputs, pictures, words
    return joined([inputs, others]), np.concatenate([pictures, real]), [*words, *["real"] * len(real)]


def all_answers(lab: Lab, opened: Opened) -> dict[str, Answers]:
    """What the units of every layer answer to the pictures, by layer."""
    progress = partial(lab.reporter.progress, f"listening to the {opened.name}")
    found = {}
    for number, layer in enumerate(opened.layers, start=1):
        found[layer.name] = opened.inside.answers(opened.inputs, layer.name)
        progress(number, len(opened.layers))
    return found
