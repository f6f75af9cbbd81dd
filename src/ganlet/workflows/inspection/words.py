"""An inspection in words: the summary sentence, and the text that the command line prints."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from ganlet.data.inspection.examination import overview
from ganlet.data.inspection.finding import Finding
from ganlet.data.leftovers import left_out_line
from ganlet.paths import printable
from ganlet.runs.markup import duration

if TYPE_CHECKING:
    from ganlet.workflows.inspecting import Inspection

FEW_LINES = 5
COLUMNS, INDENT = 100, " " * 11
CHANNELS = {1: "grey", 3: "colour", 4: "partly transparent"}
MARKS = {"problem": "PROBLEM", "warning": "warning", "note": "note"}


def summary(inspection: Inspection) -> str:
    """What it is, how sound it is, and what to do with it, in two or three sentences."""
    survey, config = inspection.survey, inspection.config
    if config is None:
        return f"None of {survey.num_found + len(survey.unread):,} pictures can be used."
    numbers = overview(survey)
    kind = CHANNELS[int(config.data.channels)]
    classes = f" in {len(numbers['classes']):,} classes" if numbers["classes"] else ""
    text = f"{len(survey):,} {kind} pictures, {_size(numbers)}{classes}. {_state(inspection.findings)} "
    height, width = config.data.size
    text += f"The preset {inspection.settings['preset']} at {height} x {width} suits them"
    if inspection.cost is None:
        return f"{text}."
    return f"{text} and takes about {duration(inspection.cost.seconds)} on this machine."


def facts(inspection: Inspection) -> dict[str, str]:
    """What was counted, by heading; names in it are escaped for a terminal."""
    survey, numbers = inspection.survey, overview(inspection.survey)
    table = {"Pictures": f"{numbers['found']:,} found, {numbers['usable']:,} can be used"}
    if line := left_out_line(survey.left_out):
        table["Not read"] = line.removeprefix("not read: ")
    if survey.notes:
        table["Notes"] = "; ".join(survey.notes)
    if not len(survey):
        return table
    table["Sizes"] = _sizes(numbers)
    if numbers["num_sizes"] > 1:
        low, _, middle, _, high = numbers["aspect"]
        table["Height / width"] = f"{low:.4g} to {high:.4g}, half of them up to {middle:.4g}"
    table["Modes"] = ", ".join(f"{count:,} {mode}" for mode, count in numbers["modes"].items())
    table["Values"] = f"{numbers['lowest_value']} to {numbers['highest_value']} of 0 to 255"
    if classes := numbers["classes"]:
        most = sorted(classes.items(), key=lambda item: -item[1])
        listed = ", ".join(f"{printable(name)} ({count:,})" for name, count in most[:FEW_LINES])
        more = f" and {len(most) - FEW_LINES:,} more" if len(most) > FEW_LINES else ""
        table["Classes"] = f"{len(most):,}: {listed}{more}"
    return table


def as_text(inspection: Inspection) -> str:
    """The whole inspection for a terminal."""
    lines = [printable(inspection.survey.source), textwrap.fill(summary(inspection), COLUMNS), ""]
    lines += [f"  {heading + ':':<16}{text}" for heading, text in facts(inspection).items()]
    if inspection.findings:
        lines += ["", "Found", *(line for finding in inspection.findings for line in _finding(inspection, finding))]
    if inspection.advice:
        lines += ["", "Advice"]
        for advice in inspection.advice:
            lines += [f"  {advice.setting} = {value_text(advice.value)}", _wrapped(advice.why, INDENT)]
    if inspection.cost is not None:
        lines += ["", "On this machine", f"  {cost_text(inspection)}"]
    if inspection.command:
        lines += ["", "Train", f"  {printable(inspection.command)}"]
    return "\n".join(lines)


def cost_text(inspection: Inspection) -> str:
    """Speed, time and memory of the advised config."""
    cost = inspection.cost
    assert cost is not None
    return (
        f"about {cost.images_per_second:,.0f} images/s on {cost.device}, {duration(cost.seconds)} for "
        f"{cost.total_images:,} images, {max(1, round(cost.memory / 2**20)):,} MB beside torch itself"
    )


def value_text(value: Any) -> str:
    """A setting's value as one writes it after `--set`."""
    if isinstance(value, list | tuple):
        return "x".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def details(inspection: Inspection, finding: Finding) -> list[str]:
    """Names that a finding is about, with words about them: not escaped."""
    name = inspection.survey.name
    if finding.lines:
        return [f"{line}: {text}" for line, text in finding.lines]
    if finding.groups:
        between = " ~ " if finding.kind == "near_duplicates" else " = "
        return [between.join(name(number) for number in group) for group in finding.groups]
    return [name(number) for number in finding.numbers]


def _finding(inspection: Inspection, finding: Finding) -> list[str]:
    lines = details(inspection, finding)
    more = [f"and {len(lines) - FEW_LINES:,} more"] if len(lines) > FEW_LINES else []
    return [
        f"  {MARKS[finding.severity] + ':':<9}{finding.title}",
        _wrapped(finding.meaning, INDENT),
        *(f"{INDENT}- {printable(line)}" for line in [*lines[:FEW_LINES], *more]),
        _wrapped(f"Next: {finding.next}", INDENT),
    ]


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, COLUMNS, initial_indent=indent, subsequent_indent=indent)


def _state(findings: list[Finding]) -> str:
    """How sound the set is, by the number of findings of each severity."""
    problems, warnings = (sum(finding.severity == kind for finding in findings) for kind in ("problem", "warning"))
    if problems:
        return f"Mend {_things(problems)} before training."
    return f"Look at {_things(warnings)} before training." if warnings else "Nothing stands in the way of training."


def _things(count: int) -> str:
    return "one thing" if count == 1 else f"{count} things"


def _size(numbers: dict[str, Any]) -> str:
    height, width = numbers["height"][2], numbers["width"][2]
    return f"{'' if numbers['num_sizes'] == 1 else 'about '}{height:g} x {width:g}"


def _sizes(numbers: dict[str, Any]) -> str:
    """The sizes, height first."""
    if numbers["num_sizes"] == 1:
        return f"all {_size(numbers)} (height x width)"
    low, _, _, _, high = zip(numbers["height"], numbers["width"], strict=True)
    return (
        f"{numbers['num_sizes']:,} different ones, {low[0]:g} to {high[0]:g} high and {low[1]:g} to {high[1]:g} wide, "
        f"the middle {_size(numbers).removeprefix('about ')}"
    )
