"""Pages that compute with ONNX Runtime Web: where it comes from, what the page carries, and that it draws the same."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.server
import io
import json
import re
import shutil
import tarfile
import threading

import numpy as np
import pytest

from export.in_node import decoded
from ganlet.data.cache_contents import contents, remove
from ganlet.errors import ConfigError, EnvironmentProblem
from ganlet.export import to_web
from ganlet.export.parity import answer, open_session, pixels
from ganlet.export.web import ort
from ganlet.workflows.lab.lab import Lab
from ganlet.workflows.sampling import sample

MINIFIED = (
    "var a=1,b=2,c={wasm:{}};export{a as InferenceSession,b as Tensor,c as env,a as default};\n"
    "//# sourceMappingURL=ort.wasm.bundle.min.mjs.map\n"
)


def package(**files: bytes) -> bytes:
    """An npm package with these files, by the last part of their names."""
    names = {"module": ort.MODULE, "wasm": ort.WASM}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(names.get(name, f"package/{name}"))
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


SMALL = package(module=MINIFIED.encode(), wasm=b"\0asm")


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """A registry on loopback that hands out one package, and what it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(SMALL)

        def log_message(self, format, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv(ort.REGISTRY_VARIABLE, f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("GANLET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(ort, "SHA512", base64.b64encode(hashlib.sha512(SMALL).digest()).decode())
    yield asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_is_fetched_once_and_made_global(registry):
    first, again = ort.ort_files(), ort.ort_files()
    assert registry == [f"/onnxruntime-web/-/{ort.PACKAGE_FILE}"]
    assert first.wasm == again.wasm == b"\0asm"
    assert first.module.decode().endswith(
        'globalThis.ort={InferenceSession:a,Tensor:b,env:c};dispatchEvent(new Event("ort"));'
    )
    assert b"export" not in first.module
    assert b"sourceMapping" not in first.module
    (kept,) = contents()
    assert (kept.kind, kept.fingerprint, kept.size) == ("download", ort.PACKAGE_FILE, len(SMALL))
    assert remove([kept]) == ([kept], [])
    ort.ort_files()
    assert len(registry) == 2


def test_what_was_not_published_is_refused_and_not_kept(registry, monkeypatch, tmp_path):
    ort.ort_files()
    monkeypatch.setattr(ort, "SHA512", "another")
    with pytest.raises(EnvironmentProblem, match="not the package that was published"):
        ort.ort_files()
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(EnvironmentProblem):
        ort.ort_files()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_no_network_names_the_way_without_one(monkeypatch, tmp_path):
    monkeypatch.setenv(ort.REGISTRY_VARIABLE, "http://127.0.0.1:9")
    monkeypatch.setenv("GANLET_CACHE", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match="cannot be fetched") as caught:
        ort.ort_files()
    assert f"npm pack onnxruntime-web@{ort.VERSION}" in str(caught.value)
    assert f"runtime {ort.PACKAGE_FILE}" in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"no archive",
        package(module=MINIFIED.encode()),
        package(module=b"export{a as Tensor};", wasm=b""),
        SMALL[: len(SMALL) // 2],
    ],
    ids=["no archive", "a file is missing", "other exports", "cut off"],
)
def test_a_file_that_is_no_such_package_is_one_message(data, tmp_path):
    file = tmp_path / "some.tgz"
    file.write_bytes(data)
    with pytest.raises(ConfigError, match="no package of ONNX Runtime Web"):
        ort.ort_files(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        ort.ort_files(tmp_path / "none.tgz")


def carried(page: str, name: str) -> bytes:
    match = re.search(rf'id="{name}">([^<]*)<', page)
    assert match
    return gzip.decompress(decoded(match[1]))


def test_what_our_own_runtime_does_not_know_is_drawn_by_this_one(rare, tmp_path):
    with pytest.raises(ConfigError, match="Gelu") as caught:
        to_web(rare, tmp_path / "page.html", find_directions=False)
    assert "--runtime ort" in str(caught.value)
    path = to_web(rare, tmp_path / "page.html", runtime=_small(tmp_path), moments=2, find_directions=False)
    page = path.read_text()
    assert carried(page, "ort-wasm") == b"\0asm"
    assert carried(page, "ort").startswith(b"var a=1")
    assert 'id="kernel"' not in page
    for name, precision, most in (("numbers", "fp16", 1), ("moments", "int8", 12)):
        whole = carried(page, name)
        size = int.from_bytes(whole[:4], "little")
        told, data = json.loads(whole[4 : 4 + size]), whole[4 + size :]
        program = (told if name == "numbers" else told["moments"][-1])["programs"]["draw"]
        assert told.get("precision", precision) == precision
        place, count = program["model"]
        latents = rare.lab().sample(1, 3).values.numpy()
        assert program["inputs"] == {"latents": list(latents.shape)}
        drawn = pixels(answer(open_session(data[place : place + count]), {"latents": latents}))
        home = sample(rare, 1, seed=3, game=rare.game)[0].transpose(2, 0, 1)
        assert np.abs(drawn[0] - home.astype(int)).max() <= most


def test_what_cannot_be_drawn_is_told_before_directions_are_sought(rare, tmp_path, monkeypatch):
    sought: list[object] = []
    monkeypatch.setattr(Lab, "find_directions", lambda self: sought.append(self))
    with pytest.raises(ConfigError, match="Gelu"):
        to_web(rare, tmp_path / "page.html")
    assert not sought
    to_web(rare, tmp_path / "page.html", runtime=_small(tmp_path))
    assert len(sought) == 1


def _small(folder):
    file = folder / "some.tgz"
    file.write_bytes(SMALL)
    return file


def test_what_it_cannot_do_is_one_message(rare, tmp_path):
    file = _small(tmp_path)
    with pytest.raises(ConfigError, match="no such choice"):
        to_web(rare, tmp_path / "page.html", runtime="orb")
    with pytest.raises(ConfigError, match="no such choice"):
        to_web(rare, tmp_path / "page.html", runtime=file, precision="int10")
    assert list(tmp_path.iterdir()) == [file]
