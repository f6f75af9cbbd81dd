from __future__ import annotations

import json

import pytest

from ganlet.health.live import LiveDoctor

COLLAPSED = {"raw_rough_diversity": 0.05}


def at_each_look(doctor, rows):
    """The news of each look, by the clock."""
    return {
        row["images_seen"]: doctor.look(rows[: place + 1])
        for place, row in enumerate(rows)
        if row.get("event") == "health"
    }


def told(news):
    return {moment: [verdict.kind for verdict in now.verdicts] for moment, now in news.items() if now.verdicts}


def test_a_healthy_run_is_left_alone(history, info):
    news = at_each_look(LiveDoctor(info(), "stop"), history())
    assert told(news) == {}
    assert all(now.reason is None and now.lines == [] and now.rows == [] for now in news.values())


def test_a_verdict_is_told_once(history, info):
    news = at_each_look(LiveDoctor(info()), history(COLLAPSED, onset=40_000))
    assert told(news) == {44_000: ["mode collapse"]}
    (line,) = news[44_000].lines
    assert line.startswith("mode collapse (since 40,000 images): ")
    assert "--set generator.optimizer.lr=0.0008" in line
    (row,) = news[44_000].rows
    assert json.loads(json.dumps(row)) == row
    assert (row["event"], row["images_seen"], row["verdict"]) == ("verdict", 44_000, "mode collapse")
    assert (row["severity"], row["since"]) == ("serious", 40_000)


def test_it_is_told_again_when_it_returns_after_some_looks(history, info):
    rows = history(COLLAPSED, onset=20_000, until=32_000)
    rows += [row for row in history(COLLAPSED, onset=64_000) if row["images_seen"] > 32_000]
    assert told(at_each_look(LiveDoctor(info()), rows)) == {
        24_000: ["mode collapse"],
        68_000: ["mode collapse"],
    }


def test_a_flickering_verdict_is_not_told_again_and_again(history, info):
    rows = history({"duplicates": lambda images: 0.5 if images // 4_000 % 4 else 0.0})
    assert list(told(at_each_look(LiveDoctor(info()), rows)).values()) == [["mode collapse"]]


def test_what_has_become_serious_is_told_anew(history, info):
    rows = history({"duplicates": lambda images: 0.5 if images < 60_000 else 0.95}, onset=20_000)
    news = at_each_look(LiveDoctor(info()), rows)
    assert told(news) == {28_000: ["mode collapse"], 64_000: ["mode collapse"]}
    assert [news[moment].verdicts[0].severity for moment in told(news)] == ["notice", "serious"]


@pytest.mark.parametrize("action", ["warn", "stop", "rollback"])
@pytest.mark.parametrize(
    ("look", "row", "hopeless"),
    [
        (COLLAPSED, {}, True),
        ({"generator_not_finite": 3.0}, {}, True),
        ({}, {"real_logit": 500.0, "fake_logit": -500.0}, True),
        ({"duplicates": 0.45}, {}, False),
        ({"copies": 0.9}, {}, False),
        ({"checkerboard": 9.0}, {}, False),
    ],
)
def test_a_reason_to_act_is_given_only_for_what_does_not_pass(look, row, hopeless, action, history, info):
    news = at_each_look(LiveDoctor(info(), action), history(look, row, onset=40_000))
    reasons = [now.reason for now in news.values() if now.reason]
    assert bool(reasons) == (hopeless and action != "warn")
    assert all(reason.split(":")[0] in ("mode collapse", "divergence") for reason in reasons)


def test_the_vanishing_generator_is_hopeless_too(history, info):
    news = at_each_look(LiveDoctor(info(), "stop"), history({"separation": 1.0, "distance": 1.3}))
    assert next(now.reason for now in news.values() if now.reason).startswith("discriminator too strong: ")


def test_after_a_rollback_it_is_told_again(history, info):
    doctor = LiveDoctor(info())
    rows = history(COLLAPSED, onset=40_000, until=44_000)
    assert told(at_each_look(doctor, rows)) == {44_000: ["mode collapse"]}
    doctor.went_back()
    rows.append({"event": "rollback", "images_seen": 36_000})
    again = history(COLLAPSED, onset=40_000, until=48_000)
    news = {}
    for row in again:
        if row["images_seen"] > 36_000:
            rows.append(row)
            if row.get("event") == "health":
                news[row["images_seen"]] = doctor.look(rows)
    assert told(news) == {44_000: ["mode collapse"]}


def test_a_resumed_doctor_tells_what_the_first_one_would_have_told(history, info):
    rows = history({"duplicates": lambda images: 0.5 if images < 60_000 else 0.95}, onset=20_000)
    straight = at_each_look(LiveDoctor(info()), rows)
    for seam in (24_000, 28_000, 52_000, 64_000):
        before = [row for row in rows if row["images_seen"] <= seam]
        doctor = LiveDoctor(info())
        doctor.catch_up(before)
        for place, row in enumerate(rows, 1):
            if row.get("event") == "health" and row["images_seen"] > seam:
                assert doctor.look(rows[:place]) == straight[row["images_seen"]]
