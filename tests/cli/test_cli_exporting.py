"""ganlet export: formats, and options that are of another one."""

from __future__ import annotations

import pytest

from ganlet.cli.exporting import FORMATS


def test_an_unknown_format_is_told_with_the_nearest(ganlet):
    outcome = ganlet("export", "run", "--format", "crad")
    assert (outcome.exit_code, outcome.stdout) == (2, "")
    assert "--format card" in outcome.stderr
    assert all(name in outcome.stderr for name in FORMATS)


@pytest.mark.parametrize("name", ["card", "safetensors"])
@pytest.mark.parametrize("option", [("--precision", "fp16"), ("--network", "discriminator")])
def test_an_option_of_another_format_is_refused(ganlet, name, option):
    outcome = ganlet("export", "run", "--format", name, *option)
    assert outcome.exit_code == 2
    assert f"leave {option[0]} out" in outcome.stderr


@pytest.mark.parametrize("name", ["card", "safetensors"])
def test_what_is_no_run_is_one_message_and_leaves_nothing(ganlet, tmp_path, name):
    outcome = ganlet("export", "missing", "--format", name)
    assert outcome.exit_code == 2
    assert "There is no run here" in outcome.stderr
    assert list(tmp_path.iterdir()) == []
