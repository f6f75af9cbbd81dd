"""The report of a run: one page that needs nothing but itself.

Every text goes through `escaped`, and the page forbids itself scripts and remote loads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from ganlet.config import dump_yaml
from ganlet.runs import story
from ganlet.runs.checkup import how_it_went
from ganlet.runs.files import write_atomic
from ganlet.runs.folder import RunFolder
from ganlet.runs.markup import data_uri, escaped, sheet, still
from ganlet.runs.pictures import film, progression, sample_moments
from ganlet.runs.plots import (
    AUGMENTATION,
    LABELS,
    LOSSES,
    NORMS,
    PENALTIES,
    SCORES,
    VERDICTS,
    figure_png,
    loss_plot,
    panels_of,
)
from ganlet.runs.quality import how_good
from ganlet.runs.scores import SCORES_AS_LINES, gives_probabilities
from ganlet.runs.story import Story

CURVES = {
    LOSSES: "Two players with opposite aims: what one gains, the other loses. Look for a lasting balance; neither is "
    "meant to reach zero. (Strong lines are smoothed, faint ones are as logged.)",
    VERDICTS: "How real the discriminator finds real and generated pictures. Both near 0.5: it cannot tell. One at 1 "
    "and the other at 0: it is never fooled, and the generator has little to learn from.",
    SCORES: "How real the discriminator finds real and generated pictures.",
    NORMS: "How hard each network is pushed. Steady is good. A fall towards zero means that learning has "
    "stopped; tall peaks mean a shaky balance.",
    PENALTIES: "What the discriminator must not do, before weighting. A penalty keeps it from becoming so sure that "
    "training breaks.",
    LABELS: "How badly the discriminator's classifier guesses the labels of real and of generated pictures. Both "
    "should fall: then pictures show what their labels say.",
    AUGMENTATION: "How often pictures are augmented, and how surely the discriminator tells real ones: above the "
    "target, it begins to know them by heart.",
}

STEEPNESS = {"r1", "r2", "gradient_penalty", "dragan"}  # penalties on how steep the discriminator is


def write_report(folder: RunFolder, *, facts: Mapping[str, Any]) -> Path:
    """Write report.html anew, and with it samples/progression.png and samples/film.webp.

    `facts` is plain data beside what the folder holds, all of it optional: "parameters" ({"generator": n,
    "discriminator": n}), "data" (the summary of the pack), "seconds", "images_per_second", "device", "finished",
    "resumes", "kept" (the moment of generator.safetensors), "diagnosis" (as `checkup.how_it_went` tells it). Raises as
    `files.explained` does.
    """
    told = Story.read(folder, facts)
    template = Template((resources.files("ganlet.runs") / "report.html").read_text("utf-8"))
    page = template.substitute(
        title=escaped(told.title),
        lead=_lead(told),
        sections="\n".join(text for section in SECTIONS if (text := section(told))),
        footer=f"Made by ganlet {escaped(told.machine.get('ganlet', ''))}. This page is one file: keep it, send it.",
    )
    write_atomic(folder.report_path, page.encode())
    return folder.report_path


def _lead(told: Story) -> str:
    paragraphs = [f'<p class="lead">{escaped(story.lead(told))}</p>']
    if told.stopped is not None:
        paragraphs.append(
            f'<p class="note">It ended before the {told.total:,} images that it was meant to see: '
            f"{escaped(told.stopped)}.</p>"
        )
    elif not told.finished:
        paragraphs.append(
            f'<p class="note">This run is not finished: it is meant to see {told.total:,} images. '
            "What you see here is how far it has come.</p>"
        )
    return "\n".join(paragraphs)


def final_pictures(told: Story) -> str:
    """What it draws at the end, beside real pictures."""
    figures = []
    if moments := sample_moments(told.folder):
        images_seen, path = moments[-1]
        weights = ", with its averaged weights" if told.config.evaluate.weights == "ema" else ""
        caption = (
            f"<strong>Generated</strong> after {images_seen:,} images{weights}. The first ones drawn, none picked."
        )
        figures.append(sheet(path, "Grid of generated pictures at the end of the run", caption))
    real = told.folder.samples_path / "real.png"
    if real.exists():
        ground = (
            " Where a picture is transparent, the chequered ground shows." if told.config.data.channels == 4 else ""
        )
        figures.append(
            sheet(real, "Grid of real pictures", f"<strong>Real</strong>: pictures that it learned from.{ground}")
        )
    if not any(figures):
        return ""
    return f'<section>\n<h2>What it draws</h2>\n<div class="pair">\n{"".join(figures)}</div>\n</section>'


def how_it_learned(told: Story) -> str:
    """Film, progression and curves, each with what to look for."""
    parts = [part for part in (_film(told), _progression(told), _curves(told)) if part]
    return "\n".join(["<section>", "<h2>How it learned</h2>", *parts, "</section>"]) if parts else ""


def _film(told: Story) -> str:
    path = film(told.folder, told.config)
    if path is None:
        return ""
    source = data_uri(path.read_bytes(), path.suffix[1:])
    return f"""<div class="pair film">
<div><img class="print moving" src="{source}" alt="Film of the generated pictures from the start of the run to its end">
<p class="still soft">Here is a film. It is hidden because your system asks for less motion.</p></div>
<div><h3>From nothing to pictures</h3>
<p>Every frame is drawn from the same latents, the random numbers that the generator turns into pictures. So all that
changes is the generator. As a rule large shapes settle first, and details follow.</p>
<p>Watch two things: whether the pictures still get better towards the end, for then a longer run is worth its time, and
whether they stay different from each other.</p></div>
</div>"""


def _progression(told: Story) -> str:
    path = progression(told.folder, told.config)
    if path is None:
        return ""
    alt = "Generated pictures, one row for each moment of the run, the same latents in each row"
    return f"""<figure class="progression">
<div><img src="{still(path.read_bytes())}" alt="{alt}"></div>
<figcaption>A row for each moment, a column for each latent; the moments lie closer together at the start, where most
happens. Follow a column downwards to see one picture grow. Columns that become alike would mean that the generator
repeats itself, which is called mode collapse.</figcaption>
</figure>"""


def _curves(told: Story) -> str:
    if not told.logged("generator_loss"):
        return ""
    objective = told.config.objective
    penalties, probabilities = [penalty.kind for penalty in objective.penalties], gives_probabilities(told.config)
    light, dark = (
        data_uri(figure_png(loss_plot(told.rows, penalties=penalties, probabilities=probabilities, dark=dark)), "png")
        for dark in (False, True)
    )
    shown = panels_of(told.rows, penalties, probabilities)
    notes = {
        SCORES: SCORES_AS_LINES.get(objective.loss.kind, ""),
        PENALTIES: "Here it is how steep the discriminator is." if set(penalties) <= STEEPNESS else "",
    }
    explained = "\n".join(
        f"<div><h3>{heading}</h3>\n<p>{CURVES[heading]} {notes.get(heading, '')}</p></div>" for heading in shown
    )
    return f"""<div class="pair curves">
<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">
<img src="{light}" alt="Curves over images seen: {", ".join(shown)}"></picture>
<div>
{explained}
</div>
</div>"""


def the_numbers(told: Story) -> str:
    """What the logged numbers mean, and what they do not."""
    paragraphs = "\n".join(f"<p>{escaped(text)}</p>" for text in story.readings(told))
    return f"<section>\n<h2>What the numbers say</h2>\n{paragraphs}\n</section>" if paragraphs else ""


def the_run(told: Story) -> str:
    """A table of what was trained, on what, with what."""
    rows = "\n".join(
        f'<tr><th scope="row">{escaped(heading)}</th><td>{"<br>".join(escaped(line) for line in lines)}</td></tr>'
        for heading, lines in story.table(told).items()
        if any(lines)
    )
    return f"<section>\n<h2>The run</h2>\n<table>\n{rows}\n</table>\n</section>"


def do_more(told: Story) -> str:
    """Commands to go on with."""
    items = "\n".join(
        f"<div><p>{escaped(what)}:</p><pre>{escaped(command)}</pre></div>"
        for what, command in story.commands(told).items()
    )
    return f'<section>\n<h2>Do more</h2>\n<div class="commands">\n{items}\n</div>\n</section>'


def whole_config(told: Story) -> str:
    """Every setting, folded away."""
    lines = "\n".join(escaped(line) for line in dump_yaml(told.config).splitlines())
    return f"<section>\n<details><summary>Every setting of this run</summary><pre>{lines}</pre></details>\n</section>"


# The page from top to bottom; a section that has nothing to say returns an empty text.
SECTIONS: tuple[Callable[[Story], str], ...] = (
    final_pictures,
    lambda told: how_good(told.folder),
    how_it_went,
    how_it_learned,
    the_numbers,
    the_run,
    do_more,
    whole_config,
)
