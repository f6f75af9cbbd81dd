"""Which settings fit a set of pictures, each with the reason: data for a config and words for a person."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganlet.data.ingest import sufficient_limit
from ganlet.data.inspection.examination import Examination
from ganlet.data.inspection.symmetry import MAX_ACCURACY
from ganlet.data.notes import HALF, MUCH_CUT, white_level
from ganlet.data.settings import DataConfig

SIDES = (16, 32, 64, 128)
ENLARGED = 8 / 7  # 28 pixels become 32: halving 28 ends at 7, which leaves shallow networks
MOST = 0.9  # share of the pictures that is never enlarged by more
SIDE_FOR_CPU, SIDE_FOR_GPU = 32, 64  # what trains within minutes
STANDARD_FROM = 48  # pixels: from here on the recipe for 64 x 64 fits better than the one for 32 x 32
SAME_SHAPE, SHAPE_SHARE, SQUARE = 1.05, 0.8, 1.2
STEP = 8  # pixels: a side that halves at least three times
SMALL_SET, SMALLEST_HOLDOUT, HOLDOUT = 2_000, 200, 0.1


@dataclass(frozen=True)
class Advice:
    """A setting by its dotted path (or `preset`), its value, and why, in a sentence or two."""

    setting: str
    value: Any
    why: str


def advise(examination: Examination, chosen: Mapping[str, Any], *, has_gpu: bool) -> list[Advice]:
    """Settings that fit, the preset first. What is `chosen` already, by dotted path, is taken as it is."""
    advised_size = _size(examination, has_gpu)
    size = DataConfig(size=chosen.get("data.size", advised_size.value)).size
    preset = _preset(examination, size, has_gpu)
    standard = chosen.get("preset", preset.value) == "standard"
    found = [
        preset,
        advised_size,
        _channels(examination),
        *_white(examination),
        _crop(examination, size),
        _flip(examination),
        *_for_broken(examination),
        *_for_small_sets(examination),
        *(_narrower() if standard and not has_gpu else ()),
    ]
    return [advice for advice in found if advice.setting not in chosen]


def kept_shares(aspects: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The share of each picture that a cut of the middle to `size` keeps, by its height over width (N,)."""
    ratio = aspects * size[1] / size[0]
    return np.minimum(ratio, 1 / ratio)


def enlargements(examination: Examination, size: tuple[int, int]) -> np.ndarray:
    """By how much each picture is enlarged when its middle is brought to `size`: below 1 it is made smaller; (N,)."""
    rows = examination.survey.rows
    return np.maximum(size[0] / rows["height"], size[1] / rows["width"])


def _size(examination: Examination, has_gpu: bool) -> Advice:
    rows = examination.survey.rows
    shorter = float(np.quantile(np.minimum(rows["height"], rows["width"]), 1 - MOST))
    fitting = max([side for side in SIDES if side <= shorter * ENLARGED], default=SIDES[0])
    limit = SIDE_FOR_GPU if has_gpu else SIDE_FOR_CPU
    side = min(fitting, limit)
    all_of_them = min(rows["height"].min(), rows["width"].min()) >= shorter
    share = "All" if all_of_them else f"{MOST:.0%} of the"
    why = f"{share} pictures have at least {shorter:.0f} pixels on their shorter side"
    if fitting > side:
        machine = "on a GPU" if has_gpu else "without a GPU"
        why += (
            f", enough for {fitting}; {side} trains within minutes {machine}, and each doubling takes about four times "
            f"as long (try --size {2 * side} later)"
        )
    elif shorter < side:
        why += f"; to enlarge them to {side} costs little, and such sides halve well"
    size = _shape(examination.aspects, side)
    if size[0] != size[1]:
        why += f"; most have the shape {size[0]} x {size[1]} (height x width)"
    return Advice("data.size", size[0] if size[0] == size[1] else list(size), why + ".")


def _shape(aspects: np.ndarray, side: int) -> tuple[int, int]:
    """Height and width with `side` as the longer one: a square, unless most pictures share another shape."""
    middle = float(np.median(aspects))
    alike = np.abs(np.log(aspects / middle)) <= math.log(SAME_SHAPE)
    if alike.mean() < SHAPE_SHARE or max(middle, 1 / middle) < SQUARE:
        return side, side
    shorter = min(side, max(2 * STEP, STEP * round(side * min(middle, 1 / middle) / STEP)))
    return (side, shorter) if middle > 1 else (shorter, side)


def _preset(examination: Examination, size: tuple[int, int], has_gpu: bool) -> Advice:
    survey = examination.survey
    if max(size) >= STANDARD_FROM:
        return Advice("preset", "standard", "The recipe for pictures of about 64 x 64.")
    named = survey.source.lower()
    of_mnists_kind = survey.kind == "idx" or (survey.kind == "torchvision" and "mnist" in named)
    if of_mnists_kind and examination.share("grey") == 1:
        name = "fashion" if "fashion" in named else "mnist"
        return Advice("preset", name, "The recipe for small grey pictures from idx files.")
    if (survey.kind == "cifar10" or f"{named}:".startswith("torchvision:cifar10:")) and has_gpu:
        return Advice("preset", "cifar10", "The recipe for this very set, made for a GPU.")
    return Advice("preset", "quick", "Recognisable pictures within minutes; make it longer once it goes well.")


def _channels(examination: Examination) -> Advice:
    if examination.share("transparent") > 0.5:
        return Advice("data.channels", 4, "Most pictures are partly transparent.")
    grey = int(examination.survey.rows["grey"].sum())
    if grey == len(examination.survey):
        return Advice("data.channels", 1, "No picture shows any colour.")
    share = f", but for {grey:,} grey ones" if grey else ""
    return Advice("data.channels", 3, f"The pictures are in colour{share}.")


def _white(examination: Examination) -> list[Advice]:
    """A white level for grey files of more than 8 bits, all of whose values are in the dark half."""
    rows = examination.survey.rows
    highest = float(rows["highest"].max())
    if not highest or int(rows["high"].max()) >= HALF:
        return []
    why = f"No value is above {highest:g}, so all pictures would be nearly black."
    return [Advice("data.white", white_level(highest), why)]


def _crop(examination: Examination, size: tuple[int, int]) -> Advice:
    lost = 1 - kept_shares(examination.aspects, size)
    half, most = float(np.median(lost)), float(np.quantile(lost, MOST))
    if half > MUCH_CUT:
        why = f"To cut out the middle would take {half:.0%} and more away from half of the pictures."
        return Advice("data.crop", "pad", why)
    if most <= 0.02:
        return Advice("data.crop", "center", "The pictures have this shape already, so next to nothing is cut away.")
    why = f"It cuts away at most {most:.0%} of nine in ten pictures; see that what matters lies in their middle."
    return Advice("data.crop", "center", why)


def _flip(examination: Examination) -> Advice:
    accuracy = examination.mirror_accuracy
    if accuracy is None:
        return Advice("data.flip", False, "There are too few pictures to judge whether they may be mirrored.")
    told = f"A simple judge tells a picture from its mirror image in {accuracy:.0%} of the cases (50% is guessing)"
    if accuracy <= MAX_ACCURACY:
        return Advice("data.flip", True, f"{told}: mirrored ones fit in, and the set counts double.")
    return Advice("data.flip", False, f"{told}: text, digits or things that point one way would come out wrong.")


def _for_broken(examination: Examination) -> list[Advice]:
    survey = examination.survey
    broken, found = len(survey.broken), survey.num_found
    told = [f"{broken:,} broken"] if broken else []
    told += [f"{len(survey.refused):,} not read"] if survey.refused else []
    if not told:
        return []
    advices = [Advice("data.skip_bad", True, f"Left out, or else training stops at them: {', '.join(told)}.")]
    limit = sufficient_limit(broken, found)
    if limit > DataConfig().skip_bad_limit:
        why = f"They are {broken / found:.1%} of all, more than is skipped otherwise: better mend or remove them."
        advices.append(Advice("data.skip_bad_limit", limit, why))
    return advices


def _for_small_sets(examination: Examination) -> list[Advice]:
    """Keep some pictures apart to tell memorising by, and take no batch larger than what is left."""
    count, advices = len(examination.survey), []
    if SMALLEST_HOLDOUT <= count < SMALL_SET:
        why = "With so few pictures a network may learn them by heart; those that it never saw tell."
        return [Advice("data.holdout", HOLDOUT, why)]
    largest = 2 ** int(math.log2(max(count, 2)))
    if largest < 32:
        advices.append(Advice("train.batch_size", largest, "A batch cannot have more pictures than there are."))
    if count < 2:
        advices.append(Advice("data.allow_few", True, "There is but a single picture."))
    return advices


def _narrower() -> list[Advice]:
    why = "Narrow networks and a short run, for a computer without a GPU: minutes instead of hours."
    return [
        Advice("generator.width", 16, why),
        Advice("discriminator.width", 16, why),
        Advice("train.total_images", 40_000, why),
    ]
