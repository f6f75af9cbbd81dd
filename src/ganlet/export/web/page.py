"""Writing the page: one file with a run's generator, its directions and what draws, which asks nobody for anything."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, PackageLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup

from ganlet import __version__
from ganlet.errors import CheckpointError, ConfigError
from ganlet.export.onnx_file import require_one_of
from ganlet.export.opened import path_and_game
from ganlet.export.taken import require_replaceable
from ganlet.export.web.contents import directions_of, evenly, facts_of, references_of
from ganlet.export.web.networks import graphs, smallest_precision
from ganlet.export.web.ort import ort_files
from ganlet.export.web.packing import Bytes, Precision, packed_numbers
from ganlet.export.web.runtimes import PACKAGE, OrtRuntime, OwnRuntime, Runtime
from ganlet.export.web.text import carried
from ganlet.games import Game
from ganlet.paths import require_folder
from ganlet.runs import checkpoint
from ganlet.runs.files import write_atomic
from ganlet.runs.markup import visible
from ganlet.workflows.arguments import require_whole
from ganlet.workflows.generators import open_generator
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.lab.page.commands import quoted, run_name
from ganlet.workflows.lab.page.page import page_path
from ganlet.workflows.reporting import Reporter

MOMENTS_AS: Precision = "int8"
RUNTIMES = ("own", "ort")
MARK = b"Made by ganlet"  # in all pages
SCRIPTS = ("certificate.js", "draws.js", "points.js", "page.js")


def to_web(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    precision: str | None = None,
    moments: int = 0,
    title: str | None = None,
    runtime: str | os.PathLike[str] = "own",
    checkpoint: str | int | None = None,
    source: str | os.PathLike[str] | None = None,
    game: Game | type[Game] | None = None,
    find_directions: bool = True,
    reporter: Reporter | None = None,
) -> Path:
    """Write a run, or a generator.safetensors, as one HTML file that draws its pictures wherever it is opened.

    Args:
        run: the run's folder, the file of a generator, or a `Run`.
        out: FILE.html; default: RUN/RUN.html, or beside a zip or a lone generator.
        precision: how weights are kept: fp32, fp16, int10 or int8; default: int10 or, where that changes more than one
            number in a thousand of the pictures by more than one grey level, fp16.
        moments: checkpoints of the run, evenly spaced, through which a visitor can follow a picture; 0 for none.
        title: what the page is called; default: the name of the run.
        runtime: what the page computes with: "own", small and quick, which knows the operators of our own networks; or
            "ort", ONNX Runtime Web, which knows all and takes 5 MB; it is fetched once. Or the file of its npm package.
        checkpoint: best, latest, or the images seen of one; default: generator.safetensors.
        source: where the run's pictures are now, for directions that need them.
        game: for runs whose networks are not described by their config.
        find_directions: where the run knows no directions, find and keep them first, which takes a minute.
        reporter: where progress is told; default: nowhere.

    Raises `ConfigError` for an operator that the page
    does not know, and for what else cannot be meant; else as `runs.files.os_errors_explained`. The same call writes the
    same bytes.
    """
    require_whole("moments", moments)
    chosen = _runtime(runtime, reporter)
    if precision is not None:
        require_one_of("--precision", precision, chosen.precisions)
    run, game = path_and_game(run, game)
    lab = Lab.open(run, checkpoint=checkpoint, source=source, device="cpu", game=game, reporter=reporter)
    target = page_path(out) if out is not None else _default_path(lab)
    require_folder(target.parent, "--out")
    require_replaceable(target, MARK)
    text = _page_text(lab, chosen, cast(Precision | None, precision), moments, title, find_directions)
    write_atomic(target, text.encode(errors="backslashreplace"))
    return target


def _page_text(
    lab: Lab, runtime: Runtime, precision: Precision | None, moments: int, title: str | None, find_directions: bool
) -> str:
    """The page as HTML. What cannot be drawn by it is told first, and directions are sought only then."""
    into, models = Bytes(), graphs(lab.trained.generator, lab.num_labels)
    precision = precision or smallest_precision(lab, models, runtime)
    drawn = {name: runtime.packed(model, precision, into) for name, model in models.items()}
    if find_directions and lab.folder is not None and not lab.directions:
        lab.reporter.say("No directions are known yet: finding them takes a minute.")
        lab.find_directions()
    facts: dict[str, Any] = facts_of(lab) | {"programs": drawn, "precision": precision}
    facts |= {"version": __version__, "moments_as": MOMENTS_AS}
    styles = lab.trained.generator.mean_style if lab.space.has_styles else None
    facts["mean"] = None if styles is None else packed_numbers(styles.cpu().numpy(), into)
    facts["directions"] = directions_of(lab, into)
    facts["references"] = references_of(lab, into)
    facts["title"] = visible(title or run_name(lab))
    return (
        _environment()
        .get_template("web/page.html")
        .render(
            title=title or run_name(lab),
            run=quoted(run_name(lab)),
            by=lab.maker,
            facts=facts,
            numbers=_carried(facts, into),
            moments=_moments(lab, moments, runtime) if moments else None,
            more={name: Markup(text) for name, text in runtime.carried().items()},
            scripts=Markup(carried(_scripts(runtime))),
            boot=Markup(_lean("boot.js").decode()),
            version=__version__,
        )
    )


def _moments(lab: Lab, num: int, runtime: Runtime) -> Markup | None:
    """The generators of checkpoints, evenly spaced, as the page carries them; None without any."""
    if lab.folder is None:
        raise ConfigError(
            "A generator without its run has no checkpoints.",
            where="--moments",
            got=num,
            expected="the folder of a run",
        )
    folder, there = lab.folder, checkpoint.moments(lab.folder.checkpoints_path)
    into, told = Bytes(), []
    chosen = evenly(there, num)
    for number, moment in enumerate(chosen, start=1):
        try:
            trained = open_generator(folder, moment, lab.space.device, game=lab.game)
        except CheckpointError as error:
            lab.reporter.say(f"{error.what} It is left out of the page.")
            continue
        models = graphs(trained.generator, lab.num_labels)
        own = {name: runtime.packed(model, MOMENTS_AS, into) for name, model in models.items()}
        told.append({"images_seen": trained.images_seen, "maker": asdict(trained.maker), "programs": own})
        lab.reporter.progress("packing checkpoints", number, len(chosen))
    if len(told) < num:
        keep = "a run keeps as many as train.keep_checkpoints says"
        lab.reporter.say(f"There are {len(told)} checkpoints in place of {num}: {keep}.")
    return _carried({"moments": told}, into) if told else None


def _carried(told: dict[str, Any], into: Bytes) -> Markup:
    """Data and numbers as the page carries them: the length of the JSON, the JSON, the bytes."""
    head = json.dumps(told, separators=(",", ":")).encode()
    return Markup(carried(len(head).to_bytes(4, "little") + head + into.joined()))


def _runtime(name: str | os.PathLike[str], reporter: Reporter | None) -> Runtime:
    """What a page computes with, by name or by the file of a package."""
    if str(name).endswith(".tgz"):
        return OrtRuntime(ort_files(Path(name)))
    require_one_of("--runtime", name, RUNTIMES)
    return OrtRuntime(ort_files(reporter=reporter)) if name == "ort" else OwnRuntime()


def _default_path(lab: Lab) -> Path:
    if lab.folder is None or lab.folder.sealed is not None:
        return lab.run.with_suffix(".html")
    return lab.folder.path / f"{lab.folder.path.absolute().name}.html"


def _scripts(runtime: Runtime) -> bytes:
    return b"\n".join([b'"use strict";', *(_lean(name) for name in (runtime.script, *SCRIPTS))])


def _lean(name: str) -> bytes:
    """A script without its comments and indents."""
    lines = (line.strip() for line in (resources.files(PACKAGE) / name).read_bytes().splitlines())
    return b"\n".join(line for line in lines if line and not line.startswith(b"//"))


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PrefixLoader({"web": PackageLoader(PACKAGE, ""), "house": PackageLoader("ganlet.runs")}),
        autoescape=True,
        finalize=visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
