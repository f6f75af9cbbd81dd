from __future__ import annotations

import math
import statistics
from dataclasses import replace

import pytest

from ganlet.config import validate
from ganlet.config.files import parse_override
from ganlet.config.tree import merge
from ganlet.health.history import RunHistory
from ganlet.health.rules import Persistence, above, lasting, persistent
from ganlet.health.signal_table import SIGNALS
from ganlet.health.verdicts import RULES, diagnose, replay

ONSET = 40_000


def flicker(high, low, every=4_000):
    """A signal that changes from look to look."""
    return lambda images: high if images // every % 2 else low


# Each illness as it shows: the verdict, its severity, what looks and log rows show from the onset on.
SICK = {
    "one picture": ("mode collapse", "serious", {"rough_diversity": 0.01, "raw_rough_diversity": 0.0, "duplicates": 1.0,
                                                 "diversity": 0.0, "distance": 1.7, "coverage": 0.0, "separation": 1.0,
                                                 "contrast": 0.5, "pixel_shift": 0.6}, {}),
    "the momentary weights draw one picture": ("mode collapse", "serious", {"raw_rough_diversity": 0.1}, {}),
    "a few families": ("mode collapse", "notice", {"duplicates": 0.45}, {}),
    "less varied": ("mode collapse", "notice", {"diversity": 0.3}, {}),
    "fooled": ("discriminator too weak", "serious", {"separation": 0.05, "distance": 1.5},
               {"real_logit": -2.0, "fake_logit": 4.0}),
    "the log swings": ("oscillation", "notice", {}, {"real_logit": flicker(4.0, 0.5, 1_000),
                                                      "fake_logit": flicker(-4.0, -0.5, 1_000)}),
    "pictures swing": ("oscillation", "notice", {"movement": 1.4}, {}),
    "looks swing": ("oscillation", "notice", {"separation": flicker(0.99, 0.45)}, {}),
    "weights not finite": ("divergence", "serious", {"generator_not_finite": 12.0}, {}),
    "losses not finite": ("divergence", "serious", {}, {"generator_loss": math.nan}),
    "scores explode": ("divergence", "serious", {}, {"real_logit": 300.0, "fake_logit": -300.0}),
    "quality is lost": ("divergence", "serious", {"distance": 0.9, "coverage": 0.05}, {}),
    "copies": ("overfitting", "serious", {"copies": 0.9}, {}),
    "some copies": ("overfitting", "notice", {"copies": 0.5}, {}),
    "training pictures are recognised": ("overfitting", "notice", {"recognition": 0.8}, {}),
    "chequered": ("checkerboard", "notice", {"checkerboard": 6.0}, {}),
    "too red": ("wrong colours", "notice", {"colour_shift": 0.8}, {}),
    "a stuck pixel": ("wrong colours", "notice", {"pixel_shift": 0.8}, {}),
    "another loader": ("wrong colours", "serious", {"separation": 0.1, "colour_shift": 0.8, "pixel_shift": 0.7}, {}),
    "nothing moves": ("stuck", "serious", {"movement": 0.0, "distance": 0.4}, {}),
    "weights grow without end": ("divergence", "serious", {"generator_weight_norm": lambda n: 1.1 ** (n / 1_000)}, {}),
    "weights race": ("divergence", "serious", {"generator_gain": lambda n: 1 + 20 * n / 32_000}, {}),
    "one picture that stays": ("mode collapse", "serious", {"rough_diversity": 0.01, "duplicates": 1.0, "movement": 0.0,
                                                            "distance": 1.7}, {}),
    "known by heart": ("overfitting", "serious", {"recognition": 0.97}, {}),
    "dead units": ("stuck", "serious", {"dead_units": 0.97}, {}),
}  # fmt: skip

# The same in runs with other settings than those of `quick`.
LABELLED = {"data.labels": "classes"}
AUGMENTED = {"objective.augment.policies": ["color", "cutout"]}
CRITIC = {"objective.loss.kind": "wasserstein", "objective.penalties": []}
CLIPPED = {**CRITIC, "objective.loss.clip": 0.01}
VARIED = {"class_diversity/bag": 0.8, "class_diversity/boot": 0.7, "class_diversity/coat": 0.9}
SICK_WITH = {
    "labels change nothing": (LABELLED, "labels ignored", "serious", {"label_effect": 0.02}, {}),
    "labels change it at random": (LABELLED, "labels ignored", "serious",
                                   {"label_effect": 1.0, "label_agreement": 0.02}, {}),
    "one boot": (LABELLED, "class collapsed", "serious", {**VARIED, "class_diversity/boot": 0.05}, {}),
    "less varied than others": (LABELLED, "class collapsed", "serious", {**VARIED, "class_diversity/bag": 0.36}, {}),
    "one picture a class": (LABELLED, "class collapsed", "serious", dict.fromkeys(VARIED, 0.2), {}),
    "squares": (AUGMENTED, "augmentation leaks", "serious", {"leak_cutout": 0.8, "leak_color": 0.1}, {}),
    "a few squares": (AUGMENTED, "augmentation leaks", "notice", {"leak_cutout": 0.4}, {}),
    "scores without bounds": (CRITIC, "critic unbounded", "notice", {"distance": 0.1},
                              {"real_logit": lambda n: n / 100, "fake_logit": 0.0}),
    "poor pictures too": (CRITIC, "critic unbounded", "serious", {"distance": 0.9},
                          {"real_logit": lambda n: n / 100, "fake_logit": 0.0}),
    "all cut off": (CLIPPED, "critic at its limit", "notice", {"clipped_weights": 0.95}, {}),
}  # fmt: skip

# The same of illnesses that a run has from its start.
SICK_FROM_THE_START = {
    "never fooled, and no progress": ("discriminator too strong", "serious",
                                      {"separation": 1.0, "distance": 1.2, "rough_diversity": 0.5}, {}),
    "cannot tell": ("discriminator too weak", "notice", {"separation": 0.5, "distance": 0.9, "coverage": None},
                    {"real_logit": 0.01, "fake_logit": 0.0}),
}  # fmt: skip


def first_detection(rows, info, kind, severity=None):
    """The clock when a verdict of that kind (and severity) was first given, had the run been watched; None: never."""
    for diagnosis in replay(rows, info):
        for verdict in diagnosis.verdicts:
            if verdict.kind == kind and severity in (None, verdict.severity):
                return diagnosis.images_seen
    return None


def found(diagnosis):
    return [(verdict.kind, verdict.severity) for verdict in diagnosis.verdicts if verdict.severity != "healthy"]


def test_a_healthy_run_is_healthy_at_every_look(history, info):
    for diagnosis in replay(history(), info()):
        assert diagnosis.healthy, diagnosis.headline
    assert diagnosis.verdicts[0].kind == "healthy"
    assert diagnosis.num_looks == 22


def test_one_look_after_the_early_phase_is_too_few_to_call_a_run_healthy(history, info):
    kinds = [
        diagnose([r for r in history() if r["images_seen"] <= end], info()).verdicts[0].kind for end in (12_000, 16_000)
    ]
    assert kinds == ["too early", "healthy"]


@pytest.mark.parametrize("name", SICK)
def test_each_illness_is_found_alone_and_after_its_onset(name, history, info):
    kind, severity, look, row = SICK[name]
    rows = history(look, row, onset=ONSET)
    diagnosis = diagnose(rows, info())
    assert found(diagnosis) == [(kind, severity)]
    assert ONSET <= diagnosis.verdicts[0].since <= ONSET + 24_000
    assert {kind for seen in replay(rows, info()) for kind, _ in found(seen)} == {kind}
    detected = first_detection(rows, info(), kind, severity)
    assert detected is not None
    assert ONSET <= detected <= ONSET + 36_000
    assert first_detection(rows[: rows.index(next(r for r in rows if r["images_seen"] == ONSET))], info(), kind) is None


@pytest.mark.parametrize("name", SICK_WITH)
def test_what_other_settings_may_suffer_from(name, history, info):
    changes, kind, severity, look, row = SICK_WITH[name]
    onset = 0 if "distance" in look else ONSET
    rows = history(look, row, onset=onset)
    diagnosis = diagnose(rows, info(changes))
    assert found(diagnosis) == [(kind, severity)]
    verdict = diagnosis.verdicts[0]
    assert verdict.words.endswith(".")
    assert all(item.words and item.limit_words for item in verdict.evidence)
    assert verdict.command
    assert onset <= first_detection(rows, info(changes), kind) <= onset + 28_000


def test_a_picture_for_each_class_is_more_telling_than_that_they_are_alike(history, info):
    look = {**dict.fromkeys(VARIED, 0.1), "duplicates": 1.0, "diversity": 0.5}
    assert found(diagnose(history(look), info(LABELLED))) == [("class collapsed", "serious")]
    one = {**look, "rough_diversity": 0.05}  # one picture for all
    assert found(diagnose(history(one), info(LABELLED))) == [("mode collapse", "serious")]


def test_the_classes_that_collapsed_are_named(history, info):
    look = {**VARIED, "class_diversity/boot": 0.05}
    (verdict,) = diagnose(history(look, onset=ONSET), info(LABELLED)).verdicts
    assert verdict.words.endswith(": boot.")
    assert verdict.command == "--set data.balance=true"
    (verdict,) = diagnose(history(dict.fromkeys(VARIED, 0.2)), info(LABELLED)).verdicts
    assert "bag, boot, coat" in verdict.words
    assert verdict.command == "--set generator.condition=norm"


def test_a_leak_is_told_by_its_policies_and_not_by_their_shadows(history, info):
    look = {"leak_cutout": 0.9, "leak_color": 0.5}
    (verdict,) = diagnose(history(look), info(AUGMENTED)).verdicts
    assert [item.signal for item in verdict.evidence] == ["leak_cutout"]
    assert verdict.command == "--set objective.augment.strength=0.5"
    (verdict,) = diagnose(history({**look, "leak_color": 0.8}), info(AUGMENTED)).verdicts
    assert {item.signal for item in verdict.evidence} == {"leak_cutout", "leak_color"}


# Logits of any size


HUGE = {"real_logit": 240.0, "fake_logit": 90.0}


@pytest.mark.parametrize(
    ("changes", "ill"),
    [
        ({}, ["divergence"]),
        ({"objective.loss.kind": "wasserstein", "objective.penalties": [{"kind": "gradient_penalty"}]}, []),
        (CLIPPED, []),
        ({**CRITIC, "discriminator.spectral": True}, []),
        (CRITIC, ["critic unbounded"]),
        ({**CRITIC, "objective.penalties": [{"kind": "lecam"}]}, ["critic unbounded"]),
    ],
)
def test_a_critic_may_have_scores_of_any_size_where_something_bounds_it(changes, ill, history, info):
    assert [kind for kind, _ in found(diagnose(history({"separation": 1.0}, HUGE), info(changes)))] == ill


@pytest.mark.parametrize(
    ("loss", "kinds"),
    [
        ("bce", ["discriminator too strong"]),
        ("relativistic", ["discriminator too strong"]),
        ("hinge", []),
        ("lsgan", []),
        ("wasserstein", []),
    ],
)
def test_only_log_odds_tell_by_their_size_that_a_discriminator_has_won(loss, kinds, history, info):
    row = {"real_logit": 8.0, "fake_logit": -9.0, "generator_loss": 9.0}
    rows = history(row=row, onset=ONSET, looks=False)
    changes = {"objective.loss.kind": loss, "objective.penalties": [{"kind": "gradient_penalty"}]}
    assert [kind for kind, _ in found(diagnose(rows, info(changes)))] == kinds


@pytest.mark.parametrize(("loss", "kinds"), [("bce", ["stuck"]), ("lsgan", []), ("wasserstein", [])])
def test_a_small_distance_means_little_where_logits_are_small(loss, kinds, history, info):
    rows = history(row={"real_logit": 0.04, "fake_logit": 0.0}, onset=ONSET, looks=False)
    changes = {"objective.loss.kind": loss, "objective.penalties": [{"kind": "gradient_penalty"}]}
    assert [kind for kind, _ in found(diagnose(rows, info(changes)))] == kinds


def test_a_critic_that_is_never_fooled_does_its_work(history, info):
    poor = {"separation": 1.0, "distance": 1.2, "rough_diversity": 0.7}
    gradients = {"generator_gradient_norm": lambda n: 10.0 if n < 60_000 else 0.1}
    changes = {"objective.loss.kind": "wasserstein", "objective.penalties": [{"kind": "gradient_penalty"}]}
    assert found(diagnose(history(poor), info(changes))) == []
    vanished = diagnose(history(poor, gradients), info(changes))
    assert found(vanished) == [("discriminator too strong", "serious")]
    assert "vanish" not in vanished.verdicts[0].words
    assert "vanish" in diagnose(history(poor), info()).verdicts[0].words


def test_a_critic_swings_in_the_unit_of_its_own_scores(history, info):
    swinging = {"real_logit": flicker(0.04, 0.005, 1_000), "fake_logit": flicker(-0.04, -0.005, 1_000)}
    for spread, ill in ((0.01, [("oscillation", "notice")]), (10.0, []), (None, [])):
        rows = history({"logit_spread": spread}, swinging, onset=ONSET)
        assert found(diagnose(rows, info(CLIPPED))) == ill


def test_bad_loading_is_told_in_the_unit_of_the_loss(history, info):
    look, row = {"separation": 0.1}, {"real_logit": 0.9, "fake_logit": 0.1}
    for loss, kind in (("bce", "discriminator too weak"), ("lsgan", "wrong colours")):
        diagnosis = diagnose(history(look, row, onset=ONSET), info({"objective.loss.kind": loss}))
        assert [kind for kind, _ in found(diagnosis)] == [kind]


@pytest.mark.parametrize("name", SICK_FROM_THE_START)
def test_what_a_run_has_from_its_start_is_found_after_the_early_phase(name, history, info):
    kind, severity, look, row = SICK_FROM_THE_START[name]
    rows = history(look, row)
    assert found(diagnose(rows, info())) == [(kind, severity)]
    assert 12_000 < first_detection(rows, info(), kind, severity) <= 24_000


@pytest.mark.parametrize("name", SICK)
def test_a_verdict_says_everything_that_a_person_needs(name, history, info):
    _, _, look, row = SICK[name]
    diagnosis = diagnose(history(look, row, onset=ONSET), info())
    verdict = diagnosis.verdicts[0]
    assert 0.5 <= verdict.confidence <= 1
    assert verdict.words.endswith(".")
    assert verdict.advice.words.endswith(".")
    assert all(item.words for item in verdict.evidence)
    assert verdict.evidence
    assert verdict.picture_moments[0] < verdict.since <= verdict.picture_moments[-1]
    assert f"{verdict.since:,}" in diagnosis.headline
    tree = {}
    for option in verdict.command.split(" --set "):
        tree = merge(tree, parse_override(option.removeprefix("--set ").strip("'")), None) if option else tree
    before = info().config
    assert (validate(merge(before.model_dump(), tree)) != before) == bool(verdict.command)


@pytest.mark.parametrize("name", [name for name in SICK if "not finite" not in name])
def test_the_early_phase_alarms_nobody(name, history, info):
    _, _, look, row = SICK[name]
    for diagnosis in replay(history(look, row, until=10_000), info()):
        assert diagnosis.healthy
        assert diagnosis.verdicts[0].kind == "too early"


@pytest.mark.parametrize(("look", "row"), [({"generator_not_finite": 1.0}, {}), ({}, {"discriminator_loss": None})])
def test_numbers_that_are_not_finite_are_told_at_once(look, row, history, info):
    rows = history(look, {}, onset=4_000, until=4_000)
    rows[-2] |= row
    assert found(diagnose(rows, info())) == [("divergence", "serious")]


def test_a_run_that_ended_by_numbers_that_are_not_finite(history, info):
    rows = [*history(until=20_000), {"event": "failure", "images_seen": 20_480, "reason": "a loss is not finite"}]
    assert found(diagnose(rows, info())) == [("divergence", "serious")]


@pytest.mark.parametrize("name", [name for name in SICK if "not finite" not in name])
def test_one_look_alone_alarms_nobody(name, history, info):
    _, _, look, _ = SICK[name]
    rows = history()
    spoiled = next(row for row in rows if row.get("event") == "health" and row["images_seen"] == 48_000)
    spoiled |= {signal: value(48_000) if callable(value) else value for signal, value in look.items()}
    assert all(diagnosis.healthy for diagnosis in replay(rows, info()))


def test_an_illness_that_has_passed_is_no_longer_told(history, info):
    rows = history({"raw_rough_diversity": 0.05}, onset=40_000, until=56_000)
    rows += [row for row in history() if row["images_seen"] > 56_000]
    assert first_detection(rows, info(), "mode collapse") == 44_000
    assert diagnose(rows, info()).healthy


def test_a_single_healthy_look_between_does_not_move_the_beginning(history, info):
    rows = history({"duplicates": 0.5}, onset=40_000)
    one = next(row for row in rows if row.get("event") == "health" and row["images_seen"] == 60_000)
    one["duplicates"] = 0.0
    assert diagnose(rows, info()).verdicts[0].since == 40_000


@pytest.mark.parametrize("distance", [None, lambda images: 40_000 / (images + 2_000), 0.3])
def test_being_never_fooled_is_no_illness_while_pictures_are_good_or_get_better(distance, history, info):
    rows = history({"separation": 1.0, "distance": distance}, until=44_000)
    assert all(diagnosis.healthy for diagnosis in replay(rows, info()))


def test_not_moving_at_the_end_of_a_schedule_is_meant(history, info):
    rows = history({"movement": 0.0}, {"generator_rate": 1e-5}, onset=60_000)
    assert diagnose(rows, info()).healthy


@pytest.mark.parametrize("rows", [[], [{"images_seen": 50_000, "event": "resume"}]])
def test_without_numbers_nothing_is_said(rows, info):
    diagnosis = diagnose(rows, info())
    assert diagnosis.healthy
    assert [verdict.kind for verdict in diagnosis.verdicts] == ["too early"]
    assert list(replay(rows, info())) == [diagnosis] * len(rows)


@pytest.mark.parametrize("place", range(4))
def test_a_single_row_is_enough_to_be_read(place, history, info):
    row = history(until=44_000)[-place - 1]
    assert diagnose([row], info()).healthy


def test_signals_that_are_missing_make_no_illness(history, info):
    for signal in history()[4]:
        if signal not in ("event", "images_seen"):
            assert diagnose(history({signal: None}), info()).healthy, signal
    assert diagnose(
        history(dict.fromkeys(["diversity", "duplicates", "coverage", "distance", "copies"])), info()
    ).healthy


# Runs without looks, judged by the log alone


def test_a_log_alone_may_be_healthy(history, info):
    diagnosis = diagnose(history(looks=False), info())
    assert diagnosis.healthy
    assert diagnosis.verdicts[0].confidence < 0.5
    assert "never looked" in diagnosis.verdicts[0].words


BY_THE_LOG = [
    ({"real_logit": 8.0, "fake_logit": -9.0, "generator_loss": 9.0}, "discriminator too strong"),
    ({"real_logit": 0.01, "fake_logit": 0.0, "generator_loss": 0.69}, "stuck"),
    ({"real_logit": -900.0, "fake_logit": 900.0}, "divergence"),
    ({"real_logit": flicker(4, 0.2, 1_000), "fake_logit": flicker(-4, -0.2, 1_000)}, "oscillation"),
]


@pytest.mark.parametrize(("row", "kind"), BY_THE_LOG)
def test_what_a_log_alone_can_tell(row, kind, history, info):
    rows = history(row=row, onset=ONSET, looks=False)
    diagnosis = diagnose(rows, info())
    assert [kind for kind, _ in found(diagnosis)] == [kind]
    assert all(item.words for verdict in diagnosis.verdicts for item in verdict.evidence)
    assert first_detection(rows, info(), kind) > ONSET


# Measurements


def measured(values, every=5_000, error=0.01):
    return [
        {"event": "measurement", "images_seen": (place + 1) * every, "metric": "kd", "value": value, "error": error}
        for place, value in enumerate(values)
    ]


def test_a_measured_distance_that_rises_beyond_its_errors_is_a_loss(history, info):
    rows = history(until=45_000, looks=False)
    falling = [2.0, 1.5, 1.2, 1.0, 1.0, 1.0, 1.0]
    assert diagnose([*rows, *measured([*falling, 1.02, 1.01])], info()).healthy
    lost = diagnose([*rows, *measured([*falling, 1.8, 1.9])], info())
    assert found(lost) == [("divergence", "serious")]
    assert lost.verdicts[0].since == 40_000
    assert diagnose([*rows, *measured([*falling, 1.8, 1.9], error=0.3)], info()).healthy


def test_a_run_that_still_gets_better_at_its_end_is_under_trained(history, info):
    rows = history({"distance": None, "coverage": None})
    values = [2.0 * 0.93**place for place in range(18)]
    kinds = {verdict.kind: verdict for verdict in diagnose([*rows, *measured(values)], info()).verdicts}
    assert set(kinds) == {"healthy", "under-trained"}
    assert kinds["under-trained"].command == "--set train.total_images=180000"
    assert kinds["under-trained"].evidence[0].limit_words == f"before {statistics.fmean(values[8:13]):.4g}"
    half = [*history({"distance": None, "coverage": None}, until=45_000), *measured(values[:9])]
    assert [verdict.kind for verdict in diagnose(half, info()).verdicts] == ["healthy"]


def test_a_run_that_no_longer_gets_better_is_finished(history, info):
    rows = history({"distance": None, "coverage": None})
    values = [2.0, 1.5, 1.2, 1.0, 0.9, *[0.8, 0.81] * 6, 0.8]
    kinds = {verdict.kind: verdict for verdict in diagnose([*rows, *measured(values)], info()).verdicts}
    assert set(kinds) == {"healthy", "finished"}
    assert kinds["finished"].since == 30_000
    noisy = diagnose([*rows, *measured(values, error=0.4)], info())
    assert [verdict.kind for verdict in noisy.verdicts] == ["healthy"]


# Settings and info


def test_few_pictures_without_any_held_out(history, info):
    rows = history({"recognition": None, "copies": None})
    (verdict,) = diagnose(rows, info(num_pictures=500)).verdicts
    assert (verdict.kind, verdict.severity, verdict.command) == ("overfitting", "notice", "--set data.holdout=0.1")
    assert diagnose(history(), info(num_pictures=500)).healthy
    assert diagnose(rows, info(num_pictures=5_000)).healthy
    early = history({"recognition": None, "copies": None}, until=12_000)
    assert diagnose(early, info(num_pictures=500)).healthy
    assert diagnose(early[:10], info(num_pictures=50)).healthy


def test_the_early_phase_is_longer_for_large_batches(info):
    assert info().early == 10_800
    assert info({"train.batch_size": 128}).early == 32_000
    assert info({"train.total_images": 10**7}).early == 40_000


def test_rows_that_a_rollback_has_undone_do_not_count(history, info):
    rows = history({"raw_rough_diversity": 0.0}, onset=40_000, until=48_000)
    rows.append({"event": "rollback", "images_seen": 30_000, "from": 48_000, "to": 30_000})
    assert diagnose(rows, info()).healthy
    rows += [row for row in history(until=60_000) if row["images_seen"] > 30_000]
    diagnosis = diagnose(rows, info())
    assert diagnosis.healthy
    assert "taken back" in diagnosis.verdicts[0].words


def test_a_rule_is_data_and_may_be_another_one(history, info):
    rows = history({"checkerboard": 6.0}, onset=ONSET)
    (rule,) = [rule for rule in RULES if rule.kind == "checkerboard"]
    for signs, kinds in (
        (rule.signs, ["checkerboard"]),
        (lasting(above("checkerboard", 7.0)), ["healthy"]),
        (lasting(above("checkerboard", 3.0), needed=50), ["healthy"]),
    ):
        verdicts = diagnose(rows, info(), [replace(rule, signs=signs)]).verdicts
        assert [verdict.kind for verdict in verdicts] == kinds


def test_rules_name_what_there_is():
    named = {rule.kind for rule in RULES} | {rule.subject for rule in RULES}
    assert {name for rule in RULES for name in (*rule.explains, *rule.silent_beside)} <= named
    signs = [one for rule in RULES for one in getattr(rule.signs, "signs", (rule.signs,))]
    signs += [need for rule in RULES for need in rule.needs]
    read = {one.signal for sign in signs for one in getattr(sign, "thresholds", ())}
    assert read <= set(SIGNALS)
    assert len(read) > 25
    for sign in signs:  # rows are either looks or those of one derived signal
        if isinstance(sign, Persistence):
            assert len(sign.thresholds) == 1 or not any(SIGNALS[one.signal].derive for one in sign.thresholds)


def test_graver_and_surer_verdicts_come_first(history, info):
    copied = diagnose(history({"copies": 0.9, "recognition": 0.9}), info())
    assert [verdict.evidence[0].signal for verdict in copied.verdicts] == ["copies"]
    sick = {"recognition": 0.71, "checkerboard": 9.0, "dead_units": 0.95}
    verdicts = diagnose(history(sick), info()).verdicts
    assert [verdict.kind for verdict in verdicts] == ["stuck", "overfitting"]  # a pattern is what dead units leave
    sick["dead_units"] = 0.0
    verdicts = diagnose(history(sick), info()).verdicts
    assert [verdict.kind for verdict in verdicts] == ["checkerboard", "overfitting"]
    assert verdicts[0].confidence > verdicts[1].confidence
    verdicts = diagnose(history({"copies": 0.71, "checkerboard": 90.0}), info()).verdicts
    assert [verdict.kind for verdict in verdicts] == ["overfitting", "checkerboard"]  # the first one is serious
    assert verdicts[0].confidence < verdicts[1].confidence


def test_every_rule_can_speak(history, info):
    runs = [history(look, row, onset=ONSET) for _, _, look, row in SICK.values()]
    runs += [history(look, row) for _, _, look, row in SICK_FROM_THE_START.values()]
    runs += [history({"recognition": None, "copies": None}), history({"movement": 0.0, "distance": 0.4})]
    runs += [history(row=row, onset=ONSET, looks=False) for row, _ in BY_THE_LOG]
    runs += [[*history({"distance": far, "coverage": None}), *measured(values)] for far in (None, 0.9) for values in
             ([2.0 * 0.93**place for place in range(18)], [0.8, 0.81] * 9)]  # fmt: skip
    read = [RunHistory.read(rows, info(num_pictures=500)) for rows in runs]
    read += [
        RunHistory.read(history(look, row, onset=0 if "distance" in look else ONSET), info(changes))
        for changes, _, _, look, row in SICK_WITH.values()
    ]
    silent = [(rule.kind, rule.words) for rule in RULES if not any(rule.judge(one) for one in read)]
    assert silent == []


def test_what_lasts_needs_its_last_row_and_enough_before_it():
    def lasting(text, needed=3):
        rows = [{"images_seen": place, "signal": float(char)} for place, char in enumerate(text) if char != " "]
        found = persistent(rows, [above("signal", 5)], needed)
        return found and (found.since, found.length)

    assert lasting("000") is None
    assert lasting("0099") is None
    assert lasting("00999") == (2, 3)
    assert lasting("99909") == (0, 4)
    assert lasting("99009") is None
    assert lasting("9990099909") == (5, 4)
    assert lasting("99990") is None
    assert lasting("09 9 9") == (1, 3)
    assert lasting("") is None
