"""How far the command is from the arithmetic: what a reader has to go through, counted by running it.

The command `ganlet train` is called as a function, with a run of `quick` that is cut off after two turns, and every
call within the package is noted. Told are, as Markdown: the chain of calls from the command to the first step of Adam
and to the first look of the discriminator; which files a discriminator and a generator step enter, and which a whole
turn of the loop; how many functions of how many lines are entered until the first iteration is over. No times.

    python benchmarks/call_trace.py
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import os
import pkgutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

import ganlet
from ganlet.cli.training import train

# What is looked out for, by file and name: to be changed with the code.
BATCH = ("data/batches.py", "images")  # the real pictures of a step: a turn of the loop goes from one call to the next
TOUCH = ("games/gan.py", "play")  # the first thing done with these pictures
LOOK = ("networks/", ("judge", "forward"), "Discriminator")  # a method of a class whose name ends so
STEP = inspect.unwrap(torch.optim.Adam.step).__code__  # the discriminator's, then the generator's

# torch's first use in a file of settings imports it.
IMPORT = "lazy.py"

# Areas of the package; the first that fits counts. What is entered only in the course of opening pictures, reading the
# config or watching and reporting belongs to these, wherever it stands.
NETWORKS, FEED, DECODING, CONFIG, REPORTING, REST = (
    "networks",
    "data: batches",
    "data: decoding, packing, labels",
    "config",
    "reporting, records",
    "rest",
)
AREAS: tuple[tuple[str, str], ...] = (
    ("networks/", NETWORKS),
    ("data/batches.py", FEED),
    ("data/", DECODING),
    ("config/", CONFIG),
    ("workflows/configuring.py", CONFIG),
    ("cli/options.py", CONFIG),
    ("workflows/arguments.py", CONFIG),
    ("paths.py", CONFIG),
    ("runs/", REPORTING),
    ("health/", REPORTING),
    ("metrics/", REPORTING),
    *((f"workflows/{name}.py", REPORTING) for name in ("reporting", "records", "watchers", "measuring", "doctor")),
    *((f"workflows/{name}.py", REPORTING) for name in ("examiner", "track", "finishing", "evidence")),
    ("", REST),
)
ASIDE = ("data: decoding, packing, labels", "config", "reporting, records")
TOLD_TOGETHER = (NETWORKS, FEED, REST)  # without decoding, config parsing and reporting

SETTINGS = ["data.num_images=256", "train.total_images=160"]
PACKAGE = Path(ganlet.__file__).parent


class Enough(BaseException):
    """Everything has been seen."""


@functools.cache
def place(code: CodeType) -> str | None:
    """The file of a function within the package; None for others, and for what runs when a module is imported."""
    path = Path(code.co_filename)
    if code.co_name == "<module>" or not path.is_relative_to(PACKAGE) or path == PACKAGE / IMPORT:
        return None
    return path.relative_to(PACKAGE).as_posix()


def outside_networks(frame: FrameType | None) -> str | None:
    """The file of a frame of the package, unless it is one of the networks'."""
    file = place(frame.f_code) if frame else None
    return None if file is None or file.startswith(LOOK[0]) else file


@dataclass
class Trace:
    """What is noted of a run; `watch` is a profile function."""

    to_step: list[str] = field(default_factory=list)
    to_look: list[str] = field(default_factory=list)
    in_steps: set[str] = field(default_factory=set)
    in_turn: set[str] = field(default_factory=set)  # the second
    in_turns: set[str] = field(default_factory=set)  # the first, where a lazy penalty is due, or the second
    # What was entered until the end of the first iteration, by area.
    first: dict[CodeType, str] = field(default_factory=dict)
    batches: int = 0
    touched: bool = False
    steps: int = 0

    def watch(self, frame: FrameType, event: str, argument: Any) -> None:
        """Note a call, or that its caller goes on."""
        if event == "call":
            self._enter(frame)
        if event in ("call", "return"):
            self._at_work(frame if event == "call" else frame.f_back)

    def _enter(self, frame: FrameType) -> None:
        code = frame.f_code
        if code is STEP:
            self.steps += 1
            self.to_step = self.to_step or chain(frame)
        file = place(code)
        if file is None:
            return
        if (file, code.co_name) == BATCH:
            self.batches += 1
            if self.batches == 3:
                raise Enough
        if (file, code.co_name) == TOUCH and self.batches:
            self.touched = True
        if self.batches and not self.to_look and is_look(frame, file):
            self.to_look = chain(frame)
        if self.batches < 2 and self.first.get(code) not in TOLD_TOGETHER:
            self.first[code] = within(frame)

    def _at_work(self, frame: FrameType | None) -> None:
        file = outside_networks(frame)
        if file is None:
            return
        if self.touched and self.steps < 2:
            self.in_steps.add(file)
        if self.batches:
            self.in_turns.add(file)
        if self.batches == 2:
            self.in_turn.add(file)


def within(frame: FrameType) -> str:
    """The area that a call belongs to: that of the first of its callers which is aside, else its own."""
    files = []
    above: FrameType | None = frame
    while above is not None and above.f_code is not train.__code__:
        file = place(above.f_code)
        files += [file] if file else []
        above = above.f_back
    areas = [area(file) for file in reversed(files)] or [REST]
    return next((name for name in areas if name in ASIDE), areas[-1])


def is_look(frame: FrameType, file: str) -> bool:
    """Whether this is a forward pass of a discriminator."""
    folder, names, ending = LOOK
    kinds = type(frame.f_locals.get("self")).__mro__
    return file.startswith(folder) and frame.f_code.co_name in names and any(k.__name__.endswith(ending) for k in kinds)


def chain(frame: FrameType) -> list[str]:
    """The frames of the package above one, outermost first, without those of the networks."""
    frames: list[str] = []
    above = frame.f_back
    while above is not None:
        file = outside_networks(above)
        if file is not None:
            frames.append(f"{file} {above.f_code.co_qualname}")
        if above.f_code is train.__code__:
            break
        above = above.f_back
    return frames[::-1]


def functions(codes: Mapping[CodeType, str]) -> dict[str, dict[tuple[str, int], set[int]]]:
    """By area the functions that `codes` are or lie in, with their lines, by file and first line.

    Lambdas, comprehensions and generator expressions belong to the function that they stand in, and a function that is
    entered in several areas to the first one of `TOLD_TOGETHER`.
    """
    found: dict[str, dict[tuple[str, int], set[int]]] = {name: {} for name in (*TOLD_TOGETHER, *ASIDE)}
    for code, name in codes.items():
        around = [lines for lines in definitions(code.co_filename) if code.co_firstlineno in lines]
        if around and (file := place(code)):
            innermost = min(around, key=len)
            found[name][file, innermost.start] = set(innermost)
    known: set[tuple[str, int]] = set()
    for functions_of in found.values():
        for key in known.intersection(functions_of):
            del functions_of[key]
        known.update(functions_of)
    return found


@functools.cache
def definitions(path: str) -> list[range]:
    """The lines of every function of a file, with its decorators."""
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return [
        range(min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]), (node.end_lineno or 0) + 1)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def area(file: str) -> str:
    """The area that a file of the package belongs to."""
    return next(name for start, name in AREAS if file.startswith(start))


def size(found: dict[str, dict[tuple[str, int], set[int]]], areas: Iterable[str]) -> tuple[int, int, int]:
    """How many functions of these areas there are, how many lines they have together, and in how many files."""
    inside = {key: lines for name in areas for key, lines in found[name].items()}
    lines = {(file, line) for (file, _), numbers in inside.items() for line in numbers}
    return len(inside), len(lines), len({file for file, _ in inside})


def traced() -> Trace:
    """A run of the command that is cut off when everything has been seen."""
    for module in pkgutil.walk_packages([str(PACKAGE)], "ganlet."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)  # or calls at import would be counted
    trace = Trace()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GANLET_CACHE"] = f"{folder}/cache"
        sys.setprofile(trace.watch)
        try:
            train(preset="quick", overrides=SETTINGS, out=Path(folder) / "run", device="cpu")
        except Enough:
            pass
        finally:
            sys.setprofile(None)
    assert trace.batches == 3, "the run was over before its third batch: are the names at the top still right?"
    assert trace.to_step, "Adam was not seen"
    assert trace.to_look, "the discriminator was not seen"
    return trace


def report(trace: Trace) -> str:
    """The counts as Markdown."""
    found = functions(trace.first)
    lines = [
        "| what | count |",
        "|---|---|",
        f"| frames from the command to `Adam.step` | {len(trace.to_step)} |",
        f"| frames from the command to the discriminator's first forward pass | {len(trace.to_look)} |",
        f"| files of a discriminator and a generator step, without networks | {len(trace.in_steps)} |",
        f"| files of the second turn of the loop, without networks | {len(trace.in_turn)} |",
        f"| files of the first two turns, with a penalty that is due in the first | {len(trace.in_turns)} |",
        "",
        "Entered from the command to the end of the first iteration:",
        "",
        "| area | functions | lines | files |",
        "|---|---|---|---|",
    ]
    rows = [(name, (name,)) for name in dict.fromkeys(name for _, name in AREAS)]
    rows += [
        ("with networks, without data decoding, config parsing and reporting", TOLD_TOGETHER),
        ("everything", tuple(name for name, _ in rows)),
    ]
    lines += [f"| {name} | {' | '.join(map(str, size(found, areas)))} |" for name, areas in rows]
    for title, entries in (
        ("From the command to Adam.step", trace.to_step),
        ("From the command to the discriminator", trace.to_look),
    ):
        lines += ["", f"{title}:", "", *(f"{number}. `{entry}`" for number, entry in enumerate(entries, 1))]
    for title, files in (
        ("Files of a discriminator and a generator step", trace.in_steps),
        ("Files of the second turn of the loop", trace.in_turn),
        ("Files of the first turn only", trace.in_turns - trace.in_turn),
    ):
        lines += ["", f"{title}:", "", *(f"- `{file}`" for file in sorted(files))]
    return "\n".join(lines)


if __name__ == "__main__":
    print(report(traced()))
