"""How well do directions and arithmetic edit pictures whose attributes are known? One row for each run and value.

Two ways to follow a direction are compared, and two ways to find it: brought to the recommended level of its place or
moved by the least of a few strengths that does it, kept out of the way of other attributes or not. Arithmetic is tried
with random exemplars, once the difference as in Radford et al. 2016, and with what the lab does. All on pictures that
do not show the value, none of which were among those that the directions were found from.

    python benchmarks/latent_directions.py run RUN ... --out ROWS.jsonl [--values glasses smile] [--trials 200]
    python benchmarks/latent_directions.py table ROWS.jsonl

`run` adds a line for each run and value and skips those that are there; `table` prints the lines as Markdown, shares
with their 95 % intervals (Wilson) over all pictures of all runs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganlet.latent.directions import Direction, conditioned, moved, reached
from ganlet.latent.effects import STRENGTHS, Share, least_strengths, turning
from ganlet.latent.space import Points
from ganlet.latent.spread import Spread
from ganlet.latent.supervised import from_groups, from_verdicts
from ganlet.randomness import derive, numpy_generator
from ganlet.workflows.lab.arithmetic import STRENGTHS as TIMES
from ganlet.workflows.lab.directions import NUM_JUDGED
from ganlet.workflows.lab.judge import ModeJudge, judged
from ganlet.workflows.lab.lab import Lab

Row = dict[str, Any]

NUM_FRESH = 2_000
NUM_EXEMPLARS = (1, 3)


def measure(lab: Lab, judge: ModeJudge, name: str, trials: int, seed: int = 0) -> Row:
    """Everything about one value, as counts: turned, and kept by attribute, of how many pictures."""
    spread = Spread.of(lab.space)
    points, verdicts = judged(lab, judge, NUM_JUDGED, derive(seed, "directions/found"))
    fresh, before = judged(lab, judge, NUM_FRESH, derive(seed, "benchmark/fresh"))
    attribute, value = next((one, name) for one, values in judge.attributes.items() if name in values)
    column, number = list(judge.attributes).index(attribute), judge.attributes[attribute].index(value)
    lacks = (before[:, column] != number).nonzero().flatten()
    faces, before = fresh[lacks], before[lacks]

    def told(edited: Points, first: int = len(lacks)) -> Row:
        after = torch.from_numpy(judge(lab.space.pictures(edited)))
        same = (after == before[:first]).sum(dim=0).tolist()
        others = {one: same[n] for n, one in enumerate(judge.attributes) if n != column}
        return {"turned": int((after[:, column] == number).sum()), "total": len(edited), "kept": others}

    row: Row = {"value": name, "attribute": attribute, "share": 1 - len(lacks) / NUM_FRESH}
    others: list[Direction] = []
    if lab.num_labels:  # what labels decide is not in the latents
        found = {one.name: one.direction for one in lab.find_directions(["labels"])}
        row["label"] = told(reached(lab.space, faces, found[f"label {name}"], 1.0))
    else:
        apart, plain = (
            {one.name: one for one in from_verdicts(spread, points, verdicts, judge.attributes, keep_others=keep)}
            for keep in (True, False)
        )
        tuning = lab.sample(1_000, derive(seed, "benchmark/tuned"))
        for words, direction in (("apart", apart[name]), ("plain", plain[name])):
            level = turning(lab.space, tuning, direction, judge).level
            row[f"{words}, level"] = told(reached(lab.space, faces, direction, level)) | {"level": level}
            strengths, _ = least_strengths(lab.space, faces, direction, judge, STRENGTHS)
            row[f"{words}, least"] = told(moved(lab.space, faces, [(direction, strengths)]))
        others = [one for one in apart.values() if one.attribute != attribute]
    for num in NUM_EXEMPLARS:
        for words, rest in (("sum", []), ("sum apart", others))[: 2 if others else 1]:
            offsets = _differences(spread, points, verdicts[:, column] == number, num, trials, rest, seed)
            times = _least_times(lab, judge, faces[:trials], offsets, lambda seen: seen[:, column] == number)
            for how, factors in (
                ("once", torch.ones(trials)),
                ("1.5 times", torch.full((trials,), 1.5)),
                ("least", times),
            ):
                row[f"{words} of {num}, {how}"] = told(_summed(faces[:trials], factors, offsets), trials)
    return row


def _differences(
    spread: Spread, points: Points, shows: torch.Tensor, num: int, trials: int, others: Sequence[Direction], seed: int
) -> Points:
    """The difference of two random groups for each trial, of points and of labels, kept out of the span of others."""
    random = numpy_generator(seed, f"benchmark/exemplars/{num}")
    vectors, labels = [], []
    for _ in range(trials):
        ones, rest = (random.choice(np.flatnonzero(group), num, replace=False) for group in (shows, ~shows))
        found = from_groups(spread, points[torch.from_numpy(ones)], points[torch.from_numpy(rest)], "difference")
        vectors.append(conditioned(found, others).vector)
        labels.append(found.labels)
    return Points(torch.stack(vectors), None if labels[0] is None else torch.stack(labels))


def _summed(faces: Points, factors: torch.Tensor, offsets: Points) -> Points:
    """Each face and so many times its own offset."""
    sums = faces.moved(factors.view(-1, *[1] * (offsets.values.dim() - 1)) * offsets.values)
    if offsets.labels is None or sums.labels is None:
        return sums
    return replace(sums, labels=sums.labels + factors[:, None] * offsets.labels)


def _least_times(
    lab: Lab, judge: ModeJudge, faces: Points, offsets: Points, brings: Callable[[np.ndarray], np.ndarray]
) -> torch.Tensor:
    """How many times each offset must be added to bring the value: the least that is tried, else the most."""
    times, open_ = torch.full((len(faces),), TIMES[-1]), torch.ones(len(faces), dtype=torch.bool)
    for factor in TIMES:
        sums = _summed(faces, torch.full((len(faces),), factor), offsets)
        does = torch.from_numpy(brings(judge(lab.space.pictures(sums))))
        times[open_ & does] = factor
        open_ &= ~does
    return times


def run(runs: Sequence[Path], out: Path, values: Sequence[str], trials: int) -> None:
    done = {(row["weights"], row["value"]) for row in _rows(out)}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    for path in runs:
        lab = Lab.open(path, device="cpu")
        judge = lab.judge
        assert judge is not None, f"nobody can say what the pictures of {path} show"
        for name in values:
            if (lab.weights, name) in done:
                continue
            began = time.process_time()
            config = lab.trained.config
            row = {"run": path.name, "preset": config.preset, "seed": config.seed} | measure(lab, judge, name, trials)
            row |= {"images_seen": lab.trained.images_seen, "weights": lab.weights, "accuracy": judge.accuracy}
            row |= {"seconds": round(time.process_time() - began), "date": str(date.today()), "commit": commit}
            row |= {"torch": torch.__version__}
            with out.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(f"{path.name} {name}: {row.get('apart, level', row.get('label'))}")


def table(rows: Sequence[Row]) -> str:
    """Shares over all runs, a line for each way and value."""
    lines = [
        "| preset | value | way | runs | shows it then | kept: the least kept attribute | lowest run |",
        "|---|---|---|---|---|---|---|",
    ]
    for preset, value in dict.fromkeys((row["preset"], row["value"]) for row in rows):
        own = [row for row in rows if (row["preset"], row["value"]) == (preset, value)]
        for way in [key for key, found in own[0].items() if isinstance(found, dict) and "turned" in found]:
            found = [row[way] for row in own]
            total = sum(one["total"] for one in found)
            kept = {name: sum(one["kept"][name] for one in found) for name in found[0]["kept"]}
            worst = min(kept, key=lambda name: kept[name])
            lowest = min(one["turned"] / one["total"] for one in found)
            turned = _share(Share(sum(one["turned"] for one in found), total))
            least_kept = f"{worst} {_share(Share(kept[worst], total))}"
            lines.append(f"| {preset} | {value} | {way} | {len(own)} | {turned} | {least_kept} | {lowest:.0%} |")
    return "\n".join(lines)


def _share(share: Share) -> str:
    low, high = share.interval
    return f"{share.value:.1%} ({low:.1%} to {high:.1%})"


def _rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    running = verbs.add_parser("run")
    running.add_argument("runs", type=Path, nargs="+")
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--values", nargs="+", default=["glasses", "smile"])
    running.add_argument("--trials", type=int, default=200)
    verbs.add_parser("table").add_argument("rows", type=Path)
    given = parser.parse_args()
    if given.verb == "run":
        run(given.runs, given.out, given.values, given.trials)
    else:
        print(table(_rows(given.rows)))


if __name__ == "__main__":
    main()
