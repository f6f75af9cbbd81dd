from __future__ import annotations

import ast
import importlib.metadata
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

import ganlet

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "matplotlib", "pandas", "tensorboard", "safetensors"}


def run(code: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)


def imported(code: str) -> set[str]:
    """The modules that a fresh Python has imported after running `code`."""
    show = "\nfinally:\n    import json, sys; sys.stderr.write('\\n' + json.dumps(sorted(sys.modules)))"
    body = "\n".join(f"    {line}" for line in code.splitlines())
    result = run(f"try:\n{body}{show}")
    return set(json.loads(result.stderr.splitlines()[-1]))


def test_importing_ganlet_imports_nothing_heavy():
    modules = imported("import ganlet")
    assert "ganlet" in modules
    assert not modules & {*HEAVY, "numpy", "PIL", "pydantic", "typer"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["train", "--help"],
        ["evaluate", "--help"],
        ["compare", "--help"],
        ["list", "presets"],
        ["list", "settings"],
        ["list", "losses"],
        ["list", "datasets"],
    ],
)
def test_asking_for_help_imports_nothing_heavy(arguments):
    modules = imported(f"import sys; sys.argv = ['ganlet', *{arguments}]\nfrom ganlet.cli import main\nmain()")
    assert "ganlet.cli.app" in modules
    assert not modules & HEAVY


def test_a_mistyped_setting_is_found_before_torch_is_imported():
    modules = imported(
        "import sys; sys.argv = ['ganlet', 'train', '--set', 'sede=1']\nfrom ganlet.cli import main\nmain()"
    )
    assert "ganlet.config.files" in modules
    assert "torch" not in modules


def test_every_public_name_can_be_used():
    assert set(ganlet.__all__) <= set(dir(ganlet))
    for name in ganlet.__all__:
        found = getattr(ganlet, name)
        home = found.__name__ if isinstance(found, types.ModuleType) else found.__module__
        assert home.startswith("ganlet.")


def test_public_names_are_what_type_checkers_see():
    (block,) = [
        node
        for node in ast.parse(Path(ganlet.__file__).read_text()).body
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    ]
    assert {alias.asname or alias.name for line in block.body for alias in line.names} == set(ganlet.__all__)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'ganlet' has no attribute 'trane'"):
        _ = ganlet.trane
    assert not hasattr(ganlet, "numpy")


def test_the_version_is_that_of_the_package():
    assert ganlet.__version__ == importlib.metadata.version("ganlet")
    assert ganlet.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_types_are_shipped():
    assert (Path(ganlet.__file__).parent / "py.typed").exists()


def modules_of_ganlet() -> list[str]:
    found = [module.name for module in pkgutil.walk_packages(ganlet.__path__, "ganlet.")]
    return [name for name in found if name != "ganlet.__main__"]  # importing that one runs the command line


# The app is written in its framework; `serving.server` asks whether that is there before it imports them.
NEED_FASTAPI = {f"ganlet.export.serving.{name}" for name in ("app", "description", "pictures", "protocol")}


def test_every_module_can_be_imported_with_the_core_alone():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    def names(requirements):
        return {re.match(r"[\w-]+", requirement)[0].replace("-", "_") for requirement in requirements}

    extras = set().union(*map(names, project["optional-dependencies"].values())) - names(project["dependencies"])
    assert "pytest" in extras
    code = (
        "import importlib, sys, warnings\n"
        "warnings.simplefilter('error')\n"
        "names, extras = (argument.split(',') for argument in sys.argv[1:])\n"
        "sys.modules.update(dict.fromkeys(extras))\n"
        "for name in names: importlib.import_module(name)\n"
    )
    modules = [name for name in modules_of_ganlet() if name not in NEED_FASTAPI]
    assert len(modules) > 50
    result = run(code, ",".join(modules), ",".join(extras))
    assert result.returncode == 0, result.stderr


def test_the_shelf_of_metrics_has_functions_whatever_was_imported_before():
    for name in ganlet.metrics.__all__:
        importlib.import_module("ganlet.metrics.features")
        assert isinstance(getattr(ganlet.metrics, name), types.FunctionType), name
