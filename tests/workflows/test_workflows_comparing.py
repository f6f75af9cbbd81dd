"""ganlet compare: nothing is ranked that was measured in different ways, and nothing that may be chance."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganlet
from ganlet.config import dump_yaml, resolve
from ganlet.errors import ConfigError, MetricError, RunError
from ganlet.runs.evaluations import append_evaluation
from ganlet.runs.folder import RunFolder
from ganlet.runs.history import History
from ganlet.workflows.comparing import compare
from ganlet.workflows.plotting import _panels, save_plot

PROTOCOL = {
    "extractor": "pixels",
    "extractor_identity": "1" * 64,
    "resizer": "bilinear",
    "channel_rule": "own",
    "num_fakes": 1000,
    "num_reals": 500,
    "reals": "training pictures",
    "data_fingerprint": "f" * 64,
    "weights": "ema",
    "seed": 0,
    "ganlet": "0.1.0",
}


def measurement(metric, value, spread, protocol, better="lower"):
    return {
        "metric": metric,
        "name": {"kernel": "KD (pixels)", "frechet": "FD (pixels)"}.get(metric, metric),
        "value": value,
        "spread": spread,
        "better": better,
        "biased": False,
        "note": "",
        "floor": 0.01,
        "meaning": "",
        "protocol": protocol,
    }


@pytest.fixture
def made(tmp_path, tiny_config) -> Callable[..., Path]:
    """The folder of a run that was measured, or not; `values` are (value, spread) by metric."""

    def made(name, values=None, *, changes=None, live=(), images_seen=160, **protocol) -> Path:
        path = tmp_path / name
        if not path.exists():
            config = resolve(tiny_config(changes), num_pictures=40, channels=3)
            RunFolder.create(path, dump_yaml(config))
        folder = RunFolder(path)
        how = PROTOCOL | protocol
        if values is not None:
            better = {"precision": "higher", "ms_ssim": None}
            found = [measurement(key, *pair, how, better.get(key, "lower")) for key, pair in values.items()]
            row = {"images_seen": images_seen, "protocol": how, "protocol_in_words": f"{how['num_fakes']} fakes"}
            append_evaluation(folder, {**row, "measurements": found, "refused": []})
        with History(folder.metrics_path) as history:
            for seen, value in live:
                row = {"event": "measurement", "images_seen": seen, "metric": "kd", "name": "KD (pixels)"}
                history.append({**row, "value": value, "error": 0.1, "seconds": 1.0, "protocol": how, "best": True})
        return path

    return made


def marks(comparison, metric="kernel"):
    return comparison.as_json()["groups"][0]["metrics"][metric]["marks"]


# Ranking


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([(1.0, 0.1), (1.3, 0.1), (2.0, 0.1)], {"a": "best"}),
        ([(1.3, 0.1), (1.0, 0.1), (2.0, 0.1)], {"b": "best"}),
        ([(1.0, 0.2), (1.3, 0.1), (2.0, 0.1)], {"a": "tied", "b": "tied"}),
        ([(1.0, 0.1), (1.3, 0.1), (1.9, 0.9)], {"a": "tied", "c": "tied"}),
        ([(1.0, None), (1.3, 0.1), (2.0, 0.1)], {}),
        ([(1.0, 0.0), (1.0, 0.0), (2.0, 0.1)], {"a": "tied", "b": "tied"}),
    ],
)
def test_the_best_is_ahead_by_more_than_the_spreads(made, values, expected):
    runs = [made(name, {"kernel": pair}) for name, pair in zip("abc", values, strict=True)]
    assert marks(compare(runs)) == expected


def test_higher_is_better_where_it_is(made):
    runs = [made("a", {"precision": (0.5, 0.01)}), made("b", {"precision": (0.9, 0.01)})]
    assert marks(compare(runs), "precision") == {"b": "best"}


def test_what_should_be_like_real_pictures_has_no_best(made):
    runs = [made("a", {"ms_ssim": (0.5, 0.01)}), made("b", {"ms_ssim": (0.9, 0.01)})]
    assert marks(compare(runs), "ms_ssim") == {}


def test_one_number_is_no_ranking(made):
    runs = [made("a", {"kernel": (1.0, 0.1)}), made("b", {"frechet": (2.0, 0.1)})]
    assert marks(compare(runs)) == {}
    assert marks(compare(runs), "frechet") == {}


def test_numbers_of_other_counts_are_not_ranked_even_beside_equal_ones(made):
    runs = [made("a", {"kernel": (1.0, 0.1)}), made("b", {"kernel": (2.0, 0.1)})]
    path = runs[1] / "evaluations.jsonl"
    row = json.loads(path.read_text())
    row["measurements"][0]["protocol"]["num_reals"] = 400
    path.write_text(json.dumps(row) + "\n")
    assert marks(compare(runs)) == {}


def test_the_newest_evaluation_counts(made):
    made("a", {"kernel": (5.0, 0.1)}, num_fakes=10)
    runs = [made("a", {"kernel": (1.0, 0.1)}), made("b", {"kernel": (2.0, 0.1)})]
    assert marks(compare(runs)) == {"a": "best"}


# Protocols


@pytest.mark.parametrize(
    "change",
    [
        {"num_fakes": 2000},
        {"num_reals": 400},
        {"extractor_identity": "2" * 64},
        {"resizer": "none"},
        {"channel_rule": "other"},
        {"data_fingerprint": "e" * 64},
        {"weights": "raw"},
        {"reals": "held-out pictures"},
    ],
)
def test_different_ways_of_measuring_are_refused_and_named(made, change):
    runs = [made("a", {"kernel": (1.0, 0.1)}), made("b", {"kernel": (2.0, 0.1)}, **change)]
    with pytest.raises(RunError, match="measured in different ways") as caught:
        compare(runs)
    ((field, value),) = change.items()
    assert caught.value.exit_code == 2
    assert caught.value.got == f"{field}: {PROTOCOL[field]} (a); {value} (b)"
    assert "--show-anyway" in caught.value.hint
    assert ("--num" in caught.value.hint) == (field in ("num_fakes", "extractor_identity", "resizer", "channel_rule"))


def test_the_hint_measures_them_alike(made):
    runs = [made("a", {"kernel": (1.0, 0.1)}, num_fakes=300), made("b", {"kernel": (2.0, 0.1)})]
    with pytest.raises(RunError) as caught:
        compare(runs)
    assert "ganlet evaluate RUN --num 1000 --extractor pixels" in caught.value.hint


def test_seed_and_version_do_not_matter(made):
    runs = [made("a", {"kernel": (1.0, 0.1)}), made("b", {"kernel": (2.0, 0.1)}, seed=5, ganlet="0.2.0")]
    assert marks(compare(runs)) == {"a": "best"}


def test_shown_anyway_each_way_has_a_table(made):
    runs = [
        made("a", {"kernel": (1.0, 0.1)}),
        made("b", {"kernel": (2.0, 0.1)}, num_fakes=300),
        made("c", {"kernel": (3.0, 0.1)}),
    ]
    comparison = compare(runs, show_anyway=True)
    assert [[one.name for one in group] for group in comparison.groups] == [["a", "c"], ["b"]]
    first, words, second, other_words = str(comparison).split("\n\n")
    assert first.split()[:2] == ["a", "c"]
    assert words == "protocol: 1000 fakes"
    assert second.split()[0] == "b"
    assert other_words == "protocol: 300 fakes"


def test_a_protocol_of_another_ganlet_is_not_guessed_at(made):
    runs = [made("a", {"kernel": (1.0, 0.1)}), made("b", {"kernel": (2.0, 0.1)}, temperature=1)]
    with pytest.raises(MetricError, match="another version"):
        compare(runs)


# The rest of the page


def test_the_table(made):
    values = {"kernel": (1.0, 0.1), "frechet": (20.0, 2.0)}
    runs = [made("first", values), made("b", {"kernel": (2.0, 0.1)}, images_seen=2_000)]
    heading, images, kernel, frechet = str(compare(runs)).split("\n\n")[0].splitlines()
    assert heading.split() == ["first", "b", "better", "floor"]
    assert images.split() == ["images", "seen", "160", "2,000"]
    assert kernel.split() == ["KD", "(pixels)", "1.00", "±", "0.10", "best", "2.00", "±", "0.10", "lower", "0.0100"]
    assert frechet.split() == ["FD", "(pixels)", "20.0", "±", "2.0", "-", "lower", "0.0100"]
    assert kernel.index("1.00") == heading.index("first") == frechet.index("20.0")


def test_runs_that_were_not_measured_are_named_with_the_command(made):
    runs = [made("a", {"kernel": (1.0, 0.1)}), made("b c")]
    comparison = compare(runs)
    assert str(comparison).endswith(f"not measured yet:\n  ganlet evaluate '{runs[1]}'")
    assert comparison.as_json()["not_measured"] == {str(runs[1]): f"ganlet evaluate '{runs[1]}'"}
    with pytest.raises(RunError, match="None of these") as caught:
        compare(runs[1:])
    assert f"ganlet evaluate '{runs[1]}'" in caught.value.hint


def test_different_settings_are_listed(made):
    runs = [
        made("a", {"kernel": (1.0, 0.1)}),
        made("b", {"kernel": (2.0, 0.1)}, changes={"seed": 3}),
        made("c", changes={"train.batch_size": 8}),
    ]
    assert compare(runs).settings == {
        "seed": {"a": 0, "b": 3, "c": 0},
        "train.batch_size": {"a": 16, "b": 16, "c": 8},
    }
    assert compare(runs[:1]).settings == {}


def test_equal_names_are_told_apart_and_equal_runs_are_one(made, tmp_path):
    runs = [made("x/run", {"kernel": (1.0, 0.1)}), made("y/run", {"kernel": (2.0, 0.1)})]
    assert marks(compare([*runs, runs[0]])) == {str(runs[0]): "best"}


def test_everything_as_plain_data(made):
    runs = [made("a", {"kernel": (1.0, 0.1)}), made("b", {"kernel": (2.0, None)})]
    plain = ganlet.compare(runs).as_json()
    assert json.loads(json.dumps(plain)) == plain
    (group,) = plain["groups"]
    assert group["protocol"] == PROTOCOL
    assert group["runs"] == {"a": str(runs[0]), "b": str(runs[1])}
    assert group["metrics"]["kernel"]["values"]["b"] == {"value": 2.0, "spread": None, "biased": False}


# The plot


def test_the_plot_shows_what_was_measured_in_training(made, tmp_path):
    live = [(0, 5.0), (100, 2.0), (160, 1.0)]
    runs = [made("a", {"kernel": (1.0, 0.1)}, live=live), made("b", live=[(0, 4.0), (160, 3.0)])]
    save_plot(runs, tmp_path / "plot.png")
    with Image.open(tmp_path / "plot.png") as image:
        plot = np.asarray(image.convert("RGB")).reshape(-1, 3)
    colours = {tuple(colour) for colour in np.unique(plot, axis=0)}
    assert {(0x3F, 0x6E, 0xA8), (0xC0, 0x6A, 0x2C)} <= colours
    assert (0x3F, 0x8A, 0x63) not in colours


def test_each_way_of_measuring_has_a_panel_of_its_own():
    def row(seen, value, **change):
        return {"images_seen": seen, "name": "KD", "value": value, "protocol": PROTOCOL | change}

    panels = _panels({"a": [row(20, 1.0), row(10, 2.0)], "b": [row(10, 3.0, num_fakes=7), row(5, 4.0, seed=9)]})
    (first, courses), (second, others) = panels.items()
    assert first.startswith("KD: 1,000 fakes")
    assert second.startswith("KD: 7 fakes")
    assert [(one.name, list(one.images), list(one.values)) for one in courses] == [
        ("a", [10, 20], [2.0, 1.0]),
        ("b", [5], [4.0]),
    ]
    assert [(one.name, list(one.values)) for one in others] == [("b", [3.0])]
    assert len(_panels({"a": [row(1, 1.0), row(1, 1.0, resizer="x")]})) == 2


def test_without_live_numbers_evaluations_are_plotted(made, tmp_path):
    run = made("a", {"kernel": (1.0, 0.1), "precision": (0.5, 0.1)})
    save_plot([run], tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1_000
    bare = made("b", {"precision": (0.5, 0.1)})
    with pytest.raises(RunError, match="nothing to plot") as caught:
        save_plot([bare], tmp_path / "other.png")
    assert caught.value.hint == f"ganlet evaluate {bare}"
    with pytest.raises(ConfigError, match="as PNG"):
        save_plot([run], tmp_path / "plot.jpg")
