"""Settings of the pictures: where they come from and how each becomes H x W x C bytes."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from ganlet.config.base import Settings

SIZE_TEXT = re.compile(r"^\s*(\d{1,9})\s*x\s*(\d{1,9})\s*$")
MIN_SIDE, MAX_SIDE = 8, 1024


def _size(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    if isinstance(value, str) and (match := SIZE_TEXT.match(value)):
        return (int(match.group(1)), int(match.group(2)))
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("height and width in pixels: 32, [64, 48] or '64x48'")
    return value


def _source(value: str) -> str:
    if not value:
        raise ValueError("the name of a source")  # as a path it would be the current folder
    return value


def _colour(value: str) -> str:
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        raise ValueError("a colour written as '#rrggbb'")
    return value.lower()


Side = Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]
Size = Annotated[tuple[Side, Side], BeforeValidator(_size)]
Source = Annotated[str, AfterValidator(_source)]
Colour = Annotated[str, AfterValidator(_colour)]


class DataConfig(Settings):
    """A source of pictures and how they are brought to one size and mode."""

    source: Source = Field(
        default="smileys", description="smileys, a folder or zip of pictures, idx files, CIFAR binary files"
    )
    split: Literal["train", "test", "all"] = Field(default="train", description="which part of a source that has parts")
    size: Size = Field(default=(32, 32), description="height and width in pixels: 32, [64, 48] or '64x48'")
    channels: Literal["auto", 1, 3, 4] = Field(
        default="auto", description="1 grey, 3 colour, 4 colour and alpha; auto: as most pictures have"
    )
    crop: Literal["center", "pad", "stretch", "random"] = Field(
        default="center",
        description="how another shape is fitted: cut the middle, pad, stretch, or a random cut at every showing",
    )
    flip: bool = Field(default=False, description="show half of the pictures mirrored left to right")
    background: Colour = Field(
        default="#ffffff", description="what alpha is composited on, and what padding is filled with"
    )
    num_images: int | None = Field(
        default=None, ge=1, le=10**9, description="use only this many; for smileys: how many are drawn"
    )
    holdout: float = Field(
        default=0.0, ge=0, le=0.5, description="share of the pictures kept out of training, to tell memorising by"
    )
    skip_bad: bool = Field(default=False, description="leave broken files out instead of stopping")
    skip_bad_limit: float = Field(
        default=0.01, ge=0, le=1, description="stop all the same above this share of broken files"
    )
    allow_few: bool = Field(default=False, description="allow fewer pictures than one batch")
    max_pixels: int = Field(
        default=50_000_000, ge=1, le=10**9, description="refuse pictures with more pixels than this"
    )
    max_bytes: int = Field(default=64 * 2**20, ge=1, le=2**40, description="refuse files with more bytes than this")
