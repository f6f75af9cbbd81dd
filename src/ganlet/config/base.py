"""What every part of the config shares: strictness, and the one unit of time."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

EPOCHS = re.compile(r"^\s*(\d{1,9}(?:\.\d{1,9})?)\s*epochs?\s*$")
MAX_IMAGES = 10**15  # what a float counts exactly, and more than anybody has time for


class Settings(BaseModel):
    """A frozen group of settings; unknown keys, NaN and infinity are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _images(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_IMAGES
    if is_count or (isinstance(value, str) and EPOCHS.match(value)):
        return value
    raise ValueError("a whole number of images from 0 to 10^15, or epochs such as '25 epochs'")


# A length of time, counted in real images shown to the discriminator. People may write epochs; `config.resolve`
# turns those into images once, and nothing after it sees anything but an int.
Images = Annotated[int | str, BeforeValidator(_images)]


def epochs_to_images(value: int | str, images_per_epoch: int) -> int:
    """The number of images meant by `200000` or by `'25 epochs'`."""
    if isinstance(value, int):
        return value
    match = EPOCHS.match(value)
    assert match, value
    return round(float(match.group(1)) * images_per_epoch)
