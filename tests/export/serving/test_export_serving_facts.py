"""What the server tells of itself: models, health, metrics, OpenAPI, the page."""

from __future__ import annotations

import re
import shutil
import threading
import time

import pytest

from ganlet.errors import ConfigError
from ganlet.export.serving import page
from ganlet.export.serving.limits import Limits
from ganlet.export.serving.meters import Meters
from ganlet.export.serving.models import directions_left_out, named_runs, open_models


def test_models_are_told_with_what_they_can_be_asked_for(client, models):
    plain, styled = client.get("/models").json()
    assert (plain["name"], plain["height"], plain["width"], plain["channels"]) == ("plain", 16, 16, 3)
    assert (plain["space"], plain["labels"], plain["directions"]) == ("latents", [], [])
    assert styled["space"] == "styles"
    assert styled["labels"] == models["styled"].label_names
    assert [one["name"] for one in styled["directions"]] == list(models["styled"].directions)


def test_health_turns_when_the_server_stops(behind):
    stopping = False
    with behind(stopping=lambda: stopping) as client:
        assert client.get("/health").json() == {"status": "ok"}
        stopping = True
        answer = client.get("/health")
        assert (answer.status_code, answer.headers["connection"]) == (503, "close")
        assert client.get("/generate").status_code == 200


LINE = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\.)*",?)*\})? [0-9.]+')


def test_metrics_are_text_for_prometheus(behind):
    meters = Meters(worker=3)
    with behind(meters=meters) as client:
        client.get("/generate")
        client.get("/generate", params={"num": 0})
        client.get("/some/other/address")
        lines = client.get("/metrics").text.splitlines()
    assert 'ganlet_requests_total{worker="3",path="/generate",code="200"} 1' in lines
    assert 'ganlet_requests_total{worker="3",path="/generate",code="422"} 1' in lines
    assert 'ganlet_requests_total{worker="3",path="other",code="404"} 1' in lines
    assert 'ganlet_request_seconds_count{worker="3",path="/generate"} 2' in lines
    assert all(line.startswith("# ") or LINE.fullmatch(line) for line in lines)
    named = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(named) == len(set(named))


def test_a_histogram_counts_up_to_each_bound():
    meters = Meters()
    for size in (1, 3, 4, 100):
        meters.batches['a"b'].add(size)
    lines = meters.text().splitlines()
    counts = [line.split()[-1] for line in lines if line.startswith("ganlet_batch_pictures_bucket")]
    assert counts == ["1", "1", "3", "3", "3", "3", "3", "4"]
    assert 'ganlet_batch_pictures_sum{worker="0",model="a\\"b"} 108.000000' in lines


def test_the_description_has_every_address_with_its_limits(behind):
    with behind(limits=Limits(pictures=7)) as client:
        tree = client.get("/openapi.json").json()
    told = {(path, method) for path, methods in tree["paths"].items() for method in methods}
    drawing = {("/generate", "get"), ("/generate", "post"), ("/edit", "post"), ("/interpolate", "post")}
    assert told == drawing | {("/models", "get"), ("/health", "get"), ("/metrics", "get")}
    num = next(one for one in tree["paths"]["/generate"]["get"]["parameters"] if one["name"] == "num")
    assert num["schema"]["maximum"] == tree["components"]["schemas"]["Generate"]["properties"]["num"]["maximum"] == 7
    references = re.findall(r"#/components/schemas/(\w+)", str(tree))
    assert set(references) <= tree["components"]["schemas"].keys()
    for path, method in drawing:
        assert {"200", "413", "422", "429", "503"} <= tree["paths"][path][method]["responses"].keys()


def test_the_page_is_a_form_where_nothing_better_can_be_made(client, models):
    for name in models:
        answer = client.get("/", params={"model": name})
        assert answer.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert f'value="{name}"' in answer.text
        assert "<script" not in answer.text


def test_the_page_is_the_one_that_draws_by_itself_made_once(behind, served_runs, monkeypatch):
    made = []

    def to_web(run, out, **settings):
        made.append((run, settings))
        out.write_text(f"<p>{run.name} draws by itself")

    monkeypatch.setattr(page, "to_web", to_web)
    with behind(runs=served_runs) as client:
        for _ in range(2):
            answer = client.get("/", params={"model": "styled"})
            assert answer.text == "<p>styled draws by itself"
            assert answer.headers["content-security-policy"] == page.PAGE_POLICY
    assert made == [(served_runs["styled"], {"find_directions": False})]


def test_a_page_that_takes_longer_than_a_request_may_is_made_once_all_the_same(behind, served_runs, monkeypatch):
    made, opened = [], threading.Event()

    def to_web(run, out, **settings):
        made.append(run)
        opened.wait(20)
        out.write_text("<p>draws by itself")

    monkeypatch.setattr(page, "to_web", to_web)
    with behind(runs=served_runs, limits=Limits(seconds=0.1)) as client:
        assert [client.get("/").status_code for _ in range(2)] == [503, 503]
        opened.set()
        deadline = time.monotonic() + 20
        while client.get("/").status_code == 503:
            assert time.monotonic() < deadline
        assert client.get("/").text == "<p>draws by itself"
    assert len(made) == 1


def test_a_page_that_failed_for_once_is_made_anew(behind, served_runs, monkeypatch):
    def to_web(run, out, **settings):
        if not failures:
            failures.append(run)
            raise MemoryError
        out.write_text("<p>draws by itself")

    failures = []
    monkeypatch.setattr(page, "to_web", to_web)
    with behind(runs=served_runs) as client:
        assert [client.get("/").status_code for _ in range(2)] == [503, 200]


def test_directions_of_other_weights_are_told_of_in_a_line(served_runs, models, tmp_path):
    assert directions_left_out(models) is None
    shutil.copytree(served_runs["plain"], tmp_path / "plain")
    shutil.copytree(served_runs["styled"] / "lab", tmp_path / "plain" / "lab")
    others = open_models([tmp_path / "plain", served_runs["styled"]], Limits(), Meters(), "cpu")
    line = directions_left_out(others)
    assert line is not None
    assert "\n" not in line
    names = sorted(models["styled"].directions)
    assert ", ".join(names[:5]) in line
    assert "(of plain)" in line
    assert "(of styled)" not in line
    assert ("more" in line) == (len(names) > 5)


def test_a_generator_that_cannot_be_made_a_page_is_shown_a_form(behind, served_runs, monkeypatch):
    def to_web(*_, **__):
        raise ConfigError("The page does not know this operator.")

    monkeypatch.setattr(page, "to_web", to_web)
    with behind(runs=served_runs) as client:
        assert "<form" in client.get("/").text


def test_runs_are_named_by_their_folders(tmp_path):
    for name in ("a", "b", "x=y"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "generator.safetensors").touch()
    for file in ("faces.safetensors", "cats.zip"):
        (tmp_path / file).touch()
    given = [
        tmp_path / "b",
        tmp_path / "a" / "generator.safetensors",
        tmp_path / "faces.safetensors",
        tmp_path / "cats.zip",
    ]
    assert list(named_runs([*given, tmp_path / "x=y", f"other={tmp_path / 'b'}"])) == [
        "b",
        "a",
        "faces",
        "cats",
        "x=y",
        "other",
    ]
    with pytest.raises(ConfigError, match="under one name"):
        named_runs([tmp_path / "a", tmp_path / "a" / "generator.safetensors"])
    with pytest.raises(ConfigError, match="no name"):
        named_runs([f"={tmp_path / 'b'}"])
