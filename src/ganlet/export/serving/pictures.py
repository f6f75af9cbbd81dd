"""The three addresses that draw: /generate, /edit and /interpolate.

Forms are checked by pydantic itself, and described for OpenAPI in `description`: of a small picture, what FastAPI does
between a request and a function would take longer than drawing it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, ValidationError

from ganlet.errors import ConfigError, nearest
from ganlet.export.serving.answers import TYPES, Layout, as_json, chosen_format, encoded, sides
from ganlet.export.serving.asked import Forms
from ganlet.export.serving.batching import QueueFull, Stopped
from ganlet.export.serving.description import describe
from ganlet.export.serving.encoding import Encoders
from ganlet.export.serving.guard import RETRY_AFTER
from ganlet.export.serving.limits import Limits
from ganlet.export.serving.models import Model
from ganlet.export.serving.refusals import Refused
from ganlet.games.drawn import BATCH
from ganlet.latent.space import Points
from ganlet.workflows.drawing import Drawing

AT_ONCE = 65_536  # pixels of an answer that is encoded in the thread that serves: changing threads takes longer
MOST_FIELDS = 200  # of an address
LISTS = ("label",)  # fields that an address may hold several times


@dataclass(frozen=True)
class Wanted:
    """What a form asks for, before anything is drawn.

    Attributes:
        num: pictures.
        make: their points.
        how: what the certificate of all of them together says.
        hows: what those of single ones say.
    """

    model: Model
    num: int
    make: Callable[[], Points]
    how: Mapping[str, Any]
    hows: list[dict[str, Any]]
    layout: Layout


Reading = Callable[[Mapping[str, Model], Any, str], Wanted]


def generated(models: Mapping[str, Model], asked: Any, form: str) -> Wanted:
    """The first pictures of a seed, bit by bit those of `ganlet sample --seed`."""
    model, num = model_named(models, asked.model), asked.num
    labels = getattr(asked, "label", None) or getattr(asked, "labels", None)
    names = [labels] if isinstance(labels, str) else labels
    make = partial(model.sampled, num, asked.seed, labels, asked.truncation)
    how: dict[str, Any] = {"verb": "sample", "seed": asked.seed, "truncation": asked.truncation}
    if isinstance(names, dict):  # the seed alone does not tell which pictures these are
        single = how = {**how, "verb": "generate", "labels": names}
    else:
        how |= {"num": num, "label_names": names or []}
        # Of all but several classes, which are shared out, the same ones are first among 64.
        whole = num if len(names or []) > 1 and model.label_kind == "classes" else BATCH
        single = {**how, "num": whole}
    hows = [{**single, "index": index} for index in range(num)]
    return Wanted(model, num, make, hows[0] if num == 1 else how, hows, Layout(asked.scale))


def edited(models: Mapping[str, Model], asked: Any, form: str) -> Wanted:
    """The first pictures of a seed, moved along directions of the model, a row each."""
    model, steps = model_named(models, asked.model), asked.steps
    moves = [{"direction": one.direction, "strength": one.strength} for one in asked.along]
    edits = model.edits((one.direction, one.strength) for one in asked.along)

    def make() -> Points:
        return model.edited(model.sampled(asked.num, asked.seed, asked.labels, asked.truncation), edits, steps)

    addresses = [f"{asked.seed}#{index}" for index in range(asked.num)]
    how = {"verb": "edit", "pictures": addresses, "along": moves}
    hows = [{**how, "pictures": [address], "step": step} for address in addresses for step in range(steps)]
    layout = Layout(asked.scale, None if steps == 1 else steps)
    return Wanted(model, asked.num * steps, make, how, hows, layout)


def between(models: Mapping[str, Model], asked: Any, form: str) -> Wanted:
    """The way from seed to seed: a PNG is a strip, a WebP a film."""
    model, steps = model_named(models, asked.model), asked.steps
    make = partial(model.between, asked.seeds, steps, asked.labels, asked.truncation, asked.loop)
    how = {"verb": "interpolate", "through": [str(seed) for seed in asked.seeds], "loop": asked.loop}
    hows = [{**how, "step": step} for step in range(steps)]
    layout = Layout(asked.scale, steps, form == "webp", asked.frame_ms)
    return Wanted(model, steps, make, how, hows, layout)


def add_pictures(app: FastAPI, models: Mapping[str, Model], limits: Limits, encoders: Encoders) -> None:
    """Add the addresses to an app, and to its description."""
    forms = Forms.of(limits)

    def address(path: str, read: Reading, **by_method: type[BaseModel]) -> None:
        async def endpoint(request: Request) -> Response:
            form = by_method["GET" if request.method == "HEAD" else request.method]
            asked = await (from_body if request.method == "POST" else from_address)(request, form)
            return await answered(request, asked, read, models, limits, encoders)

        app.add_route(path, endpoint, methods=list(by_method), name=path)
        for method, form in by_method.items():
            describe(app, path, method, form, read.__doc__ or "")

    address("/generate", generated, GET=forms.query, POST=forms.generate)
    address("/edit", edited, POST=forms.edit)
    address("/interpolate", between, POST=forms.interpolate)


async def from_address(request: Request, form: type[BaseModel]) -> BaseModel:
    """The form that an address holds. Raises `Refused`."""
    try:
        query = request.scope["query_string"].decode("ascii")
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Refused(422, {"error": "This address cannot be read."}) from None
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in LISTS:
            found.setdefault(name, []).append(value)
        elif name in found:
            raise Refused(422, {"error": "This is there more than once.", "where": name[:100]})
        else:
            found[name] = value
    return _valid(form.model_validate, found)


async def from_body(request: Request, form: type[BaseModel]) -> BaseModel:
    """The form that a body holds. Raises `Refused`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refused(415, {"error": "This is no JSON by its Content-Type.", "expected": "application/json"})
    return _valid(partial(form.model_validate_json, strict=True), await request.body())


async def answered(
    request: Request,
    asked: Any,
    read: Reading,
    models: Mapping[str, Model],
    limits: Limits,
    encoders: Encoders,
) -> Response:
    """Draw what is asked for, and put it into the form that is asked for."""
    form = asked.format or chosen_format(request.headers.get("accept", ""))
    if form is None:
        raise Refused(406, {"error": "None of our formats is accepted.", "expected": ", ".join(TYPES.values())})
    try:
        wanted = read(models, asked, form)
        _require_room(wanted, limits)
        pixels, film = pixels_of(wanted), wanted.layout.film
        lane = encoders.lane(film) if film or pixels > AT_ONCE else None
        if lane is not None:
            lane.require_room(pixels)  # before it is drawn in vain
        drawn = await wanted.model.draw(wanted.num, wanted.make)
    except QueueFull:
        raise _too_much() from None
    except Stopped:
        raise Refused(503, {"error": "The server stops."}, {"retry-after": str(RETRY_AFTER)}) from None
    except ConfigError as error:
        raise Refused.of(error) from None
    model, layout = wanted.model, wanted.layout
    drawing = Drawing(drawn.pictures, drawn.points, model.lab.maker, model.lab.space.points_are, wanted.how)
    if form == "json":
        encode = partial(as_json, drawing, model.name, wanted.hows, layout)
    else:
        encode = partial(encoded, drawing, form, layout)
    try:
        body = encode() if lane is None else await lane.run(encode, pixels)
    except QueueFull:
        raise _too_much() from None
    return Response(body, media_type=TYPES[form])


def model_named(models: Mapping[str, Model], name: str | None) -> Model:
    """A model by its name; the first one without. Raises `Refused`."""
    if name is None:
        return next(iter(models.values()))
    if name not in models:
        close = nearest(name, models)
        known = f"did you mean {close}?" if close else "see /models"
        raise Refused(404, {"error": "There is no such model.", "where": "model", "expected": known})
    return models[name]


def _require_room(wanted: Wanted, limits: Limits) -> None:
    if wanted.num > limits.pictures:
        expected = f"{limits.pictures} at most"
        raise Refused(422, {"error": "These are too many pictures.", "got": str(wanted.num), "expected": expected})
    if (pixels := pixels_of(wanted)) > limits.pixels:
        problem = {"error": "This picture would be too large.", "where": "scale", "got": f"{pixels:,} pixels"}
        raise Refused(422, {**problem, "expected": f"at most {limits.pixels:,}"})


def pixels_of(wanted: Wanted) -> int:
    """Pixels of an answer, of all frames where it is a film."""
    height, width = sides(wanted.num, wanted.model.size, wanted.layout)
    return height * width * (wanted.num if wanted.layout.film else 1)


def _too_much() -> Refused:
    return Refused(503, {"error": "Too much waits to be drawn."}, {"retry-after": str(RETRY_AFTER)})


def _valid(validate: Callable[[Any], BaseModel], given: Any) -> BaseModel:
    try:
        return validate(given)
    except ValidationError as error:
        raise Refused.invalid(error) from None
