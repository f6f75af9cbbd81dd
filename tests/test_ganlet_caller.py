from __future__ import annotations

import pytest

from ganlet.caller import command_line, in_callers_words, is_command_line
from ganlet.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "in_python"),
    [
        ("--checkpoint", "checkpoint"),
        ("--label", "labels"),
        ("--device cuda", 'device="cuda"'),
        ("choose another one with --out", "choose another one with out"),
        ("--show-anyway for a table of each", "show_anyway=True for a table of each"),
        ("--set a.b=true --set c=0.5, or", 'overrides={"a.b": True, "c": 0.5}, or'),
        ("--set data.labels=none", 'overrides={"data.labels": "none"}'),
        ("a --set data.flip=true, or --set train.batch_size=64", None),
        ("ganlet resume RUN --set train.total_images=400", "ganlet resume RUN --set train.total_images=400"),
        ("ganlet resume RUN --debug, or another with --out", "ganlet resume RUN --debug, or another with out"),
        ("data.source", "data.source"),
        ("a--b, well-known -x", "a--b, well-known -x"),
    ],
)
def test_a_program_is_told_of_arguments_and_a_person_of_options(text, in_python):
    assert in_callers_words(text) == (in_python or in_callers_words(text))
    with command_line():
        assert in_callers_words(text) == text


def test_values_are_what_python_writes():
    told = in_callers_words("--set data.flip=true or --set seed=3 or --set generator.optimizer.lr=1e-3")
    assert '{"data.flip": True}' in told
    assert '{"seed": 3}' in told
    assert '{"generator.optimizer.lr": 1e-3}' in told


def test_errors_speak_to_their_caller():
    def told():
        return ConfigError("No.", where="--num", hint="--set data.labels=none").message

    assert told() == 'No.\n  where:    num\n  next:     overrides={"data.labels": "none"}'
    with command_line():
        assert is_command_line()
        assert told() == "No.\n  where:    --num\n  next:     --set data.labels=none"
    assert not is_command_line()
