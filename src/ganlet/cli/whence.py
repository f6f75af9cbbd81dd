"""ganlet whence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from ganlet.cli.options import Device
from ganlet.cli.printing import show, tell_result


def whence(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture or film that ganlet drew.")],
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="Draw it again with this run, or generator.safetensors.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where what is drawn again goes: FILE.png, a film, a folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
    device: Device = "auto",
) -> None:
    """Say who drew a picture and how, and draw it again."""
    from ganlet.errors import ConfigError
    from ganlet.paths import printable
    from ganlet.workflows.drawing import picture_path
    from ganlet.workflows.whence import whence as find

    if out is not None and run is None:
        hint = f"ganlet whence {printable(picture)} RUN --out {printable(out)}"
        raise ConfigError("Only a run can draw it again.", where="--out", hint=hint)
    target = None if out is None else picture_path(out)
    origin = find(picture, run, device=device)
    show(json.dumps(_plain(origin)) if as_json else origin)
    if target is not None and origin.drawn is not None:
        origin.drawn.save(target)
        if not as_json:
            tell_result(target)
    if origin.verdict == "changed":
        raise typer.Exit(2)


def _plain(origin: Any) -> dict[str, Any]:
    certificate = origin.certificate
    return {
        "picture": str(origin.path),
        "verdict": origin.verdict,
        "unchanged": origin.unchanged,
        "difference": origin.difference,
        "num_pictures": len(certificate),
        "version": certificate.version,
        "run": certificate.maker.run,
        "weights": certificate.maker.weights,
        "images_seen": certificate.maker.images_seen,
        "how": dict(certificate.how),
        "space": certificate.space,
        "shape": list(certificate.values.shape),
    }
