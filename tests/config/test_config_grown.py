"""Kinds of one's own: a registry may grow at any time, and what joined it is a setting like any other."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest
from pydantic import Field

from ganlet.cli import listing
from ganlet.config import RunConfig, build_config, dump_yaml, parse_yaml, resolve, validate
from ganlet.config.checks import impossible
from ganlet.config.tree import paths
from ganlet.errors import ConfigError
from ganlet.networks.optimizers import SCHEDULES, Schedule
from ganlet.networks.settings import (
    DISCRIMINATORS,
    GENERATORS,
    DcganGeneratorConfig,
    DiscriminatorSettings,
    GeneratorSettings,
)
from ganlet.objective.losses import LOSSES, Hinge, Loss
from ganlet.objective.penalties import PENALTIES, Penalty
from ganlet.settings import Images, Settings
from ganlet.workflows.configuring import make_config


class MyLoss(Loss):
    """A hinge with a margin."""

    kind: str = "mine"
    margin: float = Field(default=1.0, gt=0, le=9, description="where a logit is far enough")

    def problems(self, config):
        if self.margin > 5 and config.discriminator.spectral:
            yield "objective.loss.margin: no bounded critic gets as far"


class MyPenalty(Penalty):
    """Logits shall be small."""

    kind: str = "mine"
    margin: float = Field(default=1.0, gt=0, le=9)


class MySchedule(Schedule):
    """A rate that stands still for a while."""

    kind: str = "mine"
    margin: float = Field(default=1.0, gt=0, le=9)
    until: Images = 0


class MyGenerator(GeneratorSettings):
    """One layer."""

    kind: str = "mine"
    margin: float = Field(default=1.0, gt=0, le=9)


class MyDiscriminator(DiscriminatorSettings):
    """One layer."""

    kind: str = "mine"
    margin: float = Field(default=1.0, gt=0, le=9)


@dataclass(frozen=True)
class Place:
    """Where kinds of a registry stand in a config, in which `what` of `ganlet list`."""

    registry: dict
    mine: type[Settings]
    path: str
    what: str


PLACES = {
    "loss": Place(LOSSES, MyLoss, "objective.loss", "losses"),
    "penalty": Place(PENALTIES, MyPenalty, "objective.penalties.0", "penalties"),
    "schedule": Place(SCHEDULES, MySchedule, "generator.optimizer.schedule", "schedules"),
    "generator": Place(GENERATORS, MyGenerator, "generator", "networks"),
    "discriminator": Place(DISCRIMINATORS, MyDiscriminator, "discriminator", "networks"),
}


@pytest.fixture(params=PLACES.values(), ids=PLACES.keys())
def place(request):
    return request.param


@pytest.fixture
def grown(place, monkeypatch):
    """The place, once its registry has grown."""
    monkeypatch.setitem(place.registry, "mine", place.mine)
    return place


def changed(place: Place, values: object) -> RunConfig:
    """A config with those values at a place."""
    path = place.path
    if path.endswith(".0"):
        path, values = path.removesuffix(".0"), [values]
    return make_config(overrides={path: values})


def held(place: Place, config: RunConfig) -> object:
    """What a config holds at a place."""
    for part in place.path.split("."):
        config = config[int(part)] if part.isdigit() else getattr(config, part)
    return config


def problem(place: Place, values: object) -> str:
    """What is said of one wrong setting."""
    with pytest.raises(ConfigError) as caught:
        changed(place, values)
    _, line = caught.value.what.splitlines()
    return line.removeprefix("  - ")


def test_a_kind_is_not_known_before_it_has_joined(place):
    assert problem(place, {"kind": "mine"}).startswith(f"{place.path}.kind: 'mine' is not known; one of ")


def test_a_kind_is_read_with_its_own_settings_and_those_that_all_have(grown):
    assert held(grown, changed(grown, {"kind": "mine"})) == grown.mine()
    found = held(grown, changed(grown, {"kind": "mine", "margin": "3"}))
    assert isinstance(found, grown.mine)
    assert found.margin == 3.0
    assert held(grown, changed(grown, grown.mine(margin=3))) == found


def test_its_mistakes_are_told_like_any_others(grown):
    path = grown.path
    assert problem(grown, {"kind": "mine", "margin": 10}) == f"{path}.margin: less than or equal to 9, got 10"
    assert problem(grown, {"kind": "mine", "margni": 1}) == f"{path}.margni: unknown key; did you mean {path}.margin?"
    assert problem(grown, "mine") == f"{path}: keys and values, got 'mine'; did you mean {path}.kind=mine?"
    known = ", ".join(sorted(grown.registry))
    assert problem(grown, {"kind": "mien"}) == (f"{path}.kind: 'mien' is not known; one of {known}; did you mean mine?")
    assert "mine" in known


def test_others_are_told_who_has_its_settings(grown):
    other = next(iter(grown.registry))
    assert problem(grown, {"kind": other, "margin": 1}) == f"{grown.path}.margin: unknown key; only with kind mine"


def test_what_is_written_is_read_back(grown):
    config = changed(grown, {"kind": "mine", "margin": 3})
    text = dump_yaml(config)
    assert validate(parse_yaml(text, "config.yaml")) == config
    assert "kind: mine" in text
    assert resolve(config, num_pictures=100, channels=3).model_dump(exclude={"data"}) == config.model_dump(
        exclude={"data"}
    )


def test_without_it_a_config_that_names_it_is_refused_in_words(grown, monkeypatch):
    tree = parse_yaml(dump_yaml(changed(grown, {"kind": "mine"})), "config.yaml")
    monkeypatch.delitem(grown.registry, "mine")
    with pytest.raises(ConfigError, match="'mine' is not known; one of"):
        validate(tree)


def test_it_stands_in_every_list(grown, capsys):
    listing.list_things(grown.what)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "mine" in line]
    assert line.split("  ", 1)[1].strip() == grown.mine.__doc__
    listing.list_things("settings")
    lines = capsys.readouterr().out.splitlines()
    (kinds,) = [line for line in lines if line.startswith(f"{grown.path}.kind ")]
    assert kinds.split("  ", 1)[1].strip() == ", ".join(grown.registry)
    assert any(line.startswith(f"{grown.path}.margin ") and "(mine) 1.0" in line for line in lines)


def test_a_kind_without_a_docstring_is_listed_too(monkeypatch, capsys):
    class Bare(Hinge):
        kind: str = "bare"

    monkeypatch.setitem(LOSSES, "bare", Bare)
    listing.list_things("losses")
    assert "bare" in capsys.readouterr().out.splitlines()


def test_the_schema_for_forms_has_it(grown):
    assert grown.mine.__name__ in RunConfig.model_json_schema()["$defs"]


def test_it_may_be_part_of_another_one(monkeypatch):
    """Schedules stand within networks, of which some joined before."""
    monkeypatch.setitem(GENERATORS, "mine", MyGenerator)
    monkeypatch.setitem(SCHEDULES, "mine", MySchedule)
    schedule = {"kind": "mine", "margin": 2, "until": "3 epochs"}
    config = make_config(overrides={"generator": {"kind": "mine", "optimizer": {"schedule": schedule}}})
    assert config.generator.optimizer.schedule == MySchedule(margin=2, until="3 epochs")
    assert resolve(config, num_pictures=100, channels=3).generator.optimizer.schedule.until == 300
    assert paths()["generator.optimizer.schedule.until"] == {"mine"}


def test_a_preset_lends_it_what_all_kinds_have(monkeypatch):
    monkeypatch.setitem(GENERATORS, "mine", MyGenerator)
    preset = {"generator": {"kind": "mlp", "width": 9, "latent_size": 7, "optimizer": {"lr": 0.01}}}
    generator = build_config([preset, {"generator": {"kind": "mine"}}]).generator
    assert generator == MyGenerator(latent_size=7, optimizer={"lr": 0.01})


def test_a_kind_made_of_another_one_does_not_take_namesakes_for_its_own(monkeypatch):
    class Mine(DcganGeneratorConfig):
        kind: str = "mine"

    monkeypatch.setitem(GENERATORS, "mine", Mine)
    preset = {"generator": {"kind": "mlp", "width": 9, "latent_size": 7}}  # where width is another thing
    generator = build_config([preset, {"generator": {"kind": "mine"}}]).generator
    assert generator == Mine(latent_size=7)


def test_its_own_rules_hold(monkeypatch):
    monkeypatch.setitem(LOSSES, "mine", MyLoss)
    bounded = {"discriminator.spectral": True}
    with pytest.raises(ConfigError, match="no bounded critic gets as far"):
        make_config(overrides={"objective.loss": {"kind": "mine", "margin": 6}, **bounded})
    assert impossible(make_config(overrides={"objective.loss": {"kind": "mine", "margin": 5}, **bounded})) == []


def test_a_kind_may_take_the_place_of_another_one(monkeypatch):
    class Wider(Hinge):
        margin: float = 2.0

    monkeypatch.setitem(LOSSES, "hinge", Wider)
    assert make_config(overrides={"objective.loss": {"kind": "hinge", "margin": 3}}).objective.loss == Wider(margin=3)


SCRIPT = """
import sys
import ganlet
from pydantic import Field

config = ganlet.make_config(overrides={"objective.loss.kind": "hinge"})  # everything was at work before

class Mine(ganlet.losses.Loss):
    kind: str = "mine"
    margin: float = Field(default=1.0, gt=0)

ganlet.losses.LOSSES["mine"] = Mine
config = ganlet.make_config(overrides={"objective.loss": {"kind": "mine", "margin": 2}})
assert config.objective.loss == Mine(margin=2)
assert ganlet.RunConfig.model_validate(config.model_dump()) == config
assert ganlet.RunConfig(objective={"loss": Mine(margin=2)}) == config
try:
    ganlet.make_config(overrides={"objective.loss": {"kind": "mine", "margin": 0}})
except Exception as error:
    print(error)
assert "torch" not in sys.modules
"""


def test_a_script_registers_its_own():
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "objective.loss.margin: greater than 0, got 0" in result.stdout
