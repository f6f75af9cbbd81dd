from __future__ import annotations

import pytest
import torch

from ganlet.networks.attention import SelfAttention
from ganlet.networks.init import INITIAL, initialise


@pytest.fixture
def attention():
    """Attention over 16 channels in double precision, with weights and gamma that are not small."""
    module = SelfAttention(16).double()
    random = torch.Generator().manual_seed(1)
    for layer in module.children():
        layer.weight.data.normal_(0, 0.4, generator=random)
    module.gamma.data.fill_(0.7)
    return module


def gathered_by_loops(attention, maps):
    """What the paper says, a place at a time."""
    query, key, value, out = (
        layer.weight[:, :, 0, 0] for layer in (attention.query, attention.key, attention.value, attention.out)
    )
    result = maps.clone()
    for number, image in enumerate(maps):
        places = [(y, x) for y in range(image.shape[1]) for x in range(image.shape[2])]
        for y, x in places:
            similar = torch.stack([(query @ image[:, y, x]) @ (key @ image[:, v, u]) for v, u in places])
            share = similar.exp() / similar.exp().sum()
            seen = sum(weight * (value @ image[:, v, u]) for weight, (v, u) in zip(share, places, strict=True))
            result[number, :, y, x] += attention.gamma * (out @ seen)
    return result


def test_attention_is_what_the_paper_says(attention, normal):
    maps = normal(2, 16, 3, 4, dtype=torch.float64)
    torch.testing.assert_close(attention(maps), gathered_by_loops(attention, maps), rtol=0, atol=1e-10)


def test_the_channels_of_its_layers():
    attention = SelfAttention(32)
    layers = (attention.query, attention.key, attention.value, attention.out)
    assert [layer.weight.shape[:2] for layer in layers] == [(4, 32), (4, 32), (16, 32), (32, 16)]
    assert SelfAttention(1)(torch.ones(1, 1, 2, 2)).shape == (1, 1, 2, 2)


@pytest.mark.parametrize("scheme", INITIAL)
def test_it_starts_as_identity_under_every_scheme(scheme, normal):
    attention = SelfAttention(8)
    initialise(attention, scheme, 0)
    maps = normal(2, 8, 5, 3)
    assert torch.equal(attention(maps), maps)
    assert all(layer.weight.any() for layer in attention.children())
    attention(maps).square().sum().backward()
    assert attention.gamma.grad != 0  # so it does not stay so


def test_second_derivatives(attention, normal):
    maps = normal(1, 16, 2, 3, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradgradcheck(attention, (maps,))


def test_channels_last_stays_channels_last(attention, normal):
    attention.to(memory_format=torch.channels_last)
    maps = normal(2, 16, 4, 4, dtype=torch.float64).contiguous(memory_format=torch.channels_last)
    assert attention(maps).is_contiguous(memory_format=torch.channels_last)
