"""What to change first, by the settings of the run itself: one change, so that its effect can be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from ganlet.config import RunConfig
from ganlet.health.findings import Advice

Change = Mapping[str, object]

R1 = "[{kind: r1, weight: 0.5, every: 4}]"  # as in the preset `quick`
GRADIENT_PENALTY = "[{kind: gradient_penalty, weight: 10}]"  # Gulrajani et al. 2017
RATES = ("generator.optimizer.lr", "discriminator.optimizer.lr")


@dataclass(frozen=True)
class Try:
    """A change to try where it applies; `{}` in the words stands for the first new value."""

    words: str
    change: Change | Callable[[RunConfig], Change]
    when: Callable[[RunConfig], object] = lambda config: True


def first_of(tries: Iterable[Try], config: RunConfig) -> Advice:
    """The first that applies."""
    chosen = next(one for one in tries if one.when(config))
    change = chosen.change(config) if callable(chosen.change) else chosen.change
    return Advice(chosen.words.format(*change.values()), change)


def setting(config: RunConfig, path: str) -> Any:
    """A setting by dotted path; None where the run has no such setting."""
    return reduce(lambda at, name: getattr(at, name, None), path.split("."), config)


def has(path: str, *values: object) -> Callable[[RunConfig], bool]:
    """Whether a setting is one of these."""
    return lambda config: setting(config, path) in values


def over(path: str, limit: float) -> Callable[[RunConfig], bool]:
    """Whether a setting is above a limit."""
    return lambda config: setting(config, path) > limit


def times(factor: float, *paths: str) -> Callable[[RunConfig], Change]:
    """Some settings times a factor."""
    return lambda config: {path: setting(config, path) * factor for path in paths}


def add_penalty(reason: str) -> tuple[Try, Try]:
    """A penalty that fits the loss, where there is none."""
    path = "objective.penalties"
    return (
        Try(f"Add a gradient penalty: {reason}", {path: GRADIENT_PENALTY},
            lambda config: not config.objective.penalties and config.objective.loss.kind == "wasserstein"),
        Try(f"Add an R1 penalty: {reason}", {path: R1}, lambda config: not config.objective.penalties),
    )  # fmt: skip


SLOWER_GENERATOR = Try("Halve the generator's learning rate.", times(0.5, RATES[0]))
LOWER_RATES = Try("Halve both learning rates.", times(0.5, *RATES))
AGAINST_COLLAPSE = (
    *add_penalty("it smooths the discriminator, so that the generator has no single way out."),
    SLOWER_GENERATOR,
)
