"""Processes that are watched over, with work that only waits: signals while they begin, children of others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

BEFORE = """
import os, signal, sys, time
from ganlet.errors import Interrupted
from ganlet.export.serving.workers import supervised

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())

def until_asked(told):
    def asked(number, frame):
        say("asked", number)
        time.sleep(0.2)
        say("drained")
        os._exit(0)

    signal.signal(signal.SIGTERM, asked)
    told()
    time.sleep(60)
"""
AFTER = """
try:
    supervised(NUM, work, lambda: say("ready"), lambda told: say("told:", told), lambda: say("stopping"))
except Interrupted as end:
    say("interrupted by", end.exit_code - 128)
"""


@contextmanager
def watching(num: int, work: str):
    """A process that watches over workers; `work` is Python."""
    code = BEFORE + work + AFTER.replace("NUM", str(num))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def lines_until(process: subprocess.Popen, last: str) -> list[str]:
    found = []
    assert process.stdout is not None
    while last not in found:
        line = process.stdout.readline()
        assert line, (found, process.stderr and process.stderr.read())
        found.append(line.strip())
    return found


LOADS = """
def work(number, told):
    if number == 0:
        until_asked(told)
    say("loads", number)
    time.sleep(0.4)
    told()
    time.sleep(60)
"""


def test_a_signal_while_workers_begin_is_the_last_of_beginning():
    with watching(4, LOADS) as process:
        lines_until(process, "loads 1")
        process.terminate()
        out, err = process.communicate(timeout=20)
    assert err == ""
    told = out.split("\n")[:-1]
    assert told.count("asked 15") == 1  # a second time would have ended it at once
    assert sorted(told) == sorted(["stopping", "asked 15", "drained", "interrupted by 15"])


def test_whoever_ends_later_is_asked_once():
    work = """
def work(number, told):
    if number == 1:
        told()
        time.sleep(60)
    until_asked(told)
"""
    with watching(2, work) as process:
        lines_until(process, "ready")
        process.terminate()
        out, err = process.communicate(timeout=20)
    assert (err, out) == ("", "stopping\nasked 15\ndrained\ninterrupted by 15\n")


def test_a_signal_right_after_the_fork_ends_the_worker():
    work = """
fork = os.fork

def forked():
    pid = fork()
    if not pid:
        os.kill(os.getpid(), signal.SIGTERM)
    return pid

os.fork = forked

def work(number, told):
    say("works")
    told()
    time.sleep(60)
"""
    with watching(1, work) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (1, "", "")


def test_a_signal_to_who_begins_a_worker_reaches_it():
    work = """
fork = os.fork

def forked():
    pid = fork()
    if pid:
        os.kill(os.getpid(), signal.SIGTERM)
    return pid

os.fork = forked

def work(number, told):
    time.sleep(60)
"""
    with watching(3, work) as process:
        out, err = process.communicate(timeout=20)
    assert (out, err) == ("stopping\ninterrupted by 15\n", "")


def test_a_child_of_others_ends_nothing():
    work = """
if not os.fork():
    time.sleep(0.1)
    os._exit(5)

def work(number, told):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    told()
    time.sleep(0.4)
    os._exit(7)
"""
    with watching(1, work) as process:
        found = lines_until(process, "told: Worker 0 ended with code 7; another one takes its place.")
        process.terminate()
        out, err = process.communicate(timeout=20)
    assert found[0] == "ready"
    assert "interrupted by 15" in out
    assert err == ""


def test_a_worker_whose_parent_has_gone_gets_ready_without_a_word():
    work = """
def work(number, told):
    say("loads")
    time.sleep(0.3)
    told()
    say("goes on")
    os._exit(0)
"""
    with watching(1, work) as process:
        lines_until(process, "loads")
        process.kill()
        out, err = process.communicate(timeout=20)
    assert (out, err) == ("goes on\n", "")
