"""Which units of a generator draw what? Units are chosen on some pictures, silenced together, and judged on others.

    python benchmarks/latent_inside.py RUN ... [--num 300] [--out FILE.json]

For each run and each value of each attribute: the units of each layer are ranked by what each costs this value and no
other verdict (`latent.dissection`), on pictures of seed 0. The first 1, 2, 4, 8 and 16 of them are then silenced
together. Told is the group, of all layers and sizes, that did best on the pictures of seed 0, by what it does to
others, of seed 1: the share of pictures that lose the value, and the share of verdicts on other attributes that change
in these. Beside it, as many random units, ten times: the mean, and the most.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from ganlet.latent.dissection import ablation, random_groups, single_units
from ganlet.latent.inside import Inside
from ganlet.workflows.lab.lab import Lab

SIZES = (1, 2, 4, 8, 16)
RANDOM_TIMES = 10
FEWEST = 15  # pictures that must show a value


def dissect(lab: Lab, num: int) -> list[dict]:
    """A row for each attribute, value, layer and size of the group."""
    assert lab.judge is not None, "the source has no attributes that are known"
    chosen_on, judged_on = lab.sample(num, 0), lab.sample(num, 1)
    inside = Inside.of_generator(lab.space, chosen_on)
    rows = []
    for layer in (layer for layer in inside.layers.values() if layer.has_maps and layer.same_as is None):
        if layer.kind in ("BatchNorm2d", "Upsample", "ConditionalNorm") or layer.num_units <= SIZES[-1]:
            continue  # in front of an activation, or the picture itself
        units = ablation(inside, chosen_on, layer.name, single_units(layer.num_units), lab.judge)
        random = [group for size in SIZES for group in random_groups(layer.num_units, size, RANDOM_TIMES, size)]
        by_chance = ablation(inside, judged_on, layer.name, random, lab.judge)
        for attribute, (name, values) in enumerate(lab.judge.attributes.items()):
            for value, word in enumerate(values):
                if min((found.before[:, attribute] == value).sum() for found in (units, by_chance)) < FEWEST:
                    continue
                order = units.drawing(attribute, value)
                groups = [order[:size].tolist() for size in SIZES]
                chosen, found = (
                    ablation(inside, points, layer.name, groups, lab.judge) for points in (chosen_on, judged_on)
                )
                gains = chosen.lost(attribute, value) - chosen.others_flipped(attribute, value)
                chance = by_chance.lost(attribute, value).reshape(len(SIZES), RANDOM_TIMES)
                others = by_chance.others_flipped(attribute, value).reshape(len(SIZES), RANDOM_TIMES)
                for place, size in enumerate(SIZES):
                    rows.append(
                        {
                            "attribute": name,
                            "value": word,
                            "layer": layer.name,
                            "units": groups[place],
                            "size": size,
                            "pictures": int((found.before[:, attribute] == value).sum()),
                            "gain_when_chosen": round(float(gains[place]), 3),
                            "lost": round(float(found.lost(attribute, value)[place]), 3),
                            "others": round(float(found.others_flipped(attribute, value)[place]), 3),
                            "lost_at_random": round(float(chance[place].mean()), 3),
                            "most_lost_at_random": round(float(chance[place].max()), 3),
                            "others_at_random": round(float(others[place].mean()), 3),
                        }
                    )
    return rows


def best(rows: list[dict]) -> list[dict]:
    """For each attribute and value the row that lost most beyond what it cost others, where units were chosen."""
    found: dict[tuple, dict] = {}
    for row in rows:
        key = row["attribute"], row["value"]
        if key not in found or row["gain_when_chosen"] > found[key]["gain_when_chosen"]:
            found[key] = row
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--num", type=int, default=300)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    everything = {}
    for run in asked.runs:
        lab = Lab.open(run)
        rows = everything[run.name] = dissect(lab, asked.num)
        print(f"\n{run.name}: judge right about {np.mean(list(lab.judge.accuracy.values())):.1%} of real pictures")
        print("| value | layer | units | pictures | lost | others change | lost, random | most | others, random |")
        print("|---|---|---|---|---|---|---|---|---|")
        for row in best(rows):
            shares = ("lost", "others", "lost_at_random", "most_lost_at_random", "others_at_random")
            told = " | ".join(f"{row[share]:.0%}" for share in shares)
            name = f"{row['attribute'].replace('_', ' ')} {row['value']}"
            print(f"| {name} | {row['layer']} | {row['size']} | {row['pictures']} | {told} |")
    if asked.out:
        asked.out.write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    main()
