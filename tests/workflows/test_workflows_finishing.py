from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image
from torch import nn

import ganlet
from ganlet.games import Game, Gan
from ganlet.networks.zoo import parameter_count
from ganlet.runs.plots import panels_of
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


class Painters(Game):
    """Two networks that learn the mean of the pictures, one of which draws it of latents."""

    draws, judges, parts = "artist", None, ("distance",)

    def networks(self):
        made = {
            name: nn.Sequential(nn.Linear(4, 3 * 16 * 16), nn.Unflatten(1, (3, 16, 16))) for name in ("artist", "aide")
        }
        for network in made.values():
            network.latents = ganlet.nn.Latents(4)
        return made

    def play(self, networks, inputs):
        drawn = {"artist": networks["artist"](inputs.random["latents"][0])}
        drawn["aide"] = networks["aide"](inputs.random["latents/aide"][0])
        for name, images in drawn.items():
            loss = (images - inputs.real().mean(0)).square().mean()
            yield name, loss, {"distance": loss.detach().sqrt()} if name == "aide" else {}


def test_the_report_of_another_game_tells_of_that_game_alone(monkeypatch, start):
    monkeypatch.setattr(training, "redraw", finishing.redraw)
    run = start("run", {"train.log_every": 16}, game=Painters)
    words = " ".join(re.sub(r"<[^>]+>|data:[^\"]+", " ", (run.path / "report.html").read_text()).split())
    assert "2 networks that play Painters, trained on" in words
    for name in ("artist", "aide"):
        assert f"{name}: Sequential, {5 * 3 * 16 * 16:,} weights" in words
    head, _, settings = words.partition("Every setting of this run")
    assert settings
    assert not [word for word in ("bce", "DCGAN", "discriminator", "ganlet train") if word in head]
    assert "Curves over images seen" in (run.path / "report.html").read_text()
    assert panels_of(run.history, [], True) == ["Losses", "Gradient norms", "What else the game measures"]
    assert "sample(16, seed=1)" in head
    assert "game=..." in head


def test_the_report_names_networks_that_were_handed_in(monkeypatch, start):
    monkeypatch.setattr(training, "redraw", finishing.redraw)
    network = Painters(ganlet.make_config("quick")).networks()["artist"]
    run = start("run", generator=network)
    page = (run.path / "report.html").read_text()
    assert f"generator: Sequential, {5 * 3 * 16 * 16:,} weights" in page
    assert "ganlet resume" not in page
    assert "ganlet.resume(" in page
    assert panels_of(run.history, [], True)[1] == "How real does the discriminator find them?"
