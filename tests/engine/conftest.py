"""Training in memory: random pictures, no files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ganlet.config import RunConfig, resolve
from ganlet.data.batches import Batches
from ganlet.data.labels import label_names, label_vectors
from ganlet.data.spec import Pack
from ganlet.engine.loop import Hook, StopReason, run_loop
from ganlet.engine.state import Members, TrainState, build_state
from ganlet.games import Game

CPU = torch.device("cpu")


@dataclass
class Training:
    """A config, a state at its own moment, and the batches by stream."""

    config: RunConfig
    state: TrainState
    batches: dict[str, Batches]

    def run(self, *hooks: Hook, **settings: object) -> StopReason:
        """On to the end, or until a hook stops it."""
        return run_loop(self.state, self.batches, hooks, **settings)

    def run_until(self, images_seen: int, *hooks: Hook) -> Members:
        """On to a moment; returns copies of all tensors then."""
        self.run(*hooks, lambda event: "far enough" if event.images_seen >= images_seen else None)
        assert self.state.images_seen == images_seen
        return self.snapshot()

    def snapshot(self) -> Members:
        """Copies of all tensors."""
        return {m: {n: t.clone() for n, t in tensors.items()} for m, tensors in self.state.members().items()}


@pytest.fixture(scope="session")
def pack() -> Pack:
    """Random pictures, each of one of three classes and with any of two attributes."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    return Pack(
        pictures=pictures,
        labels=np.arange(40) % 3,
        label_names=("x", "y", "z"),
        names=None,
        fingerprint="random",
        summary={"source": "random"},
        attributes=random.integers(0, 2, (40, 2), dtype=np.uint8),
        attribute_names=("dark", "round"),
    )


@pytest.fixture(scope="session")
def begin(tiny_config: Callable[..., RunConfig], pack: Pack) -> Callable[..., Training]:
    """Training at its start, with changes of the tiny config by dotted path; `game` makes a game of a config."""

    def begin(changes: dict[str, object] | None = None, game: Callable[[RunConfig], Game] | None = None) -> Training:
        config = tiny_config(changes)
        names = label_names(pack, config.data) or None
        config = resolve(config, num_pictures=len(pack), channels=3, label_names=names)
        labels = label_vectors(pack, config.data)
        batches = Batches(pack, size=config.data.size, seed=config.seed, flip=config.data.flip, labels=labels)
        state = build_state(config, CPU, game(config) if game else None)
        return Training(config, state, {"real": batches})

    return begin


@pytest.fixture(scope="session")
def unequal() -> Callable[[Members, Members], list[str]]:
    """The names of the tensors that differ in two sets of members."""

    def unequal(ours: Members, theirs: Members) -> list[str]:
        assert {m: set(t) for m, t in ours.items()} == {m: set(t) for m, t in theirs.items()}
        return [f"{m}/{n}" for m, tensors in ours.items() for n in tensors if not torch.equal(ours[m][n], theirs[m][n])]

    return unequal


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything in float64: then equal arithmetic in another order agrees to many digits."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
