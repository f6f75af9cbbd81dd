from __future__ import annotations

import time

import pytest

from ganlet.runs.places import without_places

PLACES = {"/home/alice/pics": "pics", "/home/alice": ""}
LEFT = {
    "file:///data/alice/wheels/foo.whl": "file:foo.whl",
    "file:///home/alice/pics/x.png": "file://x.png",
    "stacked:/data/alice/p": "stacked:p",
    "user@host:/srv/alice/run": "run",
    "scp a.b@host.org:/srv/alice/run /srv/alice/x": "scp run x",
    "err:/srv/alice/x": "err:x",
    "-/srv/x": "-x",
    "--out=/srv/alice/x": "--out=x",
    r"\\server\alice\x": "x",
    "//server/alice/x": "x",
    "~alice/pics/x": "x",
    "~alice/x": "x",
    r"C:\Users\alice\x": "x",
    r"C:\\Users\\alice\\x": "x",
    "D:/alice/x/": "x",
    "'/srv/alice/x', then": "'x', then",
    "ssh://alice@host/srv/alice/x": "ssh:x",
    "sqlite:////srv/alice/x.db": "sqlite:x.db",
    "/home/alice/pics/cat.png": "cat.png",
    "it was in /home/alice.": "it was in .",
    "/home/alice/picsy/a": "a",
}
STAYS = [
    *("https://host/path", "https://host:8080/a/b/c?next=/d/e", "(http://host/a/b)", "hf://datasets/owner/name"),
    *(
        "hf:owner/name@main",
        "torchvision:CIFAR10",
        "a/b/c",
        "./../a/x",
        "12/13/14",
        "images/s",
        "~5/6 of them",
        "and/or",
    ),
    *("tcp://127.0.0.1:29500", "x = a / b / c", "1 // 2", "ganlet=weights.safetensors", "memory:0123abc"),
]


@pytest.mark.parametrize("text", LEFT)
def test_of_a_place_its_last_name_is_left(text):
    assert without_places(text, PLACES) == LEFT[text]
    assert without_places({"a": [text]}, PLACES) == {"a": [LEFT[text]]}


@pytest.mark.parametrize("text", STAYS)
def test_what_is_no_place_stays(text):
    assert without_places(text, PLACES) == text


def test_a_long_text_is_looked_through_in_little_time():
    text = "a+b-" * 200_000 + "/" * 100_000
    started = time.perf_counter()
    assert without_places(text, PLACES) == text
    assert time.perf_counter() - started < 5
