"""The section of the report that tells how a run went: what the doctor found, by which signs, and what to try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganlet.runs.markup import data_uri, escaped, sheet
from ganlet.runs.pictures import sample_moments
from ganlet.runs.plots import evidence_plot, figure_png
from ganlet.runs.story import Story

SEVERITIES = {"serious": "Serious", "notice": "Worth a look", "healthy": ""}


def how_it_went(told: Story) -> str:
    """Verdicts with their evidence, the signals they rest on, pictures from before and after, and a command.

    Plain data in the facts, "diagnosis": "headline", "verdicts" and "panels"; nothing where it is missing.
    """
    diagnosis = told.facts.get("diagnosis")
    if not diagnosis:
        return ""
    verdicts = diagnosis["verdicts"]
    parts = [_verdict(verdict) for verdict in verdicts]
    return "\n".join(
        [
            "<section>",
            "<h2>How it went</h2>",
            f'<p class="lead">{escaped(diagnosis["headline"])}</p>',
            '<div class="pair curves checkup">',
            _chart(diagnosis["panels"]),
            f"<div>{''.join(parts)}</div>",
            "</div>",
            _pictures(told, verdicts[0]),
            "</section>",
        ]
    )


def _verdict(verdict: Mapping[str, Any]) -> str:
    since = (
        "" if verdict["since"] is None or verdict["severity"] == "healthy" else f" since {verdict['since']:,} images"
    )
    grade = SEVERITIES[verdict["severity"]]
    heading = f"{verdict['kind'].capitalize()}{since}"
    note = f"{grade}, confidence {verdict['confidence']:.0%}. " if grade else ""
    lines = [f"<h3>{escaped(heading)}</h3>", f"<p>{escaped(note + verdict['words'])}</p>"]
    if verdict["evidence"]:
        items = "".join(f"<li>{escaped(_sentence(item))}</li>" for item in verdict["evidence"])
        lines.append(f"<ul>{items}</ul>")
    if verdict["advice"]:
        first = "What to try first: " if grade else ""
        lines.append(f"<p>{escaped(first + verdict['advice'])}</p>")
    if verdict["try"]:
        lines.append(f"<pre>{escaped(verdict['try'])}</pre>")
    return f'<div class="verdict {escaped(verdict["severity"])}">\n' + "\n".join(lines) + "\n</div>\n"


def _sentence(item: Mapping[str, Any]) -> str:
    words = item["words"][0].upper() + item["words"][1:]
    return f"{words} ({item['limit']})." if item["limit"] else f"{words}."


def _chart(panels: Sequence[Mapping[str, Any]]) -> str:
    if not panels:
        return "<p>No signals were logged that could be drawn.</p>"
    light, dark = (data_uri(figure_png(evidence_plot(panels, dark=dark)), "png") for dark in (False, True))
    titles = escaped(", ".join(panel["title"] for panel in panels))
    return f"""<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">
<img src="{light}" alt="Signals over images seen: {titles}"></picture>"""


def _pictures(told: Story, verdict: Mapping[str, Any]) -> str:
    """The sample grids of the moments that show the verdict, side by side; nothing where all is well."""
    since = verdict["since"]
    if verdict["severity"] == "healthy" or since is None:
        return ""
    figures = [
        sheet(path, f"Grid of generated pictures after {images:,} images", _caption(images, since))
        for images, path in _chosen(sample_moments(told.folder), verdict["picture_moments"], since)
    ]
    shown = "".join(figures)
    return f'<div class="pair triple">\n{shown}</div>' if shown else ""


def _chosen(grids: list[tuple[int, Path]], moments: Sequence[int], since: int) -> list[tuple[int, Path]]:
    """For each moment the grid nearest to it on its side of `since`, none twice, in order."""
    chosen = set()
    for moment in moments:
        same_side = [grid for grid in grids if (grid[0] < since) == (moment < since)]
        if same_side:
            chosen.add(min(same_side, key=lambda grid: abs(grid[0] - moment)))
    return sorted(chosen)


def _caption(images: int, since: int) -> str:
    when = "before it began" if images < since else "since then"
    return f"<strong>{images:,} images</strong>: {when}. The same latents in each grid."
