"""The app: what can be asked for over HTTP, described by OpenAPI at /openapi.json."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ganlet import __version__
from ganlet.export.serving import page
from ganlet.export.serving.encoding import Encoders
from ganlet.export.serving.guard import RETRY_AFTER, Access, Guard
from ganlet.export.serving.limits import Limits
from ganlet.export.serving.meters import Meters
from ganlet.export.serving.models import Model
from ganlet.export.serving.pictures import add_pictures, model_named
from ganlet.export.serving.refusals import PROBLEMS, Problem, Refused


class Direction(BaseModel):
    """A way to edit pictures. `level` is the recommended one, of those that have one; `quality` is at most 1."""

    name: str
    level: float | None
    quality: float
    found: str


class Facts(BaseModel):
    """A model: what it draws, and what it can be asked for."""

    name: str
    height: int
    width: int
    channels: int
    space: str
    shape: list[int]
    latents: str | None
    label_kind: str
    labels: list[str]
    directions: list[Direction]
    images_seen: int
    weights: str
    run: str


def make_app(
    models: Mapping[str, Model],
    limits: Limits,
    *,
    access: Access | None = None,
    meters: Meters | None = None,
    runs: Mapping[str, Path] | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> Guard:
    """The app that serves models by name, the first one by default, behind its guard.

    Args:
        access: who may ask; by default whoever is on this machine.
        meters: those that the models were opened with.
        runs: where the models' runs are, for pages that draw by themselves.
        stopping: whether the server is about to end.
    """
    access, meters, encoders = access or Access(), meters or Meters(), Encoders(limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        for model in models.values():
            model.batcher.start()
        yield
        for model in models.values():
            await anyio.to_thread.run_sync(model.batcher.stop)
        encoders.stop()

    app = FastAPI(
        title="ganlet",
        version=__version__,
        description="Pictures of trained generators. The same request is answered with the same bytes.",
        lifespan=lifespan,
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
    )
    _add_handlers(app)
    add_pictures(app, models, limits, encoders)
    _add_facts(app, models, meters, stopping)
    _add_page(app, models, limits, access, runs or {})
    return Guard(app, access, limits, meters, stopping)


def _add_facts(app: FastAPI, models: Mapping[str, Model], meters: Meters, stopping: Callable[[], bool]) -> None:
    facts = [model.facts() for model in models.values()]

    @app.get("/models", responses=PROBLEMS)
    async def known_models() -> list[Facts]:
        """What is served, the default model first."""
        return [Facts(**one) for one in facts]

    @app.get("/health", responses={503: {"model": Problem, "description": "The server stops."}})
    async def health() -> dict[str, str]:
        """Whether requests are taken."""
        if stopping():
            raise Refused(503, {"error": "The server stops."}, {"retry-after": str(RETRY_AFTER)})
        return {"status": "ok"}

    text = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text format."}}

    @app.get("/metrics", responses={**PROBLEMS, **text}, response_class=Response)
    async def metrics() -> Response:
        """Counts of this worker for Prometheus."""
        return Response(meters.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_page(
    app: FastAPI, models: Mapping[str, Model], limits: Limits, access: Access, runs: Mapping[str, Path]
) -> None:
    pages: dict[str, asyncio.Task[bytes | None]] = {}
    one_at_a_time = anyio.Lock()

    async def made_page(chosen: Model) -> bytes | None:
        async with one_at_a_time:
            return await anyio.to_thread.run_sync(page.made_page, chosen, runs[chosen.name])

    async def page_of(chosen: Model) -> bytes | None:
        """The page, which goes on being made where a request for it has waited for too long: the next one finds it."""
        if chosen.name not in runs:
            return None
        made = pages.get(chosen.name)
        if made is None or (made.done() and (made.cancelled() or made.exception())):
            made = pages[chosen.name] = asyncio.create_task(made_page(chosen))
        return await asyncio.shield(made)

    @app.get("/", include_in_schema=False)
    async def start(model: str | None = None) -> Response:
        chosen = model_named(models, model)
        made = await page_of(chosen)
        policy = page.FORM_POLICY if made is None else page.PAGE_POLICY
        shown = page.form(chosen, limits.pictures, access.token) if made is None else made
        return Response(shown, media_type="text/html; charset=utf-8", headers={"content-security-policy": policy})


def _add_handlers(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> Response:
        return JSONResponse(error.problem, error.code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first, where = error.errors()[0], error.errors()[0]["loc"][1:]
        # What was sent is not sent back: it may be large, or no JSON at all.
        return JSONResponse({"error": str(first["msg"]), "where": ".".join(map(str, where))[:200] or None}, 422)

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> Response:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    @app.exception_handler(MemoryError)
    async def no_memory(request: Request, error: MemoryError) -> Response:
        return JSONResponse({"error": "There is no memory for this."}, 503, {"retry-after": str(RETRY_AFTER)})
