"""The sections of a model card, each Markdown made of facts; none is empty, and none says what nobody knows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from ganlet.data.settings import UNKNOWN_LICENCE
from ganlet.export.facts import Facts
from ganlet.export.markdown import bullets, code, head, plain, prose, table, word
from ganlet.health.findings import written
from ganlet.runs.evaluations import HEADINGS, cells, describe_value, refusals, remarks

# The identifiers that the hub knows of licences for pictures; any other is told by its name.
KNOWN_LICENCES = {
    "apache-2.0", "mit", "cc", "cc0-1.0", "cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "odbl", "odc-by", "pddl", "unlicense",
    "wtfpl", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "unknown",
}  # fmt: skip
CHANNELS = {1: "grey", 3: "colour", 4: "colour with alpha"}
LISTED, FEW_LISTED, SHORT_NAME = 12, 3, 24
FEW_PICTURES = 2_000
UNEVEN = 5  # times as many pictures of the most frequent class as of the rarest
VERSIONS = {"ganlet": "ganlet", "torch": "torch", "numpy": "numpy", "python": "Python"}


def front_matter(facts: Facts) -> str:
    """The YAML at the head of a card, which a hub reads."""
    data, licence = facts.config.data, facts.config.data.licence
    known = licence.lower() in KNOWN_LICENCES
    values: dict[str, Any] = {"license": licence.lower() if known else "other"}
    if not known:
        values["license_name"] = licence
    values |= {
        "library_name": "ganlet",
        "pipeline_tag": "unconditional-image-generation",
        "tags": ["ganlet", "gan", facts.config.generator.kind, *(["class-conditional"] if data.num_labels else [])],
    }
    if facts.evaluation is not None and facts.measured_here and facts.evaluation["measurements"]:
        values["model-index"] = [
            {
                "name": facts.name,
                "results": [
                    {
                        "task": {"type": "unconditional-image-generation"},
                        "dataset": {"name": facts.source, "type": facts.source},
                        "metrics": [
                            {"type": found["name"], "name": found["name"], "value": found["value"]}
                            for found in facts.evaluation["measurements"]
                        ],
                    }
                ],
            }
        ]
    return head(values)


def opening(facts: Facts, sheet: str, count: int, seed: int) -> str:
    """Title, samples, and what it draws."""
    config, (height, width) = facts.config, facts.config.data.size
    channels = CHANNELS[int(config.data.channels)]
    lines = [
        f"# {plain(facts.name)}",
        f"A generator of {width}x{height} {channels} pictures (width x height) like those of {code(facts.source)}, "
        f"trained with ganlet.",
        f"![{count} samples]({sheet})",
        f"*{count} samples of seed {seed}, not chosen by anybody. The file says how each was drawn: "
        f"`ganlet whence {sheet}` reads it.*",
        "## What it draws",
        f"Each picture is drawn from {config.generator.latent_size} random numbers by a network of the kind "
        f"`{config.generator.kind}` with {facts.parameters:,} parameters, after {facts.trained.images_seen:,} training "
        f"pictures shown{_best(facts)}. {_labels(facts)}",
    ]
    if facts.trained.weights == "ema" and config.generator.ema.half_life != 0:
        lines[-1] += " Its weights are running averages over training."
    return "\n\n".join(lines)


def _best(facts: Facts) -> str:
    if facts.trained.images_seen == facts.images_seen:
        return ""
    return f" (the run went on to {facts.images_seen:,}; these are the weights of that earlier moment)"


def _labels(facts: Facts) -> str:
    data = facts.config.data
    if not data.num_labels:
        return "What is drawn is left to chance: it takes no labels."
    names = [str(name) for name in data.label_names]
    what = "one of" if data.labels == "classes" else "any number of"
    return f"It can be asked for {what} {len(names):,} {data.labels}: {_listed([code(name) for name in names])}."


def _listed(names: list[str]) -> str:
    """The first of some names: as many as a reader looks at."""
    most = LISTED if all(len(name) <= SHORT_NAME for name in names) else FEW_LISTED
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def usage(facts: Facts) -> str:
    height, width = facts.config.data.size
    shape = f"(16, {height}, {width}, {facts.config.data.channels})"
    if "generator" in facts.handed_in or "game" in facts.handed_in:
        kind = facts.handed_in.get("generator") or facts.handed_in["game"]
        lines = ["import ganlet", 'generator = ganlet.load("generator.safetensors", generator=MyNetwork())']
        after = f"The network was handed in from Python, a {code(kind)}: without its code nothing can be drawn."
    else:
        lines = [
            "import ganlet",
            f'pictures = ganlet.sample("generator.safetensors", 16, seed=0)  # uint8 {shape}',
        ]
        after = "On a command line: `ganlet sample generator.safetensors --num 16 --seed 0`."
        if facts.config.data.num_labels:
            name = word(facts.config.data.label_names[0], "NAME")
            after += f" By label: {code(f'ganlet sample generator.safetensors --label {name}')}."
    block = "\n".join(["```python", *lines, "```"])
    version = facts.session.get("ganlet", "")
    first = f"With `generator.safetensors` of this model in the folder, and ganlet {plain(version)} or newer:"
    return (
        f"## How to use it\n\n{first}\n\n{block}\n\n{after} The same seed draws the same pictures on the same machine."
    )


def data(facts: Facts) -> str:
    told, config = facts.data, facts.config.data
    if not told:
        lost = "environment.json of the run is lost"
        return f"## Data\n\nOf the pictures only the name is known, {code(facts.source)}: {lost}."
    rows = [("name", code(facts.source)), ("licence", _licence(facts)), ("pictures", _count(facts))]
    if told.get("fingerprint"):
        rows.append(("fingerprint", code(told["fingerprint"])))
    rows.append(("kind of source", plain(told.get("kind", "unknown"))))
    if classes := told.get("classes"):
        listed = _listed([f"{code(name)} ({number_of:,})" for name, number_of in classes.items()])
        used = "" if config.labels == "classes" else "; training did not use them"
        rows.append((f"{len(classes):,} classes", f"{listed}{used}"))
    if config.holdout:
        rows.append(("kept out of training", f"{config.holdout:.0%}"))
    if config.flip:
        rows.append(("mirrored", "half of the pictures, left to right"))
    said = "The fingerprint tells these very pictures from any others, also from the same ones at another size."
    return f"## Data\n\n{table(('', ''), rows)}\n\n{said}"


def _licence(facts: Facts) -> str:
    licence = facts.config.data.licence
    if licence != UNKNOWN_LICENCE:
        return plain(licence)
    if facts.drawn_by_code:
        return "**unknown**; the pictures are drawn by code that comes with ganlet (Apache-2.0)"
    command = f"ganlet resume {word(facts.name, 'RUN')} --set data.licence=NAME"
    return f"**unknown**: nobody said under which licence these pictures are; whoever has the run can: {code(command)}"


def _count(facts: Facts) -> str:
    told = facts.data
    parts = [f"{told['count']:,}" if "count" in told else "an unknown number"]
    if told.get("num_duplicates"):
        parts.append(f"{told['num_duplicates']:,} of them are there more than once")
    if told.get("skipped"):
        parts.append(f"{len(told['skipped']):,} broken files were left out")
    return ", ".join(parts)


def recipe(facts: Facts) -> str:
    config, session = facts.config, facts.session
    versions = ", ".join(f"{name} {session[key]}" for key, name in VERSIONS.items() if session.get(key))
    device = session.get("device_name") or session.get("device") or "an unknown device"
    threads = session.get("threads")
    at_work = f"{plain(device)} ({session.get('device', '?')}{f', {threads} threads' if threads else ''})"
    rows = [
        ("preset", code(config.preset) if config.preset else "none"),
        ("set otherwise", _changes(facts)),
        ("seed", str(config.seed)),
        (
            "images shown",
            f"{facts.images_seen:,}, in batches of {config.train.batch_size}; {facts.total:,} were asked for",
        ),
        ("time", str(timedelta(seconds=round(facts.seconds))) if facts.seconds else "not logged"),
        ("device", plain(at_work).replace("\\_", "_")),
        ("versions", plain(versions) or "unknown"),
        ("begun", plain(facts.created) or "unknown"),
    ]
    if facts.resumes:
        rows.append(("interrupted", f"gone on with {facts.resumes} times, exactly where the same machine went on"))
    if facts.config.train.init_from:
        rows.append(("weights at the start", f"of the run {code(facts.config.train.init_from)}"))
    if facts.handed_in:
        rows.append(("from Python", ", ".join(f"{plain(k)}: {code(v)}" for k, v in facts.handed_in.items())))
    told = "The whole config is inside `generator.safetensors`."
    return f"## Recipe\n\n{table(('', ''), rows)}\n\n{told}"


def _changes(facts: Facts) -> str:
    if facts.changed is None:
        return "there is no preset to compare with" if facts.config.preset is None else "cannot be told"
    if not facts.changed:
        return "nothing"
    shown = [code(f"{path}={written(value)}") for path, value in facts.changed.items()]
    more = f" and {len(shown) - LISTED} more" if len(shown) > LISTED else ""
    return ", ".join(shown[:LISTED]) + more


def quality(facts: Facts) -> str:
    row, title = facts.evaluation, "## How good it is"
    if row is None or not row["measurements"]:
        command = code(f"ganlet evaluate {word(facts.name, 'RUN')}")
        return f"{title}\n\nNobody has measured it; {command} does, and the card tells it when it is made again."
    parts = [title]
    if not facts.measured_here:
        parts.append(
            f"**Measured after {row['images_seen']:,} images ({row['protocol']['weights']} weights), and the weights "
            f"here are of {facts.trained.images_seen:,} ({facts.trained.weights}):** these numbers are not theirs."
        )
    parts.append(table(HEADINGS, ([plain(cell) for cell in line] for line in cells(row))))
    parts.append(f"Measured with {prose(row['protocol_in_words'])}.")
    if row["floor_in_words"]:
        parts.append(f"The floor is {prose(row['floor_in_words'])}: nothing measured so can be expected to do better.")
    said = [prose(sentence) for sentence in [*remarks(row), *(f"left out: {one}" for one in refusals(row))]]
    parts += [bullets(said)] if said else []
    return "\n\n".join(parts)


def health(facts: Facts) -> str:
    told = facts.diagnosis
    looks = f"{told['num_looks']:,} looks" if told["num_looks"] else "the log alone"
    parts = [
        "## How training went",
        f"By ganlet's run doctor, which watches training ({looks}): **{prose(told['headline'])}**",
    ]
    said = [
        f"**{plain(verdict['kind'])}**: {prose(verdict['words'])}"
        + (f" To try: {prose(verdict['advice'])}" if verdict["advice"] and verdict["severity"] != "healthy" else "")
        for verdict in told["verdicts"]
    ]
    return "\n\n".join([*parts, bullets(said)])


def memorising(facts: Facts) -> str:
    title, row = "## Does it draw its training pictures again?", facts.evaluation
    found = [one for one in (row or {}).get("measurements", ()) if one["metric"] == "memorisation"]
    if not found:
        refused = [one for one in (row or {}).get("refused", ()) if one["metric"] == "memorisation"]
        why = f" It was left out: {prose(refused[0]['reason'])}." if refused else ""
        command = code(f"ganlet evaluate {word(facts.name, 'RUN')}")
        return f"{title}\n\nNobody has looked; {command} does.{why}"
    one = found[0]
    value = describe_value(one)
    return (
        f"{title}\n\nEstimated share of pictures drawn that are copies of a training picture: **{plain(value)}** "
        f"(of 1; {one['protocol']['num_fakes']:,} pictures drawn). {prose(one['note'])}."
    )


def limits(facts: Facts) -> str:
    return f"## Limits\n\n{bullets(_limits(facts))}"


def _limits(facts: Facts) -> Iterator[str]:
    config, told = facts.config, facts.data
    height, width = config.data.size
    count = told.get("count")
    yield f"It draws {width}x{height} pixels and nothing larger; enlarging adds no detail."
    if count:
        few = " That is few: it can hardly know more than variations of them." if count < FEW_PICTURES else ""
        yield f"All it knows are {count:,} pictures of {code(facts.source)}: what is not in them, it cannot draw.{few}"
    if (enlarged := told.get("num_enlarged")) and count:
        how_many = "All" if enlarged == count else f"{enlarged:,} of {count:,}"
        yield f"{how_many} training pictures were smaller than that and were enlarged, so they are soft."
    if config.data.crop in ("center", "random") and told.get("num_sizes", 1) > 1:
        yield "Training pictures of another shape were cut, so it never saw what lay at their edges."
    if config.data.flip:
        yield "Half of the training pictures were mirrored, so writing and whatever has a left and a right may be, too."
    yield from _of_classes(facts)
    if facts.images_seen < facts.total:
        yield f"Training was to go on to {facts.total:,} images and stands at {facts.images_seen:,}."
    for verdict in facts.diagnosis["verdicts"]:
        if verdict["severity"] != "healthy":
            yield f"The run doctor found {plain(verdict['kind'])}; see above."
    if facts.evaluation is None or not facts.evaluation["measurements"]:
        yield "How good and how varied its pictures are, nobody has measured: the sheet above is all there is."
    if not facts.drawn_by_code:
        yield (
            "What the training pictures show is not known to whoever made this card by program. Where real people or "
            "works of others are in them, pictures drawn may resemble these; they are evidence of nothing."
        )
        if config.data.licence == UNKNOWN_LICENCE:
            yield "The licence of the training pictures is unknown, and so is whether these weights may be passed on."


def _of_classes(facts: Facts) -> Iterator[str]:
    classes = {name: count for name, count in (facts.data.get("classes") or {}).items() if count}
    if len(classes) < 2:
        return
    most, least = max(classes, key=lambda name: classes[name]), min(classes, key=lambda name: classes[name])
    if classes[most] >= UNEVEN * classes[least] and not facts.config.data.balance:
        yield (
            f"Its classes are uneven: {plain(most)} has {classes[most]:,} pictures, {plain(least)} {classes[least]:,}. "
            "What is rare there is drawn rarely, or badly."
        )


def made(facts: Facts) -> str:
    maker = facts.trained.maker
    version = facts.session.get("ganlet", "")
    licence = "The licence at the head of this card is that of the pictures: nobody named one for the weights."
    return (
        f"## Which weights these are\n\nRun {code(maker.run)}, weights {code(maker.weights)}, {maker.images_seen:,} "
        f"images seen, trained with ganlet {plain(version)}: the certificates of its pictures name the same. {licence}"
    )


SECTIONS = (usage, data, recipe, quality, health, memorising, limits, made)
