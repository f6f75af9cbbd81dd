from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from ganlet.engine.window import MEASURED, Window

CPU = torch.device("cpu")


def measured(value: float, **more: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name in MEASURED} | {name: torch.tensor(v) for name, v in more.items()}


def test_means_are_those_of_exact_arithmetic():
    window = Window([], CPU)
    values = torch.linspace(-3.0, 1e4, 1000).tolist()
    for value in values:
        window.add(measured(value))
    exact = float(sum(map(Fraction, values)) / len(values))
    # Sums of a thousand float32 in float64 are right to far more digits than a float32 has.
    assert window.read() == dict.fromkeys(MEASURED, pytest.approx(exact, rel=1e-13))


def test_a_lazy_penalty_is_averaged_over_its_own_turns():
    window = Window(["r1", "r2"], CPU)
    for turn in range(4):
        window.add(measured(float(turn), **({"r1": 10.0 * turn} if turn % 3 == 0 else {})))
    row = window.read()
    assert (row["generator_loss"], row["r1"]) == (1.5, 15.0)
    assert "r2" not in row


def test_reading_starts_anew():
    window = Window([], CPU)
    window.add(measured(1.0))
    window.read()
    assert window.read() == {}
    window.add(measured(3.0))
    assert window.read()["generator_loss"] == 3.0


def test_its_tensors_are_all_of_its_state():
    window, other = Window(["r1"], CPU), Window(["r1"], CPU)
    window.add(measured(1.0, r1=5.0))
    for name, tensor in other.tensors().items():
        tensor.copy_(window.tensors()[name])
    for each in (window, other):
        each.add(measured(2.0))
    assert window.read() == other.read()


def test_an_unknown_name_is_a_mistake():
    with pytest.raises(AssertionError, match="surprise"):
        Window([], CPU).add({"surprise": torch.tensor(1.0)})
