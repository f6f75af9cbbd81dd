"""Bytes as text that a page carries: five characters for four bytes, where base64 has six for four and a half."""

from __future__ import annotations

import gzip

import numpy as np

# Printable ASCII but for what means something in HTML or in a string.
ALPHABET = "".join(chr(code) for code in range(33, 127) if chr(code) not in "\"&'<>\\`~|")
assert len(ALPHABET) == 85


def carried(data: bytes) -> str:
    """Data, compressed, as text; `boot.js` reads it. The same data gives the same text."""
    return as_text(gzip.compress(data, 9, mtime=0))


def as_text(data: bytes) -> str:
    """Bytes as characters of `ALPHABET`; zeros that fill up the last four are told of by the first character."""
    missing = -len(data) % 4
    words = np.frombuffer(data + bytes(missing), ">u4").astype(np.int64)
    digits = np.stack([words // 85**place % 85 for place in (4, 3, 2, 1, 0)], axis=1)
    letters = np.frombuffer(ALPHABET.encode(), np.uint8)
    return ALPHABET[missing] + letters[digits.reshape(-1)].tobytes().decode()
