"""Every way to spell a path, at every place where a command takes one: a result, or one clear message."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import ganlet as library
from ganlet.images import save_png
from ganlet.workflows import evaluating, training

NFC, NFD = "caf\u00e9", "cafe\u0301"
CODES = {0, None, 2, 3}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_config):
    """A tiny run on a folder of pictures: both are copied to where a test wants them."""
    folder = tmp_path_factory.mktemp("made")
    for number in range(40):
        picture = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        save_png(folder / f"{number}.png", picture)
    changes = {"data.source": str(folder), "data.num_images": None, "train.total_images": 32}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "redraw", lambda *_: None)
        return library.train(tiny_config(changes), tmp_path_factory.mktemp("runs") / "run", device="cpu").path


# What is typed, and how it is to be taken: as what it says ("taken"), or as a mistake ("refused"); None: either.
SPELLINGS = {
    "plain": ("x", "taken"),
    "home": ("~/x", "taken"),
    "home_of_nobody": ("~nosuchuser/x", "refused"),
    "begins_like_a_home": ("~old/x", "taken"),
    "dot": ("./x", "taken"),
    "up_and_down": ("d/../x", "taken"),
    "trailing_slash": ("x/", "taken"),
    "slashes": ("d//x", "taken"),
    "dots": ("v1.2.3", "taken"),
    "space": ("my x", "taken"),
    "quotes": ('it\'s "x"', "taken"),
    "dollar_and_star": ("$HOME *;#&", "taken"),
    "newline": ("a\nb", "taken"),
    "escape": ("\x1b[31mx", "taken"),
    "nfc": (f"{NFC}/x", "taken"),
    "nfd": (f"{NFD}/x", "taken"),
    "emoji": ("🙂", "taken"),
    "not_utf8": ("\udcff\udcfe", None),
    "not_utf8_below": ("\udcff/x", None),
    "linked": ("link/x", "taken"),
    "loop": ("loop/x", "refused"),
    "below_a_file": ("file/x", "refused"),
    "too_long": ("n" * 300, "refused"),
    "too_deep": ("d/" * 3000 + "x", "refused"),
    "not_there": ("no/such/x", None),
}


@pytest.fixture
def here(tmp_path, monkeypatch, ganlet):
    """An empty folder with what the spellings need, and a home in it."""
    for name in ("home", "d", "~old", NFC, "target"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "\udcff").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("text")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(evaluating, "redraw", lambda *_, **__: None)
    monkeypatch.setattr(training, "redraw", lambda *_: None)
    return tmp_path


def place(spelling: str, suffix: str = "") -> Path:
    """Where a spelling leads when it is taken."""
    text = spelling.rstrip("/") + suffix
    return Path(os.path.normpath(os.path.expanduser(text) if text.startswith("~/") else text.replace(NFD, NFC)))


# Each place takes the text of a path and returns the arguments, and what is there afterwards where it was taken.


def _out(run, text):
    return ["train", "--config", run / "config.yaml", f"--out={text}", "--device", "cpu"], "", True


def _sample_folder(run, text):
    return ["sample", run, "--num", "2", f"--out={text}"], "", False


def _sample_grid(run, text):
    return ["sample", run, "--num", "2", f"--out={text.rstrip('/')}.PNG"], ".PNG", False


def _plot(run, text):
    return ["diagnose", run, f"--plot={text.rstrip('/')}.Png"], None, False


def _compare_plot(run, text):
    return ["compare", run, f"--plot={text.rstrip('/')}.png"], None, False


def _read(*arguments):
    def read(run, text):
        filled = [text if argument == "PATH" else run if argument == "RUN" else argument for argument in arguments]
        return filled, None, False

    return read


DRY = ("--dry-run", "--set", "data.size=16", "--device", "cpu")
PLACES = {
    "train_out": _out,
    "sample_folder": _sample_folder,
    "sample_grid": _sample_grid,
    "diagnose_plot": _plot,
    "compare_plot": _compare_plot,
    "train_source": _read("train", *DRY, "--", "PATH"),
    "train_set_source": _read("resume", "RUN", "--set", "data.source=PATH"),
    "train_config": _read("train", "--dry-run", "--config", "PATH"),
    "init_from": _read("train", "smileys", *DRY, "--init-from", "PATH"),
    "sample_run": _read("sample", "--", "PATH"),
    "resume": _read("resume", "--", "PATH"),
    "diagnose": _read("diagnose", "--", "PATH"),
    "evaluate": _read("evaluate", "--", "PATH"),
    "evaluate_source": _read("evaluate", "RUN", "--source", "PATH"),
    "evaluate_extractor": _read("evaluate", "RUN", "--extractor", "pixels=PATH"),
    "compare": _read("compare", "RUN", "--", "PATH"),
    "inspect": _read("inspect", "--", "PATH"),
    "inspect_out": _read("inspect", "d", "--out", "PATH"),
    "inspect_config": _read("inspect", "d", "--write-config", "PATH"),
}

EVERYWHERE = [(name, spelling) for name in PLACES for spelling in SPELLINGS]
FEW = [
    *((name, "home_of_nobody") for name in PLACES if name != "init_from"),
    *(("sample_folder", spelling) for spelling in SPELLINGS),
]


def check(ganlet, here, trained, name, spelling):
    text, taken = SPELLINGS[spelling]
    run = here / "trained run"
    shutil.copytree(trained, run)
    arguments, written, is_run = PLACES[name](run, text)
    outcome = ganlet(*(str(argument).replace("PATH", text) for argument in arguments))
    assert outcome.exit_code in CODES, outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert not (here / "~").exists(), "a folder that rm -r ~ would be told to remove"
    if outcome.exit_code:
        assert outcome.stderr.strip()
        assert "\x1b" not in outcome.stderr
        assert "\n  " in outcome.stderr, "an error says more than that there is one"
    if taken == "refused":
        assert outcome.exit_code == 2, outcome.stderr
    if taken == "taken" and written is not None:
        assert outcome.exit_code in (0, None), outcome.stderr
        made = place(text, written)
        assert made.is_dir() if not written else made.is_file()
        assert not is_run or (made / "generator.safetensors").is_file()


@pytest.mark.parametrize(("name", "spelling"), FEW, ids=map("-".join, FEW))
def test_a_path_is_taken_or_told_about(ganlet, here, trained, name, spelling):
    check(ganlet, here, trained, name, spelling)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "spelling"), EVERYWHERE, ids=map("-".join, EVERYWHERE))
def test_every_path_at_every_place_is_taken_or_told_about(ganlet, here, trained, name, spelling):
    check(ganlet, here, trained, name, spelling)


# What a path leads to


@pytest.mark.parametrize("name", ["~/run", "./trained", NFD, "link/trained", "my 'run'"])
@pytest.mark.parametrize("command", ["sample", "diagnose"])
def test_a_run_is_found_by_every_spelling(ganlet, here, trained, name, command):
    shutil.copytree(trained, here / "run")
    where = place(name)
    if where.name == NFC:
        where.rmdir()
    shutil.copytree(trained, where)
    assert ganlet(command, name).exit_code in (0, None)


def test_a_used_folder_takes_no_more_pictures(ganlet, here, trained):
    assert ganlet("sample", str(trained), "--num", "3", "--out", "s").exit_code in (0, None)
    (here / "s" / "notes.txt").touch()
    before = {path.name: path.read_bytes() for path in (here / "s").iterdir()}
    outcome = ganlet("sample", str(trained), "--num", "2", "--seed", "1", "--out", "s")
    assert outcome.exit_code == 2
    assert "3 in s" in outcome.stderr
    assert {path.name: path.read_bytes() for path in (here / "s").iterdir()} == before


@pytest.mark.parametrize("name", ["a.jpg", "a.TIFF", "a.svg", "a.npy", "a.zip", "a.avif"])
def test_a_suffix_means_its_format_or_is_refused(ganlet, here, trained, name):
    outcome = ganlet("sample", str(trained), "--num", "2", "--out", name)
    assert outcome.exit_code == 2
    assert "PNG only" in outcome.stderr
    assert not (here / name).exists()
    assert ganlet("diagnose", str(trained), "--plot", name).exit_code == 2
    assert ganlet("inspect", "d", "--out", name).exit_code == 2
    assert ganlet("inspect", "d", "--write-config", name).exit_code == 2


@pytest.mark.slow
def test_names_that_are_no_text_are_refused_where_they_are_to_be_written_down(ganlet, here, trained, monkeypatch):
    """And serve everywhere else."""
    odd, config = "\udcff", str(trained / "config.yaml")
    (here / odd).rmdir()
    shutil.copytree(library.open_run(trained).config.data.source, here / odd / "pictures")
    shutil.copytree(trained, here / odd / "run")
    for arguments in (
        ["train", f"{odd}/pictures", "--config", config, "--out", "new"],
        ["train", "--config", config, "--out", f"{odd}/new"],
        ["train", "--config", config, "--init-from", f"{odd}/run", "--out", "new"],
        ["resume", f"{odd}/run"],
        ["resume", str(trained), "--set", f"data.source={odd}/pictures"],
    ):
        outcome = ganlet(*arguments)
        assert outcome.exit_code == 2, arguments
        assert re.search("bytes that are no text|is not text in UTF-8", outcome.stderr), arguments
    assert not (here / "new").exists()
    monkeypatch.undo()
    monkeypatch.chdir(here)
    for arguments in (
        ["sample", f"{odd}/run", "--num", "2"],
        ["sample", f"{odd}/run", "--num", "2", "--out", f"{odd}/s"],
        ["diagnose", f"{odd}/run"],
        ["evaluate", f"{odd}/run", "--num", "40", "--extractor", "pixels", "--metrics", "kernel"],
        ["compare", f"{odd}/run"],
        ["inspect", f"{odd}/pictures", "--out", "page.html"],
        ["cache"],
    ):
        assert ganlet(*arguments).exit_code in (0, None), arguments
    assert (here / odd / "run" / "report.html").is_file()


def test_commands_that_are_printed_can_be_typed(ganlet, here, trained):
    import shlex

    run = here / "my 'run'"
    config = str(trained / "config.yaml")
    outcome = ganlet("train", "--config", config, "--out", str(run), "--device", "cpu")
    assert f"ganlet sample {shlex.quote(str(run))}" in outcome.stderr
    outcome = ganlet("resume", str(run), "--set", "train.total_images=48", "--set", "data.source=d/gone")
    assert f"ganlet resume {shlex.quote(str(run))} --set data.source=PATH" in outcome.stderr
    again = ganlet("train", "--config", config, "--out", str(run))
    assert f"ganlet resume {shlex.quote(str(run))}" in again.stderr


def test_a_folder_with_a_generator_alone_stands_for_it(ganlet, here, trained):
    (here / "other it").mkdir()
    shutil.copy(trained / "generator.safetensors", here / "other it")
    outcome = ganlet("evaluate", "other it")
    assert outcome.exit_code == 2
    assert "ganlet sample 'other it/generator.safetensors'" in outcome.stderr
    for run in ("other it", "other it/generator.safetensors"):
        assert ganlet("sample", run, "--num", "2").exit_code in (0, None)
        (here / "other it" / "sample-0.png").unlink()


def test_names_that_were_left_open_are_each_runs_own(ganlet, here, trained):
    config = str(trained / "config.yaml")
    (here / "runs").mkdir()
    (here / "runs" / "run").symlink_to("nowhere")  # a name that is taken, although nothing is there
    for number in (2, 3):
        outcome = ganlet("train", "--config", config, "--device", "cpu")
        assert outcome.stdout == f"runs/run-{number}/report.html\n"
