"""What a finished run leaves for a person: plots, progression, film and the report."""

from __future__ import annotations

from typing import Any

from ganlet.engine.schedule import images
from ganlet.engine.state import TrainState
from ganlet.networks import parameter_count
from ganlet.runs.files import write_atomic
from ganlet.runs.history import read_history
from ganlet.runs.plots import figure_png, loss_plot
from ganlet.runs.report import write_report
from ganlet.workflows.session import Session


def finish(session: Session, state: TrainState) -> None:
    """Draw everything anew from what is in the folder."""
    rows = [row for row in read_history(session.folder.metrics_path) if "event" not in row]
    penalties = [penalty.kind for penalty in session.config.objective.penalties]
    write_atomic(session.folder.path / "loss.png", figure_png(loss_plot(rows, penalties=penalties), ground="white"))
    write_report(session.folder, facts=_facts(session, state, rows))


def _facts(session: Session, state: TrainState, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the report tells that is not in the folder."""
    seconds = rows[-1]["seconds"] if rows else 0.0
    return {
        "parameters": {
            "generator": parameter_count(state.generator),
            "discriminator": parameter_count(state.discriminator),
        },
        "data": session.pack.summary,
        "seconds": seconds,
        "images_per_second": state.images_seen / seconds if seconds else 0.0,
        "finished": state.images_seen >= images(session.config.train.total_images),
    }
