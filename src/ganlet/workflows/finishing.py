"""What a run leaves for a person: plots, progression, film and the report."""

from __future__ import annotations

from typing import Any

from ganlet.config import read_run_config
from ganlet.games import Game, Gan
from ganlet.networks.zoo import parameter_count
from ganlet.runs.checkpoint import read_pointer
from ganlet.runs.files import write_atomic
from ganlet.runs.folder import RunFolder
from ganlet.runs.history import read_history
from ganlet.runs.plots import figure_png, loss_plot
from ganlet.runs.report import write_report
from ganlet.runs.weights import load_generator_file
from ganlet.settings import as_images
from ganlet.workflows.diagnosing import describe, diagnose


def redraw(folder: RunFolder, images_seen: int | None = None, game: Game | None = None) -> None:
    """Draw everything anew from what is in the folder of a run that has come to `images_seen`.

    Without that it is as far as its newest checkpoint.
    """
    if images_seen is None:
        images_seen = read_pointer(folder.checkpoints_path, "latest") or 0
    config = read_run_config(folder.config_path)
    rows = [row for row in read_history(folder.metrics_path) if "event" not in row]
    penalties = [penalty.kind for penalty in config.objective.penalties]
    figure = loss_plot(rows, penalties=penalties, probabilities=config.objective.loss.probabilities)
    write_atomic(folder.path / "loss.png", figure_png(figure, ground="white"))
    diagnosis = describe(folder.path, diagnose(folder.path), passed_on=True)
    facts = {**_facts(game or Gan(config), rows, images_seen), "diagnosis": diagnosis, "kept": _kept(folder)}
    write_report(folder, facts=facts)


def _kept(folder: RunFolder) -> int | None:
    """The moment of the generator in generator.safetensors: the last one, or the best."""
    if not folder.generator_path.exists():
        return None
    return load_generator_file(folder.generator_path)[1].get("images_seen")


def _facts(game: Game, rows: list[dict[str, Any]], images_seen: int) -> dict[str, Any]:
    """What the report tells that cannot be read from the folder as it stands."""
    seconds = rows[-1]["seconds"] if rows else 0.0
    networks, described = game.build(), {"generator", "discriminator"} - game.handed_in.keys()
    return {
        "parameters": {name: parameter_count(network) for name, network in networks.items()},
        "game": None if type(game) is Gan else type(game).__name__,
        "classes": {
            name: type(network).__name__
            for name, network in networks.items()
            if type(game) is not Gan or name not in described
        },
        "seconds": seconds,
        "images_per_second": images_seen / seconds if seconds else 0.0,
        "finished": images_seen >= as_images(game.config.train.total_images),
    }
