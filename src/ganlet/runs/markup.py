"""Pages that need nothing but themselves: their templates, and the texts and pictures in them."""

from __future__ import annotations

import base64
import io
import logging
import math
import shlex
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image, features

from ganlet.errors import RunError
from ganlet.images import enlarge, png_bytes
from ganlet.runs.evaluations import cells, refusals, remarks
from ganlet.runs.pictures import opaque, read_png
from ganlet.runs.plots import figure_png

logger = logging.getLogger(__name__)

STILL_SIDE, STILL_BYTES, STILL_QUALITY = 1100, 400_000, 82

# Unicode categories of characters that show nothing or turn the direction of others.
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def render(template: str, **told: Any) -> str:
    """A template of this package as HTML; every text in `told` is escaped."""
    return TEMPLATES.get_template(template).render(told)


def visible(text: object) -> str:
    """Text in which characters that show nothing or turn the direction of others are visible escapes."""
    if isinstance(text, Markup):
        return text
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in UNSEEN else char for char in str(text)
    )


def sheet(path: Path) -> Markup | None:
    """A grid of pictures; None, and a warning in the log, where the file cannot be read."""
    try:
        pixels = enlarge(read_png(path), STILL_SIDE)
    except RunError as error:
        logger.warning("left out: %s", error.message)
        return None
    return still(png_bytes(opaque(pixels)))


def still(png: bytes) -> Markup:
    """A picture inside the page: bit by bit where that is small enough, else within 1100 pixels and less sharp."""
    if len(png) <= STILL_BYTES or not features.check("webp"):
        return data_uri(png, "png")
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.thumbnail((STILL_SIDE, STILL_SIDE), Image.Resampling.LANCZOS)
        image.save(buffer, "WEBP", quality=STILL_QUALITY)
    return data_uri(buffer.getvalue(), "webp")


def chart(draw: Callable[..., Figure]) -> dict[str, Markup]:
    """What `draw(dark=...)` draws, for a light and for a dark ground."""
    return {ground: data_uri(figure_png(draw(dark=ground == "dark")), "png") for ground in ("light", "dark")}


def data_uri(data: bytes, kind: str) -> Markup:
    return Markup(f"data:image/{kind};base64,{base64.b64encode(data).decode()}")


def duration(seconds: float) -> str:
    """A time as a person says it: 45 s, 2 min 1 s, 3 h 20 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def commas(number: float) -> str:
    return f"{number:,.0f}"


def counts(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in numbers.items())


TEMPLATES = Environment(
    loader=PackageLoader("ganlet.runs"),
    autoescape=True,
    finalize=visible,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters |= {
    function.__name__: function for function in (sheet, duration, commas, counts, cells, remarks, refusals)
} | {"zip": zip, "tanh": math.tanh, "quoted": lambda path: shlex.quote(str(path))}
