from __future__ import annotations

import json
import pickle
import struct

import pytest
import safetensors.torch
import torch

from ganlet.errors import ResourceProblem, RunError, TrainingError
from ganlet.runs import weights
from ganlet.runs.weights import load_generator_file, save_generator

CONFIG = json.dumps({"seed": 3, "data": {"size": [32, 32]}})


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(4, 3, 2, 2, generator=generator)
    return {
        "b.weight": weight.to(memory_format=torch.channels_last).requires_grad_(),
        "a.view": weight[:, 1],
        "half": weight.bfloat16(),
        "steps": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }


def test_tensors_and_metadata_come_back(tmp_path):
    path = tmp_path / "generator.safetensors"
    save_generator(path, tensors(), CONFIG, {"images_seen": 100, "name": "ü"})
    loaded, metadata = load_generator_file(path)
    assert loaded.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    assert metadata["config"] == json.loads(CONFIG)
    assert (metadata["images_seen"], metadata["name"], metadata["schema"]) == (100, "ü", 1)


def test_equal_generators_are_equal_files(tmp_path):
    save_generator(tmp_path / "a", tensors(), CONFIG, {"x": 1, "y": 2, "z": 3})
    backwards = dict(reversed(tensors().items()))
    save_generator(tmp_path / "b", backwards, CONFIG, {"z": 3, "y": 2, "x": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "generator.safetensors"
    save_generator(path, {"w": torch.arange(6.0)}, '{"seed": 3}')
    sound, before = path.read_bytes(), load_generator_file(path)
    accepted = []
    for bit in range(8 * len(sound)):
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            accepted.append((load_generator_file(path), bit))
        except RunError:
            continue
    # Blanks around the JSON of the header may turn into other blanks; nothing else may change unseen.
    assert len(accepted) < 8
    for (loaded, metadata), _ in accepted:
        assert torch.equal(loaded["w"], before[0]["w"])
        assert metadata == before[1]


def test_a_truncated_file_is_refused_at_every_length(tmp_path):
    path = tmp_path / "generator.safetensors"
    save_generator(path, {"w": torch.arange(6.0)}, '{"seed": 3}')
    sound = path.read_bytes()
    for length in range(len(sound)):
        path.write_bytes(sound[:length])
        with pytest.raises(RunError, match="damaged"):
            load_generator_file(path)


def test_files_of_others_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(RunError, match="cannot be read"):
        load_generator_file(path)
    torch.save({"w": torch.zeros(3)}, path)
    with pytest.raises(RunError, match="pickle under another name: it could run anything, and is never loaded"):
        load_generator_file(path)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps({"w": [1.0, 2.0]}, protocol))
        with pytest.raises(RunError, match="pickle under another name"):
            load_generator_file(path)
    path.write_bytes(b"something else altogether")
    with pytest.raises(RunError, match="no safetensors file"):
        load_generator_file(path)
    for metadata in (None, {"format": "pt"}, {"ganlet": "[]"}, {"ganlet": "{"}, {"ganlet": "{}"}):
        safetensors.torch.save_file({"w": torch.zeros(3)}, path, metadata)
        with pytest.raises(RunError, match="not written by ganlet"):
            load_generator_file(path)


def test_a_newer_schema_is_refused_and_the_file_unchanged(tmp_path):
    path = tmp_path / "generator.safetensors"
    metadata = {"ganlet": json.dumps({"schema": 2, "config": {}})}
    safetensors.torch.save_file({"w": torch.zeros(3)}, path, metadata)
    before = path.read_bytes()
    with pytest.raises(RunError, match="Another version") as caught:
        load_generator_file(path)
    assert caught.value.got == "schema 2"
    assert path.read_bytes() == before


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_generator_that_is_not_finite_is_not_saved(tmp_path, value):
    path = tmp_path / "generator.safetensors"
    save_generator(path, {"w": torch.zeros(3)}, CONFIG)
    before = path.read_bytes()
    with pytest.raises(TrainingError, match=r"w\.1 of the generator"):
        save_generator(path, {"w.1": torch.tensor([0.0, value])}, CONFIG)
    assert path.read_bytes() == before


def test_without_room_the_old_file_stays(tmp_path, file_size_limit):
    path = tmp_path / "generator.safetensors"
    save_generator(path, {"w": torch.zeros(3)}, CONFIG)
    before = path.read_bytes()
    with file_size_limit(20_000), pytest.raises(ResourceProblem):
        save_generator(path, {"w": torch.zeros(30_000)}, CONFIG)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def raw(metadata: str, tensors: dict | None = None, data: bytes = b"") -> bytes:
    """A safetensors file with that text as our metadata, put together by hand."""
    header = json.dumps({"__metadata__": {"ganlet": metadata}, **(tensors or {})}).encode()
    return struct.pack("<Q", len(header)) + header + data


ODD_HEADERS = {
    "deep": raw("[" * 200_000),
    "deep within": raw('{"schema":1,"config":' + "[" * 600 + "]" * 600 + "}"),
    "NaN": raw('{"schema":1,"config":{"a":NaN},"sha256":"x"}'),
    "infinity": raw('{"schema":1,"config":{"a":1e400},"sha256":"x"}'),
    "digits": raw('{"schema":1,"config":{"a":' + "9" * 5000 + '},"sha256":"x"}'),
    "four bits": raw('{"schema":1,"config":{}}', {"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}, b"\0"),
    "powers": raw('{"schema":1,"config":{}}', {"a": {"dtype": "F8_E8M0", "shape": [1], "data_offsets": [0, 1]}}, b"\0"),
}


@pytest.mark.parametrize("kind", ODD_HEADERS)
def test_headers_that_nobody_writes_are_refused(tmp_path, kind):
    path = tmp_path / "generator.safetensors"
    path.write_bytes(ODD_HEADERS[kind])
    with pytest.raises(RunError, match=r"not written by ganlet|damaged"):
        load_generator_file(path)


ODD_METADATA = {
    "config": 5,
    "images_seen": "abc",
    "images_seen ": [1],
    "images_seen  ": 10**400,
    "given": 5,
    "labels": {"a": 1},
    "data_fingerprint": {"a": 1},
}


@pytest.mark.parametrize("key", ODD_METADATA)
def test_metadata_of_another_kind_are_refused_though_the_hash_fits(tmp_path, key):
    path, metadata = tmp_path / "generator.safetensors", {"schema": 1, "config": {}, key.strip(): ODD_METADATA[key]}
    metadata["sha256"] = weights._digest({"w": torch.zeros(3)}, metadata)
    safetensors.torch.save_file({"w": torch.zeros(3)}, path, {weights.KEY: weights._canonical(metadata)})
    with pytest.raises(RunError, match="none that ganlet writes"):
        load_generator_file(path)
