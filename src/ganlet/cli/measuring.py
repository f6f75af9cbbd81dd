"""ganlet evaluate and ganlet compare."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from ganlet.cli.options import Device, RunPath
from ganlet.cli.printing import show, tell
from ganlet.paths import printable
from ganlet.workflows.reporting import choose_reporter

Json = Annotated[bool, typer.Option("--json", help="Print nothing but JSON.")]


def evaluate(
    run: RunPath,
    num: Annotated[int, typer.Option("--num", "-n", help="How many pictures to generate; fewer are quicker.")] = 10_000,
    extractor: Annotated[
        str | None,
        typer.Option(help="What pictures are compared by; inception makes an FID. Default: the run's own."),
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(metavar="A,B,...", help="Only these; see `ganlet list metrics`. Default: all.")
    ] = None,
    checkpoint: Annotated[
        str | None, typer.Option(help="best, latest, or the images seen of one. Default: generator.safetensors.")
    ] = None,
    source: Annotated[str | None, typer.Option(help="Where the run's pictures are now, if they were moved.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed generates the same pictures.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Give biased numbers, marked so, too.")] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure how good the generator of a run is, by many numbers, each beside what real pictures reach.

    The numbers are kept in RUN/evaluations.jsonl and shown in RUN/report.html.
    """
    from ganlet.workflows.evaluating import evaluate as measure

    names = None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]
    with closing(choose_reporter()) as reporter:
        found = measure(
            run,
            num,
            extractor=extractor,
            metrics=names,
            checkpoint=checkpoint,
            source=source,
            seed=seed,
            force=force,
            device=device,
            reporter=reporter,
        )
    show(json.dumps(found.row, indent=2) if as_json else found)


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="The folders of runs.")],
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the distance over images seen of all of them.")
    ] = None,
    show_anyway: Annotated[
        bool, typer.Option("--show-anyway", help="A table for each way in which they were measured.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Put the newest measurements of runs beside each other, with what is set differently.

    The best is marked where it is ahead by more than the spreads. Numbers that were measured in different ways are
    never ranked.
    """
    from ganlet.workflows.comparing import compare as put_together
    from ganlet.workflows.plotting import save_plot

    if plot is not None:
        tell(f"plotted: {printable(save_plot(runs, plot))}")
    found = put_together(runs, show_anyway=show_anyway)
    show(json.dumps(found.as_json(), indent=2) if as_json else found)
