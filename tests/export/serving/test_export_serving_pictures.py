"""What is drawn: the bits of `ganlet sample`, certificates that hold, formats."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image

from ganlet.export.serving.answers import chosen_format
from ganlet.export.serving.exact_batches import ExactBatches
from ganlet.export.serving.limits import BATCH as SERVED_BATCH
from ganlet.games.drawn import BATCH
from ganlet.workflows.sampling import draw_samples
from ganlet.workflows.whence import whence

MODELS = ("plain", "styled")


def pixels(data: bytes) -> np.ndarray:
    array = np.asarray(Image.open(io.BytesIO(data)))
    return array if array.ndim == 3 else array[..., None]


def pictures_of(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.stack([pixels(base64.b64decode(one["png"])) for one in answer.json()["pictures"]])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("num", [1, 3, 64])
def test_pictures_have_the_bits_of_ganlet_sample(client, served_runs, model, num):
    answer = client.get("/generate", params={"model": model, "seed": 3, "num": num, "format": "json"})
    expected = draw_samples(served_runs[model], 64, seed=3, device="cpu").pictures[:num]
    assert np.array_equal(pictures_of(answer), expected)


def test_a_truncation_and_a_label_are_those_of_ganlet_sample(client, served_runs, models):
    label = models["styled"].label_names[2]
    asked = {"model": "styled", "seed": 5, "num": 2, "labels": label, "truncation": 0.5, "format": "json"}
    expected = draw_samples(served_runs["styled"], 64, seed=5, labels=label, truncation=0.5, device="cpu").pictures
    assert np.array_equal(pictures_of(client.post("/generate", json=asked)), expected[:2])


REQUESTS = [
    ("plain", "/generate", {"seed": 3}),
    ("plain", "/generate", {"seed": 3, "num": 5, "scale": 3}),
    ("plain", "/generate", {"seed": 3, "truncation": 0.7}),
    ("styled", "/generate", {"seed": 4, "scale": 2}),
    ("styled", "/generate", {"seed": 4, "labels": ["0", "1"], "num": 3}),
    ("styled", "/generate", {"seed": 4, "labels": {"0": 0.25, "1": 0.75}}),
    ("plain", "/interpolate", {"seeds": [1, 2, 3], "steps": 5}),
    ("styled", "/interpolate", {"seeds": [1, 2], "steps": 4, "loop": True, "scale": 2}),
    ("styled", "/edit", {"seed": 1, "num": 2, "steps": 3, "along": [{"direction": "0"}]}),
    ("styled", "/edit", {"seed": 1, "along": [{"direction": "0", "strength": -1.5}]}),
]


@pytest.mark.parametrize("form", ["png", "webp"])
@pytest.mark.parametrize(("model", "path", "asked"), REQUESTS, ids=lambda value: str(value)[:50])
def test_whence_draws_every_answer_again(client, served_runs, models, tmp_path, model, path, asked, form):
    asked = asked | {"model": model, "format": form}
    names = {"labels": models["styled"].label_names, "direction": list(models["styled"].directions)}
    if isinstance(asked.get("labels"), dict):
        asked["labels"] = {names["labels"][int(number)]: share for number, share in asked["labels"].items()}
    elif "labels" in asked:
        asked["labels"] = [names["labels"][int(number)] for number in asked["labels"]]
    if "along" in asked:
        asked["along"] = [{**one, "direction": names["direction"][int(one["direction"])]} for one in asked["along"]]
    answer = client.post(path, json=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"image/{form}"
    assert client.post(path, json=asked).content == answer.content
    file = tmp_path / f"answer.{form}"
    file.write_bytes(answer.content)
    origin = whence(file, served_runs[model], device="cpu")
    # What has no seed of its own is drawn again in another batch, where a grey level may be another one.
    assert origin.verdict in (("same",) if asked.get("num") is None and path == "/generate" else ("same", "rounded"))


def test_json_tells_what_was_drawn_from(client, models):
    answer = client.post("/generate", json={"model": "styled", "seed": 2, "num": 2, "format": "json"}).json()
    points = models["styled"].lab.sample(64, 2)[:2]
    assert answer["space"] == "styles"
    assert torch.equal(torch.tensor([one["styles"] for one in answer["pictures"]]), points.values)
    assert torch.equal(torch.tensor([one["labels"] for one in answer["pictures"]]), points.labels)
    assert answer["weights"] == models["styled"].lab.weights


def test_a_mixture_lies_between_its_labels(client, models):
    first, second, *_ = models["styled"].label_names
    asked = {"model": "styled", "labels": {second: 0.25, first: 0.75}, "format": "json"}
    labels = client.post("/generate", json=asked).json()["pictures"][0]["labels"]
    assert labels[:2] == [0.75, 0.25]
    assert sum(labels) == 1


def test_scale_repeats_pixels(client):
    small, large = (pixels(client.get("/generate", params={"seed": 1, "scale": scale}).content) for scale in (1, 4))
    assert np.array_equal(large, small.repeat(4, axis=0).repeat(4, axis=1))


def test_a_film_moves(client):
    asked = {"seeds": [1, 2], "steps": 6, "format": "webp", "frame_ms": 90}
    film = Image.open(io.BytesIO(client.post("/interpolate", json=asked).content))
    film.load()
    assert (film.n_frames, film.size, film.info["duration"]) == (6, (16, 16), 90)


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", "png"),
        ("*/*", "png"),
        (BROWSER, "png"),
        ("image/webp,image/png;q=0.5", "webp"),
        ("application/json", "json"),
        ("image/*;q=0.3, application/json;q=0.2", "png"),
        ("image/png;q=0, image/*", "webp"),
        ("image/png;q=x", None),
        ("text/plain", None),
    ],
)
def test_accept_chooses_the_format(accept, form):
    assert chosen_format(accept) == form


def test_a_format_that_nobody_accepts_is_406(client):
    assert client.get("/generate", headers={"accept": "text/plain"}).status_code == 406


def test_batches_are_filled_up_where_bits_depend_on_their_size(models):
    """A generator whose numbers are other ones in batches below 8 is drawn in batches of 8 and more only."""
    space, drawn = models["plain"].lab.space, []

    class Fickle:
        def __getattr__(self, name):
            return getattr(space, name)

        def images(self, points):
            drawn.append(len(points))
            return space.images(points) + (0.25 if len(points) < 8 else 0)

    batches = ExactBatches.of(Fickle(), space.sample(64, 0))
    assert batches.sizes == (8, 12, 16, 24, 32, 48, 64)
    drawn.clear()
    assert batches.pictures(space.sample(64, 1)[:3]).shape == (3, 16, 16, 3)
    assert batches.pictures(space.sample(64, 1)[:13]).shape == (13, 16, 16, 3)
    assert drawn == [8, 16]


def test_the_largest_batch_is_that_of_ganlet_sample():
    assert SERVED_BATCH == BATCH
