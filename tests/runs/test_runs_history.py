from __future__ import annotations

import json
import logging
import math
import sys
import threading

import numpy as np
import pytest

from ganlet.errors import EnvironmentProblem, ResourceProblem
from ganlet.runs.history import History, TensorBoardMirror, read_history


def moments(path) -> list[int]:
    return [row["images_seen"] for row in read_history(path)]


def test_rows_come_back_in_order(tmp_path):
    path = tmp_path / "metrics.jsonl"
    rows = [{"images_seen": 64, "loss": {"real": 0.5}, "note": "ü"}, {"images_seen": 128, "scores": [1.0, 2.0]}]
    with History(path) as history:
        history.append(rows[0])
        history.append(rows[1])
        history.sync()
        assert read_history(path) == rows
    assert read_history(tmp_path / "missing") == []


def test_numbers_that_are_not_finite_become_null(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with History(path) as history:
        history.append({"images_seen": 1, "a": math.nan, "b": [math.inf, 1.0], "c": {"d": -math.inf}})
    assert "NaN" not in path.read_text()
    assert read_history(path) == [{"images_seen": 1, "a": None, "b": [None, 1.0], "c": {"d": None}}]


def test_a_seam_supersedes_later_rows_and_deletes_nothing(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with History(path) as history:
        history.append(*({"images_seen": n, "session": 1} for n in (10, 20, 30, 40)))
    with History(path) as history:
        history.mark_resume(20, exact=False, reason="torch 2.11 -> 2.13")
        history.append(*({"images_seen": n, "session": 2} for n in (30, 40, 50)))
    with History(path) as history:
        history.mark_resume(30)
        history.append({"images_seen": 40, "session": 3})
    assert moments(path) == [10, 20, 20, 30, 30, 40]
    rows = read_history(path)
    assert [row.get("session", row.get("event")) for row in rows] == [1, 1, "resume", 2, "resume", 3]
    assert rows[2]["reason"] == "torch 2.11 -> 2.13"
    assert len(path.read_text().splitlines()) == 10


def test_a_rollback_is_a_seam_that_stays(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with History(path) as history:
        history.append(*({"images_seen": n, "course": 1} for n in (10, 20, 30)))
        history.mark_rollback(10, undone_from=35, number=1, reason="not finite")
        history.append(*({"images_seen": n, "course": 2} for n in (20, 30)))
        history.mark_resume(20)
    rows = read_history(path)
    assert [(row["images_seen"], row.get("course", row.get("event"))) for row in rows] == [
        (10, 1),
        (10, "rollback"),
        (20, 2),
        (20, "resume"),
    ]
    assert rows[1] == {
        "event": "rollback",
        "images_seen": 10,
        "from": 35,
        "to": 10,
        "rollbacks": 1,
        "reason": "not finite",
    }


def test_why_a_run_ended_is_no_seam(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with History(path) as history:
        history.append({"images_seen": 30})
        history.mark_stop(20, "enough")
        history.mark_failure(25, "not finite")
    assert moments(path) == [30, 20, 25]
    assert [row.get("event") for row in read_history(path)] == [None, "stop", "failure"]


def test_a_resume_from_the_start_supersedes_everything(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with History(path) as history:
        history.append({"images_seen": 10})
        history.mark_resume(0)
        history.append({"images_seen": 10})
    assert moments(path) == [0, 10]


def test_a_line_torn_anywhere_costs_only_itself(tmp_path, caplog):
    path = tmp_path / "metrics.jsonl"
    first = b'{"images_seen": 10, "loss": 1.5}\n'
    last = '{"images_seen": 20, "name": "ü"}'.encode()
    for length in range(len(last)):
        path.write_bytes(first + last[:length])
        assert moments(path) == [10]
        with History(path) as history:
            history.mark_resume(10)
            history.append({"images_seen": 20})
        assert moments(path) == [10, 10, 20]
        assert path.read_bytes().startswith(first + last[:length])
    assert not caplog.records


def test_a_garbled_line_elsewhere_is_left_out_with_a_warning(tmp_path, caplog):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"images_seen": 1}\n{"images_\xff\n[3]\n{"loss": 4}\n{"images_seen": 5}\n')
    assert moments(path) == [1, 5]
    assert "3 garbled lines, the first is line 2" in caplog.text


def test_an_append_that_finds_no_room_writes_none_of_its_rows(tmp_path, file_size_limit):
    path = tmp_path / "metrics.jsonl"
    with History(path) as history:
        history.append({"images_seen": 1})
        before = path.read_bytes()
        with file_size_limit(1000), pytest.raises(ResourceProblem):
            history.append({"images_seen": 2}, {"images_seen": 3, "text": "x" * 2000})
        assert path.read_bytes() == before
        history.append({"images_seen": 4})
    assert moments(path) == [1, 4]


def test_a_folder_that_has_gone_is_an_environment_problem(tmp_path):
    with pytest.raises(EnvironmentProblem):
        History(tmp_path / "gone" / "metrics.jsonl")


def mirrored(folder):
    """The scalars that TensorBoard shows, as tag -> [(step, value)], and its picture tags."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    tags = events.Tags()
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags["scalars"]}, tags[
        "images"
    ]


def test_tensorboard_shows_the_numbers_and_pictures(tmp_path):
    mirror = TensorBoardMirror(tmp_path)
    mirror.scalars({"images_seen": 64, "loss": 0.5, "count": 3, "none": None, "event": "x", "nested": {"a": 1}})
    for channels in (1, 3, 4):
        mirror.picture(f"samples/{channels}", np.zeros((4, 6, channels), np.uint8), 64)
    mirror.close()
    mirror.scalars({"images_seen": 128, "loss": 0.25})
    mirror.close()
    assert len(list(tmp_path.iterdir())) == 1
    scalars, pictures = mirrored(tmp_path)
    assert scalars == {"loss": [(64, 0.5)], "count": [(64, 3.0)]}
    assert sorted(pictures) == ["samples/1", "samples/3", "samples/4"]


def test_tensorboard_hides_what_a_resume_superseded(tmp_path):
    first = TensorBoardMirror(tmp_path)
    for n in (10, 20, 30):
        first.scalars({"images_seen": n, "loss": 1.0})
    first.close()
    second = TensorBoardMirror(tmp_path, purge_from=21)
    second.scalars({"images_seen": 25, "loss": 2.0})
    second.close()
    assert mirrored(tmp_path)[0] == {"loss": [(10, 1.0), (20, 1.0), (25, 2.0)]}


def test_without_tensorboard_there_is_one_warning_and_no_error(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    mirror = TensorBoardMirror(tmp_path)
    mirror.scalars({"images_seen": 64, "loss": 0.5})
    mirror.picture("samples", np.zeros((4, 6, 3), np.uint8), 64)
    mirror.close()
    for thread in threading.enumerate():
        if type(thread).__name__ == "_AsyncWriterThread":
            thread.join(20)  # else its last words would disturb whichever test runs then
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "pip install tensorboard" in caplog.text
    assert list(tmp_path.iterdir()) == []


# The thread in which TensorBoard writes dies of it; the mirror learns of that at its next row.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_full_disk_stops_only_the_mirror(small_disk, caplog):
    mirror = TensorBoardMirror(small_disk)
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    for n in range(20):
        mirror.picture("samples", noise, n)
        mirror.scalars({"images_seen": n, "loss": 0.5})
    mirror.close()
    for thread in threading.enumerate():
        if type(thread).__name__ == "_AsyncWriterThread":
            thread.join(20)  # else its last words would disturb whichever test runs then
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "metrics.jsonl goes on" in caplog.text


def test_metrics_are_strict_json(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with History(path) as history:
        history.append({"images_seen": 1, "loss": 1e-30, "x": math.nan})

    def refuse(text):
        raise AssertionError(text)

    assert json.loads(path.read_text(), parse_constant=refuse)["loss"] == 1e-30
