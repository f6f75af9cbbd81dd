"""What a run is made of before it begins: device, resolved config, pictures.

Whatever is wrong with them is one clear error, before anything is touched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch

from ganlet import paths
from ganlet.config import RunConfig, relocate, resolve
from ganlet.data.dataset import open_pack
from ganlet.data.holdout import held_out_pack
from ganlet.data.labels import label_names
from ganlet.data.memory import as_source
from ganlet.data.source import absolute_source, require_batch
from ganlet.data.spec import Pack
from ganlet.engine.devices import choose_device, require_precision
from ganlet.engine.distributed import world_size
from ganlet.errors import ConfigError, DataError, EnvironmentProblem
from ganlet.hub import is_hub_name
from ganlet.images import center_crop
from ganlet.metrics.features import open_extractor
from ganlet.runs.folder import RunFolder
from ganlet.workflows.arguments import require_extractor_path
from ganlet.workflows.given import Given
from ganlet.workflows.reporting import Reporter


class Prepared(NamedTuple):
    """The config with nothing left open, the device, and the pictures by stream."""

    config: RunConfig
    device: torch.device
    packs: dict[str, Pack]


def prepare(config: RunConfig, given: Given, device: str, reporter: Reporter) -> Prepared:
    """Look whether this machine can do what a config asks for, and open the pictures."""
    chosen = choose_device(device)
    require_precision(config, chosen)
    require_shares(config, chosen, world_size())
    if config.train.init_from is not None:
        if is_hub_name(config.train.init_from):
            RunFolder.open(config.train.init_from)  # which says what is there instead of a run
        paths.require_text(paths.given(config.train.init_from, "train.init_from").absolute(), "train.init_from")
    if config.evaluate.metric != "none":
        require_extractor_path(config.evaluate.extractor)
        open_extractor(config.evaluate.extractor)  # later, when it is measured, nothing of that kind ends a run
    sources = given.sources or {"real": as_source(config.data.source)}
    for source in sources.values():
        paths.require_text(absolute_source(source), "data.source")
    packs = {stream: open_pictures(config, source, reporter) for stream, source in sources.items()}
    config = resolved(config, sources["real"], packs["real"])
    if "held_out" in packs:  # handed in: shown as it stands, without random cuts
        held_out = packs["held_out"]
        packs["held_out"] = replace(held_out, pictures=center_crop(held_out.pictures, config.data.size))
    augment = config.objective.augment
    if augment.policies and augment.adaptive == "held_out" and "held_out" not in packs:
        packs["held_out"] = followed_pictures(config, packs["real"])
    return Prepared(config, chosen, packs)


def open_pictures(config: RunConfig, source: str, reporter: Reporter) -> Pack:
    """The packed pictures of a source, enough for a batch.

    Of several processes one packs while the others wait for it at the cache: before they meet as ranks, for packing
    may take longer than ranks wait for each other.
    """
    pack = open_pack(
        config.data.model_copy(update={"source": source}),
        lambda done, total: reporter.progress("reading pictures", done, total),
    )
    require_batch(pack, config.train.batch_size, config.data.allow_few)
    for skipped in pack.summary.get("skipped", []):
        reporter.say(f"left out: {skipped['name']}: {skipped['reason']}")
    return pack


def resolved(config: RunConfig, source: str, pack: Pack) -> RunConfig:
    """The config of a run: nothing left open, and what it needs of the disk findable from every working folder.

    Raises `DataError` where the pictures have no such labels, `ConfigError` for what is impossible together.
    """
    names = label_names(pack, config.data)
    config = resolve(config, num_pictures=len(pack), channels=pack.pictures.shape[-1], label_names=names or None)
    init_from = config.train.init_from
    where = None if init_from is None else str(paths.given(init_from, "train.init_from").absolute())
    return relocate(config, absolute_source(source), where)


def followed_pictures(config: RunConfig, pack: Pack) -> Pack:
    """The pictures kept out of training that the augmentation's strength follows.

    Raises `DataError` where there are none.
    """
    unseen = held_out_pack(pack, config.data)
    if unseen is None:
        raise DataError(
            "No pictures are kept out of training, which the augmentation is to follow.",
            where="objective.augment.adaptive",
            got="held_out",
            expected="a source with a test split, or data.holdout above 0",
            hint="--set data.holdout=0.1",
        )
    return unseen


def require_shares(config: RunConfig, device: torch.device, world: int) -> None:
    """Raise `ConfigError` or `EnvironmentProblem` where the config does not suit the number of processes."""
    batch, parts = config.train.batch_size, world * config.train.accumulate
    if batch % parts or batch // parts < 2:
        each = f"{world} processes" if config.train.accumulate == 1 else f"{parts} parts (processes * train.accumulate)"
        raise ConfigError(
            "The batch cannot be shared out evenly, with at least two pictures for each process.",
            where="train.batch_size",
            got=f"{batch} pictures for {each}",
            expected=f"a multiple of {parts}, at least {2 * parts}",
        )
    if config.train.sync_batch_norm and (world == 1 or device.type != "cuda"):
        raise EnvironmentProblem(
            "Batch statistics can be shared only between several GPUs.",
            where="train.sync_batch_norm",
            hint="--set train.sync_batch_norm=false",
        )
