"""What the doctor says of many histories is what it said before: `recorded.json`, which changes only on purpose.

Where it differs, the test writes what it found into its folder: copy that here to record anew.
"""

from __future__ import annotations

import json
from itertools import combinations, islice
from pathlib import Path

from ganlet.health.verdicts import diagnose

RECORDED = Path(__file__).with_name("recorded.json")
CRITIC = {"objective.loss.kind": "wasserstein", "objective.penalties": []}
SETTINGS = {
    "usual": {},
    "labelled": {"data.labels": "classes", "objective.augment.policies": ["color", "cutout"], "data.flip": True},
    "critic": {**CRITIC, "objective.loss.clip": 0.01},
    "unbounded": {**CRITIC, "generator.optimizer.beta1": 0.9},
    "least squares": {"objective.loss.kind": "lsgan", "objective.penalties": [], "train.precision": "bf16"},
}

# Signals of looks, each beyond every limit that it has.
LOOKS = {
    "rough_diversity": (0.01, 0.5), "raw_rough_diversity": (0.1,), "duplicates": (0.9, 0.4), "diversity": (0.3,),
    "separation": (1.0, 0.5, 0.1), "distance": (1.2, None), "coverage": (0.05,), "movement": (0.0, 1.4),
    "dead_units": (0.95,), "generator_not_finite": (2.0,), "discriminator_not_finite": (1.0,), "copies": (0.9, 0.5),
    "recognition": (0.95, 0.8, None), "checkerboard": (6.0,), "colour_shift": (0.8,), "contrast": (0.3, 2.0),
    "saturation": (0.5,), "pixel_shift": (0.8,), "label_effect": (0.02,), "label_agreement": (0.02,),
    "leak_cutout": (0.8, 0.4), "leak_color": (0.7,), "clipped_weights": (0.95,), "logit_spread": (0.5,),
}  # fmt: skip
BEYOND = {f"{signal} {value}": ({signal: value}, {}) for signal, values in LOOKS.items() for value in values}
# Others that take more than a number.
BEYOND |= {
    "separation swings": ({"separation": lambda images: 0.99 if images // 4_000 % 2 else 0.45}, {}),
    "weights grow": ({"generator_weight_norm": lambda images: 1.1 ** (images / 1_000)}, {}),
    "weights race": ({"discriminator_gain": lambda images: 1 + images / 1_600}, {}),
    "a class": ({"class_diversity/bag": 0.8, "class_diversity/boot": 0.05, "class_diversity/coat": 0.9}, {}),
    "each class": (dict.fromkeys(("class_diversity/bag", "class_diversity/boot"), 0.2), {}),
    "it gets better": ({"distance": lambda images: 2 * 0.97 ** (images / 1_000)}, {}),
    "losses not finite": ({}, {"generator_loss": None}),
    "scores explode": ({}, {"real_logit": 300.0, "fake_logit": -300.0}),
    "scores explode the wrong way round": ({}, {"real_logit": -300.0, "fake_logit": 300.0}),
    "scores swing": ({}, {"real_logit": lambda images: 4.0 if images // 1_000 % 2 else 0.5, "fake_logit": 0.0}),
    "scores grow": ({}, {"real_logit": lambda images: images / 100, "fake_logit": 0.0}),
    "scores are alike": ({}, {"real_logit": 0.01, "fake_logit": 0.0}),
    "scores disagree": ({}, {"real_logit": -2.0, "fake_logit": 4.0}),
    "the generator has lost": ({}, {"real_logit": 8.0, "fake_logit": -9.0, "generator_loss": 9.0}),
    "nothing is learned": ({"separation": 1.0, "distance": 1.2, "rough_diversity": 0.7},
                           {"generator_loss": lambda images: 2.0 + images / 15_000}),
    "nothing can be told": ({"separation": 0.5, "distance": 0.9, "coverage": None},
                            {"real_logit": 0.01, "fake_logit": 0.0}),
    "wrongly rewarded": ({"separation": 0.1}, {"real_logit": -0.5, "fake_logit": 0.0}),
    "no better, and poor": ({"distance": lambda images: 0.8 + 0.01 * (images // 4_000 % 2)}, {}),
    "scores grow, pictures are poor": ({"distance": 0.9}, {"real_logit": lambda images: images / 100,
                                                           "fake_logit": 0.0}),
    "scores are apart": ({}, {"real_logit": 8.0, "fake_logit": -9.0}),
    "wrong looks alone": ({"separation": 0.1}, {}),
    "augmented colours": ({"leak_color": 0.8, "colour_shift": 0.8}, {}),
    "each class, and twins": ({"class_diversity/bag": 0.1, "class_diversity/boot": 0.1, "duplicates": 1.0}, {}),
    "copied to the end": ({"copies": 0.9, "distance": lambda images: 2 * 0.97 ** (images / 1_000)}, {}),
    "copies unknown": ({"recognition": None, "copies": None}, {}),
    "the gradient vanishes": ({"separation": 1.0, "distance": 1.0},
                              {"generator_gradient_norm": lambda images: 10.0 if images < 60_000 else 0.1}),
}  # fmt: skip


def judged(history, info):
    """All verdicts on each signal alone; in short those on it in other runs and on some pairs; and all that is said."""
    alone, others, said = {}, {}, set()
    runs = {name: info(settings, 500) for name, settings in SETTINGS.items()}
    run = info()

    def brief(name, rows, settings):
        verdicts = diagnose(rows, runs[settings]).verdicts
        said.update(
            (one.kind, one.severity, one.words, one.advice.words, one.command)
            for one in verdicts
            if one.kind not in ("healthy", "too early")
        )
        others[f"{name}, {settings}"] = "; ".join(
            f"{one.kind} {one.severity} {one.confidence} {one.since}" for one in verdicts
        )

    for name, (look, row) in BEYOND.items():
        alone[name] = diagnose(history(look, row, onset=20_000), run).as_json()["verdicts"]
        for settings in SETTINGS:
            brief(name, history(look, row), settings)
            brief(f"{name}, by the log", history(look, row, onset=40_000, looks=False), settings)
    for place, (one, other) in enumerate(islice(combinations(BEYOND, 2), 0, None, 4)):
        look, row = ({**BEYOND[one][kind], **BEYOND[other][kind]} for kind in (0, 1))
        brief(f"{one} + {other}", history(look, row), list(SETTINGS)[place % len(SETTINGS)])
    return {"alone": alone, "others": others, "said": {" | ".join(words): "" for words in sorted(said)}}


def test_the_same_verdicts_as_ever(history, info, tmp_path):
    found = json.loads(json.dumps(judged(history, info)))
    (tmp_path / "recorded.json").write_text(json.dumps(found, indent=0, ensure_ascii=False) + "\n")
    expected = json.loads(RECORDED.read_text())
    for part in expected:
        assert found[part].keys() == expected[part].keys()
        for name, said in expected[part].items():
            assert found[part][name] == said, f"{name}, now in {tmp_path}"
