"""Which device a run uses, and what it can do."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ganlet.config.schema import RunConfig
from ganlet.errors import EnvironmentProblem, ResourceProblem

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; auto: the GPU if there is one, else the CPU. Raises `EnvironmentProblem`.

    A device that was asked for by name is never silently replaced by another one.
    """
    if name not in DEVICES:
        raise EnvironmentProblem(f"There is no device {name!r}.", expected=", ".join(DEVICES))
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        built = "torch sees no GPU" if torch.version.cuda else f"torch {torch.__version__} is built without CUDA"
        raise EnvironmentProblem("There is no CUDA device here.", where="--device cuda", got=built, hint="--device cpu")
    if name == "mps" and not torch.backends.mps.is_available():
        raise EnvironmentProblem("There is no Apple GPU here.", where="--device mps", hint="--device cpu")
    if name == "cuda":  # with its index, as tensors report it; torchrun gives each process a GPU of its own
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(name)


@contextmanager
def out_of_memory_explained() -> Iterator[None]:
    """Turn what torch says when memory runs out into `ResourceProblem`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        on_gpu = isinstance(error, torch.OutOfMemoryError)
        if not (on_gpu or isinstance(error, MemoryError) or "can't allocate memory" in str(error)):
            raise
        peak = f"{torch.cuda.max_memory_allocated() / 2**20:,.0f} MB were in use at most" if on_gpu else None
        raise ResourceProblem(
            "There is not enough memory; nothing that was saved is lost.",
            got=peak,
            expected="see `ganlet train --dry-run` for an estimate",
            hint="a smaller train.batch_size, generator.width or discriminator.width with --set",
        ) from error


def require_precision(config: RunConfig, device: torch.device) -> None:
    """Raise `EnvironmentProblem` where the config's precision would only be slow."""
    if config.train.precision != "bf16":
        return
    if device.type == "cpu" and not _cpu_has_fast_bf16():
        raise EnvironmentProblem(
            "bf16 on this CPU would be about ten times slower than fp32: it has no instructions for it.",
            where="train.precision",
            got="bf16",
            expected="fp32, or a CPU with AVX512-BF16 or AMX, or a GPU",
            hint="--set train.precision=fp32",
        )
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise EnvironmentProblem(
            "This GPU has no bf16.", where="train.precision", got="bf16", hint="--set train.precision=fp32"
        )


@contextmanager
def determinism(config: RunConfig, device: torch.device) -> Iterator[None]:
    """On a GPU, within this context: reproducible kernels or the fastest ones. A CPU is reproducible as it is."""
    if device.type != "cuda":
        yield
        return
    deterministic = config.train.deterministic
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    fast = [(cudnn, "benchmark"), (cudnn, "allow_tf32"), (matmul, "allow_tf32")]
    flags = [(cudnn, "deterministic", deterministic), *((*place, not deterministic) for place in fast)]
    before = [(home, name, value) for home, name, _ in flags if (value := _flag(home, name)) is not None]
    algorithms = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts, so it stays
    try:
        torch.use_deterministic_algorithms(deterministic)
        for home, name, value in flags:
            setattr(home, name, value)
        yield
    finally:
        torch.use_deterministic_algorithms(algorithms, warn_only=warn_only)
        for home, name, value in before:
            setattr(home, name, value)


def _flag(home: Any, name: str) -> bool | None:
    """A flag of torch's backends; None where the caller has set by a newer interface what the flag cannot tell."""
    try:
        return getattr(home, name)
    except RuntimeError:
        return None


def _cpu_has_fast_bf16() -> bool:
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
