"""ganlet inspect."""

from __future__ import annotations

import json
import shlex
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from ganlet.cli.options import Device, Overrides, overrides_tree
from ganlet.cli.printing import show, tell
from ganlet.paths import printable
from ganlet.workflows.configuring import make_config
from ganlet.workflows.reporting import choose_reporter


def inspect(
    source: Annotated[str, typer.Argument(help="What `ganlet train` takes: a folder, a zip, idx or CIFAR files.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print only JSON, with every name.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write a page with pictures too; or a folder for it.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--write-config", metavar="FILE.yaml", help="Write the advised settings, for train --config."),
    ] = None,
    size: Annotated[str | None, typer.Option(metavar="N|HxW", help="The size that you want to train at.")] = None,
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    device: Device = "auto",
) -> None:
    """Look at every picture of SOURCE: what is there, what is wrong, which settings fit.

    Ends with 0 whatever is found, and with 2 when not a single picture can be used.
    """
    changes = overrides_tree([*overrides, *([] if size is None else [f"data.size={size}"])])
    make_config(None, source, overrides=changes)  # mistyped settings are found before anything is read
    from ganlet.workflows import inspecting
    from ganlet.workflows.inspection.words import as_text

    if config is not None:
        config = inspecting.config_path(config)
    page = None if out is None else inspecting.page_path(out, source)
    with closing(choose_reporter()) as reporter:
        inspection = inspecting.inspect(source, changes, device=device, reporter=reporter)
    # First what is to be written: it shall be there, whether somebody reads what is printed or not.
    if page is not None:
        inspecting.write_page(inspection, page)
    if config is not None and inspection.config is not None:
        inspecting.write_config(inspection, config)
    show(json.dumps(inspection.as_json(), indent=2) if as_json else as_text(inspection))
    told = tell if as_json else show
    if page is not None:
        told(f"\npage: {printable(page)}")
    inspecting.require_usable(inspection)
    if config is not None:
        told(f"\nconfig: ganlet train --config {shlex.quote(str(config))}")
    if page is None and not as_json:
        command = f"ganlet inspect {shlex.quote(source)} --out {shlex.quote(str(inspecting.page_path('.', source)))}"
        tell(f"\nSee the pictures: {command}")
