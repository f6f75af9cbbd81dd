"""What must hold before a run may start or go on; each failure is one clear error, before anything is touched."""

from __future__ import annotations

from pathlib import Path

import torch

from ganlet.config import RunConfig, differences, relocate, resolve
from ganlet.data.holdout import held_out_pack
from ganlet.data.labels import label_fingerprint, label_names
from ganlet.data.source import absolute_source, open_source, require_batch
from ganlet.data.spec import Pack
from ganlet.errors import CheckpointError, ConfigError, DataError, EnvironmentProblem
from ganlet.metrics.features import open_extractor
from ganlet.runs.folder import RunFolder
from ganlet.settings import images
from ganlet.workflows.records import read_environment
from ganlet.workflows.reporting import Reporter

# What a resumed run may change, because it changes only how far it goes, how it is watched, what is done about what is
# seen from here on, and where the pictures are (which must still be the same ones).
CHANGEABLE = (
    "data.source",
    "train.total_images",
    "train.log_every",
    "train.sample_every",
    "train.checkpoint_every",
    "train.keep_checkpoints",
    "train.tensorboard",
    "evaluate.metric",
    "evaluate.extractor",
    "evaluate.num_fakes",
    "evaluate.every",
    "evaluate.budget",
    "evaluate.keep_best",
    "evaluate.patience",
    "health.every",
    "health.num_pictures",
    "health.action",
    "health.max_rollbacks",
)


def open_pictures(config: RunConfig, reporter: Reporter) -> Pack:
    """The packed pictures, enough for a batch.

    Of several processes one packs while the others wait for it at the cache: before they meet as ranks, for packing
    may take longer than ranks wait for each other.
    """
    pack = open_source(config.data, lambda done, total: reporter.progress("reading pictures", done, total))
    require_batch(pack, config.train.batch_size, config.data.allow_few)
    for skipped in pack.summary.get("skipped", []):
        reporter.say(f"left out: {skipped['name']}: {skipped['reason']}")
    return pack


def resolved(config: RunConfig, pack: Pack) -> RunConfig:
    """The config of a run: nothing left open, and what it needs of the disk findable from every working folder.

    Raises `DataError` where the pictures have no such labels, `ConfigError` for what is impossible together.
    """
    names = label_names(pack, config.data)
    config = resolve(config, num_pictures=len(pack), channels=pack.pictures.shape[-1], label_names=names or None)
    init_from = config.train.init_from
    where = None if init_from is None else str(Path(init_from).expanduser().absolute())
    return relocate(config, absolute_source(config.data.source), where)


def followed_pictures(config: RunConfig, pack: Pack) -> Pack | None:
    """The pictures kept out of training that the augmentation's strength follows; None where it follows none.

    Raises `DataError` where there are no such pictures.
    """
    augment = config.objective.augment
    if augment.adaptive != "held_out" or not augment.policies:
        return None
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


def require_extractor(config: RunConfig) -> None:
    """Raise `ConfigError` or `EnvironmentProblem` where the features of the measured distance cannot be had.

    Later, when it is measured, nothing of that kind ends a run.
    """
    if config.evaluate.metric != "none":
        open_extractor(config.evaluate.extractor)


def require_changeable(
    old: RunConfig, new: RunConfig, folder: RunFolder, error: type[ConfigError | CheckpointError], what: str
) -> None:
    """Raise `error` with the difference of two configs, unless a resumed run may differ in that."""
    changed = differences(old, new)
    refused = {path: values for path, values in changed.items() if path not in CHANGEABLE}
    if refused:
        lines = "\n".join(f"  {path}: {before!r} -> {after!r}" for path, (before, after) in refused.items())
        raise error(
            f"{what}\n{lines}",
            where=folder.config_path,
            expected="changes only in " + ", ".join(CHANGEABLE),
            hint="put the old values back, or start a new run with ganlet train",
        )


def require_length(config: RunConfig, trained: RunConfig, images_seen: int) -> None:
    """Raise `ConfigError` where a run is to become shorter than it is already."""
    total = images(config.train.total_images)
    if total < min(images_seen, images(trained.train.total_images)):
        raise ConfigError(
            "The run is longer than that already.",
            where="train.total_images",
            got=total,
            expected=f"at least {images_seen}",
        )


def require_same_pictures(folder: RunFolder, pack: Pack, config: RunConfig, allowed: bool, reporter: Reporter) -> None:
    """Raise `DataError` when the pictures, or the labels that are taken of them, are not those of the run's start."""
    before = read_environment(folder).get("data", {})
    now = {"fingerprint": pack.fingerprint, "label_fingerprint": label_fingerprint(pack, config.data)}
    for key, what in (("fingerprint", "pictures"), ("label_fingerprint", "labels of the pictures")):
        was, found = before.get(key), now[key]
        if was is None or found is None or was == found:
            continue
        if not allowed:
            raise DataError(
                f"The {what} have changed since this run was started.",
                where=pack.summary.get("source"),
                got=f"fingerprint {found[:12]}",
                expected=f"fingerprint {was[:12]}",
                hint=f"put the old {what.split()[0]} back, or: ganlet resume {folder.path} --allow-data-change",
            )
        reporter.say(f"not exact: the {what} have changed since this run was started")
        return
