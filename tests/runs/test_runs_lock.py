from __future__ import annotations

import errno
import json
import os
import platform
import signal
import subprocess
import sys
from unittest.mock import ANY

import pytest

from ganlet.errors import EnvironmentProblem, RunError
from ganlet.runs.lock import HOLDER, run_lock

HOLD = """
import sys
from pathlib import Path
from ganlet.runs.lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

# The holder forks a child that outlives it and never execs, as a worker of a data loader may.
HOLD_AND_FORK = """
import os, sys, time
from pathlib import Path
from ganlet.runs.lock import run_lock
with run_lock(Path(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        print(os.getpid(), flush=True)
        os.close(1)
        sys.stdin.read()
        os._exit(0)
    time.sleep(600)
"""


def start(code: str, path) -> tuple[subprocess.Popen, str]:
    command = [sys.executable, "-c", code, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def holder(run) -> dict:
    return json.loads((run / HOLDER).read_text())


def stop(process: subprocess.Popen) -> None:
    process.kill()
    process.communicate()


def test_the_second_process_is_refused_and_told_who_holds_it(tmp_path):
    process, answer = start(HOLD, tmp_path)
    try:
        assert answer == "held"
        with pytest.raises(RunError) as caught, run_lock(tmp_path):
            pass
        assert f"process {process.pid} on " in caught.value.got
        assert f"kill -TERM {process.pid}" in caught.value.hint
        assert holder(tmp_path)["pid"] == process.pid
    finally:
        stop(process)


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    process, _ = start(HOLD, tmp_path)
    stop(process)
    assert holder(tmp_path)["pid"] == process.pid
    with run_lock(tmp_path):
        assert holder(tmp_path) == {"pid": os.getpid(), "host": platform.node(), "start": ANY}


def test_leaving_the_block_frees_the_lock(tmp_path):
    with run_lock(tmp_path), pytest.raises(RunError), run_lock(tmp_path):
        pass
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path):
        1 / 0  # noqa: B018
    with run_lock(tmp_path):
        pass


def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(tmp_path):
    process, child = start(HOLD_AND_FORK, tmp_path)
    try:
        with pytest.raises(RunError), run_lock(tmp_path):
            pass
        process.kill()
        process.wait()
        os.kill(int(child), 0)
        with run_lock(tmp_path):
            assert holder(tmp_path)["pid"] == os.getpid()
    finally:
        os.kill(int(child), signal.SIGKILL)
        stop(process)


LEAVE_IN_CHILD = """
import os, sys
from pathlib import Path
from ganlet.errors import RunError
from ganlet.runs.lock import run_lock
path = Path(sys.argv[1])
with run_lock(path):
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        try:
            run_lock(path).__enter__()
        except RunError:
            print("still held", flush=True)
"""


def test_a_forked_child_that_leaves_the_block_does_not_free_the_lock_of_its_parent(tmp_path):
    process, answer = start(LEAVE_IN_CHILD, tmp_path)
    stop(process)
    assert answer == "still held"


@pytest.mark.parametrize("text", ["", '{"pid": 17, "ho', "[]", None])
def test_a_holder_without_a_name_yet_is_refused_too(tmp_path, text):
    with run_lock(tmp_path):
        (tmp_path / HOLDER).unlink()
        if text is not None:
            (tmp_path / HOLDER).write_text(text)
        with pytest.raises(RunError, match="another process"), run_lock(tmp_path):
            pass


def test_a_holder_on_another_machine_is_named_with_it(tmp_path):
    with run_lock(tmp_path):
        (tmp_path / HOLDER).write_text(json.dumps({"pid": 17, "host": "far-away", "start": "then"}))
        with pytest.raises(RunError) as caught, run_lock(tmp_path):
            pass
    assert caught.value.got == "process 17 on far-away, since then"
    assert caught.value.hint.endswith("kill -TERM 17 (on far-away)")


def test_a_lock_whose_holder_cannot_be_written_down_is_not_kept(tmp_path):
    (tmp_path / HOLDER).mkdir()
    with pytest.raises(EnvironmentProblem), run_lock(tmp_path):
        pass
    (tmp_path / HOLDER).rmdir()
    with run_lock(tmp_path):
        assert holder(tmp_path)["pid"] == os.getpid()


def test_on_a_file_system_without_locks_it_goes_on_and_warns(tmp_path, monkeypatch, caplog):
    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", flock)
    with run_lock(tmp_path), run_lock(tmp_path):
        assert "do not start a second process in this run" in caplog.text


def test_a_lock_in_a_folder_that_has_gone_is_an_environment_problem(tmp_path):
    with pytest.raises(EnvironmentProblem), run_lock(tmp_path / "gone"):
        pass
