"""What all settings share: strictness, the one unit of time, and kinds, of which one is chosen by name.

A kind (a loss, a penalty, a network) is one class: its fields are its settings with their ranges and help, its class
attributes say what it promises, its methods do the work. It stands in a registry, a plain dict by name, which may
grow at any time; `OneOf` makes a field of the config out of that.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

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


def as_images(length: Images) -> int:
    """A length of a resolved config as the int that it is."""
    assert isinstance(length, int), "the config must be resolved first"
    return length


def as_size(size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width, of which one number is both."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


@dataclass(frozen=True)
class OneOf:
    """Marks a field that holds one of the kinds of a registry: `Annotated[Loss, OneOf(LOSSES)]`.

    The registry is asked whenever a value is read, so that kinds may join it after the config's classes are defined.
    """

    registry: Mapping[str, type[Settings]]

    def __hash__(self) -> int:
        return id(self.registry)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        choices = {name: kind.__pydantic_core_schema__ for name, kind in self.registry.items()}
        union = handler(core_schema.tagged_union_schema(choices, discriminator="kind"))
        for name, place in union["discriminator"]["mapping"].items():
            handler.resolve_ref_schema({"$ref": place})["properties"]["kind"]["const"] = name
        return union

    def _read(self, value: object) -> Settings:
        """A group of values, or settings, as the kind that it names. Its errors are pydantic's own."""
        if not isinstance(value, dict | Settings):
            raise PydanticKnownError("model_attributes_type")
        kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
        if isinstance(value, dict) and "kind" not in value:
            raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
        if not isinstance(kind, str) or kind not in self.registry:
            known = ", ".join(self.registry)
            context = {"discriminator": "'kind'", "tag": str(kind), "expected_tags": known}
            raise PydanticKnownError("union_tag_invalid", context)
        return self.registry[kind].model_validate(value)


@dataclass(frozen=True)
class NameIn:
    """Marks a field that holds the name of something in a registry: `Annotated[str, NameIn(POLICIES)]`.

    The registry is asked whenever a value is read, as by `OneOf`.
    """

    registry: Mapping[str, object]

    def __hash__(self) -> int:
        return id(self.registry)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(core_schema.literal_schema(list(self.registry)))

    def _read(self, value: object) -> str:
        """A name that is there. Its error is pydantic's own."""
        if not isinstance(value, str) or value not in self.registry:
            *names, last = map(repr, self.registry)
            raise PydanticKnownError(
                "literal_error", {"expected": " or ".join([", ".join(names), last]) if names else last}
            )
        return value


def changed(settings: Settings, name: str) -> bool:
    """Whether a setting is there and not what it is by default."""
    field = type(settings).model_fields.get(name)
    return field is not None and getattr(settings, name) != field.get_default(call_default_factory=True)
