"""Kill training at random moments and prove that nothing is lost: `python benchmarks/kill_and_resume.py --kills 50`.

One small run is trained in peace. Then the same run is started again and again, each time with an empty cache, struck
by `kill -9` at a random moment (while it starts, packs, trains, saves, prunes or draws its report), and brought to its
end with `ganlet resume`, or with `ganlet train` anew where there was no run yet; some are killed up to three times.
After each kill every checkpoint in the folder must verify, and at the end everything must equal the peaceful run to
the last bit: the tensors of the last checkpoint, generator.safetensors, the sample grids, and the log rows apart from
the clock on the wall. Exit code 1 on any difference.

Most processes are forked from one that has imported everything already, so that the moments of a kill are spread over
the work itself; every tenth start is a process from scratch.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganlet.config import dump_yaml
from ganlet.errors import GanletError
from ganlet.runs import checkpoint
from ganlet.runs.files import DELETED, TEMPORARY
from ganlet.runs.folder import RunFolder, is_run
from ganlet.runs.history import read_history
from ganlet.runs.weights import load_generator_file
from ganlet.workflows.configuring import make_config
from ganlet.workflows.track import MEASUREMENT

SETTINGS = {
    "data": {"size": 16, "num_images": 100, "flip": True},
    "generator": {"width": 8, "latent_size": 8, "ema": {"half_life": 100}},
    "discriminator": {"width": 8, "dropout": 0.1},
    "objective": {"penalties": [{"kind": "r1", "weight": 0.1, "every": 3}], "instance_noise": {"sigma": 0.1}},
    "train": {
        "batch_size": 16,
        "log_every": 32,
        "sample_every": 96,
        "checkpoint_every": 16,
        "keep_checkpoints": 2,
    },
    # Nothing is skipped, because what is skipped depends on the clock on the wall.
    "evaluate": {"num_samples": 9, "extractor": "pixels", "num_fakes": 256, "every": 64, "budget": 1.0},
}
MOST_KILLS_A_RUN = 3
FROM_SCRATCH_EVERY = 10
ON_THE_WALL = {"seconds", "images_per_second"}  # what a log row tells about the clock on the wall
PRELOADED = ["__main__", "ganlet.cli", "ganlet.workflows.training", "torch.utils.tensorboard"]


def run_cli(arguments: list[str], environment: dict[str, str], log: str) -> None:
    """The command line in a child process, with everything that it prints appended to the file `log`."""
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.argv = ["ganlet", *arguments]
    from ganlet.cli import main

    main()


def start_cli(
    arguments: list[str], environment: dict[str, str], log: Path, from_scratch: bool = False
) -> multiprocessing.process.BaseProcess:
    """Start `ganlet` with these arguments; its exit code is that of the process, negative when a signal killed it."""
    context = multiprocessing.get_context("spawn" if from_scratch else "forkserver")
    process = context.Process(target=run_cli, args=(arguments, environment, str(log)))
    process.start()
    return process


def differences(expected: Path, found: Path) -> list[str]:
    """A line for everything in which two runs differ that exact resume promises to be equal."""
    ours, theirs = RunFolder(expected), RunFolder(found)
    problems = []
    tensors, others = _last_tensors(ours), _last_tensors(theirs)
    problems += [f"{name} is there only once" for name in sorted(tensors.keys() ^ others.keys())]
    common = sorted(tensors.keys() & others.keys())
    problems += [f"{name} differs" for name in common if not torch.equal(tensors[name], others[name])]
    if ours.generator_path.read_bytes() != theirs.generator_path.read_bytes():
        problems.append("generator.safetensors differs")
    pictures, copies = _bytes_of(ours.samples_path), _bytes_of(theirs.samples_path)
    problems += [
        f"samples/{name} differs"
        for name in sorted(pictures.keys() | copies.keys())
        if pictures.get(name) != copies.get(name)
    ]
    rows, again = log_rows(ours), log_rows(theirs)
    problems += [f"the log rows of {row['images_seen']} images differ" for row in rows if row not in again]
    if len(rows) != len(again):
        problems.append(f"{len(again)} log rows instead of {len(rows)}")
    return problems


def log_rows(folder: RunFolder) -> list[dict[str, Any]]:
    """The rows that count, measurements included but no other events, without the clock on the wall."""
    rows = [row for row in read_history(folder.metrics_path) if row.get("event") in (None, MEASUREMENT)]
    return [{key: value for key, value in row.items() if key not in ON_THE_WALL} for row in rows]


def unsound(run: Path) -> list[str]:
    """What must never be: a listed checkpoint or a generator file that is damaged, a pointer to nothing."""
    folder = RunFolder(run)
    moments = checkpoint.moments(folder.checkpoints_path)
    problems = []
    for moment in moments:
        problems += checkpoint.verify(folder.checkpoints_path / f"{moment:09}")
    latest = checkpoint.read_pointer(folder.checkpoints_path, "latest")
    if latest is not None and latest not in moments:
        problems.append(f"latest names {latest}, which is not there")
    if folder.generator_path.exists():
        try:
            load_generator_file(folder.generator_path)
        except GanletError as error:
            problems.append(error.what)
    return problems


def _last_tensors(folder: RunFolder) -> dict[str, torch.Tensor]:
    last = checkpoint.load(folder.checkpoints_path)
    if last is None:
        return {}
    tensors = {f"{member}/{name}": tensor for member, them in last.members.items() for name, tensor in them.items()}
    return {"images_seen": torch.tensor(last.images_seen), **tensors}


def _bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@dataclass
class Trial:
    """One run that is killed at random moments until it may end."""

    folder: Path
    config: Path
    total_images: int
    dice: random.Random

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.run = self.folder / "run"
        self.kills: list[str] = []
        self.problems: list[str] = []

    def carry_out(self, most_kills: int, span: float, from_scratch: bool) -> None:
        """Kill at most so often, each time within `span` seconds, then bring the run to its end."""
        for attempt in range(most_kills + 1):
            scratch = from_scratch and attempt == 0
            longest = span + (SCRATCH_SECONDS if scratch else 0.0)
            # More often early than late, because the start of a run has more moments that matter than its end.
            seconds = longest * self.dice.random() ** 1.5 if attempt < most_kills else None
            code = self._start(seconds, scratch)
            if code == 0:
                return
            if code != -9 or seconds is None:
                self.problems.append(f"exit code {code}: {(self.folder / 'log').read_text()[-500:]}")
                return
            self.kills.append(self._where())
            self.problems += unsound(self.run)

    def _start(self, seconds: float | None, from_scratch: bool) -> int | None:
        arguments = ["train", "--config", str(self.config), "--out", str(self.run)]
        if is_run(self.run):
            arguments = ["resume", str(self.run)]
        environment = {"GANLET_CACHE": str(self.folder / "cache")}
        process = start_cli([*arguments, "--device", "cpu"], environment, self.folder / "log", from_scratch)
        process.join(seconds)
        process.kill()
        process.join()
        return process.exitcode

    def _where(self) -> str:
        """What the last kill struck, from what it left on the disk."""
        if not is_run(self.run):
            return "before there was a run"
        checkpoints = RunFolder(self.run).checkpoints_path
        moments = checkpoint.moments(checkpoints)
        if any(entry.name.startswith((TEMPORARY, DELETED)) for entry in checkpoints.iterdir()):
            return "in the middle of a save"
        if not moments:
            return "before the first checkpoint"
        return "after the last checkpoint" if moments[-1] >= self.total_images else "between checkpoints"


SCRATCH_SECONDS = 2.0  # about what importing takes


def kill_and_resume(folder: Path, kills: int, seed: int = 0, total_images: int = 640) -> tuple[Counter[str], list[str]]:
    """Carry out trials until there were so many kills. Returns what they struck, how often, and all problems."""
    config = folder / "config.yaml"
    config.write_text(dump_yaml(make_config(overrides={**SETTINGS, "train.total_images": total_images})))
    dice = random.Random(seed)

    # The first child also starts the process from which all others are forked.
    start_cli(["--version"], {}, folder / "log").join()
    peaceful = Trial(folder / "peaceful", config, total_images, dice)
    begin = time.monotonic()
    peaceful.carry_out(0, 0.0, from_scratch=False)
    span = time.monotonic() - begin
    print(f"in peace: {span:.2f} s", flush=True)

    struck: Counter[str] = Counter()
    problems = list(peaceful.problems)
    number = 0
    while struck.total() < kills and not problems:
        number += 1
        trial = Trial(folder / f"trial-{number}", config, total_images, dice)
        most = min(dice.randint(1, MOST_KILLS_A_RUN), kills - struck.total())
        trial.carry_out(most, span, from_scratch=number % FROM_SCRATCH_EVERY == 0)
        found = trial.problems or differences(peaceful.run, trial.run)
        print(
            f"run {number:3}  {'; '.join(trial.kills) or 'not killed'}  ->  {'; '.join(found) or 'equal'}", flush=True
        )
        problems += [f"run {number}: {problem}" for problem in found]
        struck.update(trial.kills)
    return struck, problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    with tempfile.TemporaryDirectory() as folder:
        struck, problems = kill_and_resume(Path(folder), options.kills, options.seed)
    print(f"{struck.total()} kills: " + ", ".join(f"{count} {where}" for where, count in struck.most_common()))
    print("\n".join(problems) or "every run ended with the very same bits")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
