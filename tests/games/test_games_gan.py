from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlet.games import Batch, Gan, Inputs
from ganlet.games.gan import ALWAYS_MEASURED
from ganlet.networks.interfaces import Logits
from ganlet.objective.augment import augment, num_draws
from ganlet.objective.losses import LOSSES, Bce, Hinge, Relativistic
from ganlet.objective.penalties import PENALTIES, R1, R2
from ganlet.workflows.configuring import make_config

BOTH = {"objective.penalties": [{"kind": "r1"}, {"kind": "r2"}]}
SMALL = {"data": {"size": 8, "channels": 1}, "generator.width": 2, "discriminator.width": 2}
MEASURED_BY_THE_STEP = {"discriminator_gradient_norm", "generator_gradient_norm", "failed_steps"}


class Quadratic(nn.Module):
    """Logit = scale * half the squared norm of the image, so that its gradient is scale * image."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.seen: list[torch.Tensor] = []

    def forward(self, images, labels=None):
        self.seen.append(images)
        return self.scale * 0.5 * images.flatten(1).square().sum(1)


def pictures(seed, *shape):
    return torch.randn(*(shape or (6, 1, 3, 3)), generator=torch.Generator().manual_seed(seed))


REAL, FAKE = pictures(1), 0.5 * pictures(2)


def half_norms(images):
    return 0.5 * images.flatten(1).square().sum(1)


def game(changes=None):
    return Gan(make_config(overrides=changes or {}))


def inputs_of(of, due=None, levels=None, **random):
    """Inputs of an iteration at the start, beside its images; with instance noise of level 0.3 where it is given."""
    levels = dict(levels or {}) | ({"instance_noise": torch.tensor(0.3)} if "instance_noise" in random else {})
    memory = {name: torch.tensor(value) for name, value in of.memory().items()}
    return Inputs(images={}, levels=levels, memory=memory, due=of.due(0) if due is None else (due,))


def discriminator_loss(of, critic, real=REAL, fake=FAKE, *, labels=None, due=None, number=0, memory=None, **random):
    """Loss and parts of a discriminator step; with the penalties that are due at the start, unless others are given."""
    inputs = inputs_of(of, due, **random)
    if memory is not None:
        inputs.memory.update(memory)
    return of.discriminator_loss(critic, Batch(real, fake, labels, random), inputs, 0, number)


def generator_loss(of, critic, real=REAL, fake=FAKE, *, labels=None, levels=None, memory=None, **random):
    """Loss and parts of a generator step."""
    inputs = inputs_of(of, levels=levels, **random)
    if memory is not None:
        inputs.memory.update(memory)
    return of.generator_loss(critic, Batch(real, fake, labels, random), inputs)


# The discriminator's side


def test_without_penalties_the_total_is_the_mean_loss():
    total, parts = discriminator_loss(game({"objective.loss": {"kind": "hinge"}}), Quadratic())
    expected = Hinge().discriminator(0.5 * half_norms(REAL), 0.5 * half_norms(FAKE)).mean()
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(parts["discriminator_loss"], expected)


def test_penalties_are_weighted_and_lazy_ones_made_up_for():
    penalties = [{"kind": "r1", "weight": 3.0, "every": 4}, {"kind": "r2", "weight": 0.5}]
    critic = Quadratic()
    total, parts = discriminator_loss(game({"objective.penalties": penalties}), critic)
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
    _, parts = discriminator_loss(game(BOTH), Quadratic(), due=(R2(),))
    assert "r2" in parts
    assert "r1" not in parts


def test_lazy_penalties_are_due_at_every_nth_step():
    often, seldom = R1(), R2(every=3)
    penalties = [{"kind": "r1"}, {"kind": "r2", "every": 3}]
    one = game({"objective.penalties": penalties, "train.batch_size": 10})
    expected = [(often, seldom) if step in (0, 3, 6) else (often,) for step in range(8)]
    assert [one.due(images_seen) for images_seen in range(0, 80, 10)] == [(due,) for due in expected]
    # Discriminator steps are counted, not iterations.
    two = game({"objective.penalties": penalties, "train.batch_size": 10, "train.n_critic": 2})
    assert [two.due(images_seen) for images_seen in (0, 20, 40, 60)] == [
        tuple(expected[step : step + 2]) for step in (0, 2, 4, 6)
    ]


@pytest.mark.parametrize("due", [(), (R1(), R2())])
def test_the_images_handed_in_are_left_alone(due):
    real, fake = REAL.clone(), FAKE.clone()
    total, _ = discriminator_loss(game(), Quadratic(), real, fake, due=due)
    total.backward()
    assert not real.requires_grad
    assert not fake.requires_grad
    assert real.grad is None
    assert fake.grad is None
    assert torch.equal(real, REAL)
    assert torch.equal(fake, FAKE)


def test_a_penalty_reaches_the_discriminator_and_not_the_images():
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    critic = Quadratic()
    total, _ = discriminator_loss(game({"objective.loss": {"kind": "hinge"}, **BOTH}), critic, real, fake)
    total.backward()
    assert critic.scale.grad
    assert real.grad is None
    assert fake.grad is None


@pytest.mark.parametrize("kind", PENALTIES)
def test_every_penalty_changes_what_a_real_discriminator_learns(kind):
    real, fake = pictures(1, 4, 1, 8, 8), pictures(2, 4, 1, 8, 8)
    penalised = game({**SMALL, "objective.penalties": [{"kind": kind, "weight": 10}]})
    random = drawn_for(penalised, 4)
    gradients = []
    for due in ((), None):
        discriminator = penalised.networks()["discriminator"]
        total, parts = discriminator_loss(
            penalised, discriminator, real, fake, due=due, memory={"real_anchor": torch.tensor(0.5)}, **random
        )
        assert (kind in parts) == (due is None)
        if due is None:
            torch.testing.assert_close(total, parts["discriminator_loss"] + 10 * parts[kind])
        total.backward()
        gradients.append([parameter.grad for parameter in discriminator.parameters()])
    changed = [not torch.allclose(*pair, rtol=1e-3, atol=1e-6) for pair in zip(*gradients, strict=True)]
    assert all(changed)


def drawn_for(of, num, step=0):
    """The random numbers of a step for so many images, beside the latents, as the game asks for them."""
    asked = of.random(of.networks(), of.levels(0))
    drawn = {name: numbers.draw((steps, num), 0, name) for name, (numbers, steps) in asked.items() if name != "latents"}
    return {name: numbers[step] for name, numbers in drawn.items()}


# The generator's side


@pytest.mark.parametrize("kind", LOSSES)
def test_the_generators_loss_reaches_fake_images_only(kind):
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    critic = Quadratic()
    total, parts = generator_loss(game({"objective.loss": {"kind": kind}}), critic, real, fake)
    total.backward()
    assert real.grad is None
    assert critic.scale.grad is None
    assert fake.grad is not None
    assert fake.grad.flatten(1).any(1).all()
    torch.testing.assert_close(parts["generator_loss"], total.detach())


def test_the_generators_loss_is_the_mean():
    total, _ = generator_loss(game({"objective.loss": {"kind": "relativistic"}}), Quadratic())
    torch.testing.assert_close(total, Relativistic().generator(0.5 * half_norms(REAL), 0.5 * half_norms(FAKE)).mean())


@pytest.mark.parametrize("kind", LOSSES)
def test_real_images_are_judged_only_for_losses_that_compare_pairs(kind):
    critic = Quadratic()
    generator_loss(game({"objective.loss": {"kind": kind}}), critic)
    assert len(critic.seen) == (2 if LOSSES[kind].pairs else 1)


def test_the_generators_loss_trains_the_generator():
    plain = game(SMALL)
    networks = plain.networks()
    fake = networks["generator"](pictures(3, 4, networks["generator"].latent_size))
    generator_loss(plain, networks["discriminator"], pictures(1, 4, 1, 8, 8), fake)[0].backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in networks["generator"].parameters())


def test_the_discriminator_is_frozen_for_the_generators_step_only():
    plain = game(SMALL)
    discriminator = plain.networks()["discriminator"]
    first, *others = discriminator.parameters()
    first.requires_grad_(False)  # frozen for good
    fake = pictures(2, 4, 1, 8, 8).requires_grad_()
    total, _ = generator_loss(plain, discriminator, pictures(1, 4, 1, 8, 8), fake)
    total.backward()
    assert fake.grad.any()
    assert all(parameter.grad is None for parameter in discriminator.parameters())
    assert [parameter.requires_grad for parameter in discriminator.parameters()] == [False] + [True] * len(others)
    with pytest.raises(RuntimeError):
        generator_loss(plain, discriminator, REAL, pictures(1, 4, 5, 8, 8))
    assert all(parameter.requires_grad for parameter in others)


# Both sides


def test_parts_are_what_is_logged():
    both = game(BOTH)
    _, discriminator = discriminator_loss(both, Quadratic())
    _, generator = generator_loss(both, Quadratic())
    measured = both.measured({})
    assert measured == (*ALWAYS_MEASURED, "r1", "r2")
    assert {*measured} - {*discriminator, *generator} == MEASURED_BY_THE_STEP
    assert {*discriminator, *generator} <= {*measured}
    for value in (discriminator | generator).values():
        assert value.shape == ()
        assert not value.requires_grad


def test_parts_are_means_over_the_batch():
    _, parts = discriminator_loss(game(), Quadratic())
    logits = {"real": 0.5 * half_norms(REAL), "fake": 0.5 * half_norms(FAKE)}
    for side, logit in logits.items():
        torch.testing.assert_close(parts[f"{side}_logit"], logit.mean())
        torch.testing.assert_close(parts[f"{side}_probability"], logit.sigmoid().mean())


def test_losses_of_coarse_logits_are_computed_in_float32():
    class Coarse(Quadratic):
        def forward(self, images, labels=None):
            return super().forward(images).bfloat16()

    for total, parts in (discriminator_loss(game(), Coarse()), generator_loss(game(), Coarse())):
        assert {total.dtype, *(part.dtype for part in parts.values())} == {torch.float32}


@pytest.mark.parametrize("kind", PENALTIES)
def test_a_step_that_differentiates_images_is_in_float32_altogether(kind):
    half = game({**SMALL, "objective.penalties": [{"kind": kind}]})
    discriminator = half.networks()["discriminator"]
    found = set()
    for layer in discriminator.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(lambda layer, inputs, output: found.add(output.dtype))
    images = pictures(1, 4, 1, 8, 8), pictures(2, 4, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        total, _ = discriminator_loss(half, discriminator, *images, **drawn_for(half, 4))
    assert found == {torch.float32 if PENALTIES[kind].differentiates else torch.bfloat16}
    assert total.dtype == torch.float32
    total.backward()


def test_the_discriminator_sees_the_noise():
    noise = torch.stack([pictures(3), pictures(4)], dim=1)
    critic = Quadratic()
    _, parts = discriminator_loss(game(BOTH), critic, instance_noise=noise)
    noisy_real, noisy_fake = REAL + 0.3 * pictures(3), FAKE + 0.3 * pictures(4)
    torch.testing.assert_close(torch.stack(critic.seen), torch.stack([noisy_real, noisy_fake]))
    # Penalties are taken where the discriminator looks.
    torch.testing.assert_close(parts["r1"], 0.25 * half_norms(noisy_real).mean())
    torch.testing.assert_close(parts["r2"], 0.25 * half_norms(noisy_fake).mean())


def test_the_noise_lies_between_generator_and_discriminator():
    noise = torch.stack([pictures(3), pictures(4)], dim=1)
    critic, fake = Quadratic(), FAKE.clone().requires_grad_()
    paired = game({"objective.loss": {"kind": "relativistic"}})
    total, _ = generator_loss(paired, critic, REAL, fake, instance_noise=noise)
    seen = [REAL + 0.3 * pictures(3), FAKE + 0.3 * pictures(4)]
    torch.testing.assert_close(torch.stack(critic.seen), torch.stack(seen))
    total.backward()
    assert fake.grad is not None
    assert fake.grad.any()


def test_the_objective_of_a_config():
    chosen = game(
        {
            "objective.loss": {"kind": "bce", "label_smoothing": 0.1},
            "objective.penalties": [{"kind": "r2", "weight": 3, "every": 4}, {"kind": "r1"}],
        }
    )
    assert chosen.passes == [(Bce(label_smoothing=0.1), 0.0)]
    assert chosen.objective.loss == Bce(label_smoothing=0.1)
    assert chosen.due(0) == ((R2(weight=3.0, every=4), R1(weight=1.0, every=1)),)


# What the discriminator is shown, and what it is asked


def test_flipped_pairs_are_judged_the_wrong_way_round():
    flips = torch.tensor([0.05, 0.9, 0.1, 0.5, 0.09, 0.3])
    total, parts = discriminator_loss(game({"objective.label_flips": 0.1}), Quadratic(), label_flips=flips)
    real, fake = 0.5 * half_norms(REAL), 0.5 * half_norms(FAKE)
    as_noted = Bce().discriminator(real, fake)
    wrong_way_round = Bce().discriminator(fake, real)
    flipped = torch.tensor([True, False, False, False, True, False])  # below 0.1
    torch.testing.assert_close(total, torch.where(flipped, wrong_way_round, as_noted).mean())
    torch.testing.assert_close(parts["real_logit"], real.mean())  # what is logged is not flipped


def test_a_pass_has_its_own_noise_and_its_own_smoothing():
    passes = game({"objective.passes": [{}, {"noise": 0.5}, {"label_smoothing": 0.2}]})
    noise = torch.stack([pictures(seed) for seed in (5, 6, 7)], dim=1)
    views, totals = [], []
    for number in range(3):
        critic = Quadratic()
        total, parts = discriminator_loss(passes, critic, number=number, pass_noise=noise)
        views.append(critic.seen)
        totals.append(total)
        assert (parts is None) == (number > 0)  # what is logged is that of the first
    torch.testing.assert_close(views[0], [REAL, FAKE])
    torch.testing.assert_close(views[1], [(REAL + 0.5 * pictures(6)).clamp(-1, 1), FAKE])
    torch.testing.assert_close(views[2], [REAL, FAKE])
    assert views[1][0].abs().max() == 1
    logits = 0.5 * half_norms(REAL), 0.5 * half_norms(FAKE)
    torch.testing.assert_close(totals[0], Bce().discriminator(*logits).mean())
    torch.testing.assert_close(totals[2], Bce(label_smoothing=0.2).discriminator(*logits).mean())


def test_both_sides_are_augmented_with_numbers_of_their_own():
    numbers = torch.rand(6, 2, num_draws(), generator=torch.Generator().manual_seed(0))
    augmenting, critic = game({"objective.augment.policies": ["translation", "cutout"]}), Quadratic()
    _, parts = discriminator_loss(augmenting, critic, augment=numbers)
    expected = [
        augment(images, numbers[:, side], torch.tensor(1.0), ("translation", "cutout"))
        for side, images in enumerate((REAL, FAKE))
    ]
    torch.testing.assert_close(critic.seen, expected)
    assert not torch.equal(critic.seen[0], REAL)
    assert parts["augment_strength"] == 1
    critic = Quadratic()
    generator_loss(augmenting, critic, memory={"strength": torch.tensor(1.0)}, augment=numbers)
    torch.testing.assert_close(critic.seen, expected[1:])
    critic = Quadratic()
    generator_loss(augmenting, critic, memory={"strength": torch.tensor(0.0)}, augment=numbers)
    assert torch.equal(critic.seen[0], FAKE)


def test_the_strength_that_is_logged_is_that_of_the_step():
    augmenting = game({"objective.augment.policies": ["cutout"]})
    strength = torch.tensor(0.4)
    numbers = torch.rand(6, 2, num_draws())
    _, parts = discriminator_loss(augmenting, Quadratic(), memory={"strength": strength}, augment=numbers)
    strength.fill_(0.9)  # as the memory goes on
    assert parts["augment_strength"] == 0.4 * torch.ones(())
    assert parts["real_sign"] == 1  # its logits are all above 0


def test_the_generator_learns_from_its_best_images_only():
    fake = FAKE.clone().requires_grad_()
    levels = {"top_share": torch.tensor(0.34)}  # 2.04 of 6 images: 3
    total, _ = generator_loss(game(), Quadratic(), REAL, fake, levels=levels)
    total.backward()
    logits = 0.5 * half_norms(FAKE)
    best = logits.argsort(descending=True)[:3]
    torch.testing.assert_close(total.detach(), Bce().generator(None, logits[best]).mean())
    assert fake.grad is not None
    assert set(fake.grad.flatten(1).any(1).nonzero().flatten().tolist()) == set(best.tolist())


def test_penalties_are_handed_the_moving_averages_of_the_logits():
    memory = {"real_anchor": torch.tensor(1.5), "fake_anchor": torch.tensor(-0.5)}
    _, parts = discriminator_loss(game({"objective.penalties": [{"kind": "lecam"}]}), Quadratic(), memory=memory)
    real, fake = 0.5 * half_norms(REAL), 0.5 * half_norms(FAKE)
    torch.testing.assert_close(parts["lecam"], ((real + 0.5) ** 2 + (fake - 1.5) ** 2).mean())


# Labels


class Guessing(Quadratic):
    """Guesses labels by the mean of the image: logits (mean, 2 mean, 3 mean)."""

    def logits(self, images, labels=None):
        mean = images.flatten(1).mean(1, keepdim=True)
        return Logits(self(images), mean * torch.tensor([[1.0, 2.0, 3.0]]))


LABELS = torch.eye(3)[[0, 1, 2, 2, 1, 0]]


def guessing(labels, **changes):
    names = {"data": {"labels": labels, "label_names": ["a", "b", "c"], "channels": 1, "size": 8}}
    return game({**names, "discriminator.condition": "classifier", **changes})


@pytest.mark.parametrize("exclusive", [True, False])
def test_labels_are_guessed_of_real_and_of_fake_images(exclusive):
    of_labels = guessing("classes" if exclusive else "attributes", **{"objective.classifier_weight": 0.5})
    total, parts = discriminator_loss(of_labels, Guessing(), labels=LABELS)

    def loss_of(images):
        logits = images.flatten(1).mean(1, keepdim=True) * torch.tensor([[1.0, 2.0, 3.0]])
        if exclusive:
            return -(logits.log_softmax(1) * LABELS).sum(1).mean()
        return -(LABELS * logits.sigmoid().log() + (1 - LABELS) * (-logits).sigmoid().log()).mean()

    torch.testing.assert_close(parts["label_loss"], loss_of(REAL))
    torch.testing.assert_close(total, parts["discriminator_loss"] + 0.5 * (loss_of(REAL) + loss_of(FAKE)))
    total, parts = generator_loss(of_labels, Guessing(), labels=LABELS)
    torch.testing.assert_close(parts["fake_label_loss"], loss_of(FAKE))
    torch.testing.assert_close(total, parts["generator_loss"] + 0.5 * loss_of(FAKE))


def test_both_networks_and_the_penalties_critic_are_told_the_labels():
    class Told(Quadratic):
        def forward(self, images, labels):
            told.append(labels)
            return super().forward(images)

    told = []
    projecting = game(
        {
            "data": {"labels": "classes", "label_names": ["a", "b", "c"], "channels": 1, "size": 8},
            "objective": {"loss": {"kind": "relativistic"}, "penalties": [{"kind": "gradient_penalty"}]},
        }
    )
    discriminator_loss(projecting, Told(), labels=LABELS, interpolation=torch.rand(6))
    generator_loss(projecting, Told(), labels=LABELS)
    assert len(told) == 3 + 2  # real, fake and between; real and fake
    assert all(labels is LABELS for labels in told)


def test_all_that_is_measured_beside_has_a_name():
    everything = guessing(
        "classes",
        **{
            "objective.augment": {"policies": ["cutout"], "adaptive": "held_out"},
            "objective.penalties": [{"kind": "r1"}, {"kind": "lecam"}],
        },
    )
    random = {"augment": torch.rand(6, 2, num_draws())}
    _, first = discriminator_loss(everything, Guessing(), labels=LABELS, **random)
    _, second = generator_loss(everything, Guessing(), labels=LABELS, **random)
    beside = {*everything.measured({})} - {*ALWAYS_MEASURED}
    assert {*first, *second} - {*ALWAYS_MEASURED} <= beside
    assert beside - {*first, *second} == {"held_out_logit"}  # measured between the sides' steps
    assert len(everything.measured({})) == len({*everything.measured({})})
