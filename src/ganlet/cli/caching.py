"""ganlet cache."""

from __future__ import annotations

import json
import math
from typing import Annotated, Any

import typer

from ganlet.cli.printing import show
from ganlet.errors import ConfigError, nearest

LISTED = 3  # sources of the same pictures
ACTIONS = ("list", "clean")


def cache(
    action: Annotated[str, typer.Argument(help="list what is kept, or clean: remove some of it.")] = "list",
    older_than: Annotated[
        int | None, typer.Option(metavar="DAYS", min=0, help="Clean what nobody has used for so many days.")
    ] = None,
    gone: Annotated[bool, typer.Option("--gone", help="Clean what is of sources that are not there any more.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Clean everything.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print nothing but JSON.")] = False,
) -> None:
    """Show what is kept of pictures that were read, of runs from zip files and of what was fetched, and make room.

    What a running process uses is never removed; what was removed is read from its source again when it is wanted. The
    most used room can be limited: GANLET_CACHE_LIMIT="20 GB".
    """
    if action not in ACTIONS:
        close = nearest(action, ACTIONS)
        raise ConfigError(
            f"The cache cannot {action!r}.", expected=", ".join(ACTIONS), hint=f"ganlet cache {close or 'list'}"
        )
    if (older_than is not None or gone or everything) != (action == "clean"):
        what = "It must be said what is to be cleaned." if action == "clean" else "To list the cache cleans nothing."
        raise ConfigError(
            what,
            expected="--gone, --older-than DAYS or --all",
            hint="ganlet cache clean --gone",
        )
    from ganlet.data.cache import cache_folder
    from ganlet.data.cache_contents import age_in_days, contents, remove

    found = contents()
    if action == "list":
        rows = [_as_json(kept) for kept in found]
        show(json.dumps(rows, indent=2) if as_json else _table(rows, str(cache_folder())))
        return
    days = math.inf if older_than is None else older_than
    wanted = [kept for kept in found if everything or age_in_days(kept) >= days or (gone and kept.gone)]
    removed, used = remove(wanted)
    freed = sum(kept.size for kept in removed)
    if as_json:
        show(json.dumps({"removed": [_as_json(kept) for kept in removed], "in_use": [_as_json(one) for one in used]}))
        return
    kept_back = f"; {len(used):,} in use and left" if used else ""
    show(f"removed {len(removed):,} of {len(found):,}, {in_words(freed)}{kept_back}")


def _as_json(kept: Any) -> dict[str, object]:
    from datetime import UTC, datetime

    return {
        "kind": kept.kind,
        "fingerprint": kept.fingerprint,
        "sources": kept.sources,
        "gone": kept.gone,
        "bytes": kept.size,
        "last_used": datetime.fromtimestamp(kept.last_used, UTC).isoformat(timespec="seconds"),
    }


def _table(rows: list[dict[str, Any]], folder: str) -> str:
    from ganlet.data.cache_contents import cache_limit
    from ganlet.paths import printable
    from ganlet.runs.evaluations import aligned

    lines = [["pictures", "size", "last used (UTC)", "source"]]
    for row in rows:
        more = len(row["sources"]) - LISTED
        sources = ", ".join(map(printable, row["sources"][:LISTED])) or "unknown"
        sources += f" and {more:,} more" if more > 0 else ""
        used = row["last_used"][:16].replace("T", " ")
        short = row["fingerprint"][:12]
        name = {"pictures": short, "run": f"run {short[:8]}", "download": "download"}[row["kind"]]
        lines.append([name, in_words(row["bytes"]), used, sources + " (gone)" * row["gone"]])
    limit = cache_limit()
    total = in_words(sum(row["bytes"] for row in rows)) + (f" of at most {in_words(limit)}" if limit else "")
    return "\n".join([*(aligned(lines) if rows else []), f"{printable(folder)}: {total}"])


def in_words(size: float) -> str:
    """A number of bytes as a person says it."""
    units = ("bytes", "kB", "MB", "GB", "TB")
    power = next((power for power in range(len(units)) if size < 1024 ** (power + 1)), len(units) - 1)
    return f"{size / 1024**power:,.{0 if power == 0 else 1}f} {units[power]}"
