from __future__ import annotations

import random
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from generator_kinds import KINDS
from torch import nn

from ganlet.errors import ConfigError, EnvironmentProblem
from ganlet.latent import structure
from ganlet.latent.space import Points, Space
from ganlet.latent.structure import flat_map, mosaic, path_lengths, principal_axes, snapped, steps_between
from ganlet.networks.latents import Latents


class Linear(nn.Module):
    """Latents (N, 2), uniform -> images (N, 1, 1, 3)."""

    def __init__(self) -> None:
        super().__init__()
        self.latents = Latents(2, "uniform")
        self.matrix = nn.Parameter(torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return (latents @ self.matrix)[:, None, None]


def flat(images):
    return images.flatten(1)


def test_principal_axes_are_those_of_a_stretched_cloud():
    random = torch.Generator().manual_seed(0)
    rows = torch.randn(4_000, 3, generator=random) * torch.tensor([0.5, 4.0, 2.0]) + torch.tensor([1.0, 2.0, 3.0])
    found = principal_axes(rows, 2)
    torch.testing.assert_close(found.axes, torch.eye(3).double()[[1, 2]], atol=0.05, rtol=0)
    torch.testing.assert_close(found.deviations, torch.tensor([4.0, 2.0]).double(), rtol=0.05, atol=0)
    assert found.shares.tolist() == pytest.approx([16 / 20.25, 4 / 20.25], rel=0.05)
    torch.testing.assert_close(found.project(rows).mean(dim=0), torch.zeros(2).double(), atol=1e-4, rtol=0)


def test_a_map_by_pca_keeps_distances_of_what_is_flat():
    rows = torch.tensor([[0.0, 0.0, 0.0], [0.0, 4.0, 0.0], [2.0, 4.0, 0.0], [2.0, 0.0, 0.0]])
    found = torch.from_numpy(flat_map(rows))
    torch.testing.assert_close(torch.cdist(found, found), torch.cdist(rows, rows).double(), atol=1e-6, rtol=0)
    assert flat_map(torch.arange(4.0)[:, None]).shape == (4, 2)


def test_bad_maps_are_refused():
    with pytest.raises(ConfigError, match="pca, umap"):
        flat_map(torch.zeros(9, 3), "tsne")
    with pytest.raises(ConfigError, match="too few"):
        flat_map(torch.zeros(2, 3))


def test_a_missing_package_is_named_with_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(EnvironmentProblem, match=r"pip install 'ganlet\[map\]'") as caught:
        flat_map(torch.zeros(20, 3), "umap")
    assert caught.value.exit_code == 3


def test_what_umap_is_asked_for(monkeypatch):
    asked = {}

    class Umap:
        def __init__(self, **settings):
            asked.update(settings)

        def fit_transform(self, rows):
            random.random()
            torch.rand(1)
            return rows[:, :2].astype(np.float32)

    monkeypatch.setattr(structure, "umap_module", lambda: type("Package", (), {"UMAP": Umap}))
    rows = torch.rand(12, 3)
    before = random.getstate(), torch.random.get_rng_state()
    found = flat_map(rows, "umap", seed=4)
    assert found == pytest.approx(rows[:, :2].numpy())
    assert asked["n_neighbors"] == 11
    assert random.getstate() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])
    first = asked["random_state"]
    flat_map(rows, "umap", seed=5)
    assert asked["random_state"] != first


@pytest.mark.slow
@pytest.mark.skipif(find_spec("umap") is None, reason="umap-learn is not installed")
@pytest.mark.filterwarnings("ignore")
def test_umap_parts_what_is_apart_and_repeats_itself():
    random = torch.Generator().manual_seed(0)
    rows = torch.cat([torch.randn(40, 5, generator=random), torch.randn(40, 5, generator=random) + 20])
    found = flat_map(rows, "umap")
    middles = found[:40].mean(axis=0), found[40:].mean(axis=0)
    spread = max(found[:40].std(axis=0).max(), found[40:].std(axis=0).max())
    assert np.linalg.norm(middles[0] - middles[1]) > 3 * spread
    np.testing.assert_array_equal(found, flat_map(rows, "umap"))


def test_pictures_get_cells_of_their_own_near_their_place():
    places = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert snapped(places, 2, 2).tolist() == [[1, 0], [1, 1], [0, 0], [0, 1]]
    row = np.array([[0.0, 0.0], [2.2, 0.0], [2.0, 0.0], [2.0, 0.0], [4.0, 0.0]])
    assert snapped(row, 5, 1)[:, 1].tolist() == [0, 3, 2, 1, 4]  # who is most in the middle chooses first
    crowd = np.zeros((9, 2))
    assert len({tuple(cell) for cell in snapped(crowd, 3, 3).tolist()}) == 9
    cloud = np.random.default_rng(0).normal(size=(200, 2))
    cells = snapped(cloud, 20, 20)
    assert len({tuple(cell) for cell in cells.tolist()}) == 200
    assert np.corrcoef(cells[:, 1], cloud[:, 0])[0, 1] > 0.9
    assert np.corrcoef(cells[:, 0], cloud[:, 1])[0, 1] < -0.9
    with pytest.raises(ConfigError, match="more pictures than cells"):
        snapped(places, 3, 1)


def test_a_mosaic_is_white_where_no_picture_is():
    pictures = np.zeros((2, 2, 3, 1), np.uint8)
    pictures[1] = 7
    sheet = mosaic(pictures, np.array([[0, 0], [1, 1]]), columns=2, rows=2, gap=1)
    assert sheet.shape == (7, 9, 1)
    assert (sheet[1:3, 1:4] == 0).all()
    assert (sheet[4:6, 5:8] == 7).all()
    assert (sheet == 255).sum() == sheet.size - 12


def test_path_lengths_of_a_linear_generator_are_known():
    space = Space(Linear())
    directions = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.5]])
    found = path_lengths(space, space.sample(70, 0), directions, flat)
    assert found.shape == (3, 70)
    assert found == pytest.approx(np.array([[5.0], [9.0], [2.25]]).repeat(70, axis=1), rel=2e-2)


@pytest.mark.parametrize("settings", KINDS)
def test_every_space_is_measured(generator_of, settings):
    generator = generator_of(**settings)
    space = Space(generator)
    labels = torch.eye(3) if settings["labels"] else None
    points = space.sample(3, 0, labels)
    directions = space.sample(2, 1, None if labels is None else labels[:2]).values
    assert (path_lengths(space, points, directions, flat) > 0).all()
    found = steps_between(space, points, space.sample(3, 2, labels), 4, flat)
    assert found.lengths.shape == (3, 4)
    assert (found.jumps >= 1).all()


def test_even_ways_do_not_jump_and_cliffs_do():
    space = Space(Linear())
    starts, ends = Points(torch.tensor([[0.0, 0.0]])), Points(torch.tensor([[1.0, 0.0]]))
    even = steps_between(space, starts, ends, 5, flat)
    assert even.lengths == pytest.approx(np.full((1, 5), 5**0.5 / 5), rel=1e-5)
    assert even.jumps == pytest.approx([1.0], rel=1e-5)
    assert even.detours == pytest.approx([5**0.5], rel=1e-5)

    def cliff(images):
        return torch.where(images.flatten(1) > 0.5, 10.0, 0.0) + images.flatten(1)

    found = steps_between(space, starts, ends, 5, cliff)
    assert found.jumps[0] > 20
    nothing = steps_between(space, starts, starts, 5, flat)
    assert nothing.jumps.tolist() == [1.0]
