"""What is minimised. A regulariser has one of five homes; see the table in docs/design.md."""

from ganlet.objective.adaptive import Adaptation, Adaptive, build_adaptation
from ganlet.objective.losses import LOSSES, Loss
from ganlet.objective.needs import Need
from ganlet.objective.objective import (
    Objective,
    Pass,
    Shown,
    WeightedPenalty,
    build_objective,
    measured_beside,
)
from ganlet.objective.penalties import PENALTIES
from ganlet.objective.views import noise_level, top_share

__all__ = [
    "LOSSES",
    "PENALTIES",
    "Adaptation",
    "Adaptive",
    "Loss",
    "Need",
    "Objective",
    "Pass",
    "Shown",
    "WeightedPenalty",
    "build_adaptation",
    "build_objective",
    "measured_beside",
    "noise_level",
    "top_share",
]
