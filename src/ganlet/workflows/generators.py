"""The trained networks of a run: the generator it ended with, those of a checkpoint, or a generator file alone."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import nn

from ganlet.config import RunConfig, validate
from ganlet.engine.devices import choose_device
from ganlet.engine.schedule import growth
from ganlet.errors import ConfigError, RunError
from ganlet.games import Game, Gan
from ganlet.games.gan import average_member
from ganlet.networks.optimizers import SCHEDULES
from ganlet.objective.augment import POLICIES
from ganlet.objective.losses import LOSSES
from ganlet.objective.penalties import PENALTIES
from ganlet.runs import checkpoint
from ganlet.runs.archive import is_generator_file
from ganlet.runs.certificate import Maker, weights_hash
from ganlet.runs.folder import RunFolder
from ganlet.runs.hub import given_run
from ganlet.runs.weights import Tensors, load_generator_file
from ganlet.settings import as_images
from ganlet.workflows.labels import NUM_ROWS, LabelSampler
from ganlet.workflows.records import read_environment

MAX_TOLD = 2000  # characters of what does not fit in a file of others


@dataclass(frozen=True, eq=False)
class Trained:
    """A generator on its device, in evaluation mode, with its config and the moment it is of."""

    generator: Any  # a network with `latents`
    config: RunConfig
    images_seen: int
    labels: LabelSampler | None = None  # as its training pictures have them, where it was trained with labels
    data_fingerprint: str = ""

    @cached_property
    def maker(self) -> Maker:
        """Who draws, as certificates say it."""
        return Maker(
            run_fingerprint(self.config, self.data_fingerprint), weights_hash(self.generator), self.images_seen
        )

    @property
    def weights(self) -> Literal["ema", "raw"]:
        """Averaged weights, or those of the moment."""
        return self.config.evaluate.weights


def open_generator(
    folder: RunFolder,
    which: str | int | None,
    device: torch.device,
    average: int | None = None,
    game: Game | type[Game] | None = None,
    name: str | None = None,
) -> Trained:
    """The generator in generator.safetensors, or that of the checkpoint best, latest, or of a number of images seen.

    Of a checkpoint, too, it is the averaged one unless the config wants the momentary one. `average` is the half-life
    of one of the further averages, `name` another network that draws; both are in checkpoints only, by default in the
    latest. `game` is for runs whose networks are not described by their config. Raises RunError or CheckpointError
    where there is none or it is damaged, ConfigError where `which`, `average` or `name` means nothing.
    """
    if game is not None and game.draws is None and name is None:
        raise RunError("This game draws no pictures of latents: there is no generator.", where=folder.path)
    if which is None and average is None and name is None:
        path = folder.generator_path
        if not path.exists():
            raise no_generator(folder)
        return open_generator_file(path, device, game, read_environment(folder))
    saved = open_checkpoint(folder, "latest" if which is None else which)
    config = drawing_config(saved.meta["config"])
    game = game_of(config, read_environment(folder), folder.path, game)
    name, networks = name or str(game.draws), _built(game, saved.members, saved.path)
    if not hasattr(networks.get(name), "latents"):
        able = ", ".join(known for known, network in networks.items() if hasattr(network, "latents"))
        raise ConfigError("No such network draws pictures of latents.", where="network", got=name, expected=able)
    member = game.member_of(name, config.evaluate.weights == "ema") if average is None else _further(config, average)
    network = _loaded(networks[name], saved.members[member], config, saved.images_seen, saved.path, device)
    labels = _labels(read_environment(folder).get("labels"), config, folder.environment_path)
    return Trained(network, config, saved.images_seen, labels, str(saved.meta.get("data_fingerprint")))


def no_generator(folder: RunFolder) -> RunError:
    """What is to be said of a run without its generator.safetensors."""
    where = folder.sealed or folder.path
    if checkpoint.moments(folder.checkpoints_path):
        what = "This run has no generator.safetensors, but its checkpoints have a generator each."
        return RunError(what, where=where, hint="name one of them: --checkpoint latest")
    hint = folder.resume_command() if folder.sealed is None else None
    return RunError("This run has no generator yet: nothing was saved so far.", where=where, hint=hint)


def open_generator_file(
    path: Path,
    device: torch.device,
    game: Game | type[Game] | None = None,
    environment: Mapping[str, Any] | None = None,
    generator: nn.Module | None = None,
) -> Trained:
    """The generator of a generator.safetensors, wherever the file is. Raises `RunError`.

    `generator` is a network of its architecture, where it was handed in from Python. Files of older versions have no
    label sets inside; those of the run's environment.json serve then.
    """
    tensors, metadata = load_generator_file(path)
    try:
        config = drawing_config(metadata["config"])
    except ConfigError as error:
        told = " ".join(error.message.split())[:MAX_TOLD]
        raise RunError("The config in this generator file is none of ganlet.", where=path, got=told) from error
    alone = {"discriminator": nn.Identity()}  # which is not in the file, and may be large
    if generator is not None:
        game = Gan(config, {"generator": generator, **alone})
    game = game_of(config, metadata, path, game)
    if type(game) is Gan and not game.handed_in:
        game = Gan(config, alone)
    seen = int(metadata.get("images_seen") or 0)
    networks = _built(game, {str(game.draws): tensors}, path)
    network = _loaded(networks[str(game.draws)], tensors, config, seen, path, device)
    labels = _labels(metadata.get("labels") or (environment or {}).get("labels"), config, path)
    return Trained(network, config, seen, labels, str(metadata.get("data_fingerprint")))


class Networks(Mapping[str, nn.Module]):
    """The networks of a checkpoint by name, as items and as attributes; `images_seen` is the moment they are of."""

    def __init__(self, networks: Mapping[str, nn.Module], images_seen: int) -> None:
        self._networks = dict(networks)
        self.images_seen = images_seen

    def __getitem__(self, name: str) -> nn.Module:
        return self._networks[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._networks)

    def __len__(self) -> int:
        return len(self._networks)

    def __repr__(self) -> str:
        return f"Networks({', '.join(self)}, images_seen={self.images_seen:,})"

    def __getattr__(self, name: str) -> nn.Module:
        if name.startswith("_") or name not in self._networks:
            raise AttributeError(f"there is no network {name!r}, only {', '.join(self.__dict__.get('_networks', {}))}")
        return self._networks[name]


def open_networks(
    folder: RunFolder,
    which: str | int,
    device: torch.device,
    *,
    ema: bool = True,
    game: Game | type[Game] | None = None,
) -> Networks:
    """All networks of a checkpoint, in evaluation mode; see `open_generator`."""
    saved = open_checkpoint(folder, which)
    config = drawing_config(saved.meta["config"])
    game = game_of(config, read_environment(folder), folder.path, game)
    found = {}
    for name, network in _built(game, saved.members, saved.path).items():
        tensors = saved.members[game.member_of(name, ema)]
        found[name] = _loaded(network, tensors, config, saved.images_seen, saved.path, device)
    return Networks(found, saved.images_seen)


def load(path: str | os.PathLike[str], *, generator: nn.Module | None = None, device: str = "cpu") -> Any:
    """The generator of a generator.safetensors, of a run's folder or of "hf:OWNER/NAME", a module in evaluation mode.

    `generator.latents` draws what it is fed. A `generator` that was handed to `train` as an object is handed in again.
    Raises `RunError` where there is none, or the file is damaged or of another kind.
    """
    path, chosen = given_run(path), choose_device(device)
    folder = None if is_generator_file(path) or not path.exists() else RunFolder.open(path)
    if folder is not None and generator is None:
        return open_generator(folder, None, chosen).generator
    file = path if folder is None else folder.generator_path
    return open_generator_file(file, chosen, generator=generator).generator


def open_checkpoint(folder: RunFolder, which: str | int) -> checkpoint.Checkpoint:
    """The checkpoint best, latest, or of a number of images seen."""
    saved = checkpoint.load(folder.checkpoints_path, _moment(folder, which), read_environment(folder).get("run_id"))
    assert saved is not None  # a moment was asked for
    return saved


def game_of(config: RunConfig, record: Mapping[str, Any], where: Path, game: Game | type[Game] | None = None) -> Game:
    """The game of a run: `game`, or what its config describes. Raises `RunError` where that does not say it all."""
    if game is not None:
        return game(config) if isinstance(game, type) else game
    if given := {name: kind for name, kind in (record.get("given") or {}).items() if name != "dataset"}:
        words = ", ".join(f"{name}=..." for name in given)
        needed = "generator=..." if where.is_file() else words
        raise RunError(
            "Parts of this run were handed in from Python, and its config does not describe them.",
            where=where,
            got=", ".join(f"{name} ({kind})" for name, kind in given.items()),
            expected=f"the same objects again: ganlet.{'load' if where.is_file() else 'open_run'}(path, {needed})",
        )
    return Gan(config)


def run_fingerprint(config: RunConfig, data_fingerprint: str) -> str:
    """What runs share that began alike: the same networks, objective, seed and pictures, wherever they lie."""
    parts = {"seed", "data", "generator", "discriminator", "objective"}
    tree = config.model_dump(mode="json", include=parts, exclude={"data": {"source", "licence"}})
    text = json.dumps([tree, data_fingerprint], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def drawing_config(tree: Mapping[str, Any]) -> RunConfig:
    """The saved config of a run, for drawing: what only the program that trained it knows of the objective is left out.

    Raises `ConfigError` for what is no config.
    """
    changed = copy.deepcopy(dict(tree))
    objective = changed.setdefault("objective", {})
    if isinstance(objective, dict):
        if _part(objective, "loss").get("kind") not in [*LOSSES]:
            objective.pop("loss", None)
        if isinstance(penalties := objective.get("penalties") or [], list):
            objective["penalties"] = [one for one in penalties if not isinstance(one, dict) or _is_known(one)]
        if not _has_known_policies(_part(objective, "augment")):
            del objective["augment"]
    for side in ("generator", "discriminator"):
        optimizer = _part(_part(changed, side), "optimizer")
        if _part(optimizer, "schedule").get("kind") not in [*SCHEDULES]:
            optimizer.pop("schedule", None)
    return validate(changed)


def _part(tree: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The keys and values under a key; none where there is something else, which `validate` will tell."""
    part = tree.get(key)
    return part if isinstance(part, dict) else {}


def _is_known(penalty: Mapping[str, Any]) -> bool:
    return penalty.get("kind") in [*PENALTIES] and _has_known_policies(penalty)


def _has_known_policies(settings: Mapping[str, Any]) -> bool:
    policies = settings.get("policies", ())
    return not isinstance(policies, list | tuple) or all(policy in [*POLICIES] for policy in policies)


def _is_label(value: object, num_labels: int) -> bool:
    return type(value) is int and 0 <= value < num_labels


def _built(game: Game, members: Mapping[str, Tensors], where: Path) -> dict[str, nn.Module]:
    """The networks of a game, once those of `members` are known to fit; raises RunError where they do not.

    They are compared without memory first: a file of others may describe networks that take all there is.
    """
    if type(game) is Gan:
        with torch.device("meta"):
            outlines = game.build()
        for name in outlines.keys() & members.keys() - game.handed_in.keys():
            _fill(outlines[name], members[name], where, assign=True)
    return game.build()


def _fill(network: nn.Module, tensors: Tensors, where: Path, assign: bool = False) -> None:
    try:
        network.load_state_dict(tensors, assign=assign)
    except RuntimeError as error:
        raise RunError(
            "The weights do not fit the network that the config describes, or that was handed in.",
            where=where,
            got=str(error)[:MAX_TOLD],
        ) from None


def _labels(sets: Any, config: RunConfig, where: Path) -> LabelSampler | None:
    """The labels that pictures are drawn with; raises RunError for sets that are none of this config's labels."""
    num_labels = config.data.num_labels
    if num_labels and sets:
        labels = [label for one in sets for label in (one if isinstance(one, list) else [None])]
        if len(sets) > max(NUM_ROWS, num_labels) or not all(_is_label(label, num_labels) for label in labels):
            expected = f"lists of numbers below {num_labels}"
            raise RunError("The labels of the training pictures are damaged.", where=where, expected=expected)
    return LabelSampler.from_sets(sets, num_labels)


def _loaded(
    network: nn.Module, tensors: Tensors, config: RunConfig, images_seen: int, where: Path, device: torch.device
) -> nn.Module:
    """A network with saved weights, in evaluation mode, at its stage of growing."""
    _fill(network, tensors, where)
    if hasattr(network, "set_stage"):
        growing = cast(Any, network)
        growing.set_stage(*growth(config, growing.num_stages, images_seen))
    return network.to(device).eval()


def _further(config: RunConfig, average: int) -> str:
    """The member of a checkpoint with the further average of that half-life."""
    known = [as_images(half_life) for half_life in config.generator.ema.more_half_lives]
    if average not in known:
        raise ConfigError(
            "There is no average of that half-life.",
            where="--average",
            got=average,
            expected=", ".join(map(str, known)) or "a run with generator.ema.more_half_lives",
        )
    return average_member(average)


def _moment(folder: RunFolder, which: str | int) -> int:
    """The images seen of the checkpoint that is meant."""
    known = ", ".join(map(str, checkpoint.moments(folder.checkpoints_path))) or "none"
    pointers: dict[str | int, checkpoint.Pointer] = {"best": "best", "latest": "latest"}
    if isinstance(which, str) and which in pointers:
        moment = checkpoint.read_pointer(folder.checkpoints_path, pointers[which])
        if moment is None:
            raise RunError(f"This run has no {which} checkpoint yet.", where=folder.path, expected=f"one of: {known}")
        return moment
    try:
        if isinstance(which, bool | float):
            raise TypeError
        return int(which)
    except (TypeError, ValueError):
        raise ConfigError(
            "There is no such checkpoint.",
            where="--checkpoint",
            got=repr(which) if not isinstance(which, str) else which,
            expected=f"best, latest, or one of: {known}",
        ) from None
