"""What a run would do, without doing it."""

from __future__ import annotations

import math
import os

import torch

from ganlet.config import RunConfig, dump_yaml, without_effect
from ganlet.data.labels import label_notes
from ganlet.engine.estimate import estimate_memory
from ganlet.networks.zoo import parameter_count
from ganlet.paths import given
from ganlet.runs.environment import describe_environment
from ganlet.runs.folder import require_makeable, require_new
from ganlet.settings import as_images
from ganlet.workflows.given import Given
from ganlet.workflows.prepare import prepare
from ganlet.workflows.reporting import Reporter, Silent
from ganlet.workflows.transfer import initial_state


def plan(
    config: RunConfig,
    out: str | os.PathLike[str] | None = None,
    *,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> str:
    """The resolved config as YAML, below comments with what the run would take. Makes no run folder.

    Raises what `train` would raise before it starts.
    """
    if out is not None:
        path = given(out, "--out")
        require_new(path)
        require_makeable(path)
    reporter = reporter or Silent()
    config, chosen, packs = prepare(config, Given(), device, reporter)
    pack = packs["real"]
    state = initial_state(config, torch.device("cpu"), reporter)
    memory = estimate_memory(state)
    total, per_iteration = as_images(config.train.total_images), config.train.batch_size * config.train.n_critic
    height, width = config.data.size
    notes = [*without_effect(config), *pack.summary["notes"], *label_notes(pack, config.data)]
    facts = [
        f"pictures:       {len(pack):,} of {height} x {width}, {pack.pictures.shape[-1]} channels",
        f"length:         {total:,} images = {math.ceil(total / per_iteration):,} iterations of {per_iteration} "
        f"= {total / len(pack):.1f} epochs",
        *(f"{name + ':':<15} {parameter_count(network):,} parameters" for name, network in state.networks.items()),
        f"memory:         about {_megabytes(memory.total)} ({_megabytes(memory.weights)} weights and optimisers, "
        f"{_megabytes(memory.batch)} a batch)",
        f"device:         {chosen} ({describe_environment(str(chosen))['device_name']})",
        *(f"note:           {note}" for note in notes),
    ]
    return "\n".join([*(f"# {fact}" for fact in facts), dump_yaml(config).rstrip()])


def _megabytes(count: int) -> str:
    return f"{max(1, round(count / 2**20)):,} MB"
