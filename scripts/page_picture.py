"""Draws docs/pictures/page.png: the page of a run, light and dark, on a desk and on a phone.

    python scripts/page_picture.py RUN docs/pictures/page.png

Needs Chromium and playwright.
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from ganlet.export import to_web

ADDRESS = "#seed=11"
WIDE, NARROW, SCALE, GAP = (1180, 800), (390, 800), 1, 24


def main(run: str, out: str) -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = to_web(run, Path(folder) / "page.html")
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        shots = []
        for (width, height), scheme in ((WIDE, "light"), (NARROW, "dark")):
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                device_scale_factor=SCALE,
                offline=True,
            )
            page = context.new_page()
            page.goto(page_file.as_uri() + ADDRESS)
            page.locator("html[data-ready]").wait_for()
            shots.append(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
        browser.close()
    together = Image.new("RGB", (sum(one.width for one in shots) + GAP, shots[0].height), "white")
    together.paste(shots[0], (0, 0))
    together.paste(shots[1], (shots[0].width + GAP, 0))
    together.quantize(192).save(out, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
