"""What there is to be tested: kinds of networks and what their settings may be, as the registries have them."""

from __future__ import annotations

from typing import get_args

from ganlet.networks.settings import DISCRIMINATORS, GENERATORS, NetworkSettings
from ganlet.workflows.configuring import make_config

REGISTRIES = {"generator": GENERATORS, "discriminator": DISCRIMINATORS}


def values_of(settings: type[NetworkSettings], name: str) -> tuple[str, ...]:
    """All that a setting of a kind may be."""
    return get_args(settings.model_fields[name].annotation)


def having(name: str) -> list[tuple[str, str]]:
    """Side and kind of every network with that setting."""
    return [(side, kind) for side, kinds in REGISTRIES.items() for kind in kinds if name in kinds[kind].model_fields]


def conditions(side: str) -> list[tuple[str, str]]:
    """Every kind with every way for labels to enter that it allows."""
    labelled = make_config(overrides={"data.labels": "classes", "data.label_names": ["a", "b", "c"]})
    return [
        (kind, condition)
        for kind, settings in REGISTRIES[side].items()
        for condition in values_of(settings, "condition")
        if not list(settings(condition=condition).problems(side, labelled))
    ]


LABELLED = {side: conditions(side) for side in REGISTRIES}
