"""Moving averages of weights: what samples are drawn with."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from ganlet.engine.average import EMA
from ganlet.engine.state import start_average
from ganlet.engine.step import update_average


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))


def shown(net: nn.Module, seed: int) -> None:
    """Change weights and running statistics, as a training step does."""
    random = torch.Generator().manual_seed(seed)
    net(torch.randn(4, 1, 8, 8, generator=random) + seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=random))


def test_an_average_is_what_a_plain_loop_computes():
    net = network()
    average = start_average(net)
    expected = {name: tensor.double() for name, tensor in net.state_dict().items()}
    for step in range(1, 6):
        shown(net, step)
        weight = 1.0 / step
        update_average(average, net, torch.tensor(weight))
        for name, tensor in net.state_dict().items():
            expected[name] = expected[name] * (1 - weight) + tensor.double() * weight
    assert average[1].num_batches_tracked == net[1].num_batches_tracked == 5
    del expected["1.num_batches_tracked"]  # a counter is copied
    for name, tensor in expected.items():
        torch.testing.assert_close(average.state_dict()[name].double(), tensor, rtol=1e-5, atol=1e-6)
    assert not torch.equal(average[1].running_mean, net[1].running_mean)


def test_a_share_of_one_is_a_copy():
    net = network()
    average = start_average(net)
    shown(net, 1)
    update_average(average, net, torch.tensor(1.0))
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(average.state_dict()[name], tensor, rtol=0, atol=1e-6)


def test_an_average_leaves_the_network_alone():
    net = network()
    average = start_average(net)
    shown(net, 1)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    update_average(average, net, torch.tensor(0.3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_vectors_of_a_spectral_norm_keep_their_length():
    torch.manual_seed(0)
    net = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(6, 5))
    average = start_average(net)
    for seed in range(20):
        net.train()
        shown_vectors(net, seed)
        update_average(average, net, torch.tensor(0.1))
    vectors = {name: buffer for name, buffer in average.named_buffers() if name.endswith(("._u", "._v"))}
    assert len(vectors) == 2
    for name, vector in vectors.items():
        assert torch.equal(vector, net.get_buffer(name))
        torch.testing.assert_close(vector.norm(), torch.tensor(1.0))


def shown_vectors(net: nn.Module, seed: int) -> None:
    """Turn the weight, so that its singular vectors turn too, and let the norm follow."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        net.parametrizations.weight.original.add_(torch.randn(5, 6, generator=random))
    net(torch.randn(3, 6, generator=random))


# For loops of one's own


@pytest.mark.parametrize("ramp_up", [0.0, 0.5])
def test_an_average_of_ones_own_is_that_of_a_run(begin, ramp_up):
    training = begin({"generator.ema": {"half_life": 64, "ramp_up": ramp_up}, "train.n_critic": 2})
    mine = EMA(training.state.networks["generator"], half_life=64, ramp_up=ramp_up)
    training.run(lambda event: mine.update(event.images_seen - event.before))
    assert mine.images_seen == training.state.images_seen == 160
    for name, tensor in training.state.averages["average"].state_dict().items():
        assert torch.equal(mine.module.state_dict()[name], tensor), name
    assert not torch.equal(mine.module.from_latent.weight, training.state.networks["generator"].from_latent.weight)


def test_without_a_half_life_an_average_is_the_network():
    net = network()
    mine = EMA(net, half_life=0)
    shown(net, 1)
    mine.update(1)
    for name, tensor in net.state_dict().items():
        torch.testing.assert_close(mine.module.state_dict()[name], tensor, rtol=0, atol=1e-6)
    assert not mine.module.training


def test_an_ema_goes_on_from_what_it_has_saved():
    net = network()
    straight, stopped = EMA(net, half_life=30), EMA(net, half_life=30)
    for step in range(1, 6):
        shown(net, step)
        for average in (straight, stopped):
            average.update(16)
        if step == 3:
            saved, stopped = copy.deepcopy(stopped.state_dict()), EMA(net, half_life=30)
            stopped.load_state_dict(saved)
    ours, theirs = stopped.module.state_dict(), straight.module.state_dict()
    assert not [name for name, tensor in ours.items() if not torch.equal(tensor, theirs[name])]
    assert stopped.images_seen == 80
