from __future__ import annotations

import json

import pytest
import torch

from ganlet.runs.environment import DECISIVE, describe_environment, differences


def test_the_description_is_plain_data_with_every_decisive_key():
    now = describe_environment("cpu", world_size=2)
    assert json.loads(json.dumps(now)) == now
    assert set(DECISIVE) <= now.keys()
    assert now["torch"] == torch.__version__
    assert now["threads"] == torch.get_num_threads()
    assert (now["device"], now["world_size"]) == ("cpu", 2)
    assert now["device_name"] == now["cpu_model"] != ""


def test_equal_environments_promise_exact_resume():
    assert differences(describe_environment("cpu"), describe_environment("cpu")) == []


@pytest.mark.parametrize("key", ["ganlet", "commit", "torch", "numpy", "device_name", "cuda", "world_size", "threads"])
def test_each_decisive_key_breaks_exactness(key):
    now = describe_environment("cpu")
    assert differences(now | {key: "other"}, now) == [key]


@pytest.mark.parametrize("key", ["platform", "python", "pillow", "cpu_cores"])
def test_other_keys_do_not(key):
    now = describe_environment("cpu")
    assert differences(now | {key: "other"}, now) == []


def test_cpu_threads_do_not_matter_on_a_gpu():
    gpu = describe_environment("cpu") | {"device": "cuda", "device_name": "H200"}
    assert differences(gpu | {"threads": 99}, gpu) == []
    assert differences(gpu | {"device_name": "A100"}, gpu) == ["device_name"]


@pytest.mark.gpu
def test_a_gpu_is_named():
    now = describe_environment("cuda:0")
    assert now["device"] == "cuda"
    assert now["device_name"] == torch.cuda.get_device_name(0)
    assert now["cuda"] == torch.version.cuda
