from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from ganlet.games import Gan
from ganlet.health import signals
from ganlet.health.signals import ProbeBatch


def images(count=16, channels=3, side=16, seed=0):
    """Smooth pictures with a little noise, as real ones are."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 4, 4, generator=random) * 2 - 1
    smooth = nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return (smooth + 0.05 * torch.randn(smooth.shape, generator=random)).clamp(-1, 1)


# Separation


@pytest.mark.parametrize(
    ("higher", "lower", "expected"),
    [
        ([1.0, 2.0], [-1.0, 0.0], 1.0),
        ([-1.0, 0.0], [1.0, 2.0], 0.0),
        ([1.0, 1.0], [1.0, 1.0, 1.0], 0.5),
        ([3.0, 1.0], [2.0, 1.0], (1 + 1 + 0 + 0.5) / 4),
    ],
)
def test_separation_counts_pairs_and_ties_by_half(higher, lower, expected):
    assert signals.separation(torch.tensor(higher), torch.tensor(lower)) == pytest.approx(expected)


class Brightness(nn.Module):
    """Finds bright pictures real."""

    def forward(self, pictures, labels=None):
        return pictures.mean((1, 2, 3)) + (0 if labels is None else labels.sum(1))


def test_judgement_of_bright_and_dark_pictures():
    bright, dark = torch.full((4, 3, 8, 8), 0.5), torch.full((4, 3, 8, 8), -0.25)
    found = signals.judgement(Brightness(), ProbeBatch(train=bright, raw=dark, shown=dark, held_out=dark))
    assert found == pytest.approx(
        {
            "real_logit": 0.5,
            "fake_logit": -0.25,
            "real_accuracy": 1.0,
            "fake_accuracy": 1.0,
            "separation": 1.0,
            "held_out_logit": -0.25,
            "recognition": 1.0,
        }
    )
    assert "recognition" not in signals.judgement(Brightness(), ProbeBatch(bright, dark, dark))


def test_each_picture_is_judged_with_its_own_labels():
    same, ones, twos = torch.zeros(4, 3, 8, 8), torch.ones(4, 1), torch.full((4, 1), 2.0)
    probe = ProbeBatch(same, same, same, held_out=same, train_labels=twos, labels=ones, held_out_labels=3 * ones)
    found = signals.judgement(Brightness(), probe)
    assert (found["real_logit"], found["fake_logit"], found["held_out_logit"]) == (2.0, 1.0, 3.0)
    assert (found["separation"], found["recognition"]) == (1.0, 0.0)


def test_accuracies_are_by_the_boundary_of_the_loss_and_there_are_none_without_one():
    bright, dark = torch.full((4, 3, 8, 8), 0.75), torch.full((4, 3, 8, 8), 0.25)
    probe = ProbeBatch(bright, dark, dark)
    assert signals.judgement(Brightness(), probe)["fake_accuracy"] == 0
    assert signals.judgement(Brightness(), probe, 0.5)["fake_accuracy"] == 1
    spread = torch.tensor([0.0, 0.2, 0.4, 0.6])[:, None, None, None].expand(4, 3, 8, 8)
    found = signals.judgement(Brightness(), ProbeBatch(spread + 3, spread, spread), None)
    assert found.keys() & {"real_accuracy", "fake_accuracy"} == set()
    assert found["logit_spread"] == pytest.approx(0.2 * (5 / 3) ** 0.5, rel=1e-4)


def test_weights_that_are_cut_off_at_their_limit():
    network = nn.Linear(4, 1, bias=False)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[0.01, -0.01, 0.005, 0.0]]))
    assert signals.clipped(network, 0.01) == {"clipped_weights": 0.5}


# Appearance


def test_pictures_that_are_the_real_ones_look_like_them():
    found = signals.appearance(images(), images())
    assert found == pytest.approx(
        {
            "colour_shift": 0,
            "contrast": 1,
            "saturation": 0,
            "pixel_shift": 0,
            "detail": 1,
            "checkerboard": 1,
            "rough_diversity": 1,
        },
        abs=1e-6,
    )


def test_the_colour_of_one_channel():
    real = images()
    redder = real.clone()
    redder[:, 0] += 0.3
    found = signals.appearance(real, redder)
    assert found["colour_shift"] == pytest.approx(0.3 / real.std().item(), rel=1e-4)
    assert found["pixel_shift"] == pytest.approx(0.15, rel=1e-4)


def test_contrast_saturation_and_a_stuck_pixel():
    real = images() * 0.5
    assert signals.appearance(real, real * 0.4)["contrast"] == pytest.approx(0.4, rel=1e-4)
    ends = real.clone()
    ends[:, :, :4] = 1.0  # a quarter of the rows
    assert signals.appearance(real, ends)["saturation"] == pytest.approx(0.25)
    stuck = real.clone()
    stuck[:, :, 5, 6] = 1.0
    found = signals.appearance(real, stuck)
    assert found["pixel_shift"] == pytest.approx((1 - real.mean(0)[:, 5, 6].min().item()) / 2, rel=1e-4)
    assert found["colour_shift"] < 0.05


@pytest.mark.parametrize("pattern", ["rows", "columns", "board"])
def test_a_pattern_of_every_other_pixel_is_a_checkerboard(pattern):
    real = images()
    rows, columns = torch.arange(16)[:, None] % 2 * 2.0 - 1, torch.arange(16)[None, :] % 2 * 2.0 - 1
    board = {"rows": rows.expand(16, 16), "columns": columns.expand(16, 16), "board": rows * columns}[pattern]
    assert signals.appearance(real, real + 0.1 * board)["checkerboard"] > 10
    slower = torch.sin(torch.arange(16) * torch.pi / 4)  # repeats every eight pixels: no such pattern
    assert signals.appearance(real, real + 0.1 * slower)["checkerboard"] == pytest.approx(1, abs=0.1)


def test_blurred_pictures_have_less_detail_and_noisy_ones_more():
    real = images()
    blurred = nn.functional.avg_pool2d(real, 3, stride=1, padding=1, count_include_pad=False)
    noisy = real + 0.2 * torch.randn(real.shape, generator=torch.Generator().manual_seed(1))
    assert signals.appearance(real, blurred)["detail"] < 0.99
    assert signals.appearance(real, noisy)["detail"] > 2


def test_one_picture_again_and_again_has_no_rough_diversity():
    real = images()
    assert signals.rough_diversity(real, real[:1].expand_as(real)) == pytest.approx(0, abs=1e-4)
    mean = real.mean(0, keepdim=True)
    assert signals.rough_diversity(real, mean + 0.5 * (real - mean)) == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("real", [torch.zeros(4, 1, 8, 8), torch.full((4, 1, 8, 8), -1.0)])
@pytest.mark.parametrize("fake", [torch.zeros(4, 1, 8, 8), torch.full((4, 1, 8, 8), 1.0), images(4, 1, 8)])
def test_pictures_without_any_contrast_give_finite_numbers(real, fake):
    assert all(torch.tensor(value).isfinite() for value in signals.appearance(real, fake).values())


def test_movement_of_pictures():
    before, real = images(), images() * 0.5
    assert signals.movement(before, before, real) == 0
    shift = signals.coarse(torch.full_like(before, 0.1)).norm(dim=1)[0]
    expected = shift / signals.pair_distance(signals.coarse(real))
    assert signals.movement(before - 0.1, before, real) == pytest.approx(expected.item(), rel=1e-4)


# Features


def test_variety_of_points_on_a_line():
    real = torch.arange(8.0)[:, None]
    found = signals.variety(real, real)
    assert found == pytest.approx(
        {"diversity": 1, "duplicates": 0, "coverage": 1, "distance": 2 * 2.625 / 3 - 2}, rel=1e-5
    )
    # mean of all |i - j| over 8 x 8 is 21 / 8 = 2.625; over different ones it is 3


def test_one_point_again_and_again():
    real = torch.arange(8.0)[:, None]
    found = signals.variety(real, torch.full((8, 1), 3.0))
    assert found["diversity"] == 0
    assert found["duplicates"] == 1
    # its distances to the real ones are 3 2 1 0 1 2 3 4, and of these the fifth neighbours are 5 4 3 3 3 3 4 5 away
    assert found["coverage"] == 1
    # from 8 they are 8 7 6 5 4 3 2 1
    assert signals.variety(real, torch.full((8, 1), 8.0))["coverage"] == pytest.approx(3 / 8)
    assert found["distance"] == pytest.approx((2 * 2.0 - 0 - 3) / 3)


def test_pairs_of_twins_are_duplicates():
    real = torch.arange(8.0)[:, None]
    fake = torch.tensor([0.0, 0.4, 2.0, 2.4, 4.0, 4.6, 6.0, 6.4])[:, None]  # twins nearer than half of 1, but for one
    assert signals.variety(real, fake)["duplicates"] == pytest.approx(6 / 8)


def test_copies_of_training_pictures():
    random = torch.Generator().manual_seed(0)
    train = torch.randn(200, 8, generator=random)
    fresh = torch.randn(100, 8, generator=random)
    half = torch.cat([train[:50], fresh[:50]])
    assert signals.copying(train[:100], train) == pytest.approx({"copies": 1.0, "nearness": 0.0}, abs=1e-3)
    assert signals.copying(fresh, train)["copies"] < 0.15
    assert signals.copying(fresh, train)["nearness"] == pytest.approx(1, abs=0.15)
    assert 0.5 <= signals.copying(half, train)["copies"] < 0.6


# Networks


def test_the_norm_of_weights_and_numbers_that_are_not_finite():
    network = nn.Linear(2, 1)
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[3.0, 4.0]]))
        network.bias.fill_(12.0)
    assert signals.weights(network, "generator") == {"generator_weight_norm": 13.0, "generator_not_finite": 0.0}
    with torch.no_grad():
        network.weight.copy_(torch.tensor([[float("nan"), float("inf")]]))
    assert signals.weights(network, "generator")["generator_not_finite"] == 2.0


def test_dead_units_are_those_that_fire_for_no_picture():
    network = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Unflatten(1, (4, 1, 1)), nn.LeakyReLU(0.2))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0], [-1.0], [0.0], [0.0]]))
        network[0].bias.copy_(torch.tensor([0.0, 0.0, -1.0, 1.0]))
    with signals.counting_dead_units(network) as dead:
        network(torch.tensor([[2.0], [-3.0]]))  # the first two units fire for one picture each
        network(torch.tensor([[2.0], [3.0]]))
    assert [layer.tolist() for layer in dead[:2]] == [[False, False, True, False]] * 2
    assert [layer.tolist() for layer in dead[2:]] == [[False, True, True, False]] * 2
    network(torch.tensor([[2.0]]))
    assert len(dead) == 4  # nothing is noted any more


def snapshot(network):
    modes = [module.training for module in network.modules()]
    tracked = [getattr(module, "running_mean", None) is None for module in network.modules()]
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}, modes, tracked


@pytest.mark.parametrize("training", [True, False])
def test_looking_leaves_no_trace(training, tiny_config):
    from ganlet.config import resolve

    config = resolve(tiny_config({"discriminator.dropout": 0.5}), num_pictures=40, channels=3)
    networks = Gan(config).networks()
    generator, discriminator = networks["generator"], networks["discriminator"]
    for network in (generator, discriminator):
        network.train(training)
    discriminator[1].eval() if isinstance(discriminator, nn.Sequential) else None
    before = [snapshot(network) for network in (generator, discriminator)]
    latents = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    raw = signals.as_trained(generator, latents)
    shown, found = signals.as_shown(generator, latents)
    first = signals.judgement(discriminator, ProbeBatch(images(8), raw, shown))
    assert first == signals.judgement(discriminator, ProbeBatch(images(8), raw, shown))  # dropout draws nothing
    assert 0 <= found["dead_units"] <= 1
    assert not raw.requires_grad
    for network, (tensors, modes, tracked) in zip((generator, discriminator), before, strict=True):
        now = snapshot(network)
        assert (modes, tracked) == now[1:]
        assert all(torch.equal(tensors[name], now[0][name]) for name in tensors)


def test_the_batch_is_judged_by_its_own_statistics():
    norm = nn.BatchNorm1d(1, affine=False)
    values = torch.tensor([[10.0], [12.0]])
    with torch.no_grad(), signals.batch_mode(norm):
        assert norm(values).flatten().tolist() == pytest.approx([-1, 1], abs=1e-3)
    assert norm.training
    assert norm.running_mean.item() == 0


def test_traces_are_removed_after_an_error_too():
    network = nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1))
    with pytest.raises(RuntimeError), signals.batch_mode(network):
        network(torch.zeros(2, 3))
    assert network.training
    assert network[1].running_mean.tolist() == network[1].running_var.sub(1).tolist() == [0]


def test_norms_shared_by_several_processes_wait_for_nobody(monkeypatch):
    # In training they would wait here, where other processes do not look; on a CPU, torch raises instead.
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    values = torch.randn(8, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    alone, shared = nn.BatchNorm2d(3), nn.SyncBatchNorm(3)
    with torch.no_grad(), signals.batch_mode(alone), signals.batch_mode(shared):
        assert torch.equal(alone(values), shared(values))
    assert shared.num_batches_tracked == 0


class Failing(nn.Module):
    def forward(self, latents):
        raise RuntimeError("no memory")


def test_a_generator_that_fails_is_left_in_training():
    generator = Failing()
    with pytest.raises(RuntimeError):
        signals.as_shown(generator, torch.zeros(2, 3))
    assert generator.training


class Called(TorchDispatchMode):
    """Notes what is called, since only a GPU refuses what is not deterministic."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_nothing_that_deterministic_gpus_refuse():
    with Called() as called:
        signals.variety(torch.randn(9, 3), torch.randn(9, 3))
        signals.copying(torch.randn(9, 3), torch.randn(40, 3))
    assert "sort" in called.names
    assert "kthvalue" not in called.names


def test_a_column_of_logits_is_judged_as_a_row_is():
    row = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 1), nn.Flatten(0))
    train, raw = images(6, seed=1), images(6, seed=2)
    probe = ProbeBatch(train, raw, raw, held_out=images(4, seed=3))
    assert signals.judgement(row[:2], probe) == signals.judgement(row, probe)
