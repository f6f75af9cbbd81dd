from __future__ import annotations

import pytest
import torch

from ganlet.config.checks import without_effect
from ganlet.config.tree import kinds
from ganlet.objective.augment import POLICIES, num_draws
from ganlet.objective.losses import LOSSES
from ganlet.objective.penalties import (
    PENALTIES,
    R1,
    R2,
    Anchored,
    Consistency,
    CriticStep,
    Dragan,
    GradientPenalty,
    Lecam,
    Scored,
    consistency,
    dragan,
    gradient_norm,
    gradient_penalty,
    lecam,
    r1,
    squared_gradient_norm,
)
from ganlet.objective.settings import ObjectiveConfig
from ganlet.workflows.configuring import make_config

DEFAULTS = {kind: penalty() for kind, penalty in PENALTIES.items()}
VARIANTS = DEFAULTS | {
    "one-sided": GradientPenalty(one_sided=True),
    "everything": Consistency(policies=("color", "translation", "cutout"), balanced=False),
}
MEMORY = {"real_anchor": torch.tensor(1.0), "fake_anchor": torch.tensor(-2.0)}


def some_penalties(which):
    return pytest.mark.parametrize("penalty", [pytest.param(p, id=name) for name, p in VARIANTS.items() if which(p)])


each_penalty = some_penalties(lambda penalty: True)


def pictures(seed, size=4, dtype=torch.float32):
    return torch.randn(size, 3, 8, 9, generator=torch.Generator().manual_seed(seed)).to(dtype)


def scored(critic, images):
    images = images.detach().requires_grad_()
    return Scored(images, critic(images))


def asked(critic, real, fake, **random):
    return CriticStep(critic, scored(critic, real), scored(critic, fake), random, MEMORY)


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


def penalty_of(**chosen):
    (penalty,) = ObjectiveConfig.model_validate({"penalties": [chosen]}).penalties
    return penalty


def test_every_kind_of_the_config_has_a_penalty():
    assert kinds(ObjectiveConfig.model_fields["penalties"]) == PENALTIES
    for kind in PENALTIES:
        assert penalty_of(kind=kind) == DEFAULTS[kind]
        assert DEFAULTS[kind].kind == kind
        assert penalty_of(kind=kind, weight=7.5, every=3) == PENALTIES[kind](weight=7.5, every=3)


def test_the_settings_of_the_config_arrive():
    assert DEFAULTS["gradient_penalty"] == GradientPenalty(one_sided=False)
    assert penalty_of(kind="gradient_penalty", one_sided=True) == GradientPenalty(one_sided=True)
    assert DEFAULTS["consistency"] == Consistency(policies=("translation",), balanced=True)
    chosen = penalty_of(kind="consistency", policies=["cutout", "color"], balanced=False)
    assert chosen == Consistency(policies=("cutout", "color"), balanced=False)
    assert penalty_of(kind="lecam", half_life=70) == Lecam(half_life=70)


# Squared norms: R1 and R2


def test_a_linear_critic_is_penalised_by_its_weight_and_nothing_else():
    weight = pictures(9, 1)[0].mul(8).round()  # whole numbers, so that sums are exact

    def linear(images):
        return (images * weight).sum((1, 2, 3))

    step = asked(linear, pictures(1), pictures(2))
    expected = (0.5 * weight.square().sum()).expand(4)
    assert torch.equal(R1()(step), expected)
    assert torch.equal(R2()(step), expected)


def test_r1_looks_at_real_images_and_r2_at_fake_ones():
    # 3^2 + 4^2 and 1^2 + 2^2, halved; 2^2 + 0 and 6^2 + 8^2, halved.
    step = asked(quadratic, small([3.0, 4.0], [1.0, 2.0]), small([2.0, 0.0], [-6.0, 8.0]))
    assert R1()(step).tolist() == [12.5, 2.5]
    assert R2()(step).tolist() == [2.0, 50.0]


def test_a_critic_that_does_not_look_is_not_penalised():
    assert not squared_gradient_norm(*scored(lambda images: 0 * quadratic(images) + 5, pictures(1))).any()


def test_norms_are_summed_in_float32():
    images = torch.full((1, 1, 64, 64), 0.01, dtype=torch.bfloat16)
    norm = squared_gradient_norm(*scored(quadratic, images))
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
        return penalty(asked(linear, pictures(1), pictures(2), **random_of(penalty)))

    expected = torch.full((4,), two_sided)
    torch.testing.assert_close(value(GradientPenalty()), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(value(Dragan()), expected, rtol=1e-5, atol=1e-5)
    expected = torch.full((4,), one_sided)
    torch.testing.assert_close(value(GradientPenalty(one_sided=True)), expected, rtol=1e-5, atol=1e-5)


def test_the_gradient_penalty_looks_between_real_and_fake():
    # 3/4 (4, 0) + 1/4 (0, 16) = (3, 4), whose norm is 4 above 1; 1/2 (0.6, 0.8) + 0 has a norm 1/2 below 1.
    real, fake = small([4.0, 0.0], [0.6, 0.8]), small([0.0, 16.0], [0.0, 0.0])
    step = asked(quadratic, real, fake, interpolation=torch.tensor([0.75, 0.5]))
    torch.testing.assert_close(GradientPenalty()(step), torch.tensor([16.0, 0.25]))
    torch.testing.assert_close(GradientPenalty(one_sided=True)(step), torch.tensor([16.0, 0.0]))


def test_dragan_looks_around_real_images():
    # The deviation over 0, 0, 4, 4 is 2, half of it 1: the gradients are (0.3, 0.4) and (4.5, 4.5), with the norms
    # 0.5 and 6.363961, and 5.363961^2 = 28.772078.
    real, far = small([0.0, 0.0], [4.0, 4.0]), small([90.0, 80.0], [70.0, 60.0])
    step = asked(quadratic, real, far, perturbation=small([0.3, 0.4], [0.5, 0.5]))
    torch.testing.assert_close(Dragan()(step), torch.tensor([0.25, 28.772078]))


@pytest.mark.parametrize("penalty", [GradientPenalty(), Dragan()], ids=["gradient_penalty", "dragan"])
def test_a_flat_critic_is_penalised_and_its_gradient_is_finite(penalty):
    scale = torch.tensor(0.0, requires_grad=True)
    value = penalty(asked(lambda images: scale * quadratic(images), pictures(1), pictures(2), **random_of(penalty)))
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
    random = torch.zeros(1, 2, num_draws())
    down, right = 5, 6  # the numbers of the translation follow the four of the colours, after its own gate
    random[0, 0, down], random[0, 0, right] = 0.9, 0.5
    random[0, 1, down], random[0, 1, right] = 0.9, 0.9
    step = asked(brightness, real, fake, consistency=random)
    assert Consistency(balanced=False)(step).tolist() == [8.0**2]
    assert Consistency(balanced=True)(step).tolist() == [8.0**2 + 30.0**2]


def test_consistency_is_zero_for_a_critic_that_does_not_mind():
    def transparency(images):
        return images[:, 3].sum((1, 2))

    real, fake = torch.rand(4, 4, 8, 8), torch.rand(4, 4, 8, 8)
    step = asked(transparency, real, fake, consistency=torch.rand(4, 2, num_draws()))
    assert not Consistency(policies=("color",))(step).any()
    assert Consistency(policies=("cutout",))(step).all()


def test_lecam_by_hand():
    none = torch.zeros(2, 1, 1, 1)
    real, fake = Scored(none, torch.tensor([2.0, -1.0])), Scored(none, torch.tensor([0.5, -3.0]))
    # The averages are 1 (real) and -2 (fake): (2 + 2)^2 + (0.5 - 1)^2 and (-1 + 2)^2 + (-3 - 1)^2.
    value = Lecam()(CriticStep(quadratic, real, fake, {}, MEMORY))
    assert value.tolist() == [16.25, 17.0]


# All of them


@each_penalty
def test_results_are_per_sample(penalty):
    random, order = random_of(penalty), torch.tensor([2, 0, 3, 1])
    together = penalty(asked(uneven, pictures(1), pictures(2), **random))
    assert together.shape == (4,)
    assert together.dtype == torch.float32
    assert (together >= 0).all()

    def some(which):
        return asked(
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
        return penalty(asked(lambda images: scale * uneven(images), real, fake, **random)).sum()

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

    def critic(images):
        looked.append(images)
        return uneven(images)

    real, fake = scored(uneven, pictures(1)), scored(uneven, pictures(2))
    penalty(CriticStep(critic, real, fake, random_of(penalty)))
    assert looked
    assert all(images.grad_fn is None for images in looked)


@each_penalty
def test_penalties_say_whether_they_differentiate(penalty, monkeypatch):
    calls, grad = [], torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *args, **kwargs: calls.append(1) or grad(*args, **kwargs))
    penalty(asked(uneven, pictures(1), pictures(2), **random_of(penalty)))
    assert bool(calls) == penalty.differentiates


@some_penalties(lambda penalty: not penalty.differentiates)
def test_only_penalties_that_differentiate_need_images_that_require_gradients(penalty):
    real, fake = pictures(1), pictures(2)
    plain = CriticStep(uneven, Scored(real, uneven(real)), Scored(fake, uneven(fake)), random_of(penalty), MEMORY)
    expected = penalty(asked(uneven, real, fake, **random_of(penalty)))
    torch.testing.assert_close(penalty(plain), expected)


# As functions, for loops of one's own


@pytest.fixture
def step():
    """A step of the uneven critic with all random numbers that any penalty needs."""
    random = {name: drawn for penalty in DEFAULTS.values() for name, drawn in random_of(penalty).items()}
    return asked(uneven, pictures(1), pictures(2), **random)


def test_r1_and_r2_are_one_function_of_images_and_their_logits(step):
    assert torch.equal(r1(*step.real), R1()(step))
    assert torch.equal(r1(*step.fake), R2()(step))
    assert torch.equal(r1(*step.real), 0.5 * squared_gradient_norm(*step.real))
    assert not torch.equal(R1()(step), R2()(step))


def test_the_gradient_norm_is_the_root_of_its_square(step):
    torch.testing.assert_close(gradient_norm(uneven, step.real.images) ** 2, squared_gradient_norm(*step.real))


@pytest.mark.parametrize("one_sided", [False, True])
def test_the_gradient_penalty_is_a_function_of_critic_and_images(step, one_sided):
    real, fake, share = step.real.images, step.fake.images, step.random["interpolation"]
    found = gradient_penalty(uneven, real, fake, share, one_sided=one_sided)
    assert torch.equal(found, GradientPenalty(one_sided=one_sided)(step))
    between = torch.stack([s * r + (1 - s) * f for r, f, s in zip(real, fake, share, strict=True)])
    excess = gradient_norm(uneven, between) - 1
    torch.testing.assert_close(found, (excess.clamp_min(0) if one_sided else excess).square())


def test_dragan_is_a_function_of_critic_and_images(step):
    assert torch.equal(dragan(uneven, step.real.images, step.random["perturbation"]), Dragan()(step))


def test_consistency_is_a_function_of_one_side(step):
    numbers = step.random["consistency"]
    policies = ("translation", "cutout")
    of_real = consistency(uneven, *step.real, numbers[:, 0], policies)
    of_fake = consistency(uneven, *step.fake, numbers[:, 1], policies)
    assert torch.equal(Consistency(policies=policies, balanced=False)(step), of_real)
    assert torch.equal(Consistency(policies=policies)(step), of_real + of_fake)
    assert of_fake.any()


def test_lecam_is_a_function_of_logits_and_anchors(step):
    anchors = MEMORY["real_anchor"], MEMORY["fake_anchor"]
    assert torch.equal(lecam(step.real.logits, step.fake.logits, *anchors), Lecam()(step))
    # One side at a time: (1 + 2)^2 + (-2 - 1)^2 where each is at its own anchor, nothing where it is at the other's.
    own, other = (torch.tensor([value]) for value in (1.0, -2.0))
    assert lecam(own, other, *anchors).item() == 18
    assert lecam(other, own, *anchors).item() == 0


# What is said of them


@pytest.mark.parametrize("kind", PENALTIES)
def test_what_looks_beyond_the_step_says_so(kind, step):
    class Watched(dict):
        def __getitem__(self, name):
            asked_for.add(name)
            return super().__getitem__(name)

    asked_for = set()
    watched = CriticStep(step.critic, step.real, step.fake, Watched(step.random), Watched(step.memory))
    DEFAULTS[kind](watched)
    anchors = {"real_anchor", "fake_anchor"} if isinstance(DEFAULTS[kind], Anchored) else set()
    assert asked_for == {need.name for need in DEFAULTS[kind].needs} | anchors


@some_penalties(lambda penalty: penalty.bounds_slope)
def test_a_penalty_that_bounds_the_slope_grows_with_it(penalty):
    def value(scale, shift):
        def critic(images):
            return scale * uneven(images) + shift

        return penalty(asked(critic, pictures(1), pictures(2), **random_of(penalty)))

    # Of a critic that is steep everywhere. A constant on top says nothing about its slope.
    steep, steeper = value(20.0, 0.0), value(40.0, 0.0)
    assert (steeper > 3 * steep).all()
    torch.testing.assert_close(value(20.0, 50.0), steep)


def noted(changes):
    return [note for note in without_effect(make_config(overrides=changes)) if note.startswith("discriminator.norm")]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", PENALTIES)
def test_norms_over_the_batch_beside_a_penalty_for_each_picture_are_noted_with_every_loss(loss, kind):
    per_sample = kind in ("gradient_penalty", "dragan")
    assert PENALTIES[kind].per_sample == per_sample
    objective = {"loss": {"kind": loss}, "penalties": [{"kind": kind}]}
    notes = noted({"objective": objective, "discriminator.norm": "batch"})
    assert len(notes) == per_sample
    assert all("each logit depend on the whole batch" in note for note in notes)
    assert not noted({"objective": objective, "discriminator.norm": "layer"})
    assert not noted({"objective": objective, "discriminator.kind": "mlp"})  # has no normalisation
    assert not noted({"objective.loss": {"kind": loss}, "discriminator.norm": "batch"})


def test_two_penalties_for_each_picture_are_noted_once():
    penalties = [{"kind": "gradient_penalty"}, {"kind": "dragan"}]
    assert len(noted({"objective.penalties": penalties, "discriminator.norm": "batch"})) == 1


def test_consistency_asks_for_the_numbers_of_its_own_policies_whatever_others_there_are(monkeypatch):
    """Else a program that has entered one more would go on with other numbers than the run was begun with."""

    def asked(*policies):
        (need,) = PENALTIES["consistency"](policies=policies).needs
        return need.shape((3, 8, 8))

    before = asked("color", "translation")
    monkeypatch.setitem(POLICIES, "own", lambda images, amounts: images)
    assert asked("color", "translation") == before == (2, num_draws())
    assert asked("own") == (2, num_draws(("own",))) != before
