"""What a browser is shown at `/`: the page that draws by itself, or, where it cannot be made, a form."""

from __future__ import annotations

import html
import tempfile
from pathlib import Path

from ganlet.errors import GanletError
from ganlet.export import to_web
from ganlet.export.serving.models import Model

FORM_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; form-action 'self'; frame-ancestors 'none'"
)
PAGE_POLICY = "frame-ancestors 'none'"  # its own, inside, lets it reach nothing

FORM = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{name}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 2rem auto; padding: 0 1rem }}
input, select, button {{ font: inherit }}
</style>
<h1>{name}</h1>
<form action="generate">
<input type="hidden" name="model" value="{name}">{token}
<label>seed <input name="seed" type="number" min="0" value="0"></label>
<label>pictures <input name="num" type="number" min="1" max="{most}" value="{num}"></label>
{labels}<input type="hidden" name="scale" value="{scale}"><button>draw</button>
</form>
<p>For programs: <a href="openapi.json">openapi.json</a></p>
"""


def made_page(model: Model, run: Path) -> bytes | None:
    """The page of a run that draws in the browser; None where this generator cannot be made one."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{model.lab.maker.weights}.html"
            to_web(run, file, find_directions=False)
            return file.read_bytes()
    except (GanletError, OSError):
        return None


def form(model: Model, most: int, token: str | None) -> bytes:
    """A form that asks `/generate`. Whoever is shown it has the token."""
    name = html.escape(model.name)
    labels = "".join(f"<option>{html.escape(label)}</option>" for label in model.label_names)
    labels = f'<label>label <select name="label">{labels}</select></label>\n' if labels else ""
    hidden = "" if token is None else f'<input type="hidden" name="token" value="{html.escape(token)}">'
    scale = max(1, 128 // max(model.size))
    page = FORM.format(name=name, token=hidden, most=most, num=min(16, most), labels=labels, scale=scale)
    return page.encode()
