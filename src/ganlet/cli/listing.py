"""ganlet list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, get_origin

import typer
from pydantic_core import PydanticUndefined

from ganlet.cli.printing import show
from ganlet.config import presets
from ganlet.config.schema import RunConfig
from ganlet.config.tree import group, kinds
from ganlet.errors import ConfigError, nearest
from ganlet.networks.optimizers import SCHEDULES
from ganlet.networks.settings import DISCRIMINATORS, GENERATORS
from ganlet.objective.losses import LOSSES
from ganlet.objective.penalties import PENALTIES
from ganlet.settings import Settings


def list_things(
    what: Annotated[
        str,
        typer.Argument(help="presets, networks, losses, penalties, schedules, games, datasets, metrics or settings."),
    ] = "presets",
) -> None:
    """Show what there is to choose from."""
    if what not in THINGS:
        close = nearest(what, THINGS)
        raise ConfigError(
            f"There is no list of {what!r}.",
            expected=", ".join(THINGS),
            hint=f"ganlet list {close}" if close else "ganlet list presets",
        )
    rows = THINGS[what]()
    width = max(len(name) for name, _ in rows)
    show("\n".join(f"{name:<{width}}  {text}".rstrip() for name, text in rows))


def _presets() -> list[tuple[str, str]]:
    return [(name, presets.load(name).summary.removeprefix(f"{name}: ")) for name in presets.names()]


def _kinds(registry: Mapping[str, type[Settings]]) -> list[tuple[str, str]]:
    return [(name, _summary(kind)) for name, kind in sorted(registry.items())]


def _summary(kind: type) -> str:
    """The first line of a class's docstring, if it has one."""
    return next(iter((kind.__doc__ or "").strip().splitlines()), "")


def _networks() -> list[tuple[str, str]]:
    sides = {"generator": GENERATORS, "discriminator": DISCRIMINATORS}
    return [(f"{side}.kind={name}", text) for side, registry in sides.items() for name, text in _kinds(registry)]


def _games() -> list[tuple[str, str]]:
    from ganlet.games import GAMES

    return [(name, _summary(game)) for name, game in GAMES.items()]


def _datasets() -> list[tuple[str, str]]:
    from ganlet.data.source import SOURCES

    return [(name, kind.text) for name, kind in SOURCES.items()]


def _metrics() -> list[tuple[str, str]]:
    from ganlet.metrics.features import EXTRACTORS
    from ganlet.metrics.suite import METRICS

    better = {"lower": "lower is better", "higher": "higher is better", None: "best like real pictures"}
    metrics = [(name, f"{metric.meaning} ({better[metric.better]})") for name, metric in METRICS.items()]
    return metrics + [(f"extractor={name}", EXTRACTOR_TEXTS[name]) for name in EXTRACTORS]


def _settings() -> list[tuple[str, str]]:
    return _walk(RunConfig, "")


def _walk(model: type[Settings], prefix: str) -> list[tuple[str, str]]:
    """A row for every setting: its dotted path, default and description."""
    rows = []
    for name, field in model.model_fields.items():
        path, members = f"{prefix}{name}", kinds(field)
        if only := group(field):
            rows += _walk(only, f"{path}.")
        elif members:
            path = f"{path}.0" if get_origin(field.annotation) is tuple else path
            rows.append((f"{path}.kind", ", ".join(members)))
            having: dict[tuple[str, str], list[str]] = {}
            for kind, member in members.items():
                for row in _walk(member, f"{path}."):
                    having.setdefault(row, []).append(kind)
            for (key, text), having_it in having.items():
                only = "" if len(having_it) == len(members) else f"({', '.join(having_it)}) "
                if key != f"{path}.kind":
                    rows.append((key, f"{only}{text}"))
        else:
            default = "" if field.default is PydanticUndefined else f"{field.default}  "
            rows.append((path, f"{default}{field.description or ''}"))
    return rows


# What pictures can be compared by.
EXTRACTOR_TEXTS = {
    "inception": "the network of the published FID, KID and Inception Score; needs ganlet[fidelity] and a download",
    "clip": "CLIP ViT-B/32: judges what is shown, for pictures of any kind; needs ganlet[fidelity] and a download",
    "dinov2": "DINOv2 ViT-L/14: agrees best with people, slow; needs ganlet[fidelity] and a download",
    "ganlet": "a small network that comes with ganlet, for pictures of about 32x32; works offline, quick on a CPU",
    "pixels": "the pictures themselves at 16x16: no network; for a check of the others",
}

THINGS: dict[str, Callable[[], list[tuple[str, str]]]] = {
    "presets": _presets,
    "networks": _networks,
    "losses": lambda: _kinds(LOSSES),
    "penalties": lambda: _kinds(PENALTIES),
    "schedules": lambda: _kinds(SCHEDULES),
    "games": _games,
    "datasets": _datasets,
    "metrics": _metrics,
    "settings": _settings,
}
