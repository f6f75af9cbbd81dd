from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlet.engine.optimizers import build_optimizer, optimizer_tensors
from ganlet.networks.optimizers import OptimizerConfig

SETTINGS = OptimizerConfig(lr=0.01, beta1=0.3, beta2=0.9, eps=1e-6)


def network() -> nn.Linear:
    net = nn.Linear(3, 2)
    with torch.no_grad():
        for number, parameter in enumerate(net.parameters()):
            parameter.copy_(torch.linspace(-1, 1 + number, parameter.numel()).view_as(parameter))
    return net


def loss_of(net: nn.Module, step: int = 0) -> torch.Tensor:
    return net(torch.linspace(-2, 2, 12).view(4, 3) + step).square().sum()


def descend(optimizer: torch.optim.Adam, loss: torch.Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def named(net: nn.Module) -> dict[str, nn.Parameter]:
    return dict(net.named_parameters())


def test_it_is_torchs_adam_step_for_step():
    ours, theirs = network(), network()
    optimizer = build_optimizer(ours.parameters(), SETTINGS)
    reference = torch.optim.Adam(theirs.parameters(), lr=0.01, betas=(0.3, 0.9), eps=1e-6)
    for step in range(5):
        descend(optimizer, loss_of(ours, step))
        descend(reference, loss_of(theirs, step))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-7)
    assert not torch.equal(ours.weight, network().weight)


def test_all_of_its_state_is_there_before_the_first_step():
    net = network()
    optimizer = build_optimizer(net.parameters(), SETTINGS)
    live = optimizer_tensors(optimizer, named(net))
    assert set(live) == {f"{key}/{name}" for key in ("step", "exp_avg", "exp_avg_sq") for name in ("weight", "bias")}
    descend(optimizer, loss_of(net))
    assert live["step/weight"] == 1
    assert live["exp_avg/weight"].abs().sum() > 0
    for parameter in net.parameters():
        assert set(optimizer.state[parameter]) == {"step", "exp_avg", "exp_avg_sq"}


def test_one_optimiser_may_have_several_networks_and_leaves_out_what_is_frozen():
    first, second = network(), network()
    second.bias.requires_grad_(False)
    optimizer = build_optimizer([*first.parameters(), *second.parameters()], SETTINGS)
    both = {f"first.{name}": p for name, p in named(first).items()}
    both |= {f"second.{name}": p for name, p in named(second).items()}
    moments = {name.removeprefix("exp_avg/") for name in optimizer_tensors(optimizer, both) if "exp_avg/" in name}
    assert moments == {"first.weight", "first.bias", "second.weight"}
    before = second.bias.clone()
    descend(optimizer, loss_of(first) + loss_of(second))
    assert torch.equal(second.bias, before)
    assert torch.equal(first.weight, second.weight)
    assert not torch.equal(first.weight, network().weight)


@pytest.mark.parametrize("found_inf", [0.0, 1.0])
def test_the_fused_kernel_skips_a_step_that_was_marked_as_failed(found_inf):
    # What a GPU relies on, where asking would stall: see `step.optimizer_step`.
    net = network()
    optimizer = build_optimizer(net.parameters(), SETTINGS)
    descend(optimizer, loss_of(net))
    tensors = {**net.state_dict(), **optimizer_tensors(optimizer, named(net))}
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    optimizer.found_inf = torch.tensor(found_inf)
    optimizer.step()
    unchanged = all(torch.equal(tensor, before[name]) for name, tensor in tensors.items())
    assert unchanged == bool(found_inf)
