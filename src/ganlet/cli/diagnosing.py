"""ganlet diagnose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ganlet.cli.options import RunPath
from ganlet.cli.printing import show, tell
from ganlet.paths import printable


def diagnose(
    run: RunPath,
    as_json: Annotated[bool, typer.Option("--json", help="Print the diagnosis as JSON, with all its numbers.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the signals that the verdicts rest on.")
    ] = None,
) -> None:
    """Say how healthy a run is, finished or still in training: what is wrong, since when, and what to try first."""
    from ganlet.workflows.diagnosing import as_text, describe, save_plot
    from ganlet.workflows.diagnosing import diagnose as judge
    from ganlet.workflows.plotting import png_to_write

    if plot is not None:
        plot = png_to_write(plot)
    described = describe(run, judge(run))
    drawn = None if plot is None else save_plot(described, plot)
    show(json.dumps(described, indent=2, allow_nan=False) if as_json else as_text(described))
    if drawn is not None:
        tell(f"drawn: {printable(drawn)}")
