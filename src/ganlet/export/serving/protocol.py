"""HTTP/1.1 with time limits for clients that send or read slowly on purpose ("slowloris").

Uvicorn's own protocol gives up on a connection only while nothing of a request has come.
"""

from __future__ import annotations

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol

from ganlet.export.serving.limits import Limits


def protocol_with(limits: Limits) -> type[H11Protocol]:
    """The protocol with limits; the time that a body takes is the guard's."""

    class Protocol(H11Protocol):
        _head: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(cast(asyncio.Transport, transport))
            self._wait_for_head()

        def connection_lost(self, exc: Exception | None) -> None:
            self._head, self._unread = _cancelled(self._head), _cancelled(self._unread)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
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

        def _wait_for_head(self) -> None:
            self._head = self.loop.call_later(limits.reading, self.transport.abort)

    return Protocol


def _cancelled(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
