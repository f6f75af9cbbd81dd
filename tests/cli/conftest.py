from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ganlet.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command line left behind."""

    exit_code: object
    stdout: str
    stderr: str


@pytest.fixture
def ganlet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., Outcome]:
    """Call the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANLET_DEBUG", "")
    monkeypatch.setenv("GOMP_SPINCOUNT", "0")
    monkeypatch.setenv("COLUMNS", "120")

    def ganlet(*arguments: str) -> Outcome:
        monkeypatch.setattr("sys.argv", ["ganlet", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Outcome(ended.value.code, *capsys.readouterr())

    return ganlet
