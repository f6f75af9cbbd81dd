"""What was measured of a run: evaluations.jsonl, one row an evaluation, and how a row is told to a person.

A row is plain data, so that whoever reads it needs neither torch nor the metrics:

    images_seen, created     the moment of the generator that was measured, and when that was done
    protocol                 how it was measured, as `metrics.protocol` has it; `protocol_in_words` says it
    floor_in_words           between which real pictures the floors were measured; empty where there are none
    measurements             each with metric, name, value, spread, better, biased, note, floor, meaning, protocol
    refused                  each with metric, name, reason
    neighbours               how many training pictures were searched for those nearest to generated ones, `of` how many
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganlet.runs.folder import RunFolder
from ganlet.runs.history import History, read_history

Row = Mapping[str, Any]

BETTER = {"lower": "lower", "higher": "higher", None: "like the floor"}
HEADINGS = ("metric", "value", "better", "floor")
MOST_DECIMALS = 6
WIDTH = 110  # of sentences in a terminal


def append_evaluation(folder: RunFolder, row: Row) -> None:
    """Add a row; raises as `files.os_errors_explained` does."""
    with History(folder.evaluations_path) as history:
        history.append(row)
        history.sync()


def read_evaluations(folder: RunFolder) -> list[dict[str, Any]]:
    """All rows, the newest last; empty when nothing was measured."""
    return read_history(folder.evaluations_path)


def newest_evaluation(folder: RunFolder) -> dict[str, Any] | None:
    """The last row, or None when nothing was measured."""
    rows = read_evaluations(folder)
    return rows[-1] if rows else None


def number(value: float, digits: int = 3) -> str:
    """A value with so many digits that count, never in powers of ten."""
    return f"{value:,.{_decimals(value, digits)}f}"


def describe_value(measurement: Row) -> str:
    """The value of a measurement with its spread, as far as that lets its digits count."""
    value, spread = measurement["value"], measurement.get("spread")
    if spread:
        decimals = _decimals(spread, 2)
        text = f"{value:,.{decimals}f} ± {spread:,.{decimals}f}"
    else:
        text = number(value, 4)
    return f"{text} (biased)" if measurement.get("biased") else text


def _decimals(value: float, digits: int) -> int:
    """After how many decimals the first `digits` digits of a value that count are shown."""
    if not value:
        return 0
    return min(max(digits - 1 - math.floor(math.log10(abs(value))), 0), MOST_DECIMALS)


def cells(row: Row) -> list[tuple[str, str, str, str]]:
    """A line for each measurement: what `HEADINGS` says."""
    return [
        (
            measurement["name"],
            describe_value(measurement),
            BETTER[measurement["better"]],
            "" if measurement.get("floor") is None else number(measurement["floor"]),
        )
        for measurement in row["measurements"]
    ]


def aligned(lines: Iterable[Sequence[str]]) -> list[str]:
    """Lines of cells as text, each column as wide as it must be."""
    lines = list(lines)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def remarks(row: Row) -> list[str]:
    """What must be said beside the values, a sentence a measurement; empty where there is nothing to say."""
    return [
        f"{measurement['name']}: {measurement['note']}" for measurement in row["measurements"] if measurement["note"]
    ]


def refusals(row: Row) -> list[str]:
    """What was left out, and why."""
    return [f"{refused['name']}: {refused['reason']}" for refused in row["refused"]]


def as_text(row: Row) -> str:
    """A row for a terminal: the table, then what was left out, the protocol and the floor."""
    lines = aligned([HEADINGS, *cells(row)]) if row["measurements"] else ["Nothing could be measured."]
    for heading, sentences in (
        ("notes", remarks(row)),
        ("left out", refusals(row)),
        ("protocol", [row["protocol_in_words"]]),
        ("floor", [row["floor_in_words"]] if row["floor_in_words"] else []),
    ):
        if sentences:
            lines += ["", f"{heading}:", *(_wrapped(one) for one in sentences)]
    return "\n".join(lines)


def _wrapped(sentence: str) -> str:
    return textwrap.fill(sentence, WIDTH, initial_indent="  ", subsequent_indent="    ")
