"""What a run's metrics are computed from: its generated pictures, its training pictures, and others like these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from ganlet.data.holdout import held_out_pack
from ganlet.data.pack import fingerprint_of
from ganlet.data.spec import Pack
from ganlet.games.drawn import generate
from ganlet.images import center_crop
from ganlet.metrics.evidence import Evidence, Gathering, Side
from ganlet.metrics.extractors import Extractor, GanletExtractor, PixelsExtractor
from ganlet.metrics.features import extract
from ganlet.metrics.memorisation import MIN_PICTURES
from ganlet.metrics.mode_classifier import open_mode_classifier
from ganlet.metrics.modes import ModeCoverage
from ganlet.metrics.protocol import Protocol
from ganlet.metrics.references import Reference, open_reference
from ganlet.metrics.smoothness import PathLength, perceptual_path_length, squared_distance, step_distances
from ganlet.networks.latents import sample_latents
from ganlet.randomness import draw
from ganlet.workflows.generators import Trained
from ganlet.workflows.reporting import Reporter

AT_ONCE = 256  # pictures that are generated, measured and forgotten
NUM_STEPS = 1_000
REALS = "training pictures"
FEWEST_TO_HALVE = 4
NUM_SHOWN, NUM_NEIGHBOURS = 16, 3


@dataclass(frozen=True, eq=False)
class Gathered:
    """The evidence on a generator, and the same on real pictures in its place, which are named in words.

    `neighbours` (n, k, H, W, C) are the training pictures nearest to each of the first generated ones.
    """

    evidence: Evidence
    floor: Evidence | None
    floor_pictures: str
    neighbours: np.ndarray


def gather(
    trained: Trained, pack: Pack, extractor: Extractor, *, num: int, seed: int, force: bool, reporter: Reporter
) -> Gathered:
    """Generate `num` pictures and bring them and the real ones into the extractor's features, in flat memory."""
    data = trained.config.data
    training = center_crop(pack.pictures, data.size)
    known = _reference(pack, training, extractor, "looking at real pictures", reporter)
    real = Side.of_reference(known, training)
    unseen = _unseen(pack, trained, extractor, reporter)
    protocol = Protocol.of(
        extractor,
        num_fakes=num,
        num_reals=real.count,
        reals=REALS,
        data_fingerprint=pack.fingerprint,
        weights=trained.weights,
        seed=seed,
    )
    fake = _generated(trained, pack, extractor, num, seed, reporter)
    evidence = Evidence(
        real,
        fake,
        training,
        extractor,
        protocol,
        force=force,
        label_names=pack.label_names,
        by_attributes=data.labels == "attributes",
        unseen=None if unseen is None or unseen.count < MIN_PICTURES else unseen.pictures,
        path_length=_path_length(trained, extractor, seed),
        modes=partial(_modes, trained, pack, num, seed, reporter),
    )
    floor, words = _floor(evidence, known, training, unseen)
    return Gathered(evidence, floor, words, _neighbours(fake.features[:NUM_SHOWN], known, training))


def _floor(
    evidence: Evidence, known: Reference, training: np.ndarray, unseen: Side | None
) -> tuple[Evidence | None, str]:
    """The evidence with real pictures in place of the generated ones, and what they are."""
    if unseen is not None:
        return replace(evidence, fake=unseen), f"{unseen.count:,} held-out pictures in place of the generated ones"
    if known.count < FEWEST_TO_HALVE:
        return None, ""
    first, second = Side.halves_of(known, training)
    return replace(evidence, real=first, fake=second), f"two halves of the {REALS}, {first.count:,} each"


def _neighbours(features: np.ndarray, known: Reference, training: np.ndarray) -> np.ndarray:
    """The training pictures (n, k, H, W, C) that are nearest to features (n, F), the nearest first."""
    nearest = [np.argsort(np.linalg.norm(known.features - row, axis=1))[:NUM_NEIGHBOURS] for row in features]
    return training[known.indices[np.stack(nearest)]]


def _unseen(pack: Pack, trained: Trained, extractor: Extractor, reporter: Reporter) -> Side | None:
    """Real pictures that training never showed, where there are any."""
    progress = partial(reporter.progress, "reading held-out pictures")
    unseen = held_out_pack(pack, trained.config.data, progress=progress)
    if unseen is None or len(unseen) < 2:
        return None
    pictures = unseen.pictures
    others = replace(
        pack,
        pictures=pictures,
        labels=_labels_of(unseen, pack),
        names=None,
        fingerprint=fingerprint_of(pictures),
        attributes=None,
    )
    reference = _reference(others, pictures, extractor, "looking at held-out pictures", reporter)
    return Side.of_reference(reference, pictures)


def _labels_of(unseen: Pack, pack: Pack) -> np.ndarray | None:
    """The classes of pictures as places in `pack.label_names`; None where they have none, or others."""
    if unseen.labels is None or not set(unseen.label_names) <= set(pack.label_names):
        return None
    return np.array([pack.label_names.index(name) for name in unseen.label_names])[unseen.labels]


def _reference(pack: Pack, shown: np.ndarray, extractor: Extractor, what: str, reporter: Reporter) -> Reference:
    height, width = shown.shape[1:3]
    return open_reference(pack, (height, width), extractor, progress=partial(reporter.progress, what))


def _generated(trained: Trained, pack: Pack, extractor: Extractor, num: int, seed: int, reporter: Reporter) -> Side:
    gathering = Gathering()
    for pictures in _pictures(trained, num, seed):
        gathering.add(extract(extractor, pictures), pictures)
        reporter.progress("generating", gathering.count, num)
    return gathering.side(_classes(trained, pack, num, seed))


def _classes(trained: Trained, pack: Pack, num: int, seed: int) -> np.ndarray | None:
    """The classes that pictures are drawn of, as places in `pack.label_names`: int64 (num,); None without classes."""
    data = trained.config.data
    if trained.labels is None or data.labels != "classes":
        return None
    assert data.label_names != "auto"
    places = np.array([pack.label_names.index(name) for name in data.label_names])
    return places[trained.labels.draw(num, seed).argmax(1).numpy()]


def _pictures(trained: Trained, num: int, seed: int) -> Iterator[np.ndarray]:
    """`num` generated pictures in batches, the same ones that `ganlet sample --seed` draws."""
    labels = trained.labels.draw(num, seed) if trained.labels else None
    for start, latents in enumerate(sample_latents(trained.generator.latents, num, seed).split(AT_ONCE)):
        part = slice(start * AT_ONCE, start * AT_ONCE + len(latents))
        yield generate(trained.generator, latents, None if labels is None else labels[part])


def _modes(trained: Trained, pack: Pack, num: int, seed: int, reporter: Reporter) -> ModeCoverage:
    """Which kinds of pictures are among the generated ones. They are drawn once more, for they were not kept."""
    device = next(trained.generator.parameters()).device
    progress = partial(reporter.progress, "learning to tell kinds of pictures apart")
    classifier = open_mode_classifier(pack, trained.config.data.size, device, progress=progress)
    return classifier.coverage(_pictures(trained, num, seed))


def _path_length(trained: Trained, extractor: Extractor, seed: int) -> Callable[[], PathLength] | None:
    """What measures how smooth the generator is, in features of pictures that are not rounded to grey levels.

    None where the extractor takes whole grey levels only.
    """
    if not isinstance(extractor, GanletExtractor | PixelsExtractor) or not hasattr(trained.generator.latents, "kind"):
        return None
    asked = trained.generator.latents
    device = next(trained.generator.parameters()).device

    def distance(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
        both = torch.cat([before, after]).clamp(-1.0, 1.0).add(1.0).mul(127.5).permute(0, 2, 3, 1)
        return squared_distance(*extractor(both)[0].chunk(2))

    def path_length() -> PathLength:
        starts, ends = (asked.draw((NUM_STEPS,), seed, f"path length/{end}").to(device) for end in ("starts", "ends"))
        labels = trained.labels.draw(NUM_STEPS, seed).to(device) if trained.labels else None
        positions = draw("uniform", seed, "path length/positions", 0, (NUM_STEPS,)).add(1.0).div(2.0).to(device)
        # A step of 1e-4 is lost in the 10 bits of TF32.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            steps = step_distances(trained.generator, distance, starts, ends, positions, asked.kind, labels)
        return perceptual_path_length(steps)

    return path_length
