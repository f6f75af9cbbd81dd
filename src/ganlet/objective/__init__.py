"""What is minimised. A regulariser has one of five homes; see the table in docs/design.md."""

from ganlet.objective.losses import LOSSES, Loss
from ganlet.objective.objective import Noise, Objective, WeightedPenalty, build_objective
from ganlet.objective.penalties import PENALTIES
from ganlet.objective.views import noise_level

__all__ = [
    "LOSSES",
    "PENALTIES",
    "Loss",
    "Noise",
    "Objective",
    "WeightedPenalty",
    "build_objective",
    "noise_level",
]
