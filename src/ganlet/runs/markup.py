"""Text and pictures as parts of a page that needs nothing but itself."""

from __future__ import annotations

import base64
import html
import io
import logging
import unicodedata
from pathlib import Path

from PIL import Image, features

from ganlet.errors import RunError
from ganlet.images import enlarge, png_bytes
from ganlet.runs.pictures import opaque, read_png

logger = logging.getLogger(__name__)

STILL_SIDE, STILL_BYTES, STILL_QUALITY = 1100, 400_000, 82

# Unicode categories of characters that show nothing or turn the direction of others.
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def escaped(text: object) -> str:
    """Text as HTML; characters that show nothing or turn the direction of others become visible escapes."""
    seen = (
        char.encode("unicode_escape").decode() if unicodedata.category(char) in UNSEEN else char for char in str(text)
    )
    return html.escape("".join(seen))


def sheet(path: Path, alt: str, caption: str) -> str:
    """A grid of pictures as a figure; nothing, and a warning in the log, where the file cannot be read."""
    try:
        pixels = enlarge(read_png(path), STILL_SIDE)
    except RunError as error:
        logger.warning("left out: %s", error.message)
        return ""
    source = still(png_bytes(opaque(pixels)))
    return f'<figure>\n<img class="print" src="{source}" alt="{alt}">\n<figcaption>{caption}</figcaption>\n</figure>\n'


def still(png: bytes) -> str:
    """A picture inside the page: bit by bit where that is small enough, else within 1100 pixels and less sharp."""
    if len(png) <= STILL_BYTES or not features.check("webp"):
        return data_uri(png, "png")
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        image.thumbnail((STILL_SIDE, STILL_SIDE), Image.Resampling.LANCZOS)
        image.save(buffer, "WEBP", quality=STILL_QUALITY)
    return data_uri(buffer.getvalue(), "webp")


def data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
