"""Write down what every case of `cases.py` comes to, for tests/test_bit_equal.py to compare with.

bit_equal.json was written at commit 7bb7e6a, with one thread:

    OMP_NUM_THREADS=1 python tests/recorded/record.py [PATTERN ...]

With patterns only the cases whose names match are recorded anew, and the others stay; the machine must then be the
same. Cases that are no more go. Record a case anew only when its numbers are meant to change, and say why.
"""

from __future__ import annotations

import os
import sys
import tempfile
from fnmatch import fnmatch
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # as in the tests, and before anything imports torch
sys.path.insert(0, str(Path(__file__).parents[1]))

from recorded.cases import CASES, RECORD, environment, read_record, run, write_record


def main(patterns: list[str]) -> None:
    """Record the cases that match one of the patterns, or all."""
    before = read_record() if patterns else {"environment": environment(), "cases": {}}
    if before["environment"] != environment():
        sys.exit(f"{RECORD} is of another machine: record everything anew\n{before['environment']}\n{environment()}")
    cases = {name: kept for name, kept in before["cases"].items() if name in CASES}
    wanted = [name for name in CASES if not patterns or any(fnmatch(name, pattern) for pattern in patterns)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GANLET_CACHE"] = f"{folder}/cache"
        for number, name in enumerate(wanted):
            print(f"{number + 1}/{len(wanted)} {name}", flush=True)
            cases[name] = run(CASES[name], Path(folder) / str(number))
    write_record({"environment": environment(), "cases": cases})


if __name__ == "__main__":
    main(sys.argv[1:])
