"""The dataset doctor: what is in a source of pictures, what is wrong with it, and which settings fit."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganlet import paths
from ganlet.config import RunConfig, plain_yaml, resolve
from ganlet.config.tree import Tree, flatten, merge
from ganlet.data.formats import FORMAT_NAMES
from ganlet.data.inspection.advice import Advice, advise
from ganlet.data.inspection.examination import Examination, examine, overview
from ganlet.data.inspection.file_checks import refused_files
from ganlet.data.inspection.finding import Finding
from ganlet.data.inspection.findings import find
from ganlet.data.inspection.survey import Survey, pictures_at, survey
from ganlet.data.memory import as_source
from ganlet.data.settings import DataConfig
from ganlet.data.source import absolute_source, find_source
from ganlet.engine.devices import choose_device
from ganlet.errors import ConfigError, DataError, GanletError
from ganlet.paths import printable
from ganlet.runs.files import write_atomic
from ganlet.workflows.configuring import make_config, nested
from ganlet.workflows.inspection.cost import Cost, measure_cost
from ganlet.workflows.inspection.page import page, side, wanted_pictures
from ganlet.workflows.inspection.words import value_text
from ganlet.workflows.reporting import Reporter, Silent


@dataclass(frozen=True, eq=False)
class Inspection:
    """All that is known about a source.

    `examination` and `config` (resolved) are None when no picture can be used; `settings` is what a config file needs
    to say for that config; `cost` is None where it could not be measured.
    """

    survey: Survey
    examination: Examination | None
    findings: list[Finding]
    advice: list[Advice]
    settings: Tree
    config: RunConfig | None
    cost: Cost | None

    @property
    def command(self) -> str:
        """What to type to train with that config: only what the preset does not say already."""
        if self.config is None:
            return ""
        preset = self.settings["preset"]
        before, after = (
            flatten(make_config(preset, overrides=settings).model_dump(mode="json")) for settings in ({}, self.settings)
        )
        changes = [
            shlex.quote(f"{path}={value_text(value)}")
            for path, value in flatten(self.settings).items()
            if path != "data.source" and before.get(path) != after.get(path)
        ]
        source = shlex.quote(self.settings["data"]["source"])
        return " --set ".join([f"ganlet train {source} --preset {preset}", *changes])

    def as_json(self) -> dict[str, Any]:
        """Everything as plain JSON data; names as they are in the source."""
        from ganlet import __version__

        examination = self.examination
        return {
            "ganlet": __version__,
            "source": self.survey.source,
            "kind": self.survey.kind,
            "pictures": overview(self.survey),
            "mirror_accuracy": examination and examination.mirror_accuracy,
            "findings": [self._finding(finding) for finding in self.findings],
            "advice": [asdict(advice) for advice in self.advice],
            "config": self.settings,
            "command": self.command,
            "cost": self.cost and asdict(self.cost),
        }

    def _finding(self, finding: Finding) -> dict[str, Any]:
        name = self.survey.name
        return {
            **{key: getattr(finding, key) for key in ("kind", "severity", "title", "meaning", "next", "count")},
            "pictures": [name(number) for number in finding.numbers],
            "groups": [[name(number) for number in group] for group in finding.groups],
            "lines": [{"name": line, "text": text} for line, text in finding.lines],
        }


def inspect(
    source: str | os.PathLike[str],
    overrides: Mapping[str, Any] | None = None,
    *,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> Inspection:
    """Look at every picture of a source once, and say what was found and which settings fit.

    `overrides` are settings by dotted path or nested that are taken as given. Broken pictures are findings, no errors.
    Raises DataError for a source that is missing or damaged as a whole.
    """
    reporter = reporter or Silent()
    given = nested(overrides or {})
    source = as_source(source)
    data = make_config(None, source, overrides=given).data
    chosen_device = choose_device(device)
    with closing(find_source(data)) as opened:
        seen = survey(opened, data, lambda done, total: reporter.progress("looking at pictures", done, total))
    if not len(seen):
        return Inspection(seen, None, refused_files(seen, data), [], {}, None, None)
    reporter.say("comparing them")
    examination = examine(seen)
    advice = advise(examination, flatten(given), has_gpu=chosen_device.type != "cpu")
    settings = _settings(advice, given, absolute_source(source))
    config = make_config(settings["preset"], overrides=settings)
    assert config.data.channels != "auto"
    config = resolve(config, num_pictures=len(seen), channels=config.data.channels)
    reporter.say("timing the advised settings")
    cost = _cost(config, len(seen), chosen_device, reporter)
    return Inspection(
        seen, examination, find(examination, _judged_by(config.data, data)), advice, settings, config, cost
    )


def page_path(out: str | os.PathLike[str], source: str) -> Path:
    """Where the page goes: the file that is meant, or one in the folder that is meant.

    Raises ConfigError unless its name ends like a page's, lest something else be overwritten by mistake.
    """
    folder = paths.given(out, "--out")
    if folder.is_dir():
        name = Path(absolute_source(as_source(source))).stem
        folder = folder / f"inspect-{name}.html"
    return paths.file_to_write(folder, "--out", (".html", ".htm"), "The page")


def write_page(inspection: Inspection, path: Path) -> None:
    """Write the page, for which some pictures are read once more. Raises as `files.os_errors_explained` does."""
    pictures: dict[int, np.ndarray] = {}
    if inspection.config is not None:
        pictures = _read(inspection, inspection.config.data, wanted_pictures(inspection))
    config = config_text(inspection) if inspection.config else ""
    write_atomic(path, page(inspection, pictures, config).encode(errors="backslashreplace"))


def _read(inspection: Inspection, data: DataConfig, numbers: list[int]) -> dict[int, np.ndarray]:
    """Pictures by their row number: uint8 (side, side, 3)."""
    places = {int(inspection.survey.rows["index"][number]): number for number in numbers}
    with closing(find_source(data)) as opened:
        found = pictures_at(opened, data, list(places), side(inspection))
    return {places[index]: pixels for index, pixels in found.items()}


def write_config(inspection: Inspection, path: Path) -> None:
    """Write the advised settings, with the reasons, for `ganlet train --config`. Raises as `write_page` does."""
    write_atomic(config_path(path), config_text(inspection).encode())


def config_path(path: str | os.PathLike[str]) -> Path:
    """Where settings are to be written. Raises ConfigError where a file would be overwritten, or has no folder."""
    meant = paths.file_to_write(path, "--write-config", (".yaml", ".yml", ""), "The config")
    if os.path.lexists(meant):
        hint = "choose another --write-config"
        raise ConfigError("This file exists already.", where=paths.printable(meant), hint=hint)
    return meant


def config_text(inspection: Inspection) -> str:
    """The advised settings as YAML, below comments with the reasons."""
    reasons = [f"# {advice.setting} = {value_text(advice.value)}: {advice.why}" for advice in inspection.advice]
    head = [f"# Advised by ganlet inspect for {printable(inspection.survey.source)}.", *reasons]
    return "\n".join([*head, "", plain_yaml.dump(inspection.settings)])


def require_usable(inspection: Inspection) -> None:
    """Raise DataError when not a single picture can be used."""
    if inspection.examination is None:
        broken = inspection.survey.broken
        raise DataError(
            "Not a single picture can be used.",
            where=printable(inspection.survey.source),
            got=f"{len(broken):,} broken ones, for example: {printable(broken[0].reason)}" if broken else "none at all",
            expected=f"at least 2 sound {FORMAT_NAMES} files",
        )


def _judged_by(advised: DataConfig, given: DataConfig) -> DataConfig:
    """How the pictures would be trained with, but for what is advised because of the broken ones among them."""
    return advised.model_copy(update={name: getattr(given, name) for name in ("skip_bad", "skip_bad_limit")})


def _settings(advice: list[Advice], given: Tree, source: str) -> Tree:
    """What a config file says: the source, the advice, and on top what was given."""
    advised = nested({"preset": "", "data.source": source, **{item.setting: item.value for item in advice}})
    return merge(advised, given, None)


def _cost(config: RunConfig, num_pictures: int, device: torch.device, reporter: Reporter) -> Cost | None:
    try:
        return measure_cost(config, num_pictures, device)
    except GanletError as error:
        reporter.say(f"the advised settings could not be timed: {error.what}")
        return None
