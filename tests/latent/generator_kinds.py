"""What there is to be explored: every kind of generator of the registry."""

from __future__ import annotations

from typing import Any

import pytest

from ganlet.networks.settings import GENERATORS

NUM_LABELS = 3


def kinds() -> list[Any]:
    """Every kind of the registry, with every yes-or-no of mixing, with and without labels."""
    found = []
    for kind, settings in GENERATORS.items():
        for mixed in (False, True) if "skip_latent" in settings.model_fields else (False,):
            for num_labels in (0, NUM_LABELS):
                name = f"{kind}{'-skip' if mixed else ''}{'-labels' if num_labels else ''}"
                found.append(pytest.param({"kind": kind, "skip_latent": mixed, "labels": num_labels}, id=name))
    return found


KINDS = kinds()
WITH_LEVELS = [kind for kind in KINDS if kind.values[0]["skip_latent"] or kind.values[0]["kind"] == "style"]
