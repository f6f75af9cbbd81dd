import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganlet.data.settings import DataConfig
from ganlet.data.source import open_source


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A cache folder of the test's own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("GANLET_CACHE", str(folder))
    return folder


@pytest.fixture
def encode():
    """Pixels or a Pillow image -> the bytes of a file."""

    def encode(picture, kind="PNG", **options):
        if isinstance(picture, np.ndarray):
            picture = Image.fromarray(picture[..., 0] if picture.shape[-1:] == (1,) else picture)
        buffer = io.BytesIO()
        picture.save(buffer, kind, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture
def raw_png():
    """A PNG file put together by hand, for what Pillow reads but does not write."""

    def raw_png(width, height, depth, colour_type, rows, transparent=b""):
        def chunk(name, data):
            return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

        header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
        pixels = zlib.compress(b"".join(b"\0" + bytes(row) for row in rows))
        between = chunk(b"tRNS", transparent) if transparent else b""
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + between + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")

    return raw_png


@pytest.fixture
def noise():
    """Random pixels (*shape)."""

    def noise(*shape, seed=0):
        return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)

    return noise


@pytest.fixture
def write_folder(tmp_path, encode):
    """Write pictures or bytes by name into a folder, and return it."""

    def write_folder(files, root="pictures"):
        root = tmp_path / root
        root.mkdir(exist_ok=True)
        for name, content in files.items():
            path = Path(root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else encode(content))
        return root

    return write_folder


@pytest.fixture
def open_pack():
    """Open a source with settings."""

    def open_pack(source, **settings):
        return open_source(DataConfig(source=str(source), **settings))

    return open_pack


@pytest.fixture
def no_decoding(monkeypatch):
    """From when it is called, to decode anything fails the test."""
    return lambda: monkeypatch.setattr("ganlet.data.ingest.decode", lambda *_: pytest.fail("decoded again"))
