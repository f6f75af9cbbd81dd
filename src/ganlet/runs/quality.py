"""The section of the report that says how good the pictures are: the newest measurements, and how they were made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ganlet.runs.evaluations import BETTER, newest_evaluation, number, refusals, remarks, shown_value
from ganlet.runs.folder import RunFolder
from ganlet.runs.markup import escaped, sheet

INTRODUCTION = (
    "Measured on pictures generated after {images_seen:,} images. No single number tells how good a generator is: look "
    "at quality and variety apart, and compare each with its floor, which is what real pictures get in the same place. "
    "Numbers measured in another way cannot be compared with these, whatever they are called."
)


def how_good(folder: RunFolder) -> str:
    """The section, or an empty text where nothing was measured."""
    row = newest_evaluation(folder)
    if row is None:
        return ""
    parts = [f"<p>{escaped(INTRODUCTION.format(images_seen=row['images_seen']))}</p>", _table(row), _small_print(row)]
    if folder.neighbours_path.exists():
        parts.append(_neighbours(folder, row))
    return "\n".join(["<section>", "<h2>How good it is</h2>", *parts, "</section>"])


def _table(row: Mapping[str, Any]) -> str:
    if not row["measurements"]:
        return ""
    lines = "\n".join(
        f'<tr><th scope="row"><strong>{escaped(found["name"])}</strong><br>{escaped(found["meaning"])}</th>'
        f"<td>{escaped(shown_value(found))}</td>"
        f"<td>{'' if found['floor'] is None else escaped(number(found['floor']))}</td>"
        f"<td>{escaped(BETTER[found['better']])}</td></tr>"
        for found in row["measurements"]
    )
    heading = '<tr><td></td><th scope="col">measured</th><th scope="col">floor</th><th scope="col">better</th></tr>'
    return f'<table class="measured">\n<thead>{heading}</thead>\n<tbody>\n{lines}\n</tbody>\n</table>'


def _small_print(row: Mapping[str, Any]) -> str:
    """Protocol, floor, remarks and what was left out."""
    texts = [
        ("How it was measured", [row["protocol_in_words"]]),
        ("The floor", [row["floor_in_words"]] if row["floor_in_words"] else []),
        ("Remarks", remarks(row)),
        ("Left out", refusals(row)),
    ]
    return '<div class="small">\n{}\n</div>'.format(
        "\n".join(
            f"<p><strong>{heading}.</strong> {'; '.join(escaped(sentence) for sentence in sentences)}</p>"
            for heading, sentences in texts
            if sentences
        )
    )


def _neighbours(folder: RunFolder, row: Mapping[str, Any]) -> str:
    searched, count = row["neighbours"]["searched"], row["neighbours"]["of"]
    among = f"all {count:,}" if searched == count else f"{searched:,} of the {count:,}"
    caption = (
        "<strong>Does it copy?</strong> Framed: generated, the first ones drawn. Beside each: the training pictures "
        f"that are most like it, the nearest first, among {among}. Alike is normal, equal is a copy."
    )
    alt = "Generated pictures, each beside the three training pictures nearest to it"
    return f'<div class="neighbours">\n{sheet(folder.neighbours_path, alt, caption)}</div>'
