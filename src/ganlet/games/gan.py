"""The game of Goodfellow et al. 2014: a generator draws, a discriminator tells its pictures from real ones.

`play` is one iteration from top to bottom; below it are the two losses, and what the rest of the house asks of a game.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

from ganlet.config.schema import RunConfig
from ganlet.games.game import Average, Batch, Game, Inputs, Networks, Player, Tensors, Turn
from ganlet.networks.interfaces import Logits, per_picture
from ganlet.networks.zoo import build_network
from ganlet.objective import adaptive
from ganlet.objective.augment import augment, num_draws
from ganlet.objective.losses import Loss
from ganlet.objective.penalties import Anchored, CriticStep, Penalty, Scored
from ganlet.objective.views import add_noise, noise_level, of_the_best, top_share
from ganlet.randomness import Numbers, RandomInput
from ganlet.settings import as_images

# In the order in which they are logged; what only some runs measure follows.
ALWAYS_MEASURED = (
    "discriminator_loss",
    "generator_loss",
    "real_logit",
    "fake_logit",
    "real_probability",
    "fake_probability",
    "discriminator_gradient_norm",
    "generator_gradient_norm",
    "failed_steps",
)
REAL, FAKE = 0, 1  # places of the two sides in random numbers that are drawn for both


class Gan(Game):
    """Latents -> one generator -> one discriminator, with every loss, penalty and view of `objective`."""

    def __init__(self, config: RunConfig, given: Mapping[str, nn.Module] | None = None) -> None:
        super().__init__(config, given)
        self.objective = config.objective
        loss = self.objective.loss
        # The discriminator's steps on each batch: their loss, and the deviation of noise on real images.
        self.passes: list[tuple[Loss, float]] = [
            # The config allows label smoothing for losses that have it.
            (loss.model_copy(update={"label_smoothing": s}) if (s := one.label_smoothing) else loss, one.noise)
            for one in self.objective.passes
        ] or [(loss, 0.0)]
        augment, penalties = self.objective.augment, self.objective.penalties
        anchored = any(isinstance(penalty, Anchored) for penalty in penalties)
        self.adapts = anchored or (bool(augment.policies) and augment.adaptive != "none")
        self.classifies = config.data.labels != "none" and config.discriminator.condition == "classifier"

    def play(self, networks: Networks, inputs: Inputs) -> Iterator[Turn]:
        generator, discriminator = networks["generator"], networks["discriminator"]
        n_critic, parts_of_batch = len(inputs.images["real"]), self.config.train.accumulate
        # The generator's step judges the last step's fakes again: no second forward pass, unless the batch is worked
        # through in parts because one graph of all of it is too large.
        keep_graph = parts_of_batch == 1
        batch = fake = None

        for step in range(n_critic):
            batch = inputs.batch(step)
            with torch.set_grad_enabled(step == n_critic - 1 and keep_graph):
                fake = generator(inputs.random["latents"][step], *batch.condition)
            for which_pass in range(len(self.passes)):
                for part in replace(batch, fake=fake.detach().float()).split(parts_of_batch):
                    yield Turn("discriminator", *self.discriminator_loss(discriminator, part, inputs, step, which_pass))

        assert batch is not None, "there is always at least one discriminator step"
        held_out = {}
        if "held_out" in inputs.images:
            held_out = self._held_out_logit(discriminator, inputs, batch.random)
        for step in range(n_critic, n_critic + self.config.train.n_generator):
            batch = replace(batch, fake=fake, random=inputs.random_at(step))
            latents = inputs.random["latents"][step - 1].chunk(parts_of_batch)  # at first those of the last fakes
            for part, fresh in zip(batch.split(parts_of_batch), latents, strict=True):
                if step > n_critic or not keep_graph:
                    part = replace(part, fake=generator(fresh, *part.condition))
                loss, measured = self.generator_loss(discriminator, part, inputs)
                yield Turn("generator", loss, measured | held_out)
                held_out = {}  # it is told once

    def discriminator_loss(
        self, discriminator: nn.Module, batch: Batch, inputs: Inputs, step: int, which_pass: int
    ) -> tuple[torch.Tensor, Tensors | None]:
        """The loss of a discriminator step, and what is measured in it; of several passes, in the first one."""
        loss, noise = self.passes[which_pass]
        due = inputs.due[step]
        differentiates = any(penalty.differentiates for penalty in due)
        # Double backward through bf16 is too coarse: steps with a penalty on gradients run in float32 altogether.
        with torch.autocast(batch.real.device.type, enabled=False) if differentiates else nullcontext():
            assert batch.fake is not None
            real, fake = self.seen(batch.real, REAL, batch, inputs), self.seen(batch.fake, FAKE, batch, inputs)
            if noise:
                real = (real + noise * batch.random["pass_noise"][:, which_pass]).clamp(-1.0, 1.0)
            if differentiates:  # slopes are taken at the images, whatever made them
                real, fake = real.detach().requires_grad_(), fake.detach().requires_grad_()
            real_logits, real_labels = self._judged(discriminator, real, batch)
            fake_logits, fake_labels = self._judged(discriminator, fake, batch)

            sides = real_logits, fake_logits
            if self.objective.label_flips:
                sides = self._flipped(*sides, batch)
            total = loss.discriminator(*sides).mean()
            parts = {
                "discriminator_loss": total.detach(),
                "real_logit": real_logits.detach().mean(),
                "fake_logit": fake_logits.detach().mean(),
                "real_probability": real_logits.detach().sigmoid().mean(),
                "fake_probability": fake_logits.detach().sigmoid().mean(),
            }
            if self.objective.augment.policies:
                parts |= {"augment_strength": inputs.memory["strength"].clone()}
                parts |= {"real_sign": real_logits.detach().sign().mean()}
            if real_labels is not None and fake_labels is not None:
                label_loss = self._label_loss(real_labels, batch)
                total = total + self.objective.classifier_weight * (label_loss + self._label_loss(fake_labels, batch))
                parts["label_loss"] = label_loss.detach()
            critic = CriticStep(
                lambda x: self._judged(discriminator, x, batch).real,
                Scored(real, real_logits),
                Scored(fake, fake_logits),
                batch.random,
                inputs.memory,
            )
            for penalty in due:
                # A lazy one counts as often as its interval, so that its weight means the same at every interval
                # (Karras et al. 2020, appendix B).
                value = penalty(critic).mean()
                total = total + penalty.weight * penalty.every * value
                parts[penalty.kind] = value.detach()
        return total, parts if which_pass == 0 else None

    def generator_loss(self, discriminator: nn.Module, batch: Batch, inputs: Inputs) -> tuple[torch.Tensor, Tensors]:
        """The loss of a generator step, and what is measured in it; gradients flow through `batch.fake`."""
        assert batch.fake is not None
        loss, real_logits = self.objective.loss, None
        with _frozen(discriminator):  # its gradients would be computed only to be thrown away
            if loss.pairs:
                with torch.no_grad():
                    real_logits = self._judged(discriminator, self.seen(batch.real, REAL, batch, inputs), batch).real
            seen = self.seen(batch.fake.float(), FAKE, batch, inputs)
            fake_logits, fake_labels = self._judged(discriminator, seen, batch)
        losses = loss.generator(real_logits, fake_logits)
        if "top_share" in inputs.levels:
            losses = of_the_best(losses, fake_logits, inputs.levels["top_share"])
        total = losses.mean()
        parts = {"generator_loss": total.detach()}
        if fake_labels is not None:
            label_loss = self._label_loss(fake_labels, batch)
            total = total + self.objective.classifier_weight * label_loss
            parts["fake_label_loss"] = label_loss.detach()
        return total, parts

    def seen(self, shown: torch.Tensor, side: int, batch: Batch, inputs: Inputs) -> torch.Tensor:
        """Images as the discriminator is shown them: augmented, then with instance noise."""
        policies = self.objective.augment.policies
        if policies:
            shown = augment(shown, batch.random["augment"][:, side], inputs.memory["strength"], policies)
        if "instance_noise" in inputs.levels:
            noise = batch.random["instance_noise"][:, side]
            shown = add_noise(shown, noise, inputs.levels["instance_noise"])
        return shown

    def _judged(self, discriminator: nn.Module, shown: torch.Tensor, batch: Batch) -> Logits:
        """Logits in float32, and those of the auxiliary classifier where there is one."""
        if self.classifies:
            real, labels = cast(Any, discriminator).logits(shown, *batch.condition)
            return Logits(real.float(), labels)
        return Logits(per_picture(discriminator(shown, *batch.condition).float(), len(shown)))

    def _flipped(self, real: torch.Tensor, fake: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits with some pairs exchanged: as if their labels had been noted the wrong way round, for every loss."""
        flips = batch.random["label_flips"] < self.objective.label_flips
        return torch.where(flips, fake, real), torch.where(flips, real, fake)

    def _label_loss(self, logits: torch.Tensor, batch: Batch) -> torch.Tensor:
        """How badly the auxiliary classifier guesses the labels (Odena et al. 2017, equation 3), a scalar."""
        assert batch.labels is not None
        if self.config.data.labels == "attributes":
            return functional.binary_cross_entropy_with_logits(logits.float(), batch.labels)
        return functional.cross_entropy(logits.float(), batch.labels)

    @torch.no_grad()
    def _held_out_logit(self, discriminator: nn.Module, inputs: Inputs, random: Mapping[str, torch.Tensor]) -> Tensors:
        """The mean logit of pictures that training does not show, as it would be among training pictures."""
        batch = replace(inputs.batch(stream="held_out"), random=random)  # the last step's, as for real pictures
        # Augmented too: else the discriminator would tell what is augmented from what is not.
        shown = self.seen(batch.real, REAL, batch, inputs)
        buffers = [(buffer, buffer.clone()) for buffer in discriminator.buffers()]
        logits = self._judged(discriminator, shown, batch).real
        for buffer, before in buffers:
            buffer.copy_(before)  # only looked at: nothing of them may get into the training state
        return {"held_out_logit": logits.mean()}

    def networks(self) -> dict[str, nn.Module]:
        data, growing = self.config.data, self.config.train.growing
        assert data.channels != "auto", "the config must be resolved first"
        shape = {"size": data.size, "channels": data.channels, "num_labels": data.num_labels}
        grow_from = growing.start if growing.every else None
        networks = {}
        for name, settings in (("generator", self.config.generator), ("discriminator", self.config.discriminator)):
            network = self.given(name)
            if network is None:
                network = build_network(settings, **shape, grow_from=grow_from, seed=self.config.seed, name=name)
            networks[name] = network
        return networks

    def players(self, networks: Networks) -> dict[str, Player]:
        discriminator = Player(("discriminator",), self.config.discriminator.optimizer, self.objective.loss.weight_clip)
        return {"discriminator": discriminator, "generator": Player(("generator",), self.config.generator.optimizer)}

    def averages(self) -> dict[str, Average]:
        ema = self.config.generator.ema
        further = [Average("generator", as_images(half_life), ema.ramp_up) for half_life in ema.more_half_lives]
        return super().averages() | {average_member(average.half_life): average for average in further}

    def streams(self) -> dict[str, int]:
        follows = self.objective.augment.policies and self.objective.augment.adaptive == "held_out"
        return super().streams() | ({"held_out": 1} if follows else {})

    def random(self, networks: Networks, levels: Mapping[str, float]) -> dict[str, tuple[RandomInput, int]]:
        """Latents for all steps but one, for the last batch of fakes serves both players; the rest for every step."""
        data, objective = self.config.data, self.objective
        assert data.channels != "auto"
        shape = (data.channels, *data.size)
        asked: dict[str, RandomInput] = {}
        if "instance_noise" in levels:
            asked["instance_noise"] = Numbers("normal", (2, *shape))
        if objective.augment.policies:
            asked["augment"] = Numbers("unit", (2, num_draws(objective.augment.policies)))
        if objective.label_flips:
            asked["label_flips"] = Numbers("unit")
        if any(noise for _, noise in self.passes):
            asked["pass_noise"] = Numbers("normal", (len(self.passes), *shape))
        for need in (need for penalty in objective.penalties for need in penalty.needs):
            asked[need.name] = Numbers(need.kind, need.shape(shape))
        steps = self.config.train.n_critic + self.config.train.n_generator
        latents = {name: (one, steps - 1) for name, (one, _) in super().random(networks, levels).items()}
        return latents | {name: (numbers, steps) for name, numbers in asked.items()}

    def levels(self, images_seen: int) -> dict[str, float]:
        """ "instance_noise" while there is some, "top_share" where the generator learns from its best images only."""
        noise, best, levels = self.objective.instance_noise, self.objective.top_k, {}
        total = self.config.train.total_images
        if noise.sigma:
            until = as_images(total if noise.until is None else noise.until)
            if (level := noise_level(noise.sigma, until, images_seen)) > 0:
                levels["instance_noise"] = level
        if best.share < 1:
            until = as_images(total) // 2 if best.until is None else as_images(best.until)
            levels["top_share"] = top_share(best.share, until, images_seen)
        return levels

    def due(self, images_seen: int) -> tuple[tuple[Penalty, ...], ...]:
        """The penalties that are added at each of an iteration's discriminator steps (lazy regularisation)."""
        first = images_seen // self.config.train.batch_size
        steps = range(first, first + self.config.train.n_critic)
        return tuple(tuple(p for p in self.objective.penalties if step % p.every == 0) for step in steps)

    def memory(self) -> dict[str, float]:
        return adaptive.initial(self.objective)

    def remember(self, memory: Mapping[str, torch.Tensor], means: Tensors, num_images: int) -> None:
        if self.adapts:
            adaptive.follow(self.objective, memory, means, num_images)

    def measured(self, networks: Networks) -> tuple[str, ...]:
        augments, follows = bool(self.objective.augment.policies), self.objective.augment.adaptive == "held_out"
        return (
            *ALWAYS_MEASURED,
            *(penalty.kind for penalty in self.objective.penalties),
            *(("augment_strength", "real_sign") if augments else ()),
            *(("held_out_logit",) if augments and follows else ()),
            *(("label_loss", "fake_label_loss") if self.classifies else ()),
        )


def average_member(half_life: int) -> str:
    """The member of a checkpoint that holds the further average of that half-life."""
    return f"average_{half_life}"


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """While open, a forward pass through the network keeps nothing for gradients of its weights."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
