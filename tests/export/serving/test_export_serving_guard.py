"""What is let in, what is refused with which code, and that nothing of it is a server error."""

from __future__ import annotations

import json

import pytest

from ganlet.export.serving.guard import LOOPBACK_NAMES, Access
from ganlet.export.serving.limits import Limits

JSON = {"content-type": "application/json"}
DEEP = b'{"labels":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
DEEP_MIXTURE = b'{"labels":' + b'{"a":' * 8_000 + b"1" + b"}" * 8_000 + b"}"
FRAME = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}
TRAVERSAL = "../../../../etc/passwd"

PROBES = {
    "foreign host": ("GET", "/models", {"host": "evil.example"}, b"", 403),
    "foreign host with our port": ("GET", "/generate", {"host": "evil.example:8600"}, b"", 403),
    "our name as part of another": ("GET", "/", {"host": "localhost.evil.example"}, b"", 403),
    "user part in the host": ("GET", "/models", {"host": "localhost@evil.example"}, b"", 403),
    "no host": ("GET", "/models", {"host": ""}, b"", 403),
    "an address that is not ours": ("GET", "/models", {"host": "192.168.1.7"}, b"", 403),
    "two hosts": ("GET", "/models", {"host": "localhost, evil.example"}, b"", 403),
    "foreign origin": ("GET", "/models", {"origin": "http://evil.example"}, b"", 403),
    "foreign origin that posts": ("POST", "/generate", {**JSON, "origin": "https://evil.example"}, b"{}", 403),
    "a page without origin": ("GET", "/models", {"origin": "null"}, b"", 403),
    "another port of this machine": ("GET", "/models", {"origin": "http://localhost:3000"}, b"", 403),
    "a picture in a foreign page": ("GET", "/generate", {"sec-fetch-site": "cross-site"}, b"", 403),
    "a frame in a foreign page": ("GET", "/generate", FRAME, b"", 403),
    "a frame in a page of another port": ("GET", "/generate", {**FRAME, "sec-fetch-site": "same-site"}, b"", 403),
    "a foreign site that asks first": ("OPTIONS", "/generate", {"origin": "http://evil.example"}, b"", 403),
    "too large a body": ("POST", "/generate", JSON, b"x" * 65_537, 413),
    "a length that no body has": ("POST", "/generate", {**JSON, "content-length": "9" * 40}, b"{}", 413),
    "huge headers": ("GET", "/models", {"x-a": "a" * 20_000}, b"", 431),
    "a huge address": ("GET", "/" + "a" * 20_000, {}, b"", 431),
    "no JSON": ("POST", "/generate", JSON, b"{seed: 3", 422),
    "nothing": ("POST", "/generate", JSON, b"", 422),
    "bytes that are no text": ("POST", "/generate", JSON, b'{"model": "\xff\xfe"}', 422),
    "half a character": ("POST", "/generate", JSON, rb'{"model": "\ud800"}', 422),
    "deep lists": ("POST", "/generate", JSON, DEEP, 422),
    "deep mixtures": ("POST", "/generate", JSON, DEEP_MIXTURE, 422),
    "a list": ("POST", "/generate", JSON, b"[1]", 422),
    "text that says it is a form": ("POST", "/generate", {"content-type": "text/plain"}, b"{}", 415),
    "an unknown field": ("POST", "/generate", JSON, b'{"sede": 3}', 422),
    "a number that is none": ("POST", "/generate", JSON, b'{"truncation": NaN}', 422),
    "an endless number": ("POST", "/generate", JSON, b'{"truncation": 1e999}', 422),
    "a negative truncation": ("GET", "/generate?truncation=-1", {}, b"", 422),
    "a truncation that is none": ("GET", "/generate?truncation=nan", {}, b"", 422),
    "a huge seed": ("GET", f"/generate?seed={'9' * 5_000}", {}, b"", 422),
    "a seed of 64 bits": ("GET", f"/generate?seed={2**63}", {}, b"", 422),
    "a negative seed": ("POST", "/generate", JSON, b'{"seed": -1}', 422),
    "a seed with a fraction": ("POST", "/generate", JSON, b'{"seed": 1.5}', 422),
    "a seed in words": ("POST", "/generate", JSON, b'{"seed": "3"}', 422),
    "negative pictures": ("GET", "/generate?num=-1", {}, b"", 422),
    "no pictures": ("GET", "/generate?num=0", {}, b"", 422),
    "too many pictures": ("GET", "/generate?num=65", {}, b"", 422),
    "too many steps of too many": (
        "POST",
        "/edit",
        JSON,
        b'{"model": "styled", "num": 64, "steps": 64, "along": [{"direction": "x"}]}',
        422,
    ),
    "too large a picture": ("GET", "/generate?num=64&scale=64", {}, b"", 422),
    "too large a film": (
        "POST",
        "/interpolate",
        JSON,
        b'{"seeds": [1, 2], "steps": 64, "scale": 32, "format": "webp"}',
        422,
    ),
    "no such format": ("GET", "/generate?format=exe", {}, b"", 422),
    "a field twice": ("GET", "/generate?seed=1&seed=2", {}, b"", 422),
    "many fields": ("GET", "/generate?" + "a=1&" * 1_000, {}, b"", 422),
    "bytes in an address": ("GET", "/generate?model=%ff%fe", {}, b"", 422),
    "a model that is a path": ("GET", f"/generate?model={TRAVERSAL}", {}, b"", 404),
    "a model with a null byte": ("GET", "/generate?model=plain%00", {}, b"", 404),
    "a page of a path": ("GET", f"/?model={TRAVERSAL}", {}, b"", 404),
    "a path": ("GET", "/..%2f..%2f..%2fetc/passwd", {}, b"", 404),
    "a path with a null byte": ("GET", "/models%00", {}, b"", 404),
    "a direction that is a path": (
        "POST",
        "/edit",
        JSON,
        json.dumps({"model": "styled", "along": [{"direction": TRAVERSAL}]}).encode(),
        422,
    ),
    "an endless strength": ("POST", "/edit", JSON, b'{"along": [{"direction": "x", "strength": Infinity}]}', 422),
    "no direction": ("POST", "/edit", JSON, b'{"along": []}', 422),
    "a label with a null byte": ("POST", "/generate", JSON, b'{"model": "styled", "labels": "a\\u0000"}', 422),
    "labels that there are none of": ("GET", "/generate?label=cat", {}, b"", 422),
    "an empty mixture": ("POST", "/generate", JSON, b'{"model": "styled", "labels": {}}', 422),
    "a way to nowhere": ("POST", "/interpolate", JSON, b'{"seeds": [1]}', 422),
    "a way of too many": ("POST", "/interpolate", JSON, b'{"seeds": [1, 2], "steps": 100000}', 422),
    "a wrong method": ("DELETE", "/generate", {}, b"", 405),
    "another wrong method": ("GET", "/edit", {}, b"", 405),
    "an unheard-of method": ("BREW", "/models", {}, b"", 405),
    "no such address": ("GET", "/admin", {}, b"", 404),
}


@pytest.mark.parametrize("probe", PROBES)
def test_probes_are_refused(client, probe):
    method, path, headers, body, code = PROBES[probe]
    answer = client.request(method, path, headers=headers, content=body)
    assert answer.status_code == code, answer.text
    assert isinstance(answer.json()["error"], str)
    assert "passwd" not in answer.text or code == 422
    assert client.get("/generate", params={"seed": 1}).status_code == 200


@pytest.mark.parametrize(
    ("path", "allowed"), [("/generate", {"GET", "HEAD", "POST"}), ("/edit", {"POST"}), ("/models", {"GET"})]
)
def test_a_wrong_method_is_told_the_right_ones(client, path, allowed):
    assert set(client.request("PUT", path).headers["allow"].split(", ")) == allowed


def test_our_own_pages_and_links_that_are_followed_are_let_in(client):
    for headers in (
        {"origin": "http://localhost"},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        {"host": "127.0.0.1:8600"},
        {"host": "[::1]:8600"},
        {"host": "LOCALHOST"},
    ):
        assert client.get("/models", headers=headers).status_code == 200, headers


def test_answers_say_how_browsers_are_to_treat_them(client):
    headers = client.get("/generate").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"
    assert "access-control-allow-origin" not in headers


def test_no_answer_tells_where_the_runs_are(client, served_runs, models):
    label = models["styled"].label_names[0]
    answers = [
        client.get("/models"),
        client.get("/openapi.json"),
        client.get("/metrics"),
        client.get("/"),
        client.get("/generate", params={"model": "styled", "format": "json"}),
        client.get("/generate", params={"model": "styled", "label": f"{label}x"}),
        client.post("/edit", json={"model": "styled", "along": [{"direction": "nobody"}]}),
        client.get("/generate", params={"model": "nobody"}),
    ]
    for answer in answers:
        assert str(served_runs["styled"].parent).encode() not in answer.content
        assert b"ganlet explore" not in answer.content


TOKEN = "a-token-that-nobody-guesses"


@pytest.mark.parametrize(
    ("path", "headers", "code"),
    [
        ("/models", {}, 401),
        ("/", {}, 401),
        ("/metrics", {}, 401),
        ("/openapi.json", {}, 401),
        ("/nowhere", {}, 401),
        ("/models", {"authorization": "Bearer wrong"}, 401),
        ("/models", {"authorization": f"Basic {TOKEN}"}, 401),
        ("/models", {"authorization": "Bearer \u00e9".encode("latin-1")}, 401),
        ("/?token=wrong", {}, 401),
        ("/?nottoken=" + TOKEN, {}, 401),
        ("/health", {}, 200),
        ("/models", {"authorization": f"Bearer {TOKEN}"}, 200),
        (f"/?token={TOKEN}", {}, 200),
        (f"/generate?seed=3&token={TOKEN}", {}, 200),
    ],
)
def test_a_token_is_needed_where_there_is_one(behind, path, headers, code):
    with behind(Access(token=TOKEN)) as client:
        answer = client.get(path, headers=headers)
    assert answer.status_code == code
    if code == 401:
        assert answer.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in answer.text


def test_a_token_in_the_address_is_for_reading_only(behind):
    with behind(Access(token=TOKEN)) as client:
        assert client.post(f"/generate?token={TOKEN}", json={}).status_code == 401


def test_a_site_that_is_allowed_is_told_so(behind):
    site = "https://example.org"
    with behind(Access(origins={site})) as client:
        client.headers["origin"] = site
        asked = client.options("/generate")
        assert (asked.status_code, asked.content) == (204, b"")
        for answer in (asked, client.get("/generate", headers={"sec-fetch-site": "cross-site"})):
            assert answer.headers["access-control-allow-origin"] == site
            assert answer.headers["vary"] == "Origin"
        assert client.get("/models", headers={"origin": "https://other.example"}).status_code == 403


def test_numbers_are_served_where_others_can_reach_us_and_names_only_if_allowed(behind):
    with behind(Access(LOOPBACK_NAMES | {"pictures.example"}, any_address=True)) as client:
        for host, code in (
            ("192.168.1.7:8600", 200),
            ("[fe80::1]:8600", 200),
            ("Pictures.example", 200),
            ("other.example", 403),
            ("192.168.1.7.evil.example", 403),
        ):
            assert client.get("/models", headers={"host": host}).status_code == code, host


@pytest.mark.parametrize(
    ("limits", "code"), [({"requests": 0.5}, 503), ({"per_client": 0.5}, 429), ({"seconds": 1e-9}, 503)]
)
def test_whoever_is_refused_for_now_is_told_when_to_come_back(behind, limits, code):
    with behind(limits=Limits(**limits)) as client:
        answer = client.get("/generate")
        assert answer.status_code == code
        assert int(answer.headers["retry-after"]) >= 1
        if "seconds" not in limits:
            assert client.get("/health").status_code == 200


def test_a_full_queue_is_503(behind):
    limits = Limits()
    object.__setattr__(limits, "waiting", 2)  # which is refused, for then no large request would ever be drawn
    with behind(limits=limits) as client:
        answer = client.get("/generate", params={"num": 3})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert client.get("/generate", params={"num": 2}).status_code == 200
