"""A model card: what a generator draws, what it was made of and how good it is, for a person who has nothing else.

In the format of Hugging Face's hub (https://huggingface.co/docs/hub/model-cards): YAML for machines, then Markdown. It
says what is known of the run, and of what is not known by which command it would be.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from ganlet import paths
from ganlet.data.settings import UNKNOWN_LICENCE
from ganlet.errors import ConfigError
from ganlet.export.card_sections import SECTIONS, front_matter, opening
from ganlet.export.facts import gather
from ganlet.paths import printable
from ganlet.runs.files import write_atomic
from ganlet.runs.folder import RunFolder
from ganlet.runs.picture_files import certificate_text
from ganlet.workflows.reporting import Reporter, Silent
from ganlet.workflows.sampling import draw_samples

CARD, SHEET = "README.md", "samples.png"
SUFFIXES = [".md"]
MARK = "\nlibrary_name: ganlet\n"
NUM_SAMPLES, SEED = 64, 0


def to_card(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    checkpoint: str | int | None = None,
    reporter: Reporter | None = None,
) -> tuple[Path, Path]:
    """Write the card of a run and, beside it, a sheet of samples; returns both files.

    By default they are README.md and samples.png in the run, or for a zip in a folder NAME-card beside it. Equal runs
    give equal bytes. Raises `RunError` or `CheckpointError` where there is no generator, `ConfigError` for a name that
    is taken by something else, else as `runs.files.os_errors_explained` does.
    """
    reporter, folder = reporter or Silent(), RunFolder.open(run)
    home = folder.path
    if folder.sealed is not None and out is None:
        home = folder.sealed.with_name(f"{folder.sealed.stem}-card")
        home.mkdir(exist_ok=True)
    target = paths.file_to_write(home / CARD if out is None else out, "--out", SUFFIXES, "A card")
    sheet = target.with_name(SHEET)
    require_replaceable(target, sheet)
    facts = gather(folder, checkpoint)
    if facts.in_training:
        reporter.say("note: the run is in training; the card is of what it has become so far")
    drawing = draw_samples(folder.path, NUM_SAMPLES, seed=SEED, checkpoint=checkpoint, device="cpu", reporter=reporter)
    parts = [opening(facts, SHEET, NUM_SAMPLES, SEED), *(section(facts) for section in SECTIONS)]
    drawing.save(sheet)
    write_atomic(target, (front_matter(facts) + "\n" + "\n\n".join(parts) + "\n").encode(errors="backslashreplace"))
    if facts.config.data.licence == UNKNOWN_LICENCE and not facts.drawn_by_code:
        command = f"ganlet resume {shlex.quote(str(folder.path))} --set data.licence=NAME"
        reporter.say(f"note: the licence of the pictures is unknown, and the card says so; to name it: {command}")
    return target, sheet


def require_replaceable(card: Path, sheet: Path) -> None:
    """Raise `ConfigError` where other files have these names than an earlier card and its sheet."""
    taken = []
    if card.exists() and MARK.encode() not in card.read_bytes()[:65_536]:
        taken.append(card)
    if sheet.exists():
        try:
            ours = certificate_text(sheet) is not None
        except ConfigError:
            ours = False
        taken += [] if ours else [sheet]
    for path in taken:
        what = "There is another file of this name, which ganlet did not write."
        raise ConfigError(what, where="--out", got=printable(path), hint="choose another place: --out FOLDER/README.md")
