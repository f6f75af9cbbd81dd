"""Adam for one player, with all of its state present from the start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import nn

from ganlet.networks.optimizers import OptimizerConfig

FUSED_DEVICES = ("cpu", "cuda")
STATE_KEYS = ("step", "exp_avg", "exp_avg_sq")


def build_optimizer(parameters: Iterable[nn.Parameter], settings: OptimizerConfig) -> torch.optim.Adam:
    """Adam (Kingma & Ba 2015) over those parameters that are not frozen, which are already on their device.

    On a GPU it can be captured in a graph: rate and step count are tensors there. Its state is made at once instead of
    in the first step, so that there is always something to save, to restore in place, and to capture.
    """
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    device = parameters[0].device
    on_gpu = device.type == "cuda"
    optimizer = torch.optim.Adam(
        parameters,
        lr=torch.tensor(settings.lr, device=device) if on_gpu else settings.lr,
        betas=(settings.beta1, settings.beta2),
        eps=settings.eps,
        fused=device.type in FUSED_DEVICES,
        capturable=on_gpu,
    )
    for parameter in parameters:
        step_device = device if device.type in FUSED_DEVICES else torch.device("cpu")
        optimizer.state[parameter] = {
            "step": torch.zeros((), dtype=torch.float32, device=step_device),
            "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
            "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
        }
    return optimizer


def optimizer_tensors(optimizer: torch.optim.Adam, parameters: Mapping[str, nn.Parameter]) -> dict[str, torch.Tensor]:
    """All state of an optimiser by name: `exp_avg/<parameter>` and so on."""
    return {
        f"{key}/{name}": optimizer.state[parameter][key]
        for name, parameter in parameters.items()
        if parameter in optimizer.state
        for key in STATE_KEYS
    }
