from __future__ import annotations

import json

import pytest

from ganlet.runs.environment import parse_environment
from ganlet.runs.plain_json import DEEPEST, read_json


def test_what_is_wide_is_read_and_what_is_deep_is_not():
    for tree in ([[]] * 10_000, [{"a": [1]}] * 1000, {"a": "[" * 1000}, 5, None, "text"):
        assert read_json(json.dumps(tree)) == read_json(json.dumps(tree).encode()) == tree
    assert read_json("[" * DEEPEST + "]" * DEEPEST)
    for depth in (DEEPEST + 1, 500, 200_000):
        for opened, closed in (("[", "]"), ('{"a":', "}")):
            with pytest.raises(ValueError, match="too deeply"):
                read_json(opened * depth + "0" + closed * depth)


@pytest.mark.parametrize("text", ["", "[" * 200_000, "9" * 6000, b"\xff\xfe", '{"a":'])
def test_what_is_no_json_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011
        read_json(text)


ODD = ([1], {"given": 5}, {"data": []}, {"labels": {}}, {"sessions": {}}, {"sessions": [5]}, {"run_id": 5})


@pytest.mark.parametrize("tree", ODD, ids=str)
def test_an_environment_of_another_shape_is_a_value_error(tree):
    assert parse_environment(b'{"run_id": null, "sessions": [{}]}')
    with pytest.raises(ValueError, match=r"is of type|holds no keys"):
        parse_environment(json.dumps(tree).encode())
