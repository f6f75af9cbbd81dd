"""The encoder of a run's generator, kept beside it and bound to its weights."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import safetensors
import safetensors.torch
from torch import nn

from ganlet.latent.encoder import new_encoder, train_encoder
from ganlet.runs.files import os_errors_explained, write_atomic
from ganlet.workflows.lab.lab import Lab

NAME = "encoder.safetensors"
VERSION = "1"  # to be raised whenever what is trained changes


def kept_encoder(lab: Lab, *, train: bool = True) -> nn.Module | None:
    """The encoder in evaluation mode, from the lab's folder, else trained and kept there; None where it may not be.

    One of other weights, or a damaged one, counts as none.
    """
    path = lab.path / NAME
    encoder = new_encoder(lab.space)
    if _load(encoder, path, lab.weights):
        return encoder.eval()
    if not train:
        return None
    encoder, share = train_encoder(lab.space, progress=partial(lab.reporter.progress, "learning to guess latents"))
    tensors = {name: tensor.cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    meta = {"weights": lab.weights, "version": VERSION, "explained": f"{share:.4f}"}
    with os_errors_explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, safetensors.torch.save(tensors, meta))
    return encoder


def _load(encoder: nn.Module, path: Path, weights: str) -> bool:
    """Whether there is an encoder of these weights, which is then loaded."""
    if not path.is_file():
        return False
    try:
        with safetensors.safe_open(path, "pt") as file:
            meta = file.metadata() or {}
        if (meta.get("weights"), meta.get("version")) != (weights, VERSION):
            return False
        encoder.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, RuntimeError, safetensors.SafetensorError):
        return False
    return True
