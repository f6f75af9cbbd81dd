"""How large pages of runs are, and how fast they draw, in headless Chromium from a file with the network off.

    python benchmarks/export_web.py RUN... [--precision int10 fp16 int8] [--runtime ort] > export_web.md

A picture is timed as the page draws it, from a point to pixels: the median of 50. Bytes are those of the whole file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import torch
from playwright.sync_api import Browser, sync_playwright

import ganlet
from ganlet.export import to_web

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
NUM_OPENED = 5
TIMED = """async () => {
  const times = [];
  for (let i = 0; i < 60; i++) {
    const start = performance.now();
    await window.ganlet.draw();
    times.push(performance.now() - start);
  }
  return times.slice(10);
}"""
HEAD = """| run | weights | bytes | first picture | a picture | within 1 of 255 | furthest | requests |
|---|---|---|---|---|---|---|---|"""


def visit(browser: Browser, page_file: Path) -> dict[str, Any]:
    """What one visit saw."""
    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 860})
    page = context.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(page_file.as_uri())
    page.locator("html[data-ready]").wait_for()
    seal = page.locator("#seal")
    seen = {
        "first": float(page.locator("html").get_attribute("data-first") or "nan"),
        "worst": int(seal.get_attribute("data-worst") or -1),
        "share": float(seal.get_attribute("data-share") or "nan"),
        "picture": statistics.median(page.evaluate(TIMED)),
        "requests": sum(not one.startswith(("data:", "blob:")) for one in requests) - 1,  # the page itself
    }
    context.close()
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--precision", nargs="+", default=["default"], help="default, fp32, fp16, int10, int8")
    parser.add_argument("--runtime", default="own", help="own, ort, or the file of its package")
    parser.add_argument("--browser", default=shutil.which("chromium"))
    arguments = parser.parse_args()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=arguments.browser, args=FLAGS)
        print(
            f"`python benchmarks/export_web.py {' '.join(path.name for path in arguments.runs)} "
            f"--precision {' '.join(arguments.precision)} "
            f"--runtime {Path(arguments.runtime).name}`, {date.today()}, Chromium {browser.version}, "
            f"{os.cpu_count()} cores, torch {torch.__version__}, ganlet {ganlet.__version__}\n\n{HEAD}",
            flush=True,
        )
        for run in arguments.runs:
            for precision in arguments.precision:
                asked = None if precision == "default" else precision
                page = to_web(run, Path(folder) / "page.html", precision=asked, runtime=arguments.runtime)
                seen = [visit(browser, page) for _ in range(NUM_OPENED)]
                first, picture = (statistics.median(one[name] for one in seen) for name in ("first", "picture"))
                print(
                    f"| {run.name} | {precision} | {page.stat().st_size:,} | {first:.0f} ms | {picture:.1f} ms | "
                    f"{seen[0]['share']:.3%} | {seen[0]['worst']} | {max(one['requests'] for one in seen)} |",
                    flush=True,
                )
        browser.close()


if __name__ == "__main__":
    main()
