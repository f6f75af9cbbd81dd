from __future__ import annotations

import pytest
import torch
from torch import nn

from ganlet.networks.conditioning import (
    LABEL_SIZE,
    ConditionalNorm,
    ConditionalSequential,
    Head,
    LabelEmbedding,
    LabelledImages,
    LabelledLatents,
    LevelInputs,
    conditional,
)
from ganlet.networks.init import initialise
from ganlet.networks.minibatch import MINIBATCH_STATISTICS


def drawn(module, scheme="xavier"):
    initialise(module, scheme, 0)
    return module


# Labels at the input


def test_an_embedding_is_the_sum_of_the_rows_that_are_set():
    embedding = drawn(LabelEmbedding(3, 5))
    labels = torch.tensor([[0.0, 1, 0], [1, 0, 1], [0, 0, 0]])
    rows = embedding.weight
    torch.testing.assert_close(embedding(labels), torch.stack([rows[1], rows[0] + rows[2], torch.zeros(5)]))


def test_labelled_latents_carry_their_embedding_behind_them(normal, one_hot):
    labelled, latents = drawn(LabelledLatents(4, 3)), normal(2, 4)
    seen = labelled(latents, one_hot(2, 0, num_labels=3))
    assert labelled.size == 4 + LABEL_SIZE
    assert torch.equal(seen[:, :4], latents)
    assert torch.equal(seen[:, 4:], labelled.embedding.weight[[2, 0]])


def test_labelled_latents_of_several_levels_carry_it_at_each(normal, one_hot):
    labelled, latents, labels = drawn(LabelledLatents(4, 3)), normal(2, 6, 4), one_hot(2, 0, num_labels=3)
    seen = labelled(latents, labels)
    for level in range(6):
        assert torch.equal(seen[:, level], labelled(latents[:, level], labels))


def test_labelled_images_have_a_channel_more(normal, one_hot):
    labelled, images = drawn(LabelledImages((4, 6), 3)), normal(2, 3, 4, 6)
    seen = labelled(images, one_hot(2, 0, num_labels=3))
    assert labelled.extra_channels == 1
    assert torch.equal(seen[:, :3], images)
    assert torch.equal(seen[:, 3], labelled.embedding.weight[[2, 0]].view(2, 4, 6))


def test_without_labels_the_input_stays_as_it_is(normal):
    assert LabelledLatents(4, 0).size == 4
    assert LabelledImages((4, 6), 0).extra_channels == 0
    for labelled, seen in ((LabelledLatents(4, 0), normal(2, 4)), (LabelledImages((4, 6), 0), normal(2, 3, 4, 6))):
        assert labelled(seen, None) is seen
        assert not list(labelled.parameters())


@pytest.mark.parametrize(
    "conditional_call",
    [
        lambda: LabelledLatents(4, 3)(torch.zeros(2, 4), None),
        lambda: LabelledImages((4, 6), 3)(torch.zeros(2, 3, 4, 6), None),
        lambda: Head(4, num_labels=3)(torch.zeros(2, 4), None),
        lambda: LevelInputs(4, 2, num_labels=3, condition="norm", skip_latent=False)(torch.zeros(2, 4), None),
    ],
)
def test_a_conditional_network_needs_labels(conditional_call):
    with pytest.raises(AssertionError, match="needs labels"):
        conditional_call()


# Conditions of normalisations


@pytest.mark.parametrize("places", [(), (5, 7)])
def test_a_conditional_norm_scales_and_shifts_by_the_condition(places, normal):
    layer = ConditionalNorm(nn.Identity(), 2, 3)
    layer.scale.weight.data = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
    layer.scale.bias.data = torch.tensor([0.5, -0.5])
    layer.shift.weight.data = torch.tensor([[10.0, 20, 30], [40, 50, 60]])
    layer.shift.bias.data = torch.tensor([1.0, 2.0])
    maps = normal(2, 2, *places)
    seen = layer(maps, torch.tensor([[0.0, 1, 0], [1, 0, 1]]))
    # The first: scale 1 + (2 + 0.5, 5 - 0.5), shift (20 + 1, 50 + 2). The second: 1 + (1 + 3 + 0.5, 4 + 6 - 0.5) ...
    for image, (scales, shifts) in enumerate([((3.5, 5.5), (21, 52)), ((5.5, 10.5), (41, 102))]):
        for channel in range(2):
            expected = maps[image, channel] * scales[channel] + shifts[channel]
            torch.testing.assert_close(seen[image, channel], expected)


def test_a_conditional_norm_normalises_first(normal):
    layer, maps = drawn(ConditionalNorm(nn.BatchNorm2d(4), 4, 3)), 5 + normal(8, 4, 6, 6)
    nn.init.ones_(layer.norm.weight)
    seen = layer(maps, torch.zeros(8, 3))
    torch.testing.assert_close(seen.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-5)


def test_there_is_a_conditional_norm_only_where_there_is_a_condition():
    norm = nn.BatchNorm2d(4)
    assert conditional(norm, 4, 0) is norm
    made = conditional(norm, 4, 3)
    assert isinstance(made, ConditionalNorm)
    assert made.norm is norm
    assert (made.scale.in_features, made.scale.out_features) == (3, 4)


def test_a_conditional_sequence_hands_the_condition_down(normal):
    norms = [drawn(ConditionalNorm(nn.Identity(), 4, 3)) for _ in range(2)]
    sequence = ConditionalSequential(norms[0], nn.ReLU(), ConditionalSequential(nn.Tanh(), norms[1]))
    maps, condition = normal(2, 4, 5, 5), normal(2, 3)
    expected = norms[1](norms[0](maps, condition).relu().tanh(), condition)
    assert torch.equal(sequence(maps, condition), expected)
    assert torch.equal(ConditionalSequential(nn.ReLU())(maps), maps.relu())


# What enters a generator


def levels(latent_size=7, num_levels=3, num_labels=0, condition="concat", skip_latent=False):
    return LevelInputs(
        latent_size, num_levels, num_labels=num_labels, condition=condition, skip_latent=skip_latent
    )  # fmt: skip


def test_a_plain_generator_is_given_the_latents(normal):
    inputs, latents = levels(), normal(2, 7)
    assert (inputs.size, inputs.condition_sizes, inputs.part_sizes) == (7, [0, 0, 0], [7])
    seen, conditions = inputs(latents, None)
    assert torch.equal(seen, latents)
    assert conditions == [None, None, None]


def test_concatenated_labels_are_in_the_input_and_in_no_condition(normal, one_hot):
    inputs, latents, labels = drawn(levels(num_labels=4)), normal(2, 7), one_hot(3, 1, num_labels=4)
    seen, conditions = inputs(latents, labels)
    assert inputs.size == seen.shape[1] == 7 + LABEL_SIZE
    assert torch.equal(seen, inputs.labelled(latents, labels))
    assert conditions == [None, None, None]


def test_labels_in_norms_are_every_levels_condition(normal, one_hot):
    inputs, latents, labels = levels(num_labels=4, condition="norm"), normal(2, 7), one_hot(3, 1, num_labels=4)
    seen, conditions = inputs(latents, labels)
    assert (inputs.size, inputs.condition_sizes) == (7, [4, 4, 4])
    assert torch.equal(seen, latents)
    assert all(torch.equal(condition, labels) for condition in conditions)


@pytest.mark.parametrize(
    ("latent_size", "sizes"), [(7, [3, 2, 2]), (8, [3, 3, 2]), (9, [3, 3, 3]), (3, [1, 1, 1]), (1024, [342, 341, 341])]
)
def test_latents_are_split_into_nearly_equal_parts(latent_size, sizes, normal):
    inputs, latents = levels(latent_size, skip_latent=True), normal(2, latent_size)
    seen, (first, *conditions) = inputs(latents, None)
    assert inputs.part_sizes == sizes
    assert (inputs.size, inputs.condition_sizes) == (sizes[0], [0, *sizes[1:]])
    assert first is None
    assert torch.equal(torch.cat([seen, *conditions], dim=1), latents)


def test_a_part_of_the_latents_and_labels_make_one_condition(normal, one_hot):
    inputs, latents = levels(num_labels=4, condition="norm", skip_latent=True), normal(2, 7)
    labels = one_hot(3, 1, num_labels=4)
    seen, conditions = inputs(latents, labels)
    assert inputs.condition_sizes == [4, 6, 6]
    assert torch.equal(seen, latents[:, :3])
    assert torch.equal(conditions[0], labels)
    assert torch.equal(conditions[1], torch.cat([latents[:, 3:5], labels], dim=1))
    assert torch.equal(conditions[2], torch.cat([latents[:, 5:7], labels], dim=1))


def test_concatenated_labels_go_with_the_first_part(normal, one_hot):
    inputs, latents = drawn(levels(num_labels=4, skip_latent=True)), normal(2, 7)
    labels = one_hot(3, 1, num_labels=4)
    seen, conditions = inputs(latents, labels)
    assert torch.equal(seen, inputs.labelled(latents[:, :3], labels))
    assert torch.equal(conditions[2], latents[:, 5:7])


def test_each_level_takes_its_part_from_its_own_row(normal):
    inputs, latents = levels(skip_latent=True), normal(2, 3, 7)
    seen, (_, second, third) = inputs(latents, None)
    assert torch.equal(seen, latents[:, 0, :3])
    assert torch.equal(second, latents[:, 1, 3:5])
    assert torch.equal(third, latents[:, 2, 5:7])


# The head of a discriminator


def test_projection_follows_its_equation():
    """Miyato & Koyama 2018, equation 3: y^T V phi(x) + psi(phi(x)), on numbers that can be checked by hand."""
    head = Head(2, num_labels=3)
    head.to_logit.weight.data = torch.tensor([[2.0, -1.0]])
    head.to_logit.bias.data = torch.tensor([0.5])
    head.projection.weight.data = torch.tensor([[1.0, 10.0, 100.0], [3.0, 30.0, 300.0]])  # V transposed
    features = torch.tensor([[1.0, 4.0], [2.0, 3.0], [5.0, 6.0]])
    labels = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    # psi: 2 - 4 + 0.5, 4 - 3 + 0.5, 10 - 6 + 0.5; projections: 10 + 120, 202 + 909, 0.
    expected = torch.tensor([-1.5 + 130, 1.5 + 1111, 4.5])
    logits = head(features, labels)
    torch.testing.assert_close(logits.real, expected)
    assert logits.labels is None


def test_a_classifier_guesses_the_labels_without_seeing_them(normal):
    head, features = drawn(Head(5, num_labels=3, condition="classifier")), normal(4, 5)
    logits = head(features, None)
    torch.testing.assert_close(logits.labels, features @ head.classifier.weight.T + head.classifier.bias)
    torch.testing.assert_close(logits.real, (features @ head.to_logit.weight.T + head.to_logit.bias)[:, 0])
    assert head.projection is None


@pytest.mark.parametrize(("num_labels", "condition"), [(0, "projection"), (0, "classifier"), (3, "concat")])
def test_a_head_without_labels_has_one_layer(num_labels, condition, normal):
    head, features = Head(5, num_labels=num_labels, condition=condition, bias=False), normal(4, 5)
    assert [name for name, _ in head.named_parameters()] == ["to_logit.weight"]
    logits = head(features, None)
    torch.testing.assert_close(logits.real, features @ head.to_logit.weight[0])
    assert logits.labels is None


@pytest.mark.parametrize("name", MINIBATCH_STATISTICS)
@pytest.mark.parametrize("condition", ["projection", "classifier"])
def test_every_part_of_a_head_sees_the_statistics_of_the_batch(name, condition, normal, one_hot):
    head = drawn(Head(5, num_labels=3, condition=condition, batch_statistics=name))
    features, labels = normal(4, 5), one_hot(0, 1, 2, 0, num_labels=3)
    extra = head.statistics(features)
    assert extra.shape == (4, 5 + head.statistics.extra_features)
    logits = head.to_logit(extra)[:, 0]
    if condition == "projection":
        logits = logits + (head.projection(labels) * extra).sum(dim=1)
    else:
        torch.testing.assert_close(head(features, labels).labels, head.classifier(extra))
    torch.testing.assert_close(head(features, labels).real, logits)
