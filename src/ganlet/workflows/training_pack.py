"""The pictures that a run was trained on, found again afterwards."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from functools import partial

from ganlet.config import portable, read_yaml, relocate
from ganlet.data.dataset import open_pack
from ganlet.data.memory import as_source
from ganlet.data.source import absolute_source
from ganlet.data.spec import Pack
from ganlet.errors import DataError
from ganlet.runs.folder import RunFolder
from ganlet.workflows.generators import Trained, drawing_config
from ganlet.workflows.records import read_environment
from ganlet.workflows.reporting import Reporter


def training_pack(
    folder: RunFolder, trained: Trained, source: str | os.PathLike[str] | None, verb: str, reporter: Reporter
) -> tuple[Trained, Pack]:
    """The run's pictures, at `source` if they were moved, and the generator with a config that names that place.

    `verb` is what is typed after `ganlet` to give another place. Raises DataError where they are gone or others.
    """
    # A generator's own config names its pictures, but not where they are.
    if source is None:
        where = drawing_config(read_yaml(folder.config_path)).data.source
    else:
        where = absolute_source(as_source(source))
    trained = replace(trained, config=relocate(trained.config, absolute_source(where)))
    command = f"ganlet {verb} {shlex.quote(str(folder.path))} --source PATH"
    try:
        pack = open_pack(trained.config.data, partial(reporter.progress, "reading pictures"))
    except DataError as error:
        hint = f"where they are now: {command}"
        raise DataError(error.what, where=error.where, got=error.got, expected=error.expected, hint=hint) from error
    before = read_environment(folder).get("data", {}).get("fingerprint")
    if before not in (None, pack.fingerprint):
        raise DataError(
            "These are not the pictures that the run was trained on, so nothing can be said about it by them.",
            where=pack.summary.get("source"),
            got=f"fingerprint {pack.fingerprint[:12]}",
            expected=f"fingerprint {before[:12]}",
            hint=f"where those are: {command}",
        )
    # What is found is passed on, and need not tell of this machine.
    return trained, replace(pack, summary={**pack.summary, "source": portable(trained.config).data.source})
