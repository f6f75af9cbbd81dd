"""Batches that are worked through in parts: what is the same as in one go, and what is not."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from ganlet.config.checks import without_effect
from ganlet.games import Batch, Gan, Inputs
from ganlet.networks.minibatch import MINIBATCH_STATISTICS
from ganlet.networks.settings import DISCRIMINATORS, GENERATORS
from ganlet.objective.augment import POLICIES
from ganlet.objective.losses import LOSSES
from ganlet.objective.penalties import PENALTIES
from ganlet.workflows.configuring import make_config

NUM = 8


def test_a_batch_is_split_with_all_that_belongs_to_it():
    random = {"one": torch.arange(6.0), "two": torch.arange(12.0).view(6, 2)}
    batch = Batch(torch.arange(6.0), 10 + torch.arange(6.0), torch.eye(6), random)
    assert batch.split(1) == [batch]
    parts = batch.split(3)
    for name in ("real", "fake", "labels"):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(batch, name))
        assert all(len(getattr(part, name)) == 2 for part in parts)
    for name, numbers in random.items():
        assert torch.equal(torch.cat([part.random[name] for part in parts]), numbers)
    assert batch.condition == (batch.labels,)
    assert Batch(batch.real).split(2)[1].fake is None
    assert Batch(batch.real).condition == ()


def beside_parts():
    """Settings beside parts of a batch, whether they make it another one, and what is noted of that."""
    cases = {"nothing": ({}, False, None)}
    for loss in LOSSES:
        cases[f"loss {loss}"] = ({"objective.loss": {"kind": loss}}, False, None)
    average = {"objective.loss": {"kind": "relativistic", "average": True}}
    cases["relativistic average"] = (average, True, "the relativistic average")
    for penalty in PENALTIES:
        seeing = penalty == "dragan"
        cases[f"penalty {penalty}"] = ({"objective.penalties": [{"kind": penalty}]}, seeing, "dragan's noise")
    for statistics in MINIBATCH_STATISTICS:
        seeing = statistics != "none"
        changes = {"discriminator.batch_statistics": statistics}
        cases[f"statistics {statistics}"] = (changes, seeing, "discriminator.batch_statistics")
    for side, registry in (("generator", GENERATORS), ("discriminator", DISCRIMINATORS)):
        for kind in registry:
            quiet = {"noise": False} if "noise" in registry[kind].model_fields else {}
            field = registry[kind].model_fields.get("norm")
            norms = (None,) if field is None else get_args(field.annotation)
            for norm in norms:
                chosen = {"kind": kind, **quiet} | ({} if norm is None else {"norm": norm})
                cases[f"{side} {kind} {norm}"] = ({side: chosen}, norm == "batch", None)  # as everybody expects
    cases["the best"] = ({"objective.top_k": {"share": 0.3, "until": 0}}, True, "objective.top_k")
    views = {
        "augment": {"policies": list(POLICIES)},
        "label_flips": 0.3,
        "instance_noise": {"sigma": 0.3},
        "passes": [{"noise": 0.2}],
    }
    cases["views"] = ({"objective": views}, False, None)
    return cases


CASES = beside_parts()
WITHOUT_NORMS = {"generator.norm": "none", "discriminator.norm": "none"}


def parts_config(changes, accumulate):
    sizes = {"data": {"size": 16, "channels": 1}, "generator.width": 4, "discriminator.width": 4}
    kinds = {f"{side}.initial": "xavier" for side in ("generator", "discriminator")}
    norms = {name: norm for name, norm in WITHOUT_NORMS.items() if name.partition(".")[0] not in changes}
    train = {"train": {"batch_size": NUM, "accumulate": accumulate}}
    return make_config(overrides={**sizes, **kinds, **norms, **train, **changes})


@pytest.mark.parametrize(("changes", "differs", "noted"), CASES.values(), ids=CASES)
def test_what_makes_a_batch_in_parts_another_one_is_noted_and_nothing_else(changes, differs, noted):
    notes = [line for line in without_effect(parts_config(changes, 4)) if line.startswith("train.accumulate")]
    assert [noted in note for note in notes] == ([True] if differs and noted else [])
    assert not [line for line in without_effect(parts_config(changes, 1)) if line.startswith("train.accumulate")]
    whole, cut = (gradients_in_parts(parts_config(changes, parts), parts) for parts in (1, 4))
    errors = [float((one - other).norm() / one.norm()) for one, other in zip(whole, cut, strict=True)]
    assert (max(errors) > 1e-3) == differs
    assert differs or max(errors) < 1e-5


def gradients_in_parts(config, parts):
    """Both sides' gradients in an iteration, as the mean over the parts of its batch."""
    of = Gan(config)
    networks = of.networks()
    levels = of.levels(0)
    drawn = {name: asked.draw((steps, NUM), 1, name) for name, (asked, steps) in of.random(networks, levels).items()}
    random = torch.Generator().manual_seed(0)
    inputs = Inputs(
        images={"real": torch.rand(1, NUM, 1, 16, 16, generator=random) * 2 - 1},
        random=drawn,
        levels={name: torch.tensor(level) for name, level in levels.items()},
        memory={name: torch.tensor(value) for name, value in of.memory().items()},
        due=of.due(0),
    )
    gradients = []
    for turn in of.play(networks, inputs):
        parameters = list(networks[turn.player].parameters())
        found = torch.autograd.grad(turn.loss / parts, parameters, retain_graph=True, allow_unused=True)
        gradients.append((turn.player, torch.cat([g.flatten() for g in found if g is not None])))
    return [
        torch.stack([gradient for player, gradient in gradients if player == side]).sum(0)
        for side in ("discriminator", "generator")
    ]


def test_several_things_are_noted_in_one_line():
    statistics = {"discriminator.batch_statistics": "stddev"}
    changes = {"objective.penalties": [{"kind": "dragan"}], "objective.top_k.share": 0.5, **statistics}
    (note,) = [line for line in without_effect(parts_config(changes, 2)) if line.startswith("train.accumulate")]
    seeing = "discriminator.batch_statistics, dragan's noise, objective.top_k"
    assert note.startswith(f"train.accumulate: {seeing} see a part of the batch only")
