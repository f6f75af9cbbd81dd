"""The parts of benchmarks/modes_covered.py that decide what its table says."""

from __future__ import annotations

import json

import numpy as np
import pytest

import modes_covered
from ganlet.config import differences
from ganlet.data import ring
from ganlet.data.settings import DataConfig
from ganlet.data.source import open_source
from ganlet.metrics.mode_classifier import open_mode_classifier
from ganlet.workflows import training


def row(recipe, seed, covered, **changes):
    facts = {"set": "ring", "num": 2_500, "total": 8, "date": "2026-11-22", "commit": "abc", "torch": "2.13.0"}
    real = {"real_covered": 8.0, "real_clear": 0.989, "real_kl": 0.0014}
    found = {"covered": covered, "shown": covered, "clear": 0.5, "kl": 1.0, "rate": 1_000.0}
    return {**facts, **real, "recipe": recipe, "seed": seed, **found, **changes}


def test_the_table_has_a_line_for_each_recipe_with_means_and_each_seed():
    blended, *_ = modes_covered.CONTROLS
    rows = [
        row("r1", 0, 8),
        row(blended, 0, 5, rate=None),
        row("plain", 1, 3, clear=0.7),
        row("plain", 0, 2),
        row("plain", 2, 4),
    ]
    assert modes_covered.as_table(rows)[4:] == [
        "| as many real pictures | 8.0 | | | 98.9% | 0.001 | |",
        f"| {blended} | 5.0 |  | 5.0 | 50.0% | 1.000 |  |",
        "| plain | 3.0 | 2 3 4 | 3.0 | 56.7% | 1.000 | 1,000 |",
        "| r1 | 8.0 | 8 | 8.0 | 50.0% | 1.000 | 1,000 |",
    ]


def test_the_table_names_every_commit_its_rows_were_measured_at():
    facts = modes_covered.as_table([row("plain", 0, 2), row("plain", 1, 2, commit="def")])[0]
    assert facts == "ring, 2,500 pictures a run; date 2026-11-22, commit abc def, torch 2.13.0"


def test_a_run_that_is_in_the_file_is_not_made_again(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(
        modes_covered, "open_source", lambda data: open_source(data.model_copy(update={"num_images": 50}))
    )
    monkeypatch.setattr(
        modes_covered,
        "one_run",
        lambda config, judge, num: (made.append(config.seed) or row("plain", config.seed, 2), np.zeros((1, 8, 8, 1))),
    )
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(row("plain", 0, 2)) + "\n")
    command = [
        "modes_covered.py",
        "run",
        "--source",
        "ring",
        "--out",
        str(rows),
        "--recipe",
        "plain",
        "--seeds",
        "0",
        "1",
    ]
    monkeypatch.setattr("sys.argv", command)
    monkeypatch.setattr(training, "redraw", training.redraw)  # put back after the benchmark has replaced it
    modes_covered.main()
    assert made == [1]
    lines = [(line["recipe"], line["seed"]) for line in modes_covered.read_rows(rows)]
    assert lines == [("plain", 0), *((control, 0) for control in modes_covered.CONTROLS), ("plain", 1)]


def test_a_mode_whose_pictures_are_all_unclear_is_shown_but_not_covered():
    pack = open_source(DataConfig(source="ring", size=8, num_images=500))
    points = np.stack([ring.CENTRES[0], ring.CENTRES[1], ring.CENTRES[2] * 0.5])
    judge = open_mode_classifier(pack, (8, 8))
    found, shown = modes_covered.judged(judge, ring.draw(points, (8, 8)))
    assert (found.covered, shown) == (2, 3)
    assert found.clear_share == pytest.approx(2 / 3)


@pytest.mark.parametrize("source", ["ring", "stacked:mnist"])
@pytest.mark.parametrize("recipe", [recipe for recipe in modes_covered.RECIPES if recipe != "plain"])
def test_every_recipe_differs_from_the_plain_one_by_what_its_name_says_alone(source, recipe):
    plain, config = (modes_covered.config_of(source, name, 3) for name in ("plain", recipe))
    allowed = {
        "no-momentum": ("generator.optimizer.beta1", "discriminator.optimizer.beta1"),
        "stddev": ("discriminator.batch_statistics",),
        "discrimination": ("discriminator.batch_statistics",),
    }
    changed = differences(plain, config)
    assert changed
    assert all(path.startswith(allowed.get(recipe, ("objective.",))) for path in changed)
    assert config.seed == 3


def test_controls_keep_what_is_in_each_place_but_not_together():
    random = np.random.default_rng(0)
    pictures = np.repeat(np.arange(100, dtype=np.uint8), 12).reshape(100, 2, 2, 3) * 2
    mixed = modes_covered.scrambled(pictures, random)
    assert (np.sort(mixed, axis=0) == pictures).all()
    assert np.ptp(mixed.reshape(100, 12), axis=1).min() > 0
    blended = modes_covered.blended(pictures, random)
    assert blended.mean() == pytest.approx(pictures.mean(), abs=1)
    assert (blended != pictures).any(axis=(1, 2, 3)).mean() > 0.9


def test_the_figures_take_the_lowest_seed_of_each_recipe(tmp_path):
    for recipe, seed, value in (("r1", 1, 11), ("r1", 0, 10), ("relativistic-r1-r2", 2, 22), ("real", 0, 1)):
        np.save(tmp_path / f"ring-{recipe}-{seed}.npy", np.full((1,), value))
    found = modes_covered.kept_pictures(tmp_path, "ring")
    assert {recipe: int(value[0]) for recipe, value in found.items()} == {
        "real": 1,
        "r1": 10,
        "relativistic-r1-r2": 22,
    }
