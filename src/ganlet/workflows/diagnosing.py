"""What is wrong with a run, since when, by which signs, and what to try first. Needs no torch."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganlet.config import RunConfig, portable, read_run_config, resolve
from ganlet.config.tree import differences
from ganlet.errors import ConfigError
from ganlet.health.findings import SEVERITY_WORDS, Diagnosis, set_options
from ganlet.health.history import RunHistory, RunInfo
from ganlet.health.signal_table import SIGNALS, series
from ganlet.health.verdicts import diagnose as judge
from ganlet.runs.files import write_atomic
from ganlet.runs.folder import RunFolder, default_run_path
from ganlet.runs.history import read_history
from ganlet.workflows.configuring import make_config
from ganlet.workflows.plotting import png_to_write
from ganlet.workflows.records import read_environment

MOST_PANELS = 4
MOST_SETTINGS = 6  # a command with more is nothing to read: it names the config file instead
# What is drawn of a run in which nothing is wrong, or too little is known.
VITAL_SIGNS = ("distance", "coverage", "value", "rough_diversity", "logit_gap")


def diagnose(run: str | os.PathLike[str]) -> Diagnosis:
    """What the rows in a run's folder say about its health; of a run still in training: so far.

    Raises `RunError` when there is no run.
    """
    folder = RunFolder.open(run)
    return judge(read_history(folder.metrics_path), _info(folder))


def describe(run: str | os.PathLike[str], diagnosis: Diagnosis, *, passed_on: bool = False) -> dict[str, Any]:
    """A diagnosis as plain data, for the report and for programs.

    Where it is `passed_on`, its commands name places by their last names only.

    Beside what `Diagnosis.as_json` gives: "run", a whole command line for each verdict ("try", empty where nothing is
    to be changed), and "panels", the signals that it rests on as `runs.plots.evidence_plot` draws them.
    """
    folder = RunFolder.open(run)
    config = read_run_config(folder.config_path)
    shown = Path(folder.path.absolute().name) if passed_on or folder.sealed else folder.path
    plain = diagnosis.as_json()
    for verdict in plain["verdicts"]:
        verdict["try"] = _command(folder, shown, portable(config) if passed_on else config, verdict["change"])
    return {"run": str(shown), **plain, "panels": _panels(folder, diagnosis)}


def save_plot(described: Mapping[str, Any], path: str | os.PathLike[str]) -> Path:
    """Draw the signals of a described diagnosis into a PNG file, and return its path.

    Raises `ConfigError` when there are none, and for a file that is no PNG.
    """
    path = png_to_write(path)
    if not described["panels"]:
        raise ConfigError("There is nothing to draw: no signals were logged.", where=described["run"])
    from ganlet.runs.plots import evidence_plot, figure_png

    write_atomic(path, figure_png(evidence_plot(described["panels"]), ground="white"))
    return path


def as_text(described: Mapping[str, Any]) -> str:
    """A described diagnosis for a person to read in a terminal."""
    parts = [described["headline"]]
    for verdict in described["verdicts"]:
        since = "" if verdict["since"] is None else f"since {verdict['since']:,} images, "
        sure = f"confidence {verdict['confidence']:.0%}"
        lines = [f"{verdict['kind']} ({SEVERITY_WORDS[verdict['severity']].lower()}, {since}{sure})", verdict["words"]]
        for item in verdict["evidence"]:
            limit = f" ({item['limit']})" if item["limit"] else ""
            lines.append(f"- {item['signal']}: {item['words']}{limit}")
        if verdict["advice"]:
            lines.append(f"first: {verdict['advice']}" if verdict["severity"] != "healthy" else verdict["advice"])
        if verdict["try"]:
            lines.append(f"  {verdict['try']}")
        parts.append("\n  ".join(lines))
    looked = f"{described['num_looks']} looks" if described["num_looks"] else "the log alone, without any look"
    parts.append(f"Judged by {looked}, after {described['images_seen']:,} images.")
    return "\n\n".join(parts)


def _info(folder: RunFolder) -> RunInfo:
    count = read_environment(folder).get("data", {}).get("count")
    return RunInfo(read_run_config(folder.config_path), count)


def _panels(folder: RunFolder, diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """The signals of the verdicts, the gravest first; vital signs where there are none."""
    history = RunHistory.read(read_history(folder.metrics_path), _info(folder))
    wanted = {
        item.signal: (item.threshold if item.side else None, item.side, verdict.since)
        for verdict in reversed(diagnosis.verdicts)
        for item in reversed(verdict.evidence)
    }
    wanted = dict(reversed(wanted.items()))
    if diagnosis.healthy:
        wanted = {**dict.fromkeys(VITAL_SIGNS, (None, None, None)), **wanted}
    found = []
    for signal, (threshold, side, since) in wanted.items():
        if known := series(history, signal):
            title = SIGNALS[signal].title.capitalize()
            found.append({"title": title, "points": known, "threshold": threshold, "side": side, "since": since})
    return found[:MOST_PANELS]


def _command(folder: RunFolder, shown: Path, config: RunConfig, change: Mapping[str, object]) -> str:
    """The command line that trains the run with a change: the same run further, or a new one beside it.

    Empty where there is nothing to change, or no command can do it: a run with objects from Python is begun there.
    """
    if not change:
        return ""
    total, before = change.get("train.total_images"), config.train.total_images
    if len(change) == 1 and isinstance(total, int) and isinstance(before, int) and total > before:
        return folder.resume_command(change, shown=shown)
    if folder.given_names:
        return ""
    out = shlex.quote(str(shown.with_name(default_run_path(folder.path.parent, folder.path.name).name)))
    return f"ganlet train {_recipe(folder, shown, config, change)} --out {out}"


def _recipe(folder: RunFolder, shown: Path, config: RunConfig, change: Mapping[str, object]) -> str:
    """Source, preset and settings where a few say it all, else the config file of the run; and the change."""
    source = config.data.source
    if config.preset is not None:
        count = _info(folder).num_pictures
        preset = _resolved(make_config(config.preset, source), config, count)
        own = {path: value for path, (_, value) in differences(preset, config).items()}
        if len(own) <= MOST_SETTINGS and _is_same(config, own, count):
            return f"{shlex.quote(source)} --preset {config.preset} {set_options({**own, **change})}"
    return f"--config {shlex.quote(str(shown / 'config.yaml'))} {set_options(change)}"


def _is_same(config: RunConfig, own: Mapping[str, object], count: int | None) -> bool:
    """Whether preset, source and these settings give this config."""
    try:
        again = make_config(config.preset, config.data.source, overrides=own)
    except ConfigError:
        return False
    return not differences(_resolved(again, config, count), config)


def _resolved(written: RunConfig, config: RunConfig, count: int | None) -> RunConfig:
    """A config as a person writes it, resolved as `config` was."""
    channels = config.data.channels
    assert channels != "auto", "the config of a run is resolved"
    return resolve(written, num_pictures=count or 1, channels=channels)
