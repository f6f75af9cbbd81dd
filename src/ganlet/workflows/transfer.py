"""Starting from the weights of another run: what fits is taken over, and what was taken and what is new is told.

Optimisers, clock and everything else start anew. With `discriminator.freeze` this is FreezeD (Mo et al. 2020).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from ganlet.config import RunConfig
from ganlet.engine.state import TrainState, build_state
from ganlet.errors import ConfigError
from ganlet.games import Game
from ganlet.runs import checkpoint
from ganlet.runs.folder import RunFolder
from ganlet.workflows.records import read_environment
from ganlet.workflows.reporting import Reporter

logger = logging.getLogger(__name__)

BLOCK = re.compile(r"^blocks\.(\d+)\.")
LISTED = 6
Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Transfer:
    """Which tensors of a network were taken over from another run, and which kept their initial values, by name."""

    taken: tuple[str, ...]
    new: tuple[str, ...]

    def __str__(self) -> str:
        of = f"{len(self.taken)} of {len(self.taken) + len(self.new)} tensors taken over"
        if not self.new:
            return of
        names = ", ".join(self.new[:LISTED]) + (", ..." if len(self.new) > LISTED else "")
        return f"{of}; new: {names}"


def initial_state(config: RunConfig, device: torch.device, reporter: Reporter, game: Game | None = None) -> TrainState:
    """The state of a run before its first image: its initial weights, or those of the run that it starts from.

    Raises `RunError` or `CheckpointError` where `train.init_from` is no run with a checkpoint, `ConfigError` where
    nothing of it fits.
    """
    state = build_state(config, device, game)
    if config.train.init_from is not None:
        take_over(state, RunFolder.open(config.train.init_from), reporter)
    return state


def take_over(state: TrainState, folder: RunFolder, reporter: Reporter) -> None:
    """Let a state begin with the weights of a run, as far as they fit, and tell what was taken.

    Raises `CheckpointError` where the run's checkpoints are broken, `ConfigError` where it has none or nothing fits.
    """
    saved = checkpoint.load(folder.checkpoints_path, run_id=read_environment(folder).get("run_id"))
    if saved is None:
        raise ConfigError(
            "The run to start from has no checkpoint yet.",
            where="train.init_from",
            got=folder.path,
            hint=folder.resume_command(),
        )
    # Averaged networks are the better ones, and training goes on from them as well.
    networks, transfers = state.networks, {}
    for name, network in networks.items():
        members = [member for member in (state.game.member_of(name), name) if member in saved.members]
        if members:
            coarse_first = bool(getattr(network, "coarse_first", True))
            transfers[name] = transfer(network, saved.members[members[0]], finest_last=coarse_first)
    # Counters of batches and biases of a picture's channels fit between any two networks.
    weights = {name: {key for key, value in networks[name].named_parameters() if value.dim() > 1} for name in networks}
    if not any(weights[name].intersection(found.taken) for name, found in transfers.items()):
        raise ConfigError(
            "No weight of that run fits the networks of this config.",
            where="train.init_from",
            got=folder.path,
            hint="take networks of the same kind and widths; for twice the resolution, of half the width",
        )
    for name, average in state.averages.items():
        average.load_state_dict(networks[state.averaged[name].network].state_dict())
    for name, found in transfers.items():
        text = f"{name}: {found}"
        reporter.say(text)
        logger.info(text)
        frozen = [key for key, value in networks[name].named_parameters() if not value.requires_grad]
        if untaken := [key for key in frozen if key in found.new]:
            listed = ", ".join(untaken[:LISTED]) + (", ..." if len(untaken) > LISTED else "")
            reporter.say(f"note: {name}.freeze keeps initial weights, which nothing was taken over for: {listed}")


@torch.no_grad()
def transfer(network: nn.Module, saved: Tensors, *, finest_last: bool) -> Transfer:
    """Copy into `network` the tensors of `saved` that fit by name and shape.

    Where the numbers of blocks differ, those of the coarsest maps are matched: a finer resolution adds blocks at the
    end of a generator (`finest_last`) and at the beginning of a discriminator, whose names are shifted by that.
    """
    mine = dict(network.state_dict())
    shift = 0 if finest_last else _num_blocks(mine) - _num_blocks(saved)
    taken, new = [], []
    for name, tensor in mine.items():
        found = saved.get(_renumbered(name, -shift))
        if found is not None and found.shape == tensor.shape:
            tensor.copy_(found)
            taken.append(name)
        else:
            new.append(name)
    return Transfer(tuple(taken), tuple(new))


def _num_blocks(tensors: Tensors) -> int:
    return 1 + max((int(match[1]) for match in map(BLOCK.match, tensors) if match), default=-1)


def _renumbered(name: str, by: int) -> str:
    """The name with the number of its block changed."""
    return BLOCK.sub(lambda match: f"blocks.{int(match[1]) + by}.", name)
