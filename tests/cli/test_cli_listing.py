from __future__ import annotations

import pytest

from ganlet.cli.listing import THINGS
from ganlet.config import presets
from ganlet.config.tree import paths
from ganlet.data.source import SOURCES
from ganlet.games import GAMES
from ganlet.metrics.features import EXTRACTORS
from ganlet.metrics.suite import METRICS
from ganlet.networks.optimizers import SCHEDULES
from ganlet.networks.settings import DISCRIMINATORS, GENERATORS
from ganlet.objective.losses import LOSSES
from ganlet.objective.penalties import PENALTIES


def rows(outcome):
    """{name: text} of a list."""
    assert (outcome.exit_code, outcome.stderr) == (0, "")
    split = [line.partition("  ") for line in outcome.stdout.splitlines()]
    return {name: text.strip() for name, _, text in split}


@pytest.mark.parametrize(
    ("what", "names"),
    [
        ("presets", presets.names()),
        ("losses", LOSSES),
        ("penalties", PENALTIES),
        ("schedules", SCHEDULES),
        ("games", GAMES),
        ("datasets", SOURCES),
        ("metrics", [*METRICS, *(f"extractor={name}" for name in EXTRACTORS)]),
        (
            "networks",
            [f"generator.kind={kind}" for kind in GENERATORS]
            + [f"discriminator.kind={kind}" for kind in DISCRIMINATORS],
        ),
    ],
)
def test_everything_there_is_stands_in_the_list_with_a_text(ganlet, what, names):
    found = rows(ganlet("list", what))
    assert set(found) == set(names)
    assert all(found.values())


@pytest.mark.parametrize("what", THINGS)
def test_the_texts_of_a_list_stand_below_each_other(ganlet, what):
    lines = ganlet("list", what).stdout.splitlines()
    names = [line.split()[0] for line in lines]
    width = max(map(len, names))
    for name, line in zip(names, lines, strict=True):
        assert line == line.rstrip()
        assert line[: width + 2].rstrip() == name
        assert line[width + 2 : width + 3] != " "


def test_without_a_name_presets_are_listed(ganlet):
    outcome = ganlet("list")
    assert outcome == ganlet("list", "presets")
    # Once is enough.
    assert all(not text.startswith(f"{name}:") for name, text in rows(outcome).items())


def test_help_names_every_list(ganlet):
    said = ganlet("list", "--help").stdout
    assert all(what in said for what in THINGS)


def test_an_unknown_list_is_refused_and_the_nearest_named(ganlet):
    outcome = ganlet("list", "setings")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert outcome.stderr.splitlines()[0] == "There is no list of 'setings'."
    assert outcome.stderr.splitlines()[-1].split() == ["next:", "ganlet", "list", "settings"]
    assert "next:     ganlet list presets" in ganlet("list", "zzz").stderr


# Settings


@pytest.fixture
def settings(ganlet):
    """The lines of `ganlet list settings` as (path, text)."""
    lines = [line.partition("  ") for line in ganlet("list", "settings").stdout.splitlines()]
    return [(path.strip(), text.strip()) for path, _, text in lines]


def test_every_setting_is_listed(settings):
    known = paths()
    leaves = {path for path in known if not any(other.startswith(f"{path}.") for other in known)}
    listed = {path.replace("penalties.0.", "penalties.") for path, _ in settings}
    assert listed == leaves


def test_no_line_stands_twice(settings):
    assert len(settings) == len(set(settings))


def test_kinds_stand_in_brackets_where_not_all_have_it(settings):
    listed = dict(settings)
    assert listed["generator.kind"] == ", ".join(GENERATORS)
    assert listed["generator.optimizer.schedule.kind"] == ", ".join(SCHEDULES)
    assert not listed["generator.latent_size"].startswith("(")
    assert not listed["generator.optimizer.schedule.warmup"].startswith("(")
    assert not listed["objective.penalties.0.every"].startswith("(")
    assert listed["generator.upsample"].startswith("(dcgan) transposed  ")
    assert listed["generator.optimizer.schedule.milestones"].startswith("(multistep) ")
    # The same name with another meaning.
    widths = [text.split("  ")[0] for path, text in settings if path == "generator.width"]
    others = ", ".join(kind for kind in GENERATORS if kind != "mlp")
    assert widths == ["(mlp) 256", f"({others}) 64"]


def test_defaults_are_listed(settings):
    listed = dict(settings)
    assert listed["train.batch_size"].startswith("64  ")
    assert listed["data.source"].startswith("smileys  ")
