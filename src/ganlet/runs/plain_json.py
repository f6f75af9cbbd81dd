"""JSON that a stranger may have made: what is nested without end is refused like any other nonsense."""

from __future__ import annotations

import json
from typing import Any

DEEPEST = 100  # nothing of ours is nested as deeply, and whatever goes through it may call itself at every level


def read_json(text: str | bytes) -> Any:
    """What a text holds. Raises `ValueError` for what is no JSON, or is nested too deeply."""
    text = text.decode() if isinstance(text, bytes) else text
    try:
        tree = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if text.count("[") + text.count("{") > DEEPEST:  # else it cannot be
        level = [tree]
        for _ in range(DEEPEST):
            inner = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
            level = [value for values in inner for value in values]
        if level:
            raise ValueError("it is nested too deeply")
    return tree
