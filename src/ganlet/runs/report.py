"""The report of a run: one page that needs nothing but itself. Its words are in the templates."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ganlet.config import RunConfig, dump_yaml, portable, read_run_config
from ganlet.runs.evaluations import newest_evaluation
from ganlet.runs.files import write_atomic
from ganlet.runs.folder import RunFolder
from ganlet.runs.history import RESUME, STOP, read_history
from ganlet.runs.markup import chart, data_uri, render, still
from ganlet.runs.pictures import film, progression, sample_moments
from ganlet.runs.plain_json import read_json
from ganlet.runs.plots import evidence_plot, loss_plot, panels_of

VERSIONS = {"ganlet": "ganlet", "torch": "torch", "numpy": "numpy", "pillow": "pillow", "python": "Python"}
END_SHARE = 0.1  # of the log rows: what "near the end" means

Rows = Sequence[Mapping[str, Any]]


def write_report(folder: RunFolder, *, facts: Mapping[str, Any]) -> Path:
    """Write report.html anew, and with it samples/progression.png and samples/film.webp.

    `facts` is plain data beside what the folder holds, all of it optional: "parameters" (numbers by network), "classes"
    (names of classes, of networks that the config does not describe), "game" (the name of one of somebody's own),
    "data" (the summary of the pack), "seconds", "images_per_second", "device", "finished", "resumes", "kept" (the
    moment of generator.safetensors), "diagnosis" ("headline", "verdicts", and "panels" with the signals that they rest
    on). Raises as `files.os_errors_explained` does.
    """
    config, rows = read_run_config(folder.config_path), read_history(folder.metrics_path)
    told = _the_run(folder, config, rows, facts) | _how_it_learned(folder, config, rows)
    checkup = facts.get("diagnosis")
    page = render(
        "report.html",
        **told,
        measured=newest_evaluation(folder),
        checkup=checkup,
        signals=chart(partial(evidence_plot, checkup["panels"])) if checkup and checkup["panels"] else None,
        grids=_grids_around(checkup["verdicts"][0], told["moments"]) if checkup else [],
        settings=dump_yaml(portable(config)).splitlines(),
    )
    write_atomic(folder.report_path, page.encode(errors="backslashreplace"))  # names may hold bytes that are no text
    return folder.report_path


def _the_run(folder: RunFolder, config: RunConfig, rows: Rows, facts: Mapping[str, Any]) -> dict[str, Any]:
    """What was trained, on what, with what, and how far."""
    path, source, moments = folder.environment_path, config.data.source, sample_moments(folder)
    environment = read_json(path.read_text("utf-8")) if path.exists() else {}
    session = (environment.get("sessions") or [environment])[-1]
    name = source if ":" in source else Path(source).name or source
    images_seen = max([0, *(moment for moment, _ in moments), *(row["images_seen"] for row in rows)])
    total, kept = config.train.total_images, facts.get("kept")
    assert isinstance(total, int), "the config of a run is resolved"
    stops = [row for row in rows if row.get("event") == STOP and row["images_seen"] == images_seen]
    return {
        "title": name if config.preset in (None, name) else f"{config.preset} on {name}",
        "maker": f"ganlet {session.get('ganlet', '')}",
        "folder": folder,
        "run": folder.path.absolute().name,  # the page is passed on, and need not tell of this machine
        "config": portable(config),
        "facts": facts,
        "weights": facts.get("parameters", {}),
        "classes": facts.get("classes", {}),
        "game": facts.get("game"),
        "given": environment.get("given", {}),
        "data": {**environment.get("data", {}), **facts.get("data", {})},
        "session": session,
        "versions": [f"{name} {session[key]}" for key, name in VERSIONS.items() if session.get(key)],
        "created": environment.get("created", ""),
        "moments": moments,
        "images_seen": images_seen,
        "total": total,
        "finished": facts.get("finished", images_seen >= total),
        "stopped": stops[-1]["reason"] if stops else None,
        "resumes": facts.get("resumes", sum(row.get("event") == RESUME for row in rows)),
        "seconds": facts.get("seconds") or max([0.0, *_logged(rows, "seconds")]),
        "rate": facts.get("images_per_second") or statistics.median(_logged(rows, "images_per_second") or [0]),
        "kept": kept if kept is not None and kept < images_seen else None,
        "measurements": [row for row in rows if row.get("event") == "measurement"],
    }


def _how_it_learned(folder: RunFolder, config: RunConfig, rows: Rows) -> dict[str, Any]:
    """Film, progression and curves, and where the curves ended; None for what there is not."""
    moving, steps = film(folder, config), progression(folder, config)
    probabilities = config.objective.loss.probabilities
    penalties = [penalty.kind for penalty in config.objective.penalties]
    curves = partial(loss_plot, rows, penalties=penalties, probabilities=probabilities)
    return {
        "film": data_uri(moving.read_bytes(), moving.suffix[1:]) if moving else None,
        "progression": still(steps.read_bytes()) if steps else None,
        "curves": chart(curves) if (panels := panels_of(rows, penalties, probabilities)) else None,
        "panels": panels,
        "penalties": penalties,
        "penalties_bound_slope": all(penalty.bounds_slope for penalty in config.objective.penalties),
        "probabilities": probabilities,
        "near_the_end": partial(_near_the_end, rows),
    }


def _logged(rows: Rows, name: str) -> list[float]:
    """The values of a curve, in order."""
    return [row[name] for row in rows if "event" not in row and row.get(name) is not None]


def _near_the_end(rows: Rows, name: str) -> float | None:
    """The mean of a curve over its last tenth."""
    values = _logged(rows, name)
    return statistics.fmean(values[-max(1, round(END_SHARE * len(values))) :]) if values else None


def _grids_around(verdict: Mapping[str, Any], grids: list[tuple[int, Path]]) -> list[tuple[int, Path]]:
    """The sample grids that show a verdict: for each of its moments the nearest on that side of its beginning."""
    since, chosen = verdict["since"], set()
    if verdict["severity"] == "healthy" or since is None:
        return []
    for moment in verdict["picture_moments"]:
        same_side = [grid for grid in grids if (grid[0] < since) == (moment < since)]
        if same_side:
            chosen.add(min(same_side, key=lambda grid: abs(grid[0] - moment)))
    return sorted(chosen)
