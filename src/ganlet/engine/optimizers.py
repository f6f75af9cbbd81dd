"""Adam for one network, with all of its state present from the start, and the guard before its step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ganlet.config.networks import OptimizerConfig
from ganlet.errors import TrainingError

FUSED_DEVICES = ("cpu", "cuda")
STATE_KEYS = ("step", "exp_avg", "exp_avg_sq")


def build_optimizer(network: nn.Module, settings: OptimizerConfig) -> torch.optim.Adam:
    """Adam (Kingma & Ba 2015) over a network that is already on its device.

    On a GPU it can be captured in a graph: rate and step count are tensors there. Its state is made at once instead of
    in the first step, so that there is always something to save, to restore in place, and to capture.
    """
    parameters = list(network.parameters())
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


def set_rate(optimizer: torch.optim.Adam, rate: float) -> None:
    """Set the learning rate, in place where it is a tensor that a captured graph reads."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def optimizer_tensors(optimizer: torch.optim.Adam, network: nn.Module) -> dict[str, torch.Tensor]:
    """All state of an optimiser by name: `exp_avg/<parameter>` and so on."""
    return {
        f"{key}/{name}": optimizer.state[parameter][key]
        for name, parameter in network.named_parameters()
        for key in STATE_KEYS
    }


def descend(
    optimizer: torch.optim.Adam,
    total: torch.Tensor,
    clip_norm: float | None,
    synchronise: Callable[[list[torch.Tensor]], None],
    who: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Backward, average over ranks, clip, and step. Returns the gradient norm and whether it failed (0 or 1).

    A loss or gradient that is not finite never reaches the weights: off the GPU it raises `TrainingError` before the
    step; on the GPU, where asking would stall, the step is skipped on the device and the failure counted.
    """
    optimizer.zero_grad(set_to_none=True)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    total.backward(inputs=parameters)  # penalties made the images require gradients too, which nobody needs here
    gradients = [parameter.grad for parameter in parameters]
    loss = total.detach().clone()
    synchronise([*gradients, loss])  # the loss too: all ranks must agree on whether the step failed
    norm = torch.nn.utils.get_total_norm(gradients)
    failed = torch.logical_not(torch.isfinite(norm + loss)).float()
    if clip_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm)
    if total.device.type == "cuda":
        optimizer.found_inf = failed  # type: ignore[attr-defined] # read by the fused kernel, as by torch.amp
    elif failed.item():
        raise TrainingError(f"The {who}'s loss or gradient is not finite.")
    optimizer.step()
    return norm, failed
