"""The graphs that a page draws with: the generator, or what maps to styles and what draws them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from ganlet.errors import ConfigError
from ganlet.export.drawer import Drawer, StyleDrawer, StyleMapper
from ganlet.export.onnx_file import onnx_graph, require_packages
from ganlet.export.parity import answer, open_session, pixels
from ganlet.export.web.contents import NUM_REFERENCES
from ganlet.export.web.packing import Precision
from ganlet.export.web.runtimes import Runtime
from ganlet.latent.space import Points
from ganlet.networks.latents import Latents, sample_latents
from ganlet.workflows.lab.lab import Lab

if TYPE_CHECKING:
    import onnx
    import onnxruntime

LEAST_WITHIN_ONE = 0.999  # of the numbers of pictures
NUM_TRIED, FIRST_SEED = 16, 1_000_000


def graphs(generator: nn.Module, num_labels: int) -> dict[str, onnx.ModelProto]:
    """What the page runs: "draw", from points to images, and with styles "map", from latents to them.

    Raises `ConfigError` for a generator that is fed other things than latents, `EnvironmentProblem` where a package
    is missing.
    """
    require_packages()
    asked: Any = getattr(generator, "latents", None)
    if not isinstance(asked, Latents):
        expected = "a generator that asks for `Latents`"
        raise ConfigError("The page draws from latents only.", got=type(asked).__name__, expected=expected)
    if not getattr(generator, "has_styles", False):
        # Mixed latents are one latent of parts: see `latent.space.Space.enter`.
        drawer = Drawer(generator, num_labels)
        return {"draw": onnx_graph(drawer, drawer.inputs, batch=1)}
    mapper, drawer = StyleMapper(generator, num_labels), StyleDrawer(generator)
    return {
        "map": onnx_graph(mapper, mapper.inputs, batch=1, output="styles"),
        "draw": onnx_graph(drawer, drawer.inputs, batch=1),
    }


def smallest_precision(lab: Lab, models: Mapping[str, onnx.ModelProto], runtime: Runtime) -> Precision:
    """The smallest precision with which the page's pictures are those of PyTorch, nearly all to one grey level.

    Measured on the first pictures of some seeds, without a browser.
    """
    for precision in runtime.candidates:
        sessions = {
            name: open_session(runtime.rounded(model, precision).SerializeToString()) for name, model in models.items()
        }
        if _share_within_one(lab, sessions) >= LEAST_WITHIN_ONE:
            return precision
    return "fp32"


def _share_within_one(lab: Lab, sessions: Mapping[str, onnxruntime.InferenceSession]) -> float:
    """The share of numbers that are at most one grey level from those of PyTorch."""
    levels = []
    for seed in [*range(NUM_REFERENCES), *range(FIRST_SEED, FIRST_SEED + NUM_TRIED)]:
        point = lab.sample(1, seed)
        if lab.space.has_styles:
            latents = sample_latents(lab.trained.generator.latents, 1, seed)
            given = {"latents": latents.numpy()} | _labels(point)
            style = answer(sessions["map"], given)
            drawn = answer(sessions["draw"], {"styles": np.repeat(style[:, None], lab.space.num_levels, axis=1)})
        else:
            drawn = answer(sessions["draw"], {"latents": point.values.numpy()} | _labels(point))
        home = lab.space.pictures(point).transpose(0, 3, 1, 2)
        levels.append(np.abs(pixels(drawn) - home.astype(int)))
    near = np.stack(levels) <= 1
    # The page itself compares the first ones, and must not find fault with them.
    return float(min(near[:NUM_REFERENCES].mean(), near[NUM_REFERENCES:].mean()))


def _labels(point: Points) -> dict[str, np.ndarray]:
    return {} if point.labels is None else {"labels": point.labels.numpy()}
