"""Putting a run on the Hugging Face hub: card, generator, samples and page, all in one commit or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlet import export
from ganlet.errors import ConfigError, EnvironmentProblem, GanletError, RunError
from ganlet.export.card import CARD, SHEET, to_card
from ganlet.export.weights_file import to_safetensors
from ganlet.hub import HubName, hub_library, hub_problems
from ganlet.paths import printable, shortened
from ganlet.runs.folder import GENERATOR, RunFolder
from ganlet.runs.hub import TIMEOUT
from ganlet.workflows.reporting import Reporter, Silent

PAGE = "index.html"
USE = "## How to use it"  # the heading in a card
OF_THE_HUB = ".gitattributes"  # which it makes by itself


@dataclass(frozen=True, eq=False)
class Parcel:
    """What is pushed: the files of the repository, by name."""

    name: HubName
    files: Mapping[str, bytes]


def pack(
    run: str | os.PathLike[str],
    name: str,
    *,
    checkpoint: str | int | None = None,
    page: bool = True,
    reporter: Reporter | None = None,
) -> Parcel:
    """What `push` would push, made without asking the hub. Equal runs give equal bytes.

    Raises ConfigError for what is no name on the hub, else what `to_card`, `to_safetensors` and `to_web` do.
    """
    reporter, to = reporter or Silent(), _to(name)
    RunFolder.open(run)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        to_card(run, folder / CARD, checkpoint=checkpoint, reporter=reporter)
        _name_in(folder / CARD, to)
        to_safetensors(run, folder / GENERATOR, checkpoint=checkpoint, reporter=reporter)
        if page:
            _write_page(run, folder / PAGE, checkpoint, reporter)
        names = (CARD, GENERATOR, SHEET, PAGE)
        return Parcel(to, {one: (folder / one).read_bytes() for one in names if (folder / one).exists()})


def push(
    run: str | os.PathLike[str],
    name: str,
    *,
    private: bool = False,
    checkpoint: str | int | None = None,
    page: bool = True,
    reporter: Reporter | None = None,
) -> str:
    """Put a run on the hub, where `hf:OWNER/NAME` opens it from then on; returns the address of its page there.

    All files are one commit. A repository that is there already is pushed to again where a generator of ganlet is in
    it, or nothing is.

    Args:
        run: the run's folder or its zip.
        name: hf:OWNER/NAME.
        private: for nobody but its owner, where the repository is new.
        checkpoint: best, latest, or the images seen of one; default: the generator that the run came to.
        page: whether the page that draws in a browser goes with it.
        reporter: where progress is told; default: nowhere.

    Raises ConfigError for a name that is nobody's or somebody else's, RunError where it is taken by something else,
    EnvironmentProblem without huggingface_hub, a token or a network.
    """
    reporter, to = reporter or Silent(), _to(name)
    api = hub_library().HfApi()
    _require_own(api, to)
    exists = _look_at(api, to, private)
    parcel = pack(run, name, checkpoint=checkpoint, page=page, reporter=reporter)
    reporter.say(f"pushing {sum(map(len, parcel.files.values())):,} bytes to {to}")
    return _send(api, parcel, private, exists)


def _name_in(card: Path, to: HubName) -> None:
    """Have a card say how it is opened by its name on the hub."""
    lines = [
        USE,
        f"By its name, with `pip install 'ganlet[hub]'`: `ganlet sample {to}`, or in Python",
        f'```python\nimport ganlet\npictures = ganlet.sample("{to}", 16, seed=0)\n```',
    ]
    before, heading, after = card.read_text("utf-8").partition(USE)
    assert heading, "the card has another heading"
    card.write_text(before + "\n\n".join(lines) + after, "utf-8")


def _to(name: str) -> HubName:
    to = HubName.of(name, "hf:OWNER/NAME")
    if to.revision is not None:
        raise ConfigError("What is pushed becomes the newest commit, so it has no revision yet.", got=str(to),
                          expected=str(to._replace(revision=None)))  # fmt: skip
    return to


def _write_page(run: str | os.PathLike[str], target: Path, checkpoint: str | int | None, reporter: Reporter) -> None:
    """The page that draws in a browser, where this ganlet makes one; what the page cannot draw goes without it."""
    to_web: Any = getattr(export, "to_web", None)
    if to_web is None:
        return
    try:
        to_web(run, target, checkpoint=checkpoint, reporter=reporter)
    except ConfigError as error:
        reporter.say(f"without a page: {error.what}")


def _require_own(api: Any, to: HubName) -> None:
    """Raise an error unless the token is of somebody who may push to that owner's repositories."""
    with hub_problems(to, "user", RunError):
        me = api.whoami()
    owner = to.repo.partition("/")[0]
    names = [me["name"], *(one["name"] for one in me.get("orgs", ()))]
    if owner not in names:
        raise ConfigError(
            "On the hub this name belongs to somebody else.",
            where=str(to),
            got=f"a token of {printable(me['name'])}",
            expected=" or ".join(f"hf:{one}/{to.last}" for one in names[:5]),
        )


def _look_at(api: Any, to: HubName, private: bool) -> bool:
    """Whether the repository is there. Raises RunError where it is not one to push to."""
    try:
        with hub_problems(to, "repository", _Missing):
            info = api.model_info(to.repo, timeout=TIMEOUT)
    except _Missing:
        return False
    files = {one.rfilename for one in info.siblings or ()} - {OF_THE_HUB}
    if files and GENERATOR not in files:
        raise RunError(
            "This name is taken: there is something else than a generator of ganlet.",
            where=str(to),
            got=", ".join(map(printable, sorted(files)[:5])),
            hint="choose another name",
        )
    if private and not info.private:
        raise RunError("This repository is there already, and everybody sees it.", where=str(to),
                       hint="choose another name, or push without --private")  # fmt: skip
    return True


class _Missing(RunError):
    """There is no such repository."""


def _send(api: Any, parcel: Parcel, private: bool, exists: bool) -> str:
    add, to = hub_library().CommitOperationAdd, parcel.name
    made = False
    try:
        with hub_problems(to, "repository", RunError):
            if not exists:
                api.create_repo(to.repo, private=private)
                made = True
            operations = [add(path_in_repo=name, path_or_fileobj=data) for name, data in parcel.files.items()]
            try:
                api.create_commit(to.repo, operations, commit_message="Generator, card and samples of ganlet")
            except RuntimeError as error:  # of the upload of one file, with the reason behind it
                raise error.__cause__ or error from error
    except GanletError as error:
        raise _nothing_pushed(error, made) from error
    except Exception as error:  # whatever the library stumbles on
        problem = EnvironmentProblem(
            "The hub did not take the files.", where=str(to), got=shortened(printable(error) or type(error).__name__)
        )
        raise _nothing_pushed(problem, made) from error
    return f"{api.endpoint}/{to.repo}"


def _nothing_pushed(error: GanletError, made: bool) -> GanletError:
    """The error, saying what the hub has now: nothing of the run, for all of it is one commit."""
    left = " An empty repository was made there; the same command goes on with it." if made else ""
    return type(error)(f"{error.what} Nothing was pushed.{left}", where=error.where, got=error.got,
                       expected=error.expected, hint=error.hint)  # fmt: skip
