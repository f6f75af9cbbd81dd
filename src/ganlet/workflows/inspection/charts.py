"""The charts of an inspection, in the style of a run's curves: nothing but faint lines and a base line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, ScalarFormatter

from ganlet.data.inspection.examination import class_counts
from ganlet.data.inspection.survey import Survey
from ganlet.paths import printable
from ganlet.runs.plots import DARK, LIGHT, Palette, clean

WIDTH, HEIGHT = 5.2, 2.6  # inches
BINS = 40
MOST_POINTS, MOST_CLASSES = 5_000, 16
LONGEST_NAME = 24

Chart = Callable[[Survey, Axes, Palette], None]


def charts(survey: Survey) -> dict[str, Callable[..., Figure]]:
    """The charts that say something about these pictures, by title: each draws itself on light or dark ground."""
    worthy = {title: chart for title, (worth, chart) in CHARTS.items() if len(survey) and worth(survey)}
    return {title: partial(_figure, chart, survey) for title, chart in worthy.items()}


def _figure(chart: Chart, survey: Survey, *, dark: bool) -> Figure:
    palette = DARK if dark else LIGHT
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    _clean(axes, palette)
    chart(survey, axes, palette)
    return figure


def _sizes(survey: Survey, axes: Axes, palette: Palette) -> None:
    counts = Counter(zip(survey.rows["width"].tolist(), survey.rows["height"].tolist(), strict=True))
    points = counts.most_common(MOST_POINTS)
    widths, heights = np.array([size for size, _ in points]).T
    areas = 12 + 130 * np.sqrt(np.array([count for _, count in points]) / points[0][1])
    axes.scatter(widths, heights, s=areas, color=palette.discriminator, alpha=0.35, linewidth=0)
    low, high = min(widths.min(), heights.min()) / 1.2, max(widths.max(), heights.max()) * 1.2
    axes.plot([low, high], [low, high], color=palette.ink, linewidth=0.9, linestyle=(0, (2, 3)))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set(xlim=(low, high), ylim=(low, high))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
        axis.set_minor_locator(NullLocator())
    axes.set(xlabel="width in pixels (dotted: squares)", ylabel="height")


def _aspects(survey: Survey, axes: Axes, palette: Palette) -> None:
    ratios = np.log2(survey.rows["height"] / survey.rows["width"])
    reach = max(0.5, float(np.quantile(np.abs(ratios), 0.98)) * 1.3)  # a few odd ones must not flatten the rest
    axes.hist(ratios, bins=np.linspace(-reach, reach, BINS + 1).tolist(), color=palette.real)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda power, _: f"{2.0**power:.2g}"))
    axes.set_xlabel("height / width (1: square)")


def _light(survey: Survey, axes: Axes, palette: Palette) -> None:
    bins = np.linspace(0, 255, BINS + 1).tolist()
    axes.hist(survey.rows["brightness"], bins=bins, color=palette.generator)
    axes.hist(survey.rows["contrast"], bins=bins, histtype="step", color=palette.discriminator, linewidth=1.8)
    axes.set(xlim=(0, 255), xlabel="brightness (filled) and contrast (line) of each picture")


def _classes(survey: Survey, axes: Axes, palette: Palette) -> None:
    counts = sorted(class_counts(survey).items(), key=lambda item: item[1], reverse=True)
    if len(counts) > MOST_CLASSES:
        axes.fill_between(range(len(counts)), [count for _, count in counts], color=palette.real, linewidth=0)
        axes.set(xlim=(0, len(counts) - 1), ylim=(0, None), xlabel="classes, the most frequent first")
        return
    names = [printable(name)[:LONGEST_NAME].replace("$", r"\$") for name, _ in counts]
    places = range(len(names))
    axes.barh(places, [count for _, count in counts], color=palette.real)
    axes.set_yticks(places, names, fontsize=8.5)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", color=palette.faint, linewidth=0.7)


def _clean(axes: Axes, palette: Palette) -> None:
    clean(axes, palette)
    axes.tick_params(labelsize=9)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=palette.ink, fontsize=9.5)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))


def _several(survey: Survey, *names: str) -> bool:
    return len(np.unique(survey.rows[list(names)])) > 1


CHARTS: dict[str, tuple[Callable[[Survey], bool], Chart]] = {
    "Sizes": (lambda survey: _several(survey, "height", "width"), _sizes),
    "Shapes": (lambda survey: _several(survey, "height", "width"), _aspects),
    "Light": (lambda survey: True, _light),
    "Classes": (lambda survey: len(survey.label_names) > 1, _classes),
}
