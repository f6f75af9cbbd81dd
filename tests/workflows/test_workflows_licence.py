"""The licence of the pictures: kept in the config, told where a generator goes, and no part of what is trained."""

from __future__ import annotations

import json

import pytest
import yaml

import ganlet
from ganlet.config import validate
from ganlet.data.dataset import open_pack
from ganlet.data.pack import _key
from ganlet.data.source import find_source
from ganlet.errors import ConfigError
from ganlet.runs.weights import load_generator_file
from ganlet.workflows.generators import run_fingerprint

NAMED = {"data.licence": "CC-BY-4.0"}


def test_a_run_under_a_licence_is_the_same_run(start, straight):
    """Weights, certificates, the pack: all but the config itself."""
    run = start("licensed", NAMED)
    known, found = (load_generator_file(one.folder.generator_path) for one in (straight, run))
    assert all((tensor == found[0][name]).all() for name, tensor in known[0].items())
    assert found[1]["config"]["data"]["licence"] == "CC-BY-4.0"
    assert run_fingerprint(run.config, "x") == run_fingerprint(straight.config, "x")
    sheets = [(one.folder.samples_path / "000000064.png").read_bytes() for one in (run, straight)]
    assert sheets[0] == sheets[1]


def test_the_fingerprint_of_a_run_is_what_it_was_before_there_were_licences(straight):
    """By hand: as certificates that are out there name it."""
    import hashlib

    parts = {"seed", "data", "generator", "discriminator", "objective"}
    tree = straight.config.model_dump(mode="json", include=parts)
    del tree["data"]["source"], tree["data"]["licence"]
    text = json.dumps([tree, "x"], sort_keys=True)
    assert run_fingerprint(straight.config, "x") == hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def test_pictures_are_packed_once_under_any_licence(tiny_config):
    configs = [tiny_config(change).data for change in ({}, NAMED)]
    source = find_source(configs[0])
    assert _key(source, configs[0]) == _key(source, configs[1])
    assert open_pack(configs[0]).fingerprint == open_pack(configs[1]).fingerprint


def test_it_may_be_named_on_resume_and_is_then_told_everywhere(start):
    run = start("run")
    before = ganlet.open_run(run.path).sample(4)
    ganlet.resume(run.path, NAMED, device="cpu")
    again = ganlet.open_run(run.path)
    assert again.config.data.licence == "CC-BY-4.0"
    assert load_generator_file(run.folder.generator_path)[1]["config"]["data"]["licence"] == "CC-BY-4.0"
    assert (again.sample(4) == before).all()


def test_configs_without_it_are_read(straight):
    tree = yaml.safe_load(straight.folder.config_path.read_text())
    del tree["data"]["licence"]
    assert validate(tree).data.licence == "unknown"


@pytest.mark.parametrize(("text", "expected"), [(" CC0-1.0 ", "CC0-1.0"), ("ask  Jane", "ask Jane"), ("ä", "ä")])
def test_words_of_any_kind(tiny_config, text, expected):
    assert tiny_config({"data.licence": text}).data.licence == expected


@pytest.mark.parametrize("text", ["", "  ", "a\nb", "a" * 121, "\x1b[31m", 3])
def test_what_is_no_licence(tiny_config, text):
    with pytest.raises(ConfigError, match=r"data\.licence"):
        tiny_config({"data.licence": text})
