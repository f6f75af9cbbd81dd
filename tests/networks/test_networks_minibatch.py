from __future__ import annotations

import numpy as np
import pytest
import torch

from ganlet.networks.minibatch import MINIBATCH_STATISTICS, MinibatchDiscrimination, MinibatchStddev


@pytest.mark.parametrize(("num", "group"), [(4, 4), (8, 4), (12, 4), (6, 6), (3, 3), (1, 1)])
def test_stddev_is_that_of_each_group(num, group, normal):
    features = normal(num, 7) * torch.arange(1, num + 1).unsqueeze(1)  # groups differ
    seen = MinibatchStddev(7)(features)
    assert seen.shape == (num, 8)
    assert torch.equal(seen[:, :7], features)
    grouped = features.double().numpy().reshape(num // group, group, 7)
    expected = np.sqrt(grouped.var(axis=1) + 1e-8).mean(axis=1).repeat(group)
    np.testing.assert_allclose(seen[:, 7].numpy(), expected, rtol=1e-5)


def test_discrimination_is_what_the_paper_says(normal):
    module = MinibatchDiscrimination(5)
    module.kernels.weight.data = normal(*module.kernels.weight.shape) / 8
    features = normal(4, 5)
    expected = torch.zeros(4, 32)
    for i in range(4):
        for j in range(4):
            if i == j:
                continue
            for kernel in range(32):
                rows = module.kernels.weight[8 * kernel : 8 * kernel + 8]
                distance = sum(abs(row @ features[i] - row @ features[j]) for row in rows)
                expected[i, kernel] += torch.exp(-distance)
    seen = module(features)
    assert torch.equal(seen[:, :5], features)
    torch.testing.assert_close(seen[:, 5:], expected)


def test_discrimination_sees_how_near_pictures_are(normal):
    module = MinibatchDiscrimination(5)
    module.kernels.weight.data = normal(*module.kernels.weight.shape)
    near, far = (module(scale * normal(6, 5))[:, 5:] for scale in (0.01, 1.0))
    assert (near > far).all()
    assert (module(normal(1, 5))[:, 5:] == 0).all()  # nobody is there
    assert (module(normal(1, 5).expand(6, 5))[:, 5:] == 5).all()  # five others that are just alike


@pytest.mark.parametrize("name", MINIBATCH_STATISTICS)
@pytest.mark.parametrize("num", [1, 5, 8])
def test_second_derivatives_are_finite_even_of_equal_images(name, num, normal):
    module = MINIBATCH_STATISTICS[name](6)
    for images in (normal(num, 6), torch.ones(num, 6)):
        features = images.requires_grad_()
        seen = module(features)
        assert seen.shape == (num, 6 + module.extra_features)
        (gradient,) = torch.autograd.grad(seen.square().sum(), features, create_graph=True)
        gradient.square().sum().backward()
        assert features.grad is not None
        assert features.grad.isfinite().all()
        assert features.grad.any()


def test_half_precision_stays_half_precision(normal):
    for build in (MinibatchStddev, MinibatchDiscrimination):
        module = build(6).to(torch.bfloat16)
        assert module(normal(8, 6, dtype=torch.bfloat16)).dtype == torch.bfloat16
