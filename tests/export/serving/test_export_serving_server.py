"""A real server on a real socket: slow clients, broken requests, its end, its workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ganlet.errors import ConfigError, EnvironmentProblem
from ganlet.export.serving import server as serving
from ganlet.export.serving.app import make_app
from ganlet.export.serving.limits import Limits
from ganlet.export.serving.meters import Meters
from ganlet.export.serving.server import Settings, address, bound, server_of

ASK = b"GET /generate?seed=%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
HASTY = Limits(reading=0.3, sending=0.3, head=2_000)


class Running:
    """A server in a thread."""

    def __init__(self, models, limits: Limits) -> None:
        self.meters = Meters()
        self.models = {name: model.again(limits, self.meters) for name, model in models.items()}
        self.listening = bound("127.0.0.1", 0)
        ready = threading.Event()
        app = make_app(self.models, limits, meters=self.meters, stopping=lambda: self.server.should_exit)
        self.server = server_of(app, limits, ready.set, None)
        self.thread = threading.Thread(target=self.server.run, args=([self.listening],))
        self.thread.start()
        assert ready.wait(30)

    def connect(self) -> socket.socket:
        connection = socket.create_connection(self.listening.getsockname(), 20)
        connection.settimeout(20)
        return connection

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()


@pytest.fixture
def running(models):
    running = Running(models, HASTY)
    yield running
    running.stop()


def all_of(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    parts = []
    while True:
        try:
            part = connection.recv(65_536)
        except ConnectionResetError:
            part = b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def answer_of(connection: socket.socket) -> bytes:
    """One answer, head and body."""
    with connection.makefile("rb") as file:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = file.readline()
            assert line, "the connection was closed"
            head += line
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return head + file.read(length)


SLOW = {
    "nothing": b"",
    "half a line": b"GET /gene",
    "headers without an end": b"GET /models HTTP/1.1\r\nHost: localhost\r\nX-A: 1\r\n",
    "half a body": b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{",
    "half a chunk": b"POST /generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
    "a second request that never ends": ASK % 1 + b"GET /models HT",
}


@pytest.mark.parametrize("sent", SLOW)
def test_whoever_never_ends_is_not_waited_for(running, sent):
    with running.connect() as connection:
        connection.sendall(SLOW[sent])
        got = all_of(connection)
    assert got[:12] in (b"", b"HTTP/1.1 408") or sent.startswith("a second")
    with running.connect() as connection:
        connection.sendall(ASK % 1)
        assert answer_of(connection).startswith(b"HTTP/1.1 200")


def test_a_head_that_comes_in_drops_is_not_waited_for(running):
    with running.connect() as connection:
        connection.sendall(b"GET /models HTTP/1.1\r\nHost: localhost\r\n")

        def drip():
            for number in range(2_000):
                connection.sendall(b"X-%d: 1\r\n" % number)
                time.sleep(0.02)

        with pytest.raises(OSError):  # noqa: PT011 - of a system's many words for a closed connection
            drip()


BROKEN = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no host": b"GET /models HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "old HTTP without a host": b"GET /models HTTP/1.0\r\n\r\n",
    "another site's address": b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "a huge header": b"GET /models HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    "a huge address": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a null byte in a header": b"GET /models HTTP/1.1\r\nHost: localhost\r\nX: \x00\r\n\r\n",
    "a length and chunks": (
        b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked, x\r\n\r\n"
    ),
    "a negative length": b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "a length of letters": b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: abc\r\n\r\n",
    "a chunk without a number": (
        b"POST /generate HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n"
    ),
    "a websocket": (
        b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ),
}


@pytest.mark.parametrize("sent", BROKEN)
def test_broken_requests_are_refused(running, sent):
    with running.connect() as connection:
        with suppress(OSError):  # where the answer comes before the end
            connection.sendall(BROKEN[sent])
        got = all_of(connection)
    assert got[:10] in (b"", b"HTTP/1.1 4")
    with running.connect() as connection:
        connection.sendall(ASK % 1)
        assert answer_of(connection).startswith(b"HTTP/1.1 200")


def test_an_answer_that_nobody_reads_is_dropped(running):
    body = b'{"num": 64, "scale": 14, "format": "png"}'
    head = b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with running.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
        for _ in range(30):
            connection.sendall(head % len(body) + body)
        deadline = time.monotonic() + 20
        while running.server.server_state.connections and time.monotonic() < deadline:
            time.sleep(0.05)
    assert not running.server.server_state.connections


def test_idle_connections_of_one_address_shut_out_nobody(models):
    running = Running(models, Limits(requests=2, per_client=2))
    running.listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1_024)  # of all connections to come
    asks = running.connect()
    asks.sendall(ASK % 1)
    assert answer_of(asks).startswith(b"HTTP/1.1 200")
    reads, idle = socket.socket(), []
    reads.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
    reads.settimeout(20)
    reads.connect(running.listening.getsockname())
    reads.sendall(b"GET /generate?num=64&scale=14 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert reads.recv(12) == b"HTTP/1.1 200"  # and more than fits between us
    try:
        for number in range(20):
            idle.append(running.connect())
            if not number % 2:  # of those that are idle it is not among the longest
                asks.sendall(ASK % number)
                assert answer_of(asks).startswith(b"HTTP/1.1 200")
        with running.connect() as other:
            other.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answer_of(other).startswith(b"HTTP/1.1 200")
            assert len(running.server.server_state.connections) == 8
        assert all_of(reads).endswith(b"IEND\xaeB\x60\x82")
    finally:
        asks.close()
        reads.close()
        for connection in idle:
            connection.close()
        running.stop()


def test_what_was_asked_before_the_end_is_answered(models):
    running = Running(models, Limits())
    batcher = running.models["plain"].batcher
    entered, opened, draw = threading.Event(), threading.Event(), batcher.draw

    def slow(points):
        entered.set()
        assert opened.wait(20)
        return draw(points)

    batcher.draw = slow
    drawn, waits, idle = running.connect(), running.connect(), running.connect()
    drawn.sendall(ASK % 1)
    assert entered.wait(20)
    waits.sendall(ASK % 2)
    running.server.should_exit = True
    idle.sendall(ASK % 3)  # asked after the signal, on a connection from before
    time.sleep(1.0)
    with pytest.raises(OSError):  # noqa: PT011
        running.connect()
    opened.set()
    for connection in (drawn, waits, idle):
        got = all_of(connection)
        assert got.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in got.lower()
        assert b"IEND" in got
        connection.close()
    running.stop()


def test_a_port_in_use_is_one_message():
    with bound("127.0.0.1", 0) as taken, pytest.raises(EnvironmentProblem, match="in use"):
        bound("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(EnvironmentProblem, match="no such address"):
        bound("no.such.host.invalid", 0)
    with pytest.raises(EnvironmentProblem):
        bound("192.0.2.1", 0)


def test_an_address_can_be_opened():
    with bound("127.0.0.1", 0) as listening:
        assert address(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}"


WRONG = [
    ({"port": 65_536}, "no such port"),
    ({"workers": 0}, "at least one"),
    ({"threads": 0}, "at least one"),
    ({"token": "short"}, "protects nothing"),
    ({"allow_origins": ["*"]}, "no origin"),
    ({"allow_origins": ["https://example.org/page"]}, "no origin"),
    ({"allow_hosts": ["http://example.org"]}, "no name"),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=lambda value: str(value))
def test_settings_that_make_no_sense_are_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        serving.serve(replace(Settings(["run"]), **{"port": 0, **change}), print, print)


ENDLESS = [{"seconds": float("inf")}, {"seconds": float("nan")}, {"reading": float("inf")}]


@pytest.mark.parametrize(
    "change", [{"pictures": 65}, {"batch": 0}, {"waiting": 3}, {"seconds": 0}, {"body": -1}, *ENDLESS]
)
def test_limits_that_make_no_sense_are_refused(change):
    with pytest.raises(ConfigError):
        Limits(**change)


def test_an_allowed_site_is_known_as_browsers_write_it():
    settings = Settings(["run"], allow_origins=["https://Example.org"], allow_hosts=["Pictures.example"])
    access = serving.access_of(settings, "127.0.0.1")
    assert "https://example.org" in access.origins
    assert access.serves("pictures.example:8600")


def test_workers_know_who_watches_over_them_and_one_tells_what_all_would(monkeypatch):
    begun = []

    def serve_here(settings, listening, worker, ready, tell, worker_of=None):
        begun.append((worker, tell is not None, worker_of))

    def supervised(num, work, ready, tell, stopping):
        for worker in range(num):
            work(worker, print)
        ready()
        work(0, print)  # which has ended by itself

    monkeypatch.setattr(serving, "_serve_here", serve_here)
    monkeypatch.setattr("ganlet.export.serving.workers.supervised", supervised)
    serving.serve(Settings(["run"], port=0, workers=2), print, lambda told: None)
    assert begun == [(0, True, os.getpid()), (1, False, os.getpid()), (0, False, os.getpid())]


def test_a_worker_whose_parent_has_gone_ends_by_itself(models):
    meters = Meters()
    app = make_app({name: model.again(Limits(), meters) for name, model in models.items()}, Limits(), meters=meters)
    ready = threading.Event()
    with bound("127.0.0.1", 0) as listening:
        server = server_of(app, Limits(), ready.set, worker_of=os.getpid())  # which is not our parent
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    assert ready.is_set()


@pytest.mark.parametrize(("host", "needed"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_token_is_made_where_others_can_ask(host, needed):
    told = []
    with bound(host, 0) as listening:
        settings = serving._with_token(Settings(["run"], host), listening, told.append)
    assert (settings.token is not None) == needed
    assert len(told) == needed
    if settings.token is not None:
        assert len(settings.token) >= 32
        assert settings.token in told[0]


def test_missing_packages_are_told_with_what_installs_them(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'ganlet\[serve\]'"):
        serving.serve(Settings(["run"]), print, print)


def started(*arguments: object) -> tuple[subprocess.Popen, int]:
    """`ganlet serve` as a process, and its port."""
    command = [sys.executable, "-m", "ganlet", "serve", *map(str, arguments), "--port", "0"]
    environment = {name: value for name, value in os.environ.items() if name != "GANLET_TOKEN"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    return process, int(process.stdout.readline().rpartition(":")[2] or 0)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_a_signal(served_runs, workers, number):
    process, port = started(served_runs["plain"], "--workers", workers)
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(ASK % 1)
        assert answer_of(connection).startswith(b"HTTP/1.1 200")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (128 + number, "Stopped: whatever was asked has been answered.\n")


@pytest.mark.slow
def test_a_worker_that_ends_is_replaced_and_none_outlives_its_parent(served_runs):
    process, port = started(served_runs["plain"], "--workers", 2)
    children = [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(children) == 2
    os.kill(children[0], signal.SIGKILL)
    assert process.stderr is not None
    assert "Worker 0 ended with code 137" in process.stderr.readline()
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except OSError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("somebody still listens")
    process.communicate()


@pytest.mark.slow
def test_a_run_without_a_generator_is_one_message(tmp_path):
    process, port = started(tmp_path, "--workers", 2)
    _, err = process.communicate(timeout=60)
    assert port == 0
    assert process.returncode == 2
    assert err.count("where:") == 1
    assert "Traceback" not in err
