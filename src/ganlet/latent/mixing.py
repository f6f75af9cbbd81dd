"""Mixing: coarse levels of one point, fine levels of another (Karras et al. 2019, section 3.1)."""

from __future__ import annotations

import torch

from ganlet.errors import ConfigError
from ganlet.latent.space import Points, Space

PARTS = ("coarse", "middle", "fine")


def levels_of(space: Space, part: str) -> slice:
    """The levels that coarse, middle or fine means: about a third of them, the fine ones getting what is over.

    Raises `ConfigError` where the generator has no levels, naming what would give it some.
    """
    require_levels(space)
    if part not in PARTS:
        raise ConfigError("There are no such levels.", where="--levels", got=part, expected=", ".join(PARTS))
    number, levels = PARTS.index(part), space.num_levels
    if levels == 2 and part == "middle":
        raise ConfigError("Two levels are coarse and fine, with none between them.", where="--levels", got=part)
    edges = [0, 1, 1, 2] if levels == 2 else [0, levels // 3, 2 * levels // 3, levels]
    return slice(edges[number], edges[number + 1])


def mixed(space: Space, points: Points, others: Points, levels: slice) -> Points:
    """Points whose `levels` are those of others (N, ...), pair by pair. Labels stay those of `points`."""
    require_levels(space)
    values = points.values.clone()
    if space.has_styles:
        values[:, levels] = others.values[:, levels]
    else:
        edges = [0, *torch.tensor(space.part_sizes).cumsum(0).tolist()]
        part = slice(edges[levels.start], edges[levels.stop])
        values[:, part] = others.values[:, part]
    return Points(values, points.labels)


def matrix(space: Space, rows: Points, columns: Points, levels: slice) -> Points:
    """Every row with the `levels` of every column: (R * C, ...), row by row."""
    num_rows, num_columns = len(rows), len(columns)
    across = torch.arange(num_columns).repeat(num_rows)
    return mixed(space, rows.repeated(num_columns), columns[across], levels)


def require_levels(space: Space) -> None:
    """Raise `ConfigError` for a generator that reads one latent as a whole."""
    if space.num_levels < 2:
        raise ConfigError(
            "This generator reads its latent as a whole, so there are no levels to mix.",
            expected="a generator with styles, or one that hands parts of its latent to each resolution",
            hint="train one: --set generator.kind=style, or --set generator.skip_latent=true",
        )
