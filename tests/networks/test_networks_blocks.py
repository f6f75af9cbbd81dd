from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ganlet.networks import settings as network_settings
from ganlet.networks.blocks import SubpixelConvolution, Upsample, channel_counts, hidden_layers, upsample
from ganlet.networks.init import INITIAL, initialise
from ganlet.networks.settings import resolutions


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 64), [(64, 64), (32, 32), (16, 16), (8, 8), (4, 4)]),
        ((28, 28), [(28, 28), (14, 14), (7, 7)]),
        ((48, 30), [(48, 30), (24, 15), (12, 8), (6, 4)]),
        ((8, 8), [(8, 8), (4, 4)]),
        ((9, 15), [(9, 15), (5, 8)]),
    ],
)
def test_resolutions(size, expected):
    assert resolutions(size) == expected


SIDES = st.integers(8, 300)


@settings(deadline=None)
@given(SIDES, SIDES)
def test_the_coarsest_map_is_small_but_not_too_small(height, breadth):
    sizes = resolutions((height, breadth))
    assert 4 <= min(sizes[-1]) < 8
    for (before_high, before_broad), (high, broad) in pairwise(sizes):
        assert 2 * high - 1 <= before_high <= 2 * high
        assert 2 * broad - 1 <= before_broad <= 2 * broad


def test_channels_double_up_to_the_limit():
    assert channel_counts(6, 16, 8) == [16, 32, 64, 128, 128, 128]
    assert channel_counts(3, 5, 1) == [5, 5, 5]


def test_enlarging_repeats_pixels_and_cuts_odd_sizes():
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    expected = torch.tensor([[[[1.0, 1, 2], [1, 1, 2], [3, 3, 4]]]])
    assert torch.equal(upsample(image, (3, 3)), expected)
    assert torch.equal(upsample(upsample(image, (3, 3)), (5, 6)), upsample(image, (5, 6)))
    assert torch.equal(upsample(image, (2, 2)), image)


@settings(deadline=None, max_examples=30)
@given(SIDES, SIDES)
def test_every_resolution_can_be_enlarged_to_every_finer_one(height, breadth):
    sizes = resolutions((height, breadth))
    for level, coarse in enumerate(sizes):
        for fine in sizes[: level + 1]:
            assert upsample(torch.empty(1, 1, *coarse, device="meta"), fine).shape[2:] == fine


each_kind = pytest.mark.parametrize("kind", get_args(network_settings.Upsample))


@each_kind
def test_odd_sizes_lose_the_last_row_or_column(kind, normal):
    whole, odd = (Upsample(2, 3, size, kind, bias=True) for size in ((10, 16), (9, 15)))
    odd.load_state_dict(whole.state_dict())
    maps = normal(2, 2, 5, 8)
    assert whole(maps).shape == (2, 3, 10, 16)
    assert torch.equal(odd(maps), whole(maps)[..., :-1, :-1])


def test_nearest_upsampling_is_a_convolution_of_repeated_pixels(normal):
    layer, maps = Upsample(2, 3, (10, 16), "nearest", bias=True), normal(2, 2, 5, 8)
    assert torch.equal(layer(maps), layer.convolution(upsample(maps, (10, 16))))


def test_a_pixel_shuffle_lays_four_maps_out_as_one(normal):
    layer, maps = SubpixelConvolution(2, 3, bias=True), normal(2, 2, 5, 8)
    fine = layer(maps)
    four = nn.functional.conv2d(maps, layer.weight, layer.bias, padding=1)
    for row in (0, 1):
        for column in (0, 1):
            expected = four[:, 2 * row + column :: 4]
            torch.testing.assert_close(fine[:, :, row::2, column::2], expected, rtol=0, atol=1e-6)


@each_kind
@pytest.mark.parametrize("scheme", INITIAL)
def test_only_transposed_convolutions_begin_with_a_checkerboard(kind, scheme, normal):
    layer = Upsample(4, 3, (16, 16), kind, bias=True)
    initialise(layer, scheme, 0)
    initialise(layer, scheme, 1)  # also when drawn again
    flat = layer(normal(2, 4, 1, 1).expand(2, 4, 8, 8))[..., 2:-2, 2:-2]
    difference = (flat[..., ::2, ::2] - flat[..., 1::2, 1::2]).abs().max() / flat.abs().max()
    assert difference > 0.05 if kind == "transposed" else difference < 1e-5


@pytest.mark.parametrize("scheme", INITIAL)
def test_sub_pixel_kernels_are_drawn_as_those_of_a_convolution_to_one_map_each(scheme):
    shuffled, plain = SubpixelConvolution(30, 20, bias=False), nn.Conv2d(30, 20, 3)
    initialise(shuffled, scheme, 0)
    initialise(plain, scheme, 0)
    for place in range(4):
        assert torch.equal(shuffled.weight[place::4], plain.weight)


def test_hidden_layers_end_with_dropout():
    layers = hidden_layers(6, ["none", "batch"], bias=False, activation=nn.ReLU, dropout=0.3)
    assert [type(layer) for layer in layers] == [
        nn.Identity, nn.ReLU, nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.Dropout2d
    ]  # fmt: skip
    assert layers[2].bias is None
    assert layers[-1].p == 0.3


def test_the_four_kernels_of_a_subpixel_convolution_start_equal_also_when_it_is_made_by_hand():
    weight = SubpixelConvolution(2, 3, bias=True).weight.unflatten(0, (3, 4))
    assert torch.equal(weight, weight[:, :1].expand_as(weight))
    assert not torch.equal(weight[0], weight[1])
