from __future__ import annotations

import itertools
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from ganlet.config import RunConfig, build_config, dump_yaml
from ganlet.errors import RunError
from ganlet.runs import pictures
from ganlet.runs.folder import RunFolder
from ganlet.runs.pictures import (
    film,
    opaque,
    progression,
    read_png,
    read_sheet,
    sample_moments,
    save_sheet,
    short_count,
)

NUM = 12
LEVELS = [101 * moment % 256 for moment in range(200)]  # all different, neighbours very much so


def noise(count: int, height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), np.uint8)


def flat(level: int, channels: int = 3, size: tuple[int, int] = (8, 8)) -> np.ndarray:
    """Pictures of one grey, by which a moment is known again."""
    shown = np.full((NUM, *size, channels), level, np.uint8)
    if channels == 4:
        shown[..., 3] = 255
    return shown


@pytest.fixture
def make_run(tmp_path):
    """A run whose moment i, after 1,000 i images, shows nothing but the grey `levels[i]`."""

    def make(
        num_moments: int, channels: int = 3, size: tuple[int, int] = (8, 8), levels: list[int] = LEVELS
    ) -> tuple[RunFolder, RunConfig]:
        data = {"size": size, "channels": channels}
        train = {"total_images": 40_000}
        config = build_config([{"data": data, "train": train, "evaluate": {"num_samples": NUM}}])
        folder = RunFolder.create(tmp_path / "run", dump_yaml(config))
        for moment in range(num_moments):
            save_sheet(folder.samples_path / f"{1000 * moment:09}.png", flat(levels[moment], channels, size))
        save_sheet(folder.samples_path / "real.png", flat(255, channels, size))
        return folder, config

    return make


def frames_of(path: Path) -> list[tuple[float, int]]:
    """The grey level in the middle of the first picture of each frame, and how long the frame stays."""
    shown = []
    with Image.open(path) as animation:
        for index in range(animation.n_frames):
            animation.seek(index)
            pixels = np.asarray(animation.convert("RGB"))
            shown.append(
                (float(pixels[pixels.shape[0] // 10, pixels.shape[1] // 10].mean()), animation.info["duration"])
            )
    return shown


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize(("count", "columns"), [(1, None), (5, None), (16, None), (7, 3), (3, 8)])
@pytest.mark.parametrize("size", [(8, 8), (20, 12), (48, 64)])
def test_a_sheet_comes_back_bit_by_bit(tmp_path, size, count, columns, channels):
    shown = noise(count, *size, channels)
    path = tmp_path / "sheet.png"
    save_sheet(path, shown, columns)
    again = read_sheet(path, size=size, channels=channels, count=count, columns=columns)
    assert again.dtype == np.uint8
    np.testing.assert_array_equal(again, shown)


def test_a_sheet_is_enlarged_by_a_whole_factor_up_to_800_pixels(tmp_path):
    save_sheet(tmp_path / "small.png", noise(16, 8, 8, 3))
    save_sheet(tmp_path / "large.png", noise(4, 450, 450, 1))
    assert read_png(tmp_path / "small.png").shape == (42 * 19, 42 * 19, 3)
    assert read_png(tmp_path / "large.png").shape == (906, 906, 1)
    assert read_sheet(tmp_path / "large.png", size=(450, 450), channels=1, count=4).shape == (4, 450, 450, 1)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["large.png", "small.png"]


@pytest.mark.parametrize("wrong", [{"size": (8, 12)}, {"channels": 1}, {"channels": 4}, {"count": 17}])
def test_a_sheet_of_something_else_is_refused(tmp_path, wrong):
    path = tmp_path / "sheet.png"
    save_sheet(path, noise(16, 8, 8, 3))
    with pytest.raises(RunError, match="not the grid") as caught:
        read_sheet(path, **{"size": (8, 8), "channels": 3, "count": 16} | wrong)
    assert caught.value.where == path


def test_files_that_are_no_pictures_are_refused(tmp_path):
    save_sheet(tmp_path / "sheet.png", noise(16, 8, 8, 3))
    whole = (tmp_path / "sheet.png").read_bytes()
    (tmp_path / "torn.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("hello")
    Image.new("P", (8, 8)).save(tmp_path / "palette.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "jpeg.png", "JPEG")
    for name in ("torn", "text", "palette", "jpeg", "missing"):
        with pytest.raises(RunError, match="picture"):
            read_png(tmp_path / f"{name}.png")


def test_moments_are_ordered_by_number_and_nothing_else_counts(make_run):
    folder, _ = make_run(0)
    names = ["000000064.png", "1000000000.png", "000900000.png"]
    others = [
        "progression.png",
        ".tmp-12-000000001.png",
        "64.png",
        "0000000001.png",
        "000000001.jpg",
        "000000002.png.bak",
    ]
    for name in [*names, *others]:
        (folder.samples_path / name).touch()
    assert [(moment, path.name) for moment, path in sample_moments(folder)] == [
        (64, names[0]),
        (900_000, names[2]),
        (1_000_000_000, names[1]),
    ]
    assert sample_moments(RunFolder(folder.path / "nowhere")) == []


def rows_of(path: Path) -> list[int]:
    """The moments that a progression shows, from top to bottom: the grey levels of its last column."""
    column = np.asarray(Image.open(path))[:, -5]
    return [LEVELS.index(key[0]) for key, _ in itertools.groupby(column.tolist()) if key[3] == 255]


@pytest.mark.parametrize(("num_moments", "num_rows"), [(1, 1), (2, 2), (9, 9), (10, 9), (40, 9)])
def test_the_progression_goes_from_the_first_moment_to_the_last(make_run, num_moments, num_rows):
    folder, config = make_run(num_moments)
    path = progression(folder, config)
    assert path == folder.samples_path / "progression.png"
    rows = rows_of(path)
    assert len(rows) == num_rows
    assert rows[0] == 0
    assert rows[-1] == num_moments - 1
    steps = np.diff(rows)
    assert (steps > 0).all()
    assert (np.diff(steps) >= 0).all(), "moments lie ever farther apart"


def test_the_progression_names_its_rows_on_a_transparent_ground(make_run):
    folder, config = make_run(2)
    picture = np.asarray(Image.open(progression(folder, config)))
    side, gap = 88, 4
    margin = picture.shape[1] - 10 * (side + gap) + gap
    alpha = picture[..., 3]
    assert picture.shape[0] == 26 + 2 * side + gap
    assert alpha[26 + side : 26 + side + gap].max() == 0
    for row in range(2):
        label = alpha[26 + row * (side + gap) :][:side, :margin]
        assert 0 < (label > 0).mean() < 0.2


@pytest.mark.parametrize("draw", [progression, film])
def test_without_moments_nothing_is_drawn(make_run, draw):
    folder, config = make_run(0)
    assert draw(folder, config) is None
    assert [path.name for path in folder.samples_path.iterdir()] == ["real.png"]


@pytest.mark.parametrize("draw", [progression, film])
def test_a_damaged_moment_is_left_out_with_a_warning(make_run, draw, caplog):
    folder, config = make_run(3)
    (folder.samples_path / "000001000.png").write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING):
        path = draw(folder, config)
    assert "000001000.png" in caplog.text
    assert len(rows_of(path) if draw is progression else frames_of(path)) == 2


@pytest.mark.parametrize("num_moments", [1, 2, 20])
def test_the_film_shows_every_moment_and_holds_the_last(make_run, num_moments):
    folder, config = make_run(num_moments)
    path = film(folder, config)
    assert path == folder.samples_path / "film.webp"
    frames = frames_of(path)
    assert [level for level, _ in frames] == pytest.approx(LEVELS[:num_moments], abs=4)
    *others, last = [duration for _, duration in frames]
    assert all(duration < last / 4 for duration in others)


def test_a_long_film_has_120_frames_from_the_first_moment_to_the_last(make_run, monkeypatch):
    monkeypatch.setattr(pictures, "FILM_SIDE", 100)
    folder, config = make_run(130)
    frames = frames_of(film(folder, config))
    assert len(frames) == 120
    assert frames[0][0] == pytest.approx(LEVELS[0], abs=4)
    assert frames[-1][0] == pytest.approx(LEVELS[129], abs=4)


def test_a_film_that_would_be_too_large_has_fewer_frames(make_run, monkeypatch):
    folder, config = make_run(30)
    whole = film(folder, config).stat().st_size
    monkeypatch.setattr(pictures, "FILM_BYTES", whole // 2)
    path = film(folder, config)
    assert path.stat().st_size <= whole // 2
    frames = frames_of(path)
    assert 2 < len(frames) < 30
    assert frames[0][0] == pytest.approx(LEVELS[0], abs=4)
    assert frames[-1][0] == pytest.approx(LEVELS[29], abs=4)


def test_a_change_is_seen_however_slow_it_is(make_run):
    levels = [100 + 2 * moment for moment in range(20)]
    folder, config = make_run(20, levels=levels)
    assert [level for level, _ in frames_of(film(folder, config))] == pytest.approx(levels, abs=1.5)


def test_the_film_says_how_far_the_run_had_come(make_run):
    folder, config = make_run(21)  # half of the 40,000 images
    with Image.open(film(folder, config)) as animation:
        animation.seek(20)
        frame = np.asarray(animation.convert("RGB")).astype(int)
    strip = frame[-34:]
    orange = (abs(strip[1] - pictures.ACCENT).max(axis=-1) < 60).mean()
    assert orange == pytest.approx(0.5, abs=0.05)
    assert strip[10:].min() < 130, "there is dark text on the paper"


def test_without_webp_the_film_is_a_gif(make_run, monkeypatch):
    monkeypatch.setattr(features, "check", lambda _: False)
    folder, config = make_run(4)
    path = film(folder, config)
    assert path.name == "film.gif"
    assert [level for level, _ in frames_of(path)] == pytest.approx(LEVELS[:4], abs=4)


@pytest.mark.parametrize(("size", "channels"), [((8, 16), 1), ((96, 24), 4), ((200, 300), 3)])
def test_any_shape_and_channels_are_drawn(make_run, size, channels):
    folder, config = make_run(3, channels, size)
    assert rows_of(progression(folder, config)) == [0, 1, 2]
    assert [level for level, _ in frames_of(film(folder, config))] == pytest.approx(LEVELS[:3], abs=4)


def test_transparency_shows_a_chequered_ground():
    picture = np.zeros((16, 16, 4), np.uint8)
    picture[..., :3] = 100
    picture[0, 0, 3] = 255
    picture[0, 1, 3] = 51
    shown = opaque(picture)
    assert shown[0, 0].tolist() == [100, 100, 100]
    assert shown[0, 1].tolist() == [224, 224, 224]  # a fifth of 100 and four fifths of 255
    assert shown[4, 4].tolist() == shown[12, 12].tolist() == [255, 255, 255]
    assert shown[4, 12].tolist() == shown[12, 4].tolist() == [226, 226, 226]


def test_opaque_pictures_stay_as_they_are():
    grey, colour = noise(1, 4, 6, 1)[0], noise(1, 4, 6, 3)[0]
    np.testing.assert_array_equal(opaque(colour), colour)
    assert opaque(grey).shape == (4, 6, 3)
    np.testing.assert_array_equal(opaque(grey)[..., 2], grey[..., 0])


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (950, "950"),
        (1000, "1k"),
        (12_800, "12.8k"),
        (999_400, "999k"),
        (999_999, "1M"),
        (1_250_000, "1.25M"),
        (25_000_000, "25M"),
    ],
)
def test_numbers_of_images_are_short(number, text):
    assert short_count(number) == text
