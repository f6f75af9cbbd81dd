"""Plain facts of pictures that a person sees at once, as numbers: what a direction without a name moves."""

from __future__ import annotations

import numpy as np

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
MIDDLE_GREY = 0.5


def facts_of(pictures: np.ndarray) -> dict[str, np.ndarray]:
    """Facts of pictures uint8 (N, H, W, 1 | 3 | 4) by name, float64 (N,) each.

    Grey pictures have none about colours. Where there is alpha, pictures are laid on mid grey.

    - brightness, contrast: mean and standard deviation of the grey levels, in [0, 1]
    - saturation: mean of the largest less the smallest of red, green and blue
    - red against blue, green against purple: mean of R - B, and of G - (R + B) / 2
    - asymmetry: mean difference of the grey levels from those of the mirrored picture
    - edges: mean length of the grey levels' gradient, per pixel
    - centre to the right, centre further down: middle of the edges, in halves of the picture
    - size: how far edges lie from their middle (root of the mean square), in halves of the picture
    - coverage: mean alpha
    """
    values = pictures.astype(np.float64) / 255
    found: dict[str, np.ndarray] = {}
    if values.shape[-1] == 4:
        alpha = values[..., 3:]
        found["coverage"] = alpha.mean(axis=(1, 2, 3))
        values = values[..., :3] * alpha + MIDDLE_GREY * (1 - alpha)
    grey = values @ LUMA if values.shape[-1] == 3 else values[..., 0]
    found = {"brightness": grey.mean(axis=(1, 2)), "contrast": grey.std(axis=(1, 2)), **found}
    if values.shape[-1] == 3:
        red, green, blue = np.moveaxis(values, -1, 0)
        found["saturation"] = np.ptp(values, axis=-1).mean(axis=(1, 2))
        found["red against blue"] = (red - blue).mean(axis=(1, 2))
        found["green against purple"] = (green - (red + blue) / 2).mean(axis=(1, 2))
    found["asymmetry"] = np.abs(grey - grey[:, :, ::-1]).mean(axis=(1, 2))
    return found | _edge_facts(grey)


def _edge_facts(grey: np.ndarray) -> dict[str, np.ndarray]:
    down, right = np.gradient(grey, axis=(1, 2))
    edges = np.hypot(down, right)
    weights = edges / np.maximum(edges.sum(axis=(1, 2), keepdims=True), 1e-12)
    y, x = (np.linspace(-1, 1, side) for side in grey.shape[1:])
    middle_x = (weights * x).sum(axis=(1, 2))
    middle_y = (weights * y[:, None]).sum(axis=(1, 2))
    squares = (x - middle_x[:, None, None]) ** 2 + (y[:, None] - middle_y[:, None, None]) ** 2
    return {
        "edges": edges.mean(axis=(1, 2)),
        "centre to the right": middle_x,
        "centre further down": middle_y,
        "size": np.sqrt((weights * squares).sum(axis=(1, 2))),
    }
