from __future__ import annotations

import pytest
import torch

from ganlet.objective.settings import ConsistencyConfig, GradientPenaltyConfig, ObjectiveConfig
from ganlet.config.tree import kinds
from ganlet.objective.augment import NUM_DRAWS
from ganlet.objective.penalties import (
    PENALTIES,
    R1,
    R2,
    Anchors,
    Consistency,
    Critique,
    Dragan,
    GradientPenalty,
    Judged,
    Lecam,
    squared_gradient_norm,
)

CONFIGS = kinds(ObjectiveConfig.model_fields["penalties"].annotation)
DEFAULTS = {kind: PENALTIES[kind](CONFIGS[kind]()) for kind in PENALTIES}
VARIANTS = DEFAULTS | {
    "one-sided": GradientPenalty(one_sided=True),
    "everything": Consistency(("color", "translation", "cutout"), balanced=False),
}
ANCHORS = Anchors(real=torch.tensor(1.0), fake=torch.tensor(-2.0))


def some_penalties(which):
    return pytest.mark.parametrize("penalty", [pytest.param(p, id=name) for name, p in VARIANTS.items() if which(p)])


each_penalty = some_penalties(lambda penalty: True)


def pictures(seed, size=4, dtype=torch.float32):
    return torch.randn(size, 3, 8, 9, generator=torch.Generator().manual_seed(seed)).to(dtype)


def judged(critic, images):
    images = images.detach().requires_grad_()
    return Judged(images, critic(images))


def critique(critic, real, fake, **random):
    return Critique(critic, judged(critic, real), judged(critic, fake), random, ANCHORS)


def random_of(penalty, size=4, seed=5):
    generator = torch.Generator().manual_seed(seed)
    drawn = {}
    for need in penalty.needs:
        assert need.kind == "unit"
        drawn[need.name] = torch.rand(size, *need.shape((3, 8, 9)), generator=generator)
    return drawn


def small(*pixels):
    """Images of one row and one channel."""
    return torch.tensor(pixels)[:, None, None, :]


def quadratic(images):
    """Its gradient is the image."""
    return 0.5 * images.flatten(1).square().sum(1)


def uneven(images):
    """Not the same everywhere, nor the same at other brightness."""
    weight = torch.linspace(0.1, 1.0, images[0].numel(), dtype=images.dtype).unflatten(0, images.shape[1:])
    return (weight * (0.3 * images).sin()).sum((1, 2, 3))


def test_every_kind_of_the_config_has_a_penalty():
    assert PENALTIES.keys() == CONFIGS.keys()


def test_the_settings_of_the_config_arrive():
    assert DEFAULTS["gradient_penalty"] == GradientPenalty(one_sided=False)
    assert PENALTIES["gradient_penalty"](GradientPenaltyConfig(one_sided=True)) == GradientPenalty(one_sided=True)
    assert DEFAULTS["consistency"] == Consistency(("translation",), balanced=True)
    settings = ConsistencyConfig(policies=("cutout", "color"), balanced=False)
    assert PENALTIES["consistency"](settings) == Consistency(("cutout", "color"), balanced=False)


# Squared norms: R1 and R2


def test_a_linear_critic_is_penalised_by_its_weight_and_nothing_else():
    weight = pictures(9, 1)[0].mul(8).round()  # whole numbers, so that sums are exact

    def linear(images):
        return (images * weight).sum((1, 2, 3))

    asked = critique(linear, pictures(1), pictures(2))
    expected = (0.5 * weight.square().sum()).expand(4)
    assert torch.equal(R1()(asked), expected)
    assert torch.equal(R2()(asked), expected)


def test_r1_looks_at_real_images_and_r2_at_fake_ones():
    # 3^2 + 4^2 and 1^2 + 2^2, halved; 2^2 + 0 and 6^2 + 8^2, halved.
    asked = critique(quadratic, small([3.0, 4.0], [1.0, 2.0]), small([2.0, 0.0], [-6.0, 8.0]))
    assert R1()(asked).tolist() == [12.5, 2.5]
    assert R2()(asked).tolist() == [2.0, 50.0]


def test_a_critic_that_does_not_look_is_not_penalised():
    assert not squared_gradient_norm(judged(lambda images: 0 * quadratic(images) + 5, pictures(1))).any()


def test_norms_are_summed_in_float32():
    images = torch.full((1, 1, 64, 64), 0.01, dtype=torch.bfloat16)
    norm = squared_gradient_norm(judged(quadratic, images))
    assert norm.dtype == torch.float32
    expected = 4096 * images[0, 0, 0, 0].float() ** 2
    torch.testing.assert_close(norm, expected[None], rtol=1e-5, atol=0)


# Norms of 1: gradient penalty and DRAGAN


@pytest.mark.parametrize(("scale", "two_sided", "one_sided"), [(3.0, 4.0, 4.0), (0.5, 0.25, 0.0), (1.0, 0.0, 0.0)])
def test_the_norm_of_a_linear_critic_is_drawn_towards_one(scale, two_sided, one_sided):
    weight = pictures(9, 1)
    weight = scale * weight / weight.norm()

    def linear(images):
        return (images * weight).sum((1, 2, 3)) + 7

    def value(penalty):
        return penalty(critique(linear, pictures(1), pictures(2), **random_of(penalty)))

    expected = torch.full((4,), two_sided)
    torch.testing.assert_close(value(GradientPenalty()), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(value(Dragan()), expected, rtol=1e-5, atol=1e-5)
    expected = torch.full((4,), one_sided)
    torch.testing.assert_close(value(GradientPenalty(one_sided=True)), expected, rtol=1e-5, atol=1e-5)


def test_the_gradient_penalty_looks_between_real_and_fake():
    # 3/4 (4, 0) + 1/4 (0, 16) = (3, 4), whose norm is 4 above 1; 1/2 (0.6, 0.8) + 0 has a norm 1/2 below 1.
    real, fake = small([4.0, 0.0], [0.6, 0.8]), small([0.0, 16.0], [0.0, 0.0])
    asked = critique(quadratic, real, fake, interpolation=torch.tensor([0.75, 0.5]))
    torch.testing.assert_close(GradientPenalty()(asked), torch.tensor([16.0, 0.25]))
    torch.testing.assert_close(GradientPenalty(one_sided=True)(asked), torch.tensor([16.0, 0.0]))


def test_dragan_looks_around_real_images():
    # The deviation over 0, 0, 4, 4 is 2, half of it 1: the gradients are (0.3, 0.4) and (4.5, 4.5), with the norms
    # 0.5 and 6.363961, and 5.363961^2 = 28.772078.
    real, far = small([0.0, 0.0], [4.0, 4.0]), small([90.0, 80.0], [70.0, 60.0])
    asked = critique(quadratic, real, far, perturbation=small([0.3, 0.4], [0.5, 0.5]))
    torch.testing.assert_close(Dragan()(asked), torch.tensor([0.25, 28.772078]))


@pytest.mark.parametrize("penalty", [GradientPenalty(), Dragan()], ids=["gradient_penalty", "dragan"])
def test_a_flat_critic_is_penalised_and_its_gradient_is_finite(penalty):
    scale = torch.tensor(0.0, requires_grad=True)
    value = penalty(critique(lambda images: scale * quadratic(images), pictures(1), pictures(2), **random_of(penalty)))
    torch.testing.assert_close(value, torch.ones(4), rtol=0, atol=1e-5)
    value.sum().backward()
    assert scale.grad is not None
    assert scale.grad.isfinite()


# Logits: consistency and LeCam


def test_consistency_by_hand():
    def brightness(images):
        return images.sum((1, 2, 3))

    # 8 x 8 ones, moved down by a row, lose 8 of 64; 8 x 8 twos, moved down and right, keep 49 of 64: 98 of 128.
    real, fake = torch.ones(1, 1, 8, 8), 2 * torch.ones(1, 1, 8, 8)
    random = torch.zeros(1, 2, NUM_DRAWS)
    down, right = 5, 6  # the numbers of the translation follow the four of the colours, after its own gate
    random[0, 0, down], random[0, 0, right] = 0.9, 0.5
    random[0, 1, down], random[0, 1, right] = 0.9, 0.9
    asked = critique(brightness, real, fake, consistency=random)
    assert Consistency(balanced=False)(asked).tolist() == [8.0**2]
    assert Consistency(balanced=True)(asked).tolist() == [8.0**2 + 30.0**2]


def test_consistency_is_zero_for_a_critic_that_does_not_mind():
    def transparency(images):
        return images[:, 3].sum((1, 2))

    real, fake = torch.rand(4, 4, 8, 8), torch.rand(4, 4, 8, 8)
    asked = critique(transparency, real, fake, consistency=torch.rand(4, 2, NUM_DRAWS))
    assert not Consistency(("color",))(asked).any()
    assert Consistency(("cutout",))(asked).all()


def test_lecam_by_hand():
    none = torch.zeros(2, 1, 1, 1)
    real, fake = Judged(none, torch.tensor([2.0, -1.0])), Judged(none, torch.tensor([0.5, -3.0]))
    # The averages are 1 (real) and -2 (fake): (2 + 2)^2 + (0.5 - 1)^2 and (-1 + 2)^2 + (-3 - 1)^2.
    value = Lecam()(Critique(quadratic, real, fake, {}, ANCHORS))
    assert value.tolist() == [16.25, 17.0]


# All of them


@each_penalty
def test_results_are_per_sample(penalty):
    random, order = random_of(penalty), torch.tensor([2, 0, 3, 1])
    together = penalty(critique(uneven, pictures(1), pictures(2), **random))
    assert together.shape == (4,)
    assert together.dtype == torch.float32
    assert (together >= 0).all()

    def some(which):
        return critique(
            uneven, pictures(1)[which], pictures(2)[which], **{name: drawn[which] for name, drawn in random.items()}
        )

    torch.testing.assert_close(penalty(some(order)), together[order])
    if penalty != Dragan():  # whose noise goes by the spread of the batch
        torch.testing.assert_close(penalty(some(slice(2, 3))), together[2:3])


@each_penalty
def test_a_penalty_can_be_differentiated_itself(penalty):
    random = {name: drawn.double() for name, drawn in random_of(penalty).items()}
    real, fake = pictures(1, dtype=torch.float64), pictures(2, dtype=torch.float64)

    def total(scale):
        return penalty(critique(lambda images: scale * uneven(images), real, fake, **random)).sum()

    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    total(scale).backward()
    step = 1e-3
    slope = (total(scale.detach() + step) - total(scale.detach() - step)) / (2 * step)
    assert scale.grad is not None
    assert slope
    # Norms are summed in float32, whatever the images are in.
    torch.testing.assert_close(scale.grad, slope.detach().double(), rtol=2e-3, atol=0)


@some_penalties(lambda penalty: penalty.needs)
def test_images_get_no_gradients_from_where_else_a_penalty_looks(penalty):
    looked = []

    def judge(images):
        looked.append(images)
        return uneven(images)

    real, fake = judged(uneven, pictures(1)), judged(uneven, pictures(2))
    penalty(Critique(judge, real, fake, random_of(penalty)))
    assert looked
    assert all(images.grad_fn is None for images in looked)


@each_penalty
def test_penalties_say_whether_they_differentiate(penalty, monkeypatch):
    calls, grad = [], torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *args, **kwargs: calls.append(1) or grad(*args, **kwargs))
    penalty(critique(uneven, pictures(1), pictures(2), **random_of(penalty)))
    assert bool(calls) == penalty.differentiates


@some_penalties(lambda penalty: not penalty.differentiates)
def test_only_penalties_that_differentiate_need_images_that_require_gradients(penalty):
    real, fake = pictures(1), pictures(2)
    plain = Critique(uneven, Judged(real, uneven(real)), Judged(fake, uneven(fake)), random_of(penalty), ANCHORS)
    expected = penalty(critique(uneven, real, fake, **random_of(penalty)))
    torch.testing.assert_close(penalty(plain), expected)
