"""Benchmarks that run parts of the engine by hand go on working when the engine changes."""

from __future__ import annotations

import iteration_cost
import step_speed
from ganlet.config import resolve


def test_a_step_can_be_timed(tiny_config):
    config = resolve(
        tiny_config({"data.size": 16, "train.batch_size": step_speed.BATCH, "train.total_images": 1_000}),
        num_pictures=step_speed.NUM_PICTURES,
        channels=3,
    )
    step = step_speed.ours(config, step_speed.Pictures(16, 3))
    step()
    assert step.parameters > 0


def test_a_wider_network_costs_more(tiny_config):
    configs = [
        resolve(tiny_config({"generator.width": width, "discriminator.width": width}), num_pictures=40, channels=3)
        for width in (4, 8)
    ]
    narrow, wide = (iteration_cost.cost(config) for config in configs)
    assert wide[0] > 1.5 * narrow[0]
    assert wide[1] > narrow[1]
    # A penalty at every step needs the gradient of a gradient.
    penalised = resolve(tiny_config({"objective.penalties": [{"kind": "r1"}]}), num_pictures=40, channels=3)
    assert iteration_cost.cost(penalised)[0] > 1.05 * narrow[0]
