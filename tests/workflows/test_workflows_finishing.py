from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import ganlet
from ganlet.games import Gan
from ganlet.networks.zoo import parameter_count
from ganlet.workflows import finishing, training


@pytest.fixture
def finished(monkeypatch, start):
    """A run of which the report is really drawn."""
    monkeypatch.setattr(training, "redraw", finishing.redraw)
    return start("run", {"objective.penalties": [{"kind": "r1"}]})


def test_a_finished_run_leaves_its_pictures_and_a_report(finished):
    folder = finished.path
    with Image.open(folder / "samples" / "progression.png") as progression:
        assert progression.width > 100
    with Image.open(folder / "samples" / "film.webp") as film:
        assert film.n_frames == len(list((folder / "samples").glob("0*.png"))) > 1
    with Image.open(folder / "loss.png") as image:
        plot = np.asarray(image.convert("RGBA"))
    assert (plot[..., 3] == 255).all()
    assert (plot[0, 0] == 255).all()


def test_the_report_tells_the_facts_of_the_run(finished):
    page = (finished.path / "report.html").read_text()
    config = finished.config
    assert f"{parameter_count(Gan(config).networks()['generator']):,} weights" in page
    assert f"{parameter_count(Gan(config).networks()['discriminator']):,} weights" in page
    assert f"{finished.history[-1]['images_seen']:,}" in page
    assert "data:image/png;base64," in page


def test_a_resume_of_a_finished_run_only_draws_anew(finished):
    before = (finished.path / "generator.safetensors").read_bytes()
    (finished.path / "report.html").unlink()
    ganlet.resume(finished.path, device="cpu")
    assert (finished.path / "report.html").exists()
    assert (finished.path / "generator.safetensors").read_bytes() == before


def test_a_stopped_run_gets_no_report_before_its_end(monkeypatch, start):
    from ganlet.engine.signals import StopRequest
    from ganlet.errors import Interrupted

    monkeypatch.setattr(training, "redraw", finishing.redraw)
    monkeypatch.setattr(StopRequest, "number", 15)
    with pytest.raises(Interrupted):
        start("run")
