from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.autograd import gradcheck, gradgradcheck

from ganlet.objective.augment import POLICIES, augment, augmented, num_draws
from ganlet.objective.penalties import Consistency
from ganlet.objective.settings import AugmentConfig

EVERY = tuple(POLICIES)
ALWAYS, NEVER = torch.tensor(1.0), torch.tensor(0.0)
LARGEST = 1 - 2**-24  # the largest number below 1 that torch.rand draws
SHAPES = [(1, 8, 8), (3, 8, 13), (3, 17, 10), (4, 9, 12)]
each_policy = pytest.mark.parametrize("policy", POLICIES)


def pictures(*shape, seed=1, dtype=torch.float32):
    return (2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 1).to(dtype)


def numbers(size, seed=2):
    return torch.rand(size, num_draws(), generator=torch.Generator().manual_seed(seed))


def own(policy):
    """Where the numbers of a policy are: the gate, then three amounts."""
    first = 4 * EVERY.index(policy)
    return slice(first, first + 4)


def chosen_numbers(policy, amounts):
    random = numbers(len(amounts))
    random[:, own(policy)] = torch.tensor([[0.0, *amount] for amount in amounts])
    return random


# What each policy does to one image (C, H, W), pixel by pixel


def color_by_loops(image, brightness, saturation, contrast):
    result, colors = image.copy(), range(min(len(image), 3))
    height, width = image.shape[1:]
    pixels = [(y, x) for y in range(height) for x in range(width)]
    for c in colors:
        result[c] += brightness - 0.5
    if len(colors) == 3:
        for y, x in pixels:
            grey = sum(result[c, y, x] for c in colors) / 3
            for c in colors:
                result[c, y, x] = grey + 2 * saturation * (result[c, y, x] - grey)
    mean = sum(result[c, y, x] for c in colors for y, x in pixels) / (len(colors) * len(pixels))
    for c in colors:
        result[c] = mean + (0.5 + contrast) * (result[c] - mean)
    return result


def translation_by_loops(image, down, right, _):
    height, width = image.shape[1:]
    rows, columns = int(height / 8 + 0.5), int(width / 8 + 0.5)
    # As many places to go to as a die has faces: from -rows to rows.
    down, right = int(down * (2 * rows + 1)) - rows, int(right * (2 * columns + 1)) - columns
    result = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            if 0 <= y + down < height and 0 <= x + right < width:
                result[:, y + down, x + right] = image[:, y, x]
    return result


def cutout_by_loops(image, down, right, _):
    height, width = image.shape[1:]
    rows, columns = int(height / 2 + 0.5), int(width / 2 + 0.5)
    down, right = int(down * (height + 1 - rows % 2)), int(right * (width + 1 - columns % 2))
    result = image.copy()
    for y in range(rows):
        for x in range(columns):
            # As in the authors' program: what hangs over the edge falls on it.
            row = min(max(y + down - rows // 2, 0), height - 1)
            column = min(max(x + right - columns // 2, 0), width - 1)
            result[:, row, column] = 0
    return result


BY_LOOPS = {"color": color_by_loops, "translation": translation_by_loops, "cutout": cutout_by_loops}


def by_loops(policy, images, random):
    amounts = random[:, own(policy)][:, 1:].double()
    return torch.stack(
        [
            torch.from_numpy(BY_LOOPS[policy](image.double().numpy(), *amount.tolist())).to(images.dtype)
            for image, amount in zip(images, amounts, strict=True)
        ]
    )


@pytest.mark.parametrize("settings", [AugmentConfig, Consistency])
def test_the_policies_are_those_of_the_config(settings):
    assert settings(policies=EVERY).policies == EVERY
    with pytest.raises(ValidationError) as caught:
        settings(policies=["blur"])
    assert all(f"'{policy}'" in str(caught.value) for policy in POLICIES)
    assert set(POLICIES) == set(BY_LOOPS)


@each_policy
@pytest.mark.parametrize("shape", SHAPES)
def test_at_full_strength_a_policy_is_the_papers(policy, shape):
    images, random = pictures(24, *shape), numbers(24)
    found, expected = augment(images, random, ALWAYS, (policy,)), by_loops(policy, images, random)
    assert not torch.allclose(found, images)
    torch.testing.assert_close(found, expected, rtol=0, atol=0 if policy != "color" else 2e-6)


@each_policy
@pytest.mark.parametrize("number", [0.0, LARGEST])
def test_the_smallest_and_largest_numbers_are_no_exception(policy, number):
    images, random = pictures(2, 3, 17, 10), torch.full((2, num_draws()), number)
    torch.testing.assert_close(
        augment(images, random, ALWAYS, (policy,)), by_loops(policy, images, random), rtol=0, atol=2e-6
    )


# By hand


def test_translation_by_hand():
    image = torch.arange(1.0, 129.0).view(1, 1, 8, 16)
    # An eighth of 8 x 16 is 1 x 2 pixels. Of 3 ways down 0.9 is the last, + 1; of 5 ways right 0.1 is the first, - 2.
    moved = augment(image, chosen_numbers("translation", [(0.9, 0.1, 0.5)]), ALWAYS, ("translation",))
    assert not moved[..., 0, :].any()
    assert not moved[..., -2:].any()
    assert torch.equal(moved[..., 1:, :-2], image[..., :-1, 2:])


def test_cutout_by_hand():
    image = torch.ones(1, 1, 8, 16)
    # The hole is 4 x 8. Its centre is at one of 9 lines: 0.0 is the upper edge; of 17: 0.5 is the middle.
    cut = augment(image, chosen_numbers("cutout", [(0.0, 0.5, 0.5)]), ALWAYS, ("cutout",))
    assert not cut[..., :2, 4:12].any()
    assert cut.sum() == 8 * 16 - 2 * 8


def test_color_by_hand():
    image = torch.tensor([0.0, 0.3, 0.6]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    # Brightness + 0.25: 0.25, 0.55, 0.85; saturation 1.5 about 0.55: 0.1, 0.55, 1.0; contrast 0.6: 0.28, 0.55, 0.82.
    changed = augment(image, chosen_numbers("color", [(0.75, 0.75, 0.1)]), ALWAYS, ("color",))
    expected = torch.tensor([0.28, 0.55, 0.82]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    torch.testing.assert_close(changed, expected)


def test_every_shift_is_as_likely_as_any_other():
    amounts = [((k + 0.5) / 5, 0.5, 0.5) for k in range(5)]  # 2 of 16 pixels: five places
    dot = torch.zeros(5, 1, 16, 8)
    dot[:, :, 8, 4] = 1
    moved = augment(dot, chosen_numbers("translation", amounts), ALWAYS, ("translation",))
    assert moved[:, 0, :, 4].argmax(1).tolist() == [6, 7, 8, 9, 10]


def test_alpha_keeps_its_colour_and_moves_with_the_rest():
    images, random = pictures(6, 4, 8, 8), numbers(6)
    assert torch.equal(augment(images, random, ALWAYS, ("color",))[:, 3], images[:, 3])
    for policy in ("translation", "cutout"):
        together = augment(images, random, ALWAYS, (policy,))
        alone = augment(images[:, 3:], random, ALWAYS, (policy,))
        assert torch.equal(together[:, 3:], alone)
        assert not torch.equal(alone, images[:, 3:])


# Strength


@pytest.mark.parametrize("shape", SHAPES)
def test_without_strength_images_stay_what_they_are_bit_for_bit(shape):
    images = pictures(5, *shape)
    images[:, :, 0] = -0.0
    found = augment(images, torch.zeros(5, num_draws()), NEVER, EVERY)
    assert torch.equal(found.view(torch.int32), images.view(torch.int32))


@each_policy
def test_the_gate_chooses_the_images(policy):
    images, random = pictures(6, 3, 8, 8), numbers(6)
    amounts = random[:, own(policy)]
    amounts[:, 1:3] = torch.rand(6, 2, generator=torch.Generator().manual_seed(3)) / 4  # moved, cut and darkened
    amounts[:, 0] = torch.tensor([0.1, 0.9, 0.49, 0.5, 0.0, LARGEST])
    found = augment(images, random, torch.tensor(0.5), (policy,))
    chosen = [True, False, True, False, True, False]
    assert [not torch.equal(new, old) for new, old in zip(found, images, strict=True)] == chosen
    always = augment(images, random, ALWAYS, (policy,))
    assert torch.equal(found[chosen], always[chosen])
    assert not any(torch.equal(new, old) for new, old in zip(always, images, strict=True))


def test_policies_are_gated_each_for_itself_and_applied_in_their_order():
    images, random = pictures(4, 3, 8, 8), numbers(4)
    random[:, own("color")][:, 0] = torch.tensor([0.0, 0.0, 0.9, 0.9])
    random[:, own("cutout")][:, 0] = torch.tensor([0.0, 0.9, 0.0, 0.9])
    found = augment(images, random, torch.tensor(0.5), ("color", "cutout"))
    colored = by_loops("color", images, random)
    expected = torch.stack(
        [by_loops("cutout", colored, random)[0], colored[1], by_loops("cutout", images, random)[2], images[3]]
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)
    # Cut first, the hole takes part in the colours.
    other = augment(images, random, torch.tensor(0.5), ("cutout", "color"))
    assert not torch.allclose(other[0], found[0])


# Alike for both sides


def test_the_same_numbers_do_the_same_to_real_and_fake():
    real, fake, random = pictures(6, 3, 9, 16), pictures(6, 3, 9, 16, seed=7), numbers(6)
    # What is the same transformation of both does the same to what is between them.
    middle = augment(torch.lerp(real, fake, 0.25), random, ALWAYS, EVERY)
    expected = torch.lerp(augment(real, random, ALWAYS, EVERY), augment(fake, random, ALWAYS, EVERY), 0.25)
    torch.testing.assert_close(middle, expected, rtol=0, atol=2e-6)


def test_images_of_a_batch_do_not_know_of_each_other():
    images, random, strength = pictures(5, 3, 8, 9), numbers(5), torch.tensor(0.7)
    together = augment(images, random, strength, EVERY)
    alone = torch.cat([augment(images[i : i + 1], random[i : i + 1], strength, EVERY) for i in range(len(images))])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


# Gradients, layout, device


@pytest.mark.parametrize("policies", [*((policy,) for policy in EVERY), EVERY], ids="-".join)
def test_gradients_flow_to_the_images_twice(policies):
    images = pictures(3, 3, 8, 10, dtype=torch.float64).requires_grad_()
    random = numbers(3)
    random[:, ::4] = torch.tensor([[0.1], [0.9], [0.3]])

    def augmented(images):
        return augment(images, random, torch.tensor(0.5), policies)

    # Cubed, because all of this is linear in the images: nothing would be left to differentiate the second time.
    assert gradcheck(augmented, images, fast_mode=True)
    assert gradgradcheck(lambda images: augmented(images) ** 3, images, fast_mode=True)


def test_the_gradient_of_a_shift_goes_back_where_it_came_from():
    images = pictures(1, 1, 8, 8).requires_grad_()
    random = chosen_numbers("translation", [(0.9, 0.5, 0.5)])
    weight = torch.arange(64.0).view(1, 1, 8, 8)
    (weight * augment(images, random, ALWAYS, ("translation",))).sum().backward()
    assert images.grad is not None
    assert torch.equal(images.grad[..., :-1, :], weight[..., 1:, :])
    assert not images.grad[..., -1, :].any()


def test_no_gradient_is_collected_by_index():
    # On a GPU that adds up in an order of its own: not the same twice, or slowly where it has to be.
    images = pictures(2, 3, 8, 8).requires_grad_()
    augmented = augment(images, numbers(2), ALWAYS, EVERY)
    (gradient,) = torch.autograd.grad((augmented**3).sum(), images, create_graph=True)
    names, waiting = set(), [gradient.grad_fn]
    while waiting:
        if node := waiting.pop():
            names.add(node.name())
            waiting += [parent for parent, _ in node.next_functions]
    assert "ShiftBackward" in names
    assert not [name for name in names if "Index" in name or "Gather" in name or "Scatter" in name]


@each_policy
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_type_and_memory_layout_are_kept(policy, dtype):
    images = pictures(4, 3, 8, 9, dtype=dtype).contiguous(memory_format=torch.channels_last)
    found = augment(images, numbers(4), torch.tensor(0.5), (policy,))
    assert found.dtype == dtype
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert found.isfinite().all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_nothing_looks_at_values_or_leaves_the_device(channels):
    # On this device there are no values, and every tensor from elsewhere is refused.
    images = torch.empty(4, channels, 8, 9, device="meta", requires_grad=True)
    found = augment(images, torch.empty(4, num_draws(), device="meta"), torch.empty((), device="meta"), EVERY)
    found.sum().backward()
    assert found.shape == images.shape
    assert images.grad is not None


# For loops of one's own


def test_random_numbers_may_come_from_a_generator():
    images = pictures(6, 3, 9, 12)
    random = torch.rand(6, num_draws(), generator=torch.Generator().manual_seed(4))
    found = augmented(images, EVERY, 0.6, torch.Generator().manual_seed(4))
    assert torch.equal(found, augment(images, random, torch.tensor(0.6), EVERY))
    assert not torch.equal(found, images)
    assert torch.equal(augmented(images, strength=0.0), images)


def test_without_a_generator_they_come_from_the_global_stream():
    images = pictures(6, 3, 9, 12)
    torch.manual_seed(4)
    first, second = augmented(images), augmented(images)
    torch.manual_seed(4)
    assert torch.equal(augmented(images), first)
    assert not torch.equal(second, first)
    assert torch.equal(augmented(images, EVERY, 1.0, torch.Generator().manual_seed(4)), first)


def test_one_policy_may_be_given_by_its_name():
    images = pictures(6, 3, 9, 12)
    for policy in EVERY:
        alone = augmented(images, policy, 1.0, torch.Generator().manual_seed(4))
        assert torch.equal(alone, augmented(images, (policy,), 1.0, torch.Generator().manual_seed(4)))
    with pytest.raises(ValueError, match="there is no policy 'blur', only color, translation, cutout"):
        augmented(images, ("color", "blur"))


def test_a_policy_of_ones_own_has_numbers_of_its_own_and_takes_none_from_the_others(monkeypatch):
    """A game is asked for as many numbers as before, unless the new policy is among those that are chosen."""
    before = num_draws(EVERY)
    monkeypatch.setitem(POLICIES, "lighter", lambda images, amounts: images + amounts[:, :1, None, None])
    assert num_draws(EVERY) == before
    assert num_draws((*EVERY, "lighter")) == before + 4
    images, random = pictures(3, 3, 8, 8), torch.rand(3, before + 4, generator=torch.Generator().manual_seed(1))
    random[:, -4], half = 0.0, torch.tensor(0.5)
    plain = augment(images, random[:, :before], half, EVERY)
    assert torch.equal(augment(images, random, half, EVERY), plain)
    lighter = augment(images, random, half, (*EVERY, "lighter"))
    torch.testing.assert_close(lighter, plain + random[:, -3, None, None, None])
