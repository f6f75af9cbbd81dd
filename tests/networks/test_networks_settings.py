from __future__ import annotations

import inspect
from typing import get_args

import pytest
import torch
from network_kinds import LABELLED, REGISTRIES, having, values_of

from ganlet.errors import ConfigError
from ganlet.networks import settings
from ganlet.networks.init import INITIAL
from ganlet.networks.minibatch import MINIBATCH_STATISTICS
from ganlet.networks.norms import NORMS

each_side_and_kind = pytest.mark.parametrize(("side", "kind"), having("kind"))


@pytest.mark.parametrize(
    ("names", "choices"),
    [
        (settings.Norm, NORMS),
        (settings.Initial, INITIAL),
        (settings.BatchStatistics, MINIBATCH_STATISTICS),
    ],
    ids=["norm", "initial", "batch_statistics"],
)
def test_what_settings_may_name_is_what_there_is(names, choices):
    assert set(get_args(names)) == set(choices)


@each_side_and_kind
def test_a_kind_stands_in_the_registry_by_its_own_name(side, kind):
    assert REGISTRIES[side][kind]().kind == kind


@each_side_and_kind
def test_a_kind_grows_if_it_says_so(side, kind):
    settings = REGISTRIES[side][kind]()
    takes = inspect.signature(settings.module()).parameters
    assert ("grow_from" in takes) == settings.grows
    if settings.grows:
        assert settings.module()(size=32, width=2, grow_from=8).num_stages == 3


def test_all_but_norms_for_styles_take_labels_in_every_way():
    refused = {
        (side, kind, condition)
        for side, kinds in REGISTRIES.items()
        for kind in kinds
        for condition in values_of(kinds[kind], "condition")
        if (kind, condition) not in LABELLED[side]
    }
    assert refused == {("generator", "style", "norm")}


# Constructed directly, for loops of one's own


@pytest.fixture
def memory_full_of_nan():
    """Memory that nobody has written to holds NaN, not by chance what looks like weights."""
    before = torch.are_deterministic_algorithms_enabled(), torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(before[0])
    torch.utils.deterministic.fill_uninitialized_memory = before[1]


def made_by_hand(side, kind, **options):
    """A network as its class makes it, its weights drawn from torch's global stream."""
    torch.manual_seed(3)
    return REGISTRIES[side][kind]().module()(size=16, **options)


@pytest.mark.usefixtures("memory_full_of_nan")
@each_side_and_kind
def test_a_network_made_directly_is_ready_for_use(side, kind, normal):
    network = made_by_hand(side, kind)
    for name, tensor in network.state_dict().items():
        assert tensor.isfinite().all(), name
    for name, parameter in network.named_parameters():
        assert parameter.dim() < 2 or parameter.std() > 0 or name.endswith("bias"), name
    for mode in (True, False):
        network.train(mode)
        if side == "generator":
            made = network(normal(4, network.latent_size))
            assert made.shape == (4, 3, 16, 16)
            assert made.abs().max() <= 1
            assert (made.abs() > 0.999).float().mean() < 0.5  # something is left to learn from
        else:
            made = network(normal(4, 3, 16, 16))
            assert made.shape == (4,)
        assert made.isfinite().all()
        assert made.std(0).max() > 0
    (made * normal(*made.shape)).sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in network.parameters())


@pytest.mark.usefixtures("memory_full_of_nan")
@pytest.mark.parametrize(
    ("side", "kind", "condition"),
    [(side, kind, condition) for side, pairs in LABELLED.items() for kind, condition in pairs],
)
def test_a_network_with_labels_made_directly_is_ready_for_use(side, kind, condition, normal, one_hot):
    network = made_by_hand(side, kind, num_labels=3, condition=condition)
    assert all(tensor.isfinite().all() for tensor in network.state_dict().values())
    seen = normal(4, network.latent_size) if side == "generator" else normal(4, 3, 16, 16)
    assert network(seen, one_hot(0, 1, 2, 0, num_labels=3)).isfinite().all()


@each_side_and_kind
def test_one_number_is_both_sides_of_a_picture(side, kind):
    one = made_by_hand(side, kind).state_dict()
    torch.manual_seed(3)
    both = REGISTRIES[side][kind]().module()(size=(16, 16), channels=3).state_dict()
    assert one.keys() == both.keys()
    assert all(torch.equal(tensor, both[name]) for name, tensor in one.items())


@each_side_and_kind
def test_a_constructor_has_the_defaults_of_the_config(side, kind):
    settings = REGISTRIES[side][kind]()
    parameters = inspect.signature(settings.module()).parameters
    defaults = {name: parameters[name].default for name in settings.arguments()}
    assert defaults == settings.arguments()
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters.values())
    if side == "generator":
        latents = made_by_hand(side, kind).latents
        assert (latents.size, latents.kind, latents.mixing) == (settings.latent_size, settings.latents, 0.0)


def names_of(kind):
    """The settings of a network that its constructor takes, and that are one of a few words."""
    taken = inspect.signature(kind().module()).parameters
    return [name for name in kind.model_fields if name in taken and values_of(kind, name)]


CHOICES = [(side, kind, name) for side, kinds in REGISTRIES.items() for kind in kinds for name in names_of(kinds[kind])]


@pytest.mark.parametrize(("side", "kind", "name"), CHOICES)
def test_a_constructor_refuses_a_word_that_means_nothing(side, kind, name):
    with pytest.raises(ConfigError, match="cannot be built") as caught:
        REGISTRIES[side][kind]().module()(size=16, width=2, **{name: "projektion"})
    assert caught.value.got.startswith(f"{name}='projektion'")


@each_side_and_kind
def test_a_constructor_refuses_pictures_that_are_too_small(side, kind):
    with pytest.raises(ConfigError, match="cannot be built") as caught:
        REGISTRIES[side][kind]().module()(size=(4, 16), width=2)
    assert caught.value.expected == "sides of at least 8"
