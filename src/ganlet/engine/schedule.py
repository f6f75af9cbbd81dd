"""What changes over a run, as pure functions of images seen."""

from __future__ import annotations

from ganlet.config.schema import RunConfig
from ganlet.settings import as_images

LOOK_EVERY, MOST_LOOKS = 4_000, 200


def growth(config: RunConfig, num_stages: int, images_seen: int) -> tuple[int, float]:
    """The stage of growing at a moment, and the share by which its resolution has faded in (Karras et al. 2018).

    The first resolution is trained for `every` images, each next one is faded in over `fade` images and then trained
    for `every` as well; the last one for the rest of the run.
    """
    settings = config.train.growing
    every = as_images(settings.every)
    if not every:
        return num_stages - 1, 1.0
    fade = every if settings.fade is None else as_images(settings.fade)
    since_first = images_seen - every
    if since_first < 0:
        return 0, 1.0
    stages, within = divmod(since_first, fade + every)
    if stages >= num_stages - 1:
        return num_stages - 1, 1.0
    return 1 + stages, min(1.0, within / fade) if fade else 1.0


def measure_every(config: RunConfig) -> int:
    """Images between the turns of the measured distance; 0: it is never measured."""
    if config.evaluate.metric == "none":
        return 0
    return as_images(config.train.checkpoint_every if config.evaluate.every is None else config.evaluate.every)


def health_interval(config: RunConfig) -> int:
    """Images between the doctor's looks; 0: it never looks."""
    if config.health.every is not None:
        return as_images(config.health.every)
    return max(LOOK_EVERY, as_images(config.train.total_images) // MOST_LOOKS)
