"""What a caller hands in as objects in place of what a config describes: networks, a game, pictures."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import nn

from ganlet.config import RunConfig
from ganlet.data.memory import hold
from ganlet.errors import ConfigError, RunError
from ganlet.games import GAMES, Game
from ganlet.runs.folder import RunFolder, handed_in


@dataclass(frozen=True)
class Given:
    """Objects in place of settings; None where the config speaks."""

    generator: nn.Module | None = None
    discriminator: nn.Module | None = None
    game_class: type[Game] | None = None
    dataset: Any = None

    def __post_init__(self) -> None:
        """Raise `ConfigError` for what is of another kind, such as a class in place of a network."""
        for name in ("generator", "discriminator"):
            if not isinstance(network := getattr(self, name), nn.Module | None):
                raise ConfigError(f"The {name} is no network.", got=repr(network), expected="a torch.nn.Module")
        game = self.game_class
        if game is not None and not (isinstance(game, type) and issubclass(game, Game)):
            raise ConfigError(
                "The game is no class of games.", got=repr(game), expected="a subclass of ganlet.games.Game"
            )

    def record(self) -> dict[str, str]:
        """What was handed in, by name, in words: noted in the run, for the config does not say it."""
        objects = {"generator": self.generator, "discriminator": self.discriminator}
        words = {name: type(network).__name__ for name, network in objects.items() if network is not None}
        if self.game_class is not None:
            words["game"] = self.game_class.__name__
        if self.dataset is not None and not self._dataset_is_a_source:
            words["dataset"] = type(self.dataset).__name__
        return words

    @property
    def _dataset_is_a_source(self) -> bool:
        """Whether the pictures are what `data.source` can say: then the config does, and nothing was handed in."""
        dataset = self.dataset
        if isinstance(dataset, Mapping):
            dataset = dataset.get("real") if len(dataset) == 1 else None
        return isinstance(dataset, str | os.PathLike)

    def notes(self) -> list[str]:
        """A line that says so."""
        words = ", ".join(f"{name} ({kind})" for name, kind in self.record().items())
        return [f"not described by the config, so it must be given again to resume: {words}"] if words else []

    def require_all_of(self, environment: Mapping[str, Any], folder: RunFolder) -> None:
        """Raise `RunError` where something that the run was begun with is not given again."""
        missing = {name: kind for name, kind in handed_in(environment).items() if name not in self.record()}
        if missing:
            raise RunError(
                "Parts of this run were handed in from Python, and its config does not describe them.",
                where=folder.path,
                got=f"no {', '.join(missing)}",
                expected=", ".join(f"{name}={kind}" for name, kind in missing.items()),
                hint=f"{folder.resume_command()} from Python",
            )

    @cached_property
    def sources(self) -> dict[str, str]:
        """The pictures that were given as sources, by stream; nothing where the config says where they are."""
        if self.dataset is None:
            return {}
        streams = self.dataset if isinstance(self.dataset, Mapping) else {"real": self.dataset}
        if "real" not in streams:
            raise ConfigError("A dataset of several streams needs one that is called real.", got=", ".join(streams))
        return {name: hold(one) for name, one in streams.items()}

    def game(self, config: RunConfig) -> Game:
        """The game of a resolved config, with the networks that were handed in."""
        networks = {"generator": self.generator, "discriminator": self.discriminator}
        handed = {name: network for name, network in networks.items() if network is not None}
        return (self.game_class or GAMES["gan"])(config, handed)
