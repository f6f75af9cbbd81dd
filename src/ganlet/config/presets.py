"""Named recipes: YAML files beside this module, each opening with what it is for, its command, time and outcome."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

from ganlet.config.files import parse_yaml
from ganlet.config.tree import Tree
from ganlet.errors import ConfigError, nearest


@dataclass(frozen=True)
class Preset:
    """One recipe: its settings, and its header as lines of prose."""

    name: str
    header: tuple[str, ...]
    settings: Tree

    @property
    def summary(self) -> str:
        """The first line of the header."""
        return self.header[0]


def names() -> list[str]:
    """The names of all presets."""
    folder = resources.files("ganlet.config") / "presets"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load(name: str) -> Preset:
    """The preset of that name. Raises `ConfigError` that names the nearest one."""
    if name not in names():
        close = nearest(name, names())
        raise ConfigError(
            f"There is no preset {name!r}.",
            expected=", ".join(names()),
            hint=f"--preset {close}" if close else "ganlet list presets",
        )
    text = (resources.files("ganlet.config") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    header = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        header.append(line.removeprefix("#").strip())
    return Preset(name, tuple(header), {**parse_yaml(text, f"preset {name}"), "preset": name})
