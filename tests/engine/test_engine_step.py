"""An iteration against the plain loop of the DCGAN tutorial, in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ganlet.engine.distributed import ALONE
from ganlet.engine.draws import Draws
from ganlet.engine.optimizers import Clip
from ganlet.engine.schedule import ema_weight
from ganlet.engine.step import Iteration
from ganlet.objective import Shown, build_objective

RATE, BETAS = 1e-2, (0.5, 0.9)
OPTIMIZER = {"lr": RATE, "beta1": BETAS[0], "beta2": BETAS[1]}
ITERATIONS = 5

CONFIGS = {
    "plain": {},
    "several critic steps": {"train.n_critic": 3},
    "group norm, no batch statistics": {"generator.norm": "group", "discriminator.norm": "none"},
    "lazy penalties": {
        "objective.penalties": [{"kind": "r1", "weight": 0.3, "every": 3}, {"kind": "r2", "weight": 0.1}],
        "train.n_critic": 2,
    },
    "instance noise": {"objective.instance_noise": {"sigma": 0.4, "until": 48}},
    "label smoothing": {"objective.loss": {"kind": "bce", "label_smoothing": 0.1}},
    "clipping": {"generator.optimizer.clip_norm": 0.01, "discriminator.optimizer.clip_norm": 0.02},
}


class Textbook:
    """Radford et al. 2015 as everybody writes it down: nothing reused that the tutorial does not reuse."""

    def __init__(self, config, generator, discriminator):
        self.config = config
        self.generator, self.discriminator = generator, discriminator
        self.average = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
        self.generator_adam = torch.optim.Adam(generator.parameters(), lr=RATE, betas=BETAS)
        self.discriminator_adam = torch.optim.Adam(discriminator.parameters(), lr=RATE, betas=BETAS)

    def iterate(self, inputs, images_seen):
        size = self.config.train.batch_size
        for step in range(self.config.train.n_critic):
            real = inputs.real[step].permute(0, 3, 1, 2).double() / 127.5 - 1
            fake = self.generator(inputs.latents[step])
            self.discriminator_adam.zero_grad()
            smoothing = self.config.objective.loss.label_smoothing
            noise = inputs.random.get("instance_noise")
            self.judge(
                real, None if noise is None else noise[step, :, 0], 1.0 - smoothing, images_seen // size + step, "r1"
            )
            self.judge(
                fake.detach(), None if noise is None else noise[step, :, 1], 0.0, images_seen // size + step, "r2"
            )
            self.clip("discriminator")
            self.discriminator_adam.step()
        self.generator_adam.zero_grad()
        noise = inputs.random.get("instance_noise")
        shown = fake if noise is None else fake + noise[-1, :, 1] * inputs.levels["instance_noise"]
        logits = self.discriminator(shown)
        binary_cross_entropy_with_logits(logits, torch.ones_like(logits)).backward()
        self.clip("generator")
        self.generator_adam.step()
        self.move_average(images_seen + self.config.train.n_critic * size)

    def judge(self, images, noise, target, step, penalty):
        """Backward of one half of the discriminator's loss."""
        if noise is not None:
            images = images + noise * self.config.objective.instance_noise.sigma * self.fading
        images.requires_grad_()
        logits = self.discriminator(images)
        loss = binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))
        for settings in self.config.objective.penalties:
            if settings.kind == penalty and step % settings.every == 0:
                (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
                norm = gradient.square().sum() / len(images)
                loss = loss + settings.weight * settings.every * norm / 2
        loss.backward()

    def clip(self, side):
        limit = getattr(self.config, side).optimizer.clip_norm
        if limit is not None:
            torch.nn.utils.clip_grad_norm_(getattr(self, side).parameters(), limit)

    def move_average(self, images_seen):
        new_images = self.config.train.n_critic * self.config.train.batch_size
        weight = ema_weight(64, 0.1, images_seen, new_images)
        for name, tensor in self.generator.state_dict().items():
            self.average[name] = (
                self.average[name] + weight * (tensor - self.average[name]) if tensor.is_floating_point() else tensor
            )


@pytest.mark.parametrize("name", CONFIGS)
def test_iterations_are_those_of_the_textbook(begin, double, name):
    both = {"generator.optimizer": OPTIMIZER, "discriminator.optimizer": OPTIMIZER}
    training = begin(both | CONFIGS[name])
    config, state = training.config, training.state
    textbook = Textbook(config, copy.deepcopy(state.generator), copy.deepcopy(state.discriminator))
    clips = {f"{side}_clip": Clip(getattr(config, side).optimizer.clip_norm) for side in ("generator", "discriminator")}
    iteration = Iteration(build_objective(config), ALONE, **clips)
    draws = Draws(config, training.feed, torch.device("cpu"), needs=iteration.objective.needs)
    n_critic, batch = config.train.n_critic, config.train.batch_size
    for number in range(ITERATIONS):
        images_seen = number * n_critic * batch
        inputs = draws.at(images_seen)
        textbook.fading = max(0.0, 1 - images_seen / 48)
        first = images_seen // batch
        iteration(state, inputs, tuple(iteration.objective.due(first + step) for step in range(n_critic)))
        textbook.iterate(inputs, images_seen)
    members = state.members()
    for network, expected in (
        ("generator", textbook.generator.state_dict()),
        ("discriminator", textbook.discriminator.state_dict()),
        ("average", textbook.average),
    ):
        for key, tensor in expected.items():
            torch.testing.assert_close(members[network][key], tensor, rtol=0, atol=1e-12, msg=f"{network}/{key}")
    moved = (state.generator.from_latent.weight - begin(both | CONFIGS[name]).state.generator.from_latent.weight).abs()
    assert moved.max() > RATE  # or else nothing was compared


def test_what_is_logged_is_what_happened(begin, double):
    training = begin({"objective.penalties": [{"kind": "r1", "weight": 0.5}], "generator.norm": "none"})
    state = training.state
    generator, discriminator = copy.deepcopy(state.generator), copy.deepcopy(state.discriminator)
    inputs = Draws(training.config, training.feed, torch.device("cpu")).at(0)
    iteration = Iteration(build_objective(training.config), ALONE)
    iteration(state, inputs, (iteration.objective.due(0),))
    row = state.window.read()
    real = (inputs.real[0].permute(0, 3, 1, 2).double() / 127.5 - 1).requires_grad_()
    fake = generator(inputs.latents[0])
    real_logits, fake_logits = discriminator(real), discriminator(fake.detach())
    (gradient,) = torch.autograd.grad(real_logits.sum(), real)
    expected = {
        "real_logit": real_logits.mean(),
        "fake_logit": fake_logits.mean(),
        "real_probability": real_logits.sigmoid().mean(),
        "fake_probability": fake_logits.sigmoid().mean(),
        "discriminator_loss": -real_logits.sigmoid().log().mean() - (1 - fake_logits.sigmoid()).log().mean(),
        "r1": gradient.square().sum() / 16 / 2,
        "failed_steps": 0.0,
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(torch.as_tensor(value).item(), rel=1e-12), name
    # The generator's step comes after the discriminator's: its logits are those of the new one.
    logits = state.discriminator.train()(fake)
    assert row["generator_loss"] == pytest.approx(-logits.sigmoid().log().mean().item(), rel=1e-12)


def test_the_discriminator_takes_no_gradient_from_the_generators_step(begin):
    training = begin()
    training.run_until(16)
    gradients = [parameter.grad.clone() for parameter in training.state.discriminator.parameters()]
    assert all(parameter.requires_grad for parameter in training.state.discriminator.parameters())
    before = training.snapshot()["discriminator"]
    state = training.state
    iteration = Iteration(build_objective(training.config), ALONE)
    fake = state.generator(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)))
    iteration._generator_step(state, Shown(fake.detach(), fake, None, {}, {}), None, [])
    for parameter, gradient in zip(state.discriminator.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)
    weights = {name for name, _ in state.discriminator.named_parameters()}
    assert all(torch.equal(before[name], state.discriminator.state_dict()[name]) for name in weights)
