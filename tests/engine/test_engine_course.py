"""What was decided on the way: reductions and rollbacks shape all that comes after them, and resume exactly."""

from __future__ import annotations

import pytest
import torch

from ganlet.engine import draws
from ganlet.engine.draws import Draws, noise_seed
from ganlet.engine.hooks import Reduce, Stop
from ganlet.engine.loop import Outcome
from ganlet.engine.schedule import measure_every
from ganlet.engine.signals import StopRequest
from ganlet.engine.wishes import AGREE_EVERY, FAILED, ROLL_BACK
from ganlet.errors import TrainingError
from ganlet.objective import build_objective

PLATEAU = {"kind": "plateau", "patience": 32, "factor": 0.5, "min_factor": 0.2}
WATCHED = {
    "evaluate.metric": "kd",
    "generator.optimizer": {"lr": 0.01, "schedule": {**PLATEAU, "warmup": 32}},
    "discriminator.optimizer": {"lr": 0.02, "schedule": {**PLATEAU, "factor": 0.1, "min_factor": 0.01}},
    "health.rate_factor": 0.25,
}
NOISY = {
    "generator.dropout": 0.2,
    "objective.instance_noise": {"sigma": 0.3},
    "data.flip": True,
    "health.rate_factor": 1.0,
}


class Rates:
    """A hook that remembers both rates at each moment."""

    def __init__(self):
        self.seen = []

    def __call__(self, moment):
        state = moment.state
        optimizers = (state.generator_optimizer, state.discriminator_optimizer)
        self.seen.append(tuple(optimizer.param_groups[0]["lr"] for optimizer in optimizers))


def reduce_at(**moments):
    """A hook that asks for reductions of each side at these moments."""

    def hook(moment):
        sides = tuple(side for side, when in moments.items() if moment.images_seen in when)
        return Reduce(sides) if sides else None

    return hook


REDUCTIONS = {"generator": (48, 80, 96, 128), "discriminator": (64,)}


def test_each_reduction_lowers_its_own_side_and_never_below_the_least(begin):
    training, rates = begin(WATCHED), Rates()
    training.run(rates, reduce_at(**REDUCTIONS))
    generator, discriminator = zip(*rates.seen, strict=True)
    # Asked for at 48 images, it holds for the iteration after that; 0.5^3 would be below 0.2; warm-up until 32.
    factors = [0, 0.5, 1, 0.5, 0.5, 0.25, 0.2, 0.2, 0.2, 0.2]
    assert generator == pytest.approx([0.01 * factor for factor in factors], rel=1e-12)
    assert discriminator == pytest.approx([0.02] * 4 + [0.02 * 0.1] * 6, rel=1e-12)
    course = training.state.course
    assert (course.reductions("generator"), course.reductions("discriminator"), course.rollbacks) == (4, 1, 0)


def test_what_is_asked_for_is_granted_before_it_is_saved(begin):
    training, saved = begin(WATCHED), {}
    training.run(
        reduce_at(generator=(48,)),
        saver=lambda moment: saved.update({moment.images_seen: moment.state.course.reductions("generator")}),
    )
    assert [saved[moment] for moment in (32, 48, 64)] == [0, 1, 1]


def test_each_rollback_lowers_both_rates(begin):
    training, rates = begin(WATCHED), Rates()
    training.state.course.rollbacks = 2
    training.run(rates, reduce_at(**REDUCTIONS))
    untouched, plain = begin(WATCHED), Rates()
    untouched.run(plain, reduce_at(**REDUCTIONS))
    assert rates.seen == [(g * 0.0625, d * 0.0625) for g, d in plain.seen]


@pytest.mark.parametrize("moment", [32, 48, 112])
def test_with_reductions_and_rollbacks_it_resumes_exactly(begin, unequal, moment):
    changes = {**WATCHED, **NOISY}
    straight = begin(changes)
    straight.state.course.rollbacks = 1
    straight.run(reduce_at(**REDUCTIONS))
    stopped = begin(changes)
    stopped.state.course.rollbacks = 1
    members = stopped.run_until(moment, reduce_at(**REDUCTIONS))
    resumed = begin(changes)
    resumed.state.load(members, moment)
    resumed.run(reduce_at(**REDUCTIONS))
    assert unequal(straight.snapshot(), resumed.snapshot()) == []


@pytest.mark.parametrize("name", ["rollbacks", "generator_reductions", "discriminator_reductions"])
def test_leaving_any_part_of_the_course_out_is_seen(begin, unequal, name):
    changes = {**WATCHED, **NOISY}
    straight = begin(changes)
    straight.state.course.rollbacks = 1
    members = straight.run_until(112, reduce_at(**REDUCTIONS))
    straight.run()
    members["course"][name].zero_()
    resumed = begin(changes)
    resumed.state.load(members, 112)
    resumed.run()
    assert set(unequal(straight.snapshot(), resumed.snapshot())) > {f"course/{name}"}


def test_after_a_rollback_the_noise_is_another_and_the_pictures_are_the_same(begin):
    training = begin(NOISY)
    needs = build_objective(training.config).needs
    inputs = [
        Draws(training.config, training.feed, torch.device("cpu"), rollbacks=n, needs=needs).at(32) for n in range(3)
    ]
    for first, second in ((0, 1), (1, 2), (0, 2)):
        assert torch.equal(inputs[first].real, inputs[second].real)
        assert not torch.equal(inputs[first].latents, inputs[second].latents)
        assert not torch.equal(*(inputs[i].random["instance_noise"] for i in (first, second)))
    assert noise_seed(7, 0) == 7
    assert len({noise_seed(seed, rollbacks) for seed in (7, 8) for rollbacks in range(4)}) == 8


@pytest.mark.parametrize(("dropout", "differs"), [(0.5, True), (0.0, False)])
def test_after_a_rollback_layers_draw_anew(begin, unequal, monkeypatch, dropout, differs):
    changes = {"discriminator": {"kind": "mlp", "width": 8, "dropout": dropout}, "health.rate_factor": 1.0}
    plain, again = begin(changes), begin(changes)
    again.state.course.rollbacks = 1
    # The same latents, so that only the layers can differ.
    monkeypatch.setattr(draws, "noise_seed", lambda seed, rollbacks: seed)
    plain.run()
    again.run()
    assert (set(unequal(plain.snapshot(), again.snapshot())) != {"course/rollbacks"}) == differs


def test_turns_of_the_measured_distance(begin):
    assert measure_every(begin({}).config) == 0
    assert measure_every(begin({"evaluate.metric": "fd"}).config) == 64
    assert measure_every(begin({"evaluate": {"metric": "kd", "every": 48}}).config) == 48


# Wishes


def test_a_wish_to_go_back_is_told_and_nothing_is_saved_after_it(begin):
    saved = []
    training = begin()
    outcome = training.run(
        lambda moment: Stop("sick", rollback=True) if moment.images_seen == 48 else None,
        saver=lambda moment: saved.append(moment.images_seen),
    )
    assert outcome == Outcome(finished=False, reason="sick", rollback=True)
    assert training.state.images_seen == 48
    assert saved == [16, 32]


def test_it_is_told_at_the_end_too(begin):
    outcome = begin().run(lambda moment: Stop("sick", rollback=True) if moment.finished else None)
    assert outcome == Outcome(finished=False, reason="sick", rollback=True)


def test_it_prevails_over_a_signal_and_a_mere_stop(begin):
    stop = StopRequest()
    stop.number = 15
    hooks = [lambda moment: "enough", lambda moment: Stop("sick", rollback=True), lambda moment: "really enough"]
    assert begin().run(*hooks, stop=stop) == Outcome(finished=False, reason="sick", rollback=True)


def test_the_first_reason_is_the_one_that_is_told(begin):
    outcome = begin().run(lambda moment: Stop("enough"), lambda moment: "more than enough")
    assert outcome == Outcome(finished=False, reason="enough")


class SeveralRanks:
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
    def fail(moment):
        if moment.images_seen == 32:
            raise TrainingError("not finite")

    training, ranks, saved = begin({"train.total_images": 320}), SeveralRanks(), []
    with pytest.raises(TrainingError, match="not finite"):
        training.run(fail, ranks=ranks, saver=lambda moment: saved.append(moment.images_seen))
    assert training.state.images_seen == 16 * AGREE_EVERY
    assert ranks.said == [FAILED]
    assert saved == [16]
    other = begin({"train.total_images": 320})
    with pytest.raises(TrainingError, match="Another process"):
        other.run(ranks=SeveralRanks(FAILED))
    assert other.state.images_seen == 16 * AGREE_EVERY


def test_another_ranks_wish_to_go_back_reaches_this_one(begin):
    training = begin({"train.total_images": 320})
    assert training.run(ranks=SeveralRanks(ROLL_BACK)) == Outcome(finished=False, rollback=True)


def test_several_ranks_agree_on_reductions_where_they_measure(begin):
    changes = {**WATCHED, "evaluate.every": 48, "train.total_images": 96}
    # Turns at 48 and 96 images: each side, then why the loop might end.
    first, second = SeveralRanks(), SeveralRanks(0, 0, 0, 1, 0, 0)
    mine, other = begin(changes), begin(changes)
    mine.run(reduce_at(discriminator=(96,), generator=(48,)), ranks=first)
    assert first.said == [1, 0, 0, 0, 1, 0]
    other.run(ranks=second)
    assert other.state.course.reductions("generator") == 1
    assert mine.state.course.reductions("discriminator") == 1
