from __future__ import annotations

import pytest
import torch

from ganlet.config.objective import ObjectiveConfig
from ganlet.config.tree import kinds
from ganlet.objective.penalties import PENALTIES, Judged, r1, r2, squared_gradient_norm

each_penalty = pytest.mark.parametrize("name", PENALTIES)


def judged(critic, images):
    images = images.detach().requires_grad_()
    return Judged(images, critic(images))


def pictures(seed, size=4):
    return torch.randn(size, 3, 5, 7, generator=torch.Generator().manual_seed(seed))


def quadratic(images):
    return 0.5 * images.flatten(1).square().sum(1)


def test_every_kind_of_the_config_has_a_penalty():
    assert PENALTIES.keys() == kinds(ObjectiveConfig.model_fields["penalties"].annotation).keys()


def test_a_linear_critic_is_penalised_by_its_weight_and_nothing_else():
    weight = pictures(9, 1)[0].mul(8).round()  # whole numbers, so that sums are exact

    def linear(images):
        return (images * weight).sum((1, 2, 3))

    real, fake = judged(linear, pictures(1)), judged(linear, pictures(2))
    expected = (0.5 * weight.square().sum()).expand(4)
    assert torch.equal(r1(real, fake), expected)
    assert torch.equal(r2(real, fake), expected)


def test_r1_looks_at_real_images_and_r2_at_fake_ones():
    real, fake = judged(quadratic, pictures(1)), judged(quadratic, pictures(2))
    # The gradient of half the squared norm is the image itself.
    torch.testing.assert_close(r1(real, fake), quadratic(pictures(1)))
    torch.testing.assert_close(r2(real, fake), quadratic(pictures(2)))
    assert not torch.allclose(r1(real, fake), r2(real, fake))


@each_penalty
def test_results_are_per_sample(name):
    penalty = PENALTIES[name]
    together = penalty(judged(quadratic, pictures(1)), judged(quadratic, pictures(2)))
    assert together.shape == (4,)
    alone = penalty(judged(quadratic, pictures(1)[2:3]), judged(quadratic, pictures(2)[2:3]))
    torch.testing.assert_close(together[2:3], alone)


@each_penalty
def test_a_penalty_can_be_differentiated_itself(name):
    scale = torch.tensor(3.0, requires_grad=True)

    def critic(images):
        return scale * quadratic(images)

    real, fake = judged(critic, pictures(1)), judged(critic, pictures(2))
    PENALTIES[name](real, fake).sum().backward()
    assert scale.grad is not None
    seen = real if name == "r1" else fake
    # Half of (scale * ||image||)^2, by scale.
    expected = scale.detach() * seen.images.detach().square().sum()
    torch.testing.assert_close(scale.grad, expected)


def test_a_critic_that_does_not_look_is_not_penalised():
    assert not squared_gradient_norm(judged(lambda images: 0 * quadratic(images) + 5, pictures(1))).any()


def test_norms_are_summed_in_float32():
    images = torch.full((1, 1, 64, 64), 0.01, dtype=torch.bfloat16)
    norm = squared_gradient_norm(judged(quadratic, images))
    assert norm.dtype == torch.float32
    expected = 4096 * images[0, 0, 0, 0].float() ** 2
    torch.testing.assert_close(norm, expected[None], rtol=1e-5, atol=0)
