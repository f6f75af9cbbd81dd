"""How a measurement is told: numbers, tables, the section of the report, neighbours."""

from __future__ import annotations

import html
import re

import numpy as np
import pytest
from PIL import Image

from ganlet.config import build_config, dump_yaml
from ganlet.images import enlarge
from ganlet.runs.evaluations import aligned, append_evaluation, as_text, describe_value, newest_evaluation, number
from ganlet.runs.folder import RunFolder
from ganlet.runs.pictures import save_neighbours
from ganlet.runs.plots import Course, distance_plot


def measurement(**changes):
    found = {
        "metric": "kernel",
        "name": "KD (ganlet)",
        "value": 12.345,
        "spread": 0.1234,
        "better": "lower",
        "biased": False,
        "note": "",
        "floor": 0.00123,
        "meaning": "how far it is",
    }
    return found | changes


def row_of(*measurements, **changes):
    row = {
        "images_seen": 5_000,
        "protocol": {},
        "protocol_in_words": "300 fakes against 200 training pictures",
        "floor_in_words": "the same number for 50 held-out pictures",
        "measurements": list(measurements),
        "refused": [{"metric": "score", "name": "classifier score", "reason": "No <classes>."}],
        "neighbours": {"searched": 100, "of": 200},
    }
    return row | changes


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path / "run", dump_yaml(build_config([{"data": {"channels": 3}}])))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (158.56, "159"),
        (12345.6, "12,346"),
        (1.2345, "1.23"),
        (0.012345, "0.0123"),
        (-0.5, "-0.500"),
        (1e-9, "0.000000"),
    ],
)
def test_three_digits_count(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [
        (12.345, 0.1234, "12.35 ± 0.12"),
        (12.345, 3.21, "12.3 ± 3.2"),
        (12345.6, 120.0, "12,346 ± 120"),
        (0.5, 0.0, "0.5000"),
        (0.98765, None, "0.9877"),
        (-0.0004, 0.0012, "-0.0004 ± 0.0012"),
    ],
)
def test_a_value_has_the_digits_that_its_spread_lets_count(value, spread, text):
    assert describe_value(measurement(value=value, spread=spread)) == text
    assert describe_value(measurement(value=value, spread=spread, biased=True)) == f"{text} (biased)"


def test_columns_stand_below_each_other():
    assert aligned([["a", "bb"], ["ccc", "d"], ["e", ""]]) == ["a    bb", "ccc  d", "e"]


def test_a_row_for_a_terminal():
    text = as_text(row_of(measurement(note="over all pairs"), measurement(name="MS-SSIM", better=None, floor=None)))
    table, notes, left_out, protocol, floor = text.split("\n\n")
    heading, first, second = table.splitlines()
    assert first.split() == ["KD", "(ganlet)", "12.35", "±", "0.12", "lower", "0.00123"]
    assert second.endswith("like the floor")
    assert first.index("0.00123") == heading.index("floor")
    assert notes == "notes:\n  KD (ganlet): over all pairs"
    assert left_out == "left out:\n  classifier score: No <classes>."
    assert protocol == "protocol:\n  300 fakes against 200 training pictures"
    assert floor == "floor:\n  the same number for 50 held-out pictures"


def test_what_there_is_not_is_not_said():
    assert as_text(row_of(refused=[], floor_in_words="")).startswith("Nothing could be measured.")
    text = as_text(row_of(measurement(floor=None), refused=[], floor_in_words=""))
    assert "notes:" not in text
    assert "left out:" not in text
    assert "floor:" not in text


def test_the_newest_row_counts(folder):
    assert newest_evaluation(folder) is None
    append_evaluation(folder, row_of(measurement(value=1.0), images_seen=9_000))
    append_evaluation(folder, row_of(measurement(value=2.0)))
    newest = newest_evaluation(folder)
    assert newest["measurements"][0]["value"] == 2.0
    assert len(folder.evaluations_path.read_text().splitlines()) == 2


def test_a_run_that_was_not_measured_has_no_section(folder, section_of):
    assert section_of(folder, "How good it is") == ""


def test_the_section_has_numbers_meanings_protocol_and_neighbours(folder, section_of):
    append_evaluation(folder, row_of(measurement(), measurement(name="copies", floor=None)))
    assert "Does it copy?" not in section_of(folder, "How good it is")
    save_neighbours(folder.neighbours_path, np.zeros((2, 8, 8, 3), np.uint8), np.zeros((2, 3, 8, 8, 3), np.uint8))
    section = section_of(folder, "How good it is")
    text = html.unescape(re.sub("<[^>]+>", " ", section))
    for part in ("12.35 ± 0.12", "0.00123", "how far it is", "after 5,000 images", "300 fakes", "50 held-out"):
        assert part in text
    assert "100 of the 200" in text
    assert section.count("<tr>") == 3
    assert "No &lt;classes&gt;." in section
    assert "data:image/" in section


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_neighbours_stand_right_of_their_picture(tmp_path, channels):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (5, 10, 12, channels), dtype=np.uint8)
    neighbours = random.integers(0, 256, (3, 3, 10, 12, channels), dtype=np.uint8)
    if channels == 4:
        pictures[..., 3] = neighbours[..., 3] = 255
    save_neighbours(tmp_path / "n.png", pictures, neighbours)
    with Image.open(tmp_path / "n.png") as image:
        sheet = np.asarray(image)
    # Two rows, two groups each, of a framed picture and three others, enlarged.
    height, width = 2 * (10 + 4 + 8) + 8, 2 * (12 + 4 + 4 + 3 * 14 + 2 + 8) + 8
    factor = 800 // width
    assert sheet.shape == (height * factor, width * factor, 3)
    small = sheet[::factor, ::factor]
    assert np.array_equal(enlarge(small, factor * width), sheet)

    def seen(top, left):
        return small[top : top + 10, left : left + 12]

    def colour(picture):
        return picture[..., :3] if channels > 1 else picture.repeat(3, axis=-1)

    assert np.array_equal(seen(10, 10), colour(pictures[0]))
    for place in range(3):
        assert np.array_equal(seen(10, 30 + 14 * place), colour(neighbours[0, place]))
    assert np.array_equal(seen(32, 10), colour(pictures[2]))
    assert (small[8:10, 8:24] == 0).all()


def test_the_plot_has_a_panel_a_title_and_a_colour_a_run():
    first = [Course("a", (0, 10), (3.0, 1.0)), Course("a name that is much too long", (10,), (2.0,))]
    figure = distance_plot({"KD": first, "FD": [Course("a", (20,), (500.0,))]})
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["KD", "FD"]
    lines = figure.axes[0].get_lines()
    assert [list(line.get_xdata()) for line in lines] == [[0, 10], [10]]
    assert lines[0].get_color() == figure.axes[1].get_lines()[0].get_color() != lines[1].get_color()
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(labels) == ["a", "… much too long"]
    assert figure.axes[0].get_xlim()[1] >= 20


def test_distances_that_fall_far_are_drawn_on_a_logarithmic_axis():
    def scale(*values):
        return distance_plot({"KD": [Course("a", (1, 2), values)]}).axes[0].get_yscale()

    assert scale(100.0, 1.0) == "log"
    assert scale(10.0, 1.0) == "linear"
    assert scale(100.0, -0.1) == "linear"
