from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ganlet.data.inspection.examination import examine
from ganlet.data.inspection.findings import CHECKS, find
from ganlet.data.inspection.outliers import find_outliers
from ganlet.data.inspection.survey import survey
from ganlet.data.settings import DataConfig
from ganlet.data.source import find_source, open_source
from ganlet.data.spec import Source, SourcePicture
from ganlet.errors import DataError


def scene(seed, height=40, width=40):
    """A colourful picture of soft blobs."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def found(pictures, labels=None, label_names=(), **data):
    """The findings about pictures in memory, by kind."""
    labels = labels or [None] * len(pictures)
    walk = [SourcePicture(pixels, label=label) for pixels, label in zip(pictures, labels, strict=True)]
    source = Source("made", "", len(walk), lambda: iter(walk), tuple(label_names) or None)
    return by_kind(survey(source, DataConfig()), **data)


def found_in(root, **data):
    """The findings about a folder, by kind."""
    config = DataConfig(source=str(root), **data)
    return by_kind(survey(find_source(config), config), **data)


def by_kind(seen, **data):
    return {finding.kind: finding for finding in find(examine(seen), DataConfig(**data))}


SCENES = [scene(seed) for seed in range(60)]
CLEAN = {"few"}  # what is always found in sets as small as these


def test_a_clean_set():
    assert set(found(SCENES)) == CLEAN


def test_a_large_clean_set(monkeypatch):
    monkeypatch.setattr("ganlet.data.inspection.file_checks.SMALL_SET", 60)
    assert found(SCENES) == {}


class TestContent:
    def test_equal(self):
        finding = found([*SCENES, SCENES[3], SCENES[3], SCENES[7]])["duplicates"]
        assert (finding.severity, finding.count) == ("warning", 3)
        assert finding.groups == [[3, 60, 61], [7, 62]]
        assert finding.numbers == [60, 61, 62]
        assert finding.title == "3 pictures are exact copies of others."

    def test_near(self):
        finding = found([*SCENES, (SCENES[3] * 0.95).astype(np.uint8)])["near_duplicates"]
        assert (finding.severity, finding.count, finding.groups) == ("note", 1, [[3, 60]])

    def test_many_near(self):
        copies = [(pixels * 0.95).astype(np.uint8) for pixels in SCENES]
        assert found([*SCENES, *copies])["near_duplicates"].severity == "warning"

    def test_contradictions(self):
        labels = [0, 1] * 30
        pictures = [*SCENES, SCENES[0], SCENES[2]]
        finding = found(pictures, [*labels, 1, 0], ["cat", "dog"])["contradictions"]
        assert finding.groups == [[0, 60]], "number 2 has the same label as its copy"

    def test_blank(self):
        finding = found([*SCENES, np.zeros((9, 9, 3), np.uint8)])["blank"]
        assert (finding.count, finding.numbers, finding.severity) == (1, [60], "warning")
        assert finding.title == "1 picture is blank: a single colour."

    @pytest.mark.parametrize(("divisor", "severity"), [(255, "problem"), (8, "problem"), (3, "warning")])
    def test_dark_values(self, divisor, severity):
        dark = found([pixels // divisor for pixels in SCENES])["dark_values"]
        assert dark.severity == severity
        assert f"above {255 // divisor}" in dark.title
        assert ("Masks" in dark.meaning) == (severity == "problem")

    def test_one_bright_picture_is_enough(self):
        assert "dark_values" not in found([*(pixels // 8 for pixels in SCENES), SCENES[0]])

    def test_bright_values(self):
        assert "above" not in found([128 + pixels // 2 for pixels in SCENES])["bright_values"].title

    def test_low_contrast(self):
        pale = [120 + scene(seed) // 16 for seed in range(100, 110)]
        finding = found([*SCENES, *pale])["low_contrast"]
        assert sorted(finding.numbers) == list(range(60, 70))
        assert "low_contrast" not in found([*SCENES, *pale[:2]])

    def test_mixed_colour(self):
        grey = [scene(seed).mean(axis=2, keepdims=True).astype(np.uint8) for seed in range(100, 105)]
        assert found([*SCENES, *grey])["mixed_colour"].numbers == [60, 61, 62, 63, 64]
        assert "coloured" in found([*grey * 1, *SCENES[:3]])["mixed_colour"].title

    def test_small(self):
        tiny = [scene(seed, 20, 20) for seed in range(100, 104)]
        finding = found([*SCENES, *tiny], size=32)["small"]
        assert (finding.numbers, finding.severity) == ([60, 61, 62, 63], "note")
        assert found([*SCENES, *tiny], size=64)["small"].severity == "warning"
        assert "small" not in found([scene(seed, 28, 28) for seed in range(60)], size=32), "28 passes for 32"

    def test_cut(self):
        wide = [scene(seed, 32, 120) for seed in range(100, 103)]
        assert found([*SCENES, *wide])["cut"].numbers == [60, 61, 62]
        assert "cut" not in found([*SCENES, *wide], crop="pad")

    def test_outliers(self):
        random = np.random.default_rng(0)
        noise = random.integers(0, 256, (40, 40, 3), dtype=np.uint8)
        finding = found([*SCENES, noise, scene(99, 20, 80)])["outliers"]
        assert dict(finding.lines)["60"] == "much busier than the rest"
        assert dict(finding.lines)["61"] == "much wider than the rest"
        assert len(finding.numbers) == 2

    def test_few_pictures_have_no_outliers(self):
        config = DataConfig()
        walk = [SourcePicture(pixels) for pixels in [*SCENES[:20], np.zeros((400, 10, 3), np.uint8)]]
        seen = survey(Source("made", "", 21, lambda: iter(walk)), config)
        assert find_outliers(seen.rows) == {}


class TestFiles:
    def test_broken(self, write_folder):
        finding = found_in(write_folder({"a.png": SCENES[0], "b.png": b"", "c.png": SCENES[1]}))["broken"]
        assert (finding.severity, finding.lines) == ("problem", [("b.png", "empty file")])
        assert finding.title == "1 picture of 3 cannot be used."
        assert finding.next.endswith("leave them out with --set data.skip_bad=true --set data.skip_bad_limit=0.34.")

    def test_ignored(self, write_folder):
        root = write_folder({"a.png": SCENES[0], "list.csv": b"", "x.csv": b"", "scan.heic": b"II*\0", "notes": b""})
        finding = found_in(root, skip_bad_limit=0.5)["ignored"]
        assert (finding.severity, finding.count) == ("warning", 4)
        assert finding.lines == [(".csv", "2"), ("no suffix", "1"), (".heic (convert them to PNG or JPEG)", "1")]

    def test_unread(self, write_folder):
        """What training refuses is a problem, with the numbers that training names."""
        files = {f"{number}.png": pixels for number, pixels in enumerate(SCENES[:9])}
        root = write_folder({**files, "scan.heic": b"II*\0", "list.csv": b""})
        (root / "gone.jpg").symlink_to("nowhere")
        kinds = found_in(root)
        finding = kinds["unread"]
        assert (finding.severity, finding.count) == ("problem", 2)
        assert finding.title == "2 of 11 files that claim to be pictures are not read."
        assert finding.lines == [("gone.jpg", "link that leads nowhere"), ("scan.heic", ".heic is not read")]
        assert kinds["ignored"].count == 1
        with pytest.raises(DataError, match=finding.title.rstrip(".")):
            open_source(DataConfig(source=str(root)))
        assert "unread" not in found_in(root, skip_bad_limit=0.2)

    def test_ignored_files_that_are_none(self, write_folder):
        assert found_in(write_folder({"a.png": SCENES[0], "list.csv": b""}))["ignored"].severity == "note"

    def test_few(self):
        assert found(SCENES)["few"].title == "There are only 60 pictures."

    @pytest.mark.parametrize(
        ("counts", "kind", "severity"),
        [((55, 5), "classes", "warning"), ((30, 30), "classes", "note"), ((60,), "one_class", "note")],
    )
    def test_classes(self, counts, kind, severity):
        labels = [label for label, count in enumerate(counts) for _ in range(count)]
        finding = found(SCENES, labels, [f"name {label}" for label in range(len(counts))])[kind]
        assert finding.severity == severity
        if counts == (55, 5):
            assert finding.lines == [("name 1", "5")]
            assert "5 to 55" in finding.title

    def test_even_large_classes(self):
        pictures = [scene(seed) for seed in range(120)]
        assert not {"classes", "one_class"} & set(found(pictures, [0, 1] * 60, ["a", "b"]))

    def test_grey_as_colour(self):
        grey = [scene(seed).mean(axis=2, keepdims=True).astype(np.uint8) for seed in range(9)]
        assert found([pixels.repeat(3, axis=2) for pixels in grey])["grey_as_colour"].count == 9
        assert "grey_as_colour" not in found(grey)

    @pytest.mark.parametrize(("count", "words"), [(3, "data.background"), (9, "data.channels=4")])
    def test_transparent(self, count, words):
        clear = [np.concatenate([pixels, pixels[..., :1]], axis=2) for pixels in SCENES[:count]]
        finding = found([*clear, *SCENES[20:24]])["transparent"]
        assert finding.numbers == list(range(count))
        assert words in finding.next

    def test_turned_animated_and_depth(self, write_folder, encode):
        turned = Image.Exif()
        turned[0x0112] = 3
        frames = [Image.fromarray(pixels) for pixels in SCENES[:2]]
        files = {
            "a.jpg": encode(SCENES[2], "JPEG", exif=turned),
            "b.webp": encode(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
            "c.png": encode(Image.fromarray(SCENES[3][..., 0].astype(np.uint16) * 200)),
            "d.jpg": encode(frames[1].convert("CMYK"), "JPEG"),
        }
        kinds = found_in(write_folder(files))
        assert kinds["turned"].numbers == [0]
        assert kinds["animated"].numbers == [1]
        assert kinds["depth"].numbers == [2, 3]
        assert [text for _, text in kinds["depth"].lines] == ["1", "1"]


def test_the_gravest_come_first(write_folder):
    files = {"a.png": SCENES[0], "b.png": SCENES[0], "c.png": b"", "list.csv": b""}
    config = DataConfig(source=str(write_folder(files)))
    severities = [finding.severity for finding in find(examine(survey(find_source(config), config)), config)]
    assert severities == ["problem", "warning", "warning", "note"]


def test_nothing_is_said_about_files_where_there_are_none():
    assert "no files" in found([*SCENES, SCENES[0]])["duplicates"].next


def test_there_is_a_test_for_each_check():
    assert len(CHECKS) == 18, "a new check needs a test here, and a line in docs/inspect.md"
