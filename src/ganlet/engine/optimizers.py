"""Adam for one network, with all of its state present from the start, and the guard before its step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ganlet.config.optimizers import OptimizerConfig
from ganlet.errors import TrainingError

FUSED_DEVICES = ("cpu", "cuda")
STATE_KEYS = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True)
class Clip:
    """How gradients are cut before a step: to a norm of all together, and each number to a size."""

    norm: float | None = None
    value: float | None = None


UNCLIPPED = Clip()


def build_optimizer(network: nn.Module, settings: OptimizerConfig) -> torch.optim.Adam:
    """Adam (Kingma & Ba 2015) over what is not frozen of a network that is already on its device.

    On a GPU it can be captured in a graph: rate and step count are tensors there. Its state is made at once instead of
    in the first step, so that there is always something to save, to restore in place, and to capture.
    """
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
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
        if parameter in optimizer.state
        for key in STATE_KEYS
    }


def trained_parameters(optimizer: torch.optim.Adam) -> list[nn.Parameter]:
    """The parameters that an optimiser changes: all of its network but the frozen ones."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def descend(
    optimizer: torch.optim.Adam,
    totals: Iterable[torch.Tensor],
    clip: Clip,
    synchronise: Callable[[list[torch.Tensor]], None],
    who: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Backward, average over parts of the batch and ranks, clip, and step.

    `totals` are the losses of equal parts of the batch, each made when it is asked for, so that only one part's graph
    is there at a time. Returns the gradient norm and whether it failed (0 or 1). A loss or gradient that is not finite
    never reaches the weights: off the GPU it raises `TrainingError` before the step; on the GPU, where asking would
    stall, the step is skipped on the device and the failure counted. What got no gradient, as the finer layers of a
    network that grows, is left alone.
    """
    optimizer.zero_grad(set_to_none=True)
    parameters = trained_parameters(optimizer)
    losses = []
    for total in totals:
        total.backward(inputs=parameters)  # penalties made the images require gradients too, which nobody needs here
        losses.append(total.detach())
    loss = torch.stack(losses).mean()
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if len(losses) > 1:
        torch._foreach_div_(gradients, float(len(losses)))  # pyright: ignore[reportPrivateImportUsage]
    synchronise([*gradients, loss])  # the loss too: all ranks must agree on whether the step failed
    norm = torch.nn.utils.get_total_norm(gradients)
    failed = torch.logical_not(torch.isfinite(norm + loss)).float()
    if clip.norm is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, clip.norm, norm)
    if clip.value is not None:
        torch.nn.utils.clip_grad_value_(parameters, clip.value)
    if loss.device.type == "cuda":
        optimizer.found_inf = failed  # type: ignore[attr-defined] # read by the fused kernel, as by torch.amp
    elif failed.item():
        raise TrainingError(f"The {who}'s loss or gradient is not finite.")
    optimizer.step()
    return norm, failed


@torch.no_grad()
def clip_weights(parameters: Sequence[torch.Tensor], limit: float) -> None:
    """Cut every weight off at +-limit, in place (Arjovsky et al. 2017, algorithm 1)."""
    for parameter in parameters:
        parameter.clamp_(-limit, limit)
