from __future__ import annotations

import numpy as np
import pytest

from ganlet.config import build_config, dump_yaml
from ganlet.runs.folder import RunFolder
from ganlet.runs.pictures import save_sheet
from ganlet.runs.plots import evidence_plot

PANEL = {
    "title": "Duplicates",
    "points": [(4_000, 0.0), (8_000, 0.1), (12_000, 1.0)],
    "threshold": 0.8,
    "side": "above",
    "since": 12_000,
}
VERDICT = {
    "kind": "mode collapse",
    "severity": "serious",
    "confidence": 0.9,
    "since": 12_000,
    "words": "It draws <one> picture.",
    "evidence": [{"words": "100% are twins", "limit": "limit 80%"}, {"words": "more", "limit": ""}],
    "advice": "Halve the rate.",
    "try": "ganlet train a&b --set generator.optimizer.lr=0.1",
    "picture_moments": [8_000, 12_000, 20_000],
}
HEALTHY = VERDICT | {"kind": "healthy", "severity": "healthy", "since": None, "evidence": [], "advice": "", "try": ""}


def diagnosis(*verdicts, panels=(PANEL,)):
    return {"headline": "Serious: mode collapse.", "verdicts": list(verdicts), "panels": list(panels)}


@pytest.fixture
def section(tmp_path, section_of):
    def section(facts, moments=()):
        config = build_config([{"data": {"size": 8, "channels": 3}, "evaluate": {"num_samples": 4}}])
        folder = RunFolder.create(tmp_path / "run", dump_yaml(config))
        for images in moments:
            save_sheet(folder.samples_path / f"{images:09}.png", np.zeros((4, 8, 8, 3), np.uint8))
        return section_of(folder, "How it went", **facts)

    return section


def test_without_a_diagnosis_there_is_no_section(section):
    assert section({}) == ""


def test_a_verdict_with_evidence_advice_and_command(section):
    page = section({"diagnosis": diagnosis(VERDICT)})
    assert "<h3>Mode collapse since 12,000 images</h3>" in page
    assert "<p>Serious, confidence 90%. It draws &lt;one&gt; picture.</p>" in page
    assert "<li>100% are twins (limit 80%).</li>\n<li>More.</li>" in page
    assert "<p>What to try first: Halve the rate.</p>" in page
    assert "<pre>ganlet train a&amp;b --set generator.optimizer.lr=0.1</pre>" in page
    assert page.count("data:image/png") == 2  # the chart on light and on dark ground


def test_a_healthy_run_has_neither_grades_nor_pictures(section):
    page = section({"diagnosis": diagnosis(HEALTHY, panels=())}, moments=[8_000, 12_000])
    assert "<h3>Healthy</h3>" in page
    assert "confidence" not in page
    assert "<img" not in page
    assert "No signals were logged" in page


@pytest.mark.parametrize(
    ("moments", "before", "after"),
    [
        ([0, 6_000, 11_000, 13_000, 20_000], [6_000], [13_000, 20_000]),
        ([0, 8_000, 16_000], [8_000], [16_000]),
        ([12_000], [], [12_000]),
        ([3_000], [3_000], []),
        ([], [], []),
    ],
)
def test_pictures_from_before_and_after(moments, before, after, section):
    page = section({"diagnosis": diagnosis(VERDICT)}, moments=moments)
    for images in before:
        assert f"<strong>{images:,} images</strong>: before it began." in page
    for images in after:
        assert f"<strong>{images:,} images</strong>: since then." in page
    assert page.count("<figcaption>") == len(before) + len(after)


# The chart


@pytest.mark.parametrize("dark", [False, True])
def test_a_panel_shows_the_signal_its_limit_and_the_moment(dark):
    figure = evidence_plot([PANEL, PANEL | {"title": "Other", "threshold": None, "since": None}], dark=dark)
    first, second = figure.axes
    assert [ax.get_title("left") for ax in figure.axes] == ["Duplicates", "Other"]
    signal, limit, moment = first.lines
    assert signal.get_xdata().tolist() == [4_000, 8_000, 12_000]
    assert signal.get_ydata().tolist() == [0.0, 0.1, 1.0]
    assert set(limit.get_ydata()) == {0.8}
    assert set(moment.get_xdata()) == {12_000}
    assert [text.get_text() for text in first.texts] == ["limit 0.8"]
    assert len(second.lines) == 1
    assert second.get_xlabel() == "images seen (dotted: since when)"


@pytest.mark.parametrize(("side", "ends"), [("above", (0.8, None)), ("below", (None, 0.8))])
def test_the_sick_side_is_shaded(side, ends):
    (ax,) = evidence_plot([PANEL | {"side": side}]).axes
    (area,) = ax.patches
    bottom, top = ax.get_ylim()
    low, high = (end if end is not None else edge for end, edge in zip(ends, (bottom, top), strict=True))
    assert (area.get_y(), area.get_y() + area.get_height()) == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("values", "scale"), [([0.001, 5.0, 900.0], "log"), ([0.5, 1.0, 2.0], "linear"), ([-3.0, 0.0, 900.0], "linear")]
)
def test_signals_of_many_sizes_have_a_logarithmic_axis(values, scale):
    points = list(zip([1_000, 2_000, 3_000], values, strict=True))
    (ax,) = evidence_plot([PANEL | {"points": points, "threshold": None}]).axes
    assert ax.get_yscale() == scale


def test_a_limit_far_from_all_values_is_in_sight():
    (ax,) = evidence_plot([PANEL | {"points": [(1_000, 0.1)], "threshold": 7.0}]).axes
    assert ax.get_ylim()[1] > 7.0
    assert ax.get_xlabel() == "images seen (dotted: since when)"
    (ax,) = evidence_plot([PANEL | {"since": None}]).axes
    assert ax.get_xlabel() == "images seen"
