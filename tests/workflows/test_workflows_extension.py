"""A finished run that goes on is the longer run, as far as nothing in it depends on its length."""

from __future__ import annotations

import pytest
import torch

import ganlet
from ganlet.runs import checkpoint

LONGER = {"train": {"total_images": 320}}

# What the end of the shorter run leaves behind: it closed a log window that stays open in the longer one.
EXPECTED = {"window"}


def differing_members(ours, theirs):
    mine, other = (checkpoint.load(run.folder.checkpoints_path) for run in (ours, theirs))
    assert mine.images_seen == other.images_seen
    return {
        member
        for member, tensors in mine.members.items()
        for name, tensor in tensors.items()
        if not torch.equal(tensor, other.members[member][name])
    }


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"generator.optimizer.schedule": {"kind": "constant", "warmup": 150}, "train.n_critic": 2},
        {"generator.optimizer.schedule": {"kind": "multistep", "milestones": [96, 256]}, "train.log_every": 48},
        {"objective.instance_noise": {"sigma": 0.3, "until": 240}, "discriminator.dropout": 0.1},
    ],
    ids=["constant", "warm-up", "multistep", "noise until a moment"],
)
def test_an_extended_run_is_the_longer_run(start, told, changes):
    longer = start("longer", {**changes, "train.total_images": 320})
    run = start("run", changes)
    ganlet.resume(run.path, LONGER, device="cpu", reporter=told)
    assert differing_members(longer, run) <= EXPECTED
    assert run.folder.generator_path.read_bytes() == longer.folder.generator_path.read_bytes()
    name = "000000320.png"
    assert (run.folder.samples_path / name).read_bytes() == (longer.folder.samples_path / name).read_bytes()
    assert run.config == longer.config
    assert not [line for line in told.lines if line.startswith("note")]


def test_where_the_log_is_not_torn_either_the_rows_are_the_same(start):
    # The end of the shorter run is a moment at which the longer one logs too.
    longer, run = start("longer", {"train.total_images": 320}), start("run")
    ganlet.resume(run.path, LONGER, device="cpu")
    assert differing_members(longer, run) == set()
    wall = ("seconds", "images_per_second")
    rows = [[{key: row[key] for key in row if key not in wall} for row in each.history] for each in (longer, run)]
    assert rows[0] == rows[1]
    assert len(rows[0]) == 10


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"discriminator.optimizer.schedule": {"kind": "cosine"}}, "the discriminator's cosine schedule"),
        ({"objective.instance_noise": {"sigma": 0.3}}, "the instance noise"),
    ],
)
def test_what_spans_the_whole_run_is_said_to_change(start, told, changes, what):
    run = start("run", changes)
    ganlet.resume(run.path, LONGER, device="cpu", reporter=told)
    (note,) = [line for line in told.lines if line.startswith("note")]
    assert what in note
    assert [row["images_seen"] for row in run.history][-1] == 320


def test_longer_may_be_said_in_epochs(start):
    run = start("run")
    ganlet.resume(run.path, {"train": {"total_images": "5 epochs"}}, device="cpu")
    assert run.config.train.total_images == 200
    assert run.history[-1]["images_seen"] == 208


def test_an_extension_that_is_stopped_goes_on_to_its_new_end(start, stop_at):
    longer, run = start("longer", {"train.total_images": 320}), start("run")
    ganlet.resume(run.path, LONGER, device="cpu", callbacks=[stop_at(240)])
    ganlet.resume(run.path, device="cpu")
    assert differing_members(longer, run) == set()
