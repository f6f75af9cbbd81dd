"""Findings about files: which there are, how many, and how they are stored."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ganlet.data import decode
from ganlet.data.formats import CLAIMED, CONTAINERS, FORMAT_NAMES, suffix_of
from ganlet.data.ingest import skipping
from ganlet.data.inspection.advice import SMALL_SET
from ganlet.data.inspection.examination import Examination, class_counts
from ganlet.data.inspection.finding import Finding, about, are, pictures
from ganlet.data.inspection.survey import Survey
from ganlet.data.leftovers import WORDS, why_not
from ganlet.data.settings import DataConfig
from ganlet.data.spec import LeftOut

IMBALANCE, FEW_IN_CLASS = 10, 50
GREY_MODES = [mode.encode() for mode in decode.GREY_MODES]


def refused_files(survey: Survey, data: DataConfig) -> list[Finding]:
    """Files at which training stops."""
    return [finding for finding in (broken_files(survey, data), unread_files(survey)) if finding]


def broken_files(survey: Survey, data: DataConfig) -> Finding | None:
    """Pictures that cannot be used, each with its reason."""
    if not survey.broken:
        return None
    count = len(survey.broken)
    leaving = f", or leave them out with {skipping(count, survey.num_found, data)}" if len(survey) else ""
    return Finding(
        "broken",
        "problem",
        f"{pictures(count)} of {survey.num_found:,} cannot be used.",
        "Training stops at broken files, so that none goes missing unnoticed.",
        f"Mend or remove them{leaving}.",
        count,
        lines=[(broken.name, broken.reason) for broken in survey.broken],
    )


def unread_files(survey: Survey) -> Finding | None:
    """Files that claim to be pictures and are not read, where they are too many, each with its reason."""
    if not survey.refused:
        return None
    count = len(survey.refused)
    return Finding(
        "unread",
        "problem",
        f"{count:,} of {survey.num_found + count:,} files that claim to be pictures are not read.",
        "Training stops where they are more than data.skip_bad_limit, so that none goes missing unnoticed.",
        "Convert, mend or remove them, or leave them out with --set data.skip_bad=true.",
        count,
        lines=[(one.name, why_not(one)) for one in survey.refused],
    )


def ignored(examination: Examination, data: DataConfig) -> Finding | None:
    """Files and folders that are not read, with the reason."""
    survey = examination.survey
    refused = set(survey.refused)
    left_out = [one for one in survey.left_out if one not in refused]
    if not left_out:
        return None
    claimed = [one for one in survey.unread if one not in refused]
    readable = claimed or any(one.why == "container" for one in left_out)
    counts = Counter(_reason(one) for one in left_out)
    meaning, advice = "They do not claim to be pictures, so they are left alone.", "Nothing, if that is what they are."
    if readable:
        meaning = f"Some may hold pictures, in a format that is not read: {FORMAT_NAMES.replace(' or ', ' and ')} are."
        advice = "Convert them to PNG if they belong to the set."
    if claimed:
        meaning += " Training stops where they are more than data.skip_bad_limit."
    count = len(left_out)
    return Finding(
        "ignored",
        "warning" if readable else "note",
        f"{count:,} other {'file or folder is' if count == 1 else 'files and folders are'} not read.",
        meaning,
        advice,
        count,
        lines=[(reason, f"{number:,}") for reason, number in counts.most_common()],
    )


def _reason(one: LeftOut) -> str:
    suffix = suffix_of(one.name)
    if one.why in ("format", "container", "other"):
        advice = (CLAIMED | CONTAINERS).get(suffix)
        return f"{suffix or 'no suffix'} ({advice})" if advice else suffix or "no suffix"
    return f"{WORDS[one.why][0]}, {one.name}" if one.is_folder else WORDS[one.why][0]


def few(examination: Examination, data: DataConfig) -> Finding | None:
    """Fewer pictures than such networks want."""
    count = len(examination.survey)
    if count >= SMALL_SET:
        return None
    return Finding(
        "few",
        "warning",
        f"There {are(count)} only {pictures(count)}.",
        f"Below about {SMALL_SET:,} the discriminator begins to know them by heart; the generator then repeats them or "
        "gets worse the longer it trains. The fewer and the more varied they are, the sooner.",
        "Collect more if you can, save often, and keep some apart (data.holdout) to see when they are memorised.",
        count,
    )


def classes(examination: Examination, data: DataConfig) -> Finding | None:
    """Labels with few pictures, or a single label."""
    counts = class_counts(examination.survey)
    if not counts:
        return None
    if len(counts) == 1:
        return Finding(
            "one_class",
            "note",
            "All pictures have the same label.",
            "It tells them apart from nothing, so it is of no use.",
            "Nothing, unless you expected several: each sub-folder is a label.",
            len(examination.survey),
        )
    smallest, largest = min(counts.values()), max(counts.values())
    if largest < IMBALANCE * max(smallest, 1) and smallest >= FEW_IN_CLASS:
        return None
    rare = sorted(
        (count, name) for name, count in counts.items() if count * IMBALANCE <= largest or count < FEW_IN_CLASS
    )
    uneven = largest >= IMBALANCE * max(smallest, 1)
    return Finding(
        "classes",
        "warning" if uneven else "note",
        f"{'Classes are uneven' if uneven else 'Some classes are small'}: {smallest:,} to {largest:,} pictures each.",
        "A generator draws what is frequent; rare classes turn out poor or do not occur at all.",
        "Collect more for the rare ones, or train without them.",
        len(rare),
        lines=[(name, f"{count:,}") for count, name in rare],
    )


def transparency(examination: Examination, data: DataConfig) -> Finding | None:
    """Pictures that are partly transparent."""
    if examination.share("transparent") > 0.5:
        meaning = "Most are, so transparency can be learned as a fourth channel."
        advice = "Train with data.channels=4, or with 3 on one colour."
    else:
        meaning = "They are laid on data.background, white by default, where the rest may have something else."
        advice = "Choose data.background to match the rest."
    return _flagged(examination, "transparent", "partly transparent", meaning, advice)


def turned(examination: Examination, data: DataConfig) -> Finding | None:
    """Pictures that metadata turns upright."""
    return _flagged(
        examination,
        "turned",
        "turned upright by their metadata (EXIF)",
        "ganlet does that everywhere; other programs may show and use them lying on their side.",
        "Nothing, if the pictures shown stand upright.",
    )


def animated(examination: Examination, data: DataConfig) -> Finding | None:
    """Pictures with more than one frame."""
    return _flagged(
        examination,
        "animated",
        "animated",
        "Only the first frame of each is used.",
        "Save the frames as pictures of their own if you want them all.",
    )


def _flagged(examination: Examination, flag: str, words: str, meaning: str, advice: str) -> Finding | None:
    numbers = np.flatnonzero(examination.survey.rows[flag])
    return about(numbers, flag, "note", f"{pictures(len(numbers))} {are(len(numbers))} {words}.", meaning, advice)


def depths(examination: Examination, data: DataConfig) -> Finding | None:
    """Modes that are converted in a way worth a look."""
    modes = examination.survey.rows["mode"]
    kinds = {
        b"I;16": "16-bit grey, scaled to 8 bits",
        b"I;16B": "16-bit grey, scaled to 8 bits",
        b"I": "grey in whole numbers, scaled to 8 bits",
        b"F": "grey in floats, scaled to 8 bits",
        b"CMYK": "CMYK, whose colours may shift",
        b"1": "black and white",
    }
    numbers = np.flatnonzero(np.isin(modes, list(kinds)))
    return about(
        numbers,
        "depth",
        "note",
        f"{pictures(len(numbers))} {are(len(numbers))} stored in an unusual way.",
        "They are converted: 16 bits are scaled and not clipped, and colour profiles are not applied.",
        "Compare the pictures shown with what you expect.",
        lines=[(words, f"{(modes == mode).sum():,}") for mode, words in kinds.items() if (modes == mode).any()],
    )


def grey_files(examination: Examination, data: DataConfig) -> Finding | None:
    """Colour files that show no colour."""
    rows = examination.survey.rows
    stored_as_colour = int((~np.isin(rows["mode"], GREY_MODES)).sum())
    if not rows["grey"].all() or not stored_as_colour:
        return None
    return Finding(
        "grey_as_colour",
        "note",
        f"{pictures(stored_as_colour)} {are(stored_as_colour)} stored in colour without having any.",
        "Three equal channels cost time and can come out slightly tinted.",
        "Train with data.channels=1.",
        stored_as_colour,
    )
