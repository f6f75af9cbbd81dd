from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from ganlet.errors import EnvironmentProblem, RunError
from ganlet.runs.lock import RunLock

HOLD = """
import sys
from pathlib import Path
from ganlet.runs.lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""

# The holder forks a child that outlives it and never execs, as a worker of a data loader may.
HOLD_AND_FORK = """
import os, sys, time
from pathlib import Path
from ganlet.runs.lock import RunLock
with RunLock(Path(sys.argv[1])):
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


def stop(process: subprocess.Popen) -> None:
    process.kill()
    process.communicate()


def test_the_second_process_is_refused_and_told_who_holds_it(tmp_path):
    path = tmp_path / ".lock"
    process, answer = start(HOLD, path)
    try:
        assert answer == "held"
        with pytest.raises(RunError) as caught, RunLock(path):
            pass
        assert f"process {process.pid} on " in caught.value.got
        assert f"kill -TERM {process.pid}" in caught.value.hint
        assert json.loads(path.read_text())["pid"] == process.pid
    finally:
        stop(process)


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    path = tmp_path / ".lock"
    process, _ = start(HOLD, path)
    stop(process)
    assert json.loads(path.read_text())["pid"] == process.pid
    with RunLock(path):
        holder = json.loads(path.read_text())
    assert holder["pid"] == os.getpid()
    assert set(holder) == {"pid", "host", "boot", "start"}


def test_leaving_the_block_frees_the_lock(tmp_path):
    lock = RunLock(tmp_path / ".lock")
    with lock, pytest.raises(RunError), RunLock(lock.path):
        pass
    with pytest.raises(ZeroDivisionError), lock:
        1 / 0  # noqa: B018
    with lock:
        assert lock.path.exists()


def test_a_forked_child_does_not_keep_the_lock_of_its_dead_parent(tmp_path):
    path = tmp_path / ".lock"
    process, child = start(HOLD_AND_FORK, path)
    try:
        with pytest.raises(RunError), RunLock(path):
            pass
        process.kill()
        process.wait()
        os.kill(int(child), 0)
        with RunLock(path):
            assert json.loads(path.read_text())["pid"] == os.getpid()
    finally:
        os.kill(int(child), signal.SIGKILL)
        stop(process)


LEAVE_IN_CHILD = """
import os, sys
from pathlib import Path
from ganlet.errors import RunError
from ganlet.runs.lock import RunLock
path = Path(sys.argv[1])
with RunLock(path):
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        try:
            RunLock(path).__enter__()
        except RunError:
            print("still held", flush=True)
"""


def test_a_forked_child_that_leaves_the_block_does_not_free_the_lock_of_its_parent(tmp_path):
    process, answer = start(LEAVE_IN_CHILD, tmp_path / ".lock")
    stop(process)
    assert answer == "still held"


def test_a_holder_without_a_name_yet_is_refused_too(tmp_path):
    path = tmp_path / ".lock"
    with RunLock(path):
        path.write_text("")
        with pytest.raises(RunError, match="another process"), RunLock(path):
            pass


def test_whatever_the_file_held_before_is_replaced(tmp_path):
    path = tmp_path / ".lock"
    path.write_text("x" * 1000)
    with RunLock(path):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_lock_in_a_folder_that_has_gone_is_an_environment_problem(tmp_path):
    with pytest.raises(EnvironmentProblem), RunLock(tmp_path / "gone" / ".lock"):
        pass
