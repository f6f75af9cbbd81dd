from __future__ import annotations

import torch
from torch import nn

from ganlet.engine.ema import start_average, update_average


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


def test_it_is_a_frozen_copy_in_evaluation_mode():
    net = network()
    average = start_average(net)
    assert not average.training
    assert net.training
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert all(parameter.requires_grad for parameter in net.parameters())
    before = average[0].weight.clone()
    shown(net, 1)
    assert torch.equal(average[0].weight, before)
    assert not torch.equal(average[0].weight, net[0].weight)


def test_it_is_what_a_plain_loop_computes():
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


def test_it_leaves_the_network_alone():
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
