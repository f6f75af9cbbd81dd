"""What several commands take."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Annotated, Any

import typer

from ganlet.config import parse_override
from ganlet.config.tree import merge

RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or its zip.")]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; may be given again and again.")
]
Certificate = Annotated[
    bool,
    typer.Option("--certificate/--no-certificate", help="Let pictures say how they were drawn (ganlet whence)."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]


def overrides_tree(overrides: list[str]) -> dict[str, Any]:
    """All `--set key=value` as one nested dict, the last one winning."""
    return reduce(lambda tree, text: merge(tree, parse_override(text), None), overrides, {})
