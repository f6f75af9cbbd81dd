from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganlet
from ganlet.config import dump_yaml, resolve, validate
from ganlet.config.files import read_yaml
from ganlet.config.tree import differences
from ganlet.errors import ConfigError, RunError
from ganlet.runs.folder import RunFolder
from ganlet.runs.history import History
from ganlet.runs.pictures import save_sheet
from ganlet.workflows.configuring import make_config
from ganlet.workflows.diagnosing import as_text, describe, diagnose, save_plot
from ganlet.workflows.finishing import redraw

HEALTHY = {"separation": 0.98, "rough_diversity": 1.0, "raw_rough_diversity": 1.0, "duplicates": 0.0, "movement": 0.4}
COLLAPSED = HEALTHY | {"rough_diversity": 0.02, "raw_rough_diversity": 0.01, "duplicates": 1.0}
LOSSES = {"discriminator_loss": 0.4, "generator_loss": 2.4, "real_logit": 2.0, "fake_logit": -2.0, "seconds": 9.0}


@pytest.fixture
def made(tmp_path):
    """A run folder as training leaves it, with looks that are healthy before the onset and sick from then on."""

    def made(sick=None, onset=40_000, until=90_000, preset="quick", overrides=None, looks=True, count=20_000):
        config = resolve(make_config(preset, "smileys", overrides=overrides), num_pictures=count, channels=3)
        folder = RunFolder.create(tmp_path / "run", dump_yaml(config))
        folder.environment_path.write_text(json.dumps({"data": {"count": count}}))
        with History(folder.metrics_path) as history:
            for images in range(2_000, until + 1, 2_000):
                history.append({"images_seen": images, **LOSSES})
                if looks and images % 4_000 == 0:
                    signals = sick if sick and images >= onset else HEALTHY
                    history.append({"event": "health", "images_seen": images, **signals})
        for images in range(0, until + 1, 10_000):
            shape = (config.evaluate.num_samples, *config.data.size, 3)
            save_sheet(folder.samples_path / f"{images:09}.png", np.full(shape, images // 400, np.uint8))
        return folder

    return made


def test_a_run_is_diagnosed_by_its_folder(made):
    folder = made(COLLAPSED)
    diagnosis = diagnose(folder.path)
    (verdict,) = diagnosis.verdicts
    assert (verdict.kind, verdict.severity, verdict.since) == ("mode collapse", "serious", 40_000)
    assert diagnosis == ganlet.diagnose(str(folder.path)) == ganlet.open_run(folder.path).diagnose()


def test_a_run_of_the_library_is_diagnosed_without_looks(straight):
    diagnosis = straight.diagnose()
    assert diagnosis.healthy
    assert diagnosis.verdicts[0].kind == "too early"


def test_diagnosing_writes_nothing(made, contents):
    folder = made(COLLAPSED)
    before = contents(folder.path)
    describe(folder.path, diagnose(folder.path))
    assert contents(folder.path) == before


def test_what_is_no_run_cannot_be_diagnosed(tmp_path):
    with pytest.raises(RunError):
        diagnose(tmp_path / "nothing")


def test_a_description_is_plain_data(made):
    folder = made(COLLAPSED)
    described = describe(folder.path, diagnose(folder.path))
    assert json.loads(json.dumps(described, allow_nan=False))["healthy"] is False
    panels = {panel["title"]: panel for panel in described["panels"]}
    assert list(panels) == ["Rough diversity", "Rough diversity, momentary weights", "Duplicates"]
    panel = panels["Duplicates"]
    assert (panel["side"], panel["since"]) == ("above", 40_000)
    assert panel["points"][:2] == [(4_000, 0.0), (8_000, 0.0)]
    assert panel["points"][-1] == (88_000, 1.0)


def test_a_healthy_run_shows_its_vital_signs(made):
    folder = made()
    described = describe(folder.path, diagnose(folder.path))
    assert [panel["title"] for panel in described["panels"]] == ["Rough diversity", "Real minus fake logits"]
    assert all(panel["threshold"] is panel["since"] is None for panel in described["panels"])


# Commands


def trained_by(command):
    """The config that a `ganlet train` command line gives, resolved for 20,000 pictures, and where it goes to."""
    from ganlet.cli.options import overrides_tree

    words = shlex.split(command)
    assert words[:2] == ["ganlet", "train"]
    options = {name: [] for name in ("--preset", "--config", "--set", "--out")}
    source, rest = (words[2], words[3:]) if not words[2].startswith("--") else (None, words[2:])
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        options[name].append(value)
    preset, file = (options[name][0] if options[name] else None for name in ("--preset", "--config"))
    config = make_config(preset, source, file=file, overrides=overrides_tree(options["--set"]))
    return resolve(config, num_pictures=20_000, channels=3), Path(options["--out"][0])


@pytest.mark.parametrize(
    ("preset", "overrides", "part"),
    [
        ("quick", {}, "ganlet train smileys --preset quick --set generator.optimizer.lr=0.0008 --out "),
        (
            "quick",
            {"seed": 3, "data.num_images": 20_000},
            "--preset quick --set data.num_images=20000 --set seed=3 --set",
        ),
        ("classic", {}, "--preset classic --set 'objective.penalties=[{kind: r1, weight: 0.5, every: 4}]'"),
        ("quick", {"generator.kind": "mlp", "discriminator.kind": "mlp"}, "--config "),
        ("quick", {"generator.optimizer.schedule.kind": "cosine"}, "--set generator.optimizer.schedule.kind=cosine"),
        (None, {"train.total_images": 90_000}, "--config "),
    ],
)
def test_the_command_trains_the_same_run_with_one_change(preset, overrides, part, made):
    folder = made(COLLAPSED, onset=50_000, preset=preset, overrides=overrides)
    diagnosis = diagnose(folder.path)
    command = describe(folder.path, diagnosis)["verdicts"][0]["try"]
    assert part in command
    config, out = trained_by(command)
    before = validate(read_yaml(folder.config_path))
    changed = {path.partition(".0")[0] for path in differences(before, config)}
    assert changed == set(diagnosis.verdicts[0].advice.change)
    assert out == folder.path.with_name("run-2")


def test_a_run_that_may_go_on_is_resumed(made):
    folder = made(looks=False)
    with History(folder.metrics_path) as history:
        for place in range(18):
            row = {"event": "measurement", "images_seen": 5_000 * (place + 1), "metric": "kd", "error": 0.001}
            history.append({**row, "value": 0.9**place})
    described = describe(folder.path, diagnose(folder.path))
    (command,) = (verdict["try"] for verdict in described["verdicts"] if verdict["try"])
    assert command == f"ganlet resume {folder.path} --set train.total_images=180000"


# For people


def test_the_text_says_what_since_when_by_what_and_what_to_do(made):
    folder = made(COLLAPSED)
    text = as_text(describe(folder.path, diagnose(folder.path)))
    first, verdict, last = text.split("\n\n")
    assert first == "Serious: mode collapse since 40,000 images (confidence 99%)."
    assert verdict.startswith("mode collapse (serious, since 40,000 images, confidence 99%)\n")
    assert (
        "- duplicates: 100% of the generated pictures have a near twin among a few dozen others (limit 80%)" in verdict
    )
    assert "\n    ganlet train smileys --preset quick --set" in verdict
    assert last == "Judged by 22 looks, after 90,000 images."


def test_the_text_of_a_run_without_looks(made):
    folder = made(looks=False)
    text = as_text(describe(folder.path, diagnose(folder.path)))
    assert text.startswith("Healthy.\n\n")
    assert text.endswith("Judged by the log alone, without any look, after 90,000 images.")


def test_the_plot_is_a_picture(made, tmp_path):
    folder = made(COLLAPSED)
    save_plot(describe(folder.path, diagnose(folder.path)), tmp_path / "signs.png")
    with Image.open(tmp_path / "signs.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 500


def test_nothing_cannot_be_plotted(made, tmp_path):
    folder = made(until=0)
    with pytest.raises(ConfigError, match="nothing to draw"):
        save_plot(describe(folder.path, diagnose(folder.path)), tmp_path / "signs.png")


def test_the_report_tells_it(made):
    folder = made(COLLAPSED)
    redraw(folder)
    page = folder.report_path.read_text()
    assert "<h2>How it went</h2>" in page
    assert "Mode collapse since 40,000 images" in page
    assert "--set generator.optimizer.lr=0.0008" in page
    for moment, when in ((30_000, "before it began"), (40_000, "since then"), (90_000, "since then")):
        assert f"<strong>{moment:,} images</strong>: {when}" in page
