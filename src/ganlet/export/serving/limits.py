"""What one request, one client and all of them together may ask of the server."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ganlet.errors import ConfigError

BATCH = 64  # of `games.drawn`, whose module imports torch; workers are forked before that


@dataclass(frozen=True)
class Limits:
    """Bounds, each with the status code that tells of it.

    Attributes:
        pictures: of one request (422); at most 64, which is what `ganlet sample` draws at once.
        pixels: of an answer, in all its frames (422): what encoding takes time and memory for.
        batch: pictures that are drawn at once, at most 64.
        waiting: pictures that wait for one model (503).
        requests: that are answered at the same time (503).
        per_client: of these, from one address (429).
        body: bytes of a request's body (413).
        head: bytes of a request's address and headers (431, or 400 where there is no end of them).
        seconds: that an answer may take (503).
        reading: seconds that the head (the connection is closed), and then the body (408), may take to arrive.
        sending: seconds for which a client may leave an answer unread (the connection is closed).
    """

    pictures: int = 64
    pixels: int = 4_194_304
    batch: int = BATCH
    waiting: int = 512
    requests: int = 256
    per_client: int = 64
    body: int = 65_536
    head: int = 16_384
    seconds: float = 30.0
    reading: float = 10.0
    sending: float = 30.0

    def __post_init__(self) -> None:
        for name, most in (("pictures", BATCH), ("batch", BATCH)):
            if not 1 <= getattr(self, name) <= most:
                got = getattr(self, name)
                raise ConfigError("This limit cannot be kept.", where=f"--{name}", got=got, expected=f"1 to {most}")
        for name in ("waiting", "requests", "per_client", "body", "seconds", "reading", "sending"):
            if not 0 < getattr(self, name) < math.inf:
                option = f"--{name.replace('_', '-')}"
                raise ConfigError("A limit is above 0, and finite.", where=option, got=getattr(self, name))
        if self.waiting < self.pictures:
            raise ConfigError(
                "No request of the allowed size would ever fit into the queue.",
                where="--waiting",
                got=self.waiting,
                expected=f"at least {self.pictures}, which one request may ask for (--pictures)",
            )
