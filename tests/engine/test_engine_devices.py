from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from ganlet.engine import devices
from ganlet.engine.devices import choose_device, determinism, out_of_memory_explained, require_precision
from ganlet.errors import EnvironmentProblem, ResourceProblem


@pytest.fixture
def machine(monkeypatch):
    """Pretend that the machine has such devices."""

    def machine(cuda=False, mps=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return machine


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"), [(True, True, "cuda:0"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_is_the_best_there_is(machine, cuda, mps, chosen):
    machine(cuda, mps)
    assert choose_device("auto") == torch.device(chosen)


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_was_asked_for_is_never_replaced(machine, name):
    machine()
    with pytest.raises(EnvironmentProblem, match="There is no") as caught:
        choose_device(name)
    assert caught.value.exit_code == 3
    assert caught.value.hint == "--device cpu"


def test_an_unknown_device_is_told_with_those_there_are():
    with pytest.raises(EnvironmentProblem, match="auto, cpu, cuda, mps"):
        choose_device("tpu")


def test_each_process_of_several_has_a_gpu_of_its_own(machine, monkeypatch):
    machine(cuda=True)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert choose_device("auto") == torch.device("cuda", 3)


@pytest.mark.parametrize("fast", [True, False])
def test_bf16_needs_a_cpu_that_has_it(tiny_config, monkeypatch, fast):
    monkeypatch.setattr(devices, "_cpu_has_fast_bf16", lambda: fast)
    config, cpu = tiny_config({"train.precision": "bf16"}), torch.device("cpu")
    require_precision(tiny_config(), cpu)
    if fast:
        require_precision(config, cpu)
        return
    with pytest.raises(EnvironmentProblem, match="bf16 on this CPU") as caught:
        require_precision(config, cpu)
    assert caught.value.exit_code == 3
    assert caught.value.hint == "--set train.precision=fp32"


def test_bf16_needs_a_gpu_that_has_it(tiny_config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: including_emulation)
    with pytest.raises(EnvironmentProblem, match="This GPU has no bf16"):
        require_precision(tiny_config({"train.precision": "bf16"}), torch.device("cuda"))


def test_on_a_cpu_nothing_is_switched(tiny_config):
    before = torch.are_deterministic_algorithms_enabled()
    with determinism(tiny_config({"train.deterministic": not before}), torch.device("cpu")):
        assert torch.are_deterministic_algorithms_enabled() == before


@pytest.mark.parametrize("deterministic", [True, False])
def test_on_a_gpu_the_config_chooses_between_reproducible_and_fast(tiny_config, monkeypatch, deterministic):
    asked = []
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda mode, **more: asked.append((mode, more)))
    monkeypatch.setattr(torch, "is_deterministic_algorithms_warn_only_enabled", lambda: True)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    before = {"deterministic": "a", "benchmark": "b", "allow_tf32": "c"}
    cudnn, matmul = SimpleNamespace(**before), SimpleNamespace(allow_tf32="d")
    monkeypatch.setattr(torch.backends, "cudnn", cudnn)
    monkeypatch.setattr(torch.backends.cuda, "matmul", matmul)
    with determinism(tiny_config({"train.deterministic": deterministic}), torch.device("cuda")):
        assert asked == [(deterministic, {})]
        fast = not deterministic
        assert vars(cudnn) == {"deterministic": deterministic, "benchmark": fast, "allow_tf32": fast}
        assert vars(matmul) == {"allow_tf32": fast}
    assert ("CUBLAS_WORKSPACE_CONFIG" in devices.os.environ) == deterministic
    # What the caller had is there again.
    assert asked[1:] == [(torch.are_deterministic_algorithms_enabled(), {"warn_only": True})]
    assert (vars(cudnn), vars(matmul)) == (before, {"allow_tf32": "d"})


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_running_out_of_memory_is_a_problem_of_resources(error):
    with pytest.raises(ResourceProblem, match="not enough memory"), out_of_memory_explained():
        raise error


def test_other_errors_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shapes"), out_of_memory_explained():
        raise RuntimeError("shapes do not fit")
