"""The report of a run: one page that needs nothing but itself, made from what is in the folder.

Everything that comes from outside (names of files, presets, sources, settings) goes through `escaped`, and the page
forbids scripts and remote loads to itself.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
import shlex
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from PIL import Image, features

from ganlet.config import RunConfig, dump_yaml, read_yaml, validate
from ganlet.images import enlarge, to_pil
from ganlet.runs.files import write_atomic
from ganlet.runs.folder import RunFolder
from ganlet.runs.history import RESUME, read_history
from ganlet.runs.pictures import film, opaque, progression, sample_moments
from ganlet.runs.plots import figure_png, loss_plot

STILL_SIDE, STILL_BYTES, STILL_QUALITY = 1100, 400_000, 82
MOST_NAMED = 5
END_SHARE = 0.1  # of the log rows: what "near the end" means
MODES = {1: "grey", 3: "colour", 4: "colour with transparency"}


@dataclass(frozen=True)
class Material:
    """What the sections are written from."""

    folder: RunFolder
    config: RunConfig
    rows: Sequence[Mapping[str, Any]]
    environment: Mapping[str, Any]
    facts: Mapping[str, Any]

    @property
    def data(self) -> Mapping[str, Any]:
        """The summary of the source."""
        return self.facts.get("data") or self.environment.get("data") or {}

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
    def seconds(self) -> float | None:
        """How long it trained."""
        logged = [row["seconds"] for row in self.rows if row.get("seconds") is not None]
        return self.facts.get("seconds") or (max(logged) if logged else None)

    def near_the_end(self, name: str) -> float | None:
        """The mean of a logged value over the last tenth of the rows that have it."""
        values = [row[name] for row in self.rows if row.get(name) is not None]
        last = values[-max(1, round(END_SHARE * len(values))) :]
        return sum(last) / len(last) if last else None


def write_report(folder: RunFolder, *, facts: Mapping[str, Any]) -> Path:
    """Write report.html anew, and with it samples/progression.png and samples/film.webp.

    `facts` is plain data beside what the folder holds, all of it optional: "parameters" ({"generator": n,
    "discriminator": n}), "data" (the summary of the pack), "seconds", "images_per_second", "device", "finished",
    "resumes". Raises as `files.explained` does.
    """
    environment_path = folder.environment_path
    environment = json.loads(environment_path.read_text("utf-8")) if environment_path.exists() else {}
    config = validate(read_yaml(folder.config_path))
    material = Material(folder, config, read_history(folder.metrics_path), environment, facts)
    template = Template((resources.files("ganlet.runs") / "report.html").read_text("utf-8"))
    page = template.substitute(
        title=escaped(_title(config)),
        lead=_lead(material),
        sections="\n".join(text for section in SECTIONS if (text := section(material))),
        footer=f"Made by ganlet {escaped(material.machine.get('ganlet', ''))}. This page is one file: keep it, send it.",
    )
    write_atomic(folder.report_path, page.encode())
    return folder.report_path


def escaped(text: object) -> str:
    """Text from outside as HTML; control, direction and other characters without a picture become visible escapes."""
    shown = (
        char.encode("unicode_escape").decode() if unicodedata.category(char) in UNSEEN else char for char in str(text)
    )
    return html.escape("".join(shown))


UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _title(config: RunConfig) -> str:
    source = config.data.source
    name = source if ":" in source else Path(source).name or source
    return name if config.preset in (None, name) else f"{config.preset} on {name}"


def _lead(material: Material) -> str:
    parameters = material.facts.get("parameters", {}).get("generator")
    size = f" of {parameters:,} weights" if parameters else ""
    time = f" in {_duration(material.seconds)}" if material.seconds else ""
    lead = (
        f"A {material.config.generator.kind} generator{size}, trained on {material.images_seen:,} images{time}."
        + _shown_times(material)
    )
    paragraphs = f'<p class="lead">{lead}</p>'
    if not material.finished:
        paragraphs += (
            f'\n<p class="note">This run is not finished: it was meant to see {material.total:,} images. '
            "What you see here is how far it has come.</p>"
        )
    return paragraphs


def _shown_times(material: Material) -> str:
    count = material.data.get("count")
    if not count or material.images_seen < 1.5 * count:
        return ""
    return (
        f" There were {count:,} pictures to learn from, so it met each about {material.images_seen / count:,.0f} times."
    )


def final_pictures(material: Material) -> str:
    """What it draws at the end, beside real pictures."""
    moments = sample_moments(material.folder)
    real = material.folder.samples_path / "real.png"
    figures = []
    if moments:
        images_seen, path = moments[-1]
        weights = " with its averaged weights" if material.config.evaluate.weights == "ema" else ""
        caption = f"<strong>Generated</strong> after {images_seen:,} images{weights}. Not picked: the first ones drawn."
        figures.append(_sheet(path, "Grid of generated pictures at the end of the run", caption))
    if real.exists():
        caption = "<strong>Real</strong>: pictures that it learned from."
        figures.append(_sheet(real, "Grid of real pictures from the source", caption))
    if not figures:
        return ""
    return f'<section>\n<h2>What it draws</h2>\n<div class="pair">\n{"".join(figures)}</div>\n</section>'


def how_it_learned(material: Material) -> str:
    """Film, progression and curves, each with what to look for."""
    parts = [_film(material), _progression(material), _curves(material)]
    if not any(parts):
        return ""
    return "<section>\n<h2>How it learned</h2>\n" + "\n".join(filter(None, parts)) + "\n</section>"


def _film(material: Material) -> str:
    path = film(material.folder, material.config)
    if path is None:
        return ""
    source = _data_uri(path.read_bytes(), path.suffix[1:])
    alt = "Film of the generated pictures, from the first moment of the run to the last"
    return (
        f'<div class="pair film">\n<img class="print moving" src="{source}" alt="{alt}">\n'
        '<p class="still soft">Here is a film. It is hidden because your system asks for less motion.</p>\n'
        "<div><h3>From noise to pictures</h3>\n"
        "<p>Every frame starts from the same latents, the random numbers that the generator turns into pictures. So "
        "all that changes is the generator. Colours and large shapes settle first, details follow.</p>\n"
        "<p>Watch two things: whether it still gets better towards the end, in which case a longer run is worth its "
        "time, and whether the pictures stay different from each other.</p></div>\n</div>"
    )


def _progression(material: Material) -> str:
    path = progression(material.folder, material.config)
    if path is None:
        return ""
    return (
        f'<figure class="progression">\n<img src="{_still(Image.open(path))}" '
        'alt="Rows of generated pictures, one row for each moment of the run, the same latents in each row">\n'
        "<figcaption>One row for each moment, one column for each latent; moments lie closer together at the start, "
        "where most happens. Follow a column downwards to see one picture grow. Columns that become alike would mean "
        "that the generator repeats itself, which is called mode collapse.</figcaption>\n</figure>"
    )


def _curves(material: Material) -> str:
    if not any(row.get("generator_loss") is not None for row in material.rows):
        return ""
    penalties = [penalty.kind for penalty in material.config.objective.penalties]
    light, dark = (
        _data_uri(figure_png(loss_plot(material.rows, penalties=penalties, dark=dark)), "png") for dark in (False, True)
    )
    explained = "\n".join(f"<h3>{head}</h3>\n<p>{text}</p>" for head, text in CURVES[: 4 if penalties else 3])
    return (
        f'<div class="pair curves">\n<picture><source media="(prefers-color-scheme: dark)" srcset="{dark}">'
        f'<img src="{light}" alt="Curves over images seen: losses of both networks, D(real) and D(fake), gradient norms">'
        f"</picture>\n<div>\n{explained}\n<p>Strong lines are smoothed, faint ones are as logged.</p></div>\n</div>"
    )


CURVES = (
    (
        "Losses",
        "Two players with opposite aims: what one gains, the other loses. Look for a lasting balance; neither is meant "
        "to reach zero.",
    ),
    (
        "D(real) and D(fake)",
        "How real the discriminator finds real and generated pictures. Both near 0.5: it cannot tell. One at 1 and the "
        "other at 0: it is never fooled, and the generator has little to learn from.",
    ),
    (
        "Gradient norms",
        "How hard each network is pushed. Steady is good. A fall towards zero means that learning has stopped; tall "
        "peaks mean a shaky balance.",
    ),
    (
        "Penalties",
        "How steep the discriminator is, before weighting. A penalty keeps it from becoming so steep that training "
        "breaks.",
    ),
)


def the_numbers(material: Material) -> str:
    """What the logged numbers mean, and what they do not."""
    paragraphs = [paragraph for paragraph in (_verdict(material), _losses(material)) if paragraph]
    if not paragraphs:
        return ""
    text = "\n".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    return f"<section>\n<h2>What the numbers say</h2>\n{text}\n</section>"


def _verdict(material: Material) -> str:
    """D(real) and D(fake) in words; what they mean depends on the loss."""
    names = "real_probability", "fake_probability", "real_logit", "fake_logit"
    real, fake, real_logit, fake_logit = map(material.near_the_end, names)
    if real is None or fake is None:
        return ""
    if material.config.objective.loss.kind == "relativistic":
        if real_logit is None or fake_logit is None:
            return ""
        lead = real_logit - fake_logit
        return (
            "This loss compares a real picture with a generated one, so only their distance counts. In the last tenth "
            f"of the run real pictures were ahead by {lead:.1f} logits on average: shown a pair, the discriminator gave "
            f"about {1 / (1 + math.exp(-lead)):.0%} to the real one. {_gap_in_words(math.tanh(lead / 2))}"
        )
    scores = (
        f"In the last tenth of the run the discriminator gave real pictures {real:.2f} and generated ones {fake:.2f} on "
        "average, where 1 means real and 0 means generated."
    )
    if material.config.objective.loss.kind == "hinge":
        return (
            f"{scores} With the hinge loss these are scores brought between 0 and 1 rather than probabilities; it is "
            "content at 0.73 for real pictures and 0.27 for generated ones, and does not push further."
        )
    return f"{scores} {_gap_in_words(real - fake)}"


def _gap_in_words(gap: float) -> str:
    """How well the discriminator tells real from generated; `gap` lies in [-1, 1]."""
    for limit, words in GAPS:
        if gap < limit:
            return words
    return GAPS[-1][1]


GAPS = (
    (-0.1, "It had them the wrong way round, so the two networks were out of step when the run ended."),
    (
        0.1,
        "It could hardly tell them apart. That is good news only if you cannot either: a discriminator that has learned "
        "too little says the same.",
    ),
    (
        0.6,
        "It was right more often than not, but far from sure. A generator learns well from such a judge.",
    ),
    (
        0.9,
        "It was usually right, and sometimes fooled. That is common in a run that goes well: the generator can still "
        "learn from it.",
    ),
    (
        math.inf,
        "It was hardly ever fooled. From such a judge a generator learns slowly; if the film stands still towards its "
        "end, this is a likely reason.",
    ),
)


def _losses(material: Material) -> str:
    generator, discriminator = material.near_the_end("generator_loss"), material.near_the_end("discriminator_loss")
    if generator is None or discriminator is None:
        return ""
    return (
        f"The losses there were {generator:.2f} for the generator and {discriminator:.2f} for the discriminator. They do "
        "not measure quality: each depends on how good the other network is, and a generator that improves may well "
        "show a rising loss. Nor does any number here say how varied the pictures are. For both, trust your eyes on the "
        "two grids above."
    )


def the_run(material: Material) -> str:
    """A table of what was trained, on what, with what."""
    rows = "\n".join(
        f'<tr><th scope="row">{head}</th><td>{value}</td></tr>'
        for head, value in (_training_facts(material) | _data_facts(material) | _origin_facts(material)).items()
        if value
    )
    return f"<section>\n<h2>The run</h2>\n<table>\n{rows}\n</table>\n</section>"


def _training_facts(material: Material) -> dict[str, str]:
    config, facts = material.config, material.facts
    rates = [row["images_per_second"] for row in material.rows if row.get("images_per_second") is not None]
    rate = facts.get("images_per_second") or (float(np.median(rates)) if rates else None)
    resumes = facts.get("resumes", sum(row.get("event") == RESUME for row in material.rows))
    parameters = facts.get("parameters", {})
    networks = [
        f"{settings.kind} {name}" + (f", {parameters[name]:,} weights" if name in parameters else "")
        for name, settings in (("generator", config.generator), ("discriminator", config.discriminator))
    ]
    penalties = [f"{penalty.kind} (weight {penalty.weight:g})" for penalty in config.objective.penalties]
    device = str(facts.get("device") or material.machine.get("device", ""))
    model = material.machine.get("device_name")
    return {
        "Images seen": f"{material.images_seen:,}" + ("" if material.finished else f" of {material.total:,}"),
        "Time": _duration(material.seconds) if material.seconds else "",
        "Speed": f"{rate:,.0f} images a second" if rate else "",
        "Device": escaped(f"{device} ({model})" if device and model else device),
        "Networks": "<br>".join(networks),
        "Loss": ", ".join([config.objective.loss.kind, *penalties]),
        "Batch": f"{config.train.batch_size:,} images, {config.train.precision}",
        "Seed": str(config.seed),
        "Resumed": ("once" if resumes == 1 else f"{resumes:,} times") if resumes else "",
    }


def _data_facts(material: Material) -> dict[str, str]:
    data, config = material.data, material.config.data
    height, width = config.size
    modes = data.get("modes") or {}
    classes = data.get("classes") or {}
    notes = {
        "num_duplicates": "are exact duplicates of others",
        "num_enlarged": "were smaller than that and had to be enlarged",
        "num_animated": "were animated; the first frame was used",
    }
    skipped = data.get("skipped") or []
    names = [f"{entry.get('name')}: {entry.get('reason')}" for entry in skipped]
    channels = MODES.get(int(config.channels)) if config.channels != "auto" else ""
    return {
        "Source": escaped(config.source),
        "Pictures": ", ".join(
            filter(None, [f"{data['count']:,}" if "count" in data else "", f"{height} x {width}", channels])
        ),
        "Modes": ", ".join(f"{escaped(mode)} {number:,}" for mode, number in modes.items()) if len(modes) > 1 else "",
        "Classes": f"{len(classes):,}" if classes else "",
        "Notes": "<br>".join(f"{data[key]:,} {text}" for key, text in notes.items() if data.get(key)),
        "Left out": _listed(names),
        "No pictures": ", ".join(f"{number:,} {escaped(kind)}" for kind, number in (data.get("ignored") or {}).items()),
        "Data fingerprint": f"<code>{escaped(data['fingerprint'])}</code>" if "fingerprint" in data else "",
    }


def _origin_facts(material: Material) -> dict[str, str]:
    versions = [
        f"{name} {material.machine[name]}"
        for name in ("ganlet", "torch", "numpy", "pillow")
        if material.machine.get(name)
    ]
    python = material.machine.get("python")
    return {
        "Versions": escaped(", ".join([*versions, *([f"Python {python}"] if python else [])])),
        "System": escaped(material.machine.get("platform", "")),
        "Commit": escaped(material.machine.get("commit") or ""),
        "Started": escaped(material.environment.get("created", "")),
    }


def _listed(names: Sequence[str]) -> str:
    """Names from outside as a list, the first few of them."""
    if not names:
        return ""
    items = [escaped(name) for name in names[:MOST_NAMED]]
    if len(names) > MOST_NAMED:
        items.append(f"and {len(names) - MOST_NAMED:,} more")
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def do_more(material: Material) -> str:
    """Commands to go on with."""
    run = shlex.quote(str(material.folder.path))
    if material.finished:
        further = ("Train it further", f"ganlet resume {run} --set train.total_images={2 * material.total}")
    else:
        further = ("Go on where it stopped", f"ganlet resume {run}")
    config = shlex.quote(str(material.folder.config_path))
    commands = [
        ("Draw sixteen new pictures", f"ganlet sample {run} --num 16 --seed 1 --out pictures.png"),
        further,
        (
            "Run the same again with another seed, to see how much is luck",
            f"ganlet train --config {config} --set seed={material.config.seed + 1}",
        ),
    ]
    items = "\n".join(f"<div><p>{what}:</p><pre>{escaped(command)}</pre></div>" for what, command in commands)
    return f'<section>\n<h2>Do more</h2>\n<div class="commands">\n{items}\n</div>\n</section>'


def whole_config(material: Material) -> str:
    """Every setting, folded away."""
    lines = "\n".join(escaped(line) for line in dump_yaml(material.config).splitlines())
    return f"<section>\n<details><summary>Every setting of this run</summary><pre>{lines}</pre></details>\n</section>"


def _sheet(path: Path, alt: str, caption: str) -> str:
    """A grid of pictures as a figure."""
    with Image.open(path) as image:
        pixels = np.asarray(image)
    pixels = enlarge(pixels.reshape(*pixels.shape[:2], -1), STILL_SIDE)
    source = _still(to_pil(opaque(pixels)))
    return f'<figure>\n<img class="print" src="{source}" alt="{alt}">\n<figcaption>{caption}</figcaption>\n</figure>\n'


def _still(image: Image.Image) -> str:
    """A picture inside the page: to the last bit where that is small enough, else a little smaller and less sharp."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    if buffer.tell() <= STILL_BYTES or not features.check("webp"):
        return _data_uri(buffer.getvalue(), "png")
    image.thumbnail((STILL_SIDE, STILL_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=STILL_QUALITY)
    return _data_uri(buffer.getvalue(), "webp")


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _duration(seconds: float) -> str:
    """A time as a person says it: 45 s, 2 min 1 s, 3 h 20 min."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


# The page from top to bottom; a section that has nothing to say returns an empty text.
SECTIONS: tuple[Callable[[Material], str], ...] = (
    final_pictures,
    how_it_learned,
    the_numbers,
    the_run,
    do_more,
    whole_config,
)
