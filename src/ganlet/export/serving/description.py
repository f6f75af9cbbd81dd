"""What OpenAPI says of addresses whose forms FastAPI does not read itself."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from ganlet.export.serving.answers import TYPES
from ganlet.export.serving.refusals import TOLD

BINARY = {"type": "string", "format": "binary"}
REFERENCE = "#/components/schemas/{model}"


def describe(app: FastAPI, path: str, method: str, form: type[BaseModel], told: str) -> None:
    """Add an address to the description of an app."""
    if not hasattr(app.state, "described"):
        app.state.described = []
        setattr(app, "openapi", lambda: _whole(app))  # noqa: B010 - which is how FastAPI wants it to be replaced
    app.state.described.append((path, method.lower(), form, " ".join(told.split())))


def _whole(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        tree = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        schemas = tree.setdefault("components", {}).setdefault("schemas", {})
        for path, method, form, told in app.state.described:
            tree["paths"].setdefault(path, {})[method] = _address(path, method, form, told, schemas)
        app.openapi_schema = tree
    return app.openapi_schema


def _address(path: str, method: str, form: type[BaseModel], told: str, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = form.model_json_schema(ref_template=REFERENCE)
    schemas |= schema.pop("$defs", {})
    problem = {"application/json": {"schema": {"$ref": REFERENCE.format(model="Problem")}}}
    content = {TYPES["png"]: {"schema": BINARY}, TYPES["webp"]: {"schema": BINARY}}
    content[TYPES["json"]] = {"schema": {"type": "object"}}
    responses = {str(code): {"description": text, "content": problem} for code, text in TOLD.items()}
    responses["200"] = {"description": "Pictures; PNG and WebP carry certificates.", "content": content}
    found: dict[str, Any] = {
        "summary": told.partition(":")[0].partition(",")[0],
        "description": told,
        "operationId": f"{method}_{path.strip('/')}",
        "responses": dict(sorted(responses.items())),
    }
    if method == "get":
        found["parameters"] = [
            {"name": name, "in": "query", "required": False, "schema": one, "description": one.get("description", "")}
            for name, one in schema["properties"].items()
        ]
    else:
        schemas[form.__name__] = schema
        reference = {"$ref": REFERENCE.format(model=form.__name__)}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": reference}}}
    return found
