"""The networks that a page draws with: the generator, or, where there are styles, what maps to them and what draws them."""

from __future__ import annotations

from typing import Any

from torch import nn

from ganlet.errors import ConfigError
from ganlet.export.drawer import Drawer, StyleDrawer, StyleMapper
from ganlet.export.onnx_file import onnx_graph
from ganlet.export.web.graph import Program, program_of
from ganlet.networks.latents import Latents


def programs(generator: nn.Module, num_labels: int) -> dict[str, Program]:
    """What the page runs: "draw", from points to images, and with styles "map", from latents to them.

    Raises `ConfigError` for a generator that is fed other things than latents, or has an unknown operator.
    """
    asked: Any = getattr(generator, "latents", None)
    if not isinstance(asked, Latents):
        expected = "a generator that asks for `Latents`"
        raise ConfigError("The page draws from latents only.", got=type(asked).__name__, expected=expected)
    if not getattr(generator, "has_styles", False):
        drawer = Drawer(generator, num_labels)
        # Mixed latents are one latent of parts: see `latent.space.Space.enter`.
        return {"draw": program_of(onnx_graph(drawer, drawer.inputs, batch=1))}
    mapper, drawer = StyleMapper(generator, num_labels), StyleDrawer(generator)
    return {
        "map": program_of(onnx_graph(mapper, mapper.inputs, batch=1, output="styles")),
        "draw": program_of(onnx_graph(drawer, drawer.inputs, batch=1)),
    }
