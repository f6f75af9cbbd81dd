"""What is known of a run and its generator, gathered for whoever gets the generator without the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ganlet import __version__
from ganlet.config import RunConfig, differences, last_name, portable, read_yaml, resolve
from ganlet.errors import ConfigError
from ganlet.networks.zoo import parameter_count
from ganlet.runs.archive import is_in_use
from ganlet.runs.evaluations import read_evaluations
from ganlet.runs.folder import RunFolder, handed_in
from ganlet.runs.history import RESUME, read_history
from ganlet.runs.places import places_of, without_places
from ganlet.settings import as_images
from ganlet.workflows.configuring import make_config
from ganlet.workflows.diagnosing import describe, diagnose
from ganlet.workflows.generators import Trained, drawing_config, open_generator
from ganlet.workflows.records import read_environment

NOT_OF_THE_RECIPE = ("data.source", "data.licence", "seed", "preset", "schema_version")
DRAWN_BY_CODE = ("smileys", "ring")


@dataclass(frozen=True, eq=False)
class Facts:
    """What a card tells; of every place only the last name.

    Attributes:
        name: of the run.
        config: of the run, portable, with the licence that is known now.
        trained: the generator that is told of.
        data: the summary of the pictures as environment.json has it; empty where that is lost.
        session: versions and device of the last session.
        created: when the run was begun.
        changed: what is set otherwise than in the preset; None where there is no preset, or it cannot be told.
        seconds: how long it trained.
        images_seen: how far the run came.
        resumes: how often it was gone on with.
        diagnosis: what the run doctor says, see `workflows.diagnosing.describe`.
        evaluation: the newest measurement, of this moment where there is one; None where nothing was measured.
        parameters: of the generator.
        handed_in: what was handed in from Python, by name and class.
        in_training: whether a process is working on the run.
    """

    name: str
    config: RunConfig
    trained: Trained
    data: dict[str, Any]
    session: dict[str, Any]
    created: str
    changed: dict[str, Any] | None
    seconds: float
    images_seen: int
    resumes: int
    diagnosis: dict[str, Any]
    evaluation: dict[str, Any] | None
    parameters: int
    handed_in: dict[str, str]
    in_training: bool

    @property
    def source(self) -> str:
        """The last name of what it was trained on."""
        return self.config.data.source

    @property
    def drawn_by_code(self) -> bool:
        """Whether nobody made the pictures: ganlet draws them."""
        return self.source in DRAWN_BY_CODE and self.data.get("kind", self.source) == self.source

    @property
    def measured_here(self) -> bool:
        """Whether the evaluation is of these very weights."""
        row = self.evaluation
        if row is None:
            return False
        return (row["images_seen"], row["protocol"]["weights"]) == (self.trained.images_seen, self.trained.weights)

    @property
    def total(self) -> int:
        return as_images(self.config.train.total_images)


def gather(folder: RunFolder, checkpoint: str | int | None = None) -> Facts:
    """The facts of a run. Raises `RunError` or `CheckpointError` where there is no generator."""
    trained = open_generator(folder, checkpoint, torch.device("cpu"))
    places, config = places_of(folder), portable(drawing_config(read_yaml(folder.config_path)))
    environment = without_places(read_environment(folder), places)
    rows = read_history(folder.metrics_path)
    data = dict(environment.get("data") or {})
    data["source"] = last_name(str(data.get("source", config.data.source)))
    logged = [row for row in rows if "event" not in row]
    return Facts(
        name=folder.path.absolute().name,
        config=config,
        trained=trained,
        data=data,
        session=(environment.get("sessions") or [{"ganlet": __version__}])[-1],
        created=str(environment.get("created", "")),
        changed=_changed(config, data.get("count")),
        seconds=max((row.get("seconds") or 0.0 for row in logged), default=0.0),
        images_seen=max([trained.images_seen, *(row["images_seen"] for row in rows)]),
        resumes=sum(row.get("event") == RESUME for row in rows),
        diagnosis=without_places(describe(folder.path, diagnose(folder.path), passed_on=True), places),
        evaluation=without_places(_evaluation(folder, trained), places),
        parameters=parameter_count(trained.generator),
        handed_in=handed_in(environment),
        in_training=is_in_use(folder),
    )


def _evaluation(folder: RunFolder, trained: Trained) -> dict[str, Any] | None:
    rows = read_evaluations(folder)
    wanted = (trained.images_seen, trained.weights)
    of_these = [row for row in rows if (row["images_seen"], row["protocol"]["weights"]) == wanted]
    return (of_these or rows or [None])[-1]


def _changed(config: RunConfig, count: int | None) -> dict[str, Any] | None:
    """What a run sets otherwise than its preset, by dotted path."""
    channels = config.data.channels
    if config.preset is None or channels == "auto":
        return None
    try:
        preset = make_config(config.preset, config.data.source)
        own, names = preset.data.label_names, config.data.label_names
        taken = names if own == "auto" and names != "auto" else None
        preset = resolve(preset, num_pictures=count or 1, channels=channels, label_names=taken)
    except ConfigError:  # a preset of another version
        return None
    found = differences(portable(preset), config)
    return {path: value for path, (_, value) in found.items() if path not in NOT_OF_THE_RECIPE}
