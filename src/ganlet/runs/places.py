"""Places on this machine, taken out of what is handed on: of each only its last name is left."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ganlet.config import last_name, read_yaml
from ganlet.errors import ConfigError
from ganlet.runs.folder import RunFolder
from ganlet.runs.plain_json import read_json

BELOW = r"(?:(?:/+|\\+)[^\s\\/\"'<>,;:()]+)"
# Two names or more behind a root, a drive, a server or a home, one behind the home of somebody by name. An address such
# as https://host/page is none, and is looked at first.
ACCOUNT = r"[\w.+-]{1,64}@[\w.-]{1,255}"  # bounded, for packed numbers are long texts
ADDRESS = r"(?P<address>(?<!\w)(?:https?|ftp|git|hf|s3|gs)://[^\s\"'<>]*)"
ABSOLUTE = re.compile(
    rf"{ADDRESS}|(?<![\w./\\~])(?:(?:{ACCOUNT}:)?(?:~|[A-Za-z]:)?{BELOW}{{2,}}|~[A-Za-z_][\w.-]*{BELOW}+)[\\/]?"
)
ROOTED = re.compile(r"[\\/]|[A-Za-z]:[\\/]")


def places_of(folder: RunFolder) -> dict[str, str]:
    """The absolute places that a run knows of, the deepest first, each with what may be said instead.

    Of the run's own folder, its pictures and the like that is the last name; what they lie in, and the home, is left
    out.
    """
    named = {str(folder.path.absolute()), str(folder.path.resolve())}
    trees: list[Any] = []
    try:
        trees.append(read_yaml(folder.config_path))
        trees.append(read_json(folder.environment_path.read_text("utf-8")))
    except (ConfigError, OSError, ValueError):  # then there is less to be told
        pass
    for text in _texts(trees):
        for place in (text, text.rpartition("=")[2], text.partition(":")[2], text.rpartition(":")[2]):
            if ROOTED.match(place):
                named.add(place)
    home = str(Path("~").expanduser())
    around = {home, str(Path(__file__).parents[3]), *(str(Path(place).parent) for place in named)} - named
    found = {**dict.fromkeys(around, ""), **{place: last_name(place.replace("\\", "/")) for place in named}}
    kept = [place for place in found if len(place) > 1 and (len(Path(place).parts) > 2 or place == home)]
    return {place: found[place] for place in sorted(kept, key=lambda place: (-len(place), place))}


def without_places(value: Any, places: Mapping[str, str]) -> Any:
    """Plain data with only the last names of `places`, and of what else looks like an absolute path, in its texts."""
    if isinstance(value, dict):
        return {without_places(key, places): without_places(item, places) for key, item in value.items()}
    if isinstance(value, list):
        return [without_places(item, places) for item in value]
    if not isinstance(value, str):
        return value
    for place, instead in places.items():
        value = re.sub(
            rf"(?<![\w.]){re.escape(place)}({BELOW}*)[\\/]?(?![\w-]|\.\w)", partial(_last_of, instead), value
        )
    return ABSOLUTE.sub(lambda found: found["address"] or _last_name(found[0]), value)


def _last_name(place: str) -> str:
    return place.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _last_of(instead: str, found: re.Match[str]) -> str:
    return last_name(found[1].replace("\\", "/")) if found[1] else instead


def tells(data: bytes, places: Iterable[str]) -> str | None:
    """The first of `places` that these bytes name, as text or in JSON; None where they name none."""
    for place in places:
        ended = place.encode(errors="surrogateescape")
        if len(Path(place).parts) < 3:  # a short one would be found in any file
            ended += b"/"
        if ended in data or (len(Path(place).parts) > 2 and json.dumps(place)[1:-1].encode() in data):
            return place
    return None


def _texts(tree: Any) -> list[str]:
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list):
        return [text for item in tree for text in _texts(item)]
    return [tree] if isinstance(tree, str) else []
