"""Are a generator's own pictures found again, and what is kept of pictures that it never saw?

    python benchmarks/latent_inversion.py run RUN ... --out ROWS.jsonl [--encoder] [--prior 0.1]
    python benchmarks/latent_inversion.py table ROWS.jsonl

An own picture is found where the mean error is below one grey level. Of held-out pictures the errors are told beside
those of the nearest training picture and of the mean of all; where the source's attributes are known, also how often a
classifier says the same of what was found as of the picture itself (95 % Wilson intervals), and how often it does so of
the nearest training picture. Seconds are of one thread's processor time for
each picture, all that is done once left in.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ganlet.data.holdout import held_out
from ganlet.latent.inversion import Inversion, Search, invert, mean_errors, nearest_errors
from ganlet.workflows.lab.encoders import kept_encoder
from ganlet.workflows.lab.lab import Lab

Row = dict[str, Any]

FOUND = 1.0  # grey levels
Z = 1.959964


def wilson(hits: int, num: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    share, square = hits / num, Z**2 / num
    middle, half = share + square / 2, Z * math.sqrt(share * (1 - share) / num + square / (4 * num))
    return max(0.0, (middle - half) / (1 + square)), min(1.0, (middle + half) / (1 + square))


def own(lab: Lab, num: int, seed: int, search: Search, encoder: Any) -> Row:
    """What is found of the generator's own pictures of a seed; searches draw from others."""
    points = lab.sample(num, seed)
    found, seconds = timed(lab, lab.space.pictures(points), search, encoder)
    hits = int((found.errors < FOUND).sum())
    off = (found.points.values - points.values).flatten(1).norm(dim=1) / points.values.flatten(1).norm(dim=1)
    return {
        "num": num,
        "found": hits,
        "interval": wilson(hits, num),
        "median_error": float(np.median(found.errors)),
        "worst_error": float(found.errors.max()),
        "latents_off": float(off.median()),
        "seconds": seconds,
    }


def unseen(lab: Lab, num: int, search: Search, encoder: Any) -> Row | None:
    """What is found of held-out pictures; None where there are none."""
    pictures = held_out(lab.pack, lab.trained.config.data, num)
    if pictures is None:
        return None
    found, seconds = timed(lab, pictures, search, encoder)
    nearest, which = nearest_errors(pictures, lab.training_pictures)
    row: Row = {
        "num": len(pictures),
        "error": float(found.errors.mean()),
        "nearest_error": float(nearest.mean()),
        "mean_error": float(mean_errors(pictures, lab.training_pictures).mean()),
        "better_than_nearest": float((found.errors < nearest).mean()),
        "seconds": seconds,
        "length": float(found.points.values.square().mean().sqrt()),
    }
    if lab.judge is not None:
        judged = lab.judge(pictures)
        kept = lab.judge(lab.space.pictures(found.points)) == judged
        of_nearest = lab.judge(lab.training_pictures[which]) == judged
        row["kept"] = {
            name: {"share": float(kept[:, place].mean()), "interval": wilson(int(kept[:, place].sum()), len(kept))}
            | {"nearest": float(of_nearest[:, place].mean())}
            for place, name in enumerate(lab.judge.attributes)
        }
        row["kept_all"] = {"share": float(kept.mean()), "nearest": float(of_nearest.mean())}
    return row


def timed(lab: Lab, pictures: np.ndarray, search: Search, encoder: Any) -> tuple[Inversion, float]:
    """An inversion without known labels, and the processor time that each picture took."""
    began = time.process_time()
    found = invert(lab.space, pictures, encoder=encoder, search=search)
    return found, (time.process_time() - began) / len(pictures)


def run(arguments: argparse.Namespace) -> None:
    """Add a line for each run."""
    torch.set_num_threads(1)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    search = Search(prior_weight=arguments.prior)
    for path in arguments.runs:
        lab = Lab.open(path, device="cpu")
        encoder = kept_encoder(lab) if arguments.encoder else None
        row = {"run": path.name, "size": lab.trained.config.data.size, "encoder": arguments.encoder}
        row |= {
            "seed": arguments.seed,
            "prior": arguments.prior,
            "date": str(date.today()),
            "commit": commit,
            "torch": torch.__version__,
        }
        row["own"] = own(lab, arguments.num, arguments.seed, search, encoder) if arguments.num else None
        row["unseen"] = unseen(lab, arguments.held_out, search, encoder) if arguments.held_out else None
        with arguments.out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)


def table(arguments: argparse.Namespace) -> None:
    """Print the lines as Markdown."""
    head = ["run", "commit", "encoder", "seed", "own found", "s", "unseen: off by", "nearest", "mean"]
    head += ["verdicts kept", "of nearest", "s"]
    print(f"| {' | '.join(head)} |\n|{len(head) * '---|'}")
    for line in arguments.rows.read_text().splitlines():
        row = json.loads(line)
        cells = [row["run"], row["commit"], "yes" if row["encoder"] else "no", str(row.get("seed", 77))]
        mine, others = row["own"], row["unseen"]
        cells += [f"{mine['found']} of {mine['num']}", f"{mine['seconds']:.1f}"] if mine else ["", ""]
        if others:
            cells += [f"{others[name]:.1f}" for name in ("error", "nearest_error", "mean_error")]
            kept = others.get("kept_all")
            cells += [f"{kept['share']:.0%}", f"{kept['nearest']:.0%}"] if kept else ["", ""]
            cells.append(f"{others['seconds']:.1f}")
        cells += [""] * (len(head) - len(cells))
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Parse and go."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    runner = commands.add_parser("run")
    runner.add_argument("runs", type=Path, nargs="+")
    runner.add_argument("--out", type=Path, required=True)
    runner.add_argument("--encoder", action="store_true")
    runner.add_argument("--num", type=int, default=100)
    runner.add_argument("--held-out", type=int, default=50)
    runner.add_argument("--seed", type=int, default=77)
    runner.add_argument("--prior", type=float, default=0.1)
    runner.set_defaults(work=run)
    telling = commands.add_parser("table")
    telling.add_argument("rows", type=Path)
    telling.set_defaults(work=table)
    arguments = parser.parse_args()
    arguments.work(arguments)


if __name__ == "__main__":
    main()
