from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ganlet.config import parse_yaml, plain_yaml, read_yaml
from ganlet.errors import ConfigError

# What is wrong, and the line and column to which the message points.
REFUSED = {
    "tab as indentation": ("train:\n\tbatch_size: 8", 2, 1),
    "tab before a value": ("seed:\t1", 1, 6),
    "bracket left open": ("data:\n  size: [32, 32", 2, 16),
    "quote left open": ("preset: 'quick", 1, 15),
    "two colons": ("a: b: c", 1, 5),
    "key twice": ("seed: 1\ntrain: {}\nseed: 2", 3, 1),
    "key twice, deeper": ("train:\n  n_critic: 1\n  n_critic: 2", 3, 3),
    "alias": ("a: &a [1]\nb: *a", 2, 4),
    "key that is a number": ("data:\n  3: x", 2, 3),
    "key that is a truth value": ("true: 1", 1, 1),
    "key that is a list": ("? [a]\n: 1", 1, 3),
    "python object": ("preset: !!python/object/apply:os.system ['true']", 1, 9),
    "python name": ("seed: 1\na: !!python/name:os.system", 2, 4),
    "tag of YAML's own": ("a: !!timestamp x", 1, 4),
    "own tag": ("a: !mine {b: 1}", 1, 4),
    "two documents": ("a: 1\n---\nb: 2", 2, 1),
    "version to come": ("%YAML 3.0\n---\na: 1", 1, 1),
    "control character": ("a: 1\nb: \x07", 2, 4),
    "zero byte": ("a: \x00", 1, 4),
    "number of 5000 digits": ("seed: 1\na: " + "9" * 5000, 2, 4),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_yaml_is_refused_with_its_place(case):
    text, line, column = REFUSED[case]
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "my.yaml")
    assert caught.value.where == f"my.yaml, line {line}, column {column}"
    assert caught.value.exit_code == 2
    assert len(caught.value.what) < 150


def test_no_tag_runs_code(tmp_path):
    mark = tmp_path / "mark"
    with pytest.raises(ConfigError):
        parse_yaml(f"a: !!python/object/apply:os.system ['touch {mark}']", "my.yaml")
    assert not mark.exists()


def test_an_alias_bomb_does_not_grow():
    levels = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    with pytest.raises(ConfigError, match="aliases are not allowed"):
        parse_yaml("a0: &a0 x\n" + "\n".join(levels), "my.yaml")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused(opening):
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse_yaml(opening * 5000, "my.yaml")


def test_too_large_text_is_refused_before_it_is_read():
    text = "a: 1\n" + "#" * plain_yaml.MAX_BYTES
    with pytest.raises(ConfigError, match="too large") as caught:
        parse_yaml(text, "my.yaml")
    assert caught.value.where == "my.yaml"
    assert parse_yaml(text[: plain_yaml.MAX_BYTES], "my.yaml") == {"a": 1}


@pytest.mark.parametrize(("text", "kind"), [("- a\n- b", "list"), ("just words", "str"), ("3", "int")])
def test_the_top_level_must_hold_keys(text, kind):
    with pytest.raises(ConfigError, match="must hold keys and values") as caught:
        parse_yaml(text, "my.yaml")
    assert caught.value.got == kind


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n", "---\n", "null"])
def test_an_empty_file_sets_nothing(text):
    assert parse_yaml(text, "my.yaml") == {}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("Off", "Off"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("1:30", "1:30"),
        ("2001-01-01", "2001-01-01"),
        ("2001-13-45", "2001-13-45"),
        ("017", "017"),
        ("0x1f", "0x1f"),
        ("=", "="),
        ("200_000", 200_000),
        ("-3", -3),
        ("0", 0),
        ("1e-4", 1e-4),
        ("2E5", 2e5),
        (".5", 0.5),
        ("1.", 1.0),
        ("+1.5e+3", 1500.0),
        ("25 epochs", "25 epochs"),
        ("64x48", "64x48"),
        ("'1e-4'", "1e-4"),
        (".nan", ".nan"),
        (".inf", ".inf"),
    ],
)
def test_values_mean_what_they_look_like(written, read):
    value = parse_yaml(f"a: {written}", "my.yaml")["a"]
    assert value == read
    assert type(value) is type(read)


def test_a_merge_key_is_a_key_like_any_other():
    assert parse_yaml("<<: {a: 1}", "my.yaml") == {"<<": {"a": 1}}


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), VALUES))
def test_whatever_is_written_is_read_back(tree):
    text = plain_yaml.dump(tree)
    assert plain_yaml.load(text, "my.yaml") == tree


@settings(deadline=None)
@given(st.sampled_from(["yes", "no", "1e5", "1.5e-3", "007", "1_000", "null", "true", "1:30", "2001-01-01", "#", "<<"]))
def test_text_that_looks_like_something_else_is_read_back_as_text(text):
    assert plain_yaml.load(plain_yaml.dump({"a": text}), "my.yaml") == {"a": text}


@settings(deadline=None)
@given(st.text(alphabet="ab:-[]{}#&*!|>'\"%@`,?~ \t\n0123456789.exnul", max_size=60) | st.text() | st.binary())
def test_any_text_is_either_read_or_a_config_error(content):
    try:
        tree = parse_yaml(content, "my.yaml")
    except ConfigError:
        return
    assert all(isinstance(key, str) for key in tree)


def test_a_byte_order_mark_is_no_key(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_bytes(b"\xef\xbb\xbfseed: 3")
    assert read_yaml(path) == {"seed": 3}
    path.write_bytes(b"\xef\xbb\xbfseed: \x07")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert caught.value.where == f"{path}, line 1, column 7"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"seed: 1\npreset: caf\xe9", "line 2, column 12"),
        ("seed: 1".encode("utf-16"), "line 1, column 1"),
    ],
)
def test_a_file_that_is_not_utf8_is_refused_with_its_place(tmp_path, content, place):
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match="not text in UTF-8") as caught:
        read_yaml(path)
    assert caught.value.where == f"{path}, {place}"


def test_a_large_file_is_refused_though_its_characters_are_few(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("# " + "é" * (plain_yaml.MAX_BYTES - 100), encoding="utf-8")
    with pytest.raises(ConfigError, match="too large"):
        read_yaml(path)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no /dev/zero here")
def test_an_endless_file_is_refused():
    with pytest.raises(ConfigError, match="too large"):
        read_yaml(Path("/dev/zero"))


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_what_cannot_be_read_is_named(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        read_yaml(tmp_path / name)
    assert caught.value.where == tmp_path / name
    assert caught.value.got
