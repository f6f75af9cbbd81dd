"""An inspection as one page that needs nothing but itself, in the style of a run's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from ganlet.data.inspection.finding import Finding
from ganlet.images import enlarge, grid, png_bytes
from ganlet.runs.markup import chart, data_uri, render, still
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

    survey, examination = inspection.survey, inspection.examination
    chosen = [pictures[number] for number in _contact(len(survey)) if number in pictures]
    advice = {f"{item.setting} = {value_text(item.value)}": item.why for item in inspection.advice}
    cost = {} if inspection.cost is None else {"On this machine": cost_text(inspection)}
    return render(
        "inspection.html",
        title=f"Pictures of {survey.source}",
        maker=f"ganlet inspect {__version__}",
        summary=summary(inspection),
        findings=[
            (finding, _thumbnails(inspection, finding, pictures), details(inspection, finding))
            for finding in inspection.findings
        ],
        listed=LISTED,
        contact=still(png_bytes(enlarge(grid(np.stack(chosen), CONTACT_COLUMNS), SHEET_SIDE))) if chosen else None,
        num_shown=len(chosen),
        mean=_mean(inspection) if chosen else None,
        mirror_accuracy=examination and examination.mirror_accuracy,
        facts=facts(inspection),
        charts={title: chart(draw) for title, draw in charts(survey).items()},
        advice=advice | cost,
        command=inspection.command,
        config=config.splitlines(),
    )


def _mean(inspection: Inspection) -> Markup:
    mean = np.rint(inspection.survey.sample.mean(axis=0)).astype(np.uint8)
    return data_uri(png_bytes(enlarge(mean, MEAN_SIDE)), "png")


def _thumbnails(
    inspection: Inspection, finding: Finding, pictures: Pictures
) -> list[list[tuple[str, str | None, Markup]]]:
    """Name, words and picture of what a finding shows, by group."""
    name = inspection.survey.name
    why = dict(finding.lines) if finding.numbers else {}
    groups = [
        [
            (name(number), why.get(name(number)), data_uri(png_bytes(pictures[number]), "png"))
            for number in group
            if number in pictures
        ]
        for group in _shown_groups(finding)
    ]
    return [group for group in groups if group]


def _contact(count: int) -> list[int]:
    """Row numbers, evenly chosen."""
    most = CONTACT_ROWS * CONTACT_COLUMNS
    return sorted({index * count // most for index in range(most)}) if count else []


def _shown_groups(finding: Finding) -> list[Sequence[int]]:
    """The pictures that a finding shows, those that belong together in one group."""
    if finding.groups:
        return [group[:SHOWN_OF_GROUP] for group in finding.groups[:SHOWN_GROUPS]]
    return [[number] for number in finding.numbers[:SHOWN]]
