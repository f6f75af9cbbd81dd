"""HTTP/1.1 with limits for clients that send or read slowly on purpose ("slowloris"), or knock and say nothing.

Uvicorn's own protocol gives up on a connection only while nothing of a request has come, and counts connections of all
clients together: those of one would shut out everybody.
"""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from ganlet.export.serving.limits import Limits

CONNECTIONS = 4  # for each request that may run: others are idle between two
NOTHING, UNREAD, BEING_ANSWERED = range(3)  # what a connection is busy with


def most_connections(limits: Limits) -> int:
    """Connections of all clients, of which one client, who has `CONNECTIONS * per_client`, leaves room to others."""
    return CONNECTIONS * (limits.requests + limits.per_client)


def protocol_with(limits: Limits) -> type[H11Protocol]:
    """The protocol with limits; the time that a body takes is the guard's."""
    by_client: dict[str, dict[Protocol, None]] = {}  # the one that has said nothing for longest is the first

    class Protocol(H11Protocol):
        _head: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(cast(asyncio.Transport, transport))
            self._wait_for_head()
            theirs = by_client.setdefault(self._peer, {})
            if len(theirs) >= CONNECTIONS * limits.per_client:
                # Not the newcomer, who may be what asks for our health, unless all others are being answered.
                least = min(theirs, key=lambda one: one._busy)
                if least._busy == BEING_ANSWERED:
                    self.transport.abort()
                    return
                del theirs[least]
                self.connections.discard(least)  # which its end, a moment later, would do
                least.transport.abort()
            theirs[self] = None

        def connection_lost(self, exc: Exception | None) -> None:
            self._head, self._unread = _cancelled(self._head), _cancelled(self._unread)
            theirs = by_client.get(self._peer, {})
            theirs.pop(self, None)
            if not theirs:
                by_client.pop(self._peer, None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            theirs = by_client.get(self._peer, {})
            if self in theirs:
                theirs[self] = theirs.pop(self)
            super().data_received(data)
            if not self._idle:
                self._head = _cancelled(self._head)
            elif self._head is None and not self.transport.is_closing():
                self._wait_for_head()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._unread = self.loop.call_later(limits.sending, self.transport.abort)

        def resume_writing(self) -> None:
            self._unread = _cancelled(self._unread)
            super().resume_writing()

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            if self._unread is None:  # closing waits for what is unread
                self._unread = self.loop.call_later(limits.sending, self.transport.abort)

        @property
        def _busy(self) -> int:
            """The less, the sooner it may be closed."""
            if not self._idle:
                return BEING_ANSWERED
            return UNREAD if self.transport.get_write_buffer_size() else NOTHING

        @property
        def _idle(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        @property
        def _peer(self) -> str:
            return self.client[0] if self.client else ""

        def _wait_for_head(self) -> None:
            self._head = self.loop.call_later(limits.reading, self.transport.abort)

    return Protocol


def _cancelled(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
