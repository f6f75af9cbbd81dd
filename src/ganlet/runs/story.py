"""What there is to tell about a run, in plain words: text without any markup, made from what is in its folder."""

from __future__ import annotations

import json
import math
import shlex
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlet.config import RunConfig, read_yaml, validate
from ganlet.runs.folder import RunFolder
from ganlet.runs.history import RESUME, STOP, read_history
from ganlet.runs.pictures import sample_moments
from ganlet.runs.scores import SCORES_IN_WORDS, gives_probabilities

END_SHARE = 0.1  # of the log rows: what "near the end" means
MOST_NAMED = 5

KINDS = {"mlp": "MLP", "dcgan": "DCGAN"}
CHANNELS: dict[int | str, str] = {1: "grey", 3: "colour", 4: "colour with transparency"}
PACKAGES = ("ganlet", "torch", "numpy", "pillow")

# How well the discriminator tells real from generated, by its distance in [-1, 1]; each up to a limit.
GAPS = (
    (-0.1, "It had them the wrong way round: the two networks were out of step when the run ended."),
    (
        0.1,
        "It could hardly tell them apart. That is good news only if you cannot either: a discriminator that has "
        "learned too little says the same.",
    ),
    (0.6, "It was right more often than not, but far from sure. A generator can learn a lot from such a judge."),
    (0.9, "It was usually right and sometimes fooled. Many runs look like this, good ones too."),
    (
        math.inf,
        "It was hardly ever fooled. From such a judge a generator learns slowly; if the film stands still towards its "
        "end, this is a likely reason.",
    ),
)


@dataclass(frozen=True)
class Story:
    """A run as the report tells it; `facts` is described at `report.write_report`."""

    folder: RunFolder
    config: RunConfig
    rows: Sequence[Mapping[str, Any]]
    environment: Mapping[str, Any]
    facts: Mapping[str, Any]

    @classmethod
    def read(cls, folder: RunFolder, facts: Mapping[str, Any]) -> Story:
        """The story of the run in `folder`; all but its config may be missing."""
        path = folder.environment_path
        environment = json.loads(path.read_text("utf-8")) if path.exists() else {}
        config = validate(read_yaml(folder.config_path))
        return cls(folder, config, read_history(folder.metrics_path), environment, facts)

    @property
    def title(self) -> str:
        """Preset and source."""
        source = self.config.data.source
        name = source if ":" in source else Path(source).name or source
        return name if self.config.preset in (None, name) else f"{self.config.preset} on {name}"

    @property
    def data(self) -> Mapping[str, Any]:
        """The summary of the source."""
        return {**self.environment.get("data", {}), **self.facts.get("data", {})}

    @property
    def machine(self) -> Mapping[str, Any]:
        """Versions and device of the last session."""
        return (self.environment.get("sessions") or [self.environment])[-1]

    @property
    def images_seen(self) -> int:
        """How far the run has come."""
        moments = [moment for moment, _ in sample_moments(self.folder)]
        return max([0, *moments, *(row["images_seen"] for row in self.rows)])

    @property
    def total(self) -> int:
        """How far it is meant to come."""
        assert isinstance(self.config.train.total_images, int), "the config of a run is resolved"
        return self.config.train.total_images

    @property
    def finished(self) -> bool:
        """Whether it came that far."""
        return self.facts.get("finished", self.images_seen >= self.total)

    @property
    def stopped(self) -> str | None:
        """Why it was ended before its time, unless it has gone on since."""
        stops = [row for row in self.rows if row.get("event") == STOP]
        return stops[-1]["reason"] if stops and stops[-1]["images_seen"] == self.images_seen else None

    @property
    def seconds(self) -> float:
        """How long it trained, over all sessions; 0 when that is not known."""
        return self.facts.get("seconds") or max([0.0, *self.logged("seconds")])

    def logged(self, name: str) -> list[float]:
        """The values of a curve, in order."""
        return [row[name] for row in self.rows if "event" not in row and row.get(name) is not None]

    def near_the_end(self, name: str) -> float | None:
        """The mean of a curve over its last tenth."""
        values = self.logged(name)
        return statistics.fmean(values[-max(1, round(END_SHARE * len(values))) :]) if values else None


def lead(story: Story) -> str:
    """The run in two sentences."""
    weights = story.facts.get("parameters", {}).get("generator")
    kind = _kind(story.config.generator.kind)
    what = f"A generator of {weights:,} weights ({kind})" if weights else f"A generator ({kind})"
    time = f" in {duration(story.seconds)}" if story.seconds else ""
    text = f"{what}, trained on {story.images_seen:,} images{time}."
    count = story.data.get("count")
    if count and story.images_seen >= 1.5 * count:
        text += f" There were {count:,} pictures to learn from, so it met each about "
        text += f"{story.images_seen / count:,.0f} times."
    return text + _kept(story)


def _kept(story: Story) -> str:
    """Where generator.safetensors is not the last one: which, and why."""
    kept = story.facts.get("kept")
    if kept is None or kept >= story.images_seen:
        return ""
    measured = [row for row in story.rows if row.get("event") == "measurement"]
    best = next((row for row in measured if row["images_seen"] == kept), None)
    values = f" ({best['name']} {best['value']:.4g}, at last {measured[-1]['value']:.4g})" if best else ""
    return (
        f" It was measured closest to the real pictures after {kept:,} images{values}, so generator.safetensors is the "
        "generator of that moment."
    )


def readings(story: Story) -> list[str]:
    """What the numbers near the end mean, and what they do not; a paragraph each."""
    return [text for text in (_verdict(story), _losses(story)) if text]


def _verdict(story: Story) -> str:
    """What the discriminator says near the end, in words; what that means depends on the loss."""
    names = "real_probability", "fake_probability", "real_logit", "fake_logit"
    real, fake, real_logit, fake_logit = map(story.near_the_end, names)
    if gives_probabilities(story.config):
        if real is None or fake is None:
            return ""
        return (
            f"In the last tenth of the run the discriminator gave real pictures {real:.2f} and generated ones "
            f"{fake:.2f} on average, where 1 means real and 0 means generated. {_gap_in_words(real - fake)}"
        )
    if real_logit is None or fake_logit is None:
        return ""
    kind, ahead = story.config.objective.loss.kind, real_logit - fake_logit
    if kind == "relativistic":
        return (
            "This loss compares a real picture with a generated one, so only the distance between them counts. In the "
            f"last tenth of the run the real one was ahead by {ahead:.1f} logits on average: shown such a pair, "
            f"the discriminator would pick the real one with {(1 + math.tanh(ahead / 2)) / 2:.0%} certainty. "
            + _gap_in_words(math.tanh(ahead / 2))
        )
    scores = (
        f"In the last tenth of the run the discriminator scored real pictures {real_logit:.3g} and generated ones "
        f"{fake_logit:.3g} on average."
    )
    return f"{scores} {SCORES_IN_WORDS[kind]}"


def _gap_in_words(gap: float) -> str:
    return next(words for limit, words in GAPS if gap < limit)


def _losses(story: Story) -> str:
    generator, discriminator = story.near_the_end("generator_loss"), story.near_the_end("discriminator_loss")
    if generator is None or discriminator is None:
        return ""
    return (
        f"The losses there were {generator:.2f} for the generator and {discriminator:.2f} for the discriminator. They "
        "do not measure quality: each depends on how good the other network is, and a generator that improves may well "
        "show a rising loss. Nor does any number here say how varied the pictures are. For both, trust your eyes on "
        "the pictures above."
    )


def table(story: Story) -> dict[str, list[str]]:
    """What was trained, on what, with what: lines of text under each heading, none where there is nothing to say."""
    return _training(story) | _pictures(story) | _origin(story)


def _training(story: Story) -> dict[str, list[str]]:
    config, facts = story.config, story.facts
    rates = story.logged("images_per_second")
    rate = facts.get("images_per_second") or (statistics.median(rates) if rates else 0)
    resumes = facts.get("resumes", sum(row.get("event") == RESUME for row in story.rows))
    weights = facts.get("parameters", {})
    networks = {"generator": config.generator, "discriminator": config.discriminator}
    penalties = [f"{penalty.kind} (weight {penalty.weight:g})" for penalty in config.objective.penalties]
    device = [story.machine.get("device"), story.machine.get("device_name")]
    return {
        "Images seen": [f"{story.images_seen:,}" + ("" if story.finished else f" of {story.total:,}")],
        "Time": [duration(story.seconds)] if story.seconds else [],
        "Speed": [f"{rate:,.0f} images a second"] if rate else [],
        "Device": [", ".join(str(part) for part in device if part) or str(facts.get("device", ""))],
        "Networks": [
            f"{name}: {_kind(settings.kind)}" + (f", {weights[name]:,} weights" if name in weights else "")
            for name, settings in networks.items()
        ],
        "Loss": [", ".join([config.objective.loss.kind, *penalties])],
        "Batch": [f"{config.train.batch_size:,} images, {config.train.precision}"],
        "Seed": [str(config.seed)],
        "Resumed": ["once" if resumes == 1 else f"{resumes:,} times"] if resumes else [],
    }


def _pictures(story: Story) -> dict[str, list[str]]:
    data, config = story.data, story.config.data
    kind = f"{config.size[0]} x {config.size[1]}, {CHANNELS.get(config.channels, '')}"
    modes = data.get("modes") or {}
    notes = {
        "modes in the source": _counts(modes) if len(modes) > 1 else "",
        "exact duplicates": data.get("num_duplicates"),
        "enlarged to this size": data.get("num_enlarged"),
        "animated, first frame taken": data.get("num_animated"),
        "classes": len(data.get("classes") or {}),
        "other files, not read": _counts(data.get("ignored") or {}),
    }
    skipped = [f"{entry['name']}: {entry['reason']}" for entry in data.get("skipped") or []]
    more = [f"and {len(skipped) - MOST_NAMED:,} more"] if len(skipped) > MOST_NAMED else []
    return {
        "Source": [config.source],
        "Pictures": [
            f"{data['count']:,} of {kind}" if data.get("count") else kind,
            *(
                f"{what}: {value:,}" if isinstance(value, int) else f"{what}: {value}"
                for what, value in notes.items()
                if value
            ),
        ],
        "Left out": [*skipped[:MOST_NAMED], *more],
        "Data fingerprint": [data["fingerprint"]] if data.get("fingerprint") else [],
    }


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in counts.items())


def _origin(story: Story) -> dict[str, list[str]]:
    machine = story.machine
    versions = {name: machine.get(name) for name in PACKAGES} | {"Python": machine.get("python")}
    return {
        "Versions": [", ".join(f"{name} {version}" for name, version in versions.items() if version)],
        "System": [str(machine.get("platform") or "")],
        "Commit": [str(machine.get("commit") or "")],
        "Started": [str(story.environment.get("created") or "")],
    }


def commands(story: Story) -> dict[str, str]:
    """What to type to go on from here, by what it does."""
    run, config = shlex.quote(str(story.folder.path)), shlex.quote(str(story.folder.config_path))
    if story.finished:
        further = {"Train it further": f"ganlet resume {run} --set train.total_images={2 * story.total}"}
    else:
        patience = " --set evaluate.patience=null" if story.stopped and story.config.evaluate.patience else ""
        further = {"Go on where it stopped": f"ganlet resume {run}{patience}"}
    again = f"ganlet train --config {config} --set seed={story.config.seed + 1}"
    return {
        "Draw sixteen new pictures": f"ganlet sample {run} --num 16 --seed 1 --out pictures.png",
        **further,
        "Do the same with another seed, to see how much was luck": again,
    }


def duration(seconds: float) -> str:
    """A time as a person says it: 45 s, 2 min 1 s, 3 h 20 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _kind(kind: str) -> str:
    return KINDS.get(kind, kind)
