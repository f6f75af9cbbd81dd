from __future__ import annotations

import pytest

from ganlet import errors
from ganlet.errors import ConfigError, GanletError, Interrupted, nearest

EXIT_CODES = {
    "GanletError": 2,
    "ConfigError": 2,
    "DataError": 2,
    "RunError": 2,
    "CheckpointError": 2,
    "MetricError": 2,
    "EnvironmentProblem": 3,
    "ResourceProblem": 4,
    "TrainingError": 5,
}


def family():
    return {
        name: thing
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and issubclass(thing, GanletError)
    }


def test_a_message_has_its_parts_in_the_order_of_reading():
    error = GanletError("Something is wrong.", hint="ganlet --help", got=3, expected="a 4", where="a.b")
    assert error.message == (
        "Something is wrong.\n  where:    a.b\n  got:      3\n  expected: a 4\n  next:     ganlet --help"
    )
    assert str(error) == error.message


@pytest.mark.parametrize("value", [0, "", False, []])
def test_what_was_found_is_shown_even_if_it_is_nothing(value):
    assert GanletError("Wrong.", got=value).message == f"Wrong.\n  got:      {value}"


def test_parts_that_are_not_given_are_not_shown():
    assert GanletError("Wrong.").message == "Wrong."


def test_every_class_has_its_exit_code_and_says_when_it_is_raised():
    assert EXIT_CODES.keys() | {"Interrupted"} == family().keys()
    for name, code in EXIT_CODES.items():
        assert family()[name]("Wrong.").exit_code == code
        assert family()[name].__doc__


@pytest.mark.parametrize(("signal_number", "code"), [(2, 130), (15, 143)])
def test_a_signal_gives_the_exit_code_that_shells_expect(signal_number, code):
    error = Interrupted(signal_number, "Stopped.", hint="ganlet resume RUN")
    assert error.exit_code == code
    assert error.message == "Stopped.\n  next:     ganlet resume RUN"
    assert Interrupted(2, "Stopped.").exit_code == 130


def test_one_except_catches_the_whole_family():
    with pytest.raises(GanletError):
        raise ConfigError("Wrong.")


@pytest.mark.parametrize(
    ("name", "found"), [("batchsize", "batch_size"), ("seeed", "seed"), ("seed", "seed"), ("xyz", None), ("", None)]
)
def test_the_nearest_name(name, found):
    assert nearest(name, ["seed", "batch_size", "width"]) == found


def test_without_names_nothing_is_near():
    assert nearest("seed", iter(())) is None
