from __future__ import annotations

import subprocess
import sys
import threading

from ganlet.data.cache import build_lock

BUILD = """
import sys
from pathlib import Path
from ganlet.data.cache import build_lock
with build_lock(Path(sys.argv[1]), "thing"):
    print("building", flush=True)
    sys.stdin.read()
"""


def test_others_wait_while_one_process_builds_and_go_on_when_it_is_killed(tmp_path):
    entered = threading.Event()

    def build():
        with build_lock(tmp_path, "thing"):
            entered.set()

    command = [sys.executable, "-c", BUILD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "building\n"
        waiting = threading.Thread(target=build)
        waiting.start()
        with build_lock(tmp_path, "another thing"):
            assert not entered.wait(0.3)
        process.kill()
    assert entered.wait(10)
    waiting.join()
