"""The pictures of docs/guide: what augmentations, losses, schedules, latents, styles, classes and stages look like.

    python benchmarks/guide_pictures.py [NAME ...] [--runs DIR] [--fashion-mnist DIR]

Without names all are drawn. Those of trained generators need two short runs, which are trained into --runs unless they
are there already (some minutes each on one CPU core); the second one needs the idx files of Fashion-MNIST.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter
from PIL import Image

from ganlet import make_config, train
from ganlet.config import RunConfig
from ganlet.data import ring
from ganlet.data.source import open_source
from ganlet.engine.schedule import growth
from ganlet.games import Average, Gan
from ganlet.games.drawn import generate
from ganlet.images import to_network, to_packed
from ganlet.networks.blocks import upsample
from ganlet.networks.growing import shrink, stage_sizes
from ganlet.networks.interfaces import Generator
from ganlet.networks.optimizers import (
    ConstantSchedule,
    CosineSchedule,
    LinearSchedule,
    MultistepSchedule,
    PlateauSchedule,
    Schedule,
)
from ganlet.objective.augment import POLICIES, augment, num_draws
from ganlet.objective.losses import Bce, Hinge, Lsgan, Relativistic, Wasserstein
from ganlet.objective.views import add_noise
from ganlet.randomness import draw
from ganlet.runs.folder import RunFolder
from ganlet.runs.pictures import short_count
from ganlet.runs.plots import LIGHT, figure_png
from ganlet.runs.plots import clean as clean_axes
from ganlet.workflows.generators import open_generator

OUT = Path(__file__).parents[1] / "docs" / "pictures" / "guide"
WIDTH = 7.4  # inches
COLOURS = (LIGHT.discriminator, LIGHT.generator, LIGHT.real, *LIGHT.penalties)
NARROW = {"generator.width": 16, "discriminator.width": 16, "train.tensorboard": False, "evaluate.metric": "none"}


@dataclass(frozen=True)
class Sources:
    """Where trained generators and pictures come from."""

    runs: Path
    fashion_mnist: Path | None

    def style(self) -> RunFolder:
        """A style generator of smileys."""
        length = {"train.total_images": 48_000, "train.checkpoint_every": 48_000}
        changes = {"generator.optimizer.lr": 2e-3, "discriminator.width": 24}
        return self._run("style", make_config("style", "smileys", overrides=NARROW | length | changes))

    def conditional(self) -> RunFolder:
        """A generator of garments by class."""
        if not (self.runs / "conditional").exists() and self.fashion_mnist is None:
            raise SystemExit("The picture of classes needs --fashion-mnist DIR, or the run in --runs.")
        length = {"train.total_images": 32_000, "train.checkpoint_every": 32_000}
        source = None if self.fashion_mnist is None else str(self.fashion_mnist)
        config = make_config("conditional", source, overrides=NARROW | length)
        return self._run("conditional", config)

    def _run(self, name: str, config: RunConfig) -> RunFolder:
        if not (self.runs / name).exists():
            train(config, out=self.runs / name, device="cpu")
        return RunFolder.open(self.runs / name)


def augmentation(sources: Sources) -> Figure:
    """Each policy at strength 1, then all of them at several strengths."""
    images = faces(9)
    random = torch.rand(len(images), num_draws(), generator=torch.Generator().manual_seed(4))
    rows = [("as they are", images)]
    rows += [(name, augment(images, random, torch.tensor(1.0), (name,))) for name in POLICIES]
    for strength in (0.2, 0.5, 1.0):
        rows.append((f"all three, {strength:g}", augment(images, random, torch.tensor(strength), tuple(POLICIES))))
    return sheet(rows)


def instance_noise(sources: Sources) -> Figure:
    """The same faces under noise of several deviations."""
    images = faces(9)
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    sigmas = (0.0, 0.1, 0.2, 0.5, 1.0)
    return sheet([(f"sigma {sigma:g}", add_noise(images, noise, torch.tensor(sigma))) for sigma in sigmas])


def checkerboard(sources: Sources) -> Figure:
    """What untrained generators draw, and how strongly each pixel of a 2 x 2 cell varies."""
    rows = []
    for kind, words in (("transposed", "transposed"), ("nearest", "nearest"), ("pixel_shuffle", "pixel_shuffle")):
        changes = {"generator.upsample": kind, "data.channels": 1, "generator.width": 32}
        generator: Any = Gan(make_config("quick", overrides=changes)).networks()["generator"]
        with torch.no_grad():
            images = generator(generator.latents.draw((64,), 0, "checkerboard"))
        images = images / images.abs().amax(dim=(1, 2, 3), keepdim=True)
        rows.append((words, images[:6]))
    return sheet(rows, cell=1.0)


def losses(sources: Sources) -> Figure:
    """Both players' losses over a logit."""
    logits = torch.linspace(-4, 4, 401)
    zero = torch.zeros_like(logits)
    figure, grid = panels_of(2, 3, height=4.6)
    axes = grid.flatten()
    for ax, loss in zip(axes, (Bce(), Lsgan(), Hinge(), Wasserstein(), Relativistic()), strict=False):
        title(ax, loss.kind)
        if loss.pairs:
            ax.plot(logits, loss.discriminator(logits, zero), color=LIGHT.discriminator, linewidth=2)
            ax.plot(logits, loss.generator(logits, zero), color=LIGHT.generator, linewidth=2)
            ax.set_xlabel("logit of real - logit of fake", color=LIGHT.ink, fontsize=9)
        else:
            # The discriminator's loss is a sum of a part for real and a part for fake logits.
            rest = loss.discriminator(zero, zero)
            of_real, of_fake = loss.discriminator(logits, zero) - rest, loss.discriminator(zero, logits) - rest
            real_at_zero = rest if loss.kind == "lsgan" else rest / 2  # the others are alike there
            ax.plot(logits, of_real + real_at_zero, color=LIGHT.real, linewidth=2)
            ax.plot(logits, of_fake + (rest - real_at_zero), color=LIGHT.discriminator, linewidth=2)
            ax.plot(logits, loss.generator(None, logits), color=LIGHT.generator, linewidth=2, linestyle=(0, (4, 2)))
            ax.set_xlabel("logit", color=LIGHT.ink, fontsize=9)
        ax.set_ylim(-4.2 if loss.kind in ("wasserstein", "hinge") else -0.3, 5)
        ax.set_xlim(-4, 4)
    smooth = Bce(label_smoothing=0.1)
    axes[0].plot(logits, smooth.discriminator(logits, zero) - 0.6931, color=LIGHT.real, linewidth=1, linestyle=":")
    saturating = Bce(saturating=True).generator(None, logits)
    axes[0].plot(logits, saturating, color=LIGHT.generator, linewidth=1, linestyle=":")
    axes[0].set_ylim(-4.2, 5)
    legend = axes[5]
    legend.axis("off")
    words = (
        ("D, real picture", LIGHT.real, "-"),
        ("D, fake picture", LIGHT.discriminator, "-"),
        ("G", LIGHT.generator, (0, (4, 2))),
        ("D, real picture, labels of 0.9", LIGHT.real, ":"),
        ("G, saturating", LIGHT.generator, ":"),
    )
    for place, (text, colour, style) in enumerate(words):
        height = 0.95 - 0.15 * place
        legend.plot([0, 0.12], [height, height], color=colour, linestyle=style, linewidth=2)
        legend.text(0.17, height, text, color=LIGHT.ink, fontsize=8.5, va="center")
    legend.text(0, 0.1, "relativistic: blue is D for a pair", color=LIGHT.ink, fontsize=8.5)
    legend.set_xlim(0, 1)
    legend.set_ylim(0, 1)
    return figure


def latents(sources: Sources) -> Figure:
    """Two of 64 numbers of each kind of latents, and the lengths of the vectors."""
    figure, grid = panels_of(1, 4, height=1.95, bottom=0.14)
    kinds = {"normal": LIGHT.discriminator, "uniform": LIGHT.generator, "sphere": LIGHT.real}
    for ax, (kind, colour) in zip(grid[0], kinds.items(), strict=False):
        drawn = draw(kind, 0, "guide", 0, (2_000, 64))  # pyright: ignore[reportArgumentType]
        title(ax, kind)
        ax.plot(drawn[:800, 0], drawn[:800, 1], ".", color=colour, markersize=2)
        ax.set_xlim(-3.5, 3.5)
        ax.set_ylim(-3.5, 3.5)
        lengths = drawn.norm(dim=1)
        last: Axes = grid[0][3]
        last.hist(lengths, bins=np.linspace(3, 11, 81).tolist(), color=colour, alpha=0.85)
    title(grid[0][3], "length")
    grid[0][3].set_ylim(0, 500)
    grid[0][3].set_yticks([])
    return figure


def norms(sources: Sources) -> Figure:
    """Which numbers share a mean and a deviation: pictures of a batch below each other, channels beside each other."""
    shared: dict[str, Callable[[int, int], bool]] = {
        "batch": lambda picture, channel: channel == 2,
        "instance": lambda picture, channel: (picture, channel) == (1, 2),
        "group": lambda picture, channel: picture == 1 and channel in (2, 3),
        "layer": lambda picture, channel: picture == 1,
        "pixel": lambda picture, channel: picture == 1,
    }
    figure = Figure(figsize=(WIDTH, 1.75))
    for place, (name, belongs) in enumerate(shared.items()):
        ax = figure.add_axes((0.035 + 0.196 * place, 0.14, 0.172, 0.7))
        title(ax, name)
        for picture in range(4):
            for channel in range(6):
                inside = belongs(picture, channel)
                place_of = (channel + 0.06, picture + 0.06)
                filled = inside and name != "pixel"
                ground = LIGHT.discriminator if filled else "#f0f1f4"
                ax.add_patch(Rectangle(place_of, 0.88, 0.88, facecolor=ground, edgecolor=LIGHT.faint, linewidth=0.8))
                if inside and not filled:
                    dot = (channel + 0.34, picture + 0.3)
                    ax.add_patch(Rectangle(dot, 0.22, 0.22, facecolor=LIGHT.discriminator))
        ax.set_xlim(0, 6)
        ax.set_ylim(4, 0)
        ax.set_xticks([])
        ax.set_yticks([])
        for spine in ax.spines.values():
            spine.set_visible(False)
        ax.set_xlabel("channels", color=LIGHT.ink, fontsize=8.5)
        if place == 0:
            ax.set_ylabel("pictures", color=LIGHT.ink, fontsize=8.5)
    return figure


def initial(sources: Sources) -> Figure:
    """How large the numbers are after each layer of an untrained discriminator, without and with normalisation."""
    figure, grid = panels_of(1, 2, height=2.1, bottom=0.13, wspace=0.5)
    images = faces(64, 64)
    for ax, norm in zip(grid[0], ("none", "batch"), strict=True):
        title(ax, f"discriminator.norm={norm}")
        ends = []
        for scheme, colour in zip(("normal", "xavier", "kaiming", "orthogonal"), COLOURS, strict=False):
            changes = {"discriminator.norm": norm, "discriminator.initial": scheme, "data.channels": 3}
            discriminator = Gan(make_config("standard", overrides=changes)).networks()["discriminator"]
            sizes: list[float] = []
            for block in [*discriminator.get_submodule("entries").children(), *discriminator.get_submodule("blocks")]:
                block.register_forward_hook(lambda _, __, maps, sizes=sizes: sizes.append(maps.std().item()))
            with torch.no_grad():
                logits = discriminator(images)
            values = [images.std().item(), *sizes, logits.std().item()]
            ax.plot(range(len(values)), values, color=colour, linewidth=1.8, marker="o", markersize=3)
            ends.append((values[-1], scheme, colour))
        ax.set_yscale("log")
        ax.set_ylim(5e-3, 5)
        ax.set_xticks(range(6), ["image", "32", "16", "8", "4", "logit"])
        if norm == "none":
            label_ends(ax, ends, distance=0.12)
    return figure


def penalties(sources: Sources) -> Figure:
    """Where the gradient penalties look, on points of a ring of Gaussians and fakes in the middle."""
    points, _ = next(iter(ring.points("train", 60)))
    real = torch.tensor(points, dtype=torch.float32)
    random = torch.Generator().manual_seed(1)
    fake = 0.22 * torch.randn(60, 2, generator=random) + torch.tensor([0.1, -0.1])
    share = torch.rand(60, 1, generator=random)
    around = real + 0.5 * real.std(correction=0) * torch.rand(real.shape, generator=random)
    looked = {"r1": real, "r2": fake, "gradient_penalty": torch.lerp(fake, real, share), "dragan": around}
    figure = Figure(figsize=(WIDTH, 1.95))
    for place, (name, points) in enumerate(looked.items()):
        ax = figure.add_axes((0.02 + 0.245 * place, 0.02, 0.225, 0.84))
        title(ax, name)
        ax.plot(real[:, 0], real[:, 1], ".", color=LIGHT.real, markersize=5, alpha=0.6)
        ax.plot(fake[:, 0], fake[:, 1], ".", color=LIGHT.generator, markersize=5, alpha=0.6)
        ax.plot(points[:, 0], points[:, 1], "o", color=LIGHT.ink, markersize=4.5, fillstyle="none", markeredgewidth=0.8)
        ax.set_xlim(-0.95, 1.3)
        ax.set_ylim(-0.95, 1.3)
        ax.set_aspect("equal", anchor="W")
        ax.axis("off")
    return figure


def schedules(sources: Sources) -> Figure:
    """What the learning rate is multiplied by over a run of 200,000 images."""
    total = 200_000
    curves: dict[str, tuple[Schedule, Callable[[int], int]]] = {
        "constant, warm-up": (ConstantSchedule(warmup=20_000), lambda seen: 0),
        "cosine": (CosineSchedule(), lambda seen: 0),
        "linear, final 0.1": (LinearSchedule(final=0.1), lambda seen: 0),
        "multistep": (MultistepSchedule(milestones=(60_000, 120_000)), lambda seen: 0),
        "plateau": (PlateauSchedule(), lambda seen: sum(seen >= moment for moment in (90_000, 150_000))),
    }
    figure, grid = panels_of(1, 1, height=2.4, right=0.77, bottom=0.2)
    ax, ends = grid[0][0], []
    moments = np.arange(0, total + 1, 200)
    for (name, (schedule, reductions)), colour in zip(curves.items(), COLOURS, strict=False):
        factors = [schedule.at(int(seen), total, reductions(seen)) for seen in moments]
        ax.plot(moments, factors, color=colour, linewidth=2)
        ends.append((factors[-1], name, colour))
    title(ax, "share of the learning rate")
    ax.set_xlim(0, total)
    ax.set_ylim(0, 1.04)
    ax.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    ax.set_xlabel("images seen", color=LIGHT.ink, fontsize=9.5)
    label_ends(ax, ends, distance=0.1)
    return figure


def averages(sources: Sources) -> Figure:
    """One weight that swings around a value that it slowly approaches, and its averages."""
    batch, total = 32, 60_000
    moments = np.arange(batch, total + 1, batch)
    random = np.random.default_rng(3)
    noise = np.zeros(len(moments))
    for step in range(1, len(noise)):
        noise[step] = 0.98 * noise[step - 1] + 0.04 * random.normal()
    weight = 1 - np.exp(-moments / 12_000) + noise
    figure, grid = panels_of(1, 1, height=2.4, right=0.77, bottom=0.2)
    ax = grid[0][0]
    title(ax, "a weight, and its averages by half-life")
    ax.plot(moments, weight, color=LIGHT.ink, linewidth=0.8, alpha=0.35)
    ends = [(float(weight[-1]), "of the moment", LIGHT.ink)]
    for (half_life, ramp), colour in zip(((1_000, 0.1), (5_000, 0.1), (20_000, 0.0)), COLOURS, strict=False):
        average, values = 0.0, []
        for seen, value in zip(moments, weight, strict=True):
            average += Average("weight", half_life, ramp).weight(int(seen), batch) * (value - average)
            values.append(average)
        ax.plot(moments, values, color=colour, linewidth=2)
        ends.append((average, f"{half_life:,}" + ("" if ramp else ", no ramp"), colour))
    ax.set_xlim(0, total)
    ax.set_xlabel("images seen", color=LIGHT.ink, fontsize=9.5)
    label_ends(ax, ends, distance=0.1)
    return figure


def growing(sources: Sources) -> Figure:
    """The stages over images seen, and what the discriminator is shown of real pictures at some moments."""
    overrides = {"data.size": 64, "train.growing.every": 20_000, "train.growing.fade": 10_000}
    config: RunConfig = make_config("quick", overrides=overrides)
    sizes = stage_sizes(config.data.size, config.train.growing.start)
    figure = Figure(figsize=(WIDTH, 3.4))
    ax = figure.add_axes((0.085, 0.14, 0.89, 0.36))
    clean(ax)
    moments = np.arange(0, 140_001, 250)
    course = [growth(config, len(sizes), int(seen)) for seen in moments]
    level = [stage if stage == 0 else stage - 1 + fade for stage, fade in course]
    ax.plot(moments, level, color=LIGHT.discriminator, linewidth=2)
    ax.set_yticks(range(len(sizes)), [f"{height}x{width}" for height, width in sizes])
    ax.set_xlim(0, 140_000)
    ax.set_ylim(-0.2, len(sizes) - 0.8)
    ax.set_xlabel("images seen", color=LIGHT.ink, fontsize=9.5)
    face = faces(3, 64)[2:]
    for place, seen in enumerate((10_000, 25_000, 40_000, 55_000, 70_000, 85_000, 120_000)):
        stage, fade = growth(config, len(sizes), seen)
        shown = shown_at(face, len(sizes) - 1 - stage, fade)
        picture = figure.add_axes((0.085 + 0.128 * place, 0.6, 0.115, 0.25))
        picture.imshow(to_packed(shown)[0].numpy(), interpolation="nearest")
        picture.axis("off")
        words = "full" if fade == 1 else f"fading in {fade:.0%}"
        picture.set_title(f"{short_count(seen)}\n{sizes[stage][0]}, {words}", fontsize=8, color=LIGHT.ink)
        ax.axvline(seen, color=LIGHT.ink, linewidth=0.8, linestyle=(0, (1, 2)))
    return figure


def shown_at(images: torch.Tensor, level: int, fade: float) -> torch.Tensor:
    """Images as a generator of that many resolutions less would show them, mixed with one less still."""
    size = (images.shape[2], images.shape[3])
    fine, coarse = (upsample(shrink(images, times), size) for times in (level, level + 1))
    return torch.lerp(coarse, fine, fade)


def style_mixing(sources: Sources) -> Figure:
    """Rows give the styles of coarse resolutions (4 and 8), columns those of fine ones (16 and 32)."""
    generator = opened(sources.style())
    rows, columns = generator.latents.sample(5, 3), generator.latents.sample(16, 5)[8:]
    pictures = [[np.full((*generate(generator, rows[:1]).shape[1:],), 255, np.uint8), *generate(generator, columns)]]
    for row in rows:
        mixed = columns.unsqueeze(1).repeat(1, generator.num_levels, 1)
        mixed[:, : generator.num_levels // 2] = row
        pictures.append([*generate(generator, row[None]), *generate(generator, mixed)])
    figure = cells(pictures, [""] * len(pictures), cell=0.72)
    figure.text(0.02, 0.965, "fine \u2192\ncoarse \u2193", fontsize=9.5, color=LIGHT.ink, va="top", linespacing=1.5)
    return figure


def truncation(sources: Sources) -> Figure:
    """The same latents under several truncations."""
    generator = opened(sources.style())
    drawn = generator.latents.sample(9, 11)
    shares = (0.0, 0.3, 0.5, 0.7, 1.0, 1.3)
    return cells([[*generate(generator, drawn, None, share)] for share in shares], [f"{share:g}" for share in shares])


def classes(sources: Sources) -> Figure:
    """A row for each class, the same latents in each row."""
    trained = open_generator(sources.conditional(), None, torch.device("cpu"))
    names = trained.config.data.label_names
    drawn = trained.generator.latents.sample(9, 0)
    rows = [
        [*generate(trained.generator, drawn, torch.eye(len(names))[place].expand(len(drawn), -1))]
        for place in range(len(names))
    ]
    return cells(rows, [str(name) for name in names], cell=0.5)


def opened(folder: RunFolder) -> Generator:
    """The generator of a run."""
    return open_generator(folder, None, torch.device("cpu")).generator


def faces(num: int, size: int = 32) -> torch.Tensor:
    """Smileys as networks see them, (num, 3, size, size)."""
    pack = open_source(make_config(overrides={"data.size": size, "data.num_images": 2_000}).data)
    return to_network(torch.from_numpy(pack.pictures[:num].copy()))


def sheet(rows: Sequence[tuple[str, torch.Tensor]], cell: float = 0.66) -> Figure:
    """Rows of images (N, C, H, W) with their names."""
    return cells([[*to_packed(images).numpy()] for _, images in rows], [name for name, _ in rows], cell)


def cells(rows: Sequence[Sequence[np.ndarray]], names: Sequence[str], cell: float = 0.66) -> Figure:
    """Rows of pictures (H, W, C) with their names left of them; `cell` in inches."""
    left = 0.15 + 0.085 * max(len(name) for name in names)
    width, height = left + cell * len(rows[0]) + 0.05, cell * len(rows) + 0.1
    figure = Figure(figsize=(width, height))
    for down, (name, row) in enumerate(zip(names, rows, strict=True)):
        bottom = (height - 0.05 - cell * (down + 1)) / height
        middle = bottom + 0.5 * cell / height
        figure.text((left - 0.1) / width, middle, name, ha="right", va="center", fontsize=9.5, color=LIGHT.ink)
        for across, picture in enumerate(row):
            place = ((left + cell * across) / width, bottom, 0.94 * cell / width, 0.94 * cell / height)
            ax = figure.add_axes(place)
            ax.imshow(picture if picture.shape[2] > 1 else picture.repeat(3, axis=2), interpolation="nearest")
            ax.axis("off")
    return figure


def panels_of(
    down: int, across: int, height: float, right: float = 0.98, bottom: float = 0.12, wspace: float = 0.22
) -> tuple[Figure, np.ndarray]:
    """A figure with clean panels."""
    figure = Figure(figsize=(WIDTH, height))
    grid = figure.subplots(down, across, squeeze=False)
    figure.subplots_adjust(left=0.06, right=right, top=1 - 0.33 / height, bottom=bottom, hspace=0.55, wspace=wspace)
    for ax in grid.flatten():
        clean(ax)
    return figure, grid


def clean(ax: Axes) -> None:
    """As in a report, with small numbers as they are."""
    clean_axes(ax, LIGHT)
    ax.tick_params(labelsize=8.5)
    ax.xaxis.set_major_formatter(
        FuncFormatter(lambda number, _: short_count(number) if number >= 1000 else f"{number:g}")
    )


def title(ax: Axes, text: str) -> None:
    """A heading as in a report."""
    ax.set_title(text, loc="left", fontsize=10.5, fontweight="bold", color=LIGHT.ink, pad=6)


def label_ends(ax: Axes, ends: list[tuple[float, str, str]], distance: float) -> None:
    """Names (value, text, colour) right of the axes, moved apart where they lie close together."""
    ends = sorted(ends)
    to_axes = ax.transData + ax.transAxes.inverted()
    heights: list[float] = []
    for value, _, _ in ends:
        height = float(to_axes.transform((0, value))[1])
        heights.append(max(height, heights[-1] + distance) if heights else height)
    for height, (_, text, colour) in zip(heights, ends, strict=True):
        ax.annotate(
            text,
            xy=(1, height),
            xytext=(8, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            color=colour,
            fontsize=9.5,
            fontweight="bold",
            va="center",
            annotation_clip=False,
        )


PICTURES: dict[str, Callable[[Sources], Figure]] = {
    "augmentation": augmentation,
    "averages": averages,
    "checkerboard": checkerboard,
    "classes": classes,
    "growing": growing,
    "initial": initial,
    "instance_noise": instance_noise,
    "latents": latents,
    "losses": losses,
    "norms": norms,
    "penalties": penalties,
    "schedules": schedules,
    "style_mixing": style_mixing,
    "truncation": truncation,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}; default: all")
    parser.add_argument("--runs", type=Path, default=Path("runs/guide"), help="the short runs, trained if not there")
    parser.add_argument("--fashion-mnist", type=Path, help="idx files, for the run by classes")
    parser.add_argument("--out", type=Path, default=OUT, help="default: docs/pictures/guide")
    wishes = parser.parse_args()
    if unknown := set(wishes.names) - set(PICTURES):
        parser.error(f"no such picture: {', '.join(sorted(unknown))}; there are {', '.join(PICTURES)}")
    wishes.out.mkdir(parents=True, exist_ok=True)
    sources = Sources(wishes.runs, wishes.fashion_mnist)
    for name in wishes.names or PICTURES:
        path = wishes.out / f"{name}.png"
        picture = Image.open(io.BytesIO(figure_png(PICTURES[name](sources), "white"))).convert("RGB")
        picture.quantize(255, dither=Image.Dither.NONE).save(path, optimize=True)
        print(f"{path}  {path.stat().st_size / 1024:.0f} kB")


if __name__ == "__main__":
    main()
