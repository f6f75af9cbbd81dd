from __future__ import annotations

import io
import math
import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from ganlet.runs.plots import (
    AUGMENTATION,
    LABELS,
    LOSSES,
    NORMS,
    PENALTIES,
    SCORES,
    VERDICTS,
    figure_png,
    loss_plot,
    panels_of,
    smoothed,
)


def a_row(number: int, **changes) -> dict:
    return {
        "images_seen": 1000 * number,
        "discriminator_loss": 1.0 + 0.1 * math.sin(number),
        "generator_loss": 2.0 + 0.1 * math.cos(number),
        "real_probability": 0.7,
        "fake_probability": 0.2,
        "discriminator_gradient_norm": 3.0,
        "generator_gradient_norm": 0.5 + 0.01 * number,
        "r1": 0.1,
        **changes,
    }


def panel(figure, title: str):
    return next(ax for ax in figure.axes if ax.get_title("left") == title)


def labels(ax) -> dict[str, float]:
    """The labels at the ends of the curves, each with its height in the panel."""
    return {text.get_text(): text.xy[1] for text in ax.texts}


@pytest.mark.parametrize("num_rows", [1, 2, 3, 12, 100])
def test_three_panels_share_the_images_seen(num_rows):
    figure = loss_plot([a_row(number) for number in range(1, num_rows + 1)])
    titles = [ax.get_title("left") for ax in figure.axes]
    assert titles == ["Losses", VERDICTS, NORMS]
    assert [set(labels(ax)) for ax in figure.axes] == [
        {"discriminator", "generator"},
        {"D(real)", "D(fake)", "undecided"},
        {"discriminator", "generator"},
    ]
    assert {ax.get_xlim() for ax in figure.axes} == {(0, 1000 * num_rows)}
    assert Image.open(io.BytesIO(figure_png(figure))).size[0] > 800


def test_few_points_are_dots_which_can_be_seen():
    for num_rows, marker in ((1, "o"), (2, "o"), (3, "None")):
        figure = loss_plot([a_row(number) for number in range(1, num_rows + 1)])
        assert figure.axes[0].lines[-1].get_marker() == marker


def test_the_line_of_the_undecided_stands_at_one_half():
    ax = panel(loss_plot([a_row(1), a_row(2)]), VERDICTS)
    assert ax.get_ylim() == (0, 1)
    assert [0.5, 0.5] in [list(line.get_ydata()) for line in ax.lines]
    assert labels(ax)["D(real)"] == pytest.approx(0.7)


def test_without_rows_the_figure_says_so():
    for rows in ([], [{"event": "resume", "images_seen": 3}]):
        figure = loss_plot(rows, penalties=("r1",))
        assert [text.get_text() for ax in figure.axes for text in ax.texts] == ["nothing was logged"]
        assert Image.open(io.BytesIO(figure_png(figure))).size[1] > 100


def test_missing_values_are_passed_over():
    rows = [
        a_row(1),
        a_row(2, generator_loss=None),
        a_row(3),
        {"images_seen": 4000},
        {"event": "resume", "images_seen": 4000},
    ]
    losses = loss_plot(rows).axes[0]
    discriminator, generator = losses.lines[0], losses.lines[2]
    assert list(discriminator.get_xdata()) == [1000, 2000, 3000]
    assert list(generator.get_xdata()) == [1000, 3000]
    assert losses.get_xlim() == (0, 4000)


def test_a_curve_without_values_is_left_out_and_so_is_an_empty_panel():
    rows = [a_row(n, generator_loss=None, real_probability=None, fake_probability=math.nan) for n in range(1, 20)]
    figure = loss_plot(rows)
    assert [ax.get_title("left") for ax in figure.axes] == ["Losses", NORMS]
    assert set(labels(figure.axes[0])) == {"discriminator"}


def test_penalties_have_a_panel_when_they_are_named():
    rows = [a_row(number, r2=0.3) for number in range(1, 20)]
    assert [ax.get_title("left") for ax in loss_plot(rows).axes][-1] == NORMS
    ax = panel(loss_plot(rows, penalties=("r1", "r2")), PENALTIES)
    assert set(labels(ax)) == {"R1", "R2"}
    assert ax.get_ylim()[0] == 0


def test_penalties_are_called_by_short_names():
    kinds = ("r2", "gradient_penalty", "dragan", "consistency", "lecam")
    ax = panel(loss_plot([a_row(1, **dict.fromkeys(kinds, 0.3)), a_row(2)], penalties=kinds), PENALTIES)
    assert set(labels(ax)) == {"R2", "gradient", "DRAGAN", "consistency", "LeCam"}


def test_logits_stand_where_there_are_no_probabilities():
    rows = [a_row(number, real_logit=40.0, fake_logit=-25.0) for number in range(1, 20)]
    figure = loss_plot(rows, probabilities=False)
    assert VERDICTS not in [ax.get_title("left") for ax in figure.axes]
    ax = panel(figure, SCORES)
    assert set(labels(ax)) == {"real", "generated"}
    assert ax.get_ylim()[0] < -25
    assert ax.get_ylim()[1] > 40
    held_out = loss_plot([a_row(1, real_logit=1.0, held_out_logit=0.5), a_row(2)], probabilities=False)
    assert set(labels(panel(held_out, SCORES))) == {"real", "held out"}


def test_labels_and_augmentation_have_panels_where_they_were_logged():
    rows = [a_row(n, label_loss=1.0, fake_label_loss=2.0, augment_strength=0.3, real_sign=0.2) for n in range(1, 20)]
    figure = loss_plot(rows)
    titles = [ax.get_title("left") for ax in figure.axes]
    assert titles == [LOSSES, VERDICTS, NORMS, LABELS, AUGMENTATION] == panels_of(rows, (), True)
    assert set(labels(panel(figure, LABELS))) == {"real", "generated"}
    assert panel(figure, AUGMENTATION).get_ylim() == (0, 1)
    unsure = [{**row, "real_sign": -0.4} for row in rows]
    assert panel(loss_plot(unsure), AUGMENTATION).get_ylim() == (-1, 1)


def test_gradient_norms_are_logarithmic_and_zero_is_passed_over():
    rows = [a_row(number, generator_gradient_norm=0.0 if number < 3 else 1e-6) for number in range(1, 6)]
    ax = panel(loss_plot(rows), NORMS)
    assert ax.get_yscale() == "log"
    assert list(ax.lines[2].get_xdata()) == [3000, 4000, 5000]
    assert ax.get_ylim()[0] == pytest.approx(1e-6 / 1.5)


def test_losses_start_at_zero_unless_they_are_below():
    assert loss_plot([a_row(1), a_row(2)]).axes[0].get_ylim()[0] == 0
    assert loss_plot([a_row(1, generator_loss=-3.0), a_row(2)]).axes[0].get_ylim()[0] < -3


def test_labels_that_would_lie_on_each_other_move_apart():
    rows = [a_row(number, real_probability=0.51, fake_probability=0.5) for number in range(1, 30)]
    heights = labels(panel(loss_plot(rows), VERDICTS))
    assert heights["D(real)"] == max(heights.values())
    ordered = sorted(heights.values())
    assert np.diff(ordered).min() >= 0.13
    assert np.mean(ordered) == pytest.approx((0.51 + 0.5 + 0.5) / 3)


def test_a_strong_smoothed_line_lies_over_the_raw_one():
    values = [1.0 + (number % 2) for number in range(100)]
    losses = loss_plot([a_row(number, discriminator_loss=value) for number, value in enumerate(values)]).axes[0]
    raw, smooth = losses.lines[:2]
    assert list(raw.get_ydata()) == values
    assert np.std(smooth.get_ydata()) < 0.1 * np.std(values)
    assert smooth.get_linewidth() > raw.get_linewidth()


def test_smoothing_keeps_length_level_and_order():
    rising = np.linspace(0.0, 1.0, 200)
    assert (np.diff(smoothed(rising)) > 0).all()
    np.testing.assert_allclose(smoothed(rising)[50:150], rising[50:150], atol=1e-6)
    np.testing.assert_allclose(smoothed(np.full(50, 3.0)), 3.0)
    few = np.array([1.0, 5.0, 2.0])
    np.testing.assert_array_equal(smoothed(few), few)


def test_light_and_dark_are_two_pictures_on_a_transparent_ground():
    rows = [a_row(number) for number in range(1, 5)]
    light, dark = loss_plot(rows), loss_plot(rows, dark=True)
    for name in (lambda ax: ax.xaxis.label, lambda ax: ax.texts[0], lambda ax: ax.lines[1]):
        on_white, on_black = (np.mean(to_rgb(name(figure.axes[-1]).get_color())) for figure in (light, dark))
        assert on_white < 0.5 < on_black
    shown = [np.asarray(Image.open(io.BytesIO(figure_png(figure)))) for figure in (light, dark)]
    assert shown[0].shape == shown[1].shape
    assert [picture[0, 0, 3] for picture in shown] == [0, 0]


def test_nothing_global_of_matplotlib_is_touched():
    before = dict(matplotlib.rcParams)
    figure_png(loss_plot([a_row(1)], dark=True))
    assert dict(matplotlib.rcParams) == before


def test_where_matplotlib_keeps_its_fonts_is_not_told():
    code = "import ganlet.runs.plots, logging; logging.getLogger('matplotlib').warning('something else')"
    nowhere = {"HOME": "/proc/nowhere", "XDG_CONFIG_HOME": "", "XDG_CACHE_HOME": ""}
    environment = {key: value for key, value in os.environ.items() if key != "MPLCONFIGDIR"} | nowhere
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stderr) == (0, "something else\n")
