"""ganlet diagnose."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from ganlet.cli.options import RunPath


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

    described = describe(run, judge(run))
    if plot is not None:
        save_plot(described, plot)
    print(json.dumps(described, indent=2, allow_nan=False) if as_json else as_text(described))
    if plot is not None:
        print(f"drawn: {plot}", file=sys.stderr)
