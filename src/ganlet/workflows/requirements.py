"""What must hold before a run may go on; each failure is one clear error, before anything is touched."""

from __future__ import annotations

from ganlet.config import RunConfig, differences
from ganlet.data.labels import label_fingerprint
from ganlet.data.spec import Pack
from ganlet.errors import CheckpointError, ConfigError, DataError
from ganlet.runs.folder import RunFolder
from ganlet.settings import as_images
from ganlet.workflows.records import read_environment
from ganlet.workflows.reporting import Reporter

# What a resumed run may change, because it changes only how far it goes, how it is watched, what is done about what is
# seen from here on, and where the pictures are (which must still be the same ones) and under which licence.
CHANGEABLE = (
    "data.source",
    "data.licence",
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
    total = as_images(config.train.total_images)
    if total < min(images_seen, as_images(trained.train.total_images)):
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
                hint=f"put the old {what.split()[0]} back, or: {folder.resume_command(allow_data_change=True)}",
            )
        reporter.say(f"not exact: the {what} have changed since this run was started")
        return
