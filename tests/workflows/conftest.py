"""Whole runs, so small that one takes a fraction of a second."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ganlet
from ganlet.cli import main
from ganlet.engine.loop import Hook
from ganlet.workflows import evaluating, training
from ganlet.workflows.run import Run


class Told:
    """A reporter that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        self.lines.append(f"{what} {done}/{total} {note}".strip())

    def close(self) -> None: ...

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join(self.lines)


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing a report takes longer than all of these runs together; it has tests of its own."""
    monkeypatch.setattr(training, "redraw", lambda *_: None)
    monkeypatch.setattr(evaluating, "redraw", lambda *_, **__: None)


@pytest.fixture(scope="session")
def straight(tmp_path_factory: pytest.TempPathFactory, tiny_config: Callable) -> Run:
    """A run of the tiny config that was never stopped; only to be looked at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "redraw", lambda *_: None)
        return ganlet.train(tiny_config(), tmp_path_factory.mktemp("runs") / "straight", device="cpu")


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def start(tmp_path: Path, tiny_config: Callable) -> Callable[..., Run]:
    """Train a new run of that name, with changes of the tiny config by dotted path."""

    def start(name: str, changes: dict[str, object] | None = None, *hooks: Hook, **settings: object) -> Run:
        return ganlet.train(tiny_config(changes), tmp_path / name, device="cpu", callbacks=hooks, **settings)

    return start


@pytest.fixture
def stop_at() -> Callable[[int], Hook]:
    """A hook that stops a run at a moment."""
    return lambda images_seen: lambda moment: "far enough" if moment.images_seen >= images_seen else None


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command line in this process: exit code, stdout and stderr."""
    monkeypatch.setenv("GANLET_DEBUG", "")
    monkeypatch.setenv("GOMP_SPINCOUNT", "10000")

    def cli(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ganlet", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return cli


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """Every file below a folder with its bytes, but for the lock and log.txt, which a refusal may write to."""
    return lambda folder: {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (".lock", ".lock-holder", "log.txt")
    }
