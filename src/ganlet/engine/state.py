"""Everything that a run carries from one iteration to the next, by name, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn

from ganlet.config.schema import RunConfig
from ganlet.engine.optimizers import build_optimizer, optimizer_tensors
from ganlet.engine.schedule import growth
from ganlet.errors import CheckpointError, ConfigError, nearest
from ganlet.games import GAMES, Average, Game, Player

Members = dict[str, dict[str, torch.Tensor]]
KEPT_MEMBERS = ("window", "adaptive", "course")  # beside networks, averages and optimisers


class Window:
    """Sums and counts of what was measured since the last log row, by name, kept on the device."""

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        self.names = tuple(names)
        if twice := {name for name in names if names.count(name) > 1}:
            raise ConfigError("The game measures two things of one name.", got=", ".join(sorted(twice)))
        precision = torch.float32 if device.type == "mps" else torch.float64
        self.sums = torch.zeros(len(self.names), dtype=precision, device=device)
        self.counts = torch.zeros(len(self.names), dtype=precision, device=device)
        self._known_counts: dict[tuple[int, ...], torch.Tensor] = {}

    def add(self, sums: dict[str, torch.Tensor], counts: dict[str, int]) -> None:
        """Add sums of scalars by name, each of so many values; names that are not there count nothing."""
        self.require_known(sums)
        zero = self.sums.new_zeros(())
        self.sums += torch.stack([sums[name].to(zero.dtype) if name in sums else zero for name in self.names])
        numbers = tuple(counts.get(name, 0) for name in self.names)
        if numbers not in self._known_counts:  # sent to the device once, for that would stall every iteration
            self._known_counts[numbers] = torch.tensor(numbers, dtype=zero.dtype, device=zero.device)
        self.counts += self._known_counts[numbers]

    def require_known(self, names: Iterable[str]) -> None:
        """Raise ConfigError where the game has not said that it measures something of that name."""
        if unknown := sorted({*names} - {*self.names}):
            what = "The game yields parts that it does not declare."
            hint = f"parts = ({', '.join(map(repr, unknown))},) in its class"
            raise ConfigError(what, got=", ".join(unknown), expected=", ".join(self.names), hint=hint)

    def read(self) -> dict[str, float]:
        """Means since the last reading, by name; then start anew. Waits for the device."""
        sums, counts = self.sums.tolist(), self.counts.tolist()
        self.sums.zero_()
        self.counts.zero_()
        return {name: total / count for name, total, count in zip(self.names, sums, counts, strict=True) if count}

    def tensors(self) -> dict[str, torch.Tensor]:
        """The live tensors by name."""
        return {"sums": self.sums, "counts": self.counts}


@dataclass
class TrainState:
    """The networks, averages of their weights, optimisers, what the game remembers, the open log window, the clock.

    Attributes:
        game: what the networks play.
        networks: by name, in training.
        averages: moving averages of networks' weights, by the name of their member in a checkpoint.
        optimizers: one for each player.
        memory: scalars that the game keeps.
        window: what was measured since the last log row.
        counts: how often the run went back to an earlier moment, "rollbacks", and how often each player's rate was
            reduced, "PLAYER_reductions": int64 scalars on the CPU.
    """

    game: Game
    networks: dict[str, nn.Module]
    players: dict[str, Player]
    averages: dict[str, nn.Module]
    optimizers: dict[str, torch.optim.Adam]
    memory: dict[str, torch.Tensor]
    window: Window
    counts: dict[str, torch.Tensor]
    images_seen: int = 0
    averaged: dict[str, Average] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(parameter for network in self.networks.values() for parameter in network.parameters()).device

    @property
    def rollbacks(self) -> int:
        """How often the run went back."""
        return int(self.counts["rollbacks"])

    @rollbacks.setter
    def rollbacks(self, number: int) -> None:
        self.counts["rollbacks"].fill_(number)

    def reductions(self, player: str) -> int:
        """How often the rate of a player was reduced."""
        return int(self.counts[f"{player}_reductions"])

    def rates(self) -> dict[str, float]:
        """The learning rate of each player, as the log names it."""
        return {f"{name}_rate": float(optimizer.param_groups[0]["lr"]) for name, optimizer in self.optimizers.items()}

    def for_sampling(self) -> dict[str, nn.Module]:
        """The networks that pictures are drawn with: averaged ones, unless the config wants those of the moment."""
        ema, held = self.game.config.evaluate.weights == "ema", {**self.networks, **self.averages}
        return {name: held[self.game.member_of(name, ema)] for name in self.networks}

    def members(self) -> Members:
        """All tensors by member and name: what a checkpoint holds. They are the live ones, not copies."""
        return {
            **{name: dict(network.state_dict()) for name, network in {**self.networks, **self.averages}.items()},
            **{
                f"{player}_optimizer": optimizer_tensors(optimizer, self._trained_by(player))
                for player, optimizer in self.optimizers.items()
            },
            "window": self.window.tensors(),
            "adaptive": self.memory,
            "course": self.counts,
        }

    def set_clock(self, images_seen: int) -> None:
        """Be at a moment: where networks grow, they work at its stage."""
        self.images_seen = images_seen
        if self.game.config.train.growing.every:
            for network in [*self.networks.values(), *self.averages.values()]:
                if hasattr(network, "set_stage"):
                    growing = cast(Any, network)
                    growing.set_stage(*growth(self.game.config, growing.num_stages, images_seen))

    @torch.no_grad()
    def load(self, members: Mapping[str, Mapping[str, torch.Tensor]], images_seen: int) -> None:
        """Take over saved tensors in place. Raises `CheckpointError` unless every name and shape fits."""
        mine = self.members()
        problems = _misfits(mine, members)
        if problems:
            raise CheckpointError(
                "The checkpoint does not fit this config.",
                got="; ".join(problems[:5]) + ("; ..." if len(problems) > 5 else ""),
                hint="ganlet resume takes the config from the run folder; do not exchange its files",
            )
        for member, tensors in mine.items():
            for name, tensor in tensors.items():
                tensor.copy_(members[member][name])
        self.set_clock(images_seen)

    def _trained_by(self, player: str) -> dict[str, nn.Parameter]:
        """The parameters of a player by name; of several networks, with the network's name in front."""
        names = self.players[player].networks
        return {
            name if len(names) == 1 else f"{network}.{name}": parameter
            for network in names
            for name, parameter in self.networks[network].named_parameters()
        }


def build_state(config: RunConfig, device: torch.device | str = "cpu", game: Game | None = None) -> TrainState:
    """The state of a resolved config before the first image, on `device`, channels last in memory.

    With `train.sync_batch_norm` and several ranks, batch statistics are those of all ranks together.
    """
    game, device = game or GAMES["gan"](config), torch.device(device)
    shared = config.train.sync_batch_norm and torch.distributed.is_available() and torch.distributed.is_initialized()
    built = game.build()
    if strange := {*game.handed_in, game.draws, game.judges} - {*built, None}:
        raise ConfigError(
            "The game has no such network.",
            where=type(game).__name__,
            got=", ".join(sorted(map(str, strange))),
            expected=", ".join(built),
            hint="say which network `draws` and which one `judges`: None where there is none",
        )
    networks = {}
    for name, network in built.items():
        network = network.to(device).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        networks[name] = nn.SyncBatchNorm.convert_sync_batchnorm(network) if shared else network
        settings = getattr(config, name, None)
        if freeze := getattr(settings, "freeze", ()):
            _freeze(networks[name], freeze, f"{name}.freeze")
    players, averaged = game.players(networks), game.averages()
    members = [*networks, *averaged, *(f"{player}_optimizer" for player in players), *KEPT_MEMBERS]
    if twice := {name for name in members if members.count(name) > 1}:
        raise ConfigError("Two members of a checkpoint have one name.", where="game", got=", ".join(sorted(twice)))
    optimizers = {
        name: build_optimizer([p for net in player.networks for p in networks[net].parameters()], player.optimizer)
        for name, player in players.items()
    }
    counted = ("rollbacks", *(f"{player}_reductions" for player in players))
    state = TrainState(
        game=game,
        networks=networks,
        players=players,
        averages={name: start_average(networks[average.network]) for name, average in averaged.items()},
        optimizers=optimizers,
        memory={name: torch.full((), value, device=device) for name, value in game.memory().items()},
        window=Window(game.measured(networks), device),
        counts={name: torch.zeros((), dtype=torch.int64) for name in counted},
        averaged=averaged,
    )
    state.set_clock(0)
    return state


def start_average(network: nn.Module) -> nn.Module:
    """A frozen copy of `network`, in evaluation mode, that `step.update_average` keeps."""
    return copy.deepcopy(network).eval().requires_grad_(False)


def _freeze(network: nn.Module, prefixes: tuple[str, ...], where: str) -> None:
    """Let the layers with names that start so keep their weights. Raises `ConfigError` where there are none."""
    names = [name for name, _ in network.named_parameters()]
    for prefix in prefixes:
        if not any(_belongs(name, prefix) for name in names):
            layers = sorted({name.rpartition(".")[0] for name in names})
            near = nearest(prefix, layers)
            raise ConfigError(
                "There is no such layer to freeze.",
                where=where,
                got=prefix,
                expected=f"the start of the name of one of: {', '.join(layers)}",
                hint=f"did you mean {near}?" if near else None,
            )
    frozen = [name for name in names if any(_belongs(name, prefix) for prefix in prefixes)]
    if len(frozen) == len(names):
        raise ConfigError("A network with all of its layers frozen cannot learn.", where=where, got=", ".join(prefixes))
    for name in frozen:
        network.get_parameter(name).requires_grad_(False)


def _belongs(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(f"{prefix.rstrip('.')}.")


def _misfits(mine: Members, theirs: Mapping[str, Mapping[str, torch.Tensor]]) -> list[str]:
    """A line for every tensor that is missing, unknown or of another shape."""
    expected = {f"{m}/{n}": tuple(t.shape) for m, tensors in mine.items() for n, t in tensors.items()}
    found = {f"{m}/{n}": tuple(t.shape) for m, tensors in theirs.items() for n, t in tensors.items()}
    missing = [f"{name} is missing" for name in expected if name not in found]
    unknown = [f"{name} is unknown" for name in found if name not in expected]
    other = [
        f"{name} has shape {found[name]} instead of {shape}"
        for name, shape in expected.items()
        if name in found and found[name] != shape
    ]
    return missing + unknown + other
