import json
import logging
import os
import pickle
import sys

import pytest
import safetensors.torch
import torch

from ganlet.errors import ConfigError, EnvironmentProblem, ResourceProblem, RunError
from ganlet.hub import HubName
from ganlet.runs.folder import RunFolder
from ganlet.runs.hub import given_run, pinned, place_beside, stem_of
from ganlet.runs.weights import save_generator

NAME = "hf:somebody/faces"
GENERATOR = "generator.safetensors"


@pytest.fixture
def sound(tmp_path):
    """The bytes of a generator file."""
    path = tmp_path / GENERATOR
    save_generator(path, {"w": torch.arange(6.0)}, "{}", {"images_seen": 3})
    return path.read_bytes()


def test_only_the_generator_is_fetched_and_once(hub, sound):
    hub.put("somebody/faces", {GENERATOR: sound, "model.bin": b"evil", "README.md": b"card", "setup.py": b"evil"})
    for _ in range(2):
        path = given_run(NAME)
        assert path.read_bytes() == sound
    assert hub.fetched == [GENERATOR]


def test_a_revision_is_what_it_was(hub, sound, tmp_path):
    repo = hub.put("somebody/faces", {GENERATOR: sound})
    save_generator(tmp_path / "other", {"w": torch.zeros(2)}, "{}")
    hub.put("somebody/faces", {GENERATOR: (tmp_path / "other").read_bytes()})
    assert given_run(NAME).read_bytes() == (tmp_path / "other").read_bytes()
    for revision in ("v1", repo.sha(1)):
        assert given_run(f"{NAME}@{revision}").read_bytes() == sound
    hub.requests.clear()
    assert given_run(f"{NAME}@{repo.sha(1)}").read_bytes() == sound
    assert not hub.requests  # a commit stays what it is
    with pytest.raises(RunError, match="no such revision"):
        given_run(f"{NAME}@v7")


def test_a_name_is_pinned_to_its_commit(hub, sound):
    repo = hub.put("somebody/faces", {GENERATOR: sound})
    assert pinned(NAME, given_run(NAME)) == f"{NAME}@{repo.sha(1)}"


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def flipped(data):
    return data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]


def of_schema(schema):
    return safetensors.torch.save({"w": torch.zeros(2)}, {"ganlet": json.dumps({"schema": schema, "config": {}})})


REFUSED = {
    "tampered": (flipped, "contents do not match its hash"),
    "cut off": (lambda data: data[:-7], "no safetensors file, or it is damaged"),
    "a pickle": (lambda data: pickle.dumps({"w": 1}), "pickle under another name"),
    "a zip, as torch.save writes it": (lambda data: b"PK\x03\x04" + bytes(80), "pickle under another name"),
    "of a newer ganlet": (lambda data: of_schema(99), "Another version of ganlet"),
    "of another program": (lambda data: safetensors.torch.save({"w": torch.zeros(2)}), "not written by ganlet"),
    "a page": (lambda data: b"<html>", "no safetensors file"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_files_of_that_name_are_refused_by_name(hub, sound, kind):
    change, words = REFUSED[kind]
    hub.put("somebody/faces", {GENERATOR: change(sound)})
    with pytest.raises(RunError, match=words) as caught:
        given_run(NAME)
    assert caught.value.where == f"{NAME}, {GENERATOR}"


def test_a_pickle_is_never_run(hub, tmp_path):
    mark = tmp_path / "mark"
    hub.put("somebody/faces", {GENERATOR: pickle.dumps(Evil(mark))})
    with pytest.raises(RunError, match="never loaded"):
        given_run(NAME)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("pytorch_model.bin", "x.pkl"), "only pickles, which could run anything and are never loaded"),
        (("model.safetensors", "x.pt"), "no generator of ganlet in this repository.$"),
        (("README.md",), "no generator of ganlet"),
    ],
)
def test_a_repository_without_a_generator_is_told_with_what_is_there(hub, files, words):
    hub.put("somebody/faces", dict.fromkeys(files, b"x"))
    with pytest.raises(RunError) as caught:
        given_run(NAME)
    assert caught.match(words) if not words.endswith("$") else caught.value.what.endswith(words[-12:-1])
    assert files[0] in caught.value.got
    assert not hub.fetched


def test_what_is_not_there_or_not_shown_is_told(hub, sound):
    hub.put("somebody/secret", {GENERATOR: sound}, private=True)
    hub.put("somebody/gated", {GENERATOR: sound}, gated=True)
    for name in ("nothing", "secret"):
        with pytest.raises(RunError, match="no such model, or does not show it"):
            given_run(f"hf:somebody/{name}")
    with pytest.raises(EnvironmentProblem, match="only who ask for it"):
        given_run("hf:somebody/gated")


def test_a_token_opens_what_is_private(hub, sound, monkeypatch):
    hub.put("somebody/secret", {GENERATOR: sound}, private=True)
    monkeypatch.setenv("HF_TOKEN", "hf_token")
    assert given_run("hf:somebody/secret").read_bytes() == sound


@pytest.mark.parametrize("how", ["offline", "unreachable", "broken"])
def test_without_the_hub_what_was_fetched_before_serves_and_it_is_said(hub, sound, how, monkeypatch, caplog):
    hub.put("somebody/faces", {GENERATOR: sound})

    def cut():
        if how == "offline":
            monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        elif how == "broken":
            hub.failing = lambda method, path: 503
        else:
            monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")

    with monkeypatch.context() as patch:
        original, monkeypatch = monkeypatch, patch
        cut()
        with pytest.raises(EnvironmentProblem, match="nothing was fetched from there before") as caught:
            given_run(NAME)
        assert caught.value.exit_code == 3
        monkeypatch = original
    hub.failing = lambda method, path: None
    given_run(NAME)
    cut()
    with caplog.at_level(logging.WARNING, "ganlet"):
        assert given_run(NAME).read_bytes() == sound
    assert "as it was fetched before" in caplog.text


def test_a_cache_of_the_hub_that_cannot_be_used_is_told_by_its_folder(hub, sound, tmp_path, monkeypatch):
    hub.put("somebody/faces", {GENERATOR: sound})
    (tmp_path / "file").touch()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "file" / "hub"))
    with pytest.raises(EnvironmentProblem, match="cache of the hub cannot be used") as caught:
        given_run(NAME)
    assert caught.value.where == str(tmp_path / "file" / "hub")
    assert "HF_HOME" in caught.value.hint


def test_a_disk_that_is_full_while_fetching_is_told(hub, sound, tmp_path, file_size_limit):
    save_generator(tmp_path / "large", {"w": torch.zeros(100_000)}, "{}")
    hub.put("somebody/faces", {GENERATOR: (tmp_path / "large").read_bytes()})
    with file_size_limit(20_000), pytest.raises(ResourceProblem, match="disk is full"):
        given_run(NAME)
    assert given_run(NAME).is_file()


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(EnvironmentProblem, match="needs huggingface_hub") as caught:
        given_run(NAME)
    assert caught.value.hint == "pip install 'ganlet[hub]'"


@pytest.mark.parametrize(
    "name",
    ["hf:", "hf:faces", "hf:a/b/c", "hf:a/../b", "hf:a/b@", "hf:../b", "hf:a b/c", "hf:a/b\0", "hf:a/--b", "hf:-a/b"],
)
def test_what_can_be_no_name_is_refused_before_the_hub_is_asked(hub, name):
    with pytest.raises(ConfigError, match="no name on the hub"):
        given_run(name)
    assert not hub.requests


def test_names_are_read_and_written():
    for text in ("hf:a/b", "hf:Some-body/my.faces_2@refs/pr/3", "hf:a/b@v1.0"):
        assert str(HubName.of(text)) == text
    assert HubName.of("hf:a/b/c@d", subsets=True) == HubName("a/b", "c", "d")
    assert HubName.of("hf:mnist", subsets=True).last == "mnist"


def test_a_folder_of_the_same_layout_stands_for_its_generator(sound, tmp_path):
    (tmp_path / "README.md").write_text("card")
    assert given_run(tmp_path) == tmp_path / GENERATOR
    assert place_beside(tmp_path) == tmp_path
    assert stem_of(tmp_path, given_run(tmp_path)) == "generator"
    (tmp_path / "config.yaml").write_text("")  # a run
    assert given_run(tmp_path) == tmp_path


def test_what_is_made_of_a_name_goes_to_the_current_folder(hub, sound):
    hub.put("somebody/faces", {GENERATOR: sound})
    assert str(place_beside(NAME)) == "."
    assert stem_of(f"{NAME}@v1", given_run(NAME)) == "faces"


def test_what_needs_a_run_says_so():
    with pytest.raises(RunError, match="needs the folder of a run"):
        RunFolder.open(NAME)
