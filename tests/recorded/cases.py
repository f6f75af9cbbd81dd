"""Small runs of everything that a config can ask for, and what is kept of one: enough to tell two of them apart.

Only the public functions and the folder of a run are used, so that these cases outlive any change of what is behind
them: no module of the engine, the objective or the networks is named here.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import itertools
import json
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import safetensors.torch
import torch
from PIL import Image

import ganlet
from ganlet.config import presets

HERE = Path(__file__).parent
RECORD = HERE / "bit_equal.json"

Tree = Mapping[str, Any]
Outcome = dict[str, Any]

TIMES = ("images_per_second", "seconds")  # of a log row: the only numbers that differ between two equal runs
HASH_DIGITS, SUM_DIGITS = 16, 9
# On another machine: how far sums may be off, as a share of the sum of absolute values. Adam divides by the size of a
# gradient, so rounding counts as much as anything where a gradient is all but 0.
TOLERANCE = 1e-3
NOT_EXACT = "not compared bit by bit"

SIZE = (20, 16)  # not square; maps of 20x16, 10x8 and 5x4
BATCH = 8
BASE: Tree = {
    "data.size": list(SIZE),
    "data.num_images": 20,  # fewer than are shown, so that their order begins anew
    "generator.width": 2,
    "generator.latent_size": 6,
    "discriminator.width": 2,
    "train.total_images": 3 * BATCH,
    "train.batch_size": BATCH,
    "train.log_every": 2 * BATCH,  # a row of two iterations, and one of the last
    "train.sample_every": 10**6,
    "train.checkpoint_every": 10**6,  # at the end
    "train.tensorboard": False,
    "evaluate.metric": "none",
    "evaluate.num_samples": 4,
    "health.every": 0,
}

# Weights of the usual deviation of 0.02 would hand on next to nothing through layers that are so narrow. Presets keep
# their own.
LIVELY: Tree = {
    f"{side}.{setting}": value
    for side in ("generator", "discriminator")
    for setting, value in (("initial", "xavier"), ("optimizer.lr", 1e-3))
}


@dataclass(frozen=True)
class Case:
    """A run by name: a preset or none, and what is changed of `BASE` by dotted paths or nested."""

    name: str
    changes: Tree = field(default_factory=dict)
    preset: str | None = None
    init_from: Tree | None = None  # changes of a run whose weights it starts from
    tolerance: float = TOLERANCE


# --- presets: everything of them but the size

# Five iterations, for a penalty at every fourth step is then due twice.
PRESET_CHANGES: dict[str, Tree] = {
    "deep-wgan-gp": {"evaluate.patience": None, "train.total_images": 5 * 2 * BATCH},
    "smileys": {"evaluate.patience": None},
    "sngan": {"train.total_images": 5 * 5 * BATCH},
    # An epoch an iteration: both schedules come to all of their milestones.
    "tutorial-faces": {"data.num_images": BATCH, "train.total_images": 17 * BATCH, "train.log_every": 8 * BATCH},
}


def _presets() -> Iterator[Case]:
    for name in presets.names():
        changes = {"train.total_images": 5 * BATCH, **PRESET_CHANGES.get(name, {})}
        yield Case(f"preset/{name}", changes, preset=name)


# --- networks and conditionings

GENERATORS, DISCRIMINATORS = ("mlp", "dcgan", "resnet", "style"), ("mlp", "dcgan", "resnet")
NETWORKS = tuple(itertools.product(GENERATORS, DISCRIMINATORS))
LABELS = ("classes", "attributes")
INPUTS, JUDGEMENTS = ("concat", "norm"), ("concat", "projection", "classifier")


def _kinds(generator: str, discriminator: str) -> Tree:
    return {"generator.kind": generator, "discriminator.kind": discriminator}


def _networks() -> Iterator[Case]:
    for generator, discriminator in NETWORKS:
        kinds = _kinds(generator, discriminator)
        yield Case(f"networks/{generator}-{discriminator}/none", kinds)
        for labels, condition, judgement in itertools.product(LABELS, INPUTS, JUDGEMENTS):
            if (generator, condition) == ("style", "norm"):
                continue  # it has no normalisation
            changes = {
                "data.labels": labels,
                "generator.condition": condition,
                "discriminator.condition": judgement,
            }
            yield Case(f"networks/{generator}-{discriminator}/{labels}-{condition}-{judgement}", {**kinds, **changes})


# --- losses and penalties

LOSSES: dict[str, Tree] = {
    "bce": {"kind": "bce"},
    "bce-smoothed": {"kind": "bce", "label_smoothing": 0.1, "fake_smoothing": 0.05},
    "bce-saturating": {"kind": "bce", "saturating": True},
    "lsgan": {"kind": "lsgan"},
    "hinge": {"kind": "hinge"},
    "wasserstein": {"kind": "wasserstein"},
    "wasserstein-clipped": {"kind": "wasserstein", "clip": 0.1},
    "relativistic": {"kind": "relativistic"},
    "relativistic-average": {"kind": "relativistic", "average": True},
}
PENALTIES: dict[str, list[Tree]] = {
    "none": [],
    "r1": [{"kind": "r1", "weight": 0.5, "every": 2}],
    "r2": [{"kind": "r2"}],
    "gradient_penalty": [{"kind": "gradient_penalty"}],
    "gradient_penalty-one-sided": [{"kind": "gradient_penalty", "one_sided": True, "every": 2}],
    "dragan": [{"kind": "dragan"}],
    "consistency": [{"kind": "consistency"}],
    "consistency-real": [{"kind": "consistency", "balanced": False, "policies": ["color", "cutout"], "every": 2}],
    "lecam": [{"kind": "lecam", "half_life": 16}],
    "several": [{"kind": "r1", "every": 2}, {"kind": "lecam", "half_life": 50}, {"kind": "consistency", "every": 3}],
}


def _losses() -> Iterator[Case]:
    for place, ((loss, settings), (penalty, penalties)) in enumerate(
        itertools.product(LOSSES.items(), PENALTIES.items())
    ):
        # Each pair meets other networks and labels, and all of them are met.
        labels = ("none", *LABELS)[place // len(NETWORKS) % 3]
        changes = {"objective": {"loss": settings, "penalties": penalties}, "data.labels": labels}
        yield Case(f"loss/{loss}/{penalty}", {**_kinds(*NETWORKS[place % len(NETWORKS)]), **changes})


# --- what else a config has, with networks of every kind

EVERYWHERE: dict[str, Tree] = {
    "augment-color": {"objective.augment": {"policies": ["color"]}},
    "augment-translation": {"objective.augment": {"policies": ["translation"]}},
    "augment-cutout": {"objective.augment": {"policies": ["cutout"], "strength": 0.7}},
    "augment-all": {"objective.augment": {"policies": ["color", "translation", "cutout"], "strength": 0.5}},
    "augment-sign": {
        "objective.augment": {
            "policies": ["translation", "cutout", "color"],
            "adaptive": "sign",
            "strength": 0.6,
            "speed": 50,
        },
        "data.labels": "classes",
    },
    "augment-held-out": {
        "objective.augment": {
            "policies": ["color", "translation"],
            "adaptive": "held_out",
            "strength": 0.6,
            "target": 0.2,
            "speed": 50,
        },
        "data": {"holdout": 0.2, "num_images": 40, "labels": "classes"},
    },
    "label-flips": {"objective.label_flips": 0.2},
    "instance-noise": {"objective.instance_noise": {"sigma": 0.1}},
    "instance-noise-until": {"objective.instance_noise": {"sigma": 0.2, "until": 2 * BATCH}},
    "top-k": {"objective.top_k": {"share": 0.5, "until": 2 * BATCH}},
    "flipped-noisy-best": {
        "objective": {
            "label_flips": 0.2,
            "instance_noise": {"sigma": 0.1},
            "top_k": {"share": 0.5},
            "augment": {"policies": ["color", "cutout"], "strength": 0.5},
        },
        "data.labels": "attributes",
    },
    "passes": {"objective.passes": [{}, {"noise": 0.1}, {"label_smoothing": 0.1}]},
    "passes-penalised": {
        "objective": {"passes": [{"noise": 0.2}, {}], "penalties": [{"kind": "r1", "every": 2}, {"kind": "lecam"}]},
        "train.accumulate": 2,
    },
    "n-critic": {"train": {"n_critic": 2, "total_images": 6 * BATCH}},
    "n-critic-penalised": {
        "train": {"n_critic": 3, "total_images": 9 * BATCH, "log_every": 3 * BATCH},
        "objective": {"loss": {"kind": "wasserstein"}, "penalties": [{"kind": "gradient_penalty", "every": 2}]},
        "data.labels": "classes",
    },
    "n-generator": {"train.n_generator": 2, "data.labels": "attributes"},
    "accumulate": {"train.accumulate": 2},
    "accumulate-four": {
        "train": {"accumulate": 4, "n_critic": 2, "n_generator": 2, "total_images": 6 * BATCH},
        "data.labels": "classes",
        "objective.penalties": [{"kind": "r1", "every": 1}, {"kind": "gradient_penalty", "every": 2}],
        "objective.augment": {"policies": ["translation"], "strength": 0.5},
    },
    "several-steps": {"train": {"n_critic": 2, "n_generator": 2, "total_images": 6 * BATCH, "accumulate": 2}},
    "spectral": {"generator.spectral": True, "discriminator.spectral": True},
    "stddev": {"discriminator.batch_statistics": "stddev"},
    "discrimination": {"discriminator.batch_statistics": "discrimination", "train.accumulate": 2},
    "clip-norm": {"generator.optimizer.clip_norm": 0.01, "discriminator.optimizer.clip_norm": 0.05},
    "clip-value": {"generator.optimizer.clip_value": 1e-3, "discriminator.optimizer.clip_value": 1e-3},
    "adam": {
        "generator.optimizer": {"lr": 1e-3, "beta1": 0.0, "beta2": 0.9, "eps": 1e-4},
        "discriminator.optimizer": {"lr": 4e-3, "beta1": 0.9, "beta2": 0.99},
    },
    "ema-several": {"generator.ema": {"half_life": 20, "ramp_up": 0, "more_half_lives": [4, 100]}},
    "ema-ramp": {"generator.ema": {"half_life": 1000, "ramp_up": 0.5, "more_half_lives": [6, 0]}},
    "ema-none": {"generator.ema": {"half_life": 0}},
    "bf16": {"train.precision": "bf16", "objective.penalties": [{"kind": "r1", "every": 2}]},
}
CORNERS = (("dcgan", "resnet"), ("resnet", "dcgan"), ("style", "mlp"), ("mlp", "dcgan"))
LOOSER = {"bf16": 0.05, "norm/pixel-resnet-labels": 0.01}


def _everywhere() -> Iterator[Case]:
    for variant, changes in EVERYWHERE.items():
        for generator, discriminator in CORNERS:
            yield Case(
                f"{variant}/{generator}-{discriminator}",
                {**_kinds(generator, discriminator), **changes},
                tolerance=LOOSER.get(variant, TOLERANCE),
            )


# --- what only some networks have, and what no network matters to

NORMS = ("none", "batch", "instance", "group", "layer", "pixel")
INITIAL = ("normal", "xavier", "kaiming", "orthogonal")
SCHEDULES: dict[str, Tree] = {
    "constant": {"kind": "constant", "warmup": 2 * BATCH},
    "cosine": {"kind": "cosine", "final": 0.1},
    "linear": {"kind": "linear", "warmup": BATCH},
    "multistep": {"kind": "multistep", "milestones": [BATCH, 2 * BATCH], "factor": 0.3},
}
WIDER = {"data.size": [28, 36]}  # maps of 28x36, 14x18 and 7x9
GROWN: Tree = {"data.size": [40, 32], "train.total_images": 7 * BATCH, "train.growing": {"every": BATCH}}
SINGLE: dict[str, Tree] = {
    **{
        f"initial/{scheme}-{kind}": {
            **_kinds(kind, "mlp" if kind == "style" else kind),
            "generator.initial": scheme,
            "discriminator.initial": scheme,
        }
        for scheme in INITIAL
        for kind in GENERATORS
    },
    **{f"latents/{kind}": {"generator.latents": kind} for kind in ("normal", "uniform", "sphere")},
    **{
        f"schedule/{kind}": {
            "generator.optimizer.schedule": settings,
            "discriminator.optimizer.schedule": {**settings, "warmup": 0},
        }
        for kind, settings in SCHEDULES.items()
    },
    **{
        f"norm/{norm}-{kind}": {
            **_kinds(kind, kind),
            "generator.norm": norm,
            "discriminator.norm": norm,
            "discriminator.initial": "normal",
            "generator.width": 8,
            "discriminator.width": 4,
        }
        for norm in NORMS
        for kind in ("dcgan", "resnet")
    },
    **{
        f"norm/{norm}-{kind}-labels": {
            **_kinds(kind, kind),
            "generator.norm": norm,
            "generator.condition": "norm",
            "data.labels": "attributes",
        }
        for norm in NORMS
        for kind in ("dcgan", "resnet")
    },
    **{
        f"upsample/{kind}": {"generator": {"upsample": kind, "initial": "orthogonal"}, **WIDER}
        for kind in ("transposed", "nearest", "pixel_shuffle")
    },
    "mlp/norm": {**_kinds("mlp", "mlp"), "generator.norm": "batch"},
    "mlp/norm-labels": {
        **_kinds("mlp", "mlp"),
        "generator": {"norm": "batch", "condition": "norm"},
        "data.labels": "classes",
    },
    "mlp/dropout": {**_kinds("mlp", "mlp"), "generator.dropout": 0.2, "discriminator.dropout": 0.3},
    "mlp/layers": {**_kinds("mlp", "mlp"), "generator.layers": 1, "discriminator.layers": 2},
    "dcgan/dropout": {
        "generator.dropout": 0.2,
        "discriminator.dropout": 0.3,
        "train.n_critic": 2,
        "train.total_images": 6 * BATCH,
    },
    "dcgan/layers": {"generator.layers": 2, "discriminator.layers": 2},
    "dcgan/narrow": {"generator.max_multiplier": 1, "discriminator.max_multiplier": 1, **WIDER},
    "dcgan/linear-head": {"discriminator.head": "linear"},
    "dcgan/skip-latent": {"generator.skip_latent": True, **WIDER},
    "dcgan/skip-latent-labels": {
        "generator": {"skip_latent": True, "condition": "norm"},
        "data.labels": "classes",
        **WIDER,
    },
    "dcgan/square": {"data.size": 16},
    "dcgan/odd": {"data.size": [19, 13]},
    "dcgan/alpha": {"data.channels": 4},
    "dcgan/grey": {"data.channels": 1, "objective.augment": {"policies": ["color"]}},
    "resnet/attention": {
        **_kinds("resnet", "resnet"),
        "generator.attention": 14,
        "discriminator.attention": 14,
        **WIDER,
        "generator.width": 8,
        "discriminator.width": 8,
    },
    "resnet/attention-spectral": {
        **_kinds("resnet", "resnet"),
        "generator": {"attention": 8, "spectral": True},
        "discriminator": {"attention": 8, "spectral": True},
        "data.labels": "classes",
    },
    "resnet/narrow": {**_kinds("resnet", "resnet"), "generator.max_multiplier": 1, "discriminator.max_multiplier": 1},
    "resnet/skip-latent": {**_kinds("resnet", "resnet"), "generator.skip_latent": True, **WIDER},
    "resnet/skip-latent-labels": {
        **_kinds("resnet", "resnet"),
        "generator": {"skip_latent": True, "condition": "concat"},
        "data.labels": "attributes",
        **WIDER,
    },
    "resnet/odd": {**_kinds("resnet", "resnet"), "data.size": [19, 13]},
    "style/mixing": {**_kinds("style", "dcgan"), "generator.style_mixing": 0.9, **WIDER},
    "style/mixing-labels": {
        **_kinds("style", "resnet"),
        "generator.style_mixing": 0.5,
        "data.labels": "classes",
        **WIDER,
        "train.n_critic": 2,
        "train.n_generator": 2,
        "train.total_images": 6 * BATCH,
    },
    "style/no-noise": {**_kinds("style", "dcgan"), "generator": {"noise": False, "mapping_layers": 1}},
    "style/narrow": {**_kinds("style", "dcgan"), "generator": {"max_multiplier": 1, "latents": "sphere"}, **WIDER},
    "classifier-weight": {
        "discriminator.condition": "classifier",
        "objective.classifier_weight": 0.3,
        "data.labels": "classes",
        "objective.penalties": [{"kind": "r1"}],
        "train.accumulate": 2,
    },
    "growing/dcgan": {**GROWN},
    "growing/resnet": {**_kinds("resnet", "resnet"), **GROWN},
    "growing/dcgan-resnet": {**_kinds("dcgan", "resnet"), **GROWN, "train.growing": {"every": BATCH, "fade": 5}},
    "growing/resnet-dcgan": {
        **_kinds("resnet", "dcgan"),
        **GROWN,
        "train.growing": {"every": 2 * BATCH, "fade": 0, "start": 16},
    },
    "growing/averages": {
        **GROWN,
        "generator.ema": {"half_life": 20, "ramp_up": 0, "more_half_lives": [4, 100]},
        "train.growing": {"every": BATCH, "fade": 12},
        "evaluate.weights": "raw",
    },
    "growing/labels": {
        **GROWN,
        "generator.condition": "norm",
        "data.labels": "classes",
        "discriminator.condition": "concat",
        "objective.penalties": [{"kind": "r1", "every": 2}],
    },
    "growing/skip-latent": {
        **_kinds("resnet", "resnet"),
        **GROWN,
        "generator.skip_latent": True,
        "discriminator.batch_statistics": "stddev",
    },
    "growing/spectral": {
        **GROWN,
        "generator.spectral": True,
        "discriminator": {"spectral": True, "condition": "classifier"},
        "data.labels": "attributes",
        "train.n_critic": 2,
        "train.total_images": 14 * BATCH,
    },
    "growing/held-out": {
        **GROWN,
        "data": {"size": [40, 32], "holdout": 0.2, "num_images": 40},
        "objective.augment": {
            "policies": ["cutout", "translation"],
            "adaptive": "held_out",
            "strength": 0.5,
            "speed": 50,
        },
    },
    "data/flip": {"data.flip": True},
    "data/random-crop": {"data.crop": "random"},
    "data/balance": {"data": {"balance": True, "labels": "classes"}},
    "data/balance-only": {"data.balance": True},
    "data/all": {
        "data": {"flip": True, "crop": "random", "balance": True, "labels": "attributes"},
        "train.n_critic": 2,
        "train.total_images": 8 * BATCH,
    },
    "data/few": {"data": {"num_images": 5, "allow_few": True}},
    "data/test-split": {"data.split": "test"},
    "weights/raw": {"evaluate.weights": "raw", "generator.ema.half_life": 20},
    "seed/1": {"seed": 1},
    "seed/2-style": {"seed": 2, **_kinds("style", "resnet"), "data.labels": "attributes", "objective.label_flips": 0.3},
    "batch/odd": {"train": {"batch_size": 7, "total_images": 23, "log_every": 5}},
    "freeze/both": {"generator.freeze": ["from_latent"], "discriminator.freeze": ["entries"]},
}


def _single() -> Iterator[Case]:
    for name, changes in SINGLE.items():
        yield Case(name if "/" in name else f"{name}/dcgan-dcgan", changes, tolerance=LOOSER.get(name, TOLERANCE))
    yield Case("init-from/same", init_from={})
    yield Case(
        "init-from/wider", {**WIDER, "discriminator.freeze": ["entries"], "data.labels": "classes"}, init_from={}
    )
    # What waits for a measured distance.
    measured = {"metric": "kd", "num_fakes": 256, "every": BATCH, "num_samples": 4}
    plateau = {"kind": "plateau", "patience": BATCH, "factor": 0.5}
    yield Case(
        "schedule/plateau",
        {
            "data.num_images": 300,
            "train.total_images": 5 * BATCH,
            "generator.optimizer": {"lr": 0.1, "schedule": plateau},
            "discriminator.optimizer": {"lr": 0.1, "schedule": {**plateau, "patience": 2 * BATCH}},
            "evaluate": measured,
        },
    )

    # Weights that run away until a loss is infinite: back to a checkpoint, and on with other noise and tiny rates.
    yield Case(
        "rollback/mlp-mlp",
        {
            **_kinds("mlp", "mlp"),
            "generator": {"layers": 8, "optimizer": {"lr": 1.0}},
            "discriminator": {"layers": 8, "optimizer": {"lr": 1.0}},
            "objective": {"loss": {"kind": "wasserstein"}, "instance_noise": {"sigma": 0.1}},
            "train.total_images": 15 * BATCH,
            "train.checkpoint_every": 2 * BATCH,
            "health": {"action": "rollback", "rate_factor": 1e-6},
        },
        tolerance=math.inf,  # chaos: elsewhere it may happen at another moment
    )


CASES: dict[str, Case] = {
    case.name: case for case in itertools.chain(_presets(), _networks(), _losses(), _everywhere(), _single())
}

PRESETS = [name for name in CASES if name.startswith("preset/")]


# --- running a case, and what is kept of it


def run(case: Case, folder: Path) -> Outcome:
    """Train a case in a new folder and return what is kept of it."""
    changes: dict[str, Any] = dict(case.changes)
    if case.init_from is not None:
        other = ganlet.make_config(None, "smileys", overrides={**BASE, **LIVELY, **case.init_from})
        with unreported():
            ganlet.train(other, out=folder / "other", device="cpu")
        changes["train.init_from"] = str(folder / "other")
    base = BASE if case.preset else {**BASE, **LIVELY}
    config = ganlet.make_config(case.preset, "smileys", overrides={**base, **changes})
    with unreported():
        ganlet.train(config, out=folder / "run", device="cpu")
    return outcome(folder / "run")


@contextlib.contextmanager
def unreported() -> Iterator[None]:
    """Leave out the report, which takes ten times as long as such a run; where it has gone elsewhere, it is drawn."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError, AttributeError):
            module = importlib.import_module("ganlet.workflows.training")
            stack.enter_context(mock.patch.object(module, "finish"))
        yield


def outcome(run: Path) -> Outcome:
    """What is kept of the folder of a run: its newest checkpoint, its log rows and its last sample grid."""
    newest = max(path for path in (run / "checkpoints").iterdir() if path.name.isdigit())
    members = {
        path.name.removesuffix(".safetensors"): _kept(safetensors.torch.load_file(path))
        for path in sorted(newest.glob("*.safetensors"))
    }
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    rows = [{name: row[name] for name in row if name not in TIMES} for row in lines if "event" not in row]
    grid = max(path for path in (run / "samples").glob("*.png") if path.stem.isdigit())
    with Image.open(grid) as picture:
        pixels = np.asarray(picture)
    return {
        "images_seen": int(newest.name),
        "members": members,
        "rows": rows,
        "samples": _digest([f"{grid.stem} {pixels.dtype} {pixels.shape}".encode(), pixels.tobytes()]),
    }


def _kept(tensors: Mapping[str, torch.Tensor]) -> list[Any]:
    """A hash of tensors by name, their sum, and the sum of their absolute values."""
    parts = []
    total = absolute = 0.0
    for name, tensor in sorted(tensors.items()):
        parts += [f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode(), tensor.contiguous().numpy().tobytes()]
        total += float(tensor.double().sum())
        absolute += float(tensor.double().abs().sum())
    return [_digest(parts), *(float(f"{number:.{SUM_DIGITS}g}") for number in (total, absolute))]


def _digest(parts: list[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:HASH_DIGITS]


# --- comparing two outcomes


def differences(recorded: Outcome, found: Outcome, *, exact: bool, tolerance: float = TOLERANCE) -> dict[str, str]:
    """What differs between two outcomes of a case, by member or "images_seen", "samples", "rows NAME": in words.

    Where not `exact`, as on another machine, only members are compared, and only by their sums.
    """
    found_rows, recorded_rows = by_column(found["rows"]), by_column(recorded["rows"])
    pairs: dict[str, tuple[Any, Any]] = {"images_seen": (recorded["images_seen"], found["images_seen"])}
    for name in sorted(recorded["members"].keys() | found["members"].keys()):
        pairs[name] = recorded["members"].get(name), found["members"].get(name)
    if exact:
        pairs["samples"] = recorded["samples"], found["samples"]
        for name in sorted(recorded_rows.keys() | found_rows.keys()):
            pairs[f"rows {name}"] = recorded_rows.get(name), found_rows.get(name)
    return {
        what: f"recorded {before}, found {now}"
        for what, (before, now) in pairs.items()
        if before != now and (exact or what == "images_seen" or not _near(before, now, tolerance))
    }


def _near(before: list[Any] | None, now: list[Any] | None, tolerance: float) -> bool:
    if before is None or now is None:
        return False
    room = tolerance * abs(before[2]) + 1e-9
    return all(math.isclose(*pair, rel_tol=0, abs_tol=room) for pair in zip(before[1:], now[1:], strict=True))


def by_column(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Log rows as a list for each name, with "-" where a row does not have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name, "-") for row in rows] for name in names}


def by_row(columns: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """The inverse of `by_column`."""
    length = max((len(values) for values in columns.values()), default=0)
    return [{name: values[row] for name, values in columns.items() if values[row] != "-"} for row in range(length)]


# --- the machine, and the file


def environment() -> dict[str, Any]:
    """What bits depend on besides the code: equal bits are promised where all of this is equal."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return {
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_model": told.get("model name"),
        "cpu_flags": _digest([told["flags"].encode()]) if "flags" in told else None,
        "threads": torch.get_num_threads(),
    }


def same_machine(recorded: Mapping[str, Any]) -> bool:
    """Whether an environment is this one; where it is not, a warning says what that means for a test."""
    if recorded == environment():
        return True
    warnings.warn(f"{NOT_EXACT}, for this is not the machine of the record: only sums of tensors are", stacklevel=2)
    return False


def read_record(path: Path = RECORD) -> dict[str, Any]:
    """The environment, and the outcome of every case that was recorded."""
    record = json.loads(path.read_text())
    for kept in record["cases"].values():
        kept["rows"] = by_row(kept["rows"])
    return record


def write_record(record: Mapping[str, Any], path: Path = RECORD) -> None:
    """Write a record with a line for each case, so that a change shows which."""
    lines = [
        f"{json.dumps(name)}: {json.dumps({**kept, 'rows': by_column(kept['rows'])}, separators=(',', ':'))}"
        for name, kept in sorted(record["cases"].items())
    ]
    head = json.dumps(record["environment"], indent=1)
    path.write_text(f'{{"environment": {head},\n"cases": {{\n' + ",\n".join(lines) + "\n}}\n")
