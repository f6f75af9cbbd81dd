"""A number carries its protocol: in words, through JSON, and against other numbers."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import asdict, fields, replace

import pytest
import torch

from ganlet.errors import MetricError
from ganlet.metrics.extractors import PixelsExtractor
from ganlet.metrics.protocol import Measurement, Protocol

PROTOCOL = Protocol(
    extractor="ganlet",
    extractor_identity="ab" * 32,
    resizer="bilinear antialiased 32 x 32",
    channel_rule="grey repeated",
    num_fakes=10_000,
    num_reals=60_000,
    reals="training pictures",
    data_fingerprint="cd" * 32,
    weights="ema",
    seed=3,
    ganlet="0.2.0",
)
MEASUREMENT = Measurement("fd", "FD (ganlet)", 12.5, 0.25, "lower", PROTOCOL)


def test_a_number_is_described_in_one_line():
    assert MEASUREMENT.describe() == (
        "FD (ganlet), 10,000 fakes (EMA weights) against 60,000 training pictures, bilinear antialiased 32 x 32, "
        "grey repeated"
    )
    raw = replace(MEASUREMENT, biased=True, note="few pictures", protocol=replace(PROTOCOL, weights="raw"))
    assert "10,000 fakes (raw weights)" in raw.describe()
    assert raw.describe().endswith(", biased, few pictures")


def other_value(value):
    return value + 1 if isinstance(value, int) else f"other {value}"


@pytest.mark.parametrize("field", [field.name for field in fields(Protocol)])
def test_what_makes_numbers_incomparable_is_named(field):
    value = getattr(PROTOCOL, field)
    other = replace(PROTOCOL, **{field: other_value(value)})
    # The name of an extractor is only a name: its hash decides.
    expected = {} if field in ("seed", "ganlet", "extractor") else {field: (value, other_value(value))}
    assert PROTOCOL.differences(other) == expected


def test_a_protocol_takes_from_the_extractor_what_it_says_of_itself():
    extractor = PixelsExtractor(torch.device("cpu"))
    rest = {"num_fakes": 5, "num_reals": 6, "reals": "held-out pictures", "data_fingerprint": "f", "seed": 1}
    protocol = Protocol.of(extractor, weights="raw", **rest)
    assert asdict(protocol) == {
        "extractor": "pixels",
        "extractor_identity": extractor.identity,
        "resizer": extractor.resizer,
        "channel_rule": extractor.channel_rule,
        "weights": "raw",
        "ganlet": importlib.metadata.version("ganlet"),
        **rest,
    }


@pytest.mark.parametrize(
    "measurement", [MEASUREMENT, replace(MEASUREMENT, spread=None, better=None, biased=True, note="words")]
)
def test_a_number_comes_back_from_json(measurement):
    assert Measurement.from_json(json.loads(json.dumps(measurement.as_json(), allow_nan=False))) == measurement


@pytest.mark.parametrize("numbers", [{"value": float("nan")}, {"value": float("inf")}, {"spread": float("nan")}])
def test_a_number_is_finite(numbers):
    with pytest.raises(MetricError, match="not finite"):
        replace(MEASUREMENT, **numbers)


def broken(**changes):
    data = MEASUREMENT.as_json() | changes
    return {name: value for name, value in data.items() if value != "left out"}


@pytest.mark.parametrize(
    "data",
    [
        [1, 2],
        broken(value="left out"),
        broken(unknown=1),
        broken(protocol=None),
        broken(protocol={"seed": 1}),
        broken(protocol=MEASUREMENT.as_json()["protocol"] | {"precision": "bf16"}),
    ],
)
def test_what_is_no_measurement_is_refused(data):
    with pytest.raises(MetricError, match=r"This is no (measurement|protocol)"):
        Measurement.from_json(data)
