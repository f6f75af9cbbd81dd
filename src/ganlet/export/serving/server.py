"""The server as a process: its socket, its signals, and its end, at which nobody is left without an answer."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import re
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from ganlet.errors import ConfigError, EnvironmentProblem, Interrupted
from ganlet.export.serving.limits import Limits

if TYPE_CHECKING:
    from ganlet.export.serving.guard import Access

LINGER = 0.3  # seconds in which what is on its way to us arrives
FEWEST_CHARACTERS = 16  # of a token
ORIGIN = re.compile(r"https?://[^\s/,?#@]+")
HOST = re.compile(r"[^\s/,?#@]+")


@dataclass(frozen=True)
class Settings:
    """How to serve.

    Attributes:
        runs: folders or files of generators; NAME=RUN gives one a name.
        host, port: where to listen; port 0 takes one that is free.
        token: what requests must carry; made up where one is needed.
        allow_hosts, allow_origins: names that lead here, and other sites whose pages may ask.
        threads: of torch, for each worker.
        workers: processes.
    """

    runs: Sequence[str | os.PathLike[str]]
    host: str = "127.0.0.1"
    port: int = 8600
    token: str | None = None
    allow_hosts: Sequence[str] = ()
    allow_origins: Sequence[str] = ()
    device: str = "auto"
    threads: int = 1
    workers: int = 1
    limits: Limits = Limits()  # noqa: RUF009 - it is frozen


def serve(settings: Settings, tell: Callable[[str], None], ready: Callable[[str], None]) -> None:
    """Serve until a signal comes, which is `Interrupted` after the last answer.

    `ready` is called with the address, in one process, when requests are answered. Raises `EnvironmentProblem` where
    packages are missing or the port is taken, `ConfigError` and `RunError` for what cannot be served.
    """
    from ganlet.export.serving.workers import supervised

    _require_packages()
    _require_sense(settings)
    with closing(bound(settings.host, settings.port)) as listening:
        settings = _with_token(settings, listening, tell)
        if settings.workers == 1:
            number = _serve_here(settings, listening, 0, lambda: ready(address(listening)), tell)
            raise Interrupted(number, "Stopped: whatever was asked has been answered.")

        # A worker that asked for its parent when it has loaded might be told who took it over from one that has gone.
        parent, began = os.getpid(), False

        def work(worker: int, told: Callable[[], None]) -> None:
            first = worker == 0 and not began  # of those who would all tell the same
            _serve_here(settings, listening, worker, told, tell if first else None, parent)

        def all_ready() -> None:
            nonlocal began
            began = True
            ready(address(listening))

        supervised(settings.workers, work, all_ready, tell, listening.close)


def bound(host: str, port: int) -> socket.socket:
    """A socket at an address. Raises `EnvironmentProblem` where it is taken, or is not of this machine."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        found = socket.socket(family, kind)
    except (OSError, UnicodeError, OverflowError) as error:
        got = f"{host}: {getattr(error, 'strerror', None) or error}"
        raise EnvironmentProblem("There is no such address to listen at.", where="--host", got=got) from None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(place)
        # Listening only now would let another process have the port while models are loaded.
        found.listen(socket.SOMAXCONN)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            hint = f"choose another one: --port {port + 1 if port < 65_535 else 0}"
            raise EnvironmentProblem("This port is in use.", where="--port", got=port, hint=hint) from None
        where = "--port" if error.errno == errno.EACCES else "--host"
        raise EnvironmentProblem(
            "It is not possible to listen here.", where=where, got=f"{host}:{port}: {error.strerror}"
        ) from None
    return found


def address(listening: socket.socket) -> str:
    """What to open: http://host:port; of all addresses of this machine its own to itself."""
    bound_to, port = listening.getsockname()[:2]
    host = str({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound_to, bound_to))
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _serve_here(
    settings: Settings,
    listening: socket.socket,
    worker: int,
    ready: Callable[[], None],
    tell: Callable[[str], None] | None,
    worker_of: int | None = None,
) -> int:
    """Serve in this process; returns the number of the signal that stopped it."""
    import torch

    from ganlet.export.serving.app import make_app
    from ganlet.export.serving.meters import Meters
    from ganlet.export.serving.models import directions_left_out, named_runs, open_models

    torch.set_num_threads(settings.threads)
    limits, meters = settings.limits, Meters(worker)
    models = open_models(settings.runs, limits, meters, settings.device)
    if tell is not None and (line := directions_left_out(models)):
        tell(line)
    server: Any = None
    app = make_app(
        models,
        limits,
        access=access_of(settings, listening.getsockname()[0]),
        meters=meters,
        runs=named_runs(settings.runs),
        stopping=lambda: server is not None and server.should_exit,
    )
    server = server_of(app, limits, ready, worker_of)
    server.run([listening])
    return server.signal_number


def access_of(settings: Settings, here: str) -> Access:
    """Who may ask at the address where the socket listens."""
    from ganlet.export.serving.guard import LOOPBACK_NAMES, Access

    names = {settings.host, f"[{here}]" if ":" in here else here, *settings.allow_hosts}
    return Access(
        LOOPBACK_NAMES | {name.lower() for name in names},
        not ipaddress.ip_address(here.partition("%")[0]).is_loopback,
        frozenset(origin.lower() for origin in settings.allow_origins),  # as browsers write it
        settings.token,
    )


def server_of(app: Any, limits: Limits, ready: Callable[[], None], worker_of: int | None) -> Any:
    """A server of an app; `ready` is called when it listens, `worker_of` is the process that watches over it."""
    import uvicorn

    from ganlet.export.serving.protocol import most_connections, protocol_with

    class Server(uvicorn.Server):
        signal_number: int = signal.SIGTERM

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            """The first signal asks to stop, a second one ends at once; others of the terminal are the parent's."""
            if threading.current_thread() is not threading.main_thread():  # a program's, which stops it itself
                yield
                return
            before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
            if worker_of is not None:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if self.should_exit:
                os._exit(128 + sig)
            self.signal_number, self.should_exit = sig, True

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            ready()

        async def on_tick(self, counter: int) -> bool:
            if worker_of is not None and os.getppid() != worker_of:  # nobody would ever stop this worker
                self.should_exit = True
            return await super().on_tick(counter)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """Close the door only behind those who are through: the system lets people in before we do."""
            loop = asyncio.get_running_loop()
            for listening in sockets or ():
                listening.listen(0)  # from now on hardly anybody: whoever knocks is not answered, and will ask again
            await asyncio.sleep(LINGER)  # answers close their connections by now
            last = [found for listening in sockets or () for found in _let_in(listening)]
            for server in self.servers:
                server.close()
            for found in last:
                await loop.connect_accepted_socket(self._protocol, found)
            await asyncio.sleep(LINGER)  # whoever has sent a request before knowing is heard
            await super().shutdown(sockets)

        def _protocol(self) -> asyncio.Protocol:
            state = {"server_state": self.server_state, "app_state": self.lifespan.state}
            return protocol(config=self.config, **state)

    protocol: Any = protocol_with(limits)
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        loop="asyncio",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=most_connections(limits),
        timeout_keep_alive=max(1, round(limits.reading)),
        timeout_graceful_shutdown=round(limits.reading + limits.seconds) + 1,
        h11_max_incomplete_event_size=limits.head,
    )
    return Server(config)


def _let_in(listening: socket.socket) -> Iterator[socket.socket]:
    """Connections that the system has made already."""
    listening.setblocking(False)
    while True:
        try:
            found, _ = listening.accept()
        except OSError:
            return
        found.setblocking(False)
        yield found


def _require_packages() -> None:
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise EnvironmentProblem(
            "Serving needs packages that are not installed.", got=error, hint="pip install 'ganlet[serve]'"
        ) from None


def _require_sense(settings: Settings) -> None:
    if not 0 <= settings.port <= 65_535:
        raise ConfigError("There is no such port.", where="--port", got=settings.port, expected="0 to 65535")
    for option, value in (("--threads", settings.threads), ("--workers", settings.workers)):
        if value < 1:
            raise ConfigError("There is at least one of them.", where=option, got=value)
    if settings.workers > 1 and not hasattr(os, "fork"):
        raise EnvironmentProblem("This system has no workers.", where="--workers", got=settings.workers, expected=1)
    if settings.token is not None and (len(settings.token) < FEWEST_CHARACTERS or not settings.token.isascii()):
        expected = f"at least {FEWEST_CHARACTERS} ASCII characters that nobody guesses"
        raise ConfigError("This token protects nothing.", where="--token", expected=expected)
    for origin in settings.allow_origins:
        if not ORIGIN.fullmatch(origin):
            expected = "https://NAME or http://NAME:PORT, without a path"
            raise ConfigError("This is no origin of pages.", where="--allow-origin", got=origin, expected=expected)
    for host in settings.allow_hosts:
        if not HOST.fullmatch(host):
            raise ConfigError("This is no name of a host.", where="--allow-host", got=host, expected="example.org")


def _with_token(settings: Settings, listening: socket.socket, tell: Callable[[str], None]) -> Settings:
    """The settings with a token where others than this machine can reach the socket."""
    from dataclasses import replace

    here = listening.getsockname()[0].partition("%")[0]
    if settings.token is not None or ipaddress.ip_address(here).is_loopback:
        return settings
    token = secrets.token_urlsafe(24)
    ways = "in a header, Authorization: Bearer TOKEN; a browser opens /?token=TOKEN"
    tell(f"Requests need a token, told here once: {token}\n  {ways}")
    return replace(settings, token=token)
