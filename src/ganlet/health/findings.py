"""What the doctor says: verdicts with their evidence, and the words for it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Severity = Literal["healthy", "notice", "serious"]
Side = Literal["above", "below"]

SEVERITIES: tuple[Severity, ...] = ("serious", "notice", "healthy")

# Every signal that a verdict may rest on: what it is called in a chart, and what a value of it means.
SIGNALS: dict[str, tuple[str, str]] = {
    "separation": (
        "told apart by the discriminator",
        "the discriminator finds a real picture more real than a generated one in {:.1%} of all pairs",
    ),
    "recognition": (
        "training pictures recognised",
        "the discriminator finds a picture it was trained on more real than one it never saw in {:.0%} of all pairs",
    ),
    "colour_shift": ("colour shift", "the mean colours are off by {:.2f} standard deviations of the real pictures"),
    "contrast": ("contrast", "the pictures have {:.0%} of the contrast of real ones"),
    "saturation": ("saturation", "{:.0%} more values than in real pictures are pure black or full colour"),
    "pixel_shift": ("largest shift at one pixel", "at one place the mean picture is off by {:.0%} of the whole range"),
    "checkerboard": (
        "checkerboard",
        "patterns that repeat every two pixels are {:.1f} times as strong as in real pictures",
    ),
    "rough_diversity": (
        "rough diversity",
        "seen from afar, generated pictures differ from each other {:.0%} as much as real ones do",
    ),
    "raw_rough_diversity": (
        "rough diversity, momentary weights",
        "seen from afar, what the generator draws at this moment differs {:.0%} as much as real pictures do",
    ),
    "diversity": ("diversity", "in what they show, generated pictures differ {:.0%} as much as real ones do"),
    "duplicates": ("duplicates", "{:.0%} of the generated pictures have a near twin among a few dozen others"),
    "coverage": ("coverage", "{:.0%} of the real pictures have a generated one that is like them"),
    "distance": ("distance from real pictures", "the distance from real pictures is {:.2f}, where 0 is alike"),
    "distance_gain": ("distance, against earlier", "the distance from real pictures is {:.0%} of what it was before"),
    "copies": ("copies", "{:.0%} of the generated pictures are nearly the same as a training picture"),
    "movement": (
        "movement from look to look",
        "from one look to the next the pictures changed by {:.1%} of the distance between two of them",
    ),
    "label_effect": (
        "effect of labels",
        "another label changes a picture {:.0%} as much as other latents do",
    ),
    "label_agreement": (
        "agreement with labels",
        "generated pictures fit the labels they were drawn with {:.0%} as well as real ones fit theirs, above chance",
    ),
    "class_diversity": (
        "diversity of the least varied class",
        "within the class generated pictures differ {:.0%} as much as real ones do",
    ),
    "class_beside": (
        "diversity of the least varied class, beside others",
        "for the class's real pictures, generated ones differ {:.0%} as much as those of other classes",
    ),
    **{
        f"leak_{policy}": (
            f"leak of {policy}",
            f"{{:.0%}} of the generated pictures look as if {policy} had been done to them, beyond what real ones do",
        )
        for policy in ("color", "translation", "cutout")
    },
    "clipped_weights": ("weights cut off", "{:.0%} of the critic's weights are cut off at their limit"),
    "critic_size": (
        "real minus fake scores of the critic",
        "the critic's scores of real and of generated pictures are {:.0f} apart",
    ),
    "critic_growth": (
        "growth of the critic's scores",
        "the distance between the critic's scores is {:.1f} times what it was",
    ),
    "dead_units": ("dead units", "{:.0%} of the generator's units never fire"),
    "generator_not_finite": ("generator: not finite", "{:.0f} of the generator's weights are not finite numbers"),
    "discriminator_not_finite": (
        "discriminator: not finite",
        "{:.0f} of the discriminator's weights are not finite numbers",
    ),
    "not_finite": ("not finite", "{:.0f} of the logged numbers are not finite"),
    "generator_growth": (
        "generator's weights, growth",
        "within a few looks the generator's weights have grown {:.0f}-fold",
    ),
    "discriminator_growth": (
        "discriminator's weights, growth",
        "within a few looks the discriminator's weights have grown {:.0f}-fold",
    ),
    "generator_pace": (
        "generator's weights, pace",
        "in 1,000 steps the generator's weights grow by {:.0f} times their initial size",
    ),
    "discriminator_pace": (
        "discriminator's weights, pace",
        "in 1,000 steps the discriminator's weights grow by {:.0f} times their initial size",
    ),
    "logit_gap": (
        "real minus fake logits",
        "the discriminator's scores of real and of generated pictures are {:.1f} apart",
    ),
    "logit_swing": (
        "swing of the discriminator's scores",
        "from one log row to the next the distance between the scores changes by {:.0%}",
    ),
    "separation_swing": (
        "swing of the separation",
        "from look to look the share of pairs told apart changes by {:.0%}",
    ),
    "loss_growth": ("generator's loss, growth", "the generator's loss is {:.1f} times what it was"),
    "gradient_share": ("generator's gradient, share of usual", "the generator's gradient is {:.1%} of its usual size"),
    "coverage_kept": ("coverage, share of its best", "the coverage is {:.0%} of the best it had"),
    "diversity_kept": ("diversity, share of its best", "the diversity is {:.0%} of the best it had"),
    "distance_growth": ("distance, multiple of its best", "the distance is {:.1f} times the best it had"),
    "measured_growth": (
        "measured distance, multiple of its best",
        "the measured distance is {:.1f} times the best one, errors allowed for",
    ),
    "value": ("measured distance", "the measured distance is {:.4g}"),
    "epochs": ("times each picture was shown", "each training picture was shown about {:.0f} times"),
    "disagreement": (
        "scores in training against scores of the source",
        "in training its scores keep real and generated pictures {:.1f} apart, yet it takes the source's own pictures "
        "for generated ones",
    ),
}


@dataclass(frozen=True)
class Evidence:
    """One number that a verdict rests on: it is at or beyond its threshold, on that side.

    Without a side the threshold is no limit but what the value was before.
    """

    signal: str
    value: float
    threshold: float | None
    side: Side | None = None

    @property
    def words(self) -> str:
        """What the number means."""
        return SIGNALS[self.signal][1].format(self.value)

    @property
    def limit_words(self) -> str:
        """The threshold, written as the value is in the words; empty without one."""
        written = re.search(r"\{:[^}]*\}", SIGNALS[self.signal][1])
        assert written, self.signal
        against = "limit" if self.side else "before"
        return "" if self.threshold is None else f"{against} {written[0].format(self.threshold)}"

    @property
    def depth(self) -> float:
        """How far beyond the threshold, from 0 to 1."""
        if self.threshold is None or self.side is None:
            return 1.0
        if self.side == "below":
            room, beyond = abs(self.threshold), self.threshold - self.value
        else:
            room = 1 - self.threshold if self.threshold < 1 else self.threshold
            beyond = self.value - self.threshold
        return min(1.0, max(0.0, beyond / room)) if room > 0 else 1.0


@dataclass(frozen=True)
class Advice:
    """What to change first: in words, and as settings by dotted path (none where nothing needs to change)."""

    words: str
    change: Mapping[str, object] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """The change as text to paste: `--set key=value`, once for each setting."""
        return set_options(self.change)


@dataclass(frozen=True)
class Verdict:
    """One finding about a run.

    `since` is the clock at the first look that shows it; `picture_moments` are moments whose sample grids show it:
    before, at, and the latest.
    """

    kind: str
    severity: Severity
    confidence: float
    words: str
    since: int | None = None
    evidence: tuple[Evidence, ...] = ()
    advice: Advice = Advice("")
    picture_moments: tuple[int, ...] = ()

    @property
    def command(self) -> str:
        """The one change to try first, as text to paste; empty where nothing needs to change."""
        return self.advice.command

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "confidence": self.confidence,
            "since": self.since,
            "words": self.words,
            "evidence": [{**asdict(item), "words": item.words, "limit": item.limit_words} for item in self.evidence],
            "advice": self.advice.words,
            "change": dict(self.advice.change),
            "command": self.command,
            "picture_moments": list(self.picture_moments),
        }


@dataclass(frozen=True)
class Diagnosis:
    """All verdicts about a run, the gravest and surest first; there is always at least one."""

    verdicts: tuple[Verdict, ...]
    images_seen: int
    num_looks: int

    @property
    def healthy(self) -> bool:
        """Whether nothing was found that needs a change."""
        return all(verdict.severity == "healthy" for verdict in self.verdicts)

    @property
    def headline(self) -> str:
        """One or two sentences."""
        first = self.verdicts[0]
        if self.healthy:
            return " ".join(GOOD_NEWS[verdict.kind] for verdict in self.verdicts)
        since = f" since {first.since:,} images" if first.since is not None else ""
        return f"{SEVERITY_WORDS[first.severity]}: {first.kind}{since} (confidence {first.confidence:.0%})."

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "headline": self.headline,
            "healthy": self.healthy,
            "images_seen": self.images_seen,
            "num_looks": self.num_looks,
            "verdicts": [verdict.as_json() for verdict in self.verdicts],
        }


GOOD_NEWS = {
    "healthy": "Healthy.",
    "under-trained": "It was still getting better when it ended.",
    "finished": "There is no more to gain by going on as before.",
    "too early": "Too early to say.",
}
SEVERITY_WORDS = {"serious": "Serious", "notice": "Worth a look", "healthy": "Healthy"}


def set_options(settings: Mapping[str, object]) -> str:
    """Settings by dotted path as options of the command line, each value written so that it is read back as it was."""
    return " ".join(f"--set {shlex.quote(f'{path}={_written(value)}')}" for path, value in settings.items())


def _written(value: object) -> str:
    """A setting as YAML that is read back as it was."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        text = f"{value:.3g}"
        return text if "e" not in text else f"{value:.10f}".rstrip("0")
    return str(value)
