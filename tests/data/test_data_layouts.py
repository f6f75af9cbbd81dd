"""Whatever lies in a folder: every file is read, or it or a folder above it is left out for a reason that is told."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import layouts
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ganlet.data.folder import open_folder
from ganlet.data.leftovers import WORDS, left_out_line, no_pictures
from ganlet.data.spec import LeftOut
from ganlet.errors import DataError
from ganlet.paths import printable

MAX_BYTES = 2**20
QUICK = settings(deadline=None, max_examples=30, suppress_health_check=list(HealthCheck))
LONG = settings(QUICK, max_examples=500)
pytestmark = pytest.mark.skipif(os.name == "nt", reason="links, pipes and such names are for Unix")


def check(items):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "source"
        layout = layouts.write(root, Path(folder).resolve() / "outside", items)
        if not layout.read:
            with pytest.raises(DataError, match="no pictures"):
                open_folder(root, MAX_BYTES)
            return
        source = open_folder(root, MAX_BYTES)
        read = [picture.name for picture in source.pictures()]
        left_out = {one.name: one.why for one in source.left_out}
        assert read == layout.read
        assert left_out == layout.left_out()
        assert len(left_out) == len(source.left_out), "each of them once"
        accounted = {*read, *left_out}
        for name in layout.present():
            above = {name, *map(str, Path(name).parents)}
            assert accounted & above or name in layout.linked, name
        assert set(read).isdisjoint(left_out)
        told = " ".join([left_out_line(source.left_out) or "", *source.notes])
        numbers = {why: list(left_out.values()).count(why) for why in left_out.values()}
        for why, number in numbers.items():
            if WORDS[why][0]:
                assert f"{number:,} {WORDS[why][number > 1]}: " in told
        for name, why in left_out.items():
            if why in ("format", "container", "other"):
                assert (Path(name).suffix.lower() or "without suffix") in told
        assert (f"followed: {len(layout.followed)} link" in told) == bool(layout.followed)


@given(layouts.layouts)
@QUICK
def test_every_file_is_read_or_named(items):
    check(items)


@pytest.mark.slow
@given(layouts.layouts)
@LONG
def test_every_file_of_many_layouts_is_read_or_named(items):
    check(items)


def test_every_kind_of_item_together():
    kinds = ["picture", *layouts.FILES, "system file", "system folder", "hidden", "hidden folder", "run", "begun run"]
    kinds += ["no run", "empty folder", "pipe", *layouts.LINKS]
    check([(kind, layouts.FOLDERS[number % len(layouts.FOLDERS)], number) for number, kind in enumerate(kinds)])


@given(st.lists(st.builds(LeftOut, st.text(min_size=1), st.sampled_from(list(WORDS))), min_size=1))
def test_what_is_left_out_is_one_line_that_can_be_printed(left_out):
    known = {"format": ".heic", "container": ".npy"}
    named = [LeftOut(one.name + known.get(one.why, ""), one.why) for one in left_out]
    line = left_out_line(named)
    assert line.startswith("not read: ")
    assert line == printable(line).replace("\\\\", "\\") or line.isprintable()


def test_nothing_left_out_is_no_line():
    assert left_out_line(()) is None


def test_many_links_and_many_other_files_take_no_time(tmp_path):
    count = 4_000
    (tmp_path / "set").mkdir()
    (tmp_path / "real").mkdir()
    for number in range(count):
        (tmp_path / "real" / str(number)).mkdir()
        (tmp_path / "set" / str(number)).symlink_to(tmp_path / "real" / str(number))
    began = time.process_time()
    with pytest.raises(DataError, match="There are no pictures here"):
        open_folder(tmp_path / "set", 2**20)
    no_pictures("here", [LeftOut(f"{number}.txt", "other") for number in range(count)], "pictures")
    assert time.process_time() - began < 2
