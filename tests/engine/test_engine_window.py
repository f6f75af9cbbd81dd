from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from ganlet.engine.state import Window
from ganlet.errors import ConfigError
from ganlet.games import Gan
from ganlet.games.gan import ALWAYS_MEASURED

CPU = torch.device("cpu")


def add(window: Window, values: dict[str, float], **counts: int) -> None:
    """Add sums, each of one value where no count is given."""
    window.add({name: torch.tensor(value) for name, value in values.items()}, dict.fromkeys(values, 1) | counts)


def measured(value: float, **more: float) -> dict[str, float]:
    return dict.fromkeys(ALWAYS_MEASURED, value) | more


def test_means_are_those_of_exact_arithmetic():
    window = Window(ALWAYS_MEASURED, CPU)
    values = torch.linspace(-3.0, 1e4, 1000).tolist()
    for value in values:
        add(window, measured(value))
    exact = float(sum(map(Fraction, values)) / len(values))
    # Sums of a thousand float32 in float64 are right to far more digits than a float32 has.
    assert window.read() == dict.fromkeys(ALWAYS_MEASURED, pytest.approx(exact, rel=1e-13))


def test_a_lazy_penalty_is_averaged_over_its_own_turns():
    window = Window([*ALWAYS_MEASURED, "r1", "r2"], CPU)
    for turn in range(4):
        add(window, measured(float(turn), **({"r1": 10.0 * turn} if turn % 3 == 0 else {})))
    row = window.read()
    assert (row["generator_loss"], row["r1"]) == (1.5, 15.0)
    assert "r2" not in row


def test_a_sum_of_several_values_counts_so_many_times():
    window = Window(["generator_loss", "r1"], CPU)
    add(window, {"generator_loss": 6.0, "r1": 5.0}, generator_loss=3)
    add(window, {"generator_loss": 10.0}, generator_loss=1)
    assert window.read() == {"generator_loss": 4.0, "r1": 5.0}


def test_reading_starts_anew():
    window = Window(ALWAYS_MEASURED, CPU)
    add(window, measured(1.0))
    window.read()
    assert window.read() == {}
    add(window, measured(3.0))
    assert window.read()["generator_loss"] == 3.0


def test_its_tensors_are_all_of_its_state():
    names = [*ALWAYS_MEASURED, "r1"]
    window, other = Window(names, CPU), Window(names, CPU)
    add(window, measured(1.0, r1=5.0), r1=2)
    for name, tensor in other.tensors().items():
        tensor.copy_(window.tensors()[name])
    for each in (window, other):
        add(each, measured(2.0))
    row = window.read()
    assert row == other.read()
    assert (row["generator_loss"], row["r1"]) == (1.5, 2.5)


def test_an_unknown_name_is_a_mistake():
    with pytest.raises(ConfigError, match="surprise"):
        add(Window(ALWAYS_MEASURED, CPU), {"surprise": 1.0})


def test_a_run_has_a_window_of_what_its_game_measures(begin):
    plain, more = begin(), begin({"objective.penalties": [{"kind": "r1"}, {"kind": "lecam"}]})
    assert plain.state.window.names == ALWAYS_MEASURED
    assert more.state.window.names == (*ALWAYS_MEASURED, "r1", "lecam")
    assert isinstance(more.state.game, Gan)
    more.run()
    assert set(more.state.window.read()) == set(more.state.window.names)
