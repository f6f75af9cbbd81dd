"""What stands before the app: who may ask, how much, and for how long. A pure ASGI middleware.

A page of another site can make its visitor's browser ask this server. So the header Host must be one that is served
here (or a foreign name that leads here would count as the same site: DNS rebinding), Origin must be the server's own,
and what a browser itself calls cross-site is refused but for links that are followed.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from ganlet.export.serving.limits import Limits
from ganlet.export.serving.meters import Meters

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
OPEN_PATHS = ("/health",)  # for what watches over the server: without a token, and however busy it is
PATHS = frozenset({"/", "/models", "/generate", "/edit", "/interpolate", "/health", "/metrics", "/openapi.json"})
RETRY_AFTER = 1  # seconds
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        hosts: names in the header Host that are served, without ports, in lower case.
        any_address: whether numbers are served in place of names too, which no foreign name can pretend to be.
        origins: of other sites that may ask from a browser, such as "https://example.org".
        token: what requests carry; None where none is needed.
    """

    hosts: Collection[str] = LOOPBACK_NAMES
    any_address: bool = False
    origins: Collection[str] = ()
    token: str | None = None

    def serves(self, host: str) -> bool:
        """Whether a header Host is one of ours."""
        name = _without_port(host.strip().lower())
        return name in self.hosts or (self.any_address and _is_address(name))

    def admits(self, token: str) -> bool:
        """Whether a token is the right one, in a time that does not depend on how wrong it is."""
        return self.token is None or hmac.compare_digest(token.encode(), self.token.encode())


@dataclass(eq=False)
class Guard:
    """Wraps an ASGI app. `stopping` is asked at every answer: then connections are closed behind them."""

    app: Callable[[Scope, Receive, Send], Awaitable[None]]
    access: Access
    limits: Limits
    meters: Meters
    stopping: Callable[[], bool] = lambda: False
    running: Counter[str] = field(default_factory=Counter)  # requests by client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        began, code = time.perf_counter(), 500
        headers = _headers(scope)
        origin = headers.get("origin", "")
        cors = {"access-control-allow-origin": origin, "vary": "Origin"} if origin in self.access.origins else {}

        async def told(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
                message["headers"] = [*message.get("headers", ()), *HEADERS, *_encoded(cors)]
                if self.stopping():
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        client = (scope.get("client") or ("",))[0]
        self.meters.running += 1
        self.running[client] += 1
        try:
            refused = self._refusal(scope, headers, client)
            if refused is None:
                await self._answer(scope, headers, receive, told)
            else:
                refusal, what, more = refused
                if "content-length" in headers or "transfer-encoding" in headers:  # nobody waits for a refused body
                    more = {**more, "connection": "close"}
                await _tell(told, refusal, what, more)
        finally:
            self.meters.running -= 1
            self.running[client] -= 1
            if not self.running[client]:
                del self.running[client]
            path = scope["path"] if scope["path"] in PATHS else "other"
            self.meters.answered(path, code, time.perf_counter() - began)

    def _refusal(
        self, scope: Scope, headers: Mapping[str, str], client: str
    ) -> tuple[int, str, Mapping[str, str]] | None:
        """The code, words and headers of what is not let in; an empty 204 for an allowed site that asks first."""
        access, host, origin = self.access, headers.get("host", ""), headers.get("origin")
        # The parser looks at what has come of an unfinished head, so one that comes at once passes it.
        if _head_size(scope) > self.limits.head:
            return 431, f"Headers are at most {self.limits.head:,} bytes.", {"connection": "close"}
        if not access.serves(host):
            return 403, "This host is not served here: allow it with --allow-host.", {}
        if origin is not None and origin not in access.origins and not _is_own(origin, host):
            return 403, "Pages of other sites may not ask here: allow one with --allow-origin.", {}
        foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        # A frame inside a foreign page is navigated to as well, and is no document of its own.
        followed = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
        if foreign and origin is None and not followed:
            return 403, "Pages of other sites may not ask here.", {}
        if origin in access.origins and scope["method"] == "OPTIONS":
            allowed = {
                "access-control-allow-methods": "GET, POST",
                "access-control-allow-headers": "Authorization, Content-Type",
                "access-control-max-age": "600",
            }
            return 204, "", allowed
        if scope["path"] in OPEN_PATHS:
            return None
        if not access.admits(_taken_token(scope, headers)):
            return 401, "A token is needed: Authorization: Bearer TOKEN.", {"www-authenticate": "Bearer"}
        if self.meters.running > self.limits.requests:
            return 503, "Too many requests are being answered.", {"retry-after": str(RETRY_AFTER)}
        if self.running[client] > self.limits.per_client:
            return 429, "This client has too many requests at once.", {"retry-after": str(RETRY_AFTER)}
        return None

    async def _answer(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        """Read the whole body, within its limits, and let the app answer."""
        body = bytearray()
        if "content-length" in headers or "transfer-encoding" in headers:
            length = headers.get("content-length", "0")
            if length.isdecimal() and (len(length) > 18 or int(length) > self.limits.body):
                await _tell(send, 413, self._too_large, {"connection": "close"})
                return
            try:
                async with asyncio.timeout(self.limits.reading):
                    while True:
                        message = await receive()
                        if message["type"] == "http.disconnect":
                            return
                        body += message.get("body", b"")
                        if len(body) > self.limits.body:
                            await _tell(send, 413, self._too_large, {"connection": "close"})
                            return
                        if not message.get("more_body"):
                            break
            except TimeoutError:
                await _tell(send, 408, "The body took too long to arrive.", {"connection": "close"})
                return
        pending: list[Message] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

        async def read() -> Message:
            return pending.pop() if pending else await receive()

        started = False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            async with asyncio.timeout(self.limits.seconds):
                await self.app(scope, read, noted)
        except TimeoutError:
            if started:
                raise
            told = f"This took longer than {self.limits.seconds:g} seconds."
            await _tell(send, 503, told, {"retry-after": str(RETRY_AFTER)})

    @property
    def _too_large(self) -> str:
        return f"A body is at most {self.limits.body:,} bytes."


async def _tell(send: Send, code: int, what: str, headers: Mapping[str, str]) -> None:
    body = json.dumps({"error": what}).encode() if what else b""
    told = {**headers, **({"content-type": "application/json", "content-length": str(len(body))} if body else {})}
    await send({"type": "http.response.start", "status": code, "headers": _encoded(told)})
    await send({"type": "http.response.body", "body": body})


def _head_size(scope: Scope) -> int:
    size = len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"])
    return size + sum(len(name) + len(value) for name, value in scope["headers"])


def _headers(scope: Scope) -> dict[str, str]:
    """Headers by name; of one that is there several times, all, so that none of them is overlooked."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def _taken_token(scope: Scope, headers: Mapping[str, str]) -> str:
    """The token of a request. One in the address is taken out of it, so that what follows does not see it."""
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    if scope["method"] != "GET" or b"token=" not in scope["query_string"]:
        return ""
    # A page that is opened carries no headers of one's own.
    parts = scope["query_string"].split(b"&")
    scope["query_string"] = b"&".join(part for part in parts if not part.startswith(b"token="))
    return next((unquote_plus(part[6:].decode("latin-1")) for part in parts if part.startswith(b"token=")), "")


def _is_own(origin: str, host: str) -> bool:
    return origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def _without_port(host: str) -> str:
    name, mark, port = host.rpartition(":")
    return name if mark and port.isdecimal() and (not name.count(":") or name.endswith("]")) else host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name[1:-1] if name.startswith("[") and name.endswith("]") else name)
    except ValueError:
        return False
    return True
