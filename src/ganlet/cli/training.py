"""ganlet train and ganlet resume."""

from __future__ import annotations

import shlex
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from ganlet.cli.options import Device, Overrides, RunPath, overrides_tree
from ganlet.cli.printing import show, tell, tell_result
from ganlet.config import read_yaml, validate
from ganlet.config.tree import merge
from ganlet.paths import printable
from ganlet.workflows.configuring import make_config
from ganlet.workflows.reporting import choose_reporter, is_first_process


def train(
    source: Annotated[
        str | None,
        typer.Argument(
            help="A folder or zip of pictures, idx or CIFAR files, smileys (the default), ring, stacked:PATH."
        ),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="A recipe; see `ganlet list presets`.")] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings in a YAML file.")] = None,
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    init_from: Annotated[
        Path | None, typer.Option("--init-from", metavar="RUN", help="Start from the weights of another run.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="The new run folder; default: runs/PRESET.")] = None,
    device: Device = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done, and stop.")] = False,
) -> None:
    """Train a generator of pictures like those in SOURCE.

    Without a SOURCE it learns smileys, drawn by code. Without a preset: quick (32x32) on a CPU, standard (64x64) on a
    GPU.
    """
    # Everything that a person may have mistyped is found before torch is imported.
    changes = overrides_tree(overrides)
    if init_from is not None:
        changes = merge(changes, {"train": {"init_from": str(init_from)}}, None)
    chosen_for_them = preset is None and config is None
    settings = make_config("quick" if chosen_for_them else preset, source, file=config, overrides=changes)
    from ganlet.engine.devices import choose_device

    with closing(choose_reporter()) as reporter:
        if chosen_for_them and choose_device(device).type == "cuda":
            settings = make_config("standard", source, overrides=changes)
        if chosen_for_them:
            where = "there is a GPU" if settings.preset == "standard" else "no CUDA GPU is used"
            reporter.say(f"preset {settings.preset}, because {where} (choose another with --preset)")
        if dry_run:
            from ganlet.workflows.planning import plan

            text = plan(settings, out, device=device, reporter=reporter)
            if is_first_process():
                show(text)
            return
        from ganlet.workflows.training import train as train_run

        run = train_run(settings, out, device=device, reporter=reporter)
    _tell_where(run.path)


def resume(
    run: RunPath,
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    device: Device = "auto",
    allow_data_change: Annotated[
        bool, typer.Option("--allow-data-change", help="Go on although the pictures have changed.")
    ] = False,
) -> None:
    """Go on with an interrupted run to the very same end, or extend a finished one."""
    from ganlet.runs.folder import RunFolder

    changes = overrides_tree(overrides)
    folder = RunFolder.open(run)
    folder.require_unsealed()
    validate(merge(read_yaml(folder.config_path), changes))
    from ganlet.workflows.training import resume as resume_run

    with closing(choose_reporter()) as reporter:
        resumed = resume_run(run, changes, device=device, allow_data_change=allow_data_change, reporter=reporter)
    _tell_where(resumed.path)


def _tell_where(path: Path) -> None:
    if not is_first_process():
        return
    report, quoted = path / "report.html", shlex.quote(str(path))
    tell_result(report)
    tell(f"done: open {printable(report)}, or draw more with: ganlet sample {quoted}")
