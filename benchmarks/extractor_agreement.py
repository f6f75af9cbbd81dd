"""Does the shipped extractor rank as a strong classifier's features do? FD (ganlet) beside FD (ResNet-56, CIFAR-10).

Two families of picture sets whose order matters to a user, for each source:
- fakes of the averaged weights at several moments of several runs, from noise to the end;
- real test pictures that are made worse in steps: blurred, noised, with fewer and fewer classes.
Both distances are measured on the same pictures against the same training pictures; what counts is the rank correlation
(Spearman). ResNet-56 was trained by others on CIFAR-10 alone; on grey sources it is no oracle, only another opinion.

    python benchmarks/extractor_agreement.py --sources smileys path/to/fashion-mnist path/to/cifar-bin \
        --extractor path/to/extractors [--seeds 0 1] [--images 60000] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "10000")

import numpy as np
import torch
from PIL import ImageFilter

from ganlet.config import RunConfig
from ganlet.data.smileys import NUM_MODES
from ganlet.data.source import open_source
from ganlet.engine.loop import Event
from ganlet.games.drawn import generate
from ganlet.images import to_pil
from ganlet.metrics.accumulate import Accumulator, Statistics
from ganlet.metrics.distances import frechet_distance
from ganlet.metrics.extractors import Extractor
from ganlet.metrics.features import extract, open_extractor
from ganlet.workflows.configuring import make_config
from ganlet.workflows.training import train

NUM_REALS = 10_000
NUM_FAKES = 2_500
MOMENTS = (1_000, 3_000, 8_000, 20_000, 40_000)  # and the end
BLURS = (0.3, 0.5, 0.7, 1.0, 1.5, 2.0)  # standard deviation in pixels
NOISES = (4, 8, 16, 32, 64)  # standard deviation in grey levels
KEPT = (0.9, 0.7, 0.5, 0.3, 0.1)  # share of the classes


def resnet(folder: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    """The classifier's features of uint8 pictures (N, H, W, C): (N, 64)."""
    sys.path.insert(0, str(folder))
    import cifar_resnet

    network = cifar_resnet.load(str(folder / "resnet56-cifar10.safetensors")).to(memory_format=torch.channels_last)

    def features(pictures: torch.Tensor) -> torch.Tensor:
        images = pictures.permute(0, 3, 1, 2).float() / 255.0
        images = images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
        if images.shape[2:] != (32, 32):
            images = torch.nn.functional.interpolate(images, size=(32, 32), mode="bilinear", antialias=True)
        return network(images.contiguous(memory_format=torch.channels_last))[0]

    return features


@dataclass
class Opinions:
    """Both distances of sets of pictures to the same real ones."""

    extractors: tuple[Extractor, ...]
    reals: list[Statistics]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, kind: str, name: str, pictures: np.ndarray) -> None:
        """Measure one set (N, H, W, C) and note it."""
        distances = [
            round(frechet_distance(statistics(extractor, pictures), real), 4)
            for extractor, real in zip(self.extractors, self.reals, strict=True)
        ]
        self.rows.append({"kind": kind, "set": name, "distances": distances})
        print(f"  {kind} {name}: {distances}", file=sys.stderr, flush=True)


def statistics(extractor: Extractor, pictures: np.ndarray) -> Statistics:
    """Mean and covariance of the features of pictures (N, H, W, C)."""
    features = extract(extractor, pictures).features
    accumulator = Accumulator(features.shape[1])
    accumulator.add(features)
    return accumulator.statistics()


def blurred(pictures: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur."""
    blurs = [np.asarray(to_pil(picture).filter(ImageFilter.GaussianBlur(sigma))) for picture in pictures]
    return np.stack(blurs).reshape(pictures.shape)


def noised(pictures: np.ndarray, sigma: float) -> np.ndarray:
    """Normal noise."""
    noise = np.random.default_rng(0).normal(0, sigma, pictures.shape)
    return np.clip(np.rint(pictures + noise), 0, 255).astype(np.uint8)


def with_classes(pictures: np.ndarray, labels: np.ndarray, share: float) -> np.ndarray:
    """Only pictures of the first classes, repeated to as many as there were."""
    kept = pictures[labels < max(1, round(share * (labels.max() + 1)))]
    return np.resize(kept, pictures.shape) if len(kept) else kept


def rank_correlation(first: list[float], second: list[float]) -> float:
    """Spearman's; ties share their mean rank."""

    def ranks(values: np.ndarray) -> np.ndarray:
        return (values[:, None] > values).sum(1) + 0.5 * ((values[:, None] == values).sum(1) - 1)

    return float(np.corrcoef(ranks(np.array(first)), ranks(np.array(second)))[0, 1])


def ask_about_runs(opinions: Opinions, source: str, seeds: list[int], images: int) -> None:
    """Fakes of several runs at several moments."""
    for seed in seeds:
        config = make_config(
            "quick",
            source,
            overrides={
                "seed": seed,
                "train": {"total_images": images},
                "evaluate": {"metric": "none"},
                "health": {"every": 0},
            },
        )

        def look(event: Event, seed: int = seed) -> None:
            if event.finished or any(event.before < at <= event.images_seen for at in MOMENTS):
                generator: Any = event.state.averages["average"]
                latents = generator.latents.draw((NUM_FAKES,), seed, "judge")
                opinions.ask("run", f"{seed} at {event.images_seen}", generate(generator, latents))

        with tempfile.TemporaryDirectory() as folder:
            train(config, Path(folder) / "run", device="cpu", callbacks=[look])


def ask_about_damage(opinions: Opinions, pictures: np.ndarray, labels: np.ndarray) -> None:
    """Real pictures, made worse in steps."""
    opinions.ask("real", "as they are", pictures)
    for sigma in BLURS:
        opinions.ask("blur", str(sigma), blurred(pictures, sigma))
    for sigma in NOISES:
        opinions.ask("noise", str(sigma), noised(pictures, sigma))
    for share in KEPT:
        opinions.ask("classes kept", str(share), with_classes(pictures, labels, share))


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", nargs="+", default=["smileys"])
    parser.add_argument("--extractor", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    device = torch.device("cpu")
    extractors = (open_extractor("ganlet", device), open_extractor(resnet(arguments.extractor), device))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    found: dict[str, list[dict[str, Any]]] = {}
    for source in arguments.sources:
        config = make_config("quick", source)
        pack = open_source(config.data)
        chosen = np.sort(np.random.default_rng(0).permutation(len(pack))[:NUM_REALS])
        reals = np.asarray(pack.pictures[chosen])
        opinions = Opinions(extractors, [statistics(extractor, reals) for extractor in extractors])
        others, labels = unseen(config, pack)
        ask_about_damage(opinions, others[:NUM_FAKES], labels[:NUM_FAKES])
        ask_about_runs(opinions, source, arguments.seeds, arguments.images)
        found[Path(source).name] = opinions.rows
    print(table(found, commit))
    if arguments.json:
        arguments.json.write_text(json.dumps({"commit": commit, "date": str(date.today()), "sources": found}) + "\n")


def unseen(config: RunConfig, pack: Any) -> tuple[np.ndarray, np.ndarray]:
    """Test pictures and their classes, in random order."""
    test = open_source(config.data.model_copy(update={"split": "test"}))
    assert test.labels is not None
    order = np.random.default_rng(0).permutation(len(test))
    labels = np.asarray(test.labels)[order]
    if labels.max() >= 100:  # smileys: drop face colours, a tenth of the modes at a time
        labels = labels * 10 // NUM_MODES
    return np.asarray(test.pictures)[order], labels


def table(found: dict[str, list[dict[str, Any]]], commit: str) -> str:
    """Rank correlations by source and family."""
    lines = [
        f"Rank correlation of FD (ganlet) with FD (ResNet-56, CIFAR-10): {NUM_FAKES:,} pictures a set against "
        f"{NUM_REALS:,} training pictures; {date.today()}, commit {commit}, torch {torch.__version__}\n",
        "| source | checkpoints | their correlation | damaged sets | blur | noise | classes | all sets of the source |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for source, rows in found.items():
        real = [row for row in rows if row["kind"] == "real"]

        def of(*kinds: str, rows: list[dict[str, Any]] = rows) -> float:
            first, second = zip(*[row["distances"] for row in rows if row["kind"] in kinds], strict=True)
            return rank_correlation(list(first), list(second))

        checkpoints = sum(row["kind"] == "run" for row in rows)
        values = [of("run"), of("real", "blur"), of("real", "noise"), of("real", "classes kept")]
        everything = of("run", "real", "blur", "noise", "classes kept")
        lines.append(
            f"| {source} | {checkpoints} | {values[0]:.3f} | {len(rows) - checkpoints - len(real)} | {values[1]:.3f} "
            f"| {values[2]:.3f} | {values[3]:.3f} | {everything:.3f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
