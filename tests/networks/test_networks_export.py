from __future__ import annotations

import pytest
import torch
from network_kinds import LABELLED

from ganlet.networks.settings import GENERATORS


@pytest.mark.parametrize("kind", GENERATORS)
def test_a_generator_can_be_exported_for_any_number_of_pictures(kind, small, generator_of, normal):
    generator = generator_of(small(kind, (24, 16), **{"generator.initial": "xavier"})).eval()
    for options in ({}, {"truncation": 0.7}) if generator.has_styles else ({},):
        shapes = {"latents": {0: torch.export.Dim("batch")}} | dict.fromkeys(options)
        exported = torch.export.export(generator, (normal(3, 5),), options, dynamic_shapes=shapes).module()
        for num in (1, 2, 5):
            with torch.no_grad():
                made, expected = exported(normal(num, 5), **options), generator(normal(num, 5), **options)
            assert made.shape == (num, 3, 24, 16)
            torch.testing.assert_close(made, expected)


@pytest.mark.parametrize(("kind", "condition"), LABELLED["generator"])
def test_a_generator_with_labels_can_be_exported(kind, condition, small, generator_of, normal, one_hot):
    changes = {"generator.condition": condition, "generator.initial": "xavier"}
    generator = generator_of(small(kind, num_labels=3, **changes)).eval()
    batch = {0: torch.export.Dim("batch")}
    given = normal(3, 5), one_hot(0, 1, 2, num_labels=3)
    exported = torch.export.export(generator, given, dynamic_shapes={"latents": batch, "labels": batch}).module()
    for classes in ((1,), (2, 0, 1, 1, 0)):
        given = normal(len(classes), 5), one_hot(*classes, num_labels=3)
        with torch.no_grad():
            torch.testing.assert_close(exported(*given), generator(*given))
