"""An iteration against the plain loop of the DCGAN tutorial, in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ganlet.engine.inputs import InputMaker
from ganlet.engine.step import iterate
from ganlet.games import Average

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
            real = inputs.images["real"][step].permute(0, 3, 1, 2).double() / 127.5 - 1
            fake = self.generator(inputs.random["latents"][step])
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
        weight = Average("generator", 64).weight(images_seen, new_images)
        for name, tensor in self.generator.state_dict().items():
            self.average[name] = (
                self.average[name] + weight * (tensor - self.average[name]) if tensor.is_floating_point() else tensor
            )


@pytest.mark.parametrize("name", CONFIGS)
def test_iterations_are_those_of_the_textbook(begin, double, name):
    both = {"generator.optimizer": OPTIMIZER, "discriminator.optimizer": OPTIMIZER}
    training = begin(both | CONFIGS[name])
    config, state = training.config, training.state
    networks = state.networks
    textbook = Textbook(config, copy.deepcopy(networks["generator"]), copy.deepcopy(networks["discriminator"]))
    maker = InputMaker(state, training.batches)
    for number in range(ITERATIONS):
        images_seen = number * config.train.n_critic * config.train.batch_size
        inputs = maker.at(images_seen)
        textbook.fading = max(0.0, 1 - images_seen / 48)
        iterate(state, inputs)
        textbook.iterate(inputs, images_seen)
    members = state.members()
    for network, expected in (
        ("generator", textbook.generator.state_dict()),
        ("discriminator", textbook.discriminator.state_dict()),
        ("average", textbook.average),
    ):
        for key, tensor in expected.items():
            torch.testing.assert_close(members[network][key], tensor, rtol=0, atol=1e-12, msg=f"{network}/{key}")
    first = begin(both | CONFIGS[name]).state.networks["generator"].from_latent.weight
    moved = (networks["generator"].from_latent.weight - first).abs()
    assert moved.max() > RATE  # or else nothing was compared


def test_what_is_logged_is_what_happened(begin, double):
    training = begin({"objective.penalties": [{"kind": "r1", "weight": 0.5}], "generator.norm": "none"})
    state = training.state
    generator, discriminator = (copy.deepcopy(state.networks[name]) for name in ("generator", "discriminator"))
    inputs = InputMaker(state, training.batches).at(0)
    iterate(state, inputs)
    row = state.window.read()
    real = (inputs.images["real"][0].permute(0, 3, 1, 2).double() / 127.5 - 1).requires_grad_()
    fake = generator(inputs.random["latents"][0])
    real_logits, fake_logits = discriminator(real), discriminator(fake.detach())
    (gradient,) = torch.autograd.grad(real_logits.sum(), real, retain_graph=True, create_graph=True)
    loss = -real_logits.sigmoid().log().mean() - (1 - fake_logits.sigmoid()).log().mean()
    r1 = gradient.square().sum() / 16 / 2
    slopes = torch.autograd.grad(loss + 0.5 * r1, list(discriminator.parameters()))
    expected = {
        "real_logit": real_logits.mean(),
        "fake_logit": fake_logits.mean(),
        "real_probability": real_logits.sigmoid().mean(),
        "fake_probability": fake_logits.sigmoid().mean(),
        "discriminator_loss": loss,
        "r1": r1,
        "discriminator_gradient_norm": torch.cat([slope.flatten() for slope in slopes]).norm(),
        "failed_steps": 0.0,
    }
    for name, value in expected.items():
        assert row[name] == pytest.approx(torch.as_tensor(value).item(), rel=1e-12), name
    # The generator's step comes after the discriminator's: its logits are those of the new one.
    logits = state.networks["discriminator"].train()(fake)
    assert row["generator_loss"] == pytest.approx(-logits.sigmoid().log().mean().item(), rel=1e-12)
    assert set(row) == set(state.window.names)
