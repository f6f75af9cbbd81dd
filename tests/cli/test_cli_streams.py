"""Commands whose stdout or stderr is of another encoding, closed, full, or read by nobody any more."""

from __future__ import annotations

import errno
import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import ganlet as library
from ganlet.cli import main
from ganlet.images import save_png
from ganlet.workflows import evaluating, training
from ganlet.workflows.reporting import Lenient, Plain

ODD = "caf\u00e9 \u2603 \u732b"  # a name that no narrow encoding holds


class Failing(io.TextIOBase):
    """A stream that cannot be written to."""

    encoding, errors = "utf-8", "strict"

    def __init__(self, number: int) -> None:
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))


def closed() -> io.TextIOBase:
    stream = io.StringIO()
    stream.close()
    return stream


def encoded(name: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=name)


STREAMS = {
    "utf-8": lambda: encoded("utf-8"),
    "ascii": lambda: encoded("ascii"),
    "latin-1": lambda: encoded("latin-1"),
    "cp1252": lambda: encoded("cp1252"),
    "reader_gone": lambda: Failing(errno.EPIPE),
    "full": lambda: Failing(errno.ENOSPC),
    "terminal_gone": lambda: Failing(errno.EIO),
    "closed": closed,
    "none": lambda: None,
}
UNUSABLE = {"reader_gone": 141, "full": 4, "terminal_gone": 4, "closed": 4}  # with the code where a result is lost


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_config):
    """A folder with pictures and a run that was measured, whose names no narrow encoding holds."""
    folder = tmp_path_factory.mktemp("made")
    source = folder / ODD
    for number in range(40):
        for name in ("one", ODD):
            (source / name).mkdir(parents=True, exist_ok=True)
            picture = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
            save_png(source / name / f"{number}.png", picture + (name == "one"))
    changes = {"data.source": str(source), "data.num_images": None, "train.total_images": 32, "data.labels": "classes"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "redraw", lambda *_: None)
        patch.setattr(evaluating, "redraw", lambda *_, **__: None)
        run = library.train(tiny_config(changes), folder / f"run {ODD}", device="cpu")
        run.evaluate(64, extractor="pixels", metrics="kernel")
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "made")
    monkeypatch.chdir(tmp_path / "made")
    monkeypatch.setattr(training, "redraw", lambda *_: None)
    monkeypatch.setattr(evaluating, "redraw", lambda *_, **__: None)
    monkeypatch.setenv("GANLET_DEBUG", "")
    monkeypatch.setenv("GOMP_SPINCOUNT", "0")
    return tmp_path / "made"


RUN = f"run {ODD}"
# With what is there afterwards whether somebody reads or not; such commands end with 0 even where nobody does.
COMMANDS = {
    "train": (["train", "--config", f"{RUN}/config.yaml", "--out", f"new {ODD}"], f"new {ODD}/generator.safetensors"),
    "dry_run": (["train", "--config", f"{RUN}/config.yaml", "--dry-run"], None),
    "resume": (["resume", RUN, "--set", "train.total_images=48"], f"{RUN}/checkpoints/000000048/meta.json"),
    "sample": (["sample", RUN, "--num", "2", "--label", ODD, "--out", f"{ODD}.png"], f"{ODD}.png"),
    "evaluate": (["evaluate", RUN, "--num", "64", "--extractor", "pixels", "--metrics", "kernel"], None),
    "diagnose": (["diagnose", RUN], None),
    "compare": (["compare", RUN], None),
    "inspect": (["inspect", ODD, "--size", "16", "--out", "page.html", "--write-config", "new.yaml"], None),
    "list": (["list", "settings"], None),
    "cache": (["cache"], None),
}


def run(monkeypatch, arguments, stdout, stderr):
    monkeypatch.setattr(sys, "argv", ["ganlet", *arguments])
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(sys, "stderr", stderr)
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code or 0


def text_of(stream):
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)


ALL = [(command, name) for command in COMMANDS for name in STREAMS]
FEW = [
    ("train", "reader_gone"),
    ("sample", "full"),
    ("compare", "ascii"),
    ("evaluate", "reader_gone"),
    ("list", "full"),
]


def check_stdout(monkeypatch, folder, command, name):
    arguments, made = COMMANDS[command]
    stdout, stderr = STREAMS[name](), encoded("utf-8")
    code = run(monkeypatch, arguments, stdout, stderr)
    assert code == (0 if made else UNUSABLE.get(name, 0)), text_of(stderr)
    assert "Traceback" not in text_of(stderr)
    assert made is None or (folder / made).exists()
    if isinstance(stdout, io.TextIOWrapper):
        assert text_of(stdout)
    if code == 4:
        assert "The result cannot be written to stdout." in text_of(stderr)
    if command == "inspect":
        assert (folder / "page.html").is_file()
        assert (folder / "new.yaml").is_file()
    if command == "evaluate":  # what was measured is not lost with its table
        assert len((folder / RUN / "evaluations.jsonl").read_text().splitlines()) == 2


def check_stderr(monkeypatch, folder, command, name):
    arguments, made = COMMANDS[command]
    stdout = encoded("utf-8")
    assert run(monkeypatch, arguments, stdout, STREAMS[name]()) == 0
    assert text_of(stdout)
    assert made is None or (folder / made).exists()


@pytest.mark.parametrize(("command", "name"), FEW, ids=map("-".join, FEW))
def test_a_result_that_nobody_reads_ends_quietly(monkeypatch, folder, command, name):
    check_stdout(monkeypatch, folder, command, name)


@pytest.mark.parametrize(("command", "name"), [("train", "full"), ("resume", "none"), ("sample", "ascii")])
def test_telling_is_no_reason_to_stop(monkeypatch, folder, command, name):
    check_stderr(monkeypatch, folder, command, name)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "name"), ALL, ids=map("-".join, ALL))
def test_every_command_ends_well_with_every_stdout(monkeypatch, folder, command, name):
    check_stdout(monkeypatch, folder, command, name)


@pytest.mark.slow
@pytest.mark.parametrize(("command", "name"), ALL, ids=map("-".join, ALL))
def test_every_command_ends_well_with_every_stderr(monkeypatch, folder, command, name):
    check_stderr(monkeypatch, folder, command, name)


@pytest.mark.parametrize("name", STREAMS)
def test_an_error_is_told_where_it_can_be(monkeypatch, folder, name):
    stderr = STREAMS[name]()
    assert run(monkeypatch, ["sample", ODD], encoded("utf-8"), stderr) == 2
    if isinstance(stderr, io.TextIOWrapper):
        assert "This folder is not a run" in text_of(stderr)


def test_what_an_encoding_lacks_is_escaped(monkeypatch, folder):
    stdout = encoded("ascii")
    assert run(monkeypatch, ["compare", RUN], stdout, encoded("ascii")) == 0
    assert r"\xb1" in text_of(stdout)  # between a value and its error
    stderr = encoded("ascii")
    assert run(monkeypatch, ["sample", "\u2603"], encoded("ascii"), stderr) == 2
    assert r"\u2603" in text_of(stderr)


def test_a_listener_who_goes_away_is_not_spoken_to_again():
    class GoesAway(io.StringIO):
        def write(self, text):
            if self.getvalue():
                raise BrokenPipeError
            return super().write(text)

    stream = Lenient(GoesAway())
    for _ in range(3):
        print("word", file=stream, flush=True)
    assert stream._silent
    assert stream._stream.getvalue() == "word"
    assert not Lenient(None).isatty()
    with pytest.raises(TypeError):
        Lenient(None).write(b"")  # not taken for a binary stream


@pytest.mark.parametrize("name", STREAMS)
def test_a_reporter_of_the_library_never_fails(monkeypatch, name):
    monkeypatch.setattr(sys, "stderr", STREAMS[name]())
    reporter = Plain()
    reporter.say(ODD)
    reporter.progress("training", 1, 2, ODD)
    reporter.close()


# Real processes, with the streams that a shell gives them

TRAIN = [sys.executable, "-m", "ganlet", "train", "--config", f"{RUN}/config.yaml", "--device", "cpu"]


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "GANLET_CACHE": os.environ["GANLET_CACHE"]}


@pytest.mark.slow
def test_a_job_without_any_stream_trains(folder):
    script = '"$@" <&- >&- 2>&-'
    ended = subprocess.run(["sh", "-c", script, "sh", *TRAIN, "--out", "new"], env=environment(), timeout=120)
    assert ended.returncode == 0
    assert (folder / "new" / "report.html").is_file()
    # Nothing was written into what took the numbers of the closed streams.
    assert json.loads((folder / "new" / "environment.json").read_text())["run_id"]


@pytest.mark.slow
def test_a_job_trains_on_after_its_terminal_has_gone(folder):
    ours, theirs = pty.openpty()
    command = [*TRAIN, "--out", "new", "--set", "train.total_images=640"]
    process = subprocess.Popen(command, env=environment(), stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    os.read(ours, 10)  # it has begun to speak
    os.close(ours)
    assert process.wait(120) == 0
    assert (folder / "new" / "checkpoints" / "000000640").is_dir()


@pytest.mark.slow
@pytest.mark.parametrize("ignored", [False, True])
def test_a_hang_up_is_heard_unless_nohup_says_otherwise(folder, ignored):
    total = 100_000_000 if not ignored else 3_200
    command = [*TRAIN, "--out", "new", "--set", f"train.total_images={total}"]
    command = ["nohup", *command] if ignored else command
    process = subprocess.Popen(
        command,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # nohup may be above these tests, too
    )
    while not (folder / "new" / "metrics.jsonl").exists():
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGHUP)  # from the terminal, and from the shell
    _, told = process.communicate(timeout=120)
    assert process.returncode == (0 if ignored else 128 + signal.SIGHUP)
    assert ignored == (b"everything is saved" not in told)
    assert (folder / "new" / "checkpoints" / "latest").is_file()


@pytest.mark.slow
def test_runs_that_begin_at_once_have_folders_of_their_own(folder):
    command = [*TRAIN, "--set", "train.total_images=16"]
    started = [
        subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in "abc"
    ]
    printed = sorted(process.communicate(timeout=240)[0].decode() for process in started)
    assert printed == [f"runs/{name}/report.html\n" for name in ("run-2", "run-3", "run")]
