"""Every generator with every discriminator, loss, penalty and way of conditioning: built, trained, resumed, exported.

A full product would be thousands of runs that differ in nothing that meets. Tested are all pairs of networks with all
conditionings, and all losses with all penalties, on changing networks; each is refused with a reason or works.
"""

from __future__ import annotations

import itertools
import math
from typing import get_args

import numpy as np
import pytest
import torch

from ganlet.config import resolve, validate
from ganlet.config.tree import merge
from ganlet.data.batches import Batches
from ganlet.data.labels import label_names, label_vectors
from ganlet.data.spec import Pack
from ganlet.engine.loop import run_loop
from ganlet.engine.state import build_state
from ganlet.errors import ConfigError
from ganlet.networks.minibatch import MINIBATCH_STATISTICS
from ganlet.networks.settings import DISCRIMINATORS, GENERATORS, DiscriminatorSettings, GeneratorSettings
from ganlet.objective.losses import LOSSES
from ganlet.objective.penalties import PENALTIES
from ganlet.runs.weights import load_generator_file, save_generator
from ganlet.workflows.configuring import make_config, nested

CPU = torch.device("cpu")
BATCH, STEPS = 8, 2
SIZE = (16, 12)  # not square

LABELS = ("none", "classes", "attributes")
INPUTS = get_args(GeneratorSettings.model_fields["condition"].annotation)
JUDGEMENTS = get_args(DiscriminatorSettings.model_fields["condition"].annotation)
CONDITIONINGS = [("none", None, None), *itertools.product(LABELS[1:], INPUTS, JUDGEMENTS)]
NETWORKS = list(itertools.product(GENERATORS, DISCRIMINATORS))
# Attributes meet each network by default, and every pair of networks among the slow tests.
FEW = list(zip(GENERATORS, itertools.cycle(DISCRIMINATORS), strict=False))
CASES = [
    pytest.param(*pair, *how, marks=[pytest.mark.slow] if how[0] == "attributes" and pair not in FEW else [])
    for pair in NETWORKS
    for how in CONDITIONINGS
]


def pictures() -> Pack:
    random = np.random.default_rng(0)
    return Pack(
        pictures=random.integers(0, 256, (24, *SIZE, 3), dtype=np.uint8),
        labels=np.arange(24) % 3,
        label_names=("x", "y", "z"),
        names=None,
        fingerprint="random",
        summary={"source": "random"},
        attributes=random.integers(0, 2, (24, 2), dtype=np.uint8),
        attribute_names=("dark", "round"),
    )


def config_of(generator: str, discriminator: str, changes: dict[str, object]):
    pack = pictures()
    config = make_config(
        overrides={
            "data": {"size": list(SIZE)},
            "generator": {"kind": generator, "width": 2, "latent_size": 6},
            "discriminator": {"kind": discriminator, "width": 2},
            "train": {"total_images": BATCH * STEPS, "batch_size": BATCH},
            **changes,
        }
    )
    return resolve(config, num_pictures=24, channels=3, label_names=label_names(pack, config.data) or None)


def begin(config):
    pack = pictures()
    batches = Batches(pack, size=SIZE, seed=0, labels=label_vectors(pack, config.data))
    return build_state(config, CPU), {"real": batches}


def copies(state):
    return {m: {n: t.clone() for n, t in tensors.items()} for m, tensors in state.members().items()}


def works(config, tmp_path) -> None:
    """Two steps with finite gradients in every parameter, a bit-equal resume, and weights that can be exported."""
    state, batches = begin(config)
    middle: dict[str, object] = {}

    def remember(event):
        middle.update(copies(event.state)) if not middle else None

    run_loop(state, batches, [remember])
    ours = copies(state)
    for side, network in state.networks.items():
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, f"{side}/{name} got no gradient"
            assert parameter.grad.isfinite().all(), f"{side}/{name}"
    row = state.window.read()
    assert all(math.isfinite(value) for value in row.values()), row

    resumed, _ = begin(config)
    resumed.load(middle, BATCH * config.train.n_critic)
    run_loop(resumed, batches)
    theirs = resumed.members()
    assert [f"{m}/{n}" for m in ours for n in ours[m] if not torch.equal(ours[m][n], theirs[m][n])] == []

    path, average = tmp_path / "generator.safetensors", state.averages["average"].state_dict()
    save_generator(path, average, config.model_dump_json())
    tensors, _ = load_generator_file(path)
    assert all(torch.equal(tensors[name], tensor) for name, tensor in average.items())


@pytest.mark.parametrize(("generator", "discriminator", "labels", "condition", "judgement"), CASES)
def test_networks_and_conditionings(generator, discriminator, labels, condition, judgement, tmp_path):
    changes: dict[str, object] = {"data.labels": labels}
    if labels != "none":
        changes |= {"generator.condition": condition, "discriminator.condition": judgement}
    if generator == "style" and condition == "norm":
        with pytest.raises(ConfigError, match="no normalisation"):
            config_of(generator, discriminator, changes)
        return
    works(config_of(generator, discriminator, changes), tmp_path)


@pytest.mark.parametrize("penalty", [None, *PENALTIES])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_and_penalties(loss, penalty, tmp_path):
    # Each pair meets other networks, and all networks are met.
    place = list(LOSSES).index(loss) * (len(PENALTIES) + 1) + [None, *PENALTIES].index(penalty)
    generator, discriminator = NETWORKS[place % len(NETWORKS)]
    penalties = [] if penalty is None else [{"kind": penalty, "every": 1}]
    changes = {"objective.loss": {"kind": loss}, "objective.penalties": penalties, "data.labels": "classes"}
    works(config_of(generator, discriminator, changes), tmp_path)


@pytest.mark.parametrize("discriminator", DISCRIMINATORS)
@pytest.mark.parametrize("statistics", MINIBATCH_STATISTICS)
@pytest.mark.parametrize("penalty", ["r1", "gradient_penalty"])
def test_batch_statistics_and_penalties(statistics, discriminator, penalty, tmp_path):
    changes = {"discriminator.batch_statistics": statistics, "objective.penalties": [{"kind": penalty}]}
    works(config_of("mlp", discriminator, changes), tmp_path)


VARIANTS: dict[str, dict[str, object]] = {
    "saturating": {"objective.loss": {"kind": "bce", "saturating": True, "fake_smoothing": 0.1}},
    "relativistic average": {"objective.loss": {"kind": "relativistic", "average": True}},
    "clipped": {"objective.loss": {"kind": "wasserstein", "clip": 0.01}},
    "augmented": {"objective.augment": {"policies": ["color", "translation", "cutout"], "adaptive": "sign"}},
    "flipped, noisy, best only": {
        "objective": {"label_flips": 0.2, "instance_noise": {"sigma": 0.1}, "top_k": {"share": 0.5}}
    },
    "several steps": {"train": {"n_critic": 2, "n_generator": 2, "total_images": 2 * BATCH * STEPS, "accumulate": 2}},
    "spectral in both": {"generator": {"spectral": True}, "discriminator": {"spectral": True}},
}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("generator", "discriminator"), [("dcgan", "resnet"), ("resnet", "dcgan"), ("style", "mlp")])
def test_variants(generator, discriminator, variant, tmp_path):
    tree = config_of(generator, discriminator, {}).model_dump(mode="json")
    works(validate(merge(tree, nested(VARIANTS[variant]))), tmp_path)
