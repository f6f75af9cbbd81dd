"""The metrics by name, and measuring them all: what cannot be told is left out with a reason, and the others go on."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ganlet.errors import ConfigError, GanletError, nearest
from ganlet.metrics import measures
from ganlet.metrics.evidence import Evidence
from ganlet.metrics.extractors import Extractor
from ganlet.metrics.features import distance_name
from ganlet.metrics.measures import Value
from ganlet.metrics.protocol import Measurement

log = logging.getLogger(__name__)

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Metric:
    """What can be measured. `compute` may give several metrics at once, by their keys in `METRICS`.

    `title` is how it is printed, or the kind of distance that gets its name from the extractor. `better` is None where
    the number should be that of real pictures. `with_floor` says whether real pictures have such a number too.
    """

    title: str
    meaning: str
    better: Better | None
    compute: Callable[[Evidence], dict[str, Value]]
    with_floor: bool = True

    def name(self, extractor: Extractor) -> str:
        """How a number of this extractor is called."""
        if self.title in ("frechet", "kernel", "score"):
            return distance_name(self.title, extractor)
        return self.title


@dataclass(frozen=True)
class Refused:
    """A metric that was not measured, and why, in a sentence."""

    metric: str
    name: str
    reason: str


def choose_metrics(names: Sequence[str] | None) -> list[str]:
    """The metrics that are meant, in the order in which they are shown; all of them without names.

    Raises ConfigError for a name that is not known.
    """
    for name in names or ():
        if name not in METRICS:
            close = nearest(name, METRICS)
            raise ConfigError(
                "There is no such metric.",
                where="--metrics",
                got=name,
                expected=", ".join(METRICS),
                hint=f"did you mean {close}?" if close else "ganlet list metrics",
            )
    return [name for name in METRICS if names is None or name in names]


def measure(
    evidence: Evidence, names: Sequence[str], progress: Callable[[str, int, int], None] | None = None
) -> list[Measurement | Refused]:
    """A measurement or a refusal for each metric, in the order of `names`.

    `progress` is called with the name of a metric before it is computed, the number done and their total. Nothing that
    goes wrong with a metric stops the others.
    """
    values: dict[str, Value | str] = {}
    for done, key in enumerate(names):
        if progress is not None:
            progress(METRICS[key].name(evidence.extractor), done, len(names))
        if key not in values:
            values |= _computed(key, evidence)
    return [_measurement(key, values[key], evidence) for key in names]


def _computed(key: str, evidence: Evidence) -> dict[str, Value | str]:
    """What a metric's function gives, by key; or why there is nothing."""
    together = [name for name, metric in METRICS.items() if metric.compute is METRICS[key].compute]
    try:
        values = METRICS[key].compute(evidence)
    except GanletError as error:
        return dict.fromkeys(together, sentence(error))
    except MemoryError:
        return dict.fromkeys(together, "There is not enough memory for it; measure fewer pictures.")
    except Exception as error:  # hours of work are not lost for one metric
        log.exception("%s cannot be measured", key)
        return dict.fromkeys(together, f"It failed: {type(error).__name__}: {error}")
    return {
        name: value if math.isfinite(value.value) else "It is not a finite number for these features."
        for name, value in values.items()
    }


def _measurement(key: str, value: Value | str, evidence: Evidence) -> Measurement | Refused:
    metric, protocol = METRICS[key], evidence.protocol
    name = metric.name(evidence.extractor)
    if isinstance(value, str):
        return Refused(key, name, value)
    counts = {"num_fakes": value.num_fakes or protocol.num_fakes, "num_reals": value.num_reals or protocol.num_reals}
    return Measurement(
        metric=key,
        name=name,
        value=value.value,
        spread=value.spread,
        better=metric.better,
        protocol=replace(protocol, **counts),
        biased=value.biased,
        note=value.note,
    )


def sentence(error: GanletError) -> str:
    """An error in one line."""
    parts = (("at", error.where), ("got", error.got), ("expected", error.expected), ("next:", error.hint))
    details = ", ".join(f"{label} {value}" for label, value in parts if value is not None)
    return f"{error.what.rstrip('.')} ({details})." if details else error.what


METRICS: dict[str, Metric] = {
    "frechet": Metric("frechet", "how far the generated pictures as a whole are from the real ones: quality and "
                      "variety in one number", "lower", measures.frechet),
    "kernel": Metric("kernel", "the same, told in a way that a small number of pictures does not distort; 0 is "
                     "perfect, and chance may take it slightly below", "lower", measures.kernel),
    "precision": Metric("precision", "the share of generated pictures that lie among real ones: quality",
                        "higher", measures.precision_and_recall),
    "recall": Metric("recall", "the share of real pictures that lie among generated ones: variety",
                     "higher", measures.precision_and_recall),
    "density": Metric("density", "how thickly real pictures surround the generated ones: quality, less misled by odd "
                      "real pictures than precision; about 1 for real pictures",
                      "higher", measures.density_and_coverage),
    "coverage": Metric("coverage", "the share of real pictures with a generated one close by: variety, less misled by "
                       "odd generated pictures than recall", "higher", measures.density_and_coverage),
    "score": Metric("score", "how surely a classifier puts each picture into one of its classes, and how evenly over "
                    "them; says little where the pictures are of other things than its classes, and never looks at "
                    "real ones", "higher", measures.score),
    "intra_class": Metric("intra-class distance", "the Frechet distance class by class: whether each label gives the "
                          "right pictures", "lower", measures.intra_class),
    "ms_ssim": Metric("MS-SSIM of pairs", "how alike two of the generated pictures are: much above real pictures "
                      "means a lack of variety", None, measures.ms_ssim),
    "path_length": Metric("path length", "how abruptly pictures change on the way from one latent to another: short "
                          "is smooth, and shortest where next to nothing is drawn, so compare it between good "
                          "generators only", "lower", measures.path_length, with_floor=False),
    "memorisation": Metric("copies", "the estimated share of generated pictures that are copies of training pictures",
                           "lower", measures.memorisation, with_floor=False),
    "modes": Metric("modes covered", "the share of the kinds of pictures in the source that are drawn at all: "
                    "variety, where the kinds are known", "higher", measures.modes, with_floor=False),
}  # fmt: skip
