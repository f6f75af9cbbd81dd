"""Findings about what pictures show."""

from __future__ import annotations

import numpy as np

from ganlet.data.inspection.advice import ENLARGED, MUCH_CUT, enlargements, kept_shares
from ganlet.data.inspection.examination import Examination
from ganlet.data.inspection.finding import Finding, about, are, pictures, remove
from ganlet.data.notes import white_level
from ganlet.data.settings import DataConfig

DARK_HALF, MASK = 128, 32
LOW_CONTRAST, MANY_LOW = 10.0, 0.05  # standard deviation in levels; share of the pictures
MANY_NEAR = 0.2
MANY_SMALL = 0.1
ODD_ONES = 0.2  # pictures of another kind are called that up to this share


def values(examination: Examination, data: DataConfig) -> Finding | None:
    """Values that leave out the dark or the bright half."""
    rows = examination.survey.rows
    low, high = int(rows["low"].min()), int(rows["high"].max())
    if high == 0 or low == 255:
        return None  # all of them are blank
    highest = float(rows["highest"].max())
    if high < DARK_HALF and highest:
        white = white_level(highest)
        return Finding(
            "dark_values",
            "problem" if high <= MASK else "warning",
            f"No value is above {highest:g}, which is a small part of what such files can hold.",
            "All pictures are nearly black, as scans of 12 bits in files of 16 are. The generator would learn that.",
            f"Say which value is white: --set data.white={white:g}.",
            len(rows),
        )
    if high < DARK_HALF:
        masks = " Masks or label maps, saved as the numbers 0, 1, 2 ...?" if high <= MASK else ""
        return Finding(
            "dark_values",
            "problem" if high <= MASK else "warning",
            f"No value is above {high}, where 255 would be white.",
            f"All pictures are nearly black.{masks} The generator would learn exactly that.",
            f"Stretch the values, for example by {255 // high}, and save them again.",
            len(rows),
        )
    if low >= DARK_HALF:
        return Finding(
            "bright_values",
            "warning",
            f"No value is below {low}, where 0 would be black.",
            "All pictures are pale. The generator would learn exactly that.",
            "If that is not meant, stretch the values and save them again.",
            len(rows),
        )
    return None


def blank(examination: Examination, data: DataConfig) -> Finding | None:
    """Pictures of a single colour."""
    rows = examination.survey.rows
    numbers = np.flatnonzero(rows["blank"])
    hidden = int((rows["blank"] & rows["transparent"]).sum())
    also = f" {hidden:,} of them are transparent: another data.background may show what they hold." if hidden else ""
    return about(
        numbers,
        "blank",
        "warning",
        f"{pictures(len(numbers))} {are(len(numbers))} blank: a single colour.",
        "The generator would learn to draw blank pictures as often as they occur.",
        remove(examination.survey, "Remove them") + also,
    )


def low_contrast(examination: Examination, data: DataConfig) -> Finding | None:
    """Pictures with hardly any contrast."""
    rows = examination.survey.rows
    pale = ~rows["blank"] & (rows["contrast"] < LOW_CONTRAST)
    if pale.mean() < MANY_LOW:
        return None
    numbers = np.flatnonzero(pale)
    return about(
        numbers[np.argsort(rows["contrast"][numbers], kind="stable")],
        "low_contrast",
        "warning",
        f"{pictures(len(numbers))} {'has' if len(numbers) == 1 else 'have'} hardly any contrast.",
        f"Their values differ by less than {LOW_CONTRAST:.0f} of 255 levels (standard deviation).",
        "Stretch the values of these, or leave them out, unless they are meant to be like that.",
    )


def mixed_colour(examination: Examination, data: DataConfig) -> Finding | None:
    """Grey pictures among coloured ones, or the other way round."""
    rows = examination.survey.rows
    grey, coloured = (np.flatnonzero(~rows["blank"] & (rows["grey"] == is_grey)) for is_grey in (True, False))
    odd_ones, kind = (grey, "grey") if len(grey) <= len(coloured) else (coloured, "coloured")
    return about(
        odd_ones,
        "mixed_colour",
        "warning" if len(odd_ones) > ODD_ONES * len(rows) else "note",
        f"{pictures(len(odd_ones))} {are(len(odd_ones))} {kind} among others that are not.",
        "The generator learns to draw both kinds, as often as they occur.",
        "Remove one kind if that is not meant, or train on grey altogether (data.channels=1).",
    )


def small(examination: Examination, data: DataConfig) -> Finding | None:
    """Pictures that would be enlarged."""
    factors = enlargements(examination, data.size)
    numbers = np.flatnonzero(factors > ENLARGED)
    many = len(numbers) > MANY_SMALL * len(factors)
    height, width = data.size
    return about(
        numbers[np.argsort(-factors[numbers], kind="stable")],
        "small",
        "warning" if many else "note",
        f"{pictures(len(numbers))} {are(len(numbers))} smaller than {height} x {width}.",
        "Enlarged pictures are blurred, and the generator learns the blur.",
        "Take a smaller data.size." if many else "Remove them, or accept some blur.",
    )


def shapes(examination: Examination, data: DataConfig) -> Finding | None:
    """Pictures that would lose much at their edges."""
    if data.crop in ("pad", "stretch"):
        return None
    lost = 1 - kept_shares(examination.aspects, data.size)
    numbers = np.flatnonzero(lost > MUCH_CUT)
    return about(
        numbers[np.argsort(-lost[numbers], kind="stable")],
        "cut",
        "warning" if len(numbers) > MANY_SMALL * len(lost) else "note",
        f"{pictures(len(numbers))} would lose more than {MUCH_CUT:.0%} at the edges.",
        "Only the middle of each picture is used, in the shape that is trained.",
        "Crop them by hand to what matters, or choose data.crop=pad.",
    )


def equal(examination: Examination, data: DataConfig) -> Finding | None:
    """Exact copies."""
    groups = [group.tolist() for group in examination.duplicates.equal]
    copies = [number for group in groups for number in group[1:]]
    return about(
        copies,
        "duplicates",
        "warning",
        f"{pictures(len(copies))} {'is an exact copy' if len(copies) == 1 else 'are exact copies'} of others.",
        "Each copy makes its picture count once more: the generator draws it more often, or learns it by heart.",
        remove(examination.survey, "Remove all but the first of each group"),
        groups=groups,
    )


def near(examination: Examination, data: DataConfig) -> Finding | None:
    """Pictures that look almost the same."""
    groups = [group.tolist() for group in examination.duplicates.near]
    twins = [number for group in groups for number in group[1:]]
    at_least = "" if examination.duplicates.complete else "At least "
    return about(
        twins,
        "near_duplicates",
        "warning" if len(twins) >= MANY_NEAR * len(examination.survey) else "note",
        f"{at_least}{pictures(len(twins))} {'looks' if len(twins) == 1 else 'look'} almost the same as another one.",
        "Copies that were saved again, scaled or brightened, frames of one film, or subjects that look alike. They "
        "count several times, and a picture kept apart from training is not new when its twin was trained on.",
        remove(examination.survey, "Look at them, and remove those that add nothing"),
        groups=groups,
    )


def contradictions(examination: Examination, data: DataConfig) -> Finding | None:
    """Equal pictures under different labels."""
    labels = examination.survey.rows["label"]
    groups = [group.tolist() for group in examination.duplicates.equal if len(set(labels[group].tolist())) > 1]
    if not groups:
        return None
    return Finding(
        "contradictions",
        "warning",
        f"{pictures(len(groups))} {'stands' if len(groups) == 1 else 'stand'} under more than one label.",
        "Equal pictures with different labels teach a network that labels mean nothing.",
        remove(examination.survey, "Keep the one whose label is right"),
        len(groups),
        numbers=[number for group in groups for number in group],
        groups=groups,
    )


def outliers(examination: Examination, data: DataConfig) -> Finding | None:
    """Pictures that are unlike the rest."""
    outliers, name = examination.outliers, examination.survey.name
    return about(
        list(outliers),
        "outliers",
        "note",
        f"{pictures(len(outliers))} {are(len(outliers))} quite unlike the rest.",
        "In brightness, contrast, colour, detail, size or shape. A few do no harm; strays from another set do.",
        "Look at them, and remove what does not belong.",
        lines=[(name(number), why) for number, why in outliers.items()],
    )
