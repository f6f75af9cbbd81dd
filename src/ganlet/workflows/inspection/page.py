"""An inspection as one page that needs nothing but itself, in the style of a run's report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from ganlet.data.inspection.finding import Finding
from ganlet.images import enlarge, grid, png_bytes
from ganlet.runs.markup import data_uri, escaped, still
from ganlet.runs.plots import figure_png
from ganlet.workflows.inspection.charts import charts
from ganlet.workflows.inspection.words import cost_text, details, facts, summary, value_text

if TYPE_CHECKING:
    from ganlet.workflows.inspecting import Inspection

Pictures = Mapping[int, np.ndarray]

CONTACT_ROWS, CONTACT_COLUMNS = 6, 12
SHOWN, SHOWN_GROUPS, SHOWN_OF_GROUP = 18, 9, 4
LISTED = 2_000
SIDE_MIN, SIDE_MAX = 16, 96
SHEET_SIDE, MEAN_SIDE = 1_100, 192


def wanted_pictures(inspection: Inspection) -> list[int]:
    """The row numbers of all pictures that the page shows."""
    wanted = set(_contact(len(inspection.survey)))
    for finding in inspection.findings:
        wanted.update(number for group in _shown_groups(finding) for number in group)
    return sorted(wanted)


def side(inspection: Inspection) -> int:
    """At how many pixels pictures are shown: as they are, within limits."""
    rows = inspection.survey.rows
    return int(np.clip(np.median(np.maximum(rows["height"], rows["width"])), SIDE_MIN, SIDE_MAX))


def page(inspection: Inspection, pictures: Pictures, config: str) -> str:
    """The page as HTML; `pictures` are those of `wanted_pictures` that could be read, `config` the advice as YAML."""
    from ganlet import __version__

    template = Template((resources.files("ganlet.runs") / "report.html").read_text("utf-8"))
    sections = [section(inspection, pictures) for section in SECTIONS]
    return template.substitute(
        title=escaped(f"Pictures of {inspection.survey.source}"),
        lead=f'<p class="lead">{escaped(summary(inspection))}</p>',
        sections="\n".join(text for text in [*sections, _config(config)] if text),
        footer=f"Made by ganlet inspect {escaped(__version__)}. This page is one file: keep it, send it.",
    )


def _findings(inspection: Inspection, pictures: Pictures) -> str:
    found = "\n".join(_finding(inspection, finding, pictures) for finding in inspection.findings)
    nothing = "<p>Nothing remarkable: no broken files, no copies, nothing blank, no odd sizes.</p>"
    return f"<section>\n<h2>What was found</h2>\n{found or nothing}\n</section>"


def _finding(inspection: Inspection, finding: Finding, pictures: Pictures) -> str:
    why = dict(finding.lines) if finding.numbers else {}
    groups = "".join(_group(inspection, group, pictures, why) for group in _shown_groups(finding))
    return f"""<div class="finding">
<h3><span class="tag tag-{finding.severity}">{finding.severity}</span> {escaped(finding.title)}</h3>
<p>{escaped(finding.meaning)} <strong>Next:</strong> {escaped(finding.next)}</p>
{f'<div class="thumbs">{groups}</div>' if groups else ""}
{_names(details(inspection, finding))}
</div>"""


def _group(inspection: Inspection, group: Sequence[int], pictures: Pictures, why: Mapping[str, str]) -> str:
    figures = []
    for number in group:
        if number in pictures:
            name = inspection.survey.name(number)
            words = f"<br>{escaped(why[name])}" if name in why else ""
            source = data_uri(png_bytes(pictures[number]), "png")
            figures.append(
                f'<figure><img src="{source}" alt=""><figcaption>{escaped(name)}{words}</figcaption></figure>'
            )
    return f'<div class="group">{"".join(figures)}</div>' if figures else ""


def _names(lines: Sequence[str]) -> str:
    """All names that a finding is about, folded away."""
    if not lines:
        return ""
    listed = "\n".join(escaped(line) for line in lines[:LISTED])
    more = f"\nand {len(lines) - LISTED:,} more: see ganlet inspect --json" if len(lines) > LISTED else ""
    return f"<details><summary>All {len(lines):,} by name</summary><pre>{listed}{more}</pre></details>"


def _pictures(inspection: Inspection, pictures: Pictures) -> str:
    chosen = [pictures[number] for number in _contact(len(inspection.survey)) if number in pictures]
    if not chosen:
        return ""
    sheet = enlarge(grid(np.stack(chosen), CONTACT_COLUMNS), SHEET_SIDE)
    mean = np.rint(inspection.survey.sample.mean(axis=0)).astype(np.uint8)
    average = data_uri(png_bytes(enlarge(mean, MEAN_SIDE)), "png")
    return f"""<section>
<h2>What is in there</h2>
<figure><img class="print" src="{still(png_bytes(sheet))}" alt="Contact sheet">
<figcaption>{len(chosen)} of them, evenly chosen, whole and on their background.</figcaption></figure>
<div class="pair mean"><figure><img class="print" src="{average}" alt="Mean picture">
<figcaption>The <strong>mean picture</strong>: what all have in common. {escaped(_mirroring(inspection))}</figcaption>
</figure><div><table>
{_rows(facts(inspection))}
</table></div></div>
</section>"""


def _mirroring(inspection: Inspection) -> str:
    examination = inspection.examination
    if examination is None or examination.mirror_accuracy is None:
        return ""
    return f"A simple judge tells them from their mirror images in {examination.mirror_accuracy:.0%} of the cases."


def _charts(inspection: Inspection, pictures: Pictures) -> str:
    if not len(inspection.survey):
        return ""
    light, dark = (
        {title: data_uri(figure_png(figure), "png") for title, figure in charts(inspection.survey, dark=night).items()}
        for night in (False, True)
    )
    figures = "\n".join(
        f'<figure><h3>{title}</h3><picture><source media="(prefers-color-scheme: dark)" srcset="{dark[title]}">'
        f'<img src="{source}" alt="Chart: {title}"></picture></figure>'
        for title, source in light.items()
    )
    return f'<section>\n<h2>In numbers</h2>\n<div class="pair">\n{figures}\n</div>\n</section>'


def _advice(inspection: Inspection, pictures: Pictures) -> str:
    if inspection.config is None:
        return ""
    advice = {f"{item.setting} = {value_text(item.value)}": item.why for item in inspection.advice}
    cost = {} if inspection.cost is None else {"On this machine": cost_text(inspection)}
    return f"""<section>
<h2>What fits</h2>
<table>
{_rows(advice | cost)}
</table>
<div class="commands"><div><p>Train with that:</p><pre>{escaped(inspection.command)}</pre></div></div>
</section>"""


def _config(config: str) -> str:
    if not config:
        return ""
    lines = "\n".join(escaped(line) for line in config.splitlines())
    return f"<section>\n<details><summary>The same as a config file</summary><pre>{lines}</pre></details>\n</section>"


def _rows(table: Mapping[str, str]) -> str:
    return "\n".join(
        f'<tr><th scope="row">{escaped(heading)}</th><td>{escaped(text)}</td></tr>' for heading, text in table.items()
    )


def _contact(count: int) -> list[int]:
    """Row numbers, evenly chosen."""
    most = CONTACT_ROWS * CONTACT_COLUMNS
    return sorted({index * count // most for index in range(most)}) if count else []


def _shown_groups(finding: Finding) -> list[Sequence[int]]:
    """The pictures that a finding shows, those that belong together in one group."""
    if finding.groups:
        return [group[:SHOWN_OF_GROUP] for group in finding.groups[:SHOWN_GROUPS]]
    return [[number] for number in finding.numbers[:SHOWN]]


# The page from top to bottom; a section that has nothing to say returns an empty text.
SECTIONS: tuple[Callable[[Inspection, Pictures], str], ...] = (_findings, _pictures, _charts, _advice)
