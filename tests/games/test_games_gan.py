from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlet.engine.window import MEASURED
from ganlet.networks import build_discriminator, build_generator
from ganlet.networks.interfaces import Discriminator, Judgement
from ganlet.objective import (
    LOSSES,
    Adaptive,
    Objective,
    Shown,
    WeightedPenalty,
    build_objective,
    measured_beside,
)
from ganlet.objective.augment import NUM_DRAWS, augment
from ganlet.objective.losses import Bce, Hinge, Relativistic
from ganlet.objective.penalties import R1, R2
from ganlet.objective.settings import ObjectiveConfig
from ganlet.workflows.configuring import make_config


class Quadratic(Discriminator):
    """Logit = scale * half the squared norm of the image, so that its gradient is scale * image."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.seen: list[torch.Tensor] = []

    def judge(self, images, labels=None):
        self.seen.append(images)
        return Judgement(self.scale * 0.5 * images.flatten(1).square().sum(1))


def pictures(seed, *shape):
    return torch.randn(*(shape or (6, 1, 3, 3)), generator=torch.Generator().manual_seed(seed))


REAL, FAKE = pictures(1), 0.5 * pictures(2)
ADAPTIVE = Adaptive(ObjectiveConfig(), torch.device("cpu"))


def shown(real=REAL, fake=FAKE, **random):
    """What a step is about; with instance noise of level 0.3 where it is given."""
    levels = {"instance_noise": torch.tensor(0.3)} if "instance_noise" in random else {}
    return Shown(real, fake, None, random, levels)


def half_norms(images):
    return 0.5 * images.flatten(1).square().sum(1)


# The discriminator's side


def test_without_penalties_the_total_is_the_mean_loss():
    total, parts = Objective(Hinge()).for_discriminator(Quadratic(), shown(), ADAPTIVE)
    expected = Hinge().discriminator(0.5 * half_norms(REAL), 0.5 * half_norms(FAKE)).mean()
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(parts["discriminator_loss"], expected)


def test_penalties_are_weighted_and_lazy_ones_made_up_for():
    penalties = (WeightedPenalty("r1", R1(), 3.0, every=4), WeightedPenalty("r2", R2(), 0.5))
    critic = Quadratic()
    total, parts = Objective(Bce(), penalties).for_discriminator(critic, shown(), ADAPTIVE, penalties)
    # Half of || scale * image ||^2.
    at_real, at_fake = 0.25 * half_norms(REAL).mean(), 0.25 * half_norms(FAKE).mean()
    torch.testing.assert_close(parts["r1"], at_real)
    torch.testing.assert_close(parts["r2"], at_fake)
    torch.testing.assert_close(total, parts["discriminator_loss"] + 3.0 * 4 * at_real + 0.5 * at_fake)
    total.backward()
    logits = critic.scale.detach() * half_norms(REAL), critic.scale.detach() * half_norms(FAKE)
    # By scale: the loss through both logits, and scale * ||image||^2 for each penalty.
    by_loss = -(logits[0].neg().sigmoid() * half_norms(REAL)).mean() + (logits[1].sigmoid() * half_norms(FAKE)).mean()
    by_penalties = 12.0 * 2 * 0.5 * half_norms(REAL).mean() + 0.5 * 2 * 0.5 * half_norms(FAKE).mean()
    torch.testing.assert_close(critic.scale.grad, by_loss + by_penalties)


def test_only_the_penalties_that_are_due_are_computed():
    objective = Objective(Bce(), (WeightedPenalty("r1", R1(), 1.0), WeightedPenalty("r2", R2(), 1.0)))
    _, parts = objective.for_discriminator(Quadratic(), shown(), ADAPTIVE, objective.penalties[1:])
    assert "r2" in parts
    assert "r1" not in parts


def test_lazy_penalties_are_due_at_every_nth_step():
    often, seldom = WeightedPenalty("r1", R1(), 1.0), WeightedPenalty("r2", R2(), 1.0, every=3)
    objective = Objective(Bce(), (often, seldom))
    due = [objective.due(step) for step in range(7)]
    assert due == [(often, seldom) if step in (0, 3, 6) else (often,) for step in range(7)]


@pytest.mark.parametrize("due", [(), (WeightedPenalty("r1", R1(), 1.0), WeightedPenalty("r2", R2(), 1.0))])
def test_the_images_handed_in_are_left_alone(due):
    real, fake = REAL.clone(), FAKE.clone()
    total, _ = Objective(Bce()).for_discriminator(Quadratic(), shown(real, fake), ADAPTIVE, due)
    total.backward()
    assert not real.requires_grad
    assert not fake.requires_grad
    assert real.grad is None
    assert fake.grad is None
    assert torch.equal(real, REAL)
    assert torch.equal(fake, FAKE)


def test_a_penalty_reaches_the_discriminator_and_not_the_images():
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    due = (WeightedPenalty("r1", R1(), 1.0), WeightedPenalty("r2", R2(), 1.0))
    critic = Quadratic()
    total, _ = Objective(Hinge()).for_discriminator(critic, shown(real, fake), ADAPTIVE, due)
    total.backward()
    assert critic.scale.grad
    assert real.grad is None
    assert fake.grad is None


def test_a_penalty_changes_what_a_real_discriminator_learns():
    config = make_config(overrides={"data": {"size": 8, "channels": 1}, "discriminator.width": 2})
    real, fake = pictures(1, 4, 1, 8, 8), pictures(2, 4, 1, 8, 8)
    gradients = []
    for due in ((), (WeightedPenalty("r1", R1(), 10.0),)):
        discriminator = build_discriminator(config)
        Objective(Bce()).for_discriminator(discriminator, shown(real, fake), ADAPTIVE, due)[0].backward()
        gradients.append([parameter.grad for parameter in discriminator.parameters()])
    assert not any(torch.allclose(without, penalised) for without, penalised in zip(*gradients, strict=True))


# The generator's side


@pytest.mark.parametrize("kind", LOSSES)
def test_the_generators_loss_reaches_fake_images_only(kind):
    objective = build_objective(make_config(overrides={"objective.loss": {"kind": kind}}))
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    total, parts = objective.for_generator(Quadratic(), shown(real, fake), ADAPTIVE)
    total.backward()
    assert real.grad is None
    assert fake.grad is not None
    assert fake.grad.flatten(1).any(1).all()
    torch.testing.assert_close(parts["generator_loss"], total.detach())


def test_the_generators_loss_is_the_mean():
    total, _ = Objective(Relativistic()).for_generator(Quadratic(), shown(), ADAPTIVE)
    torch.testing.assert_close(total, Relativistic().generator(0.5 * half_norms(REAL), 0.5 * half_norms(FAKE)).mean())


def test_real_images_are_judged_only_for_losses_that_compare_pairs():
    for loss, judged in ((Bce(), 1), (Relativistic(), 2)):
        critic = Quadratic()
        Objective(loss).for_generator(critic, shown(), ADAPTIVE)
        assert len(critic.seen) == judged


def test_the_generators_loss_trains_the_generator():
    config = make_config(overrides={"data": {"size": 8, "channels": 1}, "generator.width": 2, "discriminator.width": 2})
    generator, discriminator = build_generator(config), build_discriminator(config)
    fake = generator(pictures(3, 4, generator.latent_size))
    Objective(Bce()).for_generator(discriminator, shown(pictures(1, 4, 1, 8, 8), fake), ADAPTIVE)[0].backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in generator.parameters())


# Both sides


def test_parts_are_what_is_logged():
    penalties = (WeightedPenalty("r1", R1(), 1.0), WeightedPenalty("r2", R2(), 1.0))
    objective = Objective(Bce(), penalties)
    _, discriminator = objective.for_discriminator(Quadratic(), shown(), ADAPTIVE, penalties)
    _, generator = objective.for_generator(Quadratic(), shown(), ADAPTIVE)
    assert {*discriminator, *generator} <= {*MEASURED, "r1", "r2"}
    logged_by_the_step = {"discriminator_gradient_norm", "generator_gradient_norm", "failed_steps"}
    assert {*MEASURED, "r1", "r2"} - {*discriminator, *generator} == logged_by_the_step
    for value in (discriminator | generator).values():
        assert value.shape == ()
        assert not value.requires_grad


def test_parts_are_means_over_the_batch():
    _, parts = Objective(Bce()).for_discriminator(Quadratic(), shown(), ADAPTIVE)
    logits = {"real": 0.5 * half_norms(REAL), "fake": 0.5 * half_norms(FAKE)}
    for side, logit in logits.items():
        torch.testing.assert_close(parts[f"{side}_logit"], logit.mean())
        torch.testing.assert_close(parts[f"{side}_probability"], logit.sigmoid().mean())


def test_losses_of_coarse_logits_are_computed_in_float32():
    class Coarse(Quadratic):
        def judge(self, images, labels=None):
            return Judgement(super().judge(images).logits.bfloat16())

    for total, parts in (
        Objective(Bce()).for_discriminator(Coarse(), shown(), ADAPTIVE),
        Objective(Bce()).for_generator(Coarse(), shown(), ADAPTIVE),
    ):
        assert {total.dtype, *(part.dtype for part in parts.values())} == {torch.float32}


def test_the_discriminator_sees_the_noise():
    noise = torch.stack([pictures(3), pictures(4)], dim=1)
    critic, due = Quadratic(), (WeightedPenalty("r1", R1(), 1.0), WeightedPenalty("r2", R2(), 1.0))
    _, parts = Objective(Bce()).for_discriminator(critic, shown(instance_noise=noise), ADAPTIVE, due)
    noisy_real, noisy_fake = REAL + 0.3 * pictures(3), FAKE + 0.3 * pictures(4)
    torch.testing.assert_close(torch.stack(critic.seen), torch.stack([noisy_real, noisy_fake]))
    # Penalties are taken where the discriminator looks.
    torch.testing.assert_close(parts["r1"], 0.25 * half_norms(noisy_real).mean())
    torch.testing.assert_close(parts["r2"], 0.25 * half_norms(noisy_fake).mean())


def test_the_noise_lies_between_generator_and_discriminator():
    noise = torch.stack([pictures(3), pictures(4)], dim=1)
    critic, fake = Quadratic(), FAKE.clone().requires_grad_()
    total, _ = Objective(Relativistic()).for_generator(critic, shown(REAL, fake, instance_noise=noise), ADAPTIVE)
    seen = [REAL + 0.3 * pictures(3), FAKE + 0.3 * pictures(4)]
    torch.testing.assert_close(torch.stack(critic.seen), torch.stack(seen))
    total.backward()
    assert fake.grad is not None
    assert fake.grad.any()


def test_the_objective_of_a_config():
    config = make_config(
        overrides={
            "objective.loss": {"kind": "bce", "label_smoothing": 0.1},
            "objective.penalties": [{"kind": "r2", "weight": 3, "every": 4}, {"kind": "r1"}],
        }
    )
    expected = (WeightedPenalty("r2", R2(), 3.0, 4), WeightedPenalty("r1", R1(), 1.0, 1))
    assert build_objective(config) == Objective(Bce(0.1), expected)


# What the discriminator is shown, and what it is asked


def test_flipped_pairs_are_judged_the_wrong_way_round():
    flips = torch.tensor([0.05, 0.9, 0.1, 0.5, 0.09, 0.3])
    objective = Objective(Bce(), label_flips=0.1)
    total, parts = objective.for_discriminator(Quadratic(), shown(label_flips=flips), ADAPTIVE)
    real, fake = 0.5 * half_norms(REAL), 0.5 * half_norms(FAKE)
    as_noted = Bce().discriminator(real, fake)
    wrong_way_round = Bce().discriminator(fake, real)
    flipped = torch.tensor([True, False, False, False, True, False])  # below 0.1
    torch.testing.assert_close(total, torch.where(flipped, wrong_way_round, as_noted).mean())
    torch.testing.assert_close(parts["real_logit"], real.mean())  # what is logged is not flipped


def test_a_pass_has_its_own_noise_and_its_own_smoothing():
    config = make_config(overrides={"objective.passes": [{}, {"noise": 0.5}, {"label_smoothing": 0.2}]})
    objective = build_objective(config)
    noise = torch.stack([pictures(seed) for seed in (5, 6, 7)], dim=1)
    views, totals = [], []
    for number in range(3):
        critic = Quadratic()
        total, _ = objective.for_discriminator(critic, shown(pass_noise=noise), ADAPTIVE, (), number)
        views.append(critic.seen)
        totals.append(total)
    torch.testing.assert_close(views[0], [REAL, FAKE])
    torch.testing.assert_close(views[1], [(REAL + 0.5 * pictures(6)).clamp(-1, 1), FAKE])
    torch.testing.assert_close(views[2], [REAL, FAKE])
    assert views[1][0].abs().max() == 1
    logits = 0.5 * half_norms(REAL), 0.5 * half_norms(FAKE)
    torch.testing.assert_close(totals[0], Bce().discriminator(*logits).mean())
    torch.testing.assert_close(totals[2], Bce(label_smoothing=0.2).discriminator(*logits).mean())


def test_both_sides_are_augmented_with_numbers_of_their_own():

    adaptive = Adaptive(ObjectiveConfig(), torch.device("cpu"))
    numbers = torch.rand(6, 2, NUM_DRAWS, generator=torch.Generator().manual_seed(0))
    objective, critic = Objective(Bce(), policies=("translation", "cutout")), Quadratic()
    _, parts = objective.for_discriminator(critic, shown(augment=numbers), adaptive)
    expected = [
        augment(images, numbers[:, side], torch.tensor(1.0), objective.policies)
        for side, images in enumerate((REAL, FAKE))
    ]
    torch.testing.assert_close(critic.seen, expected)
    assert not torch.equal(critic.seen[0], REAL)
    assert parts["augment_strength"] == 1
    adaptive["strength"].zero_()
    critic = Quadratic()
    objective.for_generator(critic, shown(augment=numbers), adaptive)
    assert torch.equal(critic.seen[0], FAKE)


def test_the_generator_learns_from_its_best_images_only():
    fake = FAKE.clone().requires_grad_()
    levels = {"top_share": torch.tensor(0.34)}  # 2.04 of 6 images: 3
    total, _ = Objective(Bce()).for_generator(Quadratic(), Shown(REAL, fake, None, {}, levels), ADAPTIVE)
    total.backward()
    logits = 0.5 * half_norms(FAKE)
    best = logits.argsort(descending=True)[:3]
    torch.testing.assert_close(total.detach(), Bce().generator(None, logits[best]).mean())
    assert fake.grad is not None
    assert set(fake.grad.flatten(1).any(1).nonzero().flatten().tolist()) == set(best.tolist())


class Guessing(Quadratic):
    """Guesses labels by the mean of the image: logits (mean, 2 mean, 3 mean)."""

    def judge(self, images, labels=None):
        mean = images.flatten(1).mean(1, keepdim=True)
        return Judgement(super().judge(images).logits, mean * torch.tensor([[1.0, 2.0, 3.0]]))


@pytest.mark.parametrize("exclusive", [True, False])
def test_labels_are_guessed_of_real_and_of_fake_images(exclusive):
    labels = torch.eye(3)[[0, 1, 2, 2, 1, 0]]
    about = Shown(REAL, FAKE, labels, {}, {})
    objective = Objective(Bce(), classifier_weight=0.5, exclusive=exclusive)
    total, parts = objective.for_discriminator(Guessing(), about, ADAPTIVE)

    def loss_of(images):
        logits = images.flatten(1).mean(1, keepdim=True) * torch.tensor([[1.0, 2.0, 3.0]])
        if exclusive:
            return -(logits.log_softmax(1) * labels).sum(1).mean()
        return -(labels * logits.sigmoid().log() + (1 - labels) * (-logits).sigmoid().log()).mean()

    torch.testing.assert_close(parts["label_loss"], loss_of(REAL))
    torch.testing.assert_close(total, parts["discriminator_loss"] + 0.5 * (loss_of(REAL) + loss_of(FAKE)))
    total, parts = objective.for_generator(Guessing(), about, ADAPTIVE)
    torch.testing.assert_close(parts["fake_label_loss"], loss_of(FAKE))
    torch.testing.assert_close(total, parts["generator_loss"] + 0.5 * loss_of(FAKE))


def test_all_that_is_measured_beside_has_a_name(begin_parts):
    names, parts = begin_parts
    assert parts - set(MEASURED) <= set(names)
    assert set(names) - parts == {"held_out_logit"}  # measured by the step


@pytest.fixture
def begin_parts():
    """The names of what a config with everything measures beside, and what both sides return."""
    changes = {
        "data": {"labels": "classes", "label_names": ["a", "b", "c"], "channels": 1, "size": 8},
        "discriminator.condition": "classifier",
        "objective.augment": {"policies": ["cutout"], "adaptive": "held_out"},
        "objective.penalties": [{"kind": "r1"}, {"kind": "lecam"}],
    }
    config = make_config(overrides=changes)
    objective = build_objective(config)
    labels = torch.eye(3)[[0, 1, 2, 2, 1, 0]]

    about = Shown(REAL, FAKE, labels, {"augment": torch.rand(6, 2, NUM_DRAWS)}, {})
    _, first = objective.for_discriminator(Guessing(), about, ADAPTIVE, objective.penalties)
    _, second = objective.for_generator(Guessing(), about, ADAPTIVE)
    return measured_beside(config), {*first, *second}
