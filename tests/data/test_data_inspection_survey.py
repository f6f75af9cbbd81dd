from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from ganlet.data.inspection import survey as module
from ganlet.data.inspection.examination import class_counts, overview
from ganlet.data.inspection.survey import pictures_at, survey
from ganlet.data.settings import DataConfig
from ganlet.data.source import find_source
from ganlet.data.spec import Source, SourcePicture


def surveyed(root, **settings):
    config = DataConfig(source=str(root), **settings)
    return survey(find_source(config), config)


def made(pictures):
    source = Source("made", "", len(pictures), lambda: (SourcePicture(pixels) for pixels in pictures))
    return survey(source, DataConfig())


def test_a_picture_leaves_a_row(write_folder):
    grey = np.zeros((20, 30, 1), np.uint8)
    grey[:, 15:] = 200
    seen = surveyed(write_folder({"b/grey.png": grey, "a/other.png": np.full((8, 9, 3), (9, 9, 90), np.uint8)}))
    assert seen.names == ["a/other.png", "b/grey.png"]
    other, row = seen.rows
    assert (row["index"], row["label"], row["height"], row["width"], row["mode"]) == (1, 1, 20, 30, b"L")
    assert (row["low"], row["high"]) == (0, 200)
    assert row["brightness"] == pytest.approx(100, abs=1)
    assert row["contrast"] == pytest.approx(100, abs=2)
    assert (row["colour"], row["grey"], row["blank"]) == (0, True, False)
    assert (other["blank"], other["grey"], other["contrast"]) == (True, False, pytest.approx(0, abs=0.01))
    assert other["colour"] == 81
    assert row["signature"].shape == (16, 16)
    assert row["signature"][8].tolist() == pytest.approx([0] * 8 + [200] * 8, abs=25)


def test_flags(write_folder, encode, noise):
    turned = Image.Exif()
    turned[0x0112] = 6
    frames = [Image.fromarray(noise(9, 9, 3, seed=seed)) for seed in range(2)]
    clear = noise(9, 9, 4)
    seen = surveyed(
        write_folder(
            {
                "a.gif": encode(frames[0], "GIF", save_all=True, append_images=frames[1:]),
                "b.jpg": encode(noise(8, 16, 3), "JPEG", exif=turned),
                "c.png": np.concatenate([noise(9, 9, 3), np.full((9, 9, 1), 255, np.uint8)], axis=2),
                "d.png": clear,
                "e.png": encode(Image.fromarray(noise(9, 9)).convert("1")),
            }
        )
    )
    rows = seen.rows
    assert rows["animated"].tolist() == [True, False, False, False, False]
    assert rows["turned"].tolist() == [False, True, False, False, False]
    assert (rows["height"][1], rows["width"][1]) == (16, 8), "as it is shown"
    assert rows["transparent"].tolist() == [False, False, False, True, False], "opaque alpha does not count"
    assert rows["mode"].tolist() == [b"P", b"RGB", b"RGBA", b"RGBA", b"1"] or rows["mode"][0] in (b"L", b"RGB")


def test_transparent_pictures_are_seen_on_the_background(write_folder):
    hidden = np.zeros((8, 8, 4), np.uint8)
    hidden[2:6, 2:6] = (255, 255, 255, 255)
    root = write_folder({"a.png": hidden})
    assert surveyed(root).rows["blank"].tolist() == [True], "white on white"
    assert surveyed(root, background="#000000").rows["blank"].tolist() == [False]


def test_blank_is_every_pixel(noise):
    almost = np.full((40, 40, 3), 7, np.uint8)
    almost[3, 5] = 8  # between the pixels that are looked at first
    assert made([np.full((40, 40, 3), 7, np.uint8), almost, noise(9, 9, 3)]).rows["blank"].tolist() == [
        True,
        False,
        False,
    ]


def test_a_little_chroma_is_still_grey(noise):
    grey = noise(16, 16, 1).repeat(3, axis=2)
    tinted = grey.copy()
    tinted[..., 0] = np.clip(grey[..., 0].astype(int) + 4, 0, 255)
    assert made([grey, tinted, noise(16, 16, 3)]).rows["grey"].tolist() == [True, True, False]


def test_broken_pictures_keep_their_places(write_folder, noise):
    files = {f"{number}.png": noise(9, 9, 3, seed=number) for number in range(6)}
    seen = surveyed(write_folder({**files, "1.png": b"", "4.png": b"no"}))
    assert seen.rows["index"].tolist() == [0, 2, 3, 5]
    assert seen.names == ["0.png", "2.png", "3.png", "5.png"]
    assert [file.name for file in seen.broken] == ["1.png", "4.png"]
    assert (seen.num_found, seen.name(1)) == (6, "2.png")


def test_pictures_that_are_no_files_are_called_by_their_place(noise):
    seen = made([noise(9, 9, 3, seed=seed) for seed in range(3)])
    assert seen.names is None
    assert seen.name(2) == "2"


@pytest.mark.parametrize("threads", [1, 3])
def test_chunks_and_threads_change_nothing(monkeypatch, noise, threads):
    pictures = [noise(9 + seed % 5, 9, 3, seed=seed) for seed in range(50)]
    whole = made(pictures)
    monkeypatch.setattr(module, "CHUNK_PICTURES", 7)
    monkeypatch.setattr(os, "cpu_count", lambda: threads)
    np.testing.assert_array_equal(made(pictures).rows, whole.rows)


def test_the_sample_is_evenly_chosen(monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 10)
    shades = [np.full((8, 8, 3), shade, np.uint8) for shade in range(25)]
    assert made(shades).sample[:, 0, 0, 0].tolist() == [0, 3, 6, 9, 12, 15, 18, 21, 24]


def test_progress_counts_broken_ones_too(write_folder, noise):
    config = DataConfig(source=str(write_folder({"a.png": noise(9, 9, 3), "b.png": b""})))
    told = []
    survey(find_source(config), config, lambda done, total: told.append((done, total)))
    assert told == [(2, 2)]


def test_pictures_are_found_again(write_folder, noise):
    files = {f"{number}.png": noise(10, 10, 3, seed=number) for number in range(6)}
    config = DataConfig(source=str(write_folder({**files, "2.png": b""})))
    found = pictures_at(find_source(config), config, [4, 2, 1], side=10)
    assert sorted(found) == [1, 4]
    np.testing.assert_array_equal(found[4], files["4.png"])


def test_overview(write_folder, noise):
    files = {
        f"{label}/{number}.png": noise(8, 8 + 4 * label, 3, seed=number) for label in (0, 1) for number in range(3)
    }
    seen = surveyed(write_folder({**files, "1/text.txt": b"x"}))
    numbers = overview(seen)
    assert (numbers["found"], numbers["usable"], numbers["broken"]) == (6, 6, 0)
    assert numbers["ignored"] == {".txt": 1}
    assert numbers["num_sizes"] == 2
    assert numbers["sizes"] == [{"height": 8, "width": 8, "count": 3}, {"height": 8, "width": 12, "count": 3}]
    assert numbers["width"] == [8, 8, 10, 12, 12]
    assert numbers["classes"] == class_counts(seen) == {"0": 3, "1": 3}
    assert numbers["modes"] == {"RGB": 6}
