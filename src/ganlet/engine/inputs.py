"""What an iteration is fed: a pure function of the game, the pictures and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ganlet.data.batches import Batches
from ganlet.engine.distributed import ALONE, Ranks
from ganlet.engine.state import TrainState
from ganlet.games import Inputs
from ganlet.randomness import noise_seed


@dataclass(frozen=True)
class InputMaker:
    """Makes the inputs of the iteration that starts at a moment.

    Every rank draws for the whole batch and keeps its share, so that two ranks are shown together exactly what one
    rank would be shown alone. After a rollback the random numbers are others, and the pictures are the same.
    """

    state: TrainState
    batches: Mapping[str, Batches]  # pictures by stream
    ranks: Ranks = ALONE

    def at(self, images_seen: int) -> Inputs:
        """The inputs of the iteration that starts when `images_seen` images have been seen."""
        state, game, device = self.state, self.state.game, self.state.device
        rank, world, batch = self.ranks.rank, self.ranks.world, game.config.train.batch_size
        seed = noise_seed(game.config.seed, state.rollbacks)

        images, labels = {}, {}
        for stream, steps in game.streams().items():
            batches, positions = self.batches[stream], [images_seen + step * batch for step in range(steps)]
            images[stream] = torch.stack([batches.images(one, batch, rank, world) for one in positions]).to(device)
            vectors = [batches.labels(one, batch, rank, world) for one in positions]
            if known := [vector for vector in vectors if vector is not None]:
                labels[stream] = torch.stack(known).to(device)

        levels = game.levels(images_seen)
        random = {}
        for name, (asked, steps) in game.random(state.networks, levels).items():
            # Latents that are mixed for some pictures are so in training only.
            draw = getattr(asked, "draw_for_training", asked.draw)
            share = batch // world
            whole = draw((steps, batch), seed, name, images_seen, device)
            random[name] = whole.narrow(1, rank * share, share)

        new_images = game.num_images
        weights = {name: one.weight(images_seen + new_images, new_images) for name, one in state.averaged.items()}
        return Inputs(
            images=images,
            labels=labels,
            random=random,
            levels={name: torch.full((), level, device=device) for name, level in levels.items()},
            ema_weights={name: torch.full((), weight, device=device) for name, weight in weights.items()},
            memory=state.memory,
            due=game.due(images_seen),
        )
