"""A number and how it was measured. Only numbers of one protocol may be put side by side."""

from __future__ import annotations

import importlib.metadata
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from ganlet.errors import MetricError
from ganlet.metrics.extractors import Extractor

WEIGHTS = {"ema": "EMA weights", "raw": "raw weights"}


@dataclass(frozen=True)
class Protocol:
    """How a number was measured. `reals` says which pictures in words, such as "training pictures"."""

    extractor: str
    extractor_identity: str
    resizer: str
    channel_rule: str
    num_fakes: int
    num_reals: int
    reals: str
    data_fingerprint: str
    weights: Literal["ema", "raw"]
    seed: int
    ganlet: str

    @classmethod
    def of(
        cls,
        extractor: Extractor,
        *,
        num_fakes: int,
        num_reals: int,
        reals: str,
        data_fingerprint: str,
        weights: Literal["ema", "raw"],
        seed: int,
    ) -> Self:
        """The protocol of a measurement with this extractor and this ganlet."""
        seen_by = (extractor.name, extractor.identity, extractor.resizer, extractor.channel_rule)
        version = importlib.metadata.version("ganlet")
        return cls(*seen_by, num_fakes, num_reals, reals, data_fingerprint, weights, seed, version)

    def differences(self, other: Protocol) -> dict[str, tuple[Any, Any]]:
        """The fields that make two numbers incomparable, with both values; empty when they can be compared."""
        pairs = {name: (getattr(self, name), getattr(other, name)) for name in COMPARED}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def describe(self) -> str:
        """How it was measured, in one line; which extractor is said by the name of the number."""
        fakes = f"{self.num_fakes:,} fakes ({WEIGHTS[self.weights]})"
        return f"{fakes} against {self.num_reals:,} {self.reals}, {self.resizer}, {self.channel_rule}"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What `asdict` gave. Raises MetricError for anything else."""
        return cls(**_checked(cls, data))


SHOWN_ONLY = ("extractor", "seed", "ganlet")
# Where these agree, numbers can be compared.
COMPARED = tuple(field.name for field in fields(Protocol) if field.name not in SHOWN_ONLY)


@dataclass(frozen=True)
class Measurement:
    """A number, always finite, with its protocol.

    `metric` is its key in the registry and `name` what it may be called. `spread` is a standard error or deviation in
    the units of `value`; `better` says which way is good, None where neither is. `biased` marks a number from too few
    pictures. Raises MetricError for a value that is not finite.
    """

    metric: str
    name: str
    value: float
    spread: float | None
    better: Literal["lower", "higher"] | None
    protocol: Protocol
    biased: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        for number in (self.value, self.spread):
            if number is not None and not math.isfinite(number):
                raise MetricError("A measured number is not finite.", where=self.name, got=number)

    def describe(self) -> str:
        """What the number is and how it was measured, in one line."""
        biased = "biased" if self.biased else ""
        return ", ".join(filter(None, [self.name, self.protocol.describe(), biased, self.note]))

    def as_json(self) -> dict[str, Any]:
        """Plain data; `from_json` takes it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """What `as_json` gave, read back from a file. Raises MetricError for anything else."""
        content = _checked(cls, data)
        content["protocol"] = Protocol.from_json(content["protocol"])
        return cls(**content)


def _checked(kind: type[Protocol] | type[Measurement], data: Any) -> dict[str, Any]:
    """The fields of a dataclass, neither more nor less: an unknown one could be what makes numbers incomparable."""
    expected = [field.name for field in fields(kind)]
    if not isinstance(data, Mapping) or set(data) != set(expected):
        raise MetricError(
            f"This is no {kind.__name__.lower()}, or one by another version of ganlet.",
            got=", ".join(map(str, data)) if isinstance(data, Mapping) else type(data).__name__,
            expected=", ".join(expected),
        )
    return dict(data)
