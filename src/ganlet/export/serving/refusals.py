"""Answers that are none: status codes with words, of one form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from ganlet.errors import GanletError

LONGEST = 500  # characters of what was wrong


class Problem(BaseModel):
    """Why something is refused."""

    error: str
    where: str | None = None
    got: str | None = None
    expected: str | None = None


class Refused(Exception):
    """A status code, and what to say."""

    def __init__(self, code: int, problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self.code, self.problem, self.headers = code, dict(problem), dict(headers or {})

    @classmethod
    def of(cls, error: GanletError) -> Refused:
        """What clients are told of an error: not where it is, nor what to type, which is for who runs the server."""
        problem = {"error": error.what}
        for name in ("got", "expected"):
            if (value := getattr(error, name)) is not None:
                problem[name] = str(value)[:LONGEST]
        return cls(422, problem)

    @classmethod
    def invalid(cls, error: ValidationError) -> Refused:
        """The first thing that is wrong with a form. What was sent is not sent back: it may be large, or no JSON."""
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:LONGEST]
        return cls(422, {"error": first["msg"][:LONGEST], **({"where": where} if where else {})})


TOLD = {
    401: "No token, or a wrong one.",
    403: "A foreign host or site.",
    404: "There is no such model.",
    406: "None of our formats is accepted.",
    408: "The body took too long.",
    413: "The body is too large.",
    415: "The body is no JSON by its Content-Type.",
    422: "What is asked for cannot be drawn.",
    429: "Too many requests of one client at once; see Retry-After.",
    431: "The headers are too large.",
    503: "The server is busy, or stops; see Retry-After.",
}
PROBLEMS: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": told} for code, told in TOLD.items()
}
