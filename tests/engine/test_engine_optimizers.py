from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlet.networks.optimizers import OptimizerConfig
from ganlet.engine.optimizers import Clip, build_optimizer, descend, optimizer_tensors, set_rate
from ganlet.errors import TrainingError

SETTINGS = OptimizerConfig(lr=0.01, beta1=0.3, beta2=0.9, eps=1e-6)


def network() -> nn.Linear:
    net = nn.Linear(3, 2)
    with torch.no_grad():
        for number, parameter in enumerate(net.parameters()):
            parameter.copy_(torch.linspace(-1, 1 + number, parameter.numel()).view_as(parameter))
    return net


def alone(gradients: list[torch.Tensor]) -> None:
    """One rank has nobody to average with."""


def loss_of(net: nn.Module, step: int = 0) -> torch.Tensor:
    return net(torch.linspace(-2, 2, 12).view(4, 3) + step).square().sum()


def test_it_is_torchs_adam_step_for_step():
    ours, theirs = network(), network()
    optimizer = build_optimizer(ours, SETTINGS)
    reference = torch.optim.Adam(theirs.parameters(), lr=0.01, betas=(0.3, 0.9), eps=1e-6)
    for step in range(5):
        descend(optimizer, [loss_of(ours, step)], Clip(), alone, "generator")
        reference.zero_grad()
        loss_of(theirs, step).backward()
        reference.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-7)


def test_all_of_its_state_is_there_before_the_first_step():
    net = network()
    optimizer = build_optimizer(net, SETTINGS)
    before = set(optimizer_tensors(optimizer, net))
    assert before == {f"{key}/{name}" for key in ("step", "exp_avg", "exp_avg_sq") for name in ("weight", "bias")}
    live = optimizer_tensors(optimizer, net)
    descend(optimizer, [loss_of(net)], Clip(), alone, "generator")
    assert live["step/weight"] == 1
    assert live["exp_avg/weight"].abs().sum() > 0
    for parameter in net.parameters():
        assert set(optimizer.state[parameter]) == {"step", "exp_avg", "exp_avg_sq"}


def test_the_rate_may_be_a_number_or_a_tensor():
    optimizer = build_optimizer(network(), SETTINGS)
    set_rate(optimizer, 0.5)
    assert optimizer.param_groups[0]["lr"] == 0.5
    live = optimizer.param_groups[0]["lr"] = torch.tensor(0.1)
    set_rate(optimizer, 0.25)
    assert optimizer.param_groups[0]["lr"] is live
    assert live == 0.25


def test_the_norm_is_that_of_all_gradients_before_clipping():
    net = network()
    optimizer = build_optimizer(net, SETTINGS)
    norm, failed = descend(optimizer, [loss_of(net)], Clip(norm=0.5), alone, "generator")
    fresh = network()
    loss_of(fresh).backward()
    expected = torch.cat([parameter.grad.flatten() for parameter in fresh.parameters()]).norm()
    torch.testing.assert_close(norm, expected)
    clipped = torch.cat([parameter.grad.flatten() for parameter in net.parameters()]).norm()
    torch.testing.assert_close(clipped, torch.tensor(0.5), rtol=1e-4, atol=0)
    assert failed == 0


def test_the_step_follows_the_gradients_that_all_ranks_agreed_on():
    net = network()
    optimizer = build_optimizer(net, SETTINGS)

    def opposite(gradients: list[torch.Tensor]) -> None:
        for gradient in gradients:
            gradient.neg_()

    before = net.weight.clone()
    descend(optimizer, [net(torch.ones(1, 3)).sum()], Clip(), opposite, "generator")
    assert (net.weight > before).all()


def spoiled(net: nn.Module, how: str) -> torch.Tensor:
    loss = loss_of(net)
    if how == "the loss is infinite":
        return loss + torch.inf
    if how == "the loss is not a number":
        return loss * torch.nan
    return loss + (net.bias.sum() * 0).sqrt()  # 0, but its gradient is 0 * infinity


@pytest.mark.parametrize("how", ["the loss is infinite", "the loss is not a number", "only a gradient is not finite"])
def test_what_is_not_finite_never_reaches_the_weights(how):
    net = network()
    optimizer = build_optimizer(net, SETTINGS)
    descend(optimizer, [loss_of(net)], Clip(), alone, "generator")
    tensors = {**net.state_dict(), **optimizer_tensors(optimizer, net)}
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    with pytest.raises(TrainingError, match="generator's loss or gradient is not finite"):
        descend(optimizer, [spoiled(net, how)], Clip(), alone, "generator")
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors.items())


@pytest.mark.parametrize("found_inf", [0.0, 1.0])
def test_the_fused_kernel_skips_a_step_that_was_marked_as_failed(found_inf):
    # What a GPU relies on, where asking would stall: see `descend`.
    net = network()
    optimizer = build_optimizer(net, SETTINGS)
    descend(optimizer, [loss_of(net)], Clip(), alone, "generator")
    tensors = {**net.state_dict(), **optimizer_tensors(optimizer, net)}
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    optimizer.found_inf = torch.tensor(found_inf)
    optimizer.step()
    unchanged = all(torch.equal(tensor, before[name]) for name, tensor in tensors.items())
    assert unchanged == bool(found_inf)
