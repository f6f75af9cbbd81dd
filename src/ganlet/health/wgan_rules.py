"""Rules for critics, which estimate a distance by logits of any size (Arjovsky et al. 2017) and must be bounded."""

from __future__ import annotations

from functools import partial

from ganlet.config import RunConfig
from ganlet.health.advice import GRADIENT_PENALTY, Change, Try
from ganlet.health.logits import is_bounded
from ganlet.health.rules import CONSEQUENCES, POOR, ROWS, AnyOf, Rule, above, lasting

UNBOUNDED, AT_LIMIT = "critic unbounded", "critic at its limit"


def penalty_for_clip(config: RunConfig) -> Change:
    """A gradient penalty in place of clipping."""
    clip = {"objective.loss.clip": None} if hasattr(config.objective.loss, "clip") else {}
    return {"objective.penalties": GRADIENT_PENALTY, **clip}


unbounded = partial(Rule, UNBOUNDED, subject="critic", rank=1, explains=CONSEQUENCES,
                    when=lambda history: history.config.objective.loss.critic and not is_bounded(history.config),
                    signs=AnyOf((lasting(above("critic_size", 100.0), needed=ROWS),
                                 # The distance that a bounded one tells shrinks.
                                 lasting(above("critic_growth", 4.0), needed=ROWS))),
                    words="The critic's scores grow without bounds, and so do both losses: nothing keeps it from "
                          "becoming ever steeper, so that what it tells the generator is no distance any more.",
                    advice=(Try("Bound the critic's slope with a gradient penalty.",
                                {"objective.penalties": GRADIENT_PENALTY}),))  # fmt: skip

WGAN_RULES: tuple[Rule, ...] = (
    unbounded("serious", needs=(POOR,)),
    unbounded("notice"),  # an optimiser that looks at no size may go on for long
    Rule(AT_LIMIT, "notice", subject="critic",
         signs=lasting(above("clipped_weights", 0.8)),  # what is left is a simple function (Gulrajani et al. 2017)
         words="Most of the critic's weights are cut off at their limit, so that it can tell simple differences only.",
         advice=(Try("Bound the critic with a gradient penalty in place of cutting its weights off.",
                     penalty_for_clip),)),
)  # fmt: skip
