"""The container's files agree with the package and the command."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from typer.main import get_command

from ganlet.cli.app import app
from ganlet.export.serving.limits import Limits
from ganlet.export.serving.server import Settings

ROOT = Path(__file__).parents[3]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]["ganlet"]
OPTIONS = {option for parameter in get_command(app).commands["serve"].params for option in parameter.opts}


def test_what_is_copied_is_there():
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = line.split()
        assert all((ROOT / source).exists() for source in sources)
    assert (ROOT / "deploy" / COMPOSE["build"]["context"]).resolve() == ROOT
    assert (ROOT / COMPOSE["build"]["dockerfile"]).exists()
    assert set(COMPOSE["build"]["args"]) <= set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.MULTILINE))


def test_it_serves_without_rights_at_the_port_of_the_command():
    port = Settings([]).port
    assert re.search(r"^USER \d{4,}$", DOCKERFILE, re.MULTILINE)
    assert f"EXPOSE {port}\n" in DOCKERFILE
    assert f"http://127.0.0.1:{port}/health" in DOCKERFILE
    assert COMPOSE["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert COMPOSE["read_only"]
    assert COMPOSE["cap_drop"] == ["ALL"]
    assert all(volume.endswith(":ro") for volume in COMPOSE["volumes"])
    assert int(COMPOSE["stop_grace_period"].removesuffix("s")) > Limits().seconds + Limits().reading


def test_its_options_are_those_of_the_command():
    assert set(re.findall(r"--host|--[a-z-]+", DOCKERFILE[DOCKERFILE.index("ENTRYPOINT") :])) <= OPTIONS
    guide = (ROOT / "docs/guide/shipping-serve.md").read_text()
    assert set(re.findall(r"`(--[a-z-]+)", guide)) <= OPTIONS


def test_the_guide_tells_the_limits_as_they_are():
    guide = (ROOT / "docs/guide/shipping-serve.md").read_text()
    limits = Limits()
    for number in (limits.pictures, limits.pixels, limits.body, limits.head, limits.waiting, limits.requests):
        assert re.search(rf"\b{number:,}\b", guide), number
