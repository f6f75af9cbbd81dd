"""The Hugging Face hub: how a name on it is written, how its library is reached, and what may go wrong with it.

`huggingface_hub` is the extra `[hub]`, and imported when it is first needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import NamedTuple

from ganlet.errors import ConfigError, EnvironmentProblem, GanletError, ResourceProblem
from ganlet.paths import DISK_FULL, HUB, printable, shortened

PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?"
NAME = re.compile(rf"(?P<repo>{PART}(?:/{PART})?)(?:/(?P<subset>[^/@]+))?(?:@(?P<revision>[A-Za-z0-9][\w./-]*))?")
SHOWN = 12  # digits of a revision


class HubName(NamedTuple):
    """What hf:OWNER/NAME[/SUBSET][@REVISION] names: a repository, a subset of a data set, a branch, tag or commit."""

    repo: str
    subset: str | None = None
    revision: str | None = None

    @classmethod
    def of(cls, text: str, where: str | None = None, *, subsets: bool = False) -> HubName:
        """The name that a text holds. Raises ConfigError for what can be no name on the hub."""
        found = NAME.fullmatch(text.removeprefix(HUB))
        written = f"{HUB}OWNER/NAME{'[/SUBSET]' if subsets else ''}[@REVISION]"
        if (
            found is None
            or re.search(r"\.\.|--", text)
            or (not subsets and (found["subset"] or "/" not in found["repo"]))
        ):
            raise ConfigError("This is no name on the hub.", where=where, got=shortened(printable(text)),
                              expected=written)  # fmt: skip
        return cls(**found.groupdict())

    def __str__(self) -> str:
        subset, revision = (f"/{self.subset}" if self.subset else ""), (f"@{self.revision}" if self.revision else "")
        return f"{HUB}{self.repo}{subset}{revision}"

    @property
    def last(self) -> str:
        """The name without its owner."""
        return self.repo.rpartition("/")[2]


class NoAnswer(EnvironmentProblem):
    """The hub cannot be reached, or does not answer."""


def is_hub_name(text: object) -> bool:
    """Whether a text or path names something on the hub."""
    return str(text).startswith(HUB)


def hub_library() -> ModuleType:
    """`huggingface_hub`. Raises EnvironmentProblem where it is not installed, or does not work."""
    try:
        import huggingface_hub
    except Exception as error:  # a broken one raises whatever it likes
        raise EnvironmentProblem(
            "The hub needs huggingface_hub, which cannot be imported.",
            got=shortened(printable(error)),
            hint="pip install 'ganlet[hub]'",
        ) from error
    return huggingface_hub


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE forbids to ask the hub."""
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


@contextmanager
def hub_problems(name: HubName, what: str, missing: type[GanletError]) -> Iterator[None]:
    """Turn what the hub and its library raise into errors for users.

    `what` is said of what is looked for, such as "model"; `missing` is raised where there is none.
    """
    hub_library()
    import httpx2
    from huggingface_hub import constants, errors

    where, repo = str(name), name.repo
    log_in = "log in: hf auth login, or set HF_TOKEN to a token of huggingface.co/settings/tokens"
    try:
        yield
    except errors.GatedRepoError as error:
        hint = f"ask for it at {constants.ENDPOINT}/{repo}, then {log_in}"
        raise EnvironmentProblem(
            f"This {what} is given to those only who ask for it.", where=where, hint=hint
        ) from error
    except errors.RepositoryNotFoundError as error:
        hint = f"look how it is spelled; for a private one {log_in}"
        raise missing(f"The hub has no such {what}, or does not show it to you.", where=where, hint=hint) from error
    except errors.RevisionNotFoundError as error:
        raise missing(
            f"The {what} has no such revision.",
            where=where,
            got=name.revision,
            expected="a branch, a tag or a commit",
            hint=f"{constants.ENDPOINT}/{repo}/commits/main",
        ) from error
    except errors.LocalTokenNotFoundError as error:
        raise EnvironmentProblem("The hub asks who you are.", where=where, got="no token", hint=log_in) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        got = f"{status}: {_said(error)}"
        if status in (401, 403):
            raise EnvironmentProblem("The hub does not let you do this.", where=where, got=got, hint=log_in) from error
        if status == 429 or status >= 500:
            raise NoAnswer("The hub cannot do this now.", where=where, got=got, hint="try again later") from error
        raise EnvironmentProblem("The hub refuses this.", where=where, got=got) from error
    except (httpx2.HTTPError, errors.LocalEntryNotFoundError, ConnectionError, TimeoutError) as error:
        offline = isinstance(error, errors.OfflineModeIsEnabled)
        raise NoAnswer(
            "The hub is not to be asked (HF_HUB_OFFLINE)." if offline else "The hub cannot be reached.",
            where=where,
            got=None if offline else f"{constants.ENDPOINT}: {shortened(printable(error)) or type(error).__name__}",
            hint="unset HF_HUB_OFFLINE" if offline else "look whether there is a network, and try again",
        ) from error
    except OSError as error:
        if error.errno is None:  # of the library itself, or of what was fetched
            raise
        full = error.errno in DISK_FULL
        problem = ResourceProblem if full else EnvironmentProblem
        raise problem(
            "The disk is full." if full else "The cache of the hub cannot be used.",
            where=printable(constants.HF_HUB_CACHE),
            got=error.strerror,
            hint=f"set HF_HOME to a folder {'on a disk with more room' if full else 'that can be written'}",
        ) from error


def _said(error: Exception) -> str:
    """What the hub says, in one line."""
    lines = [line.strip() for line in str(getattr(error, "server_message", None) or error).splitlines()]
    return shortened(printable(next((line for line in lines if line), type(error).__name__)))
