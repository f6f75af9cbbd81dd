"""How good a run's generator is: generate, compare with the real pictures, write down and tell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ganlet.config import read_run_config
from ganlet.engine.devices import choose_device
from ganlet.errors import ConfigError, EnvironmentProblem, ResourceProblem
from ganlet.games import Game
from ganlet.metrics.features import open_extractor
from ganlet.metrics.protocol import Measurement
from ganlet.metrics.suite import METRICS, Refused, choose_metrics, measure
from ganlet.paths import given
from ganlet.randomness import callers_randomness_kept
from ganlet.runs.certificate import Certificate
from ganlet.runs.evaluations import append_evaluation, as_text
from ganlet.runs.folder import RunFolder
from ganlet.runs.pictures import save_neighbours
from ganlet.workflows.arguments import names_of, require_extractor_path, require_whole
from ganlet.workflows.evidence import Gathered, gather
from ganlet.workflows.finishing import redraw
from ganlet.workflows.generators import Trained, open_generator
from ganlet.workflows.reporting import Reporter, Silent
from ganlet.workflows.training_pack import training_pack

NUM_FAKES = 10_000


@dataclass(frozen=True)
class Evaluation:
    """What was measured of a run; `row` is all of it as plain data, as evaluations.jsonl has it."""

    row: dict[str, Any]

    def __str__(self) -> str:
        return as_text(self.row)

    @property
    def values(self) -> dict[str, float]:
        """The numbers by metric, without those that were refused."""
        return {found["metric"]: found["value"] for found in self.row["measurements"]}

    @property
    def refused(self) -> dict[str, str]:
        """Why a metric was left out, by metric."""
        return {left_out["metric"]: left_out["reason"] for left_out in self.row["refused"]}


@callers_randomness_kept()
def evaluate(
    run: str | os.PathLike[str],
    num: int = NUM_FAKES,
    *,
    extractor: str | os.PathLike[str] | Callable[..., Any] | None = None,
    metrics: str | Iterable[str] | None = None,
    checkpoint: str | int | None = None,
    source: str | os.PathLike[str] | None = None,
    seed: int = 0,
    force: bool = False,
    device: str = "auto",
    game: Game | type[Game] | None = None,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Measure how good the generator of a run is, add a row to its evaluations.jsonl, and draw its report anew.

    Args:
        run: the run's folder.
        num: how many pictures are generated.
        extractor: what pictures are compared by; default: the run's `evaluate.extractor`.
        metrics: a key or keys of `metrics.suite.METRICS`; default: all of them.
        checkpoint: best, latest, or the images seen of one; default: generator.safetensors.
        source: where the run's pictures are now, if they were moved.
        seed: the same one gives the same pictures.
        force: give numbers that are known to be biased, marked as such, instead of refusing them.
        game: for runs whose networks are not described by their config.

    Raises `RunError` or `CheckpointError` where there is no generator, `DataError` where the pictures are gone or
    others, `ConfigError` for an unknown metric or extractor. A metric that cannot be told is refused, with its reason,
    and does not stop the others.
    """
    reporter = reporter or Silent()
    names = choose_metrics(None if metrics is None else names_of("metrics", metrics))
    require_whole("num", num)
    if num < 2:
        raise ConfigError("There must be at least two pictures to measure.", where="--num", got=num)
    require_whole("seed", seed)
    folder = RunFolder.open(run)
    chosen = choose_device(device)
    if isinstance(game, type):
        game = game(read_run_config(folder.config_path))
    trained = open_generator(folder, checkpoint, chosen, game=game)
    extractor = given(extractor) if isinstance(extractor, os.PathLike) else extractor
    require_extractor_path(extractor or trained.config.evaluate.extractor)
    opened = open_extractor(extractor or trained.config.evaluate.extractor, chosen)
    trained, pack = training_pack(folder, trained, source, "evaluate", reporter)
    gathered = gather(trained, pack, opened, num=num, seed=seed, force=force, reporter=reporter)
    found = measure(gathered.evidence, names, _telling(reporter, "measuring"))
    floor = _floor(gathered, names, reporter)
    row = _row(trained, gathered, found, floor)
    _keep(folder, row, gathered, trained, game, reporter)
    return Evaluation(row)


def _telling(reporter: Reporter, what: str) -> Callable[[str, int, int], None]:
    return lambda name, done, total: reporter.progress(what, done, total, name)


def _floor(gathered: Gathered, names: Sequence[str], reporter: Reporter) -> dict[str, Measurement]:
    """The same numbers between real pictures, by metric, where there are any."""
    if gathered.floor is None:
        return {}
    wanted = [name for name in names if METRICS[name].with_floor]
    found = measure(gathered.floor, wanted, _telling(reporter, "the floor"))
    return {one.metric: one for one in found if isinstance(one, Measurement)}


def _row(
    trained: Trained, gathered: Gathered, found: Sequence[Measurement | Refused], floor: Mapping[str, Measurement]
) -> dict[str, Any]:
    """Everything about a measurement as plain data; see `runs.evaluations`."""
    protocol = gathered.evidence.protocol
    measured = [one for one in found if isinstance(one, Measurement)]
    in_words = (
        f"{protocol.describe()}; features of {protocol.extractor} (SHA-256 {protocol.extractor_identity[:12]}), "
        f"pictures with the fingerprint {protocol.data_fingerprint[:12]}, seed {protocol.seed}, "
        f"ganlet {protocol.ganlet}"
    )
    return {
        "images_seen": trained.images_seen,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "protocol": asdict(protocol),
        "protocol_in_words": in_words,
        "floor_in_words": f"the same number for {gathered.floor_pictures}" if floor else "",
        "measurements": [
            {
                **one.as_json(),
                "floor": floor[one.metric].value if one.metric in floor else None,
                "meaning": METRICS[one.metric].meaning,
            }
            for one in measured
        ],
        "neighbours": {"searched": len(gathered.evidence.real.features), "of": gathered.evidence.real.count},
        "refused": [asdict(one) for one in found if isinstance(one, Refused)],
    }


def _keep(
    folder: RunFolder,
    row: dict[str, Any],
    gathered: Gathered,
    trained: Trained,
    game: Game | None,
    reporter: Reporter,
) -> None:
    """Write the row, the neighbours and the report; what was measured is told even where that fails.

    Nothing is written into the zip of a run.
    """
    if folder.sealed is not None:
        reporter.say(
            f"not kept, for a zip is only read: ganlet unzip {shlex.quote(str(folder.sealed))} first, to keep it"
        )
        return
    try:
        certificate = Certificate.without_points(trained.maker, {"verb": "evaluate"})
        save_neighbours(folder.neighbours_path, gathered.evidence.fake.pictures, gathered.neighbours, certificate)
        append_evaluation(folder, row)
        reporter.say("drawing the report")
        redraw(folder, game=game)
    except (ConfigError, EnvironmentProblem, ResourceProblem) as error:
        reporter.say(f"not written into the run: {error.message}")
