"""Runs of an older ganlet that were cut off in the middle, and what they come to when they are gone on with.

The folders in checkpoints/ were made at commit 7bb7e6a, and old_runs.json says what they came to there:

    OMP_NUM_THREADS=1 python tests/recorded/old_runs.py NAME ...

What "everything" comes to was recorded once more when the augmentation and the anchors of the logits, which it adapts
over two critic steps an iteration, began to follow both of these steps. Its folder is the old one.

Never make one anew because it cannot be read any more: that it can is what they are for. A format that is no more
written keeps its folder, and a new one gets another beside it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in the tests, and before anything imports torch
sys.path.insert(0, str(Path(__file__).parents[1]))

import ganlet
from recorded.cases import BASE, BATCH, HERE, LIVELY, Outcome, environment, outcome, read_record, unreported
from recorded.cases import write_record as write

FOLDERS, RECORD = HERE / "checkpoints", HERE / "old_runs.json"
LONGER = {"train": {"total_images": 9 * BATCH}}
RESUMED_AT = 3 * BATCH  # a log row is open there: it is of two iterations

COMMON: dict[str, Any] = {
    **BASE,
    **LIVELY,
    "train.total_images": 5 * BATCH,
    "train.checkpoint_every": RESUMED_AT,
    "train.log_every": 2 * BATCH,
    "evaluate.num_samples": 1,
}
RUNS: dict[str, dict[str, Any]] = {
    "plain": {
        **COMMON,
        "generator": {"upsample": "nearest", "ema": {"half_life": 20, "ramp_up": 0.5, "more_half_lives": [4, 100]}},
        "generator.optimizer.schedule": {"kind": "multistep", "milestones": [4 * BATCH], "factor": 0.5},
        "objective.penalties": [{"kind": "r1", "weight": 0.5, "every": 4}],
    },
    "everything": {
        **COMMON,
        "data": {"labels": "attributes", "flip": True},
        "generator": {
            "kind": "style",
            "style_mixing": 0.5,
            "mapping_layers": 2,
            "max_multiplier": 2,
            "ema": {"half_life": 30, "ramp_up": 0, "more_half_lives": [8]},
            "optimizer": {"beta1": 0.0, "beta2": 0.99, "clip_norm": 1.0},
        },
        "discriminator": {"condition": "classifier", "spectral": True, "batch_statistics": "stddev", "dropout": 0.1},
        "objective": {
            "loss": {"kind": "hinge"},
            "penalties": [{"kind": "lecam", "half_life": 50}, {"kind": "r1", "every": 3}],
            "augment": {
                "policies": ["color", "translation", "cutout"],
                "adaptive": "sign",
                "strength": 0.6,
                "speed": 400,
            },
            "label_flips": 0.1,
            "instance_noise": {"sigma": 0.1, "until": 6 * BATCH},
            "top_k": {"share": 0.5, "until": 8 * BATCH},
        },
        "train": {
            "n_critic": 2,
            "n_generator": 2,
            "accumulate": 2,
            "total_images": 10 * BATCH,
            "checkpoint_every": 2 * RESUMED_AT,
            "log_every": 4 * BATCH,
        },
    },
    "growing": {
        **COMMON,
        "data": {"size": [32, 40], "labels": "attributes", "balance": True, "holdout": 0.2, "num_images": 40},
        "generator": {
            "kind": "resnet",
            "condition": "norm",
            "skip_latent": True,
            "max_multiplier": 1,
            "latent_size": 4,
        },
        "discriminator": {"kind": "resnet", "attention": 8, "max_multiplier": 2, "condition": "projection"},
        "objective.augment": {"policies": ["cutout"], "adaptive": "held_out", "strength": 0.5, "speed": 100},
        "train.growing": {"every": 2 * BATCH, "fade": 2 * BATCH},  # half faded in at the checkpoint
    },
}


def go_on(name: str, folder: Path) -> Outcome:
    """Copy a run into `folder`, go on with it to a longer end, and return what is kept of it."""
    run = folder / name
    shutil.copytree(FOLDERS / name, run)
    total = RUNS[name].get("train", {}).get("n_critic", 1) * LONGER["train"]["total_images"]
    with unreported():
        ganlet.resume(run, {"train": {"total_images": total}}, device="cpu")
    return outcome(run)


def make(name: str, folder: Path) -> None:
    """Train a run in `folder`, and leave in FOLDERS what of it a resume needs, as if it had been killed."""
    run = folder / f"{name}-whole"
    with unreported():
        ganlet.train(ganlet.make_config(None, "smileys", overrides=RUNS[name]), out=run, device="cpu")
    target = FOLDERS / name
    shutil.rmtree(target, ignore_errors=True)
    first, *_ = sorted(path for path in (run / "checkpoints").iterdir() if path.name.isdigit())
    shutil.copytree(first, target / "checkpoints" / first.name)
    (target / "checkpoints" / "latest").write_text(first.name + "\n")
    (target / "samples").mkdir()
    for kept in ("config.yaml", "metrics.jsonl", "samples/000000000.png"):
        shutil.copy(run / kept, target / kept)
    (target / "environment.json").write_text(_nothing_local(json.loads((run / "environment.json").read_text())))


def _nothing_local(told: dict[str, Any]) -> str:
    """environment.json without what it says of the machine, and without the classes that have no picture."""
    classes = told["data"]["classes"]
    told["data"]["classes"] = {name: number for name, number in classes.items() if number}
    for session in told["sessions"]:
        session |= dict.fromkeys(("platform", "cpu_model", "device_name"), "")
    return json.dumps(told) + "\n"


def main(names: list[str]) -> None:
    """Make these runs, and write down what they come to."""
    record = read_record(RECORD) if RECORD.exists() else {"environment": environment(), "cases": {}}
    assert record["environment"] == environment()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GANLET_CACHE"] = f"{folder}/cache"
        for name in names:
            make(name, Path(folder))
            record["cases"][name] = go_on(name, Path(folder))
    write(record, RECORD)


if __name__ == "__main__":
    main(sys.argv[1:])
