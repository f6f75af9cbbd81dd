from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from ganlet.engine import loop
from ganlet.engine.draws import draw
from ganlet.engine.hooks import Moment
from ganlet.engine.loop import Outcome
from ganlet.engine.schedule import rate_factor
from ganlet.engine.signals import StopRequest
from ganlet.engine.wishes import AGREE_EVERY
from ganlet.errors import TrainingError
from ganlet.images import to_packed
from ganlet.objective import Objective


def test_it_runs_to_the_end_and_not_on(begin):
    training = begin()
    shown: list[Moment] = []
    assert training.run(shown.append) == Outcome(finished=True)
    assert [moment.images_seen for moment in shown] == list(range(16, 161, 16))
    assert [moment.before for moment in shown] == list(range(0, 160, 16))
    assert [moment.finished for moment in shown] == 9 * [False] + [True]
    assert all(moment.state is training.state for moment in shown)
    before = training.snapshot()
    assert training.run(shown.append) == Outcome(finished=True)
    assert len(shown) == 10
    assert torch.equal(before["generator"]["from_latent.weight"], training.state.generator.from_latent.weight)


def test_the_last_iteration_may_go_beyond_the_end(begin):
    training = begin({"train.total_images": 70, "train.n_critic": 2})
    assert training.run() == Outcome(finished=True)
    assert training.state.images_seen == 96


def test_a_hook_may_stop_it_and_the_others_are_still_shown_the_moment(begin):
    training, shown = begin(), []
    outcome = training.run(lambda moment: "enough" if moment.images_seen == 48 else None, shown.append)
    assert outcome == Outcome(finished=False, reason="enough")
    assert shown[-1].images_seen == training.state.images_seen == 48


def test_at_the_end_nobody_needs_to_stop_it(begin):
    outcome = begin().run(lambda moment: "enough" if moment.finished else None)
    assert outcome == Outcome(finished=True)


def test_a_signal_stops_it_after_the_iteration(begin):
    training, stop = begin(), StopRequest()

    def arrive(moment):
        if moment.images_seen == 48:
            stop.number = 15

    assert training.run(arrive, stop=stop) == Outcome(finished=False, signal_number=15)
    assert training.state.images_seen == 48


def test_a_moment_passes_multiples_and_the_end():
    moment = Moment(SimpleNamespace(), before=16, images_seen=32, finished=False)
    assert [moment.passed(every) for every in (8, 17, 31, 32, 33)] == [True, True, True, True, False]
    assert Moment(SimpleNamespace(), before=16, images_seen=32, finished=True).passed(1000)


def test_watching_changes_nothing(begin, unequal):
    changes = {"generator.dropout": 0.2, "discriminator.dropout": 0.2}
    plain, watched = begin(changes), begin(changes)
    plain.run()

    def curious(moment):
        latents = draw("normal", 0, "preview", 0, (4, 4))
        generator = moment.state.generator
        with torch.no_grad():
            to_packed(generator.eval()(latents)).sum()
            moment.state.average(torch.randn(4, 4)).mean()
        generator.train()
        moment.state.members()

    torch.manual_seed(99)
    watched.run(curious)
    assert unequal(plain.snapshot(), watched.snapshot()) == []


def test_rates_are_those_of_the_moment_before_the_iteration(begin):
    schedule = {"kind": "cosine", "warmup": 64, "final": 0.25}
    training = begin({"generator.optimizer": {"lr": 0.01, "schedule": schedule}})
    rates = []
    training.run(lambda moment: rates.append(moment.state.generator_optimizer.param_groups[0]["lr"]))
    settings = training.config.generator.optimizer
    assert rates == [0.01 * rate_factor(settings.schedule, seen, 160) for seen in range(0, 160, 16)]
    assert training.state.discriminator_optimizer.param_groups[0]["lr"] == 2e-4


@pytest.mark.parametrize("side", ["generator", "discriminator"])
def test_what_is_not_finite_stops_it_before_the_weights_change(begin, unequal, monkeypatch, side):
    sound = begin().run_until(48)
    method = f"for_{side}"
    judge, calls = getattr(Objective, method), []

    def spoiled(self, *arguments):
        calls.append(side)
        total, parts = judge(self, *arguments)
        return (total * torch.nan if len(calls) == 4 else total), parts

    monkeypatch.setattr(Objective, method, spoiled)
    training, shown = begin(), []
    with pytest.raises(TrainingError, match=f"The {side}'s loss or gradient is not finite") as caught:
        training.run(shown.append)
    assert caught.value.where == "after 48 images"
    assert caught.value.exit_code == 5
    assert shown[-1].images_seen == training.state.images_seen == 48
    # The discriminator has taken its step of the iteration in which the generator fails.
    untouched = {"generator_optimizer", "average", "window"}
    untouched |= {"discriminator_optimizer"} if side == "discriminator" else set()
    assert not {name.split("/")[0] for name in unequal(sound, training.snapshot())} & untouched
    weights = {name for name, _ in getattr(training.state, side).named_parameters()}
    assert all(torch.equal(sound[side][name], training.snapshot()[side][name]) for name in weights)


def test_only_layers_that_draw_are_seeded(begin, monkeypatch):
    seeded = []
    monkeypatch.setattr(loop, "seed_layers", lambda *arguments: seeded.append(arguments))
    begin().run()
    assert seeded == []
    begin({"discriminator": {"kind": "mlp", "width": 4, "dropout": 0.5}}).run()
    assert [images_seen for _, images_seen, _ in seeded] == list(range(0, 160, 16))


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
    assert training.run(ranks=SeveralRanks(15), stop=StopRequest()) == Outcome(finished=False, signal_number=15)
    assert training.state.images_seen == 16 * AGREE_EVERY


def test_no_rank_leaves_the_others_because_of_its_own_hook(begin):
    training, ranks = begin({"train.total_images": 16 * 20}), SeveralRanks()
    outcome = training.run(lambda moment: "enough" if moment.before == 0 else None, ranks=ranks, stop=StopRequest())
    assert outcome == Outcome(finished=False, reason="enough")
    assert training.state.images_seen == 16 * AGREE_EVERY
    # The other rank sees nothing but this one's flag.
    (flag,) = ranks.asked_at
    other = begin({"train.total_images": 16 * 20})
    assert other.run(ranks=SeveralRanks(flag), stop=StopRequest()) == Outcome(finished=False)
    assert other.state.images_seen == training.state.images_seen
