"""Folders as people have them, drawn at random: pictures in many formats between what they leave, forget and link.

A layout is a list of items, each in one of a few folders. Written to a disk, every file is accounted for: whether it is
to be read, or why it or a folder above it is left out.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

FOLDERS = ("", "a", "b", "a/deep", "a/deep/er", "caf\u00e9", "cafe\u0301", "with space", "0001")
ODD_NAMES = ("plain", "new\nline", "cafe\u0301", "\u202egnp", "%s{0}$x", " ", "'\"", "x" * 200, "UPPER", "semi;colon")
PICTURE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "TGA", "JPEG2000", "AVIF")
SUFFIX_OF = {"JPEG": ".jpg", "JPEG2000": ".jp2", "TIFF": ".tif"}


def picture(kind: str = "PNG") -> bytes:
    """A small picture file of a format."""
    buffer = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(buffer, kind)
    return buffer.getvalue()


PICTURES = {kind: picture(kind) for kind in PICTURE_FORMATS}
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
# Files by kind: their suffixes, content, and what is to become of them.
FILES: dict[str, tuple[tuple[str, ...], bytes, str]] = {
    "no suffix": (("",), PICTURES["PNG"], "read"),
    "odd suffix": ((".dat", ".heic", ".txt", ".Png2"), PICTURES["JPEG"], "read"),
    "upper case": ((".PNG", ".JPG", ".TiFF"), PICTURES["PNG"], "read"),
    "broken": ((".png", ".avif"), b"no picture at all", "read"),  # to be told as broken
    "raw": ((".nef", ".DNG", ".cr2", ".svs"), PICTURES["TIFF"], "format"),
    "not read": ((".heic", ".svg", ".psd", ".dcm", ".EXR", ".ico", ".jxl"), HEIC, "format"),
    "container": ((".npy", ".zip", ".h5", ".mp4", ".pdf"), b"PK\3\4" + bytes(40), "container"),
    "other": ((".txt", ".json", ".csv", ".yaml", ""), b"hello", "other"),
    "empty": ((".txt", ""), b"", "other"),
}
SYSTEM_FILES = ("Thumbs.db", "desktop.ini", "Icon\r", "ehthumbs.db", "Picasa.ini", "~$sheet.xlsx")
SYSTEM_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "lost+found", "System Volume Information", "__pycache__")
HIDDEN = (".DS_Store", "._x.png", ".x.png", ".nomedia")
HIDDEN_FOLDERS = (".thumbnails", ".git", ".ipynb_checkpoints", ".Trash-1000")
LINKS = (
    *("dead", "self", "file inside", "file outside", "folder inside", "up", "around", "folder outside"),
    "linked hidden folder",
)
PLAIN = ("picture", *FILES, "system file", "system folder", "hidden", "hidden folder", "run", "begun run", "no run")


def _items(kinds: tuple[str, ...]) -> st.SearchStrategy[list[tuple[str, str, int]]]:
    item = st.tuples(st.sampled_from(kinds), st.sampled_from(FOLDERS), st.integers(0, 999))
    return st.lists(item, min_size=1, max_size=25)


layouts = _items((*("picture",) * 5, *PLAIN, "empty folder", "pipe", *LINKS))
plain_layouts = _items((*("picture",) * 3, *PLAIN))  # without what an archive has not


@dataclass
class Layout:
    """A folder that was written. `expected` says of each file whether it is `read`, or else why it is left out;
    `named` are folders that are not looked into, and why; `followed` the links out of the source."""

    root: Path
    outside: Path
    expected: dict[str, str] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    followed: set[str] = field(default_factory=set)
    linked: set[str] = field(default_factory=set)

    @property
    def read(self) -> list[str]:
        """The names of the pictures, sorted by their bytes."""
        return sorted((name for name, why in self.expected.items() if why == "read"), key=os.fsencode)

    def left_out(self) -> dict[str, str]:
        """All that is to be named, with folders in which no picture lies, as far as no folder above is named."""
        found = {name: why for name, why in self.expected.items() if why != "read"} | self.named
        told = [name for name, why in self.named.items() if why in ("run", "linked twice")]
        holding = {".", *(str(above) for name in [*self.read, *told] for above in Path(name).parents)}
        empty = [name for name in self.folders() if name not in holding]
        topmost = [name for name in empty if not any(str(above) in empty for above in Path(name).parents)]
        return found | dict.fromkeys(topmost, "no pictures")

    def folders(self) -> list[str]:
        """All folders that are looked into, by links too."""
        found = []
        for top in ["", *sorted(self.linked)]:
            for folder, below, _ in os.walk(self.root / top):
                name = os.path.relpath(folder, self.root)
                below[:] = [one for one in below if os.path.normpath(os.path.join(name, one)) not in self.named]
                below[:] = [one for one in below if not os.path.islink(os.path.join(folder, one))]
                found.append(name)
        return found

    def present(self) -> set[str]:
        """Every file and link below the source, by its path there."""
        found = set()
        for folder, below, files in os.walk(self.root):
            links = [one for one in below if os.path.islink(os.path.join(folder, one))]
            found |= {os.path.relpath(os.path.join(folder, one), self.root) for one in [*files, *links]}
        return found


def write(root: Path, outside: Path, items: list[tuple[str, str, int]]) -> Layout:
    """Write a layout. What links lead to out of the source is in `outside`, below the folder around the source."""
    layout = Layout(root, outside)
    root.mkdir()
    outside.mkdir()
    for number, (kind, folder, chance) in enumerate(items):
        (root / folder).mkdir(parents=True, exist_ok=True)
        _write(layout, kind, folder, number, chance)
    return layout


def _write(layout: Layout, kind: str, folder: str, number: int, chance: int) -> None:
    def path(name: str) -> str:
        return f"{folder}/{name}" if folder else name

    def put(name: str, content: bytes, why: str) -> None:
        target = layout.root / path(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        layout.expected[path(name)] = why

    stem = f"{number:02}-{ODD_NAMES[chance % len(ODD_NAMES)]}"
    if kind == "picture":
        one = PICTURE_FORMATS[chance % len(PICTURE_FORMATS)]
        put(stem + SUFFIX_OF.get(one, f".{one.lower()}"), PICTURES[one], "read")
    elif kind in FILES:
        suffixes, content, why = FILES[kind]
        put(stem + suffixes[chance % len(suffixes)], content, why)
    elif kind in ("system file", "hidden"):
        names, why = (SYSTEM_FILES, "system") if kind == "system file" else (HIDDEN, "hidden")
        put(names[chance % len(names)], PICTURES["PNG"], why)
    elif kind in ("system folder", "hidden folder"):
        names, why = (SYSTEM_FOLDERS, "system") if kind == "system folder" else (HIDDEN_FOLDERS, "hidden")
        name = path(names[chance % len(names)])
        (layout.root / name / "deep").mkdir(parents=True, exist_ok=True)
        (layout.root / name / "deep" / f"{number}.png").write_bytes(PICTURES["PNG"])
        layout.named[name] = why
    elif kind in ("run", "begun run"):
        run = layout.root / path(f"{stem}-run")
        (run / "samples").mkdir(parents=True)
        (run / "samples" / "grid.png").write_bytes(PICTURES["PNG"])
        (run / "config.yaml").write_text("seed: 0")
        (run / "checkpoints").mkdir()
        (run / "checkpoints" / "log").write_bytes(b"")  # archives may not have empty folders
        if kind == "run":
            (run / "environment.json").write_text("{}")
        layout.named[path(f"{stem}-run")] = "run"
    elif kind == "no run":
        put(f"{stem}/config.yaml", b"lr: 1", "other")
        put(f"{stem}/samples.png", PICTURES["PNG"], "read")
    elif kind == "empty folder":
        (layout.root / path(stem) / "emptier").mkdir(parents=True)
    elif kind == "pipe":
        os.mkfifo(layout.root / path(f"{stem}.png"))
        layout.expected[path(f"{stem}.png")] = "special"
    else:
        _link(layout, kind, path(f"{stem}.png"), number)


def _link(layout: Layout, kind: str, name: str, number: int) -> None:
    link, outside = layout.root / name, layout.outside
    if kind in ("dead", "self"):
        link.symlink_to("nowhere" if kind == "dead" else link.name)
        layout.expected[name] = "dead link"
    elif kind == "file inside":
        real = layout.root / f"{number:02}-real.png"
        real.write_bytes(PICTURES["PNG"])
        link.symlink_to(real)
        layout.expected |= {real.name: "read", name: "read"}
    elif kind == "file outside":
        (outside / f"{number}.png").write_bytes(PICTURES["PNG"])
        link.symlink_to(outside / f"{number}.png")
        layout.expected[name] = "read"
        layout.followed.add(name)
    elif kind == "around":
        link.symlink_to(layout.root.parent)
        layout.named[name] = "around"
    elif kind in ("folder inside", "up"):
        real = layout.root / f"{number:02}-real"
        real.mkdir()
        (real / "1.png").write_bytes(PICTURES["PNG"])
        layout.expected[f"{real.name}/1.png"] = "read"
        link.symlink_to(real if kind == "folder inside" else layout.root)
        layout.named[name] = "linked twice"
    else:
        real = outside / str(number) if kind == "folder outside" else layout.root / f".{number}"
        (real / "deep").mkdir(parents=True)
        (real / "deep" / "1.png").write_bytes(PICTURES["PNG"])
        (real / "notes.txt").write_bytes(b"")
        (real / "again").symlink_to(real)
        link.symlink_to(real)
        layout.expected |= {f"{name}/deep/1.png": "read", f"{name}/notes.txt": "other"}
        layout.named[f"{name}/again"] = "linked twice"
        layout.followed.add(name)
        layout.linked.add(name)
        if kind == "linked hidden folder":
            layout.named[f".{number}"] = "hidden"
