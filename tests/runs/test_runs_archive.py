"""The zip of a run: equal, whole, and read as what a stranger may have made."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ganlet.config import dump_yaml
from ganlet.data import cache_contents
from ganlet.data.cache import cache_folder
from ganlet.data.cache_contents import contents, remove
from ganlet.errors import ResourceProblem, RunError
from ganlet.runs import archive, archive_reading
from ganlet.runs.archive import CONTENTS, zip_run
from ganlet.runs.archive_reading import opened_run, unzip_run
from ganlet.runs.files import write_atomic
from ganlet.runs.folder import RunFolder
from ganlet.runs.manifest import META, describe, to_json

RUN_ID = "0123abcd"


@pytest.fixture
def run(tmp_path, tiny_config) -> RunFolder:
    """A run as far as an archive looks at it: no networks in its members."""
    config = tiny_config({"data.source": "/home/jane/secret place/cats"})
    folder = RunFolder.create(tmp_path / "made", dump_yaml(config))
    session = {"platform": "Linux-jane-kernel", "torch": "2"}
    data = {"source": "/home/jane/secret place/cats", "fingerprint": "abc"}
    environment = {"run_id": RUN_ID, "data": data, "sessions": [session]}
    folder.environment_path.write_text(json.dumps(environment))
    rows = [{"images_seen": 1, "loss": 2.0}, {"images_seen": 2, "event": "failure", "reason": f"gone: {folder.path}/x"}]
    folder.metrics_path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"images_seen": 3, "lo')
    folder.generator_path.write_bytes(b"weights" * 1000)
    folder.log_path.write_text("Traceback of /home/jane")
    (folder.samples_path / "000000064.png").write_bytes(b"picture")
    for moment in (64, 128, 192):
        files = {
            "generator.safetensors": bytes([moment]) * 100,
            META: to_json({"config": config.model_dump(mode="json")}),
        }
        path = folder.checkpoints_path / f"{moment:09}"
        path.mkdir()
        for name, data in {**files, "manifest.json": describe(moment, RUN_ID, files)}.items():
            (path / name).write_bytes(data)
    (folder.checkpoints_path / "latest").write_text("000000192\n")
    (folder.checkpoints_path / "best").write_text("000000064\n")
    return folder


@pytest.fixture
def zipped(run, tmp_path) -> Path:
    return zip_run(run, tmp_path / "run.zip", "latest", bytes).path


def moments(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "checkpoints").glob("0*"))


@pytest.mark.parametrize(("checkpoints", "expected"), [("none", []), ("latest", [64, 192]), ("all", [64, 128, 192])])
def test_there_and_back(run, tmp_path, checkpoints, expected):
    written = zip_run(run, tmp_path / "run.zip", checkpoints, bytes)
    assert written.checkpoints == expected
    assert written.left_out == ["log.txt"]
    unzip_run(written.path, tmp_path / "back")
    back = RunFolder.open(tmp_path / "back")
    assert moments(back.path) == [f"{moment:09}" for moment in expected]
    assert back.generator_path.read_bytes() == run.generator_path.read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert archive.run_id_of(back) == RUN_ID
    if expected:
        assert (back.checkpoints_path / "latest").read_text() == "000000192\n"


def test_nothing_in_it_tells_where_it_was_made(zipped):
    with zipfile.ZipFile(zipped) as opened:
        content = b"\n".join(opened.read(name) for name in opened.namelist())
        rows = opened.read("metrics.jsonl").decode().splitlines()
    for told in ("jane", "secret place", "Linux-", str(zipped.parent)):
        assert told.encode() not in content
    assert [json.loads(row)["images_seen"] for row in rows] == [1, 2]
    assert json.loads(rows[1])["reason"] == "gone: x"
    assert b"source: cats" in content


def test_a_file_that_tells_where_it_was_made_is_left_out_and_named(run, tmp_path):
    run.report_path.write_text(f"<p>{run.path}</p>")
    written = zip_run(run, tmp_path / "run.zip", "none", bytes)
    assert written.left_out == ["log.txt", "report.html (it tells where it was made)"]


def test_a_generator_that_tells_where_it_was_made_is_written_anew(run, tmp_path):
    run.generator_path.write_bytes(b"/home/jane/secret place/cats")
    zip_run(run, tmp_path / "run.zip", "none", lambda: b"anew")
    with zipfile.ZipFile(tmp_path / "run.zip") as opened:
        assert opened.read("generator.safetensors") == b"anew"


def test_equal_runs_are_equal_files(run, zipped, tmp_path):
    for path in run.path.rglob("*"):
        os.utime(path, (10**9, 10**9))
    moved = RunFolder(Path(shutil.copytree(run.path, tmp_path / "elsewhere" / "made")))
    again = zip_run(moved, tmp_path / "again.zip", "latest", bytes).path
    assert again.read_bytes() == zipped.read_bytes()


def test_a_damaged_checkpoint_is_passed_over(run, tmp_path):
    (run.checkpoints_path / "000000192" / "generator.safetensors").write_bytes(b"x")
    written = zip_run(run, tmp_path / "run.zip", "latest", bytes)
    assert written.checkpoints == [64, 128]
    assert "000000192/generator.safetensors has 1 bytes" in written.left_out[0]


def test_a_run_in_which_nothing_was_saved(run, tmp_path):
    run.generator_path.unlink()
    shutil.rmtree(run.checkpoints_path)
    with pytest.raises(RunError, match="nothing to hand on"):
        zip_run(run, tmp_path / "run.zip", "all", bytes)
    assert not (tmp_path / "run.zip").exists()


def rewritten(zipped: Path, change) -> Path:
    """The zip with its members as `change` leaves them: a dict of name -> bytes, or a list of pairs."""
    with zipfile.ZipFile(zipped) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    members = change(members) or members
    target = zipped.with_name("changed.zip")
    with zipfile.ZipFile(target, "w") as written, pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *_, **__: None)  # of names that are there twice
        for info, data in members.items() if isinstance(members, dict) else members:
            written.writestr(info, data)
    return target


def named(name: str, data: bytes = b"x"):
    return lambda members: [*members.items(), (zipfile.ZipInfo(name), data)]


def symlink(members):
    info = zipfile.ZipInfo("samples/000000000.png")
    info.external_attr = 0o120777 << 16
    return [*members.items(), (info, b"/etc/passwd")]


def changed(name: str, edit):
    return lambda members: members.update({name: edit(members[name])})


def listed(edit):
    """A change of the list of contents."""

    def change(members):
        tree = json.loads(members[CONTENTS])
        edit(tree)
        members[CONTENTS] = json.dumps(tree).encode()

    return change


def without_config(members):
    del members["config.yaml"]
    listed(lambda tree: tree["members"].pop("config.yaml"))(members)


ATTACKS = {
    "above": (named("../evil.png"), "leads out"),
    "above within": (named("samples/../../evil.png"), "leads out"),
    "absolute": (named("/etc/passwd"), "leads out"),
    "drive": (named("C:/evil.png"), "leads out"),
    "backslash": (named("samples\\..\\evil.png"), "leads out"),
    "link": (symlink, "is a link"),
    "folder": (named("samples/"), "nothing that a run has"),
    "program": (named("samples/evil.py"), "nothing that a run has"),
    "pickle": (named("checkpoints/000000192/optimizer.pt"), "nothing that a run has"),
    "not listed": (named("samples/000000000.png"), "not listed"),
    "twice": (named("config.yaml"), "there twice"),
    "case": (named("samples/A.png"), "not listed"),
    "case twice": (lambda members: [*members.items(), ("samples/A.png", b""), ("samples/a.png", b"")], "case or"),
    "missing": (lambda members: [(k, v) for k, v in members.items() if k != "metrics.jsonl"], "is missing"),
    "no config": (without_config, "is missing"),
    "other size": (changed("metrics.jsonl", lambda data: data + b"\n"), "was changed"),
    "other content": (changed("generator.safetensors", lambda data: b"W" + data[1:]), "match its hash"),
    "newer": (listed(lambda tree: tree.update(schema=2, ganlet="9.9")), "A newer ganlet"),
    "no list": (lambda members: [(k, v) for k, v in members.items() if k != CONTENTS], "no list of contents"),
    "list of nonsense": (changed(CONTENTS, lambda _: b'{"schema": 1, "members": [1]}'), "list of contents is damaged"),
    "deep list": (changed(CONTENTS, lambda _: b"[" * 10_000), "list of contents is damaged"),
    "negative size": (listed(lambda t: t["members"]["config.yaml"].update(size=-1)), "list of contents is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_was_changed_is_refused_by_name_and_leaves_nothing(zipped, tmp_path, attack):
    change, words = ATTACKS[attack]
    file = rewritten(zipped, change)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(RunError, match=words):
        unzip_run(file, tmp_path / "back")
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_newer_config_is_refused(zipped, tmp_path):
    def newer(members):
        members["config.yaml"] = data = members["config.yaml"].replace(b"schema_version: 1", b"schema_version: 2")
        digest = archive.hashlib.sha256(data).hexdigest()
        listed(lambda tree: tree["members"].update({"config.yaml": {"size": len(data), "sha256": digest}}))(members)

    with pytest.raises(RunError, match="newer ganlet trained"):
        unzip_run(rewritten(zipped, newer), tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_refused(zipped, tmp_path, share):
    data = zipped.read_bytes()
    zipped.write_bytes(data[: int(share * len(data))])
    with pytest.raises(RunError, match="damaged or cut short"):
        unzip_run(zipped, tmp_path / "back")
    with pytest.raises(RunError, match="damaged or cut short"):
        RunFolder.open(zipped)


def test_every_flipped_byte_is_seen_or_means_nothing(zipped, tmp_path, run):
    """What is unpacked is what was packed, or nothing is."""
    unzip_run(zipped, tmp_path / "sound")
    sound = {path.relative_to(tmp_path / "sound"): path.read_bytes() for path in (tmp_path / "sound").rglob("*.*")
             if path.is_file()}  # fmt: skip
    data, refused = zipped.read_bytes(), 0
    for place in range(5, len(data), len(data) // 16):
        flipped = bytearray(data)
        flipped[place] ^= 0x41
        (tmp_path / "flipped.zip").write_bytes(flipped)
        try:
            unzip_run(tmp_path / "flipped.zip", tmp_path / "back")
        except RunError:
            refused += 1
            continue
        assert all((tmp_path / "back" / name).read_bytes() == content for name, content in sound.items())
        shutil.rmtree(tmp_path / "back")
    assert refused > 5


def test_an_encrypted_member_is_refused(zipped, tmp_path):
    data = bytearray(zipped.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 8] |= 1
    zipped.write_bytes(data)
    with pytest.raises(RunError, match="encrypted"):
        unzip_run(zipped, tmp_path / "back")


def test_a_bomb_is_refused_before_it_is_unpacked(zipped, tmp_path, monkeypatch):
    monkeypatch.setattr(archive_reading, "ALWAYS_ALLOWED", 2**20)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("report.html", bytes(2**24))
    (tmp_path / "bomb.zip").write_bytes(buffer.getvalue())
    with pytest.raises(RunError, match="unpacks to far more"):
        unzip_run(tmp_path / "bomb.zip", tmp_path / "back")


def test_a_member_that_says_to_be_smaller_than_it_is(zipped, tmp_path):
    """The size that is declared is the most that is ever written."""
    buffer = io.BytesIO()
    members = {"config.yaml": bytes(2**16)}
    tree = {"schema": 1, "members": {"config.yaml": {"size": 10, "sha256": "0"}}}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as written:
        for name, data in {**members, CONTENTS: json.dumps(tree).encode()}.items():
            written.writestr(name, data)
    data = bytearray(buffer.getvalue())
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = struct.pack("<I", 10)
    (tmp_path / "liar.zip").write_bytes(data)
    with pytest.raises(RunError, match=r"damaged|match its hash"):
        unzip_run(tmp_path / "liar.zip", tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_is_there_already_is_never_touched(zipped, tmp_path, make):
    make(tmp_path / "back")
    with pytest.raises(RunError, match="something of this name"):
        unzip_run(zipped, tmp_path / "back")


def test_a_full_disk_leaves_nothing_half_written(run, tmp_path, file_size_limit):
    with file_size_limit(4_000), pytest.raises(ResourceProblem):
        zip_run(run, tmp_path / "run.zip", "all", bytes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made"]
    zip_run(run, tmp_path / "run.zip", "all", bytes)
    with file_size_limit(4_000), pytest.raises(ResourceProblem):
        unzip_run(tmp_path / "run.zip", tmp_path / "back")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "run.zip"]


def test_an_earlier_zip_stays_where_the_new_one_finds_no_room(run, zipped, file_size_limit):
    before = zipped.read_bytes()
    with file_size_limit(4_000), pytest.raises(ResourceProblem):
        zip_run(run, zipped, "all", bytes)
    assert zipped.read_bytes() == before


def test_a_run_is_opened_once_by_the_hash_of_its_file(zipped, tmp_path, monkeypatch):
    monkeypatch.setenv("GANLET_CACHE", str(tmp_path / "cache"))
    first = RunFolder.open(zipped)
    assert (first.path.name, first.sealed) == ("made", zipped)
    monkeypatch.setattr(archive_reading, "unzip_run", None)
    copy = Path(shutil.copy(zipped, tmp_path / "copy.zip"))
    assert opened_run(copy) == first.path
    with pytest.raises(RunError, match=r"only read.*\n.*copy\.zip"):
        RunFolder(first.path).require_unsealed()
    (kept,) = contents()
    assert (kept.kind, kept.sources, kept.gone) == ("run", [str(zipped), str(copy)], False)
    assert kept.size > 7_000


def test_the_cache_is_cleaned_of_runs_that_nobody_uses(zipped, tmp_path, monkeypatch):
    monkeypatch.setenv("GANLET_CACHE", str(tmp_path / "cache"))
    path = opened_run(zipped)
    removed, used = remove(contents())
    assert (removed, len(used)) == ([], 1)  # this process uses it
    os.close(cache_contents._IN_USE.pop(path.parent))
    assert len(remove(contents())[0]) == 1
    assert not list((cache_folder() / "runs").iterdir())
    assert opened_run(zipped).is_dir()


@pytest.mark.parametrize(
    ("name", "expected"), [("../evil", "run"), ("a/b", "run"), ("", "run"), ("faces 2", "faces 2")]
)
def test_the_name_in_a_zip_is_a_name_or_nothing(zipped, tmp_path, monkeypatch, name, expected):
    monkeypatch.setenv("GANLET_CACHE", str(tmp_path / "cache"))
    assert opened_run(rewritten(zipped, listed(lambda tree: tree.update(run=name)))).name == expected


def test_a_folder_of_pictures_in_a_zip_is_told_from_a_run(tmp_path):
    with zipfile.ZipFile(tmp_path / "cats.zip", "w") as written:
        written.writestr("report.html", b"x")
    with pytest.raises(RunError, match="no list of contents"):
        RunFolder.open(tmp_path / "cats.zip")


def test_other_files_are_no_runs(tmp_path):
    write_atomic(tmp_path / "file.txt", b"text")
    with pytest.raises(RunError, match="a folder or a zip"):
        RunFolder.open(tmp_path / "file.txt")


@pytest.fixture
def cached(zipped, tmp_path, monkeypatch) -> Path:
    """The run of a zip in the cache, where nobody uses it any more."""
    monkeypatch.setenv("GANLET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache_contents, "_IN_USE", {})
    run = opened_run(zipped)
    for descriptor in cache_contents._IN_USE.values():
        os.close(descriptor)
    cache_contents._IN_USE.clear()
    return run


def test_a_removal_that_was_killed_leaves_no_part_of_a_run(cached, zipped, monkeypatch):
    known = Path.unlink

    def killed(path, **settings):
        if path.name == "environment.json":  # some have gone by then
            raise KeyboardInterrupt
        known(path, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            remove(contents())
    assert not cached.parent.exists()
    assert opened_run(zipped) == cached
    assert RunFolder.open(zipped).config_path.is_file()


@pytest.mark.parametrize("left", [[], ["made"], ["made", "other"]])
def test_a_hollow_run_in_the_cache_is_opened_anew(cached, zipped, left):
    shutil.rmtree(cached.parent)
    for name in left:
        (cached.parent / name / "samples").mkdir(parents=True)
    assert opened_run(zipped) == cached
    assert RunFolder.open(zipped).config_path.is_file()
    assert sorted(path.name for path in cached.parent.iterdir()) == ["made"]


def test_what_is_unpacked_is_the_file_that_was_hashed(run, zipped, tmp_path, monkeypatch):
    monkeypatch.setenv("GANLET_CACHE", str(tmp_path / "cache"))
    (run.samples_path / "000000128.png").write_bytes(b"of another run")
    other = zip_run(run, tmp_path / "other.zip", "latest", bytes).path
    known = archive_reading._contents

    def replaced(*given):
        if other.exists():
            os.replace(other, zipped)
        return known(*given)

    monkeypatch.setattr(archive_reading, "_contents", replaced)
    opened = opened_run(zipped)
    assert not other.exists()
    assert sorted(path.name for path in (opened / "samples").iterdir()) == ["000000064.png"]


def test_a_run_that_is_being_opened_is_not_removed(cached, zipped, monkeypatch):
    known, outcomes = archive_reading.note_run, []

    def note(*given):
        with ThreadPoolExecutor() as pool:  # as another process would, between the opening and the lock on the run
            outcomes.append(pool.submit(lambda: remove(contents())).result())
        known(*given)

    monkeypatch.setattr(archive_reading, "note_run", note)
    assert (opened_run(zipped) / "config.yaml").is_file()
    ((removed, used),) = outcomes
    assert (removed, len(used)) == ([], 1)


def test_a_pipe_is_no_run_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "run.zip")
    with pytest.raises(RunError, match="no file"):
        unzip_run(tmp_path / "run.zip", tmp_path / "back")
    assert not archive.is_archive(tmp_path / "run.zip")


def test_what_a_killed_process_left_is_swept_at_the_next_call(run, tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    dead, alive = process.pid, os.getppid()
    for pid, name in ((dead, "back"), (alive, "back"), (dead, "run.zip"), (dead, "other")):
        (tmp_path / f".tmp-{pid}-{name}" / "samples").mkdir(parents=True)
    (tmp_path / ".tmp-mine-back").touch()
    zip_run(run, tmp_path / "run.zip", "none", bytes)
    unzip_run(tmp_path / "run.zip", tmp_path / "back")
    left = sorted(path.name for path in tmp_path.glob(".tmp-*"))
    assert left == sorted([f".tmp-{alive}-back", f".tmp-{dead}-other", ".tmp-mine-back"])


def test_a_list_of_contents_far_longer_than_its_members_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(json, "loads", lambda _: pytest.fail("it was read"))
    with zipfile.ZipFile(tmp_path / "list.zip", "w", zipfile.ZIP_DEFLATED) as written:
        written.writestr(CONTENTS, b'{"schema":1,"members":[' + b"[]," * 11_000_000 + b"0]}")
    with pytest.raises(RunError, match="list of contents is too long"):
        unzip_run(tmp_path / "list.zip", tmp_path / "back")


def test_a_list_of_contents_of_long_names_is_read(run, tmp_path):
    points = run.path / "lab" / "points"
    points.mkdir(parents=True)
    for number in range(50):
        (points / ("\U0001f600" * 50 + f"{number}.json")).write_text("{}")
    zip_run(run, tmp_path / "run.zip", "all", bytes)
    unzip_run(tmp_path / "run.zip", tmp_path / "back")
    assert len(list((tmp_path / "back" / "lab" / "points").iterdir())) == 50


def replaced(name: str, data: bytes):
    """A change of one member that the list of contents goes along with."""

    def change(members):
        members[name] = data
        entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        listed(lambda tree: tree["members"].update({name: entry}))(members)

    return change


DAMAGED = {
    "deep": ("environment.json", b"[" * 200_000),
    "too deep to go through": ("environment.json", b'{"data": {"a": ' + b"[" * 400 + b"]" * 400 + b"}}"),
    "no keys": ("environment.json", b"[]"),
    "odd parts": ("environment.json", b'{"given": 5}'),
    "best": ("checkpoints/best", b"9" * 6000),
    "latest": ("checkpoints/latest", b"best\n"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_zip_is_refused_where_what_every_command_reads_is_damaged(zipped, tmp_path, kind):
    name, data = DAMAGED[kind]
    with pytest.raises(RunError, match="A member is damaged") as caught:
        unzip_run(rewritten(zipped, replaced(name, data)), tmp_path / "back")
    assert name in str(caught.value)
    assert not (tmp_path / "back").exists()


def test_a_zip_with_a_long_environment_is_refused(zipped, tmp_path, monkeypatch):
    monkeypatch.setattr(archive_reading, "MAX_ENVIRONMENT", 10)
    with pytest.raises(RunError, match="too long"):
        unzip_run(zipped, tmp_path / "back")


def test_damaged_files_of_a_run_are_left_out_of_its_zip(run, tmp_path):
    for name in ("environment.json", "lab/points/deep.json"):
        (run.path / name).parent.mkdir(parents=True, exist_ok=True)
        (run.path / name).write_text("[" * 200_000)
    (run.checkpoints_path / "best").write_text("9" * 6000)
    (run.checkpoints_path / "\u00b2").mkdir()
    written = zip_run(run, tmp_path / "run.zip", "latest", bytes)
    assert {"environment.json (it is damaged)", "lab/points/deep.json (it is damaged)"} < set(written.left_out)
    assert written.checkpoints == [192]
