"""The doctor's look at a run: the signals of `ganlet.health` for a training state and the pictures it learns from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ganlet.config import RunConfig
from ganlet.engine.draws import draw
from ganlet.engine.state import TrainState, build_state
from ganlet.health import signals
from ganlet.health.signals import Signals, Specimen
from ganlet.images import middles, to_network, to_packed
from ganlet.metrics.features import full_precision
from ganlet.randomness import numpy_generator

# uint8 (N, H, W, C) -> features (N, F) and whatever else the extractor tells
Extract = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor | None]]

FEW_PICTURES = 4_096  # up to so many, each generated picture is compared with every training picture
BATCH = 128
NETWORKS = ("generator", "discriminator")


class Examiner:
    """Compares generated with real pictures, always the same real ones and the same latents.

    Args:
        config: resolved.
        pictures: the training pictures, uint8 (N, h, w, C), as packed.
        held_out: real pictures that training never shows, uint8 (M, H, W, C) as shown; or None.
        extract: features of pictures on `device`; None leaves the signals out that need features.
    """

    def __init__(
        self,
        config: RunConfig,
        pictures: np.ndarray,
        held_out: np.ndarray | None,
        extract: Extract | None,
        device: torch.device,
    ) -> None:
        self.config = config
        self.extract = extract
        count, size = config.health.num_pictures, config.data.size
        self.train = _some(pictures, count, size).to(device)
        self.held_out = None
        if held_out is not None and len(held_out) > 1:
            self.held_out = to_network(_some(held_out, count, size).to(device))
        settings = config.generator
        shape = (count, settings.latent_size)
        self.latents = draw(settings.latents, config.seed, "doctor", 0, shape).to(device)
        self.before: torch.Tensor | None = None  # what the generator drew at the look before
        fresh = build_state(config, torch.device("cpu"))
        self.weights_at_start = {
            name: signals.weights(getattr(fresh, name), name)[f"{name}_weight_norm"] for name in NETWORKS
        }
        self.features = self._features(self.train)
        self.all_features = None
        if extract is not None and len(pictures) <= FEW_PICTURES:
            self.all_features = self._features(_some(pictures, len(pictures), size).to(device))

    @full_precision()  # the limits were set with it, and small distances vanish in TF32
    def examine(self, state: TrainState) -> Signals:
        """All signals of this moment. Changes nothing in the state."""
        shown_by = state.average if self.config.evaluate.weights == "ema" else state.generator
        shown, found = signals.as_shown(shown_by, self.latents)
        specimen = Specimen(
            train=to_network(self.train),
            raw=signals.as_trained(state.generator, self.latents),
            shown=shown,
            held_out=self.held_out,
        )
        found |= signals.judgement(state.discriminator, specimen)
        found |= signals.appearance(specimen.train, shown)
        found["raw_rough_diversity"] = signals.rough_diversity(specimen.train, specimen.raw)
        if self.before is not None:
            found["movement"] = signals.movement(self.before, specimen.raw, specimen.train)
        self.before = specimen.raw
        if self.features is not None:
            features = self._features(to_packed(shown))
            assert features is not None
            found |= signals.variety(self.features, features)
            if self.all_features is not None:
                found |= signals.copying(features, self.all_features)
        for name in NETWORKS:
            found |= signals.weights(getattr(state, name), name)
            found[f"{name}_gain"] = found[f"{name}_weight_norm"] / self.weights_at_start[name]
        return found

    @torch.inference_mode()
    def _features(self, pictures: torch.Tensor) -> torch.Tensor | None:
        if self.extract is None:
            return None
        return torch.cat([self.extract(part)[0] for part in pictures.split(BATCH)]).float()


def _some(pictures: np.ndarray, count: int, size: tuple[int, int]) -> torch.Tensor:
    """At most `count` pictures as shown, the same ones for every run of this source: uint8 (N, H, W, C)."""
    chosen = numpy_generator(0, "doctor").permutation(len(pictures))[:count]
    return torch.from_numpy(np.array(middles(pictures[np.sort(chosen)], size)))
