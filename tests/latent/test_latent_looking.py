from __future__ import annotations

import pytest
import torch
from handmade import DISCRIMINATOR_KINDS, discriminator_of, images_of
from torch import nn

from ganlet.latent.looking import enlarged, logit_gradient, occlusion, region


class Weighing(nn.Module):
    """logit = sum of weight * pixel; of shape (N, 1)."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images * self.weight).sum(dim=(1, 2, 3))[:, None]


def test_the_gradient_is_the_largest_weight_of_a_pixel():
    weight = torch.zeros(2, 3, 4)
    weight[0, 1, 2], weight[1, 1, 2], weight[0, 0, 0] = 2.0, -3.0, 1.0
    found = logit_gradient(Weighing(weight), images_of(2, 2, (3, 4)))
    assert found.shape == (2, 3, 4)
    assert found[1, 1, 2] == 3
    assert found[1, 0, 0] == 1
    assert found.sum() == 8


def test_covering_shows_what_speaks_for_a_picture_and_what_against():
    weight = torch.zeros(1, 8, 12)
    weight[0, :2, :2], weight[0, 6:, 10:] = 1.0, -1.0
    images = torch.zeros(1, 1, 8, 12)
    images[0, 0, :2, :2] = images[0, 0, 6:, 10:] = 1.0
    found = occlusion(Weighing(weight), images, patch=2)[0]
    mean = 8 / 96  # the colour of the patches
    assert found[0, 0] == pytest.approx(4 * (1 - mean))  # covered by one patch: all that is there
    assert found[7, 11] == pytest.approx(-4 * (1 - mean))
    # Of four patches over this pixel one lies on all of the bright square, two on half, one on a quarter of it.
    assert found[1, 1] == pytest.approx((1 + 0.5 + 0.5 + 0.25) * (1 - mean), abs=1e-6)
    assert found[4, 6] == 0


@pytest.mark.parametrize("kind", DISCRIMINATOR_KINDS)
@pytest.mark.parametrize("labels", [0, 3])
@pytest.mark.parametrize("channels", [1, 4])
def test_every_discriminator_looks_somewhere(kind, labels, channels):
    discriminator = discriminator_of(kind, labels=labels, channels=channels, size=(16, 24))
    images, given = images_of(3, channels, (16, 24)), torch.eye(3) if labels else None
    for found in (logit_gradient(discriminator, images, given), occlusion(discriminator, images, given, patch=6)):
        assert found.shape == (3, 16, 24)
        assert found.isfinite().all()
        assert (found.flatten(1).std(dim=1) > 0).all()


def test_other_pictures_of_a_batch_are_covered_at_the_same_place():
    discriminator = discriminator_of(batch_statistics="stddev")
    one = images_of(1).expand(4, -1, -1, -1)
    found = occlusion(discriminator, one)
    torch.testing.assert_close(found[0], found[3])
    # Four times the same picture: no spread, covered or not, so it is as if the statistics were not there.
    alone = occlusion(discriminator, one[:1])
    torch.testing.assert_close(found[:1], alone)


def test_regions_are_where_a_map_is_high():
    maps = torch.tensor([[[0.0, 0.0], [0.0, 4.0]], [[2.0, 2.0], [2.0, 2.0]]])
    found = region(maps, (4, 6))
    assert found[0].nonzero().min(dim=0).values.tolist() == [2, 3]
    assert found[0, 3, 5]
    assert not found[1].any()
    assert enlarged(maps, (4, 6)).shape == (2, 4, 6)
