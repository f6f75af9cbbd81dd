"""Training comes to the very numbers that were recorded at an earlier commit: for refactors, which may change none.

On the machine of the record every tensor of the last checkpoint, every log row and the last sample grid must be equal
to the last bit. On another one, where sums are taken in another order, tensors must be near by their sums; a warning
says that no more was compared. The whole of it: pytest tests/test_bit_equal.py -m ""
"""

from __future__ import annotations

import shutil
from fnmatch import fnmatch

import pytest

from recorded.cases import CASES, NOT_EXACT, PRESETS, differences, read_record, run, same_machine

# Differences that are meant, {pattern of names of cases: {what: why}}, where `what` is a member of the checkpoint,
# "samples", "images_seen", or "rows NAME". Once all is as it shall be, record these cases anew and empty this.
_MEAN = "means over all of an iteration's steps, where it was those of the last one"
_ROWS = {
    "discriminator": (
        *("discriminator_loss", "real_logit", "fake_logit", "real_probability", "fake_probability"),
        *("discriminator_gradient_norm", "gradient_penalty", "r1", "label_loss", "real_sign"),
    ),
    "generator": ("generator_loss", "generator_gradient_norm", "fake_label_loss"),
}
_OF_DISCRIMINATOR = {f"rows {name}": _MEAN for name in _ROWS["discriminator"]}
_OF_BOTH = _OF_DISCRIMINATOR | {f"rows {name}": _MEAN for name in _ROWS["generator"]}
_OF_PASSES = {"rows discriminator_gradient_norm": "the mean over all passes, where it was that of the first one"}
_AUTOCAST = "the generator's backward pass ran inside autocast, which is for forward passes"
_IN_BF16 = dict.fromkeys(
    ("average", "discriminator", "discriminator_optimizer", "generator", "generator_optimizer", "samples"), _AUTOCAST
) | dict.fromkeys(_OF_BOTH, _AUTOCAST)
INTENDED: dict[str, dict[str, str]] = {
    "preset/deep-wgan-gp": _OF_DISCRIMINATOR,
    "preset/sngan": _OF_DISCRIMINATOR,
    "n-critic*/*": _OF_DISCRIMINATOR,
    "n-generator/*": _OF_BOTH,
    "accumulate-four/*": _OF_BOTH,
    "several-steps/*": _OF_BOTH,
    "dcgan/dropout": _OF_DISCRIMINATOR,
    "style/mixing-labels": _OF_BOTH,
    "growing/spectral": _OF_DISCRIMINATOR,
    "data/all": _OF_BOTH,
    "preset/tutorial-faces": _OF_PASSES,
    "passes*/*": _OF_PASSES,
    "bf16/*": _IN_BF16,
}

# In the default share: every seventh preset, a spread of all else, and what has no second case.
EVERY_NTH = 160
OTHERS = [name for name in CASES if name not in PRESETS]
SHARE = {*PRESETS[::7], "preset/quick", *OTHERS[::EVERY_NTH], "growing/averages", "init-from/wider", "rollback/mlp-mlp"}
SHARE.discard("schedule/plateau")  # measuring takes longer than ten others

RECORD = read_record()

pytestmark = pytest.mark.filterwarnings(f"default:{NOT_EXACT}")


@pytest.mark.parametrize(
    "name", [name if name in SHARE else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_training_is_what_it_was(name, tmp_path):
    assert name in RECORD["cases"], f"it was never recorded: python tests/recorded/record.py '{name}'"
    case = CASES[name]
    found = run(case, tmp_path)
    shutil.rmtree(tmp_path)
    exact = same_machine(RECORD["environment"])
    different = differences(RECORD["cases"][name], found, exact=exact, tolerance=case.tolerance)
    meant = {what for pattern, whats in INTENDED.items() if fnmatch(name, pattern) for what in whats}
    assert {what: words for what, words in different.items() if what not in meant} == {}


def test_every_record_is_of_a_case():
    assert RECORD["cases"].keys() <= CASES.keys()
    assert [pattern for pattern in INTENDED if not any(fnmatch(name, pattern) for name in CASES)] == []


def test_a_difference_is_found_in_all_that_is_recorded():
    recorded = RECORD["cases"]["preset/quick"]
    assert differences(recorded, recorded, exact=True) == {}
    digest, total, absolute = recorded["members"]["generator"]
    first, *rows = recorded["rows"]
    other = {
        "images_seen": 1,
        "samples": "another",
        "members": {**recorded["members"], "generator": [digest[::-1], total, absolute], "new": ["", 0.0, 0.0]},
        "rows": [{**first, "generator_loss": first["generator_loss"] + 1e-12}, *rows],
    }
    del other["members"]["window"]
    found = ["generator", "images_seen", "new", "rows generator_loss", "samples", "window"]
    assert sorted(differences(recorded, other, exact=True)) == found
    assert sorted(differences(recorded, other, exact=False)) == ["images_seen", "new", "window"]
    far = {**recorded, "members": {**recorded["members"], "generator": [digest, total, 1.01 * absolute]}}
    assert sorted(differences(recorded, far, exact=False)) == ["generator"]
