from __future__ import annotations

from math import log

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from ganlet.config.tree import kinds
from ganlet.objective.losses import LOSSES, Bce, Hinge, Lsgan, Relativistic, Wasserstein
from ganlet.objective.settings import ObjectiveConfig

REAL, FAKE = [2.0, -1.0, 0.5], [0.3, 1.5, -2.0]


def logits(values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype, requires_grad=True)


def test_every_kind_of_the_config_has_a_loss():
    assert kinds(ObjectiveConfig.model_fields["loss"]) == LOSSES
    for kind, loss in LOSSES.items():
        assert ObjectiveConfig.model_validate({"loss": {"kind": kind}}).loss == loss()
        assert loss().kind == kind


# log(1 + e^2) = 2.126928, log(1 + e^-2) = 0.126928, log(1 + e^0.3) = 0.854355 and so on, added up by hand.
VALUES = {
    "bce": (Bce(), [0.981283, 3.014675, 0.601005], [0.554355, 0.201413, 2.126928]),
    # One-sided: each sum gains 0.1 * real, and the generator's loss stays.
    "bce, smoothed": (Bce(label_smoothing=0.1), [1.181283, 2.914675, 0.651005], [0.554355, 0.201413, 2.126928]),
    # Two-sided: then each sum loses 0.2 * fake.
    "bce, smoothed twice": (
        Bce(label_smoothing=0.1, fake_smoothing=0.2),
        [1.121283, 2.614675, 1.051005],
        [0.554355, 0.201413, 2.126928],
    ),
    "bce, saturating": (Bce(saturating=True), [0.981283, 3.014675, 0.601005], [-0.854355, -1.701413, -0.126928]),
    # (1 + 0.09) / 2, (4 + 2.25) / 2, (0.25 + 4) / 2; 0.49 / 2, 0.25 / 2, 9 / 2.
    "lsgan": (Lsgan(), [0.545, 3.125, 2.125], [0.245, 0.125, 4.5]),
    "hinge": (Hinge(), [1.3, 4.5, 0.5], [-0.3, -1.5, 2.0]),
    "wasserstein": (Wasserstein(), [-1.7, 2.5, -2.5], [-0.3, -1.5, 2.0]),
    "relativistic": (Relativistic(), [0.167786, 2.578890, 0.078890], [1.867786, 0.078890, 2.578890]),
    # Means are 0.5 (real) and -1/15 (fake). Real below the fake mean by -31/15, 14/15, -17/30: 0.119211, 1.264966,
    # 0.449427; fake above the real mean by -0.2, 1, -2.5: 0.598139, 1.313262, 0.078890. The generator's are the same
    # with signs changed: 2.185877, 0.331632, 1.016094 and 0.798139, 0.313262, 2.578890.
    "relativistic, average": (
        Relativistic(average=True),
        [0.717349, 2.578228, 0.528317],
        [2.984016, 0.644894, 3.594983],
    ),
}
each_loss = pytest.mark.parametrize("loss", [pytest.param(loss, id=case) for case, (loss, _, _) in VALUES.items()])


@pytest.mark.parametrize("case", VALUES)
def test_values_by_hand(case):
    loss, discriminator, generator = VALUES[case]
    real, fake = logits(REAL), logits(FAKE)
    expected = torch.tensor([discriminator, generator], dtype=torch.float64)
    found = torch.stack([loss.discriminator(real, fake), loss.generator(real, fake)])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_every_loss_has_values_by_hand():
    by_hand = [loss for loss, _, _ in VALUES.values()]
    assert all(kind() in by_hand for kind in LOSSES.values())


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=5),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.sampled_from([0.0, 0.2]),
)
def test_bce_is_torchs_binary_cross_entropy(pairs, smoothing, fake_smoothing):
    real, fake = torch.tensor(pairs, dtype=torch.float64).T
    ones, zeros = torch.ones_like(real), torch.zeros_like(fake)
    loss = Bce(label_smoothing=smoothing, fake_smoothing=fake_smoothing)
    minimax = Bce(label_smoothing=smoothing, fake_smoothing=fake_smoothing, saturating=True)
    # Above 20, softplus(x) is x: 2e-9 less than it should be, which float32 does not see.
    close = {"rtol": 1e-12, "atol": 5e-9}

    def reference(logit, target):
        return binary_cross_entropy_with_logits(logit, target, reduction="none")

    expected = reference(real, ones - smoothing) + reference(fake, zeros + fake_smoothing)
    torch.testing.assert_close(loss.discriminator(real, fake), expected, **close)
    torch.testing.assert_close(loss.generator(None, fake), reference(fake, ones), **close)
    torch.testing.assert_close(minimax.generator(None, fake), -reference(fake, zeros), **close)


def test_the_settings_of_the_config_arrive():
    def loss_of(**chosen):
        return ObjectiveConfig.model_validate({"loss": chosen}).loss

    assert loss_of(kind="bce", label_smoothing=0.2, fake_smoothing=0.1, saturating=True) == Bce(
        label_smoothing=0.2, fake_smoothing=0.1, saturating=True
    )
    assert loss_of(kind="relativistic", average=True) == Relativistic(average=True)
    assert loss_of(kind="wasserstein", clip=0.01) == Wasserstein(clip=0.01)
    assert loss_of(kind="wasserstein", clip=0.01).weight_clip == 0.01
    assert all(loss().weight_clip is None for loss in LOSSES.values())


def test_smoothing_pulls_the_logits_of_real_images_to_where_their_target_is():
    best = torch.tensor(0.9, dtype=torch.float64).logit().item()
    real = logits([best - 0.1, best, best + 0.1])
    Bce(label_smoothing=0.1).discriminator(real, logits([0.0, 0.0, 0.0])).sum().backward()
    assert real.grad is not None
    assert real.grad[0] < 0 < real.grad[2]
    assert real.grad[1].item() == pytest.approx(0, abs=1e-12)


@each_loss
def test_results_are_per_sample(loss):
    for size in (1, 5):
        real, fake = torch.randn(size), torch.randn(size)
        assert loss.discriminator(real, fake).shape == loss.generator(real, fake).shape == (size,)
    if getattr(loss, "average", False):
        return
    # One sample's logits decide about its own loss only.
    real, fake = logits(REAL), logits(FAKE)
    alone = loss.discriminator(logits(REAL[1:2]), logits(FAKE[1:2]))
    torch.testing.assert_close(loss.discriminator(real, fake)[1:2], alone)


@each_loss
def test_the_discriminator_pushes_real_up_and_fake_down(loss):
    real, fake = logits([0.3, -0.6, 0.1]), logits([0.2, 0.5, 1.7])
    loss.discriminator(real, fake).sum().backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (real.grad < 0).all()
    assert (fake.grad > 0).all()


@each_loss
def test_the_generator_pushes_fake_up(loss):
    fake = logits([-3.0, 0.5, 0.9])
    loss.generator(logits([0.3, -0.6, 0.1]), fake).sum().backward()
    assert fake.grad is not None
    assert (fake.grad < 0).all()


@each_loss
def test_the_generator_learns_most_where_it_is_found_out(loss):
    fake = logits([-3.0, 3.0])
    loss.generator(logits([0.0, 0.0]), fake).sum().backward()
    assert fake.grad is not None
    strength = fake.grad.abs()
    if loss == Bce(saturating=True):  # which is why it is the exception
        strength = strength.flip(0)
    assert strength[0] >= strength[1]
    assert strength[0] > 0.9


@each_loss
def test_only_losses_that_compare_pairs_need_the_real_logits(loss):
    fake = logits(FAKE)
    if loss.pairs:
        shifted = loss.generator(logits(REAL) + 7, fake + 7)
        torch.testing.assert_close(shifted, loss.generator(logits(REAL), fake))
        with pytest.raises(AssertionError):
            loss.generator(None, fake)
    else:
        assert torch.equal(loss.generator(None, fake), loss.generator(logits(REAL), fake))


@each_loss
def test_large_logits_stay_finite(loss):
    large, small = logits([1e4, -1e4], torch.float32), logits([-1e4, 1e4], torch.float32)
    total = loss.discriminator(large, small).sum() + loss.generator(large, small).sum()
    total.backward()
    for value in (total, large.grad, small.grad):
        assert value is not None
        assert value.isfinite().all()


@pytest.mark.parametrize("kind", LOSSES)
def test_where_a_sigmoid_is_a_probability_the_best_logit_is_that_of_the_odds(kind):
    # Of four images that look the same three are real: the best answer is a probability of 3/4, with the logit log 3.
    real, fake = logits([log(3)] * 4), logits([log(3)] * 4)
    LOSSES[kind]().discriminator(real, fake).sum().backward()
    assert real.grad is not None
    assert fake.grad is not None
    best = abs(3 * real.grad[0].item() + fake.grad[0].item()) < 1e-9
    assert best == LOSSES[kind].probabilities


@pytest.mark.parametrize("kind", LOSSES)
def test_a_boundary_is_where_real_and_fake_are_alike(kind):
    loss, real, fake = LOSSES[kind](), logits(REAL), logits(FAKE)
    boundary = loss.boundary
    of_both = loss.discriminator(real, fake)
    if boundary is None:  # only distances between logits count
        torch.testing.assert_close(loss.discriminator(real + 3, fake + 3), of_both)
    else:  # to be as far above it with real images is as good as to be below it with fake ones
        assert not torch.allclose(loss.discriminator(real + 3, fake + 3), of_both)
        torch.testing.assert_close(loss.discriminator(2 * boundary - fake, 2 * boundary - real), of_both)
    assert loss.signed == (boundary == 0)


def test_the_mean_of_the_average_loss_is_the_papers():
    # Jolicoeur-Martineau 2018, section 4, with D~ = sigmoid(logit - mean logit of the other side).
    real, fake = logits(REAL), logits(FAKE)
    better_real, better_fake = (real - fake.mean()).sigmoid(), (fake - real.mean()).sigmoid()
    discriminator = -better_real.log().mean() - (1 - better_fake).log().mean()
    generator = -better_fake.log().mean() - (1 - better_real).log().mean()
    loss = Relativistic(average=True)
    found = loss.discriminator(real, fake).mean(), loss.generator(real, fake).mean()
    for mine, papers in zip(found, (discriminator, generator), strict=True):
        torch.testing.assert_close(mine, papers)
        # Gradients flow through the means too.
        both = real, fake
        torch.testing.assert_close(
            torch.autograd.grad(mine, both, retain_graph=True), torch.autograd.grad(papers, both, retain_graph=True)
        )
