"""The curves of a run as one figure. Only matplotlib's object interface is used: nothing global is touched."""

from __future__ import annotations

import io
import itertools
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ganlet.runs.pictures import short_count

LOSSES, VERDICTS, SCORES = "Losses", "How real does the discriminator find them?", "Scores of the discriminator"
NORMS, PENALTIES, LABELS, AUGMENTATION = "Gradient norms", "Penalties", "How badly labels are guessed", "Augmentation"
PARTS = "What else the game measures"
PENALTY_NAMES = {"gradient_penalty": "gradient", "dragan": "DRAGAN", "consistency": "consistency", "lecam": "LeCam"}
SHARES = {VERDICTS: 0, AUGMENTATION: -1}  # panels that end at 1, and where they may begin

# The panels of a run, from top to bottom: keys of log rows, what a curve is called, and its colour in a palette.
PANELS: dict[str, tuple[tuple[str, str, str], ...]] = {
    LOSSES: (("discriminator_loss", "discriminator", "discriminator"), ("generator_loss", "generator", "generator")),
    VERDICTS: (("real_probability", "D(real)", "real"), ("fake_probability", "D(fake)", "generator")),
    SCORES: (
        ("real_logit", "real", "real"),
        ("fake_logit", "generated", "generator"),
        ("held_out_logit", "held out", "discriminator"),
    ),
    NORMS: (
        ("discriminator_gradient_norm", "discriminator", "discriminator"),
        ("generator_gradient_norm", "generator", "generator"),
    ),
    PENALTIES: (),  # those that the run has, in colours of their own
    LABELS: (("label_loss", "real", "real"), ("fake_label_loss", "generated", "generator")),
    AUGMENTATION: (("augment_strength", "strength", "discriminator"), ("real_sign", "sign of D(real)", "real")),
}

NOT_MEASURED = ("images_seen", "images_per_second", "seconds")  # of a row, beside learning rates
WIDTH, TOP, PANEL, BETWEEN, BOTTOM = 6.6, 0.4, 1.6, 0.7, 0.5  # inches
DPI = 150
LONGEST = 15  # characters of a label
FEWEST_TO_SMOOTH, SMOOTHING = 12, 0.03  # rows; standard deviation as a share of all rows


@dataclass(frozen=True)
class Palette:
    """Colours of one theme; what is generated has one colour in all panels."""

    ink: str
    faint: str
    discriminator: str
    generator: str
    real: str
    penalties: tuple[str, ...]


LIGHT = Palette("#3c4048", "#d9dbe0", "#3f6ea8", "#c06a2c", "#3f8a63", ("#7a5ba6", "#a8528a", "#5b7fa6", "#8a7a3f"))
DARK = Palette("#c9ccd3", "#3a3e47", "#86aee0", "#e09a62", "#7cc39b", ("#b59ae0", "#dc8fc2", "#93b4d8", "#d0bd7c"))


@dataclass(frozen=True)
class Line:
    """One curve: the key in the log rows, what it is called, its colour."""

    key: str
    label: str
    colour: str


@dataclass(frozen=True)
class Course:
    """What was measured of a run, in the order of the images seen."""

    name: str
    images: Sequence[int]
    values: Sequence[float]


Curve = tuple[Line, np.ndarray, np.ndarray]


def loss_plot(
    rows: Sequence[Mapping[str, Any]], *, penalties: Sequence[str] = (), probabilities: bool = True, dark: bool = False
) -> Figure:
    """Losses, D(real) and D(fake), gradient norms and the named penalties over images seen, on a transparent ground.

    Logits stand in for D(real) and D(fake) where they make no `probabilities`. Losses of label classifiers and the
    strength of augmentation are there where they were logged. A curve goes straight over rows that have no value for
    it; without any value it is left out, and a panel without curves too.
    """
    palette = DARK if dark else LIGHT
    lines_of = _panels(rows, penalties, probabilities, palette)
    panels = [(title, curves) for title, lines in lines_of.items() if (curves := _curves(rows, lines))]
    figure, axes = _stacked([title for title, _ in panels] or [""], palette)
    for ax, (title, curves) in zip(axes, panels, strict=False):
        _draw(ax, title, curves, palette)
    if not panels:
        axes[0].set_yticks([])
        axes[0].text(0.5, 0.5, "nothing was logged", color=palette.ink, ha="center", transform=axes[0].transAxes)
    axes[-1].set_xlim(0, max([1, *(row["images_seen"] for row in rows)]))
    axes[-1].set_xlabel("images seen", color=palette.ink, fontsize=10)
    return figure


def evidence_plot(panels: Sequence[Mapping[str, Any]], *, dark: bool = False) -> Figure:
    """Signals over images seen, on a transparent ground, each with its limit and the moment when it was passed.

    A panel is plain data: "title", "points" (pairs of images seen and value, at least one), "threshold" or None, "side"
    ("above" or "below": where the illness is) or None, "since" (images seen) or None.
    """
    palette = DARK if dark else LIGHT
    figure, axes = _stacked([panel["title"] for panel in panels], palette)
    for ax, panel in zip(axes, panels, strict=True):
        images, values = (np.array(column, dtype=float) for column in zip(*panel["points"], strict=True))
        ax.plot(images, values, color=palette.discriminator, linewidth=1.8, marker="o", markersize=3.5, clip_on=False)
        threshold = panel["threshold"]
        shown = values if threshold is None else np.append(values, threshold)
        _limit(ax, NORMS if shown.min() > 0 and shown.max() > 50 * shown.min() else panel["title"], shown)
        if threshold is not None:
            ax.axhline(threshold, color=palette.generator, linewidth=1.3, linestyle=(0, (4, 3)))
            low, high = ax.get_ylim()
            ends = (threshold, high) if panel["side"] == "above" else (low, threshold)
            ax.axhspan(*ends, color=palette.generator, alpha=0.1, linewidth=0)
            ax.set_ylim(low, high)
            _label_ends(ax, [(threshold, f"limit {threshold:g}", palette.generator)])
        if panel["since"] is not None:
            ax.axvline(panel["since"], color=palette.ink, linewidth=1.1, linestyle=(0, (1, 2)))
    axes[-1].set_xlim(0, max(1, *(point[0] for panel in panels for point in panel["points"])))
    dotted = any(panel["since"] is not None for panel in panels)
    axes[-1].set_xlabel("images seen" + " (dotted: since when)" * dotted, color=palette.ink, fontsize=10)
    return figure


def distance_plot(panels: Mapping[str, Sequence[Course]], *, dark: bool = False) -> Figure:
    """Distances of several runs over images seen, on a transparent ground: a panel under each title."""
    palette = DARK if dark else LIGHT
    names = list(dict.fromkeys(course.name for courses in panels.values() for course in courses))
    colours = (palette.discriminator, palette.generator, palette.real, *palette.penalties)
    figure, axes = _stacked(list(panels), palette)
    for ax, (title, courses) in zip(axes, panels.items(), strict=True):
        values = np.concatenate([course.values for course in courses])
        _limit(ax, NORMS if values.min() > 0 and values.max() > 50 * values.min() else title, values)
        ends = []
        for course in courses:
            colour = colours[names.index(course.name) % len(colours)]
            ax.plot(course.images, course.values, color=colour, linewidth=1.8, marker="o", markersize=3.5)
            ends.append((course.values[-1], course.name, colour))
        _label_ends(ax, ends)
    axes[-1].set_xlim(0, 1.02 * max(1, *(course.images[-1] for courses in panels.values() for course in courses)))
    axes[-1].set_xlabel("images seen", color=palette.ink, fontsize=10)
    return figure


def _stacked(titles: Sequence[str], palette: Palette) -> tuple[Figure, list[Axes]]:
    """A figure of empty panels below each other, each under its title, that share their horizontal axis."""
    num = len(titles)
    height = TOP + num * PANEL + (num - 1) * BETWEEN + BOTTOM
    figure = Figure(figsize=(WIDTH, height))
    axes = figure.subplots(num, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(
        left=0.085, right=0.785, top=1 - TOP / height, bottom=BOTTOM / height, hspace=BETWEEN / PANEL
    )
    for ax, title in zip(axes, titles, strict=True):
        clean(ax, palette)
        ax.set_title(title, loc="left", fontsize=11, fontweight="bold", color=palette.ink, pad=8)
    return figure, list(axes)


def panels_of(rows: Sequence[Mapping[str, Any]], penalties: Sequence[str], probabilities: bool) -> list[str]:
    """The titles of the panels that `loss_plot` draws, from top to bottom."""
    return [title for title, lines in _panels(rows, penalties, probabilities, LIGHT).items() if _curves(rows, lines)]


def _panels(
    rows: Sequence[Mapping[str, Any]], penalties: Sequence[str], probabilities: bool, palette: Palette
) -> dict[str, list[Line]]:
    names = list(dict.fromkeys(name for row in rows if "event" not in row for name in row))
    if any(name.endswith("_loss") for name in names) and not {"real_logit", "real_probability"} & {*names}:
        return _panels_of_another_game(names, palette)
    colours = itertools.cycle(palette.penalties)
    panels = {
        title: [Line(key, label, getattr(palette, colour)) for key, label, colour in lines]
        for title, lines in PANELS.items()
        if title != (SCORES if probabilities else VERDICTS)
    }
    panels[PENALTIES] = [Line(name, PENALTY_NAMES.get(name, name.upper()), next(colours)) for name in penalties]
    return panels


def _panels_of_another_game(names: Sequence[str], palette: Palette) -> dict[str, list[Line]]:
    """Losses and gradient norms of every player, and whatever else is logged: a curve's colour is its player's."""
    colours = itertools.cycle((palette.discriminator, palette.generator, palette.real, *palette.penalties))
    players = {name.removesuffix("_loss"): next(colours) for name in names if name.endswith("_loss")}
    panels = {
        title: [Line(f"{player}_{what}", player, colour) for player, colour in players.items()]
        for title, what in ((LOSSES, "loss"), (NORMS, "gradient_norm"))
    }
    known = {line.key for lines in panels.values() for line in lines} | {*NOT_MEASURED}
    parts = [name for name in names if name not in known and not name.endswith("_rate")]
    return panels | {PARTS: [Line(name, name, next(colours)) for name in parts]}


def _curves(rows: Sequence[Mapping[str, Any]], lines: Sequence[Line]) -> list[Curve]:
    """The lines that have any value, each with what is finite of it: images seen (N,) and values (N,).

    Gradient norms of zero have no place on a logarithmic axis and count as missing.
    """
    curves = []
    images = np.array([row["images_seen"] for row in rows])
    for line in lines:
        logged = (row.get(line.key) for row in rows)
        values = np.array([float(value) if isinstance(value, int | float) else math.nan for value in logged])
        there = np.isfinite(values) & ((values > 0) | (not line.key.endswith("_norm")))
        if there.any():
            curves.append((line, images[there], values[there]))
    return curves


def _draw(ax: Axes, title: str, curves: list[Curve], palette: Palette) -> None:
    ends = []
    for line, images, values in curves:
        smooth = smoothed(values)
        few = len(values) < 3
        ax.plot(images, values, color=line.colour, linewidth=0.8, alpha=0.3)
        ax.plot(images, smooth, color=line.colour, linewidth=2, marker="o" if few else None, clip_on=not few)
        ends.append((float(smooth[-1]), line.label, line.colour))
    _limit(ax, title, np.concatenate([values for _, _, values in curves]))
    if title == VERDICTS:
        ax.axhline(0.5, color=palette.ink, linewidth=0.9, linestyle=(0, (2, 3)))
        ends.append((0.5, "undecided", palette.ink))
    _label_ends(ax, ends)


def _limit(ax: Axes, title: str, values: np.ndarray) -> None:
    """Set the scale and ends of the vertical axis for finite `values`."""
    low, high = values.min(), values.max()
    if title in SHARES:
        first = 0 if title == AUGMENTATION and low >= 0 else SHARES[title]
        ax.set_ylim(first, 1)
        middle = (first + 1) / 2
        ax.set_yticks([first, middle, 1], [f"{place:g}" for place in (first, middle, 1)])
    elif title == NORMS:
        ax.set_yscale("log")
        ax.set_ylim(low / 1.5, high * 1.5)
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 30 * low else (1,), numticks=7))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
    else:
        room = 0.08 * (high - low) or 0.5
        ax.set_ylim(0 if low >= 0 else low - room, high + room)


def _label_ends(ax: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Write labels (value, text, colour) right of the axes, moved apart where they lie close together."""
    ends = sorted(ends)
    to_axes = ax.transData + ax.transAxes.inverted()
    heights = _apart([float(to_axes.transform((0, value))[1]) for value, _, _ in ends], 0.14)
    for height, (_, text, colour) in zip(heights, ends, strict=True):
        text = text if len(text) <= LONGEST else f"…{text[1 - LONGEST :]}"
        place = {"xy": (1, height), "xytext": (8, 0), "xycoords": "axes fraction", "textcoords": "offset points"}
        ax.annotate(text, **place, color=colour, fontsize=10.5, fontweight="bold", va="center", annotation_clip=False)


def _apart(places: list[float], distance: float) -> list[float]:
    """Ascending places with at least `distance` between neighbours, in the middle of where they were."""
    moved = []
    for place in places:
        moved.append(max(place, moved[-1] + distance) if moved else place)
    shift = sum(places) / len(places) - sum(moved) / len(moved) if places else 0
    return [place + shift for place in moved]


def smoothed(values: np.ndarray) -> np.ndarray:
    """Values (N,) averaged with their neighbours under a bell curve; a few values stay as they are."""
    if len(values) < FEWEST_TO_SMOOTH:
        return values
    deviation = SMOOTHING * len(values) + 0.5
    reach = min(math.ceil(3 * deviation), (len(values) - 1) // 2)
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    return np.convolve(values, bell, "same") / np.convolve(np.ones_like(values), bell, "same")


def clean(ax: Axes, palette: Palette) -> None:
    """Nothing but faint horizontal lines and a base line, as in all plots of a report."""
    ax.patch.set_alpha(0)
    ax.spines[["top", "left", "right"]].set_visible(False)
    ax.spines["bottom"].set_color(palette.faint)
    ax.grid(axis="y", color=palette.faint, linewidth=0.7)
    ax.set_axisbelow(True)
    ax.tick_params(which="both", length=0, colors=palette.ink, labelsize=9.5)
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda number, _: short_count(number)))
    ax.yaxis.set_major_locator(MaxNLocator(4))


def figure_png(figure: Figure, ground: str = "none") -> bytes:
    """A figure as PNG on a ground of that colour; by default a transparent one."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # a box stands for it
        figure.savefig(buffer, format="png", dpi=DPI, facecolor=ground)
    return buffer.getvalue()
