"""What hooks, signals and other ranks ask of the loop, and what comes of it."""

from __future__ import annotations

import pytest

from ganlet.engine.loop import AGREE_EVERY, BY_SIGNAL, FAILED, ROLL_BACK, Reduce, Stop, StopReason
from ganlet.engine.signals import StopRequest
from ganlet.errors import ConfigError, TrainingError


def test_a_request_to_go_back_is_told_and_nothing_is_saved_after_it(begin):
    saved = []
    training = begin()
    ended = training.run(
        lambda event: Stop("sick", rollback=True) if event.images_seen == 48 else None,
        saver=lambda event: saved.append(event.images_seen),
    )
    assert ended == StopReason(finished=False, reason="sick", rollback=True)
    assert training.state.images_seen == 48
    assert saved == [16, 32]


def test_it_is_told_at_the_end_too(begin):
    ended = begin().run(lambda event: Stop("sick", rollback=True) if event.finished else None)
    assert ended == StopReason(finished=False, reason="sick", rollback=True)


def test_it_prevails_over_a_signal_and_a_mere_stop(begin):
    stop = StopRequest()
    stop.number = 15
    hooks = [lambda event: "enough", lambda event: Stop("sick", rollback=True), lambda event: "really enough"]
    assert begin().run(*hooks, stop=stop) == StopReason(finished=False, reason="sick", rollback=True)


def test_the_first_reason_is_the_one_that_is_told(begin):
    ended = begin().run(lambda event: Stop("enough"), lambda event: "more than enough")
    assert ended == StopReason(finished=False, reason="enough")


# Several ranks


class SeveralRanks:
    """Ranks that only count how often they ask each other."""

    rank, world, is_first = 0, 2, True

    def __init__(self, others_flag: int = 0):
        self.others_flag, self.asked_at = others_flag, []

    def average(self, tensors):
        """The other rank has the same."""

    def any(self, flag):
        self.asked_at.append(flag)
        return max(flag, self.others_flag)


def test_several_ranks_ask_each_other_only_now_and_then(begin):
    ranks = SeveralRanks()
    begin({"train.total_images": 16 * 20}).run(ranks=ranks, stop=StopRequest())
    # At the eighth and the sixteenth iteration, and at the end.
    assert ranks.asked_at == [0, 0, 0]


def test_a_signal_at_another_rank_stops_this_one_too(begin):
    training = begin({"train.total_images": 16 * 20})
    ranks = SeveralRanks(BY_SIGNAL + 15)
    assert training.run(ranks=ranks, stop=StopRequest()) == StopReason(finished=False, signal_number=15)
    assert training.state.images_seen == 16 * AGREE_EVERY


def test_no_rank_leaves_the_others_because_of_its_own_hook(begin):
    training, ranks = begin({"train.total_images": 16 * 20}), SeveralRanks()
    outcome = training.run(lambda event: "enough" if event.before == 0 else None, ranks=ranks, stop=StopRequest())
    assert outcome == StopReason(finished=False, reason="enough")
    assert training.state.images_seen == 16 * AGREE_EVERY
    # The other rank sees nothing but this one's flag.
    (flag,) = ranks.asked_at
    other = begin({"train.total_images": 16 * 20})
    assert other.run(ranks=SeveralRanks(flag), stop=StopRequest()) == StopReason(finished=False)
    assert other.state.images_seen == training.state.images_seen


class AnsweringRanks:
    """Two ranks of which this one hears what the other one says by turns."""

    rank, world, is_first = 0, 2, True

    def __init__(self, *others):
        self.others, self.said = list(others), []

    def average(self, tensors):
        """The other rank has the same."""

    def any(self, flag):
        self.said.append(int(flag))
        return max(int(flag), self.others.pop(0) if self.others else 0)


def test_a_failure_of_a_hook_is_raised_on_all_ranks_at_once(begin):
    def fail(event):
        if event.images_seen == 32:
            raise TrainingError("not finite")

    training, ranks, saved = begin({"train.total_images": 320}), AnsweringRanks(), []
    with pytest.raises(TrainingError, match="not finite"):
        training.run(fail, ranks=ranks, saver=lambda event: saved.append(event.images_seen))
    assert training.state.images_seen == 16 * AGREE_EVERY
    assert ranks.said == [FAILED]
    assert saved == [16]
    other = begin({"train.total_images": 320})
    with pytest.raises(TrainingError, match="Another process"):
        other.run(ranks=AnsweringRanks(FAILED))
    assert other.state.images_seen == 16 * AGREE_EVERY


def test_another_ranks_request_to_go_back_reaches_this_one(begin):
    training = begin({"train.total_images": 320})
    assert training.run(ranks=AnsweringRanks(ROLL_BACK)) == StopReason(finished=False, rollback=True)


def test_several_ranks_agree_on_reductions_where_they_measure(begin):
    plateau = {"lr": 0.01, "schedule": {"kind": "plateau", "patience": 32}}
    changes = {
        "evaluate": {"metric": "kd", "every": 48},
        "generator.optimizer": plateau,
        "discriminator.optimizer": plateau,
        "train.total_images": 96,
    }
    asked = {48: Reduce(("generator",)), 96: Reduce(("discriminator",))}
    mine, other = begin(changes), begin(changes)
    # Turns at 48 and 96 images: each player, in the order of the game, then why the loop might end.
    assert list(mine.state.players) == ["discriminator", "generator"]
    first, second = AnsweringRanks(), AnsweringRanks(0, 0, 0, 0, 1, 0)
    mine.run(lambda event: asked.get(event.images_seen), ranks=first)
    assert first.said == [0, 1, 0, 1, 0, 0]
    other.run(ranks=second)
    assert other.state.reductions("generator") == 1
    assert mine.state.reductions("discriminator") == 1


@pytest.mark.parametrize("answer", [True, 5, ["a reason"], 0])
def test_a_callback_that_answers_anything_else_is_told_what_it_may(begin, answer):
    with pytest.raises(ConfigError, match="no answer of a callback") as caught:
        begin().run(lambda event: answer)
    assert caught.value.got == repr(answer)


def test_no_reason_is_no_wish_to_stop(begin):
    assert begin().run(lambda event: "").finished
