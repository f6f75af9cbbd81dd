"""What can be asked for, as forms that are checked before anything is drawn, and that OpenAPI describes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from ganlet.export.serving.limits import Limits
from ganlet.workflows.lab.edits import MOST_STRENGTH

MOST_SEED = 2**63 - 1
MOST_NAMES, LONGEST_NAME = 64, 200
MOST_SCALE = 64
MOST_MOVES, MOST_STATIONS = 16, 16  # of one request

Name = Annotated[str, Field(max_length=LONGEST_NAME)]
Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=MOST_SEED, description="The same seed draws the same pictures.")]
Format = Literal["png", "webp", "json"]


class Form(BaseModel):
    """What all requests have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Name | None = Field(None, description="Whose pictures; by default those of the first one.")
    truncation: float | None = Field(
        None, ge=0.0, le=100.0, allow_inf_nan=False, description="Below 1 more typical and less varied."
    )
    scale: int = Field(1, ge=1, le=MOST_SCALE, description="What a pixel becomes on each side.")
    format: Format | None = Field(None, description="By default what the header Accept asks for, else a PNG.")


class LabelledForm(Form):
    """Requests for pictures under labels."""

    labels: (
        Name
        | Annotated[list[Name], Field(max_length=MOST_NAMES)]
        | Annotated[dict[Name, Share], Field(max_length=MOST_NAMES)]
        | None
    ) = Field(None, description="A label, several, or a mixture with shares; by default as in training.")


class Along(BaseModel):
    """A direction and how far."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    direction: Name = Field(description="One of those that /models tells of.")
    strength: float | None = Field(
        None,
        ge=-MOST_STRENGTH,
        le=MOST_STRENGTH,
        allow_inf_nan=False,
        description="In standard deviations; by default to the recommended level.",
    )


@dataclass(frozen=True)
class Forms:
    """The forms of a server, with its limits in them."""

    query: type[BaseModel]  # of a GET for pictures
    generate: type[BaseModel]
    edit: type[BaseModel]
    interpolate: type[BaseModel]

    @classmethod
    def of(cls, limits: Limits) -> Forms:
        """The forms with these limits."""
        most = limits.pictures
        num: Any = (int, Field(1, ge=1, le=most, description="Several are on one sheet."))
        seed: Any = (Seed, Field(0))
        query = create_model(
            "GenerateQuery",
            __base__=Form,
            seed=seed,
            num=num,
            label=(list[Name], Field([], max_length=MOST_NAMES, description="May be given several times.")),
        )
        generate = create_model("Generate", __base__=LabelledForm, seed=seed, num=num)
        edit = create_model(
            "Edit",
            __base__=LabelledForm,
            seed=seed,
            num=num,
            along=(list[Along], Field(min_length=1, max_length=MOST_MOVES)),
            steps=(int, Field(1, ge=1, le=most, description="Pictures on the way; 1: the result.")),
        )
        interpolate = create_model(
            "Interpolate",
            __base__=LabelledForm,
            seeds=(list[Seed], Field(min_length=2, max_length=MOST_STATIONS)),
            steps=(int, Field(min(10, max(2, most)), ge=2, le=max(2, most), description="Pictures on the way.")),
            loop=(bool, Field(False, description="Back to the first one, for a film without an end.")),
            frame_ms=(int, Field(60, ge=10, le=5_000, description="Of a WebP: how long a picture is shown.")),
        )
        return cls(query, generate, edit, interpolate)
